/* SPDX-License-Identifier: MIT */
/*
 * arch.h for aarch64 (AAPCS64): the context switch, and reading thread-local variables anew. The contract and
 * the reasons stand in src/arch/x86_64/arch.h.
 */
#ifndef RN_ARCH_ARCH_H
#define RN_ARCH_ARCH_H

#include "base/attr.h"

struct rn__ctx {
    void *sp, *fp, *pc;
};

struct rn__regs {
    uint64_t stack[12]; /* what lies on the stack */
    uint64_t fps[8][2];
    uint64_t ints[8];
};

/* What lies at the top of a new stack; entry.S knows the offsets. */
struct rn__start {
    struct rn__regs regs;
    void (*fn)(void);
    void *unused; /* keeps the size a multiple of 16 */
};

extern RN_HIDDEN __thread struct rn__m *rn__tls_m __attribute__((tls_model("initial-exec")));

void rn__go_entry(void) RN_HIDDEN;

RN_INLINE void rn__arch_switch(struct rn__ctx *from, struct rn__ctx *to) {
    register struct rn__ctx *f __asm__("x0") = from;
    register struct rn__ctx *t __asm__("x1") = to;
    __asm__ volatile("adr x9, 1f\n\t"
                     "mov x10, sp\n\t"
                     "stp x10, x29, [x0]\n\t"
                     "str x9, [x0, #16]\n\t"
                     "ldp x10, x29, [x1]\n\t"
                     "ldr x9, [x1, #16]\n\t"
                     "mov sp, x10\n\t"
                     "br x9\n\t"
                     "1: hint #36" /* bti j */
                     : "+r"(f), "+r"(t)
                     :
                     : "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13",
                       "x14", "x15", "x16", "x17", "x18", "x19", "x20", "x21", "x22", "x23", "x24",
                       "x25", "x26", "x27", "x28", "x30", "v0", "v1", "v2", "v3", "v4", "v5", "v6",
                       "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15", "v16", "v17",
                       "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28",
                       "v29", "v30", "v31", "cc", "memory");
}

/* A compiler keeps the address of a thread-local variable across a switch; it cannot look into this. */
RN_INLINE struct rn__m *rn__arch_tls_m(void) {
    struct rn__m *m;
    uintptr_t offset;
    __asm__ volatile("mrs %0, tpidr_el0\n\t"
                     "adrp %1, :gottprel:rn__tls_m\n\t"
                     "ldr %1, [%1, #:gottprel_lo12:rn__tls_m]\n\t"
                     "ldr %0, [%0, %1]"
                     : "=&r"(m), "=&r"(offset)
                     :
                     : "memory");
    return m;
}

RN_INLINE void rn__arch_pause(void) { __asm__ volatile("yield"); }

/* Not done for this CPU: Valgrind takes a switch for a stack that grows. */
RN_INLINE uint64_t rn__arch_valgrind(uint64_t request, uint64_t a, uint64_t b) {
    (void)request, (void)a, (void)b;
    return 0;
}

#endif
