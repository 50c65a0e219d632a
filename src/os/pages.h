/* SPDX-License-Identifier: MIT */
/* pages.h: address space and pages, by the bare system calls: sanitizers' interceptors would touch
 * the shadow of all that is reserved. */
#ifndef RN_OS_PAGES_H
#define RN_OS_PAGES_H

#include "base/attr.h"

size_t rn__page_size(void);

/* Address space, readable and writable, that costs memory only where touched. NULL: not to be had. */
void *rn__pages_reserve(size_t size);
void rn__pages_release(void *at, size_t size);

/* Keep [at, at + size) out of core dumps, or bring it back. */
void rn__pages_dump(void *at, size_t size, bool dump);

/*
 * Turn the page at each of `n` addresses at + i * stride into a guard: any access is SIGSEGV. By MADV_GUARD_INSTALL where
 * the kernel has it and it works, which splits no mapping; else by mprotect. 0 or -ENOMEM.
 */
int rn__pages_guard(char *at, size_t stride, size_t n);

/* Give back the memory of n ranges of `size` bytes: they read as zero afterwards. */
void rn__pages_drop(void **at, size_t size, size_t n);

#endif
