/* SPDX-License-Identifier: MIT */
/*
 * chaos.h: a hostile build (-DRN_CHAOS=1) to find what luck hides: run queues of four, goroutines resumed on other
 * threads, processors taken at any moment, threads that yield between any two steps, biases revoked for no
 * reason. In all other builds these are constants and cost nothing.
 */
#ifndef RN_BASE_CHAOS_H
#define RN_BASE_CHAOS_H

#include "base/attr.h"

#ifdef RN_CHAOS
/* True once in n times. */
bool rn__chaos(uint32_t n) RN_HIDDEN;
/* Give the core away once in n times. */
void rn__chaos_yield(uint32_t n) RN_HIDDEN;
#else
RN_INLINE bool rn__chaos(uint32_t n) {
    (void)n;
    return false;
}
RN_INLINE void rn__chaos_yield(uint32_t n) { (void)n; }
#endif

#endif
