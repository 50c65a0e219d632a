/* SPDX-License-Identifier: MIT */
/*
 * poll.h: descriptors and the goroutines that wait for them. What Go calls netpoll, pollDesc and fdMutex.
 *
 * A descriptor that goroutines wait for has a record, struct rn__pollfd. Records are never freed, only
 * used again, and each use has a number of its own, the generation: a *handle* is (generation, index), and a late
 * event, a late wake-up or a late call by an old handle finds nothing (-EBADF) where it would otherwise find
 * the next user of the record or of the descriptor's number.
 *
 * Waiting without losing an edge: each direction has a counter of edges. Who wants to do something
 *   1. reads the counter (rn__poll_seq),
 *   2. tries the system call,
 *   3. on EAGAIN calls rn__poll_wait with the counter, which parks only if it still stands there,
 *   4. and goes to 1.
 * An edge moves the counter and wakes all that wait in its direction; those that come too late park again. So
 * any number of goroutines may wait, and none is left behind when one takes only a part of what had come.
 *
 * Sets. Every P takes the events of the poller's set 0, whatever they are for. So with all Ps busy one connection is served here this time and
 * there the next, and what it needs of the kernel and of us is on the other CPU. Therefore each P has a set of its own besides, and a connection
 * moves to that of the P that runs on the CPU where the kernel handles what comes for it (settle in poll.c), unless it has more of them than the one where
 * it is. Only while all Ps have been busy for some time: where one is idle now and then, who is awake is to serve all. So it goes back to set 0 then.
 * What others have neglected, who is stuck in a long turn say, is taken by who has nothing to do, by all now and then, and by sysmon.
 *
 * Closing: rn__poll_close makes every waiter return -EBADF, waits until nobody uses the descriptor,
 * and then closes it: no system call ever hits a number that was given away meanwhile.
 *
 * Locks: a record's lock protects its queue of waiters, `registered`, `set`, `calm`, `writing` and the step of `state` to a new generation.
 * Rank: below the timers' heaps (a time-out takes it under the heap's lock), above the run queues.
 * Under it: no park but the one it is handed to, no timer, no malloc; of system calls those that put the descriptor into the poller or another set.
 *
 * Threads: goroutines and plain threads alike, by rn__park. No function but rn__poll_wait, rn__poll_take_turn and
 * rn__poll_close blocks the goroutine. All are called outside of rn__in/rn__out, but those for the scheduler: inside.
 */
#ifndef RUNNEL_SCHED_POLL_H
#define RUNNEL_SCHED_POLL_H

#include <runnel/base.h>

#include "os/lock.h"
#include "os/poller.h"

/* A positive number, or -errno. */
typedef int64_t rn__pollref;

/* What a waiter can wait for besides RN__POLL_READ and RN__POLL_WRITE. */
enum {
    RN__POLL_TURN = 4, /* the turn to write */
    RN__POLL_GONE = 8, /* that nobody uses the descriptor: who closes it */
};

struct rn__poll_waiter;

struct rn__pollfd {
    uint64_t
        state; /* atomic: generation << 32 | CLOSED | users; an open record is used by its opener */
    uint32_t seq[2];     /* atomic: edges: [0] read, [1] write; written under the lock */
    uint32_t empty;      /* atomic: seq[0] when the last read came back short; see rn__poll_empty */
    bool odd;            /* atomic: from now on that says nothing */
    rn_time deadline[2]; /* atomic: of the connection; RN_TIME_MAX: none. For net */
    struct rn__lock lock;
    int fd;                               /* constant while used */
    uint32_t index;                       /* constant */
    bool registered;                      /* the poller knows it, */
    uint8_t set;                          /* in this set */
    uint8_t calm;                         /* the rarer it is asked where it belongs */
    bool writing;                         /* somebody has the turn to write */
    bool borrowed;                        /* closing does not close the descriptor */
    uint8_t kind;                         /* for net; constant while used */
    struct rn__poll_waiter *first, *last; /* FIFO */
    char *path;              /* atomic, for net: from malloc; taken and freed by who closes */
    struct rn__pollfd *next; /* in the free list */
};

/*
 * A record for fd, which is non-blocking; it belongs to the record from now on, unless `borrowed`. The handle; -ENOMEM.
 * The poller learns of it at the first wait.
 */
rn__pollref rn__poll_open(int fd, uint8_t kind, bool borrowed);

/* Use the record: it and its fd stay until rn__poll_put. NULL if the handle was closed (or never was one). */
struct rn__pollfd *rn__poll_get(rn__pollref h);
void rn__poll_put(struct rn__pollfd *pd);

/*
 * Close: wakes all waiters with -EBADF, waits until all users have put, closes the descriptor.
 * 0; -EBADF: was closed already, perhaps by another caller this moment. The caller must not be one of the users.
 */
int rn__poll_close(rn__pollref h);

/* The handle of a record in use. */
rn__pollref rn__poll_ref(struct rn__pollfd *pd);

/* The counter for step 1. dir: RN__POLL_READ, RN__POLL_WRITE or both. */
uint32_t rn__poll_seq(struct rn__pollfd *pd, uint32_t dir);

/*
 * Step 2 may be left out when it would say EAGAIN: a stream of bytes that gave less than was asked for is empty, and what comes
 * then makes an edge. rn__poll_read_short: it did, and seq was the counter before. rn__poll_empty: it is empty, if the counter stands at seq.
 * What had come before an edge that is *odd*, such as the end, does not make another; so an odd edge ends this for good, as does
 * rn__poll_odd, for descriptors that others may have made streams of something else.
 */
void rn__poll_read_short(struct rn__pollfd *pd, uint32_t seq);
bool rn__poll_empty(struct rn__pollfd *pd, uint32_t seq);
void rn__poll_odd(struct rn__pollfd *pd);

/*
 * Park until there is an edge in direction `dir` after `seq`, or a kick. 0: try again (perhaps in vain); -ETIMEDOUT: `until`
 * has passed; -EBADF: closed; or what rn__poller_add says.
 */
int rn__poll_wait(struct rn__pollfd *pd, uint32_t dir, uint32_t seq, rn_time until);

/*
 * The turn to write: one at a time, in order of arrival. try: 0: it is the caller's until rn__poll_give_turn; -EAGAIN; -EBADF.
 * take: also waits: -ETIMEDOUT; -EINTR: a kick or an edge came after `seq` (of RN__POLL_WRITE), look around and try again.
 */
int rn__poll_try_turn(struct rn__pollfd *pd);
int rn__poll_take_turn(struct rn__pollfd *pd, uint32_t seq, rn_time until);
void rn__poll_give_turn(struct rn__pollfd *pd);

/* Wake all that wait for any of dirs, to have a look at what their caller changed (a deadline, a context). */
void rn__poll_kick(struct rn__pollfd *pd, uint32_t dirs);

/*
 * For the scheduler.
 * rn__poll_active: somebody waits for a descriptor: an event from outside may come, this is no deadlock.
 * rn__poll: take events and make ready who waits for them; waits for `timeout` ns for the first one (0: not at
 * all, costs nothing while no descriptor was ever waited for; negative: without end). Returns how many goroutines were queued,
 * for whom nobody has been woken yet; 0 after a time-out, a wake or a signal; -errno if there is no poller (no descriptors left): sleep
 * otherwise. May be called by any thread and several at a time. Only calls with a timeout that is not 0 are woken.
 * rn__poll with a timeout of 0 takes the events of set 0 alone, else those of all sets.
 * rn__poll_take: the same of the events of P number id's own set, without waiting.
 * rn__poll_wake: make the one call that waits, or the next that would, return.
 */
bool rn__poll_active(void);
uint32_t rn__poll_waiting(void); /* how many; for tests and observers */
int rn__poll(rn_duration timeout);
int rn__poll_take(uint32_t id);
void rn__poll_wake(void);

#endif
