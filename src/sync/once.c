/* SPDX-License-Identifier: MIT */
/*
 * once.c: rn_once and rn_once_value where the thing is not done yet.
 *
 * Steps of the state:
 *   NEW -> RUNNING       the first caller
 *   RUNNING -> AWAITED   a later caller, under the queue's lock, before it waits
 *   RUNNING -> DONE      the first caller, nobody waits; AWAITED -> DONE under the queue's lock
 *
 * The function runs in a protected call with a deferred one that makes the step to DONE: so it is made whether the
 * function returns, panics or calls rn_goexit.
 */
#include <runnel/sync.h>

#include "os/sanitizer.h"
#include "sync/sema.h"

enum {
    NEW = RN__ONCE_NEW,
    RUNNING = RN__ONCE_RUNNING,
    AWAITED = RN__ONCE_AWAITED,
    DONE = RN__ONCE_DONE,
};

struct call {
    rn_once *o;
    void (*fn)(void *);
    void *arg;
};

static void wake_all(rn_once *o) {
    struct rn__wakes wakes = {0};
    rn__in();
    struct rn__sema *q = rn__sema_lock(o);
    while (rn__sema_take(q, o, &wakes)) {
    }
    rn__store_release(&o->rn__state, (uint32_t)DONE); /* ON */
    rn__sema_unlock(q);
    rn__sema_post(&wakes);
    rn__out();
}

static void finish(void *arg) {
    rn_once *o = arg;
    rn__san_release(o);
    /* ON: pairs with ON in rn_once_do, and in wait_done. */
    if (!rn__cas_release(&o->rn__state, (uint32_t)RUNNING, (uint32_t)DONE)) wake_all(o);
}

static void protected(void *arg) {
    struct call *c = arg;
    rn_defer(finish, c->o);
    c->fn(c->arg);
}

/* Queue w, unless it is done: then return false. */
static bool enqueue(rn_once *o, struct rn__waiter *w) {
    struct rn__sema *q = rn__sema_lock(o);
    uint32_t s;
    do {
        s = rn__load_acquire(&o->rn__state); /* ON */
    } while (s == RUNNING && !rn__cas_relaxed(&o->rn__state, s, (uint32_t)AWAITED));
    if (s != DONE) rn__sema_push(q, w);
    rn__sema_unlock(q);
    return s != DONE;
}

static void wait_done(rn_once *o) {
    struct rn__waiter w;
    rn__in();
    rn__waiter_init(&w, o, false);
    if (enqueue(o, &w)) rn__sema_wait(&w, RN__WAIT_SEMA, o, RN_TIME_MAX);
    rn__out();
    rn__san_acquire(o);
}

void rn__once_slow(rn_once *o, void (*fn)(void *), void *arg) {
    struct call c = {o, fn, arg};
    rn_panic_info p;
    if (!rn__cas_acquire(&o->rn__state, (uint32_t)NEW, (uint32_t)RUNNING))
        wait_done(o);
    else if (!rn_try(protected, &c, &p))
        rn_panic("%s", p.message);
}

struct value_call {
    rn_once_value *o;
    void *(*fn)(void *);
    void *arg;
};

static void call_value(void *arg) {
    struct value_call *c = arg;
    c->o->rn__value = c->fn(c->arg);
}

static void make_value(void *arg) {
    struct value_call *c = arg;
    bool ok = rn_try(call_value, c, &c->o->rn__panic);
    rn__san_release(&c->o->rn__outcome);
    rn__store_release(&c->o->rn__outcome, ok ? RN__ONCE_RETURNED : RN__ONCE_PANICKED); /* OV */
}

void *rn__once_value_slow(rn_once_value *o, void *(*fn)(void *), void *arg) {
    struct value_call c = {o, fn, arg};
    rn_once_do(&o->rn__once, make_value, &c);
    rn__san_acquire(
        &o->rn__once); /* when rn_once_do found it done, unseen by the user's sanitizer */
    if (o->rn__outcome == RN__ONCE_PANICKED) rn_panic("%s", o->rn__panic.message);
    if (o->rn__outcome == RN__ONCE_EXITED)
        rn_panic("rn_once_value: the function has called rn_goexit");
    return o->rn__value;
}
