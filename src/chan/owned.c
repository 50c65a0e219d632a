/* SPDX-License-Identifier: MIT */
/*
 * owned.c: see owned.h. An owned channel is never biased: a timer's function runs on whatever thread looks at the
 * timers, outside of any section.
 */
#include "chan/owned.h"

#include "chan/chan.h"

void *rn__chan_make_owned(size_t elem_size, struct rn__chan_owner *owner) {
    struct rn__hchan *c = rn_chan_make(elem_size, 1);
    if (!c) return NULL;
    c->bias = RN__SHARED;
    c->owner = owner;
    return c;
}

void rn__chan_offer(void *cv, const void *v) {
    struct rn__hchan *c = cv;
    struct rn__g *wake = NULL;
    rn__lock_acquire(&c->lock);
    rn__chan_send_locked(c, v, &wake);
    rn__lock_release(&c->lock);
    if (wake) rn__ready(wake);
}

bool rn__chan_drop(void *cv) {
    struct rn__hchan *c = cv;
    struct rn__g *wake = NULL; /* nobody waits to send */
    /* Q2. Only the owner fills it, and it is with us. */
    if (rn__load_acquire(&c->qcount) == 0) return false;
    rn__lock_acquire(&c->lock);
    bool had = rn__chan_recv_locked(c, NULL, &wake) == RN__DONE;
    rn__lock_release(&c->lock);
    return had;
}
