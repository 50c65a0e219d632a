/* SPDX-License-Identifier: MIT */
/*
 * claim.c: taking hold of a P that an M has, without that M's help: the claimant's side of the protocol
 * at the head of core.h.
 */
#include <sched.h>

#include "os/clock.h"
#include "sched/core.h"

/* Spin a little, then let the kernel run the one that we wait for. */
static void wait_a_bit(int round) {
    if (round < 64)
        rn__arch_pause();
    else if (round < 128)
        sched_yield();
    else
        rn__nap(20 * RN_US);
}

static bool claimed_outside(struct rn__m *m, struct rn__p *p, int patience) {
    for (int i = 0; i < patience; i++) {
        uint32_t inside = rn__load_acquire(&m->inside); /* I2: pairs with I1 in rn__leave */
        if (inside == RN__OUTSIDE) return rn__load_relaxed(&m->p) == p;
        if (inside == RN__SCHED && i > 64) return false;
        wait_a_bit(i);
    }
    return false;
}

struct rn__m *rn__claim_p(struct rn__p *p, int patience) {
    struct rn__m *m = rn__load_acquire(&p->m); /* P1: pairs with rn__acquire_p */
    if (!m || !rn__cas_acquire(&m->claim, (uint32_t)RN__FREE, (uint32_t)RN__CLAIMED)) return NULL;
    rn__barrier_heavy(); /* B1: pairs with rn__enter */
    if (claimed_outside(m, p, patience)) return m;
    rn__unclaim_m(m);
    return NULL;
}

void rn__unclaim_m(struct rn__m *m) {
    rn__store_release(&m->claim, (uint32_t)RN__FREE); /* C2: pairs with C1 in rn__enter */
}

struct rn__p *rn__take_p(struct rn__m *m) {
    struct rn__p *p = m->p;
    rn__store_release(&p->m,
                      NULL); /* P1: what the M did comes to us with I2, and goes on with this */
    rn__store_relaxed(&m->p, NULL);
    rn__store_release(&m->claim, (uint32_t)RN__TAKEN); /* C2 */
    return p;
}

void rn__wait_section(struct rn__p *p) {
    for (int i = 0;; i++) {
        struct rn__m *m = rn__load_acquire(&p->m);
        /* I3: pairs with I1, and with the store of SCHED in lock_waits: the section's writes are ours to see */
        if (!m || rn__load_acquire(&m->inside) != RN__OP) return;
        wait_a_bit(i);
    }
}

/* ---- the claimed one's side ---- */

/* Our P was taken while we were outside. Take an idle one, or let the goroutine queue for one. */
static struct rn__m *regain_p(struct rn__m *m) {
    rn__store_release(&m->inside, (uint32_t)RN__SCHED);
    rn__store_relaxed(&m->claim, (uint32_t)RN__FREE); /* nobody else writes TAKEN over */
    struct rn__p *p = rn__idle_p_get();
    if (p) {
        rn__acquire_p(m, p);
    } else {
        struct rn__g *g = m->g;
        g->state = RN__RUNNABLE;
        m->after = rn__hand_out;
        m->after_arg = g;
        rn__switch(m, g, &m->g0);
        m = rn__arch_tls_m();
        rn__run_after(m);
    }
    rn__section_open(m);
    return m;
}

static struct rn__m *wait_out_claim(struct rn__m *m) {
    rn__leave(m);
    for (int i = 0; rn__load_acquire(&m->claim) == RN__CLAIMED; i++) wait_a_bit(i); /* C1 */
    rn__section_open(m);
    return m;
}

/* A plain thread, inside. */
static RN_COLD void wait_out_stop(struct rn__m *m) {
    struct rn__m *stopper;
    while ((stopper = rn__load_seq_cst(&rn__sched.stopper)) && stopper != m) { /* WS */
        rn__store_release(&m->inside, (uint32_t)RN__OUTSIDE);                  /* WS */
        rn__nap(20 * RN_US);
        rn__section_open(m);
    }
}

static struct rn__m *enter_foreign(struct rn__m *m) {
    if (unlikely(m == &rn__nobody)) {
        m = rn__thread_register();
        rn__section_open(m);
    }
    /* WS: pairs with rn__world_stop */
    if (unlikely(rn__load_seq_cst(&rn__sched.stopper) != NULL)) wait_out_stop(m);
    return m;
}

struct rn__m *rn__enter_slow(struct rn__m *m) {
    for (;;) {
        switch (rn__load_acquire(&m->claim)) { /* C1 */
        case RN__FREE: return m;
        case RN__FOREIGN: return enter_foreign(m);
        case RN__CLAIMED: m = wait_out_claim(m); break;
        case RN__FORKED: rn__fatal("runnel used in a child of fork: a child may only exec or exit");
        case RN__TAKEN: m = regain_p(m); break;
        }
    }
}

/*
 * Who waits for a lock is not in a biased section: the holder may be about to revoke a channel that is
 * biased to our P, and would wait for us. It stays SCHED until the operation ends, or until it opens a
 * biased section (rn__section_open).
 */
static void lock_waits(void) {
    struct rn__m *m = rn__arch_tls_m();
    if (rn__load_relaxed(&m->inside) == RN__OP) rn__store_release(&m->inside, (uint32_t)RN__SCHED);
}

void rn__claim_init(void) { rn__lock_waits = lock_waits; }
