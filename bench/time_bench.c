/* SPDX-License-Identifier: MIT */
/*
 * time_bench.c: Go's own benchmarks of package time (sleep_test.go, tick_test.go) and some of
 * package context, written anew for runnel; their twins are in go/time_rows.go.
 *
 * As in Go, the rows of time run amid 32,768 timers for each processor that are an hour away, and each
 * is run by as many goroutines as there are processors, which share the n operations.
 */
#include "bench.h"

#define HOUR (3600 * RN_SEC)

enum { GARBAGE = 1 << 15, MAX_PROCS = 256 };

static void nothing(void *p) { (void)p; }

/* ---- the frame ---- */

static struct {
    rn_timer **timers[MAX_PROCS];
    int procs;
} garbage;

static void make_garbage(int p, void *wg) {
    int64_t n = bench_size(GARBAGE, 16);
    garbage.timers[p] = calloc((size_t)n, sizeof(rn_timer *));
    for (int64_t i = 0; i < n; i++) garbage.timers[p][i] = rn_after_func(HOUR, nothing, NULL);
    rn_wg_done(wg);
}

static void drop_garbage(void) {
    for (int p = 0; p < garbage.procs; p++) {
        for (int64_t i = 0; i < bench_size(GARBAGE, 16); i++) rn_timer_free(garbage.timers[p][i]);
        free(garbage.timers[p]);
    }
}

static void run_share(void (*body)(int64_t), int64_t n, void *wg) {
    body(n);
    rn_wg_done(wg);
}

static void in_parallel(void (*body)(int64_t), int64_t n, int procs) {
    rn_wg wg = {0};
    rn_wg_add(&wg, procs);
    for (int p = 0; p < procs; p++) GO(run_share, body, n / procs + (p < n % procs), (void *)&wg);
    rn_wg_wait(&wg);
}

static void amid_garbage(void (*body)(int64_t), int64_t n) {
    rn_wg wg = {0};
    garbage.procs = rn_procs(0);
    rn_wg_add(&wg, garbage.procs);
    for (int p = 0; p < garbage.procs; p++) GO(make_garbage, p, (void *)&wg);
    rn_wg_wait(&wg);
    bench_reset();
    in_parallel(body, n, garbage.procs);
    bench_stop();
    drop_garbage();
}

/* A row of package time. */
#define TIME_ROW(name)                                                                             \
    static void time_##name(int64_t n);                                                            \
    ROW(name) { amid_garbage(time_##name, n); }                                                    \
    static void time_##name(int64_t n)

/* ---- package time ---- */

struct chain {
    int64_t left;
    rn_timer *timer;
    rn_chan(char) end;
};

static void next_in_chain(void *p) {
    struct chain *c = p;
    if (--c->left < 0)
        rn_send(c->end, 1);
    else
        rn_timer_detach(rn_after_func(0, next_in_chain, c));
}

TIME_ROW(AfterFunc1000) {
    while (n-- > 0) {
        struct chain c = {1000, NULL, rn_make(char, 0)};
        rn_timer_detach(rn_after_func(0, next_in_chain, &c));
        rn_recv(c.end);
        rn_unref(c.end);
    }
}

TIME_ROW(After) {
    while (n-- > 0) {
        rn_time_chan c = rn_after(1);
        rn_recv(c);
        rn_unref(c);
    }
}

TIME_ROW(StopChan) {
    while (n-- > 0) rn_timer_free(rn_timer_new(RN_SEC));
}

TIME_ROW(StopFunc) {
    while (n-- > 0) rn_timer_free(rn_after_func(RN_SEC, nothing, NULL));
}

static void done_one(void *wg) { rn_wg_done(wg); }

TIME_ROW(SimultaneousAfterFunc1000) {
    while (n-- > 0) {
        rn_wg wg = {0};
        rn_wg_add(&wg, 1000);
        for (int i = 0; i < 1000; i++) rn_timer_detach(rn_after_func(0, done_one, &wg));
        rn_wg_wait(&wg);
    }
}

TIME_ROW(StartStop1000) {
    enum { N = 1000 };
    rn_timer **timers = malloc(N * sizeof *timers);
    while (n-- > 0) {
        for (int i = 0; i < N; i++) timers[i] = rn_after_func(HOUR, nothing, NULL);
        for (int i = 0; i < N; i++) rn_timer_free(timers[i]);
    }
    free(timers);
}

TIME_ROW(ResetChan) {
    rn_timer *t = rn_timer_new(HOUR);
    while (n-- > 0) rn_timer_reset(t, HOUR);
    rn_timer_free(t);
}

TIME_ROW(ResetFunc) {
    rn_timer *t = rn_after_func(HOUR, nothing, NULL);
    while (n-- > 0) rn_timer_reset(t, HOUR);
    rn_timer_free(t);
}

static void sleep_one(void *wg) {
    rn_sleep(1);
    rn_wg_done(wg);
}

TIME_ROW(Sleep1000) {
    while (n-- > 0) {
        rn_wg wg = {0};
        rn_wg_add(&wg, 1000);
        for (int i = 0; i < 1000; i++) GO(sleep_one, (void *)&wg);
        rn_wg_wait(&wg);
    }
}

TIME_ROW(Ticker) {
    rn_ticker *t = rn_ticker_new(1);
    while (n-- > 0) rn_recv(rn_ticker_chan(t));
    rn_ticker_free(t);
}

TIME_ROW(TickerReset) {
    rn_ticker *t = rn_ticker_new(1);
    while (n-- > 0) rn_ticker_reset(t, 2);
    rn_ticker_free(t);
}

/* ---- package context ---- */

ROW(ContextCancel) {
    while (n-- > 0) {
        rn_ctx *c = rn_ctx_with_cancel(rn_ctx_background());
        rn_ctx_cancel(c);
        rn_ctx_unref(c);
    }
}

ROW(ContextCancelDone) {
    while (n-- > 0) {
        rn_ctx *c = rn_ctx_with_cancel(rn_ctx_background());
        rn_done_chan done = rn_ctx_done(c);
        rn_ctx_cancel(c);
        rn_recv(done);
        rn_ctx_unref(c);
    }
}

ROW(ContextTimeout) {
    while (n-- > 0) {
        rn_ctx *c = rn_ctx_with_timeout(rn_ctx_background(), HOUR);
        rn_ctx_cancel(c);
        rn_ctx_unref(c);
    }
}

static rn_ctx *common;

static void children(int64_t n) {
    while (n-- > 0) {
        rn_ctx *c = rn_ctx_with_cancel(common);
        rn_ctx_cancel(c);
        rn_ctx_unref(c);
    }
}

ROW(ContextCommonParentCancel) {
    common = rn_ctx_with_cancel(rn_ctx_background());
    in_parallel(children, n, rn_procs(0));
    rn_ctx_cancel(common);
    rn_ctx_unref(common);
}

/* A chain of a thousand, cancelled from its top. */
ROW(ContextCancelTree1000) {
    while (n-- > 0) {
        rn_ctx *top = rn_ctx_with_cancel(rn_ctx_background()), *c = rn_ctx_ref(top);
        for (int i = 0; i < 1000; i++) {
            rn_ctx *d = rn_ctx_with_cancel(c);
            rn_ctx_unref(c);
            c = d;
        }
        rn_ctx_cancel(top);
        rn_ctx_unref(top);
        rn_ctx_unref(c);
    }
}

ROW(ContextErrOK) {
    rn_ctx *c = rn_ctx_with_cancel(rn_ctx_background());
    while (n-- > 0)
        if (rn_ctx_err(c)) bench_die("cancelled");
    rn_ctx_unref(c);
}

ROW(ContextDeepValue10) {
    static char key[10];
    rn_ctx *c = rn_ctx_background();
    for (int i = 0; i < 10; i++) {
        rn_ctx *d = rn_ctx_with_value(c, &key[i], &key[i]);
        rn_ctx_unref(c);
        c = d;
    }
    while (n-- > 0)
        if (rn_ctx_value(c, &key[0]) != &key[0]) bench_die("no value");
    rn_ctx_unref(c);
}
