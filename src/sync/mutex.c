/* SPDX-License-Identifier: MIT */
/*
 * mutex.c: rn_mutex where somebody waits.
 *
 * Steps of the state word (RN__MUTEX_LOCKED, QUEUED, WOKEN, STARVING):
 *   anybody       neither LOCKED nor STARVING -> LOCKED    acquire: barging is allowed
 *   the holder    LOCKED -> not LOCKED                     one atomic subtraction, release
 *   a waiter      sets QUEUED under the queue's lock, only while LOCKED or STARVING; clears WOKEN, if it is the one that was
 *                 woken, when it takes the mutex or queues again
 *   who unlocked, with QUEUED and no WOKEN, under the queue's lock
 *     if the mutex is still free   -> WOKEN|QUEUED if more wait, else 0: the first waiter is woken and competes, or
 *                                  -> LOCKED (QUEUED ...): the mutex is handed to it, if it came 1 ms ago or more
 *     if somebody has taken it     -> STARVING as well, if the first came 1 ms ago or more; that one's unlock goes on
 *
 * WOKEN only says that another need not be woken: it may be clear while somebody is awake. Where nobody is left in the queue
 * it is not set, and the inline paths work while the waiter is on its way.
 *
 * After the subtraction the mutex may be gone. So who unlocked goes to the queue by the address, and looks at
 * the word only if somebody is queued there: that one has it still. (It may be another mutex that has come to lie there, with
 * waiters of its own: what is done then is right for it too.)
 *
 * A waiter that was woken and lost queues in the order of its first coming, so it is the first again. Go turns the
 * whole mutex to hand-off until a waiter younger than 1 ms comes; deciding at each unlock by the age of the first waiter
 * is the same without a mode: STARVING lasts for one hand-off, and is needed only where somebody barges in between.
 *
 * models/mutex.pml is this for Spin.
 */
#include <runnel/go.h>
#include <runnel/sync.h>

#include "arch.h"
#include "base/die.h"
#include "os/sanitizer.h"
#include "sync/sema.h"

enum {
    LOCKED = RN__MUTEX_LOCKED,
    QUEUED = RN__MUTEX_QUEUED,
    WOKEN = RN__MUTEX_WOKEN,
    STARVING = RN__MUTEX_STARVING,
    TAKEN = LOCKED | STARVING,
};
enum { SPINS = 4, SPIN_PAUSES = 30 }; /* a microsecond or two, while waking costs tens */
#define STARVED RN_MS
#define waiters_of(m) rn__sema_key(m, RN__KEY_MUTEX)

/* Take m if it is free. `woken` is WOKEN if the caller is the waiter that bit stands for. */
static bool take(rn_mutex *m, uint32_t woken) {
    uint32_t s = rn__load_relaxed(&m->rn__state);
    while (!(s & TAKEN)) {
        if (rn__cas_acquire(&m->rn__state, s, (s | LOCKED) & ~woken)) return true; /* MX */
        s = rn__load_relaxed(&m->rn__state);
    }
    return false;
}

/*
 * Looks are far apart, each takes the line from the holder. Who looks at once and often wins it after each unlock, and the two throw it
 * to and fro: 11 ns for a lock and unlock in a loop by two, against 6.
 */
static bool spin(rn_mutex *m) {
    for (int i = rn_procs(0) > 1 ? SPINS : 0; i > 0; i--) {
        /* Those in the queue come first. */
        if (rn__load_relaxed(&m->rn__state) & (QUEUED | STARVING)) return false;
        for (int k = 0; k < SPIN_PAUSES; k++) rn__arch_pause();
        if (take(m, 0)) return true;
    }
    return false;
}

/* Queue w, unless m becomes free: then take it and return false. */
static bool enqueue(rn_mutex *m, struct rn__waiter *w, uint32_t woken) {
    struct rn__sema *q = rn__sema_lock(m);
    bool taken;
    for (;;) {
        taken = take(m, woken);
        uint32_t s = rn__load_relaxed(&m->rn__state);
        if (taken || (s & TAKEN && rn__cas_relaxed(&m->rn__state, s, (s | QUEUED) & ~woken))) break;
    }
    if (!taken) rn__sema_push_since(q, w);
    rn__sema_unlock(q);
    return !taken;
}

static void wait_for(rn_mutex *m) {
    struct rn__waiter w;
    rn__waiter_init(&w, waiters_of(m), false);
    w.since = rn__now();
    for (uint32_t woken = 0; enqueue(m, &w, woken); woken = WOKEN) {
        rn__sema_wait(&w, RN__WAIT_MUTEX, m, RN_TIME_MAX);
        if (w.owner) return;
        rn__waiter_again(&w);
        if (take(m, WOKEN)) return;
    }
}

void rn__mutex_lock_slow(rn_mutex *m, uint32_t seen) {
    bool taken = !(seen & TAKEN) && take(m, 0);
    if (!taken && !spin(m)) {
        rn__in();
        wait_for(m);
        rn__out();
    }
    rn__san_acquire_word(m);
}

/* Under the queue's lock, w the first in it. False: there is nothing to do, the next unlock comes here. */
static bool choose(rn_mutex *m, struct rn__waiter *w) {
    w->owner = rn__now() - w->since >= STARVED;
    uint32_t more = w->next ? QUEUED : 0;
    uint32_t to = w->owner ? more | LOCKED : more ? more | WOKEN : 0;
    for (;;) {
        uint32_t s = rn__load_relaxed(&m->rn__state);
        if (s & WOKEN) return false;
        if (!(s & LOCKED)) {
            if (rn__cas_acquire(&m->rn__state, s, to)) return true; /* MX */
        } else if (!w->owner || rn__cas_relaxed(&m->rn__state, s, s | STARVING)) {
            return false;
        }
    }
}

/* m is unlocked, and may be gone. */
static void pass_on(rn_mutex *m) {
    struct rn__wakes wakes = {0};
    struct rn__sema *q = rn__sema_lock(m);
    struct rn__waiter *w = rn__sema_first(q, waiters_of(m));
    if (w && choose(m, w)) (void)rn__sema_claim(q, w, &wakes);
    rn__sema_unlock(q);
    rn__sema_post(&wakes);
}

void rn__mutex_unlock_slow(rn_mutex *m, uint32_t old) {
    if (!(old & LOCKED)) rn__fatal("sync: unlock of unlocked mutex");
    if (old & WOKEN || !(old & QUEUED)) return;
    rn__in();
    pass_on(m);
    rn__out();
}
