/* SPDX-License-Identifier: MIT */
#ifndef RN_OS_CLOCK_H
#define RN_OS_CLOCK_H

#include <runnel/base.h>

/* CLOCK_MONOTONIC in ns: stands still while the machine is suspended, as Go's. 20 to 40 ns. */
rn_time rn__now(void);

/* Let the thread sleep. Never changes errno. */
void rn__nap(rn_duration d);

#endif
