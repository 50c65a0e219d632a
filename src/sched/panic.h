/* SPDX-License-Identifier: MIT */
#ifndef RN_SCHED_PANIC_H
#define RN_SCHED_PANIC_H

#include <runnel/panic.h>

/* Run what the caller's goroutine has deferred in its innermost protected call, last in first out. */
void rn__run_defers(void);

#endif
