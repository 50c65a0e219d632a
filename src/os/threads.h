/* SPDX-License-Identifier: MIT */
/* threads.h: how many threads this process has, whoever made them. */
#ifndef RN_OS_THREADS_H
#define RN_OS_THREADS_H

#include <stddef.h>
#include <stdint.h>

/*
 * `service`: those of them that block every signal and sleep, as threads do that belong to no program (TSan's,
 * qemu's). But a new thread blocks every signal, too, for its first moments, and may be seen asleep
 * in them: look again before you rely on it.
 */
struct rn__threads {
    size_t all, service;
};

/*
 * The threads of this process but for the one numbered `but`. None where there is no /proc to ask. Costs a system
 * call or two for each thread. Allocates nothing; any thread may call it.
 */
struct rn__threads rn__threads_count(int but);

/* Calls fn for each: its number, the signals it blocks (bit N-1: signal N), and its state, 'S' for asleep. Else the same. */
void rn__threads_each(int but, void (*fn)(int tid, uint64_t blocked, char state, void *arg),
                      void *arg);

#endif
