/* SPDX-License-Identifier: MIT */
/*
 * core.h: what the tests of the core share: short forms, catching a panic, and running a body in
 * a child process whose stderr and exit status are looked at.
 */
#ifndef RUNNEL_TESTS_CORE_H
#define RUNNEL_TESTS_CORE_H

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include "test.h"

#if defined(__SANITIZE_THREAD__)
#define TEST_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TEST_TSAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define TEST_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TEST_ASAN 1
#endif
#endif
#ifndef TEST_TSAN
#define TEST_TSAN 0
#endif
#ifndef TEST_ASAN
#define TEST_ASAN 0
#endif

/* Start a goroutine or fail the case. */
#define GO(...) CHECK_EQ(rn_go(__VA_ARGS__), 0)

/* Let the others run until cond holds. Returns only then: a case that waits in vain is ended by ctest. */
#define WAIT_FOR(cond)                                                                             \
    do {                                                                                           \
        while (!(cond)) rn_yield();                                                                \
    } while (0)

/* Counters that goroutines and threads share without ordering anything by them. */
static inline long count(long *n) { return __atomic_load_n(n, __ATOMIC_RELAXED); }
static inline long add(long *n, long d) { return __atomic_add_fetch(n, d, __ATOMIC_RELAXED); }

/* Receive n values and drop them: the usual "wait until all have finished". */
static inline void wait_n(rn_recv_chan(int) done, long n) {
    while (n-- > 0) CHECK(rn_recv_ok(done, NULL));
}

/* fn(arg) must panic with exactly this text. */
static inline void check_panics(void (*fn)(void *), void *arg, const char *text) {
    rn_panic_info p;
    if (rn_try(fn, arg, &p)) FAIL("no panic, but \"%s\" was expected", text);
    CHECK_STR(p.message, text);
    CHECK_EQ(p.goid, rn_goid());
}

/* What a child process wrote to stderr (the beginning of it), and how it ended, as waitpid(2) says. */
struct child {
    int status;
    size_t len;
    char err[1 << 16];
};

static inline void child_read(struct child *c, int fd) {
    char drop[4096];
    for (;;) {
        bool room = c->len < sizeof c->err - 1;
        ssize_t n = room ? read(fd, c->err + c->len, sizeof c->err - 1 - c->len)
                         : read(fd, drop, sizeof drop);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        if (room) c->len += (size_t)n;
    }
    c->err[c->len] = 0;
}

/*
 * Run body in a child process. Call it before the runtime has started (in TEST, not TEST_GO, and before
 * anything else of runnel): threads do not come along through fork(2).
 */
static inline struct child *run_child(void (*body)(void)) {
    static struct child c;
    int fd[2];
    CHECK_EQ(pipe(fd), 0);
    pid_t pid = fork();
    CHECK_GE(pid, 0);
    if (pid == 0) {
        dup2(fd[1], 2);
        close(fd[0]);
        close(fd[1]);
        body();
        exit(0);
    }
    close(fd[1]);
    c.len = 0;
    child_read(&c, fd[0]);
    close(fd[0]);
    while (waitpid(pid, &c.status, 0) < 0) CHECK_EQ(errno, EINTR);
    return &c;
}

static inline void check_text(const struct child *c, const char *text) {
    if (!strstr(c->err, text))
        FAIL("\"%s\" is missing in what the child wrote (status 0x%x):\n%s", text,
             (unsigned)c->status, c->err);
}

static inline void check_no_text(const struct child *c, const char *text) {
    if (strstr(c->err, text)) FAIL("\"%s\" is in what the child wrote:\n%s", text, c->err);
}

static inline void check_exit(const struct child *c, int code) {
    if (!WIFEXITED(c->status) || WEXITSTATUS(c->status) != code)
        FAIL("exit %d expected, status is 0x%x; the child wrote:\n%s", code, (unsigned)c->status,
             c->err);
}

/* ASan and TSan may turn the signal into an exit status of their own: not zero is enough there. */
static inline void check_aborted(const struct child *c) {
    bool ok = WIFSIGNALED(c->status) && WTERMSIG(c->status) == SIGABRT;
    if (TEST_TSAN || TEST_ASAN) ok = c->status != 0;
    if (!ok)
        FAIL("SIGABRT expected, status is 0x%x; the child wrote:\n%s", (unsigned)c->status, c->err);
}

#endif
