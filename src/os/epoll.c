/* SPDX-License-Identifier: MIT */
/*
 * epoll.c: the poller's body over epoll(7) (contract: poller.h).
 *
 * Descriptors are added edge-triggered and for both directions at once, so that a connection costs one
 * epoll_ctl in its life. The wake-up is an eventfd, level-triggered: a waiter that came for a moment only
 * (timeout 0) sees it and leaves it for the one who sleeps; were it edge-triggered, that glance would swallow the wake.
 * It is in set 0. Who sleeps does so there, while the other sets are empty, else in ppoll(2) over all. E2: who puts the first into another set
 * counts it and then looks for who sleeps, to wake it; who goes to sleep says so and then looks at that count. Where nobody sleeps nothing is
 * written, as each glance at set 0 would find it until the next sleeper comes.
 * `woken` keeps the second and later wakes from writing: 1 from a wake until a sleeper has drained the eventfd.
 */
#define _GNU_SOURCE
#include "os/poller.h"

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/attr.h"

enum { BATCH = 128 };

struct set {
    RN_ALIGNED_LINE int ep;
    uint32_t members; /* atomic */
};

/* Written before rn__poller_open returns. */
static struct set sets[RN__POLLER_SETS];
static int nsets, evfd;

static uint32_t woken;            /* atomic */
static uint32_t others, sleepers; /* atomic: members of other sets than 0; who sleeps (E2) */

static int open_first(void) {
    struct epoll_event e = {.events = EPOLLIN, .data.u64 = RN__POLLER_COOKIE};
    int ep = epoll_create1(EPOLL_CLOEXEC);
    if (ep < 0) return -errno;
    int r, ev = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (ev < 0) goto no_event;
    if (epoll_ctl(ep, EPOLL_CTL_ADD, ev, &e) < 0) goto no_ctl;
    sets[0].ep = ep;
    evfd = ev;
    return 0;
no_ctl:
    r = -errno;
    close(ev);
    close(ep);
    return r;
no_event:
    r = -errno;
    close(ep);
    return r;
}

int rn__poller_open(int n) {
    int r = open_first();
    if (r < 0) return r;
    for (nsets = 1; nsets < n; nsets++)
        if ((sets[nsets].ep = epoll_create1(EPOLL_CLOEXEC)) < 0) break;
    while (nsets < n && nsets > 1) close(sets[--nsets].ep); /* the last ones are not for us */
    return nsets;
}

static void count_out(uint32_t set) {
    if (set == 0) return;
    rn__sub_seq_cst(&sets[set].members, 1u);
    rn__sub_seq_cst(&others, 1u);
}

/* Before there is an edge, so that who takes it sees that there is something. */
static void count_in(uint32_t set) {
    if (set == 0) return;
    rn__add_seq_cst(&sets[set].members, 1u);
    if (rn__add_seq_cst(&others, 1u) == 0 && rn__load_seq_cst(&sleepers) != 0)
        rn__poller_wake(); /* E2 */
}

int rn__poller_add(int fd, uint64_t cookie, uint32_t set) {
    struct epoll_event e = {
        .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET,
        .data.u64 = cookie,
    };
    count_in(set);
    if (epoll_ctl(sets[set].ep, EPOLL_CTL_ADD, fd, &e) == 0) return 0;
    int r = -errno;
    count_out(set);
    return r;
}

void rn__poller_del(int fd, uint32_t set) {
    struct epoll_event unused = {0}; /* Linux before 2.6.9 wanted one; valgrind still does */
    if (epoll_ctl(sets[set].ep, EPOLL_CTL_DEL, fd, &unused) == 0) count_out(set);
}

uint32_t rn__poller_members(uint32_t set) { return rn__load_relaxed(&sets[set].members); }

uint32_t rn__poller_owned(void) { return rn__load_relaxed(&others); }

int rn__poller_cpu(int fd) {
    int cpu = -1;
    socklen_t len = sizeof cpu;
    return getsockopt(fd, SOL_SOCKET, SO_INCOMING_CPU, &cpu, &len) == 0 ? cpu : -1;
}

/*
 * The drain comes before the exchange: a wake in between writes nothing, but it happened before the
 * exchange that reads its 1, so our caller sees its work. (E1: pairs with rn__poller_wake)
 */
static void drain(void) {
    uint64_t count;
    while (read(evfd, &count, sizeof count) < 0 && errno == EINTR) continue;
    (void)rn__exchange_acq_rel(&woken, 0u);
}

void rn__poller_wake(void) {
    uint64_t one = 1;
    if (rn__exchange_acq_rel(&woken, 1u)) return; /* E1 */
    while (write(evfd, &one, sizeof one) < 0 && errno == EINTR) continue;
}

static uint32_t translate(uint32_t e) {
    uint32_t r = 0;
    if (e & (EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) r |= RN__POLL_READ;
    if (e & (EPOLLOUT | EPOLLHUP | EPOLLERR)) r |= RN__POLL_WRITE;
    if (e & (EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) r |= RN__POLL_ODD;
    return r;
}

/* epoll_pwait2 is of Linux 5.11; before, in milliseconds, rounded up so as not to spin on the rest. */
static int wait_events(int ep, struct epoll_event *e, int n, rn_duration timeout) {
    static bool old_kernel;
    if (timeout <= 0) return epoll_wait(ep, e, n, timeout < 0 ? -1 : 0);
    if (!rn__load_relaxed(&old_kernel)) { /* relaxed: a hint; finding out twice is harmless */
        struct timespec t = {.tv_sec = timeout / RN_SEC, .tv_nsec = timeout % RN_SEC};
        int r = epoll_pwait2(ep, e, n, &t, NULL);
        if (r >= 0 || errno != ENOSYS) return r;
        rn__store_relaxed(&old_kernel, true);
    }
    rn_duration ms = timeout / RN_MS + (timeout % RN_MS != 0);
    return epoll_wait(ep, e, n, ms > INT32_MAX ? INT32_MAX : (int)ms);
}

static int collect(struct rn__poll_event *ev, const struct epoll_event *e, int got, bool drains) {
    int r = 0;
    for (int i = 0; i < got; i++) {
        if (e[i].data.u64 == RN__POLLER_COOKIE) {
            if (drains) drain();
            continue;
        }
        ev[r++] = (struct rn__poll_event){e[i].data.u64, translate(e[i].events)};
    }
    return r;
}

/* What is left to sleep for in set 0: as a rule nothing. */
static rn_duration sleep_on_all(rn_duration timeout) {
    struct pollfd p[RN__POLLER_SETS];
    struct timespec t = {.tv_sec = timeout / RN_SEC, .tv_nsec = timeout % RN_SEC};
    for (int i = 0; i < nsets; i++) p[i] = (struct pollfd){.fd = sets[i].ep, .events = POLLIN};
    if (ppoll(p, (nfds_t)nsets, timeout < 0 ? NULL : &t, NULL) >= 0 || errno == EINTR) return 0;
    return RN_MS; /* no memory, or fewer descriptors allowed: look often */
}

int rn__poller_wait(struct rn__poll_event *ev, int n, rn_duration timeout) {
    struct epoll_event e[BATCH];
    bool sleeps = timeout != 0;
    if (sleeps) {
        rn__add_seq_cst(&sleepers, 1u);
        if (rn__load_seq_cst(&others) != 0) timeout = sleep_on_all(timeout); /* E2 */
    }
    int got = wait_events(sets[0].ep, e, n < BATCH ? n : BATCH, timeout);
    if (sleeps) rn__sub_seq_cst(&sleepers, 1u);
    return collect(ev, e, got, sleeps);
}

int rn__poller_take(struct rn__poll_event *ev, int n, uint32_t set) {
    struct epoll_event e[BATCH];
    if (rn__poller_members(set) == 0) return 0;
    int got = epoll_wait(sets[set].ep, e, n < BATCH ? n : BATCH, 0);
    return collect(ev, e, got, false);
}
