/* SPDX-License-Identifier: MIT */
/*
 * timer.c: rn_timer and rn_ticker: an rn__timer that sends on a channel or starts a goroutine.
 *
 * The channel has a buffer of one, into which the timer's function sends without waiting: a ticker thus
 * drops. That nobody sees a stale value although there is a buffer:
 *   - the function sends with the heap's lock held, so after rn__timer_disarm every send is over;
 *   - whoever stops it disarms it first, then drops what is in the buffer;
 *   - whoever resets it drops what is in the buffer while he has the heap's lock, before it is due anew.
 *
 * A timer with a channel lives as long as the channel: the channel's last rn_unref calls gone(), which ends
 * the timer. rn_timer_free stops it and drops the one reference that came with it; rn_after hands that
 * reference to the caller.
 *
 * lock: makes stop, reset and free of one timer take turns, as rn__timer wants it; protects detached. Rank: above
 * the timers' heap. The timer's function does not take it: what it reads is written while the timer is
 * disarmed or, `period`, with the heap's lock held.
 */
#include <runnel/panic.h>
#include <runnel/time.h>

#include <stdlib.h>

#include "chan/owned.h"
#include "os/deadline.h"
#include "os/lock.h"
#include "os/sanitizer.h"
#include "sched/sched.h"
#include "sched/timer.h"

struct rn_timer {
    struct rn__chan_owner owner;
    struct rn__timer timer;
    struct rn__lock lock;
    bool detached; /* frees itself when it fires */
    union {
        struct {
            void *chan;
            rn_duration period; /* a ticker's */
        };
        struct {
            void (*fn)(void *);
            void *arg;
        };
    };
};

struct rn_ticker {
    struct rn_timer t;
};

/* ---- what runs when a timer is due: with the heap's lock, see sched/timer.h ---- */

static void send_once(void *arg, rn_time now) {
    struct rn_timer *t = arg;
    (void)now;
    rn__chan_offer(t->chan, &t->timer.when);
}

/* The next tick is the first multiple of the period after now: those missed meanwhile are dropped. */
static void send_tick(void *arg, rn_time now) {
    struct rn_timer *t = arg;
    rn_time due = t->timer.when;
    rn_duration missed = (now - due) / t->period * t->period;
    rn__timer_again(&t->timer, rn__time_add(due + missed, t->period));
    rn__chan_offer(t->chan, &due);
}

/* No memory for a goroutine: not lost, tried again in a millisecond. */
static void start_func(void *arg, rn_time now) {
    struct rn_timer *t = arg;
    rn__san_acquire(t); /* F1: what came before the timer was set happens before fn */
    if (rn__spawn_call(t->fn, t->arg) != 0)
        rn__timer_again(&t->timer, rn__time_add(now, RN_MS));
    else if (t->detached)
        free(t);
}

/* ---- making ---- */

static void start(struct rn_timer *t, rn_time when, rn__timer_fn *fn) {
    rn__san_release(t); /* F1 */
    rn__lock_rank(&t->lock, RN__RANK_TIMER);
    rn__in();
    rn__timer_arm(&t->timer, when, fn, t);
    rn__out();
}

static void gone(struct rn__chan_owner *o) {
    struct rn_timer *t = rn__container_of(o, struct rn_timer, owner);
    rn__in();
    rn__timer_disarm(&t->timer);
    rn__out();
    free(t);
}

static struct rn_timer *make_with_chan(void) {
    struct rn_timer *t = calloc(1, sizeof *t);
    if (!t) return NULL;
    t->owner.gone = gone;
    t->chan = rn__chan_make_owned(sizeof(rn_time), &t->owner);
    if (t->chan) return t;
    free(t);
    return NULL;
}

rn_timer *rn_timer_new(rn_duration d) {
    struct rn_timer *t = make_with_chan();
    if (t) start(t, rn__time_after(d), send_once);
    return t;
}

rn_time_chan rn_after(rn_duration d) {
    struct rn_timer *t = make_with_chan();
    if (!t) return NULL;
    rn_time_chan c = (rn_time_chan)t->chan;
    start(t, rn__time_after(d), send_once);
    return c;
}

/* Of a function: 0 is at once, and needs no look at the clock, as nobody is told the time. */
static rn_time func_time(rn_duration d) { return d > 0 ? rn__time_after(d) : 0; }

rn_timer *rn_after_func(rn_duration d, void (*fn)(void *), void *arg) {
    struct rn_timer *t = calloc(1, sizeof *t);
    if (!t) return NULL;
    t->fn = fn;
    t->arg = arg;
    start(t, func_time(d), start_func);
    return t;
}

rn_ticker *rn_ticker_new(rn_duration d) {
    if (d <= 0) rn_panic("non-positive interval for NewTicker");
    struct rn_timer *t = make_with_chan();
    if (!t) return NULL;
    t->period = d;
    start(t, rn__time_after(d), send_tick);
    return (rn_ticker *)t;
}

/* ---- using ---- */

static void need(const void *t) {
    if (!t) rn_panic("time: NULL timer");
}

static bool has_chan(const struct rn_timer *t) { return t->owner.gone != NULL; }

struct reset {
    struct rn_timer *t;
    rn_duration period; /* a ticker's new one */
    bool active;        /* the answer */
};

/* Inside, with t->lock. */
static bool stop(struct rn_timer *t) {
    bool active = rn__timer_disarm(&t->timer);
    if (has_chan(t) && rn__chan_drop(t->chan)) active = true;
    return active;
}

static void enter(struct rn_timer *t) {
    rn__in();
    rn__lock_acquire(&t->lock);
}

static void leave(struct rn_timer *t) {
    rn__lock_release(&t->lock);
    rn__out();
}

rn_time_chan rn_timer_chan(rn_timer *t) {
    need(t);
    return has_chan(t) ? (rn_time_chan)t->chan : NULL;
}

bool rn_timer_stop(rn_timer *t) {
    need(t);
    enter(t);
    bool active = stop(t);
    leave(t);
    return active;
}

/* One that is still armed has an empty buffer. */
static void drop_stale(void *arg, bool armed) {
    struct reset *r = arg;
    r->active = armed || (has_chan(r->t) && rn__chan_drop(r->t->chan));
}

bool rn_timer_reset(rn_timer *t, rn_duration d) {
    need(t);
    struct reset r = {.t = t};
    rn_time when = has_chan(t) ? rn__time_after(d) : func_time(d);
    rn__san_release(t); /* F1 */
    enter(t);
    rn__timer_reset(&t->timer, when, drop_stale, &r);
    leave(t);
    return r.active;
}

void rn_timer_free(rn_timer *t) {
    if (!t) return;
    rn_timer_stop(t);
    if (has_chan(t))
        rn_chan_unref(t->chan);
    else
        free(t);
}

void rn_timer_detach(rn_timer *t) {
    need(t);
    if (has_chan(t)) rn_panic("time: detach of a timer with a channel");
    enter(t);
    bool active = rn__timer_disarm(&t->timer);
    t->detached = true;
    if (active) {
        rn_time when = t->timer.when;
        rn__lock_release(&t->lock); /* first: armed, it may free itself */
        rn__timer_arm(&t->timer, when, start_func, t);
        rn__out();
        return;
    }
    leave(t);
    free(t);
}

rn_time_chan rn_ticker_chan(rn_ticker *t) {
    need(t);
    return (rn_time_chan)t->t.chan;
}

void rn_ticker_stop(rn_ticker *t) {
    need(t);
    rn_timer_stop(&t->t);
}

static void change_period(void *arg, bool armed) {
    struct reset *r = arg;
    (void)armed;
    rn__chan_drop(r->t->chan);
    r->t->period = r->period;
}

void rn_ticker_reset(rn_ticker *t, rn_duration d) {
    need(t);
    if (d <= 0) rn_panic("non-positive interval for Ticker.Reset");
    struct reset r = {.t = &t->t, .period = d};
    rn_time when = rn__time_after(d);
    enter(&t->t);
    rn__timer_reset(&t->t.timer, when, change_period, &r);
    leave(&t->t);
}

void rn_ticker_free(rn_ticker *t) {
    if (t) rn_timer_free(&t->t);
}
