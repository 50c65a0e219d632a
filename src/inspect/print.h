/* SPDX-License-Identifier: MIT */
/* print.h: stacks and goroutines in the format of Go's traces. */
#ifndef RN_INSPECT_PRINT_H
#define RN_INSPECT_PRINT_H

#include "inspect/collect.h"
#include "inspect/out.h"

/* The frames of a stack; unless RUNNEL_DEBUG=frames=1, without the library's own at both ends. */
void rn__print_stack(struct rn__out *o, const struct rn__stack_pcs *s);

/* "created by FN in goroutine N" and where. */
void rn__print_creator(struct rn__out *o, uintptr_t pc, uint64_t creator);

/* All in a snapshot, each after an empty line; equal ones together if there are many. */
void rn__print_snapshot(struct rn__out *o, struct rn__snapshot *s);
/* The same for those that are marked as stuck. */
void rn__print_stuck(struct rn__out *o, struct rn__snapshot *s);
/* One of them. */
void rn__print_one(struct rn__out *o, struct rn__snapshot *s, const struct rn__rec *r);

#endif
