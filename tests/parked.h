/* SPDX-License-Identifier: MIT */
/*
 * parked.h: who is parked on a channel: the tests' look inside. A test of order (FIFO, no barging) must
 * know that a goroutine is parked before it starts the next one; no public call tells.
 */
#ifndef RUNNEL_TESTS_PARKED_H
#define RUNNEL_TESTS_PARKED_H

#include "core.h"

#include "chan/chan.h"

/*
 * Where the tests are instrumented for TSan, but not the library, this is the library's code: TSan must not see half
 * of its synchronisation.
 */
#if defined(RN_TSAN_USER) && defined(__clang__)
#define AS_THE_LIBRARY __attribute__((noinline, disable_sanitizer_instrumentation))
#else
#define AS_THE_LIBRARY
#endif

/* Locks the channel as an operation on it does: who is in a queue is parked, off its stack. */
static inline AS_THE_LIBRARY size_t parked(void *channel, bool senders) {
    struct rn__hchan *c = channel;
    size_t n = 0;
    struct rn__m *m = rn__enter();
    bool locked = rn__chan_lock(c, m);
    for (struct rn__waiter *w = senders ? c->sendq.first : c->recvq.first; w; w = w->next) n++;
    rn__chan_unlock(c, locked);
    rn__leave(m);
    return n;
}

/* Selects are counted once for each of their cases on the channel. */
static inline size_t parked_senders(void *c) { return parked(c, true); }
static inline size_t parked_receivers(void *c) { return parked(c, false); }

/* Return once at least n senders (receivers) are parked on c. Looks less often the longer a look takes. */
static inline void wait_parked(void *c, bool senders, size_t n) {
    while (parked(c, senders) < n)
        for (size_t i = 0; i <= n; i++) rn_yield();
}
#define WAIT_SENDERS(c, n) wait_parked(c, true, (size_t)(n))
#define WAIT_RECEIVERS(c, n) wait_parked(c, false, (size_t)(n))

#endif
