/* SPDX-License-Identifier: MIT */
/*
 * mutex.c: rn_mutex where somebody waits.
 *
 * The state word is 0, LOCKED or LOCKED|QUEUED:
 *   anybody       0 -> LOCKED               barging is allowed
 *   the holder    LOCKED -> 0               in line; in any other case it comes here
 *   a waiter      sets QUEUED under the queue's lock, only while LOCKED
 *   the holder, of LOCKED|QUEUED, under the queue's lock: takes the first waiter out of the queue, and then
 *                 -> 0                      that one is woken, and competes; or
 *                 -> LOCKED (QUEUED)        it came 1 ms ago or more, and the mutex is its own
 *
 * Who was woken sees to those behind it: it sets QUEUED again when it takes the mutex, or queues again. Until
 * then the word does not tell of them, the inline paths work, and no unlock comes here to wake a second one. (Newcomers that queue
 * meanwhile set QUEUED, and one more is woken. QUEUED may be set while nobody is left: the next unlock finds that.)
 * A queue that is not empty, then, has a holder with QUEUED, or one on its way that was told that there are more.
 *
 * The holder chooses before it lets go, so that nobody can come between and a promise is kept at once. And all whom it finds in the
 * queue use the mutex still: it is there until the word is written, and is not touched afterwards.
 *
 * A waiter that was woken and lost queues in the order of its first coming, so it is the first again. Go turns the
 * whole mutex to hand-off until a waiter younger than 1 ms comes; deciding at each unlock by the age of the first waiter
 * is the same without a mode. Who has it handed runs next, in place of who unlocked, if both are goroutines and no other processor
 * takes it at once: nobody else can use it meanwhile.
 *
 * models/mutex.pml is this for Spin.
 */
#include <runnel/go.h>
#include <runnel/sync.h>

#include "base/die.h"
#include "os/sanitizer.h"
#include "sync/sema.h"

enum { LOCKED = RN__MUTEX_LOCKED, QUEUED = RN__MUTEX_QUEUED };
enum { SPINS = 4, SPIN_PAUSES = 30 }; /* a microsecond or two, while waking costs tens */
#define STARVED RN_MS
#define NOT_LOCKED "sync: unlock of unlocked mutex"

/* Take m if it is free. `more` is QUEUED if the caller is to see to the queue. */
static bool take(rn_mutex *m, uint32_t more) {
    return rn__load_relaxed(&m->rn__state) == 0 &&
           rn__cas_acquire(&m->rn__state, 0u, LOCKED | more); /* MX */
}

/*
 * Looks are far apart, each takes the line from the holder. Who looks at once and often wins it after each unlock, and the two throw it
 * to and fro: 11 ns for a lock and unlock in a loop by two, against 6.
 */
static bool spin(rn_mutex *m) {
    for (int i = rn_procs(0) > 1 ? SPINS : 0; i > 0; i--) {
        /* Those in the queue come first. */
        if (rn__load_relaxed(&m->rn__state) & QUEUED) return false;
        rn__stand_back(SPIN_PAUSES);
        if (take(m, 0)) return true;
    }
    return false;
}

/* With the queue's lock. True: QUEUED is set. False: m is free. */
static bool mark(rn_mutex *m) {
    uint32_t s = rn__load_relaxed(&m->rn__state);
    return s & QUEUED || (s && rn__cas_relaxed(&m->rn__state, s, s | QUEUED));
}

/* Queue w, unless m becomes free: then take it and return false. */
static bool enqueue(rn_mutex *m, struct rn__waiter *w, uint32_t more) {
    struct rn__sema *q = rn__sema_lock(m);
    bool taken;
    do {
        taken = take(m, more);
    } while (!taken && !mark(m));
    if (!taken) rn__sema_push_since(q, w);
    rn__sema_unlock(q);
    return !taken;
}

static void wait_for(rn_mutex *m) {
    struct rn__waiter w;
    rn__waiter_init(&w, m, false);
    w.since = rn__now();
    w.more = 0;
    while (enqueue(m, &w, w.more)) {
        rn__sema_wait(&w, RN__WAIT_MUTEX, m, RN_TIME_MAX);
        if (w.owner || take(m, w.more)) return;
        rn__waiter_again(&w);
    }
}

void rn__mutex_lock_slow(rn_mutex *m) {
    rn__meets(RN__LOST);
    if (!spin(m)) {
        rn__in();
        wait_for(m);
        rn__out();
    }
    rn__san_acquire_word(m);
}

/* Under the queue's lock: what m becomes, with w, the first that waits. */
static uint32_t choose(struct rn__waiter *w) {
    w->more = w->next ? QUEUED : 0;
    w->owner = rn__now() - w->since >= STARVED;
    return w->owner ? LOCKED | w->more : 0;
}

/* m is the caller's, and it is to see to the queue. */
static void pass_on(rn_mutex *m) {
    struct rn__wakes wakes = {0};
    struct rn__sema *q = rn__sema_lock(m);
    if (rn__load_relaxed(&m->rn__state) != (LOCKED | QUEUED))
        rn__fatal(NOT_LOCKED); /* another unlocked it, too */
    struct rn__waiter *w = rn__sema_first(q, m);
    uint32_t to = w ? choose(w) : 0;
    struct rn__g *owner = to ? w->g : NULL;
    if (w) (void)rn__sema_claim(q, w, &wakes);
    rn__store_release(&m->rn__state, to); /* MX */
    rn__sema_unlock(q);
    rn__sema_post(&wakes);
    if (owner) rn__let_run(owner);
}

void rn__mutex_unlock_slow(rn_mutex *m, uint32_t seen) {
    if (!(seen & LOCKED)) rn__fatal(NOT_LOCKED);
    rn__san_release(m);
    rn__in();
    pass_on(m);
    rn__out();
}
