/* SPDX-License-Identifier: MIT */
/*
 * wg.c: rn_wg where somebody waits.
 *
 * The state is twice the counter plus AWAITED. Steps:
 *   anybody   adds to the counter, with one atomic addition
 *   a waiter  sets AWAITED under the queue's lock, only while the state is not 0
 *   whoever brings the counter to 0 with AWAITED set owes the waiters their wake-up: under the queue's lock it stores 0
 *             and takes them all.
 * Until that has happened the state is AWAITED alone: a new waiter then queues up for the same wake-up, so nobody returns from a
 * wait, and frees the group, before its last user is done with it; and an add is a misuse, the one that Go reports.
 * Go's "WaitGroup is reused before previous Wait has returned" cannot happen: who was woken does not look at the
 * group again.
 */
#include <runnel/go.h>
#include <runnel/sync.h>

#include "os/sanitizer.h"
#include "sync/sema.h"

enum { AWAITED = RN__WG_AWAITED, ONE = RN__WG_ONE };

#define MISUSE "sync: WaitGroup misuse: Add called concurrently with Wait"

/* The counter is 0 and AWAITED set. */
static void wake_all(rn_wg *w) {
    struct rn__wakes wakes = {0};
    rn__in();
    struct rn__sema *q = rn__sema_lock(w);
    /* WG: acquires what all others did before their dones, to pass it on to the waiters. */
    bool ok = rn__cas_acq_rel(&w->rn__state, (int64_t)AWAITED, (int64_t)0);
    while (ok && rn__sema_take(q, w, &wakes)) {
    }
    rn__sema_unlock(q);
    rn__sema_post(&wakes);
    rn__out();
    if (!ok) rn__panic(MISUSE);
}

void rn__wg_add_slow(rn_wg *w, int64_t old, int64_t n) {
    int64_t now = old + n * ONE;
    if (now < 0) rn__panic("sync: negative WaitGroup counter");
    if (old == AWAITED && n > 0) rn__panic(MISUSE);
    if (now == AWAITED && n < 0) wake_all(w);
}

/* Queue r, unless there is nothing to wait for: then return false. */
static bool enqueue(rn_wg *w, struct rn__waiter *r) {
    struct rn__sema *q = rn__sema_lock(w);
    int64_t s;
    do {
        s = rn__load_acquire(&w->rn__state); /* WG */
    } while (s && !(s & AWAITED) && !rn__cas_relaxed(&w->rn__state, s, s | AWAITED));
    if (s) rn__sema_push(q, r);
    rn__sema_unlock(q);
    return s != 0;
}

void rn__wg_wait_slow(rn_wg *w) {
    struct rn__waiter r;
    rn__in();
    rn__waiter_init(&r, w, false);
    if (enqueue(w, &r)) rn__sema_wait(&r, RN__WAIT_GROUP, w, RN_TIME_MAX); /* WG */
    rn__out();
    rn__san_acquire_word(w);
}

static void done(void *w) {
    rn__san_release(w);
    rn_wg_done(w);
}

static void run(rn_wg *w, void (*fn)(void *), void *arg) {
    rn_defer(done, w);
    fn(arg);
}

int rn_wg_go(rn_wg *w, void (*fn)(void *), void *arg) {
    rn_wg_add(w, 1);
    int r = rn_go(run, w, fn, arg);
    if (r) rn_wg_done(w);
    return r;
}
