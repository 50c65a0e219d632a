/* SPDX-License-Identifier: MIT */
/*
 * epoll.c: the poller's body over epoll(7) (contract: poller.h).
 *
 * Descriptors are added edge-triggered and for both directions at once, so that a connection costs one
 * epoll_ctl in its life. The wake-up is an eventfd, level-triggered: a waiter that came for a moment only
 * (timeout 0) sees it and leaves it for the one who sleeps; were it edge-triggered, that glance would swallow the wake.
 * `woken` keeps the second and later wakes from writing: 1 from a wake until a sleeper has drained the eventfd.
 */
#define _GNU_SOURCE
#include "os/poller.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/atomic.h"

enum { BATCH = 128 };

static int epfd = -1; /* both written once, before rn__poller_open returns 0 */
static int evfd = -1;
static uint32_t woken;

int rn__poller_open(void) {
    struct epoll_event e = {.events = EPOLLIN, .data.u64 = RN__POLLER_COOKIE};
    int ep = epoll_create1(EPOLL_CLOEXEC);
    if (ep < 0) return -errno;
    int r, ev = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (ev < 0) goto no_event;
    if (epoll_ctl(ep, EPOLL_CTL_ADD, ev, &e) < 0) goto no_ctl;
    epfd = ep;
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

int rn__poller_add(int fd, uint64_t cookie) {
    struct epoll_event e = {
        .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET,
        .data.u64 = cookie,
    };
    return epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &e) < 0 ? -errno : 0;
}

void rn__poller_del(int fd) {
    struct epoll_event unused = {0}; /* Linux before 2.6.9 wanted one; valgrind still does */
    (void)epoll_ctl(epfd, EPOLL_CTL_DEL, fd, &unused);
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
static int wait_events(struct epoll_event *e, int n, rn_duration timeout) {
    static bool old_kernel;
    if (timeout <= 0) return epoll_wait(epfd, e, n, timeout < 0 ? -1 : 0);
    if (!rn__load_relaxed(&old_kernel)) { /* relaxed: a hint; finding out twice is harmless */
        struct timespec t = {.tv_sec = timeout / RN_SEC, .tv_nsec = timeout % RN_SEC};
        int r = epoll_pwait2(epfd, e, n, &t, NULL);
        if (r >= 0 || errno != ENOSYS) return r;
        rn__store_relaxed(&old_kernel, true);
    }
    rn_duration ms = timeout / RN_MS + (timeout % RN_MS != 0);
    return epoll_wait(epfd, e, n, ms > INT32_MAX ? INT32_MAX : (int)ms);
}

int rn__poller_wait(struct rn__poll_event *ev, int n, rn_duration timeout) {
    struct epoll_event e[BATCH];
    int got = wait_events(e, n < BATCH ? n : BATCH, timeout), r = 0;
    for (int i = 0; i < got; i++) {
        if (e[i].data.u64 == RN__POLLER_COOKIE) {
            if (timeout != 0) drain();
            continue;
        }
        ev[r++] = (struct rn__poll_event){e[i].data.u64, translate(e[i].events)};
    }
    return r;
}
