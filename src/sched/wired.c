/* SPDX-License-Identifier: MIT */
/* wired.c: goroutines bound to their thread, and calls that are known to block. */
#include "sched/core.h"

void rn_lock_thread(void) {
    struct rn__m *m = rn__enter();
    struct rn__g *g = m->g;
    if (g->kind == RN__GOROUTINE && g->locks++ == 0) {
        g->locked_m = m;
        g->wired = 1;
        m->locked_g = g;
    }
    rn__leave(m);
}

void rn_unlock_thread(void) {
    struct rn__m *m = rn__enter();
    struct rn__g *g = m->g;
    if (g->kind == RN__GOROUTINE && g->locks > 0 && --g->locks == 0) {
        g->locked_m = NULL;
        g->wired = 0;
        m->locked_g = NULL;
    }
    rn__leave(m);
}

/* Do to ourselves what sysmon would: the P is gone, and the next entry queues for one. */
intptr_t rn_blocking(intptr_t (*fn)(void *), void *arg) {
    struct rn__m *m = rn__enter();
    if (m->p) {
        rn__store_release(&m->inside, (uint32_t)RN__SCHED);
        struct rn__p *p = rn__release_p(m);
        /* A claimant that came before gives up, as we are SCHED; its FREE must not overwrite our TAKEN. */
        while (!rn__cas_acq_rel(&m->claim, (uint32_t)RN__FREE, (uint32_t)RN__TAKEN))
            rn__arch_pause();
        rn__handoff(p);
    }
    rn__leave(rn__arch_tls_m());
    intptr_t r = fn(arg);
    rn__in();
    rn__out();
    return r;
}
