/* SPDX-License-Identifier: MIT */
/* base.h: what every public header of runnel shares. Defines no functions of its own. */
#ifndef RUNNEL_BASE_H
#define RUNNEL_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define RN__BEGIN extern "C" {
#define RN__END }
#else
#define RN__BEGIN
#define RN__END
#endif

/*
 * C lets a pointer of another type pass with a warning, and so a channel turned round or a pointer sent
 * where an integer belongs. Errors in gcc 14 by default; here for all compilers, from this
 * line on. Define RN_LAX_POINTERS before the first include to keep your own setting.
 */
#if !defined(__cplusplus) && !defined(RN_LAX_POINTERS)
#pragma GCC diagnostic error "-Wincompatible-pointer-types"
#pragma GCC diagnostic error "-Wint-conversion"
#endif

#define RN_API __attribute__((visibility("default")))
#define RN_NORETURN __attribute__((noreturn))

/*
 * A span of time in nanoseconds, as Go's time.Duration.
 * A point in time in nanoseconds of CLOCK_MONOTONIC. RN_TIME_MAX means never.
 */
typedef int64_t rn_duration;
typedef int64_t rn_time;
#define RN_NS ((rn_duration)1)
#define RN_US (1000 * RN_NS)
#define RN_MS (1000 * RN_US)
#define RN_SEC (1000 * RN_MS)
#define RN_TIME_MAX INT64_MAX

/* For the inline paths. */
#define RN__LIKELY(x) __builtin_expect(!!(x), 1)

#define RN__CAT2(a, b) a##b
#define RN__CAT(a, b) RN__CAT2(a, b)

/* A static assertion that is an expression of the value 0. */
#define RN__CHECK(cond, text)                                                                      \
    (0 * sizeof(struct {                                                                           \
         _Static_assert(cond, text);                                                               \
         int rn__unused;                                                                           \
     }))

/* How many arguments a macro got: 1 to 8. */
#define RN__NARGS(...) RN__NARGS_(__VA_ARGS__, 8, 7, 6, 5, 4, 3, 2, 1, 0)
#define RN__NARGS_(a, b, c, d, e, f, g, h, n, ...) n

#endif
