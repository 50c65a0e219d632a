/* SPDX-License-Identifier: MIT */
/*
 * unwind.h: the program counters of a stack, from a saved context. By the compiler's own unwinder
 * (_Unwind_Backtrace), which takes no lock with glibc 2.35 and later, and allocates nothing.
 */
#ifndef RN_INSPECT_UNWIND_H
#define RN_INSPECT_UNWIND_H

#include "arch.h"
#include "base/attr.h"

/* As in Go: of a deeper stack the innermost and the outermost half are kept. */
enum { RN__FRAMES = 100 };

struct rn__stack_pcs {
    uint32_t n;      /* how many are kept */
    uint32_t elided; /* how many are left out after the first RN__FRAMES / 2 */
    uint64_t exact
        [2]; /* bit i: pc[i] is the instruction itself (a signal came), not the one after a call */
    uintptr_t pc[RN__FRAMES]; /* the innermost first */
};

/* Walk the stack that stands at ctx; its memory must not change meanwhile. */
void rn__unwind(struct rn__ctx *ctx, struct rn__stack_pcs *out);

/* Is pc[i] of a frame that was interrupted rather than one that called? */
RN_INLINE bool rn__pc_exact(const struct rn__stack_pcs *s, uint32_t i) {
    return s->exact[i / 64] >> (i % 64) & 1;
}

/* The address by which to look up frame i. */
RN_INLINE uintptr_t rn__pc_lookup(const struct rn__stack_pcs *s, uint32_t i) {
    return rn__pc_exact(s, i) ? s->pc[i] : s->pc[i] - 1;
}

/*
 * Call fn(arg) on one of the observers' own stacks, so that a goroutine's small one suffices for a report. `from` then says
 * where the caller stands. Each is used by one at a time: the caller sees to that. fn does not enter the runtime.
 */
enum rn__hop_stack { RN__HOP_DUMP, RN__HOP_FATAL };
void rn__hop(enum rn__hop_stack which, struct rn__ctx *from, void (*fn)(void *), void *arg);

/* Where these stacks are. */
void rn__hop_memory(char **lo, char **hi);

/* unwind.S */
void rn__spill(void **to) RN_HIDDEN;
void rn__hop_entry(void) RN_HIDDEN;

#endif
