/* SPDX-License-Identifier: MIT */
/*
 * arch.h for x86_64 (System V ABI): the context switch, and reading thread-local variables anew.
 *
 * The contract of each CPU's arch.h:
 *   struct rn__ctx        where a context that does not run stands: sp, fp, pc
 *   rn__arch_switch(f, t) save where we are in *f, go on at *t; returns when somebody switches to *f
 *   rn__arch_tls_m()      the calling thread's rn__tls_m, read anew each time
 *   rn__arch_pause()      tell the CPU that this is a spin loop
 *   rn__arch_valgrind()   a client request of Valgrind's (os/valgrind.h); 0 without it
 *   struct rn__regs       where arguments travel: registers, and the stack
 *   rn__go_entry          where a new context starts (entry.S): sp points to a struct rn__start
 *
 * The switch is inline assembly that saves three registers and declares the others clobbered: the
 * compiler saves what is live, which is little in a function that is about to switch. There is no call
 * and no return, so the return predictor stays balanced: 2.7 ns against 14 and more of push/pop/jmp.
 * The red zone is safe as nothing is pushed. MXCSR and the x87 control word
 * are not saved: as across any call, they belong to the thread.
 */
#ifndef RN_ARCH_ARCH_H
#define RN_ARCH_ARCH_H

#include "base/attr.h"

struct rn__ctx {
    void *sp, *fp, *pc;
};

struct rn__regs {
    uint64_t stack[12]; /* what lies on the stack */
    uint64_t ints[6];
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

#ifdef __AVX512F__
#define RN__AVX512_CLOBBERS                                                                        \
    , "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25",    \
        "xmm26", "xmm27", "xmm28", "xmm29", "xmm30", "xmm31", "k1", "k2", "k3", "k4", "k5", "k6",  \
        "k7"
#else
#define RN__AVX512_CLOBBERS
#endif

RN_INLINE void rn__arch_switch(struct rn__ctx *from, struct rn__ctx *to) {
    __asm__ volatile("leaq 1f(%%rip), %%rax\n\t"
                     "movq %%rsp, 0(%0)\n\t"
                     "movq %%rbp, 8(%0)\n\t"
                     "movq %%rax, 16(%0)\n\t"
                     "movq 0(%1), %%rsp\n\t"
                     "movq 8(%1), %%rbp\n\t"
                     "jmpq *16(%1)\n\t"
                     "1:"
                     : "+D"(from), "+S"(to)
                     :
                     : "rax", "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
                       "r15", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
                       "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "cc",
                       "memory" RN__AVX512_CLOBBERS);
}

/* A compiler keeps the address of a thread-local variable across a switch; it cannot look into this. */
RN_INLINE struct rn__m *rn__arch_tls_m(void) {
    struct rn__m *m;
    __asm__ volatile("movq rn__tls_m@gottpoff(%%rip), %0\n\t"
                     "movq %%fs:(%0), %0"
                     : "=r"(m)
                     :
                     : "memory");
    return m;
}

RN_INLINE void rn__arch_pause(void) { __asm__ volatile("pause"); }

/* Four rotations by 128 in all, and an exchange of a register with itself: for the CPU, nothing. */
RN_INLINE uint64_t rn__arch_valgrind(uint64_t request, uint64_t a, uint64_t b) {
    uint64_t args[6] = {request, a, b, 0, 0, 0}, result = 0;
    __asm__ volatile("rolq $3, %%rdi\n\t"
                     "rolq $13, %%rdi\n\t"
                     "rolq $61, %%rdi\n\t"
                     "rolq $51, %%rdi\n\t"
                     "xchgq %%rbx, %%rbx"
                     : "+d"(result)
                     : "a"(args)
                     : "cc", "memory");
    return result;
}

#endif
