/* SPDX-License-Identifier: MIT */
#include "os/lock.h"

#include <sched.h>

#include "base/die.h"
#include "os/clock.h"

/*
 * Spinning pays while the holder runs on another core; when the kernel took its core, only sleeping helps. Each look takes the
 * line from the holder, so they are half a microsecond and more apart.
 */
enum { SPINS = 10, PAUSES = 32, YIELDS = 32, NAP_US = 20, NAP_US_MAX = 1000 };
/* In naps. Standing back ends by itself: the starving thread may be held up elsewhere (the leak finder stops threads). */
enum { PATIENCE = 12, STAND_BACK = 64 };

struct rn__lock *rn__lock_starved;

static bool try_slowly(struct rn__lock *l) {
    return rn__load_relaxed(&l->word) == 0 && rn__lock_try(l);
}

static bool is_starved(struct rn__lock *l) { return rn__load_relaxed(&rn__lock_starved) == l; }

/* The first PATIENCE naps get longer; after them newcomers stand back, and we look often. */
static void nap_for(struct rn__lock *l) {
    bool mine = false;
    int us = NAP_US;
    for (int naps = 0; !try_slowly(l); naps++) {
        if (naps >= PATIENCE && !mine) mine = rn__cas_relaxed(&rn__lock_starved, NULL, l);
        rn__nap((mine ? NAP_US : us) * RN_US);
        if (us < NAP_US_MAX) us *= 2;
    }
    if (mine) rn__store_relaxed(&rn__lock_starved, NULL);
}

static void wait_slowly(struct rn__lock *l) {
    for (int i = 0; i < STAND_BACK && is_starved(l); i++) rn__nap(NAP_US * RN_US);
    for (int i = 0; i < SPINS; i++) {
        if (try_slowly(l)) return;
        rn__stand_back(i == 0 ? PAUSES : 2 * PAUSES);
    }
    for (int i = 0; i < YIELDS; i++) {
        if (try_slowly(l)) return;
        sched_yield();
    }
    nap_for(l);
}

void (*rn__lock_waits)(void);

void rn__lock_slow(struct rn__lock *l) {
    if (rn__lock_waits) rn__lock_waits();
    wait_slowly(l);
}

#ifdef RN_DEBUG
enum { MOST_HELD = 128 };

/*
 * What this thread holds, in the order of acquiring. A lock is released by the thread that acquired it, even one that was
 * handed to rn__park. Never inlined, as the thread may be another one after a switch.
 */
static __thread struct rn__lock *held[MOST_HELD];
static __thread size_t nheld, untold; /* untold: held beyond the array, by a large select */

RN_NOINLINE void rn__lock_check_acquire(struct rn__lock *l) {
    if (l->rank == RN__RANK_NONE) return;
    if (nheld > 0) {
        struct rn__lock *last = held[nheld - 1];
        bool in_order =
            l->rank > last->rank ||
            (l->rank == RN__RANK_CHAN && last->rank == RN__RANK_CHAN && (char *)l > (char *)last);
        rn__assert(in_order, "lock: acquired against the order of ranks");
    }
    if (nheld == MOST_HELD)
        untold++;
    else
        held[nheld++] = l;
}

RN_NOINLINE void rn__lock_check_release(struct rn__lock *l) {
    if (l->rank == RN__RANK_NONE) return;
    size_t i = nheld;
    while (i > 0 && held[i - 1] != l) i--;
    if (i == 0) {
        rn__assert(untold > 0, "lock: released by a thread that does not hold it");
        untold--;
        return;
    }
    for (; i < nheld; i++) held[i - 1] = held[i];
    nheld--;
}
#endif
