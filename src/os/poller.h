/* SPDX-License-Identifier: MIT */
/*
 * poller.h: the contract between the scheduler's poll room and the kernel's readiness interface. One
 * body is linked: epoll.c. A body over io_uring or kqueue meets the same contract in a file of its own.
 *
 * A body reports edges: that a descriptor became readable or writable since it was last reported. It may report
 * too much, never too little: what is ready when a descriptor is added is an edge too. A report may come late, after
 * rn__poller_del: the caller puts something into the cookie that tells a new use from an old one.
 *
 * Descriptors are in sets, each in one. Set 0 is everybody's; the others are there so that who takes from one does not meet those who take
 * from another. Who waits does so for all of them.
 *
 * Threads: all functions may be called by any threads at the same time, after one rn__poller_open has
 * succeeded. An edge goes to one of those that wait.
 */
#ifndef RUNNEL_OS_POLLER_H
#define RUNNEL_OS_POLLER_H

#include <runnel/base.h>

/* What happened to a descriptor. Errors and hang-ups are reported as both: the system call tells which. */
enum rn__poll_events {
    RN__POLL_READ = 1,  /* data, a connection, the end of the stream, urgent data */
    RN__POLL_WRITE = 2, /* room to write, connected */
    RN__POLL_ODD = 16,  /* besides: urgent data, the end of the stream, an error or a hang-up */
};

struct rn__poll_event {
    uint64_t cookie;
    uint32_t events; /* of enum rn__poll_events */
};

/* The cookie that the body keeps for itself. */
#define RN__POLLER_COOKIE UINT64_MAX

enum { RN__POLLER_SETS = 64 };

/*
 * Open the one poller of the process, with n sets. How many there are: n; 1 where the process has no descriptors left for more; -errno: none, may
 * be tried again. One caller at a time.
 */
int rn__poller_open(int n);

/*
 * Report what happens to fd, in both directions, with this cookie, in that set. A descriptor is added once.
 * 0; -EPERM: always ready (a regular file); -EEXIST: is added already; -ENOMEM, -ENOSPC: no more room; -EBADF.
 */
int rn__poller_add(int fd, uint64_t cookie, uint32_t set);

/* Report no more. To be called before the descriptor is closed. Harmless if it was not added. */
void rn__poller_del(int fd, uint32_t set);

/* How many descriptors are in a set other than 0, just now; and in all of these. */
uint32_t rn__poller_members(uint32_t set);
uint32_t rn__poller_owned(void);

/* The CPU on which the kernel handled what came last for fd, a socket; -1: unknown. */
int rn__poller_cpu(int fd);

/* The edges of a set other than 0, without waiting. Costs nothing where it has no members. Fills at most `n` and returns how many. */
int rn__poller_take(struct rn__poll_event *ev, int n, uint32_t set);

/*
 * Take the edges of set 0. If there are none in any set, wait for some: up to `timeout` ns; not at all if 0; without end if
 * negative. Fills at most `n` and returns how many:
 * 0 after the time, a signal or rn__poller_wake, or if they are in other sets. Only a wait with a timeout that is not 0 takes a wake.
 */
int rn__poller_wait(struct rn__poll_event *ev, int n, rn_duration timeout);

/*
 * Make a running wait return, or the next one that begins. Several wakes may become one: whoever returns from a
 * wait sees all that was done before each rn__poller_wake that it swallowed.
 */
void rn__poller_wake(void);

#endif
