/* SPDX-License-Identifier: MIT */
/*
 * symbol.h: what a program counter is called. By libbacktrace if the program was linked with it (it comes with gcc; CMake
 * finds it), which reads the debug information; else the file and the offset in it, which addr2line takes.
 */
#ifndef RN_INSPECT_SYMBOL_H
#define RN_INSPECT_SYMBOL_H

#include "base/attr.h"

enum { RN__INLINED = 8, RN__OBJECT = 128 };

struct rn__line {
    const char *fn;   /* NULL: not known */
    const char *file; /* NULL: not known */
    int line;
};

/* One program counter: the function it is in, and those inlined there, the innermost first. */
struct rn__symbol {
    uint32_t n; /* at least 1 */
    struct rn__line line[RN__INLINED];
    uintptr_t start;         /* of the function; 0: not known */
    char object[RN__OBJECT]; /* the file it was loaded from */
    uintptr_t offset;        /* pc in it, as addr2line takes it; 0: not known */
    bool ours;               /* it is in librunnel.so */
};

/* `pc` is inside of the instruction. Strings live for ever. */
void rn__symbol_find(uintptr_t pc, struct rn__symbol *s);

/* From now on without libbacktrace: it has failed us in the middle of a report. */
void rn__symbol_give_up(void);

#endif
