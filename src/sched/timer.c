/* SPDX-License-Identifier: MIT */
/*
 * timer.c: the timers' heaps: 4-ary, an array of (when, timer) so that a comparison does not follow a
 * pointer; each timer knows its place, so that disarming takes it out at once: O(log4 n), and for the usual timer,
 * far in the future near the leaves, O(1).
 *
 * Invariants, whenever the lock is free:
 *   H1  slot[(i - 1) / 4].when <= slot[i].when for 0 < i < len.
 *   H2  slot[i].timer->place == i + 1 and slot[i].timer->when == slot[i].when; an unarmed timer has place 0.
 *   H3  first == slot[0].when, or RN_TIME_MAX if len == 0.
 *
 * No timer is slept over (a Dekker between two who look at each other's word):
 *   arming:     first = when;                fence;  look at the keeper's deadline, wake it if later
 *   the keeper: its deadline = what it saw;  fence;  look at every heap's first, stay awake if earlier
 * The left fence is in rn__timer_earlier, the right one in the scheduler's idle path. One of the two
 * sees the other's store. A `first` that only moves later needs no telling: the keeper wakes once for nothing.
 * Two who arm in one heap: each that made `first` smaller tells it after the lock, so the smallest is
 * told by the one that stored it.
 *
 * Nobody calls fn after a disarm: fn is called with the lock held that disarm takes, and only for a timer that was in the
 * heap under the same hold of the lock. fn is thus over, or will never be, once disarm has the lock.
 * Nobody touches a timer after its fn was called, but fn through rn__timer_again: run has taken it out before.
 *
 * t->heap is read without the heap's lock: only the owner writes it, in arm, and it makes one call at a time.
 *
 * Tried and rejected: removing lazily as Go does. It makes stop cheap and everything else
 * pay, keeps the memory of stopped timers, and forbids timers on a stack.
 */
#include "sched/core.h"

#include <stdlib.h>
#include <string.h>

#include "base/atomic.h"
#include "base/die.h"
#include "os/sanitizer.h"

_Static_assert(sizeof(struct rn__timer) + sizeof(struct rn__timer_slot) * 3 / 2 <= 64,
               "an armed timer takes 64 bytes at most");

enum {
    ARY = 4,
    FIRST_CAP = 16,
    BATCH = 64, /* timers run under one hold of the lock */
};

void rn__timers_init(struct rn__timers *h) {
    h->len = h->cap = 0;
    h->slot = NULL;
    rn__lock_rank(&h->lock, RN__RANK_TIMERS);
    rn__store_relaxed(&h->first, RN_TIME_MAX);
}

rn_time rn__timers_first(struct rn__timers *h) {
    return rn__load_acquire(&h->first); /* T1: pairs with publish */
}

/* Restore H3. Returns whether `first` moved to an earlier time. Relaxed loads: we hold the lock of all writers. */
static bool publish(struct rn__timers *h) {
    rn_time first = h->len ? h->slot[0].when : RN_TIME_MAX;
    rn_time before = rn__load_relaxed(&h->first);
    if (first != before) rn__store_release(&h->first, first); /* T1 */
    return first < before;
}

static void put(struct rn__timers *h, uint32_t i, struct rn__timer_slot s) {
    h->slot[i] = s;
    s.timer->place = i + 1;
}

/* Slot i is a hole: find the place of s at i or nearer to the root. */
static void sift_up(struct rn__timers *h, uint32_t i, struct rn__timer_slot s) {
    while (i > 0) {
        uint32_t parent = (i - 1) / ARY;
        if (h->slot[parent].when <= s.when) break;
        put(h, i, h->slot[parent]);
        i = parent;
    }
    put(h, i, s);
}

/* The earliest child of i; there is one. */
static uint32_t first_child(const struct rn__timers *h, uint32_t i) {
    uint32_t best = i * ARY + 1;
    uint32_t end = h->len - best > ARY ? best + ARY : h->len;
    for (uint32_t c = best + 1; c < end; c++)
        if (h->slot[c].when < h->slot[best].when) best = c;
    return best;
}

/* Slot i is a hole: find the place of s at i or nearer to the leaves. */
static void sift_down(struct rn__timers *h, uint32_t i, struct rn__timer_slot s) {
    while ((uint64_t)i * ARY + 1 < h->len) {
        uint32_t child = first_child(h, i);
        if (h->slot[child].when >= s.when) break;
        put(h, i, h->slot[child]);
        i = child;
    }
    put(h, i, s);
}

static void sift(struct rn__timers *h, uint32_t i, struct rn__timer_slot s) {
    if (i > 0 && s.when < h->slot[(i - 1) / ARY].when)
        sift_up(h, i, s);
    else
        sift_down(h, i, s);
}

/* There is room. */
static void push(struct rn__timers *h, struct rn__timer *t, rn_time when) {
    t->when = when;
    sift_up(h, h->len++, (struct rn__timer_slot){when, t});
}

static void take_out(struct rn__timers *h, struct rn__timer *t) {
    uint32_t i = t->place - 1;
    struct rn__timer_slot last = h->slot[--h->len];
    t->place = 0;
    if (last.timer != t) sift(h, i, last);
}

/*
 * Make room for one more. Called with the lock and returns with it, but lets it go to call malloc, which may
 * be slow or be a program's own. Half as much again, so that a slot costs 24 bytes at most.
 */
static void grow(struct rn__timers *h) {
    while (h->len == h->cap) {
        uint32_t cap = h->cap < FIRST_CAP ? FIRST_CAP : h->cap + h->cap / 2;
        if (cap <= h->cap) rn__fatal("timer: too many timers");
        rn__lock_release(&h->lock);
        struct rn__timer_slot *more = malloc(cap * sizeof *more);
        if (!more) rn__fatal("timer: out of memory");
        rn__lock_acquire(&h->lock);
        rn__san_acquire(
            h); /* G1: a user's TSan sees the copying and freeing of arrays, but no lock of ours */
        struct rn__timer_slot *old = more;
        if (h->cap < cap) { /* nobody was faster */
            if (h->len) memcpy(more, h->slot, h->len * sizeof *more);
            old = h->slot;
            h->slot = more;
            h->cap = cap;
        }
        rn__san_release(h); /* G1 */
        if (!old) continue;
        rn__lock_release(&h->lock);
        free(old);
        rn__lock_acquire(&h->lock);
    }
}

void rn__timer_arm(struct rn__timer *t, rn_time when, rn__timer_fn *fn, void *arg) {
    struct rn__timers *h = rn__timers_mine();
    if (t->place) rn__fatal("timer: armed twice");
    /* At once, but not overdue: others come for that. */
    if (when <= 0) when = rn__load_relaxed(&h->looked);
    t->fn = fn;
    t->arg = arg;
    t->heap = h;
    rn__lock_acquire(&h->lock);
    if (h->len == h->cap) grow(h);
    push(h, t, when);
    bool earlier = publish(h);
    rn__lock_release(&h->lock); /* t may fire and be gone from here on */
    if (earlier) rn__timer_earlier(when);
}

bool rn__timer_disarm(struct rn__timer *t) {
    struct rn__timers *h = t->heap;
    if (!h) return false;
    rn__lock_acquire(&h->lock);
    bool armed = t->place != 0;
    if (armed) {
        take_out(h, t);
        publish(h);
    }
    rn__lock_release(&h->lock);
    return armed;
}

bool rn__timer_reset(struct rn__timer *t, rn_time when, void (*between)(void *, bool), void *arg) {
    struct rn__timers *h = t->heap;
    rn__lock_acquire(&h->lock);
    bool armed = t->place != 0, earlier = false;
    if (between) between(arg, armed);
    if (armed) {
        t->when = when;
        sift(h, t->place - 1, (struct rn__timer_slot){when, t});
        earlier = publish(h);
    }
    rn__lock_release(&h->lock);
    if (!armed)
        rn__timer_arm(t, when, t->fn, t->arg); /* in the heap of our P */
    else if (earlier)
        rn__timer_earlier(when);
    return armed;
}

/* The caller is run, by way of fn: the lock is held, and there is the room that this timer has left. */
void rn__timer_again(struct rn__timer *t, rn_time when) { push(t->heap, t, when); }

/* Run up to BATCH that are due. Returns whether there may be more. The lock is held. */
static bool run_batch(struct rn__timers *h, rn_time now) {
    for (int i = 0; i < BATCH; i++) {
        if (!h->len || h->slot[0].when > now) return false;
        struct rn__timer *t = h->slot[0].timer;
        take_out(h, t);
        t->fn(t->arg, now); /* t may be gone from here on */
    }
    return true;
}

void rn__timers_settle(struct rn__timers *h) {
    rn__lock_acquire(&h->lock); /* TS: who has it after us sees `stopping` */
    rn__lock_release(&h->lock);
}

void rn__timers_run(struct rn__timers *h, rn_time now) {
    bool more = rn__timers_first(h) <= now;
    while (more) {
        rn__lock_acquire(&h->lock);
        more = !rn__load_relaxed(&rn__sched.stopping) && run_batch(h, now); /* TS */
        publish(h);
        rn__lock_release(&h->lock);
    }
}
