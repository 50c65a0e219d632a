/* SPDX-License-Identifier: MIT */
/*
 * context.h: deadlines, cancellation and values that go down a tree of calls, as Go's package context.
 *
 *     rn_ctx *ctx = rn_ctx_with_timeout(rn_ctx_background(), 2 * RN_SEC);
 *     int err = fetch(ctx, url);       // passes it on; rn_recv_ctx, rn_on_done(ctx), ...
 *     rn_ctx_cancel(ctx);              // stops whatever still works for it
 *     rn_ctx_unref(ctx);
 *
 * A context is done when it is cancelled, when its deadline passes, or when its parent is done; it stays so.
 * Contexts are counted: whoever makes one owns a reference and gives it back with rn_ctx_unref. A context keeps
 * its parent; dropping the last reference does not cancel it but ends its timer and frees it.
 * All functions may be called from any goroutine and any plain thread, on one context by several at
 * once; none in a signal handler. None blocks, but for the cancels and rn_ctx_after_func if a function is to be started
 * and there is no memory for its goroutine: they sleep until there is. The makers return NULL when there is no memory. A
 * NULL context panics `context: NULL context`, a NULL parent `cannot create context from nil parent`.
 */
#ifndef RUNNEL_CONTEXT_H
#define RUNNEL_CONTEXT_H

#include <runnel/select.h>

RN__BEGIN

typedef struct rn_ctx rn_ctx;

/* The root: never done, no deadline, no values. One object; counting it does nothing. todo: the same, for "not decided yet". */
RN_API rn_ctx *rn_ctx_background(void);
RN_API rn_ctx *rn_ctx_todo(void);

/* One more reference; returns ctx. One less; the last one frees it. NULL is allowed in unref. */
RN_API rn_ctx *rn_ctx_ref(rn_ctx *ctx);
RN_API void rn_ctx_unref(rn_ctx *ctx);

/*
 * Makers. Each refers to its parent, which the caller may unref at once.
 * with_cancel: done by rn_ctx_cancel. with_cancel_cause: the same; the name is for who looks for Go's.
 * with_deadline: also done at t; with_timeout: d from now. A parent's earlier deadline holds.
 * with_deadline_cause: `cause` is what rn_ctx_cause tells when that deadline ends it; 0: -ETIMEDOUT.
 * with_value: rn_ctx_value finds `value` under `key`, compared by address: use the address of a static variable of
 *   your own. Both stay the caller's. A NULL key panics `nil key`. Cannot be cancelled itself.
 * without_cancel: parent's values, but not done when the parent is; no deadline.
 */
RN_API rn_ctx *rn_ctx_with_cancel(rn_ctx *parent);
RN_API rn_ctx *rn_ctx_with_cancel_cause(rn_ctx *parent);
RN_API rn_ctx *rn_ctx_with_deadline(rn_ctx *parent, rn_time t);
RN_API rn_ctx *rn_ctx_with_deadline_cause(rn_ctx *parent, rn_time t, int cause);
RN_API rn_ctx *rn_ctx_with_timeout(rn_ctx *parent, rn_duration d);
RN_API rn_ctx *rn_ctx_with_value(rn_ctx *parent, const void *key, void *value);
RN_API rn_ctx *rn_ctx_without_cancel(rn_ctx *parent);

/*
 * Cancel a context made by with_cancel, with_deadline or with_timeout, and all below it: once; the first call
 * counts. It ends their timers. Time is linear in the number of contexts below. Keeps the caller's reference. Panics
 * `context: cancel of a context that has no cancel` on one of another kind.
 * cancel_cause: the same; `cause` is what rn_ctx_cause tells, here and below: any int that means
 * something to the program, as -EIO; 0: -ECANCELED.
 */
RN_API void rn_ctx_cancel(rn_ctx *ctx);
RN_API void rn_ctx_cancel_cause(rn_ctx *ctx, int cause);

/*
 * done: a channel that is closed when the context is done. Borrowed; lives as long as the context; always the same. NULL for
 *   one that is never done. The first call for a context makes the channel, and panics `context: out of memory` if there
 *   is none. So do rn_on_done, rn_send_ctx, rn_recv_ctx and rn_sleep_ctx; rn_lookup_ctx and rn_dial_ctx may.
 * err: 0: not done; -ECANCELED: cancelled; -ETIMEDOUT: its deadline, or one above it, passed. If not 0, the channel is closed.
 * err_text: "", "context canceled" or "context deadline exceeded".
 * cause: 0: not done; else the cause given by the first who cancelled, or what err tells.
 * deadline: true, and *t, if it or one above has a deadline; t may be NULL.
 * value: of the nearest context upwards with that key; NULL: none.
 */
#ifdef __cplusplus
typedef void *rn_done_chan;
#else
typedef rn_recv_chan(char) rn_done_chan;
#endif
RN_API rn_done_chan rn_ctx_done(rn_ctx *ctx);
static inline int rn_ctx_err(rn_ctx *ctx);
RN_API const char *rn_ctx_err_text(rn_ctx *ctx);
RN_API int rn_ctx_cause(rn_ctx *ctx);
RN_API bool rn_ctx_deadline(rn_ctx *ctx, rn_time *t);
RN_API void *rn_ctx_value(rn_ctx *ctx, const void *key);

/* How a context begins. */
struct rn__ctx_head {
    const int *rn__err; /* what err tells; constant, points to an atomic */
};
RN_API int rn__ctx_err(rn_ctx *ctx);

static inline int rn_ctx_err(rn_ctx *ctx) {
    const struct rn__ctx_head *head = (const struct rn__ctx_head *)(const void *)ctx;
    /* Relaxed: 0 orders nothing */
    if (RN__LIKELY(head && __atomic_load_n(head->rn__err, __ATOMIC_RELAXED) == 0)) return 0;
    return rn__ctx_err(ctx);
}

/*
 * Have `fn(arg)` run in a goroutine of its own once ctx is done (at once if it is). Returns a handle, to be
 * given back with rn_ctx_func_stop exactly once, whether fn has run or not; it keeps the context until then. NULL: no
 * memory, and fn will not run.
 * stop: true: fn has not been started and never will be. False: it has been started; stop does not wait for it.
 *   Panics `context: NULL function` on NULL.
 */
typedef struct rn_ctx_func rn_ctx_func;
RN_API rn_ctx_func *rn_ctx_after_func(rn_ctx *ctx, void (*fn)(void *), void *arg);
RN_API bool rn_ctx_func_stop(rn_ctx_func *f);

/* A select case: the context is done. Panics as rn_ctx_done does. */
static inline rn_case rn_on_done(rn_ctx *ctx) {
    return rn__on_recv((void *)rn_ctx_done(ctx), NULL, NULL);
}

RN__END

#endif
