/* SPDX-License-Identifier: MIT */
/* sys.c: see sys.h. Each function here looks at errno at once after its call and parks nowhere. */
#define _GNU_SOURCE
#include "net/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/attr.h"

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

#define RETRY(call)                                                                                \
    __extension__({                                                                                \
        __typeof__(call) r_;                                                                       \
        do {                                                                                       \
            r_ = (call);                                                                           \
        } while (r_ < 0 && errno == EINTR);                                                        \
        r_ < 0 ? -errno : r_;                                                                      \
    })

RN_NOINLINE ssize_t rn__sys_recv(int fd, void *buf, size_t n) { return RETRY(recv(fd, buf, n, 0)); }

RN_NOINLINE ssize_t rn__sys_readv(int fd, const struct iovec *iov, int n) {
    if (n == 1) return RETRY(read(fd, iov->iov_base, iov->iov_len));
    return RETRY(readv(fd, iov, n));
}

RN_NOINLINE ssize_t rn__sys_recvmsg(int fd, struct msghdr *m, int flags) {
    return RETRY(recvmsg(fd, m, flags));
}

RN_NOINLINE ssize_t rn__sys_sendmsg(int fd, const struct msghdr *m, int flags) {
    if (m->msg_iovlen == 1 && !m->msg_name)
        return RETRY(send(fd, m->msg_iov->iov_base, m->msg_iov->iov_len, flags | MSG_NOSIGNAL));
    return RETRY(sendmsg(fd, m, flags | MSG_NOSIGNAL));
}

/*
 * SIGPIPE goes to the thread that writes. Block it, and if we raised one, take it back: unless it was
 * pending already, and then ours is one with that. A call that has written a part before the reader left raises it, too.
 */
struct quiet {
    sigset_t before;
    bool pending;
};

static void pipe_set(sigset_t *s) {
    sigemptyset(s);
    sigaddset(s, SIGPIPE);
}

static void quiet_begin(struct quiet *q) {
    sigset_t pipe, now;
    pipe_set(&pipe);
    pthread_sigmask(SIG_BLOCK, &pipe, &q->before);
    q->pending =
        sigismember(&q->before, SIGPIPE) && sigpending(&now) == 0 && sigismember(&now, SIGPIPE);
}

/* Of `wanted` bytes. */
static void quiet_end(struct quiet *q, ssize_t result, size_t wanted) {
    bool raised = result == -EPIPE || (result >= 0 && (size_t)result < wanted); /* perhaps */
    sigset_t pipe;
    struct timespec none = {0};
    pipe_set(&pipe);
    if (raised && !q->pending) (void)RETRY(sigtimedwait(&pipe, NULL, &none));
    pthread_sigmask(SIG_SETMASK, &q->before, NULL);
}

static size_t total(const struct iovec *iov, int n) {
    size_t sum = 0;
    for (int i = 0; i < n; i++) sum += iov[i].iov_len;
    return sum;
}

RN_NOINLINE ssize_t rn__sys_writev(int fd, const struct iovec *iov, int n) {
    struct quiet q;
    quiet_begin(&q);
    ssize_t r = RETRY(writev(fd, iov, n));
    quiet_end(&q, r, total(iov, n));
    return r;
}

/* Into a pipe whose reading end is the caller's too: nobody raises SIGPIPE. */
RN_NOINLINE ssize_t rn__sys_fill(int from, int pipe, size_t n) {
    return RETRY(splice(from, NULL, pipe, NULL, n, SPLICE_F_MOVE | SPLICE_F_NONBLOCK));
}

RN_NOINLINE ssize_t rn__sys_drain(int pipe, int to, size_t n) {
    struct quiet q;
    quiet_begin(&q);
    ssize_t r = RETRY(splice(pipe, NULL, to, NULL, n, SPLICE_F_MOVE | SPLICE_F_NONBLOCK));
    quiet_end(&q, r, n);
    return r;
}

RN_NOINLINE ssize_t rn__sys_sendfile(int to, int from, off_t *off, size_t n) {
    struct quiet q;
    quiet_begin(&q);
    ssize_t r = RETRY(sendfile(to, from, off, n));
    quiet_end(&q, r, n);
    return r;
}

RN_NOINLINE int rn__sys_socket(int family, int type) {
    return RETRY(socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

RN_NOINLINE int rn__sys_accept(int fd) {
    return RETRY(accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC));
}

/* Not made again after a signal: the connection is under way then. */
RN_NOINLINE int rn__sys_connect(int fd, const struct sockaddr *sa, socklen_t len) {
    if (connect(fd, sa, len) == 0) return 0;
    return errno == EINTR ? -EINPROGRESS : -errno;
}

RN_NOINLINE int rn__sys_bind(int fd, const struct sockaddr *sa, socklen_t len) {
    return RETRY(bind(fd, sa, len));
}

RN_NOINLINE int rn__sys_listen(int fd, int backlog) { return RETRY(listen(fd, backlog)); }

RN_NOINLINE int rn__sys_shutdown(int fd, int how) { return RETRY(shutdown(fd, how)); }

RN_NOINLINE int rn__sys_setsockopt(int fd, int level, int name, const void *value, socklen_t len) {
    return RETRY(setsockopt(fd, level, name, value, len));
}

RN_NOINLINE int rn__sys_getsockopt(int fd, int level, int name, void *value, socklen_t *len) {
    return RETRY(getsockopt(fd, level, name, value, len));
}

RN_NOINLINE int rn__sys_getsockname(int fd, struct sockaddr *sa, socklen_t *len) {
    return RETRY(getsockname(fd, sa, len));
}

RN_NOINLINE int rn__sys_getpeername(int fd, struct sockaddr *sa, socklen_t *len) {
    return RETRY(getpeername(fd, sa, len));
}

RN_NOINLINE int rn__sys_socketpair(int type, int fd[2]) {
    return RETRY(socketpair(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd));
}

RN_NOINLINE int rn__sys_pipe(int fd[2]) { return RETRY(pipe2(fd, O_NONBLOCK | O_CLOEXEC)); }

/* How much it holds; less or more than asked for. */
RN_NOINLINE int rn__sys_pipe_room(int fd, int n) {
    int room = fcntl(fd, F_SETPIPE_SZ, n);
    return room >= 0 ? room : RETRY(fcntl(fd, F_GETPIPE_SZ));
}

RN_NOINLINE int rn__sys_nonblock(int fd) {
    int flags = RETRY(fcntl(fd, F_GETFL));
    if (flags < 0 || flags & O_NONBLOCK) return flags < 0 ? flags : 0;
    return RETRY(fcntl(fd, F_SETFL, flags | O_NONBLOCK));
}

RN_NOINLINE int rn__sys_dup(int fd) { return RETRY(fcntl(fd, F_DUPFD_CLOEXEC, 0)); }

RN_NOINLINE int rn__sys_poll(int fd, short events) {
    struct pollfd p = {.fd = fd, .events = events};
    int r = RETRY(poll(&p, 1, 0));
    return r <= 0 ? r : p.revents;
}

RN_NOINLINE int rn__sys_pidfd_open(pid_t pid) {
    return (int)RETRY(syscall(SYS_pidfd_open, pid, 0));
}

RN_NOINLINE int rn__sys_pidfd_signal(int pidfd, int signal) {
    return (int)RETRY(syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0));
}

RN_NOINLINE int rn__sys_reap(int pidfd, int *status) {
    siginfo_t info;
    memset(&info, 0, sizeof info);
    int r = RETRY(waitid((idtype_t)P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG));
    if (r < 0) return r;
    if (info.si_pid == 0) return -EAGAIN;
    if (info.si_code == CLD_EXITED)
        *status = (info.si_status & 0xff) << 8;
    else
        *status = info.si_status | (info.si_code == CLD_DUMPED ? 0x80 : 0);
    return 0;
}

RN_NOINLINE ssize_t rn__sys_pread(int fd, void *buf, size_t n, off_t off, int flags) {
    struct iovec v = {buf, n};
    return RETRY(flags ? preadv2(fd, &v, 1, off, flags) : pread(fd, buf, n, off));
}

RN_NOINLINE ssize_t rn__sys_pwrite(int fd, const void *buf, size_t n, off_t off, int flags) {
    struct iovec v = {(void *)(uintptr_t)buf, n};
    return RETRY(flags ? pwritev2(fd, &v, 1, off, flags) : pwrite(fd, buf, n, off));
}
