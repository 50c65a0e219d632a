/* SPDX-License-Identifier: MIT */
/*
 * signal.h: Unix signals as values on channels, as Go's package os/signal.
 *
 *     rn_chan(int) c = rn_make(int, 1);
 *     rn_notify(c, SIGINT, SIGTERM);
 *     int sig = rn_recv(c);
 *
 * While somebody asks for a signal, its default action is off. A signal is sent to every channel that asked for it,
 * without waiting: it is never dropped while the channel has room or a receiver, and is dropped for a channel that
 * has neither. Like signals that the kernel holds pending together are one. A handler that
 * the program had installed before is still called, and is the handler again when nobody asks any more; one that
 * was installed after rn_notify is left alone.
 * All functions may be called from any goroutine and any plain thread, none in a signal handler. They wait some
 * microseconds, in the kernel, for the thread that delivers, and else block as rn_ctx_cancel does. A signal that cannot
 * be caught (SIGKILL, SIGSTOP), is used for a crash (SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP), is libc's (32 to
 * SIGRTMIN - 1) or does not exist is -EINVAL. Where no signal is given, all others are meant.
 */
#ifndef RUNNEL_SIGNAL_H
#define RUNNEL_SIGNAL_H

#include <runnel/context.h>

RN__BEGIN

#ifndef __cplusplus
/*
 * int rn_notify(c, int sig, ...): send these signals on c, a channel of int, from now on. Adds to what c asked for before.
 * Holds a reference on c until rn_notify_stop, or until rn_notify_ignore or rn_notify_reset has taken the last of its
 * signals. 0, -EINVAL, -ENOMEM, -EAGAIN (no thread). Not 0: nothing was changed. Panics
 * `os/signal: Notify using nil channel` if c is NULL.
 * int rn_notify_ignore(int sig, ...): ignore these signals; nobody gets them any more.
 * int rn_notify_reset(int sig, ...): nobody asks for these signals any more, nor are they ignored by rn_notify_ignore.
 * rn_ctx *rn_notify_ctx(parent, int sig, ...): a context that is also cancelled when one of the signals arrives; its
 * cause is then the signal's number. To be given back with rn_notify_ctx_stop. NULL on no memory or no such signal.
 */
#define rn_notify(c, ...)                                                                          \
    rn_notify_n(((void)RN__CHECK(__builtin_types_compatible_p(RN__ELEM(c), int),                   \
                                 "rn_notify: this is no channel of int"),                          \
                 RN__SENDABLE(c)),                                                                 \
                RN__SIGS(__VA_ARGS__), RN__NSIGS(__VA_ARGS__))
#define rn_notify_ignore(...) rn_notify_ignore_n(RN__SIGS(__VA_ARGS__), RN__NSIGS(__VA_ARGS__))
#define rn_notify_reset(...) rn_notify_reset_n(RN__SIGS(__VA_ARGS__), RN__NSIGS(__VA_ARGS__))
#define rn_notify_ctx(parent, ...)                                                                 \
    rn_notify_ctx_n((parent), RN__SIGS(__VA_ARGS__), RN__NSIGS(__VA_ARGS__))

/* void rn_notify_stop(c): send no more on c. What arrived before is on it, what arrives later never will be. */
#define rn_notify_stop(c) rn_notify_stop_n(RN__SENDABLE(c))

#define RN__SIGS(...) ((const int[]){__VA_ARGS__})
#define RN__NSIGS(...) (sizeof(RN__SIGS(__VA_ARGS__)) / sizeof(int))
#endif

/* The untyped functions below the macros. */
RN_API int rn_notify_n(void *c, const int *sigs, size_t n);
RN_API int rn_notify_ignore_n(const int *sigs, size_t n);
RN_API int rn_notify_reset_n(const int *sigs, size_t n);
RN_API void rn_notify_stop_n(void *c);
RN_API rn_ctx *rn_notify_ctx_n(rn_ctx *parent, const int *sigs, size_t n);

/* Watch no more for signals for this context, cancel it, and give back the reference. */
RN_API void rn_notify_ctx_stop(rn_ctx *ctx);

RN__END

#endif
