/* SPDX-License-Identifier: MIT */
/*
 * exec.c: child processes. A child is watched by a pidfd, which the poller can wait for: no SIGCHLD handler, no
 * thread, and its number cannot come to mean another process.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net/net.h"
#include "net/sys.h"

extern char **environ;

struct start {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    int child[3]; /* what the child gets as 0, 1, 2, if it is ours to close; else -1 */
    int ours[3];  /* our ends of the pipes; else -1 */
};

/* O_NONBLOCK is of the open file: each end of a pipe has its own, so the child's end can block as programs expect. */
static int make_pipe(struct start *s, int i) {
    int fd[2], r = rn__sys_pipe(fd);
    if (r < 0) return r;
    s->child[i] = fd[i != 0];
    s->ours[i] = fd[i == 0];
    return fcntl(s->child[i], F_SETFL, i == 0 ? O_RDONLY : O_WRONLY) < 0 ? -errno : 0;
}

static int open_null(struct start *s, int i) {
    s->child[i] = open("/dev/null", O_RDWR | O_CLOEXEC);
    return s->child[i] < 0 ? -errno : 0;
}

/* Above 2, so that putting one in its place does not overwrite the next one's source. */
static int out_of_the_way(int *fd) {
    if (*fd > 2) return 0;
    int copy = fcntl(*fd, F_DUPFD_CLOEXEC, 3);
    if (copy < 0) return -errno;
    *fd = copy;
    return 1;
}

static int redirect(struct start *s, int i, int want) {
    int r = 0, from = want;
    if (want == RN_EXEC_INHERIT) return 0;
    if (want == RN_EXEC_PIPE)
        r = make_pipe(s, i);
    else if (want == RN_EXEC_NULL)
        r = open_null(s, i);
    else if (want < 0)
        r = -EINVAL;
    if (r < 0) return r;
    if (want < 0) from = s->child[i];
    int first = from;
    r = out_of_the_way(&from);
    if (r < 0) return r;
    if (r == 1) {
        if (want < 0) close(first);
        s->child[i] = from;
    }
    return -posix_spawn_file_actions_adddup2(&s->actions, from, i);
}

/* The child starts with no signal blocked and SIGPIPE as usual, whatever this thread has. */
static int set_signals(posix_spawnattr_t *attr) {
    sigset_t none, pipe;
    sigemptyset(&none);
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    posix_spawnattr_setsigmask(attr, &none);
    posix_spawnattr_setsigdefault(attr, &pipe);
    return -posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
}

static int prepare(struct start *s, const rn_exec_opts *o) {
    int r = set_signals(&s->attr);
    for (int i = 0; i < 3 && r == 0 && o; i++) r = redirect(s, i, o->std[i]);
    if (r == 0 && o && o->dir) r = -posix_spawn_file_actions_addchdir_np(&s->actions, o->dir);
    return r;
}

static void close_all(int fd[3]) {
    for (int i = 0; i < 3; i++)
        if (fd[i] >= 0) close(fd[i]);
}

/* It runs already: without a pidfd or a connection for its pipes it cannot be had, so it ends. */
static int give_up(pid_t pid, int error) {
    kill(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) continue;
    return error;
}

static int adopt(rn_proc *p, struct start *s, pid_t pid) {
    int pidfd = rn__sys_pidfd_open(pid), r = 0;
    if (pidfd < 0) return give_up(pid, pidfd);
    for (int i = 0; i < 3; i++) {
        if (s->ours[i] < 0) continue;
        p->std[i] = rn__conn_new(s->ours[i], RN__STREAM);
        s->ours[i] = -1;
        if (p->std[i] < 0) r = -ENOMEM;
    }
    p->pid = pid;
    p->pidfd = pidfd;
    if (r == 0) return 0;
    for (int i = 0; i < 3; i++)
        if (p->std[i] > 0) rn_conn_close(p->std[i]);
    close(pidfd);
    return give_up(pid, r);
}

static int run(rn_proc *p, struct start *s, const char *const argv[], const rn_exec_opts *o) {
    pid_t pid;
    char *const *env = o && o->env ? (char *const *)(uintptr_t)o->env : environ;
    int r = prepare(s, o);
    if (r == 0)
        r = -posix_spawnp(&pid, argv[0], &s->actions, &s->attr, (char *const *)(uintptr_t)argv,
                          env);
    close_all(s->child);
    if (r == 0) r = adopt(p, s, pid);
    close_all(s->ours);
    return r;
}

int rn_exec(rn_proc *p, const char *const argv[], const rn_exec_opts *opts) {
    struct start s = {.child = {-1, -1, -1}, .ours = {-1, -1, -1}};
    memset(p, 0, sizeof *p);
    p->pidfd = -1;
    if (!argv || !argv[0]) return -EINVAL;
    int r = -posix_spawn_file_actions_init(&s.actions);
    if (r) return r;
    r = -posix_spawnattr_init(&s.attr);
    if (r == 0) {
        r = run(p, &s, argv, opts);
        posix_spawnattr_destroy(&s.attr);
    }
    posix_spawn_file_actions_destroy(&s.actions);
    return r;
}

static int wait_proc(rn_proc *p, int *status, int ready) {
    int s = 0, r = ready < 0 ? ready : rn__sys_reap(p->pidfd, &s);
    if (r < 0 && r != -ECHILD) return r;
    if (r == 0 && status) *status = s;
    close(p->pidfd);
    p->pidfd = -1;
    return r;
}

int rn_proc_wait(rn_proc *p, int *status) {
    return wait_proc(p, status, rn_fd_wait(p->pidfd, RN_READABLE));
}
int rn_proc_wait_until(rn_proc *p, int *status, rn_time t) {
    return wait_proc(p, status, rn_fd_wait_until(p->pidfd, RN_READABLE, t));
}
int rn_proc_wait_ctx(struct rn_ctx *ctx, rn_proc *p, int *status) {
    return wait_proc(p, status, rn_fd_wait_ctx(ctx, p->pidfd, RN_READABLE));
}

int rn_proc_kill(rn_proc *p, int signal) { return rn__sys_pidfd_signal(p->pidfd, signal); }
