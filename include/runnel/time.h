/* SPDX-License-Identifier: MIT */
/*
 * time.h: the clock, sleeping, timers and tickers, as Go 1.23's package time.
 *
 * All times are nanoseconds of CLOCK_MONOTONIC, which stands still while the machine is suspended.
 * RN_TIME_MAX is never: what would lie past it is never too. All functions may be called from any
 * goroutine and any plain thread, on one timer by several at once (but free it once, last); none but rn_now in a signal
 * handler. A NULL timer or ticker panics `time: NULL timer`, but for the frees.
 *
 * A timer's channel behaves as an unbuffered one: rn_len and rn_cap are 0, and once stop or reset has
 * returned no value of the time before is ever received. A value is the time at which it was due.
 */
#ifndef RUNNEL_TIME_H
#define RUNNEL_TIME_H

#include <runnel/chan.h>

RN__BEGIN

/* Now. Never negative. Never blocks; async-signal-safe. */
RN_API rn_time rn_now(void);

/* Block for d, or until t. Return at once when that is 0, negative or past. */
RN_API void rn_sleep(rn_duration d);
RN_API void rn_sleep_until(rn_time t);

/*
 * Block for d or until the context is done. 0: d has passed; -ECANCELED: it was cancelled; -ETIMEDOUT: its
 * deadline passed. A context that is done already wins over a d of 0 or less. Panics `context: NULL context`, and
 * `context: out of memory` as rn_ctx_done does (context.h).
 */
RN_API int rn_sleep_ctx(struct rn_ctx *ctx, rn_duration d);

/* What a timer's channel is: only received from. Borrowed from the timer, unless said otherwise. */
#ifdef __cplusplus
typedef void *rn_time_chan;
#else
typedef rn_recv_chan(rn_time) rn_time_chan;
#endif

/* A timer that fires once. Opaque. */
typedef struct rn_timer rn_timer;

/*
 * A timer that sends on its channel once, d from now (at once if d <= 0). To be given back with
 * rn_timer_free. NULL when there is no memory. Never blocks.
 */
RN_API rn_timer *rn_timer_new(rn_duration d);

/*
 * A timer that runs `fn(arg)` in a goroutine of its own, d from now. It has no channel. To be given
 * back with rn_timer_free or rn_timer_detach. NULL when there is no memory. Never blocks.
 */
RN_API rn_timer *rn_after_func(rn_duration d, void (*fn)(void *), void *arg);

/* The timer's channel; NULL for one of rn_after_func. Use rn_ref to keep it longer than the timer. */
RN_API rn_time_chan rn_timer_chan(rn_timer *t);

/*
 * Stop the timer. True: it was active, and now will not fire; a value that nobody has received counts as
 * not fired. False: it has fired or was stopped before; the goroutine of rn_after_func may still run.
 * Never blocks.
 */
RN_API bool rn_timer_stop(rn_timer *t);

/* Make the timer fire d from now, whatever it did before. Returns what rn_timer_stop would have. Never blocks. */
RN_API bool rn_timer_reset(rn_timer *t, rn_duration d);

/*
 * Stop the timer and free it. Who waits on its channel waits on, as with a stopped timer. The channel lives on as long as
 * somebody else has a reference. NULL is allowed. Never blocks.
 */
RN_API void rn_timer_free(rn_timer *t);

/*
 * Give back a timer of rn_after_func without stopping it: it frees itself once it has fired. Panics
 * `time: detach of a timer with a channel` on one of rn_timer_new. Never blocks.
 */
RN_API void rn_timer_detach(rn_timer *t);

/*
 * A channel on which the time is sent once, d from now. The caller owns the reference: rn_unref it,
 * before or after the value came; the timer goes with it. NULL when there is no memory. Never blocks.
 * In a select, rn_on_after (select.h) does the same without an allocation.
 */
RN_API rn_time_chan rn_after(rn_duration d);

/* A timer that fires again and again. Opaque. */
typedef struct rn_ticker rn_ticker;

/*
 * A ticker that sends on its channel every d, the first time d from now. Ticks that nobody takes
 * are dropped: at most one waits. To be given back with rn_ticker_free. NULL when there is
 * no memory. Panics `non-positive interval for NewTicker` if d <= 0. Never blocks.
 */
RN_API rn_ticker *rn_ticker_new(rn_duration d);
RN_API rn_time_chan rn_ticker_chan(rn_ticker *t);

/* Stop ticking. The channel is not closed. Never blocks. */
RN_API void rn_ticker_stop(rn_ticker *t);

/*
 * Tick every d from now on, whether it was stopped or not; the next tick is d from now. Panics
 * `non-positive interval for Ticker.Reset` if d <= 0. Never blocks.
 */
RN_API void rn_ticker_reset(rn_ticker *t, rn_duration d);

/* Stop and free, as rn_timer_free. */
RN_API void rn_ticker_free(rn_ticker *t);

RN__END

#endif
