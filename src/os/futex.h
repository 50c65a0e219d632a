/* SPDX-License-Identifier: MIT */
/* futex.h: letting the thread sleep on a 32-bit word. */
#ifndef RN_OS_FUTEX_H
#define RN_OS_FUTEX_H

#include "base/attr.h"

/*
 * Sleep while *word is `value`, until woken or for `timeout` ns at most (negative: no limit).
 * May return early for no reason: the caller looks again. Never changes errno.
 */
void rn__futex_wait(uint32_t *word, uint32_t value, int64_t timeout);

/* Wake n of those who sleep on *word. The word may be gone: then nobody is woken. */
void rn__futex_wake(uint32_t *word, int n);

#endif
