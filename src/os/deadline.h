/* SPDX-License-Identifier: MIT */
/* deadline.h: points in time by duration, without overflow. */
#ifndef RN_OS_DEADLINE_H
#define RN_OS_DEADLINE_H

#include "os/clock.h"

/*
 * The point d after t. Saturates: what would lie past the end of time is RN_TIME_MAX, never.
 * t >= 0, so that a negative d, even INT64_MIN, cannot overflow.
 */
static inline rn_time rn__time_add(rn_time t, rn_duration d) {
    return d > RN_TIME_MAX - t ? RN_TIME_MAX : t + d;
}

/* The point d from now; d <= 0 is now, and due at once. */
static inline rn_time rn__time_after(rn_duration d) {
    return rn__time_add(rn__now(), d > 0 ? d : 0);
}

#endif
