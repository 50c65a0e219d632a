/* SPDX-License-Identifier: MIT */
#include "base/chaos.h"

#ifdef RN_CHAOS
#include <sched.h>
#include <stdlib.h>
#include <time.h>

#include "base/atomic.h"
#include "base/die.h"

/* One stream for all threads: they draw from it in the order in which they happen to come. RUNNEL_CHAOS_SEED starts it; else it
 * starts anywhere, and says where. */
static uint64_t state;

__attribute__((constructor)) static void seed(void) {
    const char *s = getenv("RUNNEL_CHAOS_SEED");
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    state = s ? strtoull(s, NULL, 0) : (uint64_t)t.tv_nsec;
    if (!s) rn__print(2, "RUNNEL_CHAOS_SEED=%lu\n", (unsigned long)state);
}

bool rn__chaos(uint32_t n) {
    uint64_t z =
        rn__add_relaxed(&state, UINT64_C(0x9e3779b97f4a7c15)); /* only has to be different */
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (z >> 33) % n == 0;
}

void rn__chaos_yield(uint32_t n) {
    if (rn__chaos(n)) sched_yield();
}
#endif
