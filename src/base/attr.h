/* SPDX-License-Identifier: MIT */
/* attr.h: attributes and small helpers that every file may use. */
#ifndef RN_BASE_ATTR_H
#define RN_BASE_ATTR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define RN_NOINLINE __attribute__((noinline))
#define RN_COLD __attribute__((cold, noinline))
#define RN_INLINE static inline __attribute__((always_inline))
#define RN_HIDDEN __attribute__((visibility("hidden")))
#define RN_WEAK __attribute__((weak))

/*
 * Not to be instrumented by sanitizers, entry and exit included (no_sanitize leaves those with clang): for functions in
 * which the current fiber changes.
 */
#if defined(__has_attribute)
#if __has_attribute(disable_sanitizer_instrumentation)
#define RN_UNSEEN __attribute__((disable_sanitizer_instrumentation, noinline))
#endif
#endif
#ifndef RN_UNSEEN
#define RN_UNSEEN __attribute__((no_sanitize("thread", "address"), noinline))
#endif

/* Two fields of different writers lie at least this far apart. */
#define RN_CACHE_LINE 64
#define RN_ALIGNED_LINE __attribute__((aligned(RN_CACHE_LINE)))

#define rn__container_of(ptr, type, field) ((type *)((char *)(ptr)-offsetof(type, field)))

#endif
