/* SPDX-License-Identifier: MIT */
/*
 * ahead.h: a guess where those lie who come next, to fetch them in time.
 *
 * Who that is is known only when the one before has come, for one that slept long a miss of every cache and of the TLB. But goroutines
 * that were started one after the other have stacks at equal distances, but for the colours of 16 (stack.c), and most often
 * their turns come in that order, too: so who comes soon lies as far from the one 16 places before him as we from ours.
 * A wrong guess costs a fetch.
 */
#ifndef RN_SCHED_AHEAD_H
#define RN_SCHED_AHEAD_H

#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

enum { RN__AHEAD = 16 }; /* the stacks' colours */

struct rn__ahead {
    const char *back[RN__AHEAD]; /* a ring of the last ones */
    uint32_t n;
    ptrdiff_t step; /* over 16 places */
};

/* Next in turn is `at`. Where the one lies who comes `places` later, up to 16; NULL: no idea. */
RN_INLINE const char *rn__ahead(struct rn__ahead *a, const void *at, uint32_t places) {
    const char **back = &a->back[a->n % RN__AHEAD];
    ptrdiff_t step = *back ? (const char *)at - *back : a->step;
    bool again = step == a->step && step != 0;
    *back = at;
    a->step = step;
    const char *like = a->back[(a->n++ + places) % RN__AHEAD];
    return again && like ? like + step : NULL;
}

#endif
