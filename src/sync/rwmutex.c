/* SPDX-License-Identifier: MIT */
/*
 * rwmutex.c: rn_rwmutex where somebody waits.
 *
 * The state word: RN__RW_WRITER, RN__RW_QUEUED, and RN__RW_READER for each reader inside. There are two queues under one
 * lock: writers, and readers. QUEUED says that either has somebody, and nobody comes in but by the lock then. Those inside leave by one
 * atomic subtraction at all times. Who is the last, and sees QUEUED by it, hands over, under the lock, where the
 * word may simply be stored: nobody is inside, and nobody else comes in. Who waits is still there, so the rwmutex is.
 *
 *   QUEUED, no WRITER: readers are inside, a writer waits for the last of them, and all new readers wait. The last
 *                      reader out hands the lock to the first writer.
 *   QUEUED, WRITER:    the writer, leaving, lets in all readers that wait; if none, hands the lock to the first writer.
 * So readers and writers take turns, and the lock is handed over: nobody who was woken competes. (Go lets writers
 * barge among each other.)
 *
 * Who finds it taken first lets him run who was made ready on its processor last: he may be the one that it was handed to, and if
 * we queue for it, he will find it handed to us, and so on, a switch each time. But it is not spun for: tried twice, two to
 * forty times the CPU time in the RWMutexWrite rows.
 *
 * RW1 is what a writer did, for all after it. RW2 is what a reader did, for the next writer: a reader's release is a
 * read-modify-write, so the writer that reads the last one acquires them all.
 *
 * models/rwmutex.pml is this for Spin.
 */
#include <runnel/sync.h>

#include "base/die.h"
#include "os/sanitizer.h"
#include "sync/sema.h"

enum { WRITER = RN__RW_WRITER, QUEUED = RN__RW_QUEUED, READER = RN__RW_READER };

#define writers_of(m) rn__sema_key(m, RN__KEY)
#define readers_of(m) rn__sema_key(m, RN__KEY_READERS)

/* The two ways to come in. */
struct way {
    bool (*try)(rn_rwmutex *m);
    uint32_t barrier; /* who of those inside makes us wait, and so will see QUEUED */
    int key;
    enum rn__reason why;
};

static const struct way reading = {rn_rwmutex_try_rlock, WRITER, RN__KEY_READERS, RN__WAIT_RLOCK};
static const struct way writing = {rn_rwmutex_try_lock, ~(uint32_t)QUEUED, RN__KEY, RN__WAIT_WLOCK};

/* Queue w and set QUEUED, unless it can come in: then return false. */
static bool enqueue(rn_rwmutex *m, struct rn__waiter *w, const struct way *way) {
    struct rn__sema *q = rn__sema_lock(m);
    bool in;
    for (;;) {
        in = way->try(m);
        uint32_t s = rn__load_relaxed(&m->rn__state);
        if (in || s & QUEUED) break;
        if (s & way->barrier && rn__cas_relaxed(&m->rn__state, s, s | QUEUED)) break;
    }
    if (!in) rn__sema_push(q, w);
    rn__sema_unlock(q);
    return !in;
}

static void wait_for(rn_rwmutex *m, const struct way *way) {
    struct rn__waiter w;
    rn__waiter_init(&w, rn__sema_key(m, way->key), false);
    if (enqueue(m, &w, way)) rn__sema_wait(&w, way->why, m, RN_TIME_MAX); /* RW1, RW2 */
}

static void lock(rn_rwmutex *m, const struct way *way) {
    rn__meets(RN__LOST);
    rn__in();
    if (!rn__let_next() || !way->try(m)) wait_for(m, way);
    rn__out();
    rn__san_acquire_word(m);
}

void rn__rwmutex_rlock_slow(rn_rwmutex *m) { lock(m, &reading); }

void rn__rwmutex_lock_slow(rn_rwmutex *m) { lock(m, &writing); }

static uint32_t queued(struct rn__sema *q, rn_rwmutex *m) {
    return rn__sema_first(q, writers_of(m)) || rn__sema_first(q, readers_of(m)) ? QUEUED : 0;
}

/* Under the lock, nobody inside any more, QUEUED set: hand the lock to the first writer. */
static void hand_to_writer(struct rn__sema *q, rn_rwmutex *m, struct rn__wakes *wakes) {
    if (!rn__sema_take(q, writers_of(m), wakes))
        rn__fatal("sync: rn_rwmutex was copied or moved while in use");
    (void)rn__load_acquire(&m->rn__state); /* RW2: what all the readers did, to pass it on */
    rn__store_release(&m->rn__state, WRITER | queued(q, m)); /* RW1, RW2 */
}

/* The same after a writer: all readers that wait go first. */
static void let_in(struct rn__sema *q, rn_rwmutex *m, struct rn__wakes *wakes) {
    uint32_t inside = 0;
    while (rn__sema_take(q, readers_of(m), wakes)) inside += READER;
    if (inside)
        rn__store_release(&m->rn__state, inside | queued(q, m)); /* RW1 */
    else
        hand_to_writer(q, m, wakes);
}

/* QUEUED alone: somebody waits, so that m is there, and nobody but us changes the word. */
static void pass_on(rn_rwmutex *m, void how(struct rn__sema *, rn_rwmutex *, struct rn__wakes *)) {
    struct rn__wakes wakes = {0};
    rn__in();
    struct rn__sema *q = rn__sema_lock(m);
    how(q, m, &wakes);
    rn__sema_unlock(q);
    rn__sema_post(&wakes);
    rn__out();
}

void rn__rwmutex_runlock_slow(rn_rwmutex *m, uint32_t old) {
    if (old < READER) rn__fatal("sync: RUnlock of unlocked RWMutex");
    if (old == (READER | QUEUED)) pass_on(m, hand_to_writer);
}

void rn__rwmutex_unlock_slow(rn_rwmutex *m, uint32_t old) {
    if (!(old & WRITER)) rn__fatal("sync: Unlock of unlocked RWMutex");
    pass_on(m, let_in);
}
