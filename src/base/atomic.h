/* SPDX-License-Identifier: MIT */
/*
 * atomic.h: the only place where runnel uses atomic instructions. The memory order
 * is in the name. They work on plain scalar and pointer fields, so that a struct can
 * be cleared with memset and a field that has one owner be read plainly by it.
 */
#ifndef RN_BASE_ATOMIC_H
#define RN_BASE_ATOMIC_H

#include "base/attr.h"

#define rn__load_relaxed(p) __atomic_load_n((p), __ATOMIC_RELAXED)
#define rn__load_acquire(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define rn__load_seq_cst(p) __atomic_load_n((p), __ATOMIC_SEQ_CST)
#define rn__store_relaxed(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define rn__store_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define rn__store_seq_cst(p, v) __atomic_store_n((p), (v), __ATOMIC_SEQ_CST)
#define rn__exchange_acq_rel(p, v) __atomic_exchange_n((p), (v), __ATOMIC_ACQ_REL)
#define rn__add_relaxed(p, v) __atomic_fetch_add((p), (v), __ATOMIC_RELAXED)
#define rn__add_acq_rel(p, v) __atomic_fetch_add((p), (v), __ATOMIC_ACQ_REL)
#define rn__add_seq_cst(p, v) __atomic_fetch_add((p), (v), __ATOMIC_SEQ_CST)
#define rn__sub_acq_rel(p, v) __atomic_fetch_sub((p), (v), __ATOMIC_ACQ_REL)
#define rn__sub_seq_cst(p, v) __atomic_fetch_sub((p), (v), __ATOMIC_SEQ_CST)
#define rn__or_acq_rel(p, v) __atomic_fetch_or((p), (v), __ATOMIC_ACQ_REL)
#define rn__and_acq_rel(p, v) __atomic_fetch_and((p), (v), __ATOMIC_ACQ_REL)

/* Compare and swap: true if *p was `from` and is now `to`. */
#define RN__CAS(p, from, to, good, bad)                                                            \
    __extension__({                                                                                \
        __typeof__(*(p)) rn_from = (from);                                                         \
        __atomic_compare_exchange_n((p), &rn_from, (to), false, (good), (bad));                    \
    })
#define rn__cas_relaxed(p, from, to) RN__CAS(p, from, to, __ATOMIC_RELAXED, __ATOMIC_RELAXED)
#define rn__cas_acquire(p, from, to) RN__CAS(p, from, to, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)
#define rn__cas_release(p, from, to) RN__CAS(p, from, to, __ATOMIC_RELEASE, __ATOMIC_RELAXED)
#define rn__cas_acq_rel(p, from, to) RN__CAS(p, from, to, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)
#define rn__cas_seq_cst(p, from, to) RN__CAS(p, from, to, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)

/* Orders the compiler only. */
#define rn__compiler_barrier() __atomic_signal_fence(__ATOMIC_SEQ_CST)
#define rn__fence_seq_cst() __atomic_thread_fence(__ATOMIC_SEQ_CST)

#endif
