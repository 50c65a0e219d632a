/* SPDX-License-Identifier: MIT */
/* time_test.c: sleeping, timers and tickers, as in Go 1.23's package time. No upper bounds of time are asserted. */
#include "test.h"

#include <errno.h>
#include <pthread.h>
#include <sys/resource.h>

#define HOUR (3600 * RN_SEC)

/* Let what is due happen: timers need somebody who looks at them. */
static void pass(rn_duration d) {
    rn_time until = rn_now() + d;
    do rn_yield();
    while (rn_now() < until);
}

/* ---- the clock and sleeping ---- */

TEST(now_never_goes_back) {
    rn_time before = rn_now();
    for (int i = 0; i < 1000; i++) {
        rn_time t = rn_now();
        CHECK_LE(before, t);
        before = t;
    }
}

static void check_sleep(rn_duration d) {
    rn_time before = rn_now();
    rn_sleep(d);
    CHECK_GE(rn_now() - before, d);
}

TEST(a_thread_sleeps_no_less_than_asked) {
    check_sleep(2 * RN_MS);
    check_sleep(1);
    check_sleep(50 * RN_US);
}

TEST_GO(a_goroutine_sleeps_no_less_than_asked) {
    check_sleep(2 * RN_MS);
    check_sleep(1);
    check_sleep(50 * RN_US);
}

TEST_GO(sleeping_for_nothing_returns) {
    rn_sleep(0);
    rn_sleep(-1);
    rn_sleep(INT64_MIN);
    rn_sleep_until(0);
    rn_sleep_until(rn_now());
    rn_time t = rn_now() + RN_MS;
    rn_sleep_until(t);
    CHECK_GE(rn_now(), t);
}

static void sleeper(rn_duration d, void *done) {
    check_sleep(d);
    rn_send((rn_chan(int))done, 1);
}

TEST_GO(many_sleepers_all_wake) {
    rn_chan(int) done = rn_make(int, 0);
    uint64_t seed = test_seed();
    long n = scaled(2000);
    for (long i = 0; i < n; i++)
        CHECK_EQ(rn_go(sleeper, (rn_duration)(test_random(&seed) % (5 * RN_MS)), (void *)done), 0);
    for (long i = 0; i < n; i++) rn_recv(done);
    rn_unref(done);
}

static void *sleeping_thread(void *c) {
    check_sleep(RN_MS);
    rn_send((rn_chan(int))c, 1);
    return NULL;
}

TEST(threads_and_goroutines_sleep_together) {
    rn_chan(int) done = rn_make(int, 8);
    pthread_t t[4];
    for (int i = 0; i < 4; i++) CHECK_EQ(pthread_create(&t[i], NULL, sleeping_thread, done), 0);
    for (int i = 0; i < 4; i++) rn_go(sleeper, RN_MS, (void *)done);
    for (int i = 0; i < 4; i++) pthread_join(t[i], NULL);
    for (int i = 0; i < 8; i++) rn_recv(done);
    rn_unref(done);
}

/* ---- timers ---- */

TEST_GO(a_timer_sends_the_time_at_which_it_was_due) {
    rn_time before = rn_now();
    rn_timer *t = rn_timer_new(RN_MS);
    rn_time after = rn_now();
    pass(2 * RN_MS);
    rn_time v = rn_recv(rn_timer_chan(t));
    CHECK_GE(v, before + RN_MS);
    CHECK_LE(v, after + RN_MS);
    rn_timer_free(t);
}

TEST_GO(a_timer_of_no_time_is_due_when_it_is_set) {
    rn_sleep(RN_MS); /* so that the clock is not where the heap was looked at last */
    rn_time before = rn_now();
    rn_timer *t = rn_timer_new(-RN_SEC);
    rn_time due = rn_recv(rn_timer_chan(t));
    CHECK(due >= before && due <= rn_now());
    rn_timer_reset(t, RN_SEC);
    before = rn_now();
    CHECK(rn_timer_reset(t, 0));
    due = rn_recv(rn_timer_chan(t));
    CHECK(due >= before && due <= rn_now());
    rn_timer_free(t);
}

TEST(a_thread_receives_from_a_timer) {
    rn_timer *t = rn_timer_new(RN_MS);
    rn_time v = rn_recv(rn_timer_chan(t));
    CHECK_LE(v, rn_now());
    rn_timer_free(t);
}

TEST_GO(a_timer_fires_once) {
    rn_timer *t = rn_timer_new(-5);
    rn_recv(rn_timer_chan(t));
    pass(RN_MS);
    CHECK_EQ(rn_try_recv(rn_timer_chan(t), NULL), -EAGAIN);
    CHECK(!rn_timer_stop(t));
    rn_timer_free(t);
}

TEST_GO(a_timer_channel_looks_unbuffered) {
    rn_timer *t = rn_timer_new(0);
    rn_time_chan c = rn_timer_chan(t);
    CHECK_EQ(rn_cap(c), 0);
    pass(RN_MS);
    CHECK_EQ(rn_len(c), 0);
    CHECK_EQ(rn_cap(c), 0);
    rn_recv(c);
    rn_timer_free(t);
}

TEST_GO(stop_tells_whether_the_timer_was_active) {
    rn_timer *t = rn_timer_new(HOUR);
    CHECK(rn_timer_stop(t));
    CHECK(!rn_timer_stop(t));
    CHECK(!rn_timer_reset(t, HOUR));
    CHECK(rn_timer_reset(t, 2 * HOUR));
    CHECK(rn_timer_reset(t, 0));
    rn_recv(rn_timer_chan(t));
    CHECK(!rn_timer_stop(t));
    rn_timer_free(t);
}

TEST_GO(stop_drops_a_value_that_nobody_has_received) {
    rn_timer *t = rn_timer_new(0);
    pass(RN_MS);
    CHECK(rn_timer_stop(t));
    CHECK_EQ(rn_try_recv(rn_timer_chan(t), NULL), -EAGAIN);
    CHECK(!rn_timer_stop(t));
    rn_timer_free(t);
}

TEST_GO(reset_drops_a_value_that_nobody_has_received) {
    rn_timer *t = rn_timer_new(0);
    pass(RN_MS);
    CHECK(rn_timer_reset(t, HOUR));
    CHECK_EQ(rn_try_recv(rn_timer_chan(t), NULL), -EAGAIN);
    rn_timer_free(t);
}

TEST_GO(no_stale_value_after_stop) {
    rn_timer *t = rn_timer_new(HOUR);
    uint64_t seed = test_seed();
    long n = scaled(100000);
    for (long i = 0; i < n; i++) {
        rn_timer_reset(t, (rn_duration)(test_random(&seed) % 2000));
        if (test_random(&seed) % 2) rn_yield();
        rn_timer_stop(t);
        CHECK_EQ(rn_try_recv(rn_timer_chan(t), NULL), -EAGAIN);
    }
    rn_timer_free(t);
}

TEST_GO(no_stale_value_after_reset) {
    rn_timer *t = rn_timer_new(HOUR);
    uint64_t seed = test_seed();
    long n = scaled(100000);
    for (long i = 0; i < n; i++) {
        rn_timer_reset(t, (rn_duration)(test_random(&seed) % 2000));
        if (test_random(&seed) % 2) rn_yield();
        rn_duration d = (rn_duration)(test_random(&seed) % 2000);
        rn_time before = rn_now();
        rn_timer_reset(t, d);
        /* d <= 0 is due at once, whenever that was */
        rn_time v = rn_recv(rn_timer_chan(t));
        if (d > 0) CHECK_GE(v, before + d);
    }
    CHECK_EQ(rn_try_recv(rn_timer_chan(t), NULL), -EAGAIN);
    rn_timer_free(t);
}

static void stopper(void *timer, void *result) {
    rn_send((rn_chan(int))result, rn_timer_stop(timer));
}

static void receiver(void *timer, void *result) {
    rn_send((rn_chan(int))result, rn_try_recv(rn_timer_chan(timer), NULL) == 0);
}

TEST_GO(a_timer_is_received_or_stopped_by_exactly_one) {
    rn_chan(int) result = rn_make(int, 0);
    uint64_t seed = test_seed();
    long n = scaled(2000);
    for (long i = 0; i < n; i++) {
        rn_timer *t = rn_timer_new((rn_duration)(test_random(&seed) % 4000));
        int won = 0;
        for (int k = 0; k < 3; k++) {
            rn_go(stopper, (void *)t, (void *)result);
            rn_go(receiver, (void *)t, (void *)result);
        }
        for (int k = 0; k < 6; k++) won += rn_recv(result);
        CHECK_EQ(won, 1);
        rn_timer_free(t);
    }
    rn_unref(result);
}

static void churn(void *timer, uint64_t seed, void *done) {
    for (long i = 0; i < scaled(3000); i++) {
        switch (test_random(&seed) % 4) {
        case 0: rn_timer_stop(timer); break;
        case 1: rn_try_recv(rn_timer_chan(timer), NULL); break;
        case 2: rn_yield(); break;
        default: rn_timer_reset(timer, (rn_duration)(test_random(&seed) % 3000));
        }
    }
    rn_send((rn_chan(int))done, 1);
}

TEST_GO(many_use_one_timer) {
    rn_timer *t = rn_timer_new(0);
    rn_chan(int) done = rn_make(int, 0);
    uint64_t seed = test_seed();
    for (int i = 0; i < 8; i++) rn_go(churn, (void *)t, test_random(&seed), (void *)done);
    for (int i = 0; i < 8; i++) rn_recv(done);
    rn_timer_stop(t);
    CHECK_EQ(rn_try_recv(rn_timer_chan(t), NULL), -EAGAIN);
    rn_timer_reset(t, 1);
    rn_recv(rn_timer_chan(t));
    rn_timer_free(t);
    rn_unref(done);
}

TEST_GO(a_timer_channel_outlives_its_timer) {
    rn_timer *t = rn_timer_new(0);
    rn_time_chan c = rn_ref(rn_timer_chan(t));
    rn_timer_free(t);
    pass(RN_MS);
    CHECK_EQ(rn_try_recv(c, NULL), -EAGAIN);
    CHECK_EQ(rn_cap(c), 0);
    rn_unref(c);
}

TEST_GO(after_sends_once) {
    rn_time before = rn_now();
    rn_time_chan c = rn_after(RN_MS);
    CHECK_GE(rn_recv(c), before + RN_MS);
    rn_unref(c);
}

TEST_GO(an_after_that_nobody_waits_for_is_no_leak) {
    for (long i = 0; i < scaled(1000); i++) {
        rn_time_chan c = rn_after(i % 2 ? HOUR : i);
        rn_unref(c);
    }
}

TEST_GO(far_timers_never_fire_and_never_overflow) {
    static const rn_duration far[] = {INT64_MAX, INT64_MAX - 1, INT64_MAX / 2, HOUR};
    for (size_t i = 0; i < sizeof far / sizeof *far; i++) {
        rn_timer *t = rn_timer_new(far[i]);
        rn_ticker *k = rn_ticker_new(far[i]);
        pass(10 * RN_US);
        CHECK_EQ(rn_try_recv(rn_timer_chan(t), NULL), -EAGAIN);
        CHECK_EQ(rn_try_recv(rn_ticker_chan(k), NULL), -EAGAIN);
        CHECK(rn_timer_reset(t, INT64_MIN));
        rn_recv(rn_timer_chan(t));
        rn_timer_free(t);
        rn_ticker_free(k);
    }
}

TEST_GO(a_million_armed_timers) {
    long n = scaled(1000000);
    rn_timer **t = calloc((size_t)n, sizeof *t);
    uint64_t seed = test_seed();
    for (long i = 0; i < n; i++) {
        t[i] = rn_after_func(HOUR + (rn_duration)(test_random(&seed) % HOUR), free, NULL);
        CHECK(t[i] != NULL);
    }
    for (long i = 0; i < n; i += 2) CHECK(rn_timer_reset(t[i], 2 * HOUR));
    for (long i = n - 1; i > 0; i--) {
        long j = (long)(test_random(&seed) % (uint64_t)(i + 1));
        rn_timer *x = t[i];
        t[i] = t[j];
        t[j] = x;
    }
    for (long i = 0; i < n; i++) {
        CHECK(rn_timer_stop(t[i]));
        rn_timer_free(t[i]);
    }
    free(t);
}

/* ---- functions ---- */

static void tell_goid(void *c) { rn_send((rn_chan(uint64_t))c, rn_goid()); }

TEST_GO(after_func_runs_in_a_goroutine_of_its_own) {
    rn_chan(uint64_t) c = rn_make(uint64_t, 0);
    rn_timer *t = rn_after_func(RN_MS, tell_goid, c);
    CHECK(rn_timer_chan(t) == NULL);
    uint64_t id = rn_recv(c);
    CHECK_NE(id, 0);
    CHECK_NE(id, rn_goid());
    CHECK(!rn_timer_stop(t));
    CHECK(!rn_timer_reset(t, 0));
    CHECK_NE(rn_recv(c), id);
    rn_timer_free(t);
    rn_unref(c);
}

static void never(void *what) { FAIL("%s", (const char *)what); }

TEST_GO(a_stopped_function_does_not_run) {
    rn_timer *t = rn_after_func(HOUR, never, "stopped function ran");
    CHECK(rn_timer_stop(t));
    CHECK(!rn_timer_stop(t));
    pass(RN_MS);
    rn_timer_free(t);
    rn_timer_free(rn_after_func(HOUR, never, "freed function ran"));
}

struct note {
    int64_t written; /* plainly: TSan must see that the timer orders it */
    rn_chan(int64_t) c;
};

static void read_note(void *p) {
    struct note *n = p;
    rn_send(n->c, n->written);
}

TEST_GO(a_function_sees_what_came_before_its_timer_was_set) {
    struct note n = {0, rn_make(int64_t, 0)};
    n.written = 1;
    rn_timer *t = rn_after_func(0, read_note, &n);
    CHECK_EQ(rn_recv(n.c), 1);
    n.written = 2;
    rn_timer_reset(t, RN_US);
    CHECK_EQ(rn_recv(n.c), 2);
    rn_timer_free(t);
    rn_unref(n.c);
}

TEST_GO(a_detached_function_frees_itself) {
    rn_chan(uint64_t) c = rn_make(uint64_t, 0);
    rn_timer_detach(rn_after_func(RN_MS, tell_goid, c));
    rn_timer_detach(rn_after_func(0, tell_goid, c));
    rn_recv(c);
    rn_recv(c);
    rn_timer *t = rn_after_func(0, tell_goid, c);
    rn_recv(c);
    rn_timer_detach(t);
    rn_unref(c);
}

TEST_GO(a_thousand_functions_at_once) {
    enum { N = 1000 };
    rn_chan(uint64_t) c = rn_make(uint64_t, N);
    static rn_timer *t[N];
    for (int i = 0; i < N; i++) t[i] = rn_after_func(0, tell_goid, c);
    for (int i = 0; i < N; i++) rn_recv(c);
    for (int i = 0; i < N; i++) rn_timer_free(t[i]);
    rn_unref(c);
}

/* ---- tickers ---- */

TEST_GO(a_ticker_ticks_on_its_grid_and_never_bunches) {
    rn_duration d = 200 * RN_US;
    rn_time start = rn_now();
    rn_ticker *k = rn_ticker_new(d);
    rn_time first = rn_recv(rn_ticker_chan(k)), last = first;
    CHECK_GE(first, start + d);
    for (int i = 0; i < 30; i++) {
        if (i % 10 == 0) pass(5 * d); /* some are dropped */
        rn_time v = rn_recv(rn_ticker_chan(k));
        CHECK_GT(v, last);
        CHECK_EQ((v - first) % d, 0);
        CHECK_LE(v, rn_now());
        last = v;
    }
    rn_ticker_free(k);
}

TEST_GO(a_ticker_drops_what_nobody_takes) {
    rn_ticker *k = rn_ticker_new(20 * RN_US);
    pass(5 * RN_MS);
    rn_ticker_stop(k);
    CHECK_EQ(rn_try_recv(rn_ticker_chan(k), NULL), -EAGAIN);
    rn_ticker_reset(k, RN_US);
    pass(5 * RN_MS);
    rn_time old = rn_recv(rn_ticker_chan(k)), again = rn_recv(rn_ticker_chan(k));
    CHECK_GT(again, old);
    CHECK_LE(again, rn_now());
    rn_ticker_free(k);
}

TEST_GO(a_stopped_ticker_is_silent) {
    rn_ticker *k = rn_ticker_new(10 * RN_US);
    for (long i = 0; i < scaled(2000); i++) {
        if (i % 2) rn_yield();
        rn_ticker_stop(k);
        CHECK_EQ(rn_try_recv(rn_ticker_chan(k), NULL), -EAGAIN);
        rn_ticker_reset(k, 1 + i % 3);
    }
    rn_recv(rn_ticker_chan(k));
    rn_ticker_free(k);
}

TEST_GO(reset_gives_a_ticker_a_new_grid) {
    rn_ticker *k = rn_ticker_new(HOUR);
    rn_time before = rn_now();
    rn_ticker_reset(k, RN_MS);
    rn_time v = rn_recv(rn_ticker_chan(k));
    CHECK_GE(v, before + RN_MS);
    CHECK_EQ((rn_recv(rn_ticker_chan(k)) - v) % RN_MS, 0);
    CHECK_EQ(rn_cap(rn_ticker_chan(k)), 0);
    rn_ticker_free(k);
}

static void new_ticker(void *d) { rn_ticker_new(*(rn_duration *)d); }

static void reset_ticker(void *k) { rn_ticker_reset(k, 0); }

static void detach(void *t) { rn_timer_detach(t); }

static void stop_nothing(void *t) { rn_timer_stop(t); }

TEST_GO(misuse_panics) {
    rn_panic_info p;
    rn_duration bad[] = {0, -1};
    for (int i = 0; i < 2; i++) {
        CHECK(!rn_try(new_ticker, &bad[i], &p));
        CHECK_STR(p.message, "non-positive interval for NewTicker");
    }
    rn_ticker *k = rn_ticker_new(HOUR);
    CHECK(!rn_try(reset_ticker, k, &p));
    CHECK_STR(p.message, "non-positive interval for Ticker.Reset");
    rn_ticker_free(k);
    rn_timer *t = rn_timer_new(HOUR);
    CHECK(!rn_try(detach, t, &p));
    rn_timer_free(t);
    CHECK(!rn_try(stop_nothing, NULL, &p));
    CHECK_STR(p.message, "time: NULL timer");
    rn_timer_free(NULL);
    rn_ticker_free(NULL);
}

/* ---- with channels and select ---- */

TEST_GO(a_timer_is_a_select_case) {
    rn_chan(int) c = rn_make(int, 0);
    rn_timer *t = rn_timer_new(RN_MS);
    rn_time v;
    int x;
    CHECK_EQ(rn_select(rn_on_recv(c, &x), rn_on_recv(rn_timer_chan(t), &v)), 1);
    CHECK_LE(v, rn_now());
    rn_timer_free(t);
    rn_unref(c);
}

TEST_GO(a_time_is_a_select_case) {
    rn_chan(int) c = rn_make(int, 0);
    int x;
    rn_time before = rn_now();
    CHECK_EQ(rn_select(rn_on_recv(c, &x), rn_on_after(RN_MS)), 1);
    CHECK_GE(rn_now(), before + RN_MS);
    CHECK_EQ(
        rn_select(rn_on_until(before + 2 * RN_MS), rn_on_recv(c, &x), rn_on_until(RN_TIME_MAX)), 0);
    CHECK_GE(rn_now(), before + 2 * RN_MS);
    CHECK_EQ(rn_select(rn_on_recv(c, &x), rn_on_after(-1)), 1);
    CHECK_EQ(rn_select_default(rn_on_recv(c, &x), rn_on_until(RN_TIME_MAX)), -1);
    CHECK_EQ(rn_select_default(rn_on_recv(c, &x), rn_on_until(1)), 1);
    rn_unref(c);
}

TEST_GO(waiting_until_a_time) {
    rn_chan(int) c = rn_make(int, 1);
    int x = 7;
    rn_time t = rn_now() + RN_MS;
    CHECK_EQ(rn_recv_until(c, &x, t), -ETIMEDOUT);
    CHECK_GE(rn_now(), t);
    CHECK_EQ(x, 7);
    CHECK_EQ(rn_send_until(c, 1, 0), 0);
    t = rn_now() + RN_MS;
    CHECK_EQ(rn_send_until(c, 2, t), -ETIMEDOUT);
    CHECK_GE(rn_now(), t);
    CHECK_EQ(rn_recv_until(c, &x, RN_TIME_MAX), 0);
    CHECK_EQ(x, 1);
    rn_unref(c);
}

static void feed(void *c, void *done) {
    while (rn_send_until((rn_chan(int))c, 1, RN_TIME_MAX) == 0) {
    }
    rn_send((rn_chan(int))done, 1);
}

static void burst(void *stop, void *done) {
    while (!__atomic_load_n((bool *)stop, __ATOMIC_RELAXED)) {
        rn_time until = rn_now() + RN_MS;
        while (rn_now() < until) {
        }
        rn_yield();
    }
    rn_send((rn_chan(int))done, 1);
}

TEST_GO(a_timer_case_fires_amid_busy_goroutines_and_ready_cases) {
    bool stop = false;
    rn_chan(int) c = rn_make(int, 8), done = rn_make(int, 0);
    for (int i = 0; i < 4; i++) {
        rn_go(feed, (void *)c, (void *)done);
        rn_go(burst, (void *)&stop, (void *)done);
    }
    rn_timer *t = rn_timer_new(3 * RN_MS);
    rn_time due = rn_now() + 3 * RN_MS;
    for (bool timer = false, until = false; !timer || !until;) {
        switch (
            rn_select(rn_on_recv(c, NULL), rn_on_recv(rn_timer_chan(t), NULL), rn_on_until(due))) {
        case 1: timer = true; break;
        case 2: until = true; break;
        default: break;
        }
    }
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    rn_close(c);
    for (int i = 0; i < 8; i++) rn_recv(done);
    rn_timer_free(t);
    rn_unref(c);
    rn_unref(done);
}

#if defined(__SANITIZE_THREAD__) || defined(RN_TSAN_USER)
#define RN__TEST_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RN__TEST_TSAN 1
#endif
#endif
#ifndef RN__TEST_TSAN
#define RN__TEST_TSAN 0
#endif

static long voluntary_switches(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return u.ru_nvcsw;
}

/* A thread that wakes gives up its CPU once more afterwards: each wake-up is a voluntary switch. */
TEST_ONCE(an_idle_second_has_no_periodic_wakeups) {
    if (RN__TEST_TSAN) SKIP("ThreadSanitizer has a thread of its own that wakes up");
    rn_timer *t = rn_timer_new(HOUR);
    rn_sleep(50 * RN_MS); /* what runs after the start settles */
    long before = voluntary_switches();
    rn_sleep(RN_SEC);
    CHECK_LE(voluntary_switches() - before, 60);
    rn_timer_free(t);
}
