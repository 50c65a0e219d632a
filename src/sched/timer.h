/* SPDX-License-Identifier: MIT */
/*
 * timer.h: timers: a function to be called at a point in time. Each P has a heap of them;
 * callers without a P use that of P 0.
 *
 * A timer goes into the heap of the P that arms it and stays there until it fires or is disarmed. Anybody
 * may run a heap: its P on its way through the scheduler, a thief, the idle M that sleeps until the next
 * timer (the keeper), sysmon. Heaps live as long as the process: a P that
 * rn_procs took away still has its heap, and who looks for timers looks at the heaps of all Ps there ever were.
 *
 * Rules for the owner of a timer, the one who arms and disarms it:
 *   - one call on a timer at a time (the owner's own lock, or there is only one caller);
 *   - its memory stays until it has fired or been disarmed. It may be on a parked goroutine's stack: once
 *     fn has been called the heap does not touch the timer again, so that fn may make ready the goroutine whose
 *     stack holds it, and that one need not disarm what woke it;
 *   - fn(arg, now) runs with the heap's lock held: it may make ready, CAS, spawn, send to a channel
 *     without waiting, take locks ranked below the heap's. It must not park and not call
 *     a function of this file but, in fn, rn__timer_again.
 *
 * Who owns which field: `fn` and `arg` are the owner's, written while not armed; `heap` is the owner's; `when` and
 * `place` are written under the heap's lock while the timer is armed, by the owner alone otherwise.
 */
#ifndef RUNNEL_SCHED_TIMER_H
#define RUNNEL_SCHED_TIMER_H

#include <runnel/base.h>

#include "os/lock.h"

typedef void rn__timer_fn(void *arg, rn_time now);

/* Zero-initialised: not armed. 40 bytes, and 16 to 24 bytes in the heap while armed. */
struct rn__timer {
    rn_time when; /* due then; valid while armed and in fn */
    rn__timer_fn *fn;
    void *arg;
    struct rn__timers *heap; /* the last heap it was armed in; NULL: never armed */
    uint32_t place;          /* 1 + its index in the heap; 0: not armed */
};

struct rn__timer_slot {
    rn_time when; /* a copy of timer->when: comparing touches only the array */
    struct rn__timer *timer;
};

/*
 * A heap. Zero-initialised and then rn__timers_init. `first` is written under the lock and read by
 * anyone without it; it has a cache line apart from what the owner writes at each arm.
 */
struct rn__timers {
    /* Protects all here and the armed timers' when and place. Rank TIMERS: taken before a channel's. */
    struct rn__lock lock;
    uint32_t len;
    uint32_t cap;
    struct rn__timer_slot *slot; /* 4-ary heap by when; from malloc, kept */
    rn_time looked;              /* when its P last looked; atomic, relaxed */
    _Alignas(64) rn_time first;  /* slot[0].when, RN_TIME_MAX when empty */
};

/* Before first use; needs no lock. */
void rn__timers_init(struct rn__timers *h);

/*
 * Arm a timer that is not armed: call fn(arg, now) once `now` is `when` or later, in the heap of the caller. A `when` that
 * has passed fires at the next look at the heap; RN_TIME_MAX is armed and never fires. Fatal `timer: out of
 * memory` when the heap cannot grow.
 */
void rn__timer_arm(struct rn__timer *t, rn_time when, rn__timer_fn *fn, void *arg);

/*
 * Disarm. True: it was armed, and fn will not run for it. False: it was not armed (has fired, or never was).
 * Either way, when this returns fn is not running and will not run.
 */
bool rn__timer_disarm(struct rn__timer *t);

/*
 * Change the time of a timer, armed or not, keeping the fn and arg that an earlier arm gave it. `between(arg)` (NULL: none)
 * runs once no call of fn for the earlier time is running or will run, and before one for the
 * new time can, under the rules for fn; it gets whether the timer was armed. Returns the same.
 */
bool rn__timer_reset(struct rn__timer *t, rn_time when, void (*between)(void *arg, bool armed),
                     void *arg);

/* From inside its own fn only: arm this timer again in the same heap, for a later time. */
void rn__timer_again(struct rn__timer *t, rn_time when);

/*
 * Call the fn of every timer of h that is due at `now`, earliest first. Any thread inside the runtime. Lets the lock go between batches.
 * None, while the world stands still.
 */
void rn__timers_run(struct rn__timers *h, rn_time now);

/* The world is to stand still: once this returns none of h runs until it goes on. */
void rn__timers_settle(struct rn__timers *h);

/* The first deadline without the lock: a glance, that the Dekker described in timer.c makes safe to sleep on. */
rn_time rn__timers_first(struct rn__timers *h);

/*
 * Two doors that the scheduler provides.
 * rn__timers_mine: the heap of the caller's P, or P 0's if it has none. The answer may be stale
 * when it returns (the caller was moved or lost its P); that costs nothing but locality.
 * rn__timer_earlier: a heap's first deadline is now `when`, earlier than before, and `first` says so. Wakes
 * the keeper if it would sleep past `when`, or some idle M if nobody keeps watch. Called without the heap's lock.
 */
struct rn__timers *rn__timers_mine(void);
void rn__timer_earlier(rn_time when);

#endif
