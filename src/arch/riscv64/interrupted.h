/* SPDX-License-Identifier: MIT */
/* interrupted.h for riscv64: what a signal handler may know of the interrupted. */
#ifndef RN_ARCH_INTERRUPTED_H
#define RN_ARCH_INTERRUPTED_H

#include <ucontext.h>

#include "base/attr.h"

/* The stack pointer; `context` is the handler's third argument. */
RN_INLINE void *rn__arch_signal_sp(void *context) {
    ucontext_t *u = context;
    return (void *)u->uc_mcontext.__gregs[REG_SP];
}

#endif
