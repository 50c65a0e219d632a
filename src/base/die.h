/* SPDX-License-Identifier: MIT */
/*
 * die.h: the ends of a program that cannot go on, and writing without stdio.
 * Nothing here allocates or takes a lock of libc: it works in signal handlers and on any stack.
 */
#ifndef RN_BASE_DIE_H
#define RN_BASE_DIE_H

#include <stdarg.h>

#include "base/attr.h"

/* snprintf that returns the length of what was stored. */
size_t rn__format(char *to, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* write(2) all of it, whatever interrupts. Errors are dropped: there is nobody to tell. */
void rn__write(int fd, const char *s, size_t n);
void rn__print(int fd, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * A broken invariant, Go's throw: prints `fatal error: TEXT`, lets the observers (src/inspect) add the
 * goroutines' stacks, and aborts. Never returns, never recoverable, in release builds too.
 */
void rn__fatal(const char *text) __attribute__((noreturn, cold));

/*
 * By this the observers (src/inspect) add stacks to a report: the caller's, or those of all goroutines. NULL until they
 * have set it at start.
 */
extern void (*rn__report_hook)(int fd, bool all);

/* Let the observers add to a report that is being written. */
void rn__report(int fd, bool all);

#define rn__assert(cond, text)                                                                     \
    do {                                                                                           \
        if (unlikely(!(cond))) rn__fatal(text);                                                    \
    } while (0)

#endif
