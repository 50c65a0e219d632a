/* SPDX-License-Identifier: MIT */
/*
 * debug.h: the environment variable RUNNEL_DEBUG=KEY=NUMBER,... as Go's GODEBUG. The only place that knows the keys.
 */
#ifndef RN_BASE_DEBUG_H
#define RN_BASE_DEBUG_H

#include "base/attr.h"

/* Constant once rn__debug_init has run. */
struct rn__debug {
    int all;        /* a panic or fatal error shows all goroutines, not only its own */
    int frames;     /* stacks show the library's own functions, too */
    int group;      /* dumps of more goroutines than this show equal stacks once; 0: never */
    int leaks;      /* when rn_run returns: list the goroutines that can never run again */
    int nosigquit;  /* leave SIGQUIT alone */
    int schedtrace; /* print the scheduler's state every so many milliseconds */
};
extern struct rn__debug rn__debug RN_HIDDEN;

/* Reads the variable; says on stderr what it does not understand, and goes on. */
void rn__debug_init(void);

#endif
