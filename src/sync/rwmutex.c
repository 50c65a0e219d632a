/* SPDX-License-Identifier: MIT */
/*
 * rwmutex.c: rn_rwmutex where somebody waits.
 *
 * The state word: RN__RW_WRITER, RN__RW_QUEUED, and RN__RW_READER for each reader inside. There are two queues under one
 * lock: writers, and readers. QUEUED says that either has somebody, and closes all inline paths: everything then
 * happens under the lock, where the word may simply be stored, except that readers may not come or go.
 *
 *   QUEUED, no WRITER: readers are inside, a writer waits for the last of them, and all new readers wait. The last
 *                      reader out hands the lock to the first writer.
 *   QUEUED, WRITER:    the writer, leaving, lets in all readers that wait; if none, hands the lock to the first writer.
 * So readers and writers take turns, and the lock is handed over: nobody who was woken competes. (Go lets writers
 * barge among each other.)
 *
 * Tried and rejected: spinning before queueing. Once the lock is handed over, its holder is as a rule next to run on
 * the very processor that would spin for it: two to ten times the CPU time in the RWMutexWrite rows.
 *
 * RW1 is what a writer did, for all after it. RW2 is what a reader did, for the next writer: a reader's release is a
 * read-modify-write, so the writer that reads the last one acquires them all.
 */
#include <runnel/sync.h>

#include "base/die.h"
#include "os/sanitizer.h"
#include "sync/sema.h"

enum { WRITER = RN__RW_WRITER, QUEUED = RN__RW_QUEUED, READER = RN__RW_READER };

#define writers_of(m) rn__sema_key(m, 0)
#define readers_of(m) rn__sema_key(m, 1)

/* The two ways to come in. */
struct way {
    bool (*try)(rn_rwmutex *m);
    uint32_t barrier; /* who of those inside makes us wait, and so will see QUEUED */
    int key;
    enum rn__reason why;
};

static const struct way reading = {rn_rwmutex_try_rlock, WRITER, 1, RN__WAIT_RLOCK};
static const struct way writing = {rn_rwmutex_try_lock, ~(uint32_t)QUEUED, 0, RN__WAIT_WLOCK};

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

static void lock(rn_rwmutex *m, const struct way *way) {
    struct rn__waiter w;
    rn__in();
    rn__waiter_init(&w, rn__sema_key(m, way->key), false);
    if (enqueue(m, &w, way)) rn__sema_wait(&w, way->why, m, RN_TIME_MAX); /* RW1, RW2 */
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
    rn__store_release(&m->rn__state, WRITER | queued(q, m)); /* RW1, RW2 */
}

/* Under the lock: one reader less; the last one hands over. */
static void leave_reader(struct rn__sema *q, rn_rwmutex *m, struct rn__wakes *wakes) {
    for (;;) {
        uint32_t s = rn__load_relaxed(&m->rn__state);
        if (s < READER) rn__fatal("sync: RUnlock of unlocked RWMutex");
        if (s == (READER | QUEUED)) break;
        if (rn__cas_release(&m->rn__state, s, s - READER)) return; /* RW2 */
    }
    (void)rn__load_acquire(&m->rn__state); /* RW2: what the other readers did, to pass it on */
    hand_to_writer(q, m, wakes);
}

void rn__rwmutex_runlock_slow(rn_rwmutex *m) {
    struct rn__wakes wakes = {0};
    rn__san_release(m);
    rn__in();
    struct rn__sema *q = rn__sema_lock(m);
    leave_reader(q, m, &wakes);
    rn__sema_unlock(q);
    rn__sema_post(&wakes);
    rn__out();
}

/* Under the lock, WRITER and QUEUED set: nobody else changes the word. */
static void leave_writer(struct rn__sema *q, rn_rwmutex *m, struct rn__wakes *wakes) {
    uint32_t inside = 0;
    while (rn__sema_take(q, readers_of(m), wakes)) inside += READER;
    if (inside)
        rn__store_release(&m->rn__state, inside | queued(q, m)); /* RW1 */
    else
        hand_to_writer(q, m, wakes);
}

void rn__rwmutex_unlock_slow(rn_rwmutex *m) {
    struct rn__wakes wakes = {0};
    rn__san_release(m);
    rn__in();
    struct rn__sema *q = rn__sema_lock(m);
    if ((rn__load_relaxed(&m->rn__state) & (WRITER | QUEUED)) != (WRITER | QUEUED))
        rn__fatal("sync: Unlock of unlocked RWMutex");
    leave_writer(q, m, &wakes);
    rn__sema_unlock(q);
    rn__sema_post(&wakes);
    rn__out();
}
