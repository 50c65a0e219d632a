/* SPDX-License-Identifier: MIT */
/*
 * sleep.c: rn_now and the sleeps. A sleeper's timer lies on its own stack; a goroutine's is armed when
 * it is off that stack, so that it may fire at once.
 */
#include <runnel/context.h>
#include <runnel/go.h>
#include <runnel/time.h>

#include "os/deadline.h"
#include "sched/sched.h"
#include "sched/timer.h"

rn_time rn_now(void) { return rn__now(); }

struct sleeper {
    struct rn__timer timer;
    rn_time until;
    struct rn__g *g;
};

static void wake(void *g, rn_time now) {
    (void)now;
    rn__ready(g);
}

/* The goroutine may run again, and s be gone, before this returns. */
static void arm(void *arg) {
    struct sleeper *s = arg;
    rn__timer_arm(&s->timer, s->until, wake, s->g);
}

/* A plain thread arms first, so that it never looks deadlocked; it may be made ready before it parks. */
static void sleep_until(rn_time t) {
    struct sleeper s = {.until = t};
    bool thread = rn_goid() == 0;
    rn__in();
    s.g = rn__self();
    if (thread) arm(&s);
    rn__park(RN__WAIT_SLEEP, NULL, thread ? NULL : arm, &s);
    rn__out();
}

void rn_sleep_until(rn_time t) {
    if (t > rn__now()) sleep_until(t);
}

void rn_sleep(rn_duration d) {
    if (d > 0) sleep_until(rn__time_after(d));
}

int rn_sleep_ctx(rn_ctx *ctx, rn_duration d) {
    rn_case cases[] = {rn_on_done(ctx), rn_on_until(rn__time_after(d))};
    return rn_select_n(cases, 2, RN_INORDER) == 0 ? rn_ctx_err(ctx) : 0;
}
