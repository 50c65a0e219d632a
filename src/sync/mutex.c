/* SPDX-License-Identifier: MIT */
/*
 * mutex.c: rn_mutex where somebody waits.
 *
 * Steps of the state word (RN__MUTEX_LOCKED, QUEUED, WOKEN):
 *   anybody       not LOCKED -> LOCKED               one atomic instruction, acquire: barging is allowed
 *   the holder    LOCKED -> 0, nobody in the queue, or WOKEN set: a compare-and-swap, release
 *   a waiter      sets QUEUED under the queue's lock, only while LOCKED; clears WOKEN, if it is the one that was woken, when it
 *                 takes the mutex or queues again
 *   the holder    LOCKED|QUEUED, under the queue's lock, either
 *                   -> WOKEN (and QUEUED if more wait): the first waiter is woken and competes, or
 *                   -> LOCKED (and QUEUED ...): the mutex is handed to it, if it came 1 ms ago or more.
 * While LOCKED|QUEUED without WOKEN, nobody but a holder with the queue's lock changes the word: it may store.
 *
 * A waiter that was woken and lost queues in the order of its first coming, so it is the first again. Go turns the
 * whole mutex to hand-off until a waiter younger than 1 ms comes; deciding at each unlock by the age of the first waiter
 * is the same without a mode.
 */
#include <runnel/sync.h>

#include "base/die.h"
#include "os/sanitizer.h"
#include "sync/sema.h"
#include "sync/spin.h"

enum { LOCKED = RN__MUTEX_LOCKED, QUEUED = RN__MUTEX_QUEUED, WOKEN = RN__MUTEX_WOKEN };
#define STARVED RN_MS

/* Take m if it is free. `woken` is WOKEN if the caller is the waiter that bit stands for. */
static bool take(rn_mutex *m, uint32_t woken) {
    uint32_t s = rn__load_relaxed(&m->rn__state);
    while (!(s & LOCKED)) {
        if (rn__cas_acquire(&m->rn__state, s, (s | LOCKED) & ~woken)) return true; /* MX */
        s = rn__load_relaxed(&m->rn__state);
    }
    return false;
}

static bool spin(rn_mutex *m, uint32_t woken) {
    for (int i = 0, n = rn__spins(); i < n; i++) {
        if (take(m, woken)) return true;
        /* Those in the queue come first; but whoever was woken from it may spin. */
        if (!woken && rn__load_relaxed(&m->rn__state) & QUEUED) return false;
        rn__arch_pause();
    }
    return take(m, woken);
}

/* Queue w, unless m becomes free: then take it and return false. */
static bool enqueue(rn_mutex *m, struct rn__waiter *w, uint32_t woken) {
    struct rn__sema *q = rn__sema_lock(m);
    bool taken;
    for (;;) {
        taken = take(m, woken);
        uint32_t s = rn__load_relaxed(&m->rn__state);
        if (taken || (s & LOCKED && rn__cas_relaxed(&m->rn__state, s, (s | QUEUED) & ~woken)))
            break;
    }
    if (!taken) rn__sema_push_since(q, w);
    rn__sema_unlock(q);
    return !taken;
}

static void wait_for(rn_mutex *m) {
    struct rn__waiter w;
    rn__waiter_init(&w, m, false);
    w.since = rn__now();
    for (uint32_t woken = 0; enqueue(m, &w, woken); woken = WOKEN) {
        rn__sema_wait(&w, RN__WAIT_MUTEX, m, RN_TIME_MAX);
        if (w.owner) return;
        rn__waiter_again(&w);
        if (take(m, WOKEN)) return;
    }
}

void rn__mutex_lock_slow(rn_mutex *m) {
    if (!spin(m, 0)) {
        rn__in();
        wait_for(m);
        rn__out();
    }
    rn__san_acquire_word(m);
}

/* Locked, queued, nobody woken: let the first waiter on. */
static void pass_on(rn_mutex *m) {
    struct rn__wakes wakes = {0};
    rn_time now = rn__now();
    struct rn__sema *q = rn__sema_lock(m);
    struct rn__waiter *w = rn__sema_take(q, m, &wakes);
    if (!w) rn__fatal("sync: rn_mutex was copied or moved while in use");
    w->owner = now - w->since >= STARVED;
    uint32_t more = rn__sema_first(q, m) ? QUEUED : 0;
    rn__store_release(&m->rn__state, more | (w->owner ? LOCKED : WOKEN)); /* MX */
    rn__sema_unlock(q);
    rn__sema_post(&wakes);
}

/* The inline path has seen that it is not locked, or that it is queued for and nobody is awake: that stays so. */
void rn__mutex_unlock_slow(rn_mutex *m) {
    rn__san_release(m);
    if (!(rn__load_relaxed(&m->rn__state) & LOCKED)) rn__fatal("sync: unlock of unlocked mutex");
    rn__in();
    pass_on(m);
    rn__out();
}
