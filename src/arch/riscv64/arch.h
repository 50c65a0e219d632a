/* SPDX-License-Identifier: MIT */
/*
 * arch.h for riscv64 (LP64D): the context switch, and reading thread-local variables anew. The contract and
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
    uint64_t ints[8];
    uint64_t fps[8];
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
    register struct rn__ctx *f __asm__("a0") = from;
    register struct rn__ctx *t __asm__("a1") = to;
    __asm__ volatile("lla t0, 1f\n\t"
                     "sd sp, 0(a0)\n\t"
                     "sd s0, 8(a0)\n\t"
                     "sd t0, 16(a0)\n\t"
                     "ld sp, 0(a1)\n\t"
                     "ld s0, 8(a1)\n\t"
                     "ld t0, 16(a1)\n\t"
                     "jr t0\n\t"
                     "1:"
                     : "+r"(f), "+r"(t)
                     :
                     : "ra", "t0", "t1", "t2", "t3", "t4", "t5", "t6", "a2", "a3", "a4", "a5", "a6",
                       "a7", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11",
                       "ft0", "ft1", "ft2", "ft3", "ft4", "ft5", "ft6", "ft7", "ft8", "ft9", "ft10",
                       "ft11", "fa0", "fa1", "fa2", "fa3", "fa4", "fa5", "fa6", "fa7", "fs0", "fs1",
                       "fs2", "fs3", "fs4", "fs5", "fs6", "fs7", "fs8", "fs9", "fs10", "fs11",
                       "memory");
}

/* A compiler keeps the address of a thread-local variable across a switch; it cannot look into this. */
RN_INLINE struct rn__m *rn__arch_tls_m(void) {
    struct rn__m *m;
    __asm__ volatile("la.tls.ie %0, rn__tls_m\n\t"
                     "add %0, %0, tp\n\t"
                     "ld %0, 0(%0)"
                     : "=&r"(m)
                     :
                     : "memory");
    return m;
}

/* Zihintpause's `pause`, a fence that older processors take for a no-op. */
RN_INLINE void rn__arch_pause(void) { __asm__ volatile(".4byte 0x0100000f"); }

/* Not done for this CPU: Valgrind takes a switch for a stack that grows. */
RN_INLINE uint64_t rn__arch_valgrind(uint64_t request, uint64_t a, uint64_t b) {
    (void)request, (void)a, (void)b;
    return 0;
}

#endif
