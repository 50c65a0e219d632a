/* SPDX-License-Identifier: MIT */
/* inspect.h: what the observers' files share, and the one door by which the scheduler starts them. */
#ifndef RN_INSPECT_INSPECT_H
#define RN_INSPECT_INSPECT_H

#include "base/debug.h"
#include "sched/core.h"

/* dump.c, leaks.c: set up what RUNNEL_DEBUG asks for. */
void rn__dump_start(void);
void rn__leaks_start(void);

/* One observer at a time that is not the end of the program: it may use the stack RN__HOP_DUMP. Outside the runtime. */
void rn__dump_lock(void);
void rn__dump_unlock(void);

#endif
