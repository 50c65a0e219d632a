/* SPDX-License-Identifier: MIT */
/*
 * valgrind.h: telling Valgrind which memory is a stack, so that it takes a switch for a switch and not for
 * a stack that grows or shrinks by the distance. The request is an instruction sequence that does nothing on
 * a processor, and that Valgrind knows (rn__arch_valgrind; 0 where there is none).
 */
#ifndef RN_OS_VALGRIND_H
#define RN_OS_VALGRIND_H

#include "arch.h"

/* Valgrind's numbers for its client requests. */
enum { VALGRIND_RUNNING = 0x1001, VALGRIND_STACK_REGISTER = 0x1501 };

RN_INLINE bool rn__valgrind_on(void) { return rn__arch_valgrind(VALGRIND_RUNNING, 0, 0) != 0; }

/* From the lowest byte to behind the highest. For the life of the program: stacks are reused. */
RN_INLINE void rn__valgrind_stack(const char *lo, const char *hi) {
    rn__arch_valgrind(VALGRIND_STACK_REGISTER, (uint64_t)(uintptr_t)lo,
                      (uint64_t)(uintptr_t)hi - 1);
}

#endif
