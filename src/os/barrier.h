/* SPDX-License-Identifier: MIT */
/*
 * barrier.h: asymmetric fences, for Dekker's pattern (each side stores, then loads what the
 * other stores) where one side is hot and the other rare. The hot side pays a compiler barrier, the
 * rare one membarrier(2), which makes every running thread of the process execute a full
 * fence (0.3 to 1.8 us). Where the kernel has none (qemu-user), both are full fences.
 */
#ifndef RN_OS_BARRIER_H
#define RN_OS_BARRIER_H

#include "base/atomic.h"

/* Set once by rn__barrier_init. Constant afterwards. */
extern bool rn__barrier_full RN_HIDDEN;

/* Before the first other thread of the runtime is made. */
void rn__barrier_init(void);

RN_INLINE void rn__barrier_light(void) {
    /* Relaxed: a thread that comes while the runtime starts may pay the full fence or not; it has no P yet */
    if (unlikely(rn__load_relaxed(&rn__barrier_full))) rn__fence_seq_cst();
    rn__compiler_barrier();
}

void rn__barrier_heavy(void);

#endif
