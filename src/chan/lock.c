/* SPDX-License-Identifier: MIT */
/*
 * lock.c: the slow half of a channel's lock: taking a fresh channel's bias, the shared lock, revoking.
 *
 * A revoker holds c->lock, stores SHARED, makes a heavy fence (B2) and waits until the biased P's M is in no section. An operation of that
 * M either saw SHARED, or its section is seen by the revoker. While it waits the revoker is itself SCHED: two that
 * revoke from each other do not wait for ever.
 *
 * models/bias.pml is this for Spin.
 *
 * A revocation costs a microsecond or two. So that programs which make many channels and use each from two Ps do
 * not pay it for each, a P whose channels get revoked biases no more of them for a while (bias_debt).
 * A shared channel goes back to a P that was the only one to use it 64 times in a row.
 *
 * A shared channel that comes from another P brings its cache lines, and often the wait for its lock, along. A P that spends
 * most of its time on that would do better to leave its goroutines to the others (give_way in sched/idle.c): 64 such
 * bounces in a row tell.
 */
#include "chan/chan.h"
#include "os/clock.h"

enum { DEBT = 64, STREAK = 64, BOUNCES = 64, BOUNCE_NS = 700, REVOCATION = 8 };

/* A channel has come to m's P, at the cost of n bounces. */
static void count_bounces(struct rn__m *m, uint32_t n) {
    struct rn__p *p = m->p;
    if (!p || (p->bounces += n) < BOUNCES) return;
    rn_time now = rn__now();
    if (now - p->bounced < BOUNCES * BOUNCE_NS) rn__fights(p);
    p->bounced = now;
    p->bounces = 0;
}

static RN_COLD void revoke_bias(struct rn__hchan *c, struct rn__m *m, struct rn__p *from) {
    rn__store_release(&m->inside, (uint32_t)RN__SCHED);
    rn__store_seq_cst(&c->bias, RN__SHARED); /* B3: who sees it sees our lock held, or let go */
    if (from == m->p) return;                /* our own: we are in its section */
    rn__barrier_heavy();                     /* B2 */
    rn__wait_section(from);
    rn__store_relaxed(&from->bias_debt, (uint32_t)DEBT); /* a hint */
    count_bounces(m, REVOCATION);
}

/* May m's P have a channel to itself? */
static bool wants_bias(struct rn__m *m) {
    struct rn__p *p = m->p;
    if (!p) return false;
    uint32_t debt = rn__load_relaxed(&p->bias_debt);
    if (debt == 0) return true;
    rn__store_relaxed(&p->bias_debt, debt - 1); /* a hint: a lost update does no harm */
    return false;
}

/*
 * A shared channel that one P alone has used for a while goes back to that P. We hold c->lock, and go on under it;
 * who comes next and is not our P revokes.
 */
static void consider_bias(struct rn__hchan *c, struct rn__m *m) {
    if (!c->owner) rn__meets(1);
    if (c->last != m->p || !m->p) {
        if (c->last) count_bounces(m, 1);
        c->last = m->p;
        c->streak = 0;
    } else if (++c->streak == STREAK) {
        c->streak = 0;
        if (!c->owner && wants_bias(m)) rn__store_release(&c->bias, m->p);
    }
}

void rn__chan_lock_shared(struct rn__hchan *c, struct rn__m *m) {
    if (rn__load_relaxed(&c->bias) == RN__FRESH) rn__cas_acq_rel(&c->bias, RN__FRESH, RN__SHARED);
    rn__lock_acquire(&c->lock);
    struct rn__p *bias = rn__load_acquire(&c->bias);
    if (likely(bias == RN__SHARED))
        consider_bias(c, m);
    else
        revoke_bias(c, m, bias);
}

bool rn__chan_lock_slow(struct rn__hchan *c, struct rn__m *m) {
    if (rn__load_relaxed(&c->bias) == RN__FRESH && wants_bias(m) &&
        rn__cas_acq_rel(&c->bias, RN__FRESH, m->p))
        return false;
    rn__chan_lock_shared(c, m);
    return true;
}
