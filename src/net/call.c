/* SPDX-License-Identifier: MIT */
/*
 * call.c: trying and waiting, and the three ends of a wait: the call's time, the connection's deadline, the context.
 *
 * A context's end reaches a waiter as a kick of its connection: it wakes, looks at the context, and returns. The kick
 * comes from a goroutine that the context starts (rn_ctx_after_func) and may come long after the call is over; it knows the connection by
 * its handle, so it can at worst wake somebody for nothing. The watch belongs to both, who leaves last frees it.
 */
#include <errno.h>
#include <runnel/context.h>
#include <stdlib.h>

#include "base/atomic.h"
#include "net/net.h"
#include "os/clock.h"

struct rn__watch {
    uint32_t users; /* atomic: the call and the context's function */
    rn_conn conn;
    struct rn_ctx_func *func;
};

static void watch_unref(struct rn__watch *w) {
    if (rn__sub_acq_rel(&w->users, 1u) == 1) free(w);
}

static void on_done(void *arg) {
    struct rn__watch *w = arg;
    struct rn__pollfd *pd = rn__poll_get(w->conn);
    if (pd) {
        rn__poll_kick(pd, RN__POLL_READ | RN__POLL_WRITE | RN__POLL_TURN);
        rn__poll_put(pd);
    }
    watch_unref(w);
}

static int watch(struct rn__call *k, struct rn__pollfd *pd) {
    struct rn__watch *w = malloc(sizeof *w);
    if (!w) return -ENOMEM;
    w->users = 2;
    w->conn = rn__poll_ref(pd);
    w->func = rn_ctx_after_func(k->ctx, on_done, w);
    if (!w->func) {
        free(w);
        return -ENOMEM;
    }
    k->watch = w;
    return 0;
}

void rn__call_end(struct rn__call *k) {
    struct rn__watch *w = k->watch;
    if (!w) return;
    k->watch = NULL;
    if (rn_ctx_func_stop(w->func)) watch_unref(w);
    watch_unref(w);
}

int rn__call_error(const struct rn__call *k) { return k->ctx ? rn_ctx_err(k->ctx) : 0; }

/* Relaxed: whoever moves a deadline kicks afterwards, and a kick is seen by the counter read before this. */
static rn_time deadline(struct rn__pollfd *pd, uint32_t dir) {
    return rn__load_relaxed(&pd->deadline[dir >> 1]);
}

static bool expired(struct rn__pollfd *pd, uint32_t dir) {
    rn_time t = deadline(pd, dir);
    return t != RN_TIME_MAX && t <= rn__now();
}

static rn_time limit(struct rn__pollfd *pd, uint32_t dir, const struct rn__call *k) {
    rn_time t = deadline(pd, dir);
    return t < k->until ? t : k->until;
}

/* The context is looked at after the watch exists: it was done before and we see it, or the watch kicks. */
static int prepare(struct rn__pollfd *pd, struct rn__call *k) {
    if (!k->ctx) return 0;
    int r = k->watch ? 0 : watch(k, pd);
    return r ? r : rn__call_error(k);
}

/* The system call would say EAGAIN. Not for who does not want to wait: what has come may not have been polled yet. */
static bool in_vain(struct rn__pollfd *pd, uint32_t dir, uint32_t seq, const struct rn__call *k) {
    if (dir != RN__POLL_READ || !rn__poll_empty(pd, seq)) return false;
    rn_time t = limit(pd, dir, k);
    return t == RN_TIME_MAX || t > rn__now();
}

int64_t rn__io_on(struct rn__pollfd *pd, uint32_t dir, rn__try *try, void *op, struct rn__call *k) {
    for (;;) {
        uint32_t seq = rn__poll_seq(pd, dir);
        if (expired(pd, dir)) return -ETIMEDOUT;
        int64_t n = in_vain(pd, dir, seq, k) ? -EAGAIN : try(pd, op);
        if (n != -EAGAIN) return n;
        int r = prepare(pd, k);
        if (r == 0) r = rn__poll_wait(pd, dir, seq, limit(pd, dir, k));
        if (r) return r;
    }
}

int64_t rn__io(rn_conn c, uint32_t dir, rn__try *try, void *op, struct rn__call *k) {
    struct rn__pollfd *pd = rn__poll_get(c);
    if (!pd) return -EBADF;
    int64_t r = rn__io_on(pd, dir, try, op, k);
    rn__poll_put(pd);
    rn__call_end(k);
    return r;
}

/* A turn that is free costs no look at the time. */
int rn__turn(struct rn__pollfd *pd, struct rn__call *k) {
    int r = rn__poll_try_turn(pd);
    while (r == -EAGAIN || r == -EINTR) {
        uint32_t seq = rn__poll_seq(pd, RN__POLL_WRITE);
        r = prepare(pd, k);
        if (r == 0) r = rn__poll_take_turn(pd, seq, limit(pd, RN__POLL_WRITE, k));
    }
    return r;
}
