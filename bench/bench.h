/* SPDX-License-Identifier: MIT */
/*
 * bench.h: what a benchmark of runnel needs: the harness, run in the main goroutine, and a few words to write rows with.
 */
#ifndef RUNNEL_BENCH_H
#define RUNNEL_BENCH_H

#include <runnel.h>

#include "harness.h"

static int bench_enter(int (*fn)(void *), void *arg) { return rn_run(fn, arg); }

/* rn_go that does not fail. */
#define GO(...)                                                                                    \
    do {                                                                                           \
        if (rn_go(__VA_ARGS__) != 0) bench_die("no memory for a goroutine");                       \
    } while (0)

#endif
