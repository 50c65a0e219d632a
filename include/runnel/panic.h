/* SPDX-License-Identifier: MIT */
/*
 * panic.h: panics, deferred calls and protected calls: Go's panic, defer and recover.
 *
 * A panic abandons the frames between the point of the panic and the protected
 * call that catches it, as longjmp(3) does: what they hold must be released by rn_defer.
 * C++ destructors are not run. May be used from any goroutine and any plain thread, not in a signal handler. Nothing here
 * blocks by itself: what fn does may.
 */
#ifndef RUNNEL_PANIC_H
#define RUNNEL_PANIC_H

#include <runnel/base.h>

RN__BEGIN

/* What rn_try caught. */
typedef struct rn_panic_info {
    char message[256]; /* without "panic: "; cut to fit */
    uint64_t goid;     /* of the goroutine that panicked; 0: a plain thread */
} rn_panic_info;

/*
 * Panic with a message in printf(3) style, cut to 1023 bytes. The deferred calls run, innermost first; the innermost
 * rn_try returns false. Without one, the program prints the message and the goroutine's
 * stack on stderr, as Go does, and aborts. A panic in a deferred call replaces the first; both are printed.
 */
RN_API RN_NORETURN void rn_panic(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * Run `fn(arg)` when the innermost protected call ends: returns, panics or exits. Last in, first out.
 * A goroutine's own function is a protected call. On a plain thread outside rn_try, panics
 * `defer outside a protected call`. Takes 32 bytes; panics on no memory.
 */
RN_API void rn_defer(void (*fn)(void *), void *arg);

/*
 * Call `fn(arg)`, protected. True if it returned; false if it panicked, with *p filled (p may be NULL).
 * An rn_goexit inside goes on past it, having run its deferred calls.
 */
RN_API bool rn_try(void (*fn)(void *), void *arg, rn_panic_info *p);

RN__END

#endif
