/* SPDX-License-Identifier: MIT */
/*
 * lock.h: a lock for sections of a few instructions, in 4 bytes, usable when zeroed.
 *
 * Waiting spins, then yields the CPU, then naps; the release is a plain store, half the price of one that
 * must look for sleepers, and is the holder's last touch of the lock: whoever gets it next may free it. Nothing may block under it, and no
 * goroutine parks under it except by handing the release to rn__park.
 *
 * Who naps may find the lock held each time he looks, by one that releases it only to acquire it again. After some
 * milliseconds he writes the lock into rn__lock_starved, one for all locks, and who comes anew stands back from it for a while.
 * It is a hint: nothing but waiting time hangs on it.
 *
 * Ranks: a holder may only acquire locks further down the list.
 *   a timer of the time room > timers' heap > channel (several: in the order of their addresses) > sema, pollfd > sched > stacks
 */
#ifndef RN_OS_LOCK_H
#define RN_OS_LOCK_H

#include "base/atomic.h"
#include "arch.h"
#include "base/chaos.h"

enum rn__rank {
    RN__RANK_NONE,
    RN__RANK_TIMER,
    RN__RANK_TIMERS,
    RN__RANK_CHAN,
    RN__RANK_SCHED,
    RN__RANK_STACKS
};

struct rn__lock {
    uint32_t word; /* 0 free, 1 held */
#ifdef RN_DEBUG
    uint32_t rank; /* 0: not checked */
#endif
};

#ifdef RN_DEBUG
/* Before first use. Ranks are checked at each acquire and release of a lock that has one. */
RN_INLINE void rn__lock_rank(struct rn__lock *l, enum rn__rank rank) { l->rank = rank; }
void rn__lock_check_acquire(struct rn__lock *l) RN_HIDDEN;
void rn__lock_check_release(struct rn__lock *l) RN_HIDDEN;
#else
RN_INLINE void rn__lock_rank(struct rn__lock *l, enum rn__rank rank) { (void)l, (void)rank; }
RN_INLINE void rn__lock_check_acquire(struct rn__lock *l) { (void)l; }
RN_INLINE void rn__lock_check_release(struct rn__lock *l) { (void)l; }
#endif

void rn__lock_slow(struct rn__lock *l) RN_HIDDEN;

/* The lock that somebody has waited for too long, or NULL; atomic, relaxed. */
extern struct rn__lock *rn__lock_starved RN_HIDDEN;

/* Told when the caller begins to wait for a lock; the scheduler's (sched/claim.c). Set at start. */
extern void (*rn__lock_waits)(void) RN_HIDDEN;

/* Between two looks at a word that is fought for: each takes its line from who has it. */
RN_INLINE void rn__stand_back(int pauses) {
    for (int i = 0; i < pauses; i++) rn__arch_pause();
}

RN_INLINE bool rn__lock_try(struct rn__lock *l) {
    return rn__cas_acquire(&l->word, 0u, 1u); /* L1: pairs with L2 */
}

RN_INLINE void rn__lock_acquire(struct rn__lock *l) {
    rn__lock_check_acquire(l);
    rn__chaos_yield(32);
    if (unlikely(rn__load_relaxed(&rn__lock_starved) == l) || unlikely(!rn__lock_try(l)))
        rn__lock_slow(l);
    rn__chaos_yield(64);
}

RN_INLINE void rn__lock_release(struct rn__lock *l) {
    rn__lock_check_release(l);
    rn__store_release(&l->word, 0u); /* L2: pairs with L1 */
}

#endif
