/* SPDX-License-Identifier: MIT */
/*
 * group.c: rn_group: a wait group, a semaphore of as many units as the limit, the first error, and perhaps a context.
 *
 * rn__error goes from 0 to the first error by compare-and-swap and stays. What a goroutine did happens before the wait
 * through the wait group. The wait group's done is the last touch of the group.
 */
#include <errno.h>
#include <inttypes.h>
#include <runnel/context.h>
#include <runnel/go.h>
#include <runnel/sync.h>

#include "base/atomic.h"
#include "os/sanitizer.h"

void rn_group_limit(rn_group *g, int64_t n) {
    int64_t active = rn__load_relaxed(&g->rn__wg.rn__state) >>
                     1; /* a glance: misuse is reported where it is seen */
    if (active)
        rn_panic("errgroup: modify limit while %" PRId64
                 " goroutines in the group are still active",
                 active);
    g->rn__limited = n >= 0;
    rn_sem_init(&g->rn__sem, n < 0 ? 0 : n);
}

struct rn_ctx *rn_group_with_ctx(rn_group *g, struct rn_ctx *parent) {
    struct rn_ctx *ctx = rn_ctx_with_cancel_cause(parent);
    if (!ctx) return NULL;
    g->rn__ctx = ctx;
    return rn_ctx_ref(ctx);
}

static void fail(rn_group *g, int error) {
    /* Relaxed: the wait group orders it before the wait's look. */
    if (rn__cas_relaxed(&g->rn__error, 0, error) && g->rn__ctx)
        rn_ctx_cancel_cause(g->rn__ctx, error);
}

static void done(void *arg) {
    rn_group *g = arg;
    if (g->rn__limited) {
        rn__san_release(&g->rn__sem);
        rn_sem_release(&g->rn__sem, 1);
    }
    rn__san_release(&g->rn__wg);
    rn_wg_done(&g->rn__wg);
}

static void run(rn_group *g, int (*fn)(void *), void *arg) {
    rn_defer(done, g);
    int error = fn(arg);
    if (error) fail(g, error);
}

/* A unit of the limit has been taken. */
static int start(rn_group *g, int (*fn)(void *), void *arg) {
    rn_wg_add(&g->rn__wg, 1);
    int r = rn_go(run, g, fn, arg);
    if (r) done(g);
    return r;
}

int rn_group_go(rn_group *g, int (*fn)(void *), void *arg) {
    if (g->rn__limited) {
        rn_sem_acquire(&g->rn__sem, 1);
        rn__san_acquire_word(&g->rn__sem);
    }
    return start(g, fn, arg);
}

int rn_group_try_go(rn_group *g, int (*fn)(void *), void *arg) {
    if (g->rn__limited) {
        if (!rn_sem_try(&g->rn__sem, 1)) return -EAGAIN;
        rn__san_acquire_word(&g->rn__sem);
    }
    return start(g, fn, arg);
}

/* All goroutines are done: the context is the waiter's to end. */
static void end_ctx(rn_group *g) {
    struct rn_ctx *ctx = g->rn__ctx;
    if (!ctx) return;
    g->rn__ctx = NULL;
    rn_ctx_cancel(ctx);
    rn_ctx_unref(ctx);
}

int rn_group_wait(rn_group *g) {
    rn_wg_wait(&g->rn__wg);
    rn__san_acquire_word(&g->rn__wg);
    end_ctx(g);
    return rn__load_relaxed(&g->rn__error); /* ordered by the wait group */
}
