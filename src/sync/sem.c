/* SPDX-License-Identifier: MIT */
/*
 * sem.c: rn_sem where somebody waits.
 *
 * The state is twice the amount held plus QUEUED. While QUEUED is set nothing is taken but under the queue's lock; giving back is
 * one atomic subtraction at all times. Who sees QUEUED by it grants to the first waiters, in order, as much
 * as fits, and stops at the first that does not: a large request is not overtaken. A waiter that leaves without its
 * units grants too: it may have been the one that held up those behind it.
 *
 * After the subtraction the semaphore may be gone. So who gave back goes to the queue by the address, and looks at the word
 * only if somebody is queued there. (It may be another semaphore that has come to lie there, with waiters of its own: what is done then is
 * right for it too.)
 *
 * A request for more than the size is not queued, as in Go: it would hold up all others for ever.
 *
 * models/sem.pml is this for Spin.
 */
#include <errno.h>
#include <runnel/context.h>
#include <runnel/sync.h>

#include "os/sanitizer.h"
#include "sync/sema.h"

enum { QUEUED = RN__SEM_QUEUED, ONE = RN__SEM_ONE };
enum { PAUSES = 128 }; /* a microsecond or more */

#define waiters_of(s) rn__sema_key(s, RN__KEY_SEM)

/*
 * Who has lost the word to another stands back before the next look: that one has it to itself for some turns, where the two would
 * take the line from each other at each.
 */
bool rn__sem_try_again(rn_sem *s, int64_t n) {
    rn__meets(RN__LOST);
    for (;;) {
        rn__stand_back(PAUSES);
        int64_t v = rn__load_relaxed(&s->rn__state);
        if (!rn__sem_fits(s, v, n)) return false;
        if (rn__cas_acquire(&s->rn__state, v, v + n * ONE)) break; /* SE */
    }
    rn__san_acquire_word(s);
    return true;
}

/* Under the lock, QUEUED set: let on whom there is room for. Others only give back meanwhile. */
static void grant(struct rn__sema *q, rn_sem *s, struct rn__wakes *wakes) {
    struct rn__waiter *w;
    while ((w = rn__sema_first(q, waiters_of(s)))) {
        int64_t n = w->amount;
        /* SE: what all that gave back did, to pass it on */
        if (n > s->rn__size - (rn__load_acquire(&s->rn__state) >> 1)) return;
        if (rn__sema_claim(q, w, wakes)) rn__add_acq_rel(&s->rn__state, n * ONE);
    }
    rn__and_acq_rel(&s->rn__state, ~(int64_t)QUEUED); /* SE */
}

/* Queue w, unless there is room: then return false. */
static bool enqueue(rn_sem *s, struct rn__waiter *w) {
    struct rn__sema *q = rn__sema_lock(s);
    bool taken = false, over = false;
    while (!over) {
        int64_t v = rn__load_relaxed(&s->rn__state);
        taken = rn__sem_fits(s, v, w->amount);
        /* Else somebody holds what we lack, and will see QUEUED. */
        over = v & QUEUED ||
               rn__cas_acquire(&s->rn__state, v, taken ? v + w->amount * ONE : v | QUEUED); /* SE */
    }
    if (!taken) rn__sema_push(q, w);
    rn__sema_unlock(q);
    return !taken;
}

/* The wait was aborted. */
static void leave(rn_sem *s, struct rn__waiter *w) {
    struct rn__wakes wakes = {0};
    rn__in();
    struct rn__sema *q = rn__sema_lock(s);
    if (w->queued) {
        rn__sema_remove(q, w);
        grant(q, s, &wakes);
    }
    rn__sema_unlock(q);
    rn__sema_post(&wakes);
    rn__out();
}

/* A context's part in a wait. */
struct watch {
    struct rn__waiter *w;
    rn_wg running; /* the function below, once started: it has the waiter's record in its hands */
};

static void context_done(void *arg) {
    struct watch *watch = arg;
    rn__in();
    rn__sema_abort(watch->w);
    rn__out();
    rn_wg_done(&watch->running);
}

static void unwatch(rn_ctx_func *f, struct watch *watch) {
    if (f && !rn_ctx_func_stop(f)) rn_wg_wait(&watch->running);
}

static int acquire_slowly(rn_sem *s, int64_t n, rn_time t, struct rn_ctx *ctx) {
    struct rn__waiter w;
    struct watch watch = {&w, {RN__WG_ONE}};
    rn_ctx_func *f = NULL;
    bool never = n > s->rn__size;
    rn__waiter_init(&w, waiters_of(s), ctx || t != RN_TIME_MAX);
    w.amount = n;
    if (ctx && !(f = rn_ctx_after_func(ctx, context_done, &watch))) return -ENOMEM;
    rn__in();
    bool waits = never || ((!rn__let_next() || !rn_sem_try(s, n)) && enqueue(s, &w));
    int r = waits ? rn__sema_wait(&w, RN__WAIT_SEMA, s, t) : 0; /* SE */
    rn__out();
    unwatch(f, &watch);
    if (r && !never) leave(s, &w);
    return r;
}

static int acquire(rn_sem *s, int64_t n, rn_time t, struct rn_ctx *ctx) {
    if (n < 0) rn__panic("semaphore: negative weight");
    int r = rn_sem_try(s, n) ? 0 : acquire_slowly(s, n, t, ctx);
    if (r == 0) rn__san_acquire_word(s);
    return r;
}

int rn_sem_acquire_until(rn_sem *s, int64_t n, rn_time t) { return acquire(s, n, t, NULL); }

int rn_sem_acquire_ctx(struct rn_ctx *ctx, rn_sem *s, int64_t n) {
    int r = rn_ctx_err(ctx);
    if (r) return r;
    r = acquire(s, n, RN_TIME_MAX, ctx);
    if (r == -ENOMEM) return r;
    int err = rn_ctx_err(ctx);
    if (r == 0 && err) { /* both at once: as Go, the context counts */
        rn__san_release(s);
        rn_sem_release(s, n);
    }
    return err;
}

void rn__sem_acquire_slow(rn_sem *s, int64_t n) { rn_sem_acquire_until(s, n, RN_TIME_MAX); }

void rn__sem_release_slow(rn_sem *s, int64_t n, int64_t old) {
    struct rn__wakes wakes = {0};
    if (n < 0) rn__panic("semaphore: negative weight");
    if (n > old >> 1) {
        rn__add_relaxed(&s->rn__state, (int64_t)((uint64_t)n * ONE)); /* nothing follows from it */
        rn__panic("semaphore: released more than held");
    }
    rn__in();
    struct rn__sema *q = rn__sema_lock(s);
    if (rn__sema_first(q, waiters_of(s))) grant(q, s, &wakes);
    rn__sema_unlock(q);
    rn__sema_post(&wakes);
    rn__out();
}
