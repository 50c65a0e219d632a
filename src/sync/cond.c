/* SPDX-License-Identifier: MIT */
/*
 * cond.c: rn_cond. The queue is all there is: a waiter enqueues itself before it unlocks the user's mutex, so a signal
 * given after that finds it, and signals take from the front, so no later waiter can steal one.
 *
 * rn__waiters is 1 while the queue is not empty; it changes under the queue's lock, and signals that see 0 do nothing.
 * A waiter that was signalled does not touch the condition variable again; one that timed out does, under the lock
 * and only if it is still in the queue.
 */
#include <runnel/sync.h>

#include "os/sanitizer.h"
#include "sync/sema.h"

/* Under the lock: restore what rn__waiters says. */
static void recount(struct rn__sema *q, rn_cond *c) {
    rn__store_relaxed(&c->rn__waiters,
                      rn__sema_first(q, c) ? 1u : 0u); /* relaxed: see rn_cond_signal */
}

/* Relaxed: equal for everybody, but in a copy. */
static void check_copy(const rn_cond *c) {
    const struct rn_cond *self = rn__load_relaxed(&c->rn__self);
    if (self && self != c) rn__panic("sync.Cond is copied");
}

static void enqueue(rn_cond *c, struct rn__waiter *w) {
    struct rn__sema *q = rn__sema_lock(c);
    rn__store_relaxed(&c->rn__self, (const struct rn_cond *)c);
    rn__sema_push(q, w);
    rn__store_relaxed(&c->rn__waiters, 1u);
    rn__sema_unlock(q);
}

/* The wait was aborted: leave the queue, if no waker has dropped us. */
static void leave(rn_cond *c, struct rn__waiter *w) {
    struct rn__sema *q = rn__sema_lock(c);
    if (w->queued) {
        rn__sema_remove(q, w);
        recount(q, c);
    }
    rn__sema_unlock(q);
}

int rn_cond_wait_until(rn_cond *c, rn_mutex *m, rn_time t) {
    struct rn__waiter w;
    check_copy(c);
    rn__in();
    rn__waiter_init(&w, c, t != RN_TIME_MAX);
    enqueue(c, &w);
    rn__out();
    rn__san_release(
        m); /* the mutex's own edges: the inline paths here are not in the user's program */
    rn_mutex_unlock(m);
    rn__in();
    int r = rn__sema_wait(&w, RN__WAIT_COND, c, t);
    if (r) leave(c, &w);
    rn__out();
    rn_mutex_lock(m);
    rn__san_acquire_word(m);
    return r;
}

void rn_cond_wait(rn_cond *c, rn_mutex *m) { rn_cond_wait_until(c, m, RN_TIME_MAX); }

void rn__cond_wake(rn_cond *c, bool all) {
    struct rn__wakes wakes = {0};
    check_copy(c);
    rn__in();
    struct rn__sema *q = rn__sema_lock(c);
    while (rn__sema_take(q, c, &wakes) && all) {
    }
    recount(q, c);
    rn__sema_unlock(q);
    rn__sema_post(&wakes);
    rn__out();
}
