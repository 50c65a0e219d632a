/* SPDX-License-Identifier: MIT */
/* cpus.h: on which CPU a thread runs, and moving it to another. */
#ifndef RN_OS_CPUS_H
#define RN_OS_CPUS_H

#include <stdbool.h>

/* The caller's, at this moment; -1: unknown. A few ns where libc has registered rseq(2). */
int rn__cpu(void);

/*
 * Move the calling thread to a CPU that it may use and that is not taken, if there is one. What it may use stays as it is; a change of that
 * by another process in these microseconds would be lost, and CPUs that are added to its cpuset later may not be given to it. Costs
 * some 10 us. False: it stays where it is.
 */
bool rn__cpu_leave(bool (*taken)(int cpu));

#endif
