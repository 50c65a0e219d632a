/* SPDX-License-Identifier: MIT */
/* context_test.c: cancellation, deadlines and values down the tree, as in Go's package context. */
#include "test.h"

#include <errno.h>
#include <pthread.h>

#define HOUR (3600 * RN_SEC)

static rn_ctx *root(void) { return rn_ctx_background(); }

static bool is_closed(rn_done_chan c) { return rn_try_recv(c, NULL) == -EPIPE; }

static void check_alive(rn_ctx *c) {
    CHECK_EQ(rn_ctx_err(c), 0);
    CHECK_EQ(rn_ctx_cause(c), 0);
    CHECK_STR(rn_ctx_err_text(c), "");
    CHECK(!is_closed(rn_ctx_done(c)));
}

static void check_done(rn_ctx *c, int err, int cause) {
    rn_recv(rn_ctx_done(c)); /* blocks until it is */
    CHECK_EQ(rn_ctx_err(c), err);
    CHECK_EQ(rn_ctx_cause(c), cause);
    CHECK_STR(rn_ctx_err_text(c),
              err == -ETIMEDOUT ? "context deadline exceeded" : "context canceled");
}

/* For a goroutine of its own, with a reference of its own. */
static void cancel_and_drop(rn_ctx *c, int cause) {
    rn_ctx_cancel_cause(c, cause);
    rn_ctx_unref(c);
}

TEST_GO(background_is_never_done) {
    rn_ctx *c = root();
    CHECK(c == rn_ctx_background());
    CHECK(rn_ctx_done(c) == NULL);
    CHECK_EQ(rn_ctx_err(c), 0);
    CHECK_EQ(rn_ctx_cause(rn_ctx_todo()), 0);
    CHECK(!rn_ctx_deadline(c, NULL));
    CHECK(rn_ctx_value(c, &c) == NULL);
    rn_ctx_unref(rn_ctx_ref(c));
    rn_ctx_unref(c);
    rn_ctx_unref(NULL);
}

TEST_GO(cancel_closes_done) {
    rn_ctx *c = rn_ctx_with_cancel(root());
    rn_done_chan done = rn_ctx_done(c);
    check_alive(c);
    rn_ctx_cancel(c);
    CHECK(is_closed(done));
    CHECK(done == rn_ctx_done(c));
    check_done(c, -ECANCELED, -ECANCELED);
    rn_ctx_cancel(c);
    check_done(c, -ECANCELED, -ECANCELED);
    rn_ctx_unref(c);
}

TEST(a_thread_uses_contexts) {
    rn_ctx *c = rn_ctx_with_timeout(root(), RN_MS);
    check_done(c, -ETIMEDOUT, -ETIMEDOUT);
    rn_ctx_unref(c);
}

TEST_GO(done_asked_for_after_the_cancel_is_closed) {
    rn_ctx *c = rn_ctx_with_cancel(root());
    rn_ctx_cancel(c);
    CHECK_EQ(rn_ctx_err(c), -ECANCELED);
    CHECK(is_closed(rn_ctx_done(c)));
    CHECK(rn_ctx_done(c) == rn_ctx_done(c));
    rn_ctx_unref(c);
}

TEST_GO(the_first_cause_counts) {
    rn_ctx *c = rn_ctx_with_cancel_cause(root()), *d = rn_ctx_with_cancel(c);
    rn_ctx_cancel_cause(c, -EIO);
    rn_ctx_cancel_cause(c, -ENOENT);
    rn_ctx_cancel_cause(d, 17);
    check_done(c, -ECANCELED, -EIO);
    check_done(d, -ECANCELED, -EIO);
    rn_ctx_unref(c);
    rn_ctx_unref(d);
    c = rn_ctx_with_cancel(root());
    rn_ctx_cancel_cause(c, 0);
    check_done(c, -ECANCELED, -ECANCELED);
    rn_ctx_unref(c);
}

TEST_GO(cancel_goes_down_not_up_nor_sideways) {
    rn_ctx *top = rn_ctx_with_cancel(root());
    rn_ctx *mid = rn_ctx_with_cancel(top), *side = rn_ctx_with_cancel(top);
    rn_ctx *value = rn_ctx_with_value(mid, &top, NULL);
    rn_ctx *leaf = rn_ctx_with_timeout(value, HOUR);
    rn_ctx_cancel_cause(mid, 5);
    check_done(mid, -ECANCELED, 5);
    check_done(value, -ECANCELED, 5);
    check_done(leaf, -ECANCELED, 5);
    check_alive(top);
    check_alive(side);
    rn_ctx_cancel(top);
    check_done(side, -ECANCELED, -ECANCELED);
    check_done(leaf, -ECANCELED, 5);
    rn_ctx *all[] = {top, mid, side, value, leaf};
    for (int i = 0; i < 5; i++) rn_ctx_unref(all[i]);
}

TEST_GO(below_one_that_is_done_all_are) {
    rn_ctx *c = rn_ctx_with_cancel(root());
    rn_ctx_cancel_cause(c, 9);
    rn_ctx *a = rn_ctx_with_cancel(c), *b = rn_ctx_with_timeout(c, HOUR);
    check_done(a, -ECANCELED, 9);
    check_done(b, -ECANCELED, 9);
    rn_ctx_unref(a);
    rn_ctx_unref(b);
    rn_ctx_unref(c);
}

TEST_GO(a_deadline_ends_it) {
    rn_time t = rn_now() + RN_MS, got = 0;
    rn_ctx *c = rn_ctx_with_deadline(root(), t), *d = rn_ctx_with_cancel(c);
    CHECK(rn_ctx_deadline(d, &got));
    CHECK_EQ(got, t);
    check_done(d, -ETIMEDOUT, -ETIMEDOUT);
    CHECK_GE(rn_now(), t);
    check_done(c, -ETIMEDOUT, -ETIMEDOUT);
    rn_ctx_unref(c);
    rn_ctx_unref(d);
    c = rn_ctx_with_deadline_cause(root(), rn_now() + 10, -EIO);
    check_done(c, -ETIMEDOUT, -EIO);
    rn_ctx_unref(c);
}

TEST_GO(a_deadline_in_the_past_ends_it_at_once) {
    static const rn_duration past[] = {0, -1, INT64_MIN};
    for (int i = 0; i < 3; i++) {
        rn_ctx *c = rn_ctx_with_timeout(root(), past[i]);
        CHECK_EQ(rn_ctx_err(c), -ETIMEDOUT);
        check_done(c, -ETIMEDOUT, -ETIMEDOUT);
        rn_ctx_unref(c);
    }
}

TEST_GO(the_earliest_deadline_above_holds) {
    rn_time t = rn_now() + HOUR, got;
    rn_ctx *a = rn_ctx_with_deadline(root(), t);
    rn_ctx *b = rn_ctx_with_deadline(a, t + HOUR), *c = rn_ctx_with_deadline(b, t - RN_SEC);
    rn_ctx *d = rn_ctx_with_timeout(root(), INT64_MAX);
    CHECK(rn_ctx_deadline(b, &got) && got == t);
    CHECK(rn_ctx_deadline(c, &got) && got == t - RN_SEC);
    CHECK(rn_ctx_deadline(d, &got) && got == RN_TIME_MAX);
    check_alive(d);
    rn_ctx_cancel(b);
    check_done(c, -ECANCELED, -ECANCELED);
    check_alive(a);
    rn_ctx *all[] = {a, b, c, d};
    for (int i = 0; i < 4; i++) rn_ctx_unref(all[i]);
}

TEST_GO(values_are_looked_up_towards_the_root) {
    static char k1, k2, k3;
    int one = 1, two = 2, three = 3;
    rn_ctx *a = rn_ctx_with_value(root(), &k1, &one);
    rn_ctx *b = rn_ctx_with_cancel(a);
    rn_ctx *c = rn_ctx_with_value(b, &k2, &two);
    rn_ctx *d = rn_ctx_with_value(c, &k1, &three);
    rn_ctx *e = rn_ctx_without_cancel(d);
    CHECK(rn_ctx_value(e, &k1) == &three);
    CHECK(rn_ctx_value(e, &k2) == &two);
    CHECK(rn_ctx_value(c, &k1) == &one);
    CHECK(rn_ctx_value(b, &k2) == NULL);
    CHECK(rn_ctx_value(e, &k3) == NULL);
    rn_ctx_cancel(b);
    check_done(d, -ECANCELED, -ECANCELED);
    CHECK_EQ(rn_ctx_err(e), 0);
    CHECK(rn_ctx_done(e) == NULL);
    rn_ctx *f = rn_ctx_with_cancel(e);
    check_alive(f);
    CHECK(rn_ctx_value(f, &k1) == &three);
    rn_ctx *all[] = {a, b, c, d, e, f};
    for (int i = 0; i < 6; i++) rn_ctx_unref(all[i]);
}

/* ---- functions ---- */

static void tell(void *c) { rn_send((rn_chan(int))c, 1); }

static void never(void *what) { FAIL("%s", (const char *)what); }

TEST_GO(a_function_runs_once_done) {
    rn_chan(int) ran = rn_make(int, 0);
    rn_ctx *c = rn_ctx_with_cancel(root()), *v = rn_ctx_with_value(c, &ran, NULL);
    rn_ctx_func *f = rn_ctx_after_func(c, tell, ran), *g = rn_ctx_after_func(v, tell, ran);
    rn_ctx_func *stopped = rn_ctx_after_func(c, never, "stopped function ran");
    CHECK_EQ(rn_try_recv(ran, NULL), -EAGAIN);
    CHECK(rn_ctx_func_stop(stopped));
    rn_ctx_cancel(c);
    rn_recv(ran);
    rn_recv(ran);
    CHECK(!rn_ctx_func_stop(f));
    CHECK(!rn_ctx_func_stop(g));
    rn_ctx_func *late = rn_ctx_after_func(c, tell, ran);
    rn_recv(ran);
    CHECK(!rn_ctx_func_stop(late));
    rn_ctx_unref(c);
    rn_ctx_unref(v);
    rn_unref(ran);
}

struct note {
    int64_t written; /* plainly: TSan must see that the context orders it */
    rn_ctx *ctx;
    rn_chan(int64_t) c;
};

static void read_note(void *p) {
    struct note *n = p;
    rn_send(n->c, n->written);
}

static void write_and_cancel(void *p) {
    struct note *n = p;
    n->written = 2;
    cancel_and_drop(n->ctx, 0);
}

TEST_GO(what_comes_before_a_cancel_is_seen_by_who_is_told_of_it) {
    for (int i = 0; i < 2; i++) {
        struct note n = {1, rn_ctx_with_cancel(root()), rn_make(int64_t, 0)};
        rn_ctx *below = rn_ctx_with_cancel(n.ctx);
        rn_go(write_and_cancel, (void *)&n);
        if (i) rn_recv(rn_ctx_done(below));
        while (!rn_ctx_err(below)) rn_yield();
        CHECK_EQ(n.written, 2);
        rn_ctx_unref(below);
        rn_unref(n.c);
    }
}

TEST_GO(a_function_sees_what_came_before_it_was_registered) {
    struct note n = {0, rn_ctx_with_cancel(root()), rn_make(int64_t, 0)};
    n.written = 1;
    rn_ctx_func *f = rn_ctx_after_func(n.ctx, read_note, &n);
    rn_go(cancel_and_drop, n.ctx, 0);
    CHECK_EQ(rn_recv(n.c), 1);
    rn_ctx_func_stop(f);
    rn_unref(n.c);
}

TEST_GO(a_function_runs_after_a_timeout) {
    rn_chan(int) ran = rn_make(int, 0);
    rn_ctx *c = rn_ctx_with_timeout(root(), RN_MS);
    rn_ctx_func *f = rn_ctx_after_func(c, tell, ran);
    rn_ctx_unref(c); /* f keeps it */
    rn_recv(ran);
    CHECK(!rn_ctx_func_stop(f));
    rn_unref(ran);
}

TEST_GO(a_function_below_the_root_never_runs) {
    rn_ctx_func *f = rn_ctx_after_func(root(), never, "the root is done");
    CHECK(rn_ctx_func_stop(f));
}

TEST_GO(a_function_is_run_or_stopped) {
    rn_chan(int) ran = rn_make(int, 1);
    for (long i = 0; i < scaled(2000); i++) {
        rn_ctx *c = rn_ctx_with_cancel(root());
        rn_ctx_func *f = rn_ctx_after_func(c, tell, ran);
        rn_go(cancel_and_drop, rn_ctx_ref(c), 0);
        if (i % 2) rn_yield();
        if (!rn_ctx_func_stop(f)) rn_recv(ran);
        rn_recv(rn_ctx_done(c));
        rn_ctx_unref(c);
    }
    CHECK_EQ(rn_try_recv(ran, NULL), -EAGAIN);
    rn_unref(ran);
}

/* ---- misuse ---- */

static void from_nothing(void *p) {
    (void)p;
    rn_ctx_with_cancel(NULL);
}

static void err_of_nothing(void *p) { rn_ctx_err(p); }

static void done_of_nothing(void *p) { rn_select(rn_on_done(p)); }

static void nil_key(void *p) { rn_ctx_with_value(p, NULL, p); }

static void cancel(void *p) { rn_ctx_cancel(p); }

TEST_GO(misuse_panics) {
    rn_panic_info p;
    CHECK(!rn_try(from_nothing, NULL, &p));
    CHECK_STR(p.message, "cannot create context from nil parent");
    CHECK(!rn_try(err_of_nothing, NULL, &p));
    CHECK_STR(p.message, "context: NULL context");
    CHECK(!rn_try(done_of_nothing, NULL, &p));
    CHECK_STR(p.message, "context: NULL context");
    CHECK(!rn_try(nil_key, root(), &p));
    CHECK_STR(p.message, "nil key");
    CHECK(!rn_try(cancel, root(), &p));
}

/* ---- with channels ---- */

TEST_GO(a_context_is_a_select_case) {
    rn_chan(int) c = rn_make(int, 1);
    rn_ctx *x = rn_ctx_with_timeout(root(), RN_MS);
    int v;
    CHECK_EQ(rn_select_default(rn_on_recv(c, &v), rn_on_done(root())), -1);
    CHECK_EQ(rn_select(rn_on_recv(c, &v), rn_on_done(x), rn_on_done(root())), 1);
    rn_send(c, 1);
    CHECK_EQ(rn_select(rn_on_recv(c, &v), rn_on_done(root())), 0);
    rn_ctx_unref(x);
    rn_unref(c);
}

TEST_GO(sleep_ends_with_the_context) {
    rn_ctx *c = rn_ctx_with_timeout(root(), RN_MS);
    rn_time before = rn_now();
    CHECK_EQ(rn_sleep_ctx(root(), RN_MS), 0);
    CHECK_GE(rn_now(), before + RN_MS);
    CHECK_EQ(rn_sleep_ctx(c, HOUR), -ETIMEDOUT);
    CHECK_EQ(rn_sleep_ctx(c, 0), -ETIMEDOUT);
    CHECK_EQ(rn_sleep_ctx(root(), -1), 0);
    rn_ctx_unref(c);
    c = rn_ctx_with_cancel(root());
    rn_ctx_cancel(c);
    CHECK_EQ(rn_sleep_ctx(c, HOUR), -ECANCELED);
    rn_ctx_unref(c);
}

TEST_GO(send_and_receive_with_a_context) {
    rn_chan(int) c = rn_make(int, 1);
    rn_ctx *x = rn_ctx_with_timeout(root(), 2 * RN_MS);
    int v = 7;
    CHECK_EQ(rn_recv_ctx(x, c, &v), -ETIMEDOUT);
    CHECK_EQ(v, 7);
    CHECK_EQ(rn_send_ctx(root(), c, 1), 0);
    CHECK_EQ(rn_send_ctx(x, c, 2), -ETIMEDOUT);
    CHECK_EQ(rn_recv_ctx(root(), c, &v), 0);
    CHECK_EQ(v, 1);
    rn_ctx *y = rn_ctx_with_cancel(root());
    CHECK_EQ(rn_send_ctx(y, c, 3), 0);
    CHECK_EQ(rn_recv_ctx(y, c, NULL), 0);
    rn_close(c);
    CHECK_EQ(rn_send_ctx(y, c, 4), -EPIPE);
    CHECK_EQ(rn_send_ctx(root(), c, 4), -EPIPE);
    v = 7;
    CHECK_EQ(rn_recv_ctx(y, c, &v), -EPIPE);
    CHECK_EQ(v, 0);
    CHECK_EQ(rn_recv_ctx(root(), c, &v), -EPIPE);
    rn_ctx_cancel(y);
    CHECK_EQ(rn_recv_ctx(y, (rn_chan(int))NULL, &v), -ECANCELED);
    CHECK_EQ(rn_send_ctx(y, (rn_chan(int))NULL, 1), -ECANCELED);
    rn_ctx_unref(x);
    rn_ctx_unref(y);
    rn_unref(c);
}

/* Exactly once: what senders were told is sent is what receivers were told they got. */

struct storm {
    rn_chan(long) c;
    rn_chan(long) results;
    long rounds;
};

static long storm_one(struct storm *s, rn_ctx *ctx, bool send, long value) {
    long got = 0;
    if (send) return rn_send_ctx(ctx, s->c, value) == 0 ? value : 0;
    return rn_recv_ctx(ctx, s->c, &got) == 0 ? -got : 0;
}

static void storm_worker(void *arg, int id, uint64_t seed) {
    struct storm *s = arg;
    long sum = 0;
    for (long i = 0; i < s->rounds; i++) {
        rn_ctx *ctx;
        uint64_t how = test_random(&seed) % 4;
        if (how == 0) {
            ctx = rn_ctx_with_timeout(root(), (rn_duration)(test_random(&seed) % (20 * RN_US)));
        } else {
            ctx = rn_ctx_with_cancel(root());
            rn_go(cancel_and_drop, rn_ctx_ref(ctx), 0);
        }
        sum += storm_one(s, ctx, id % 2, (long)(test_random(&seed) % 1000) + 1);
        rn_ctx_unref(ctx);
    }
    rn_send(s->results, sum);
}

static void storm(int64_t cap) {
    enum { N = 8 };
    struct storm s = {rn_make(long, cap), rn_make(long, 0), scaled(1500)};
    uint64_t seed = test_seed();
    long sum = 0, left;
    for (int i = 0; i < N; i++) rn_go(storm_worker, (void *)&s, i, test_random(&seed));
    for (int i = 0; i < N; i++) sum += rn_recv(s.results);
    rn_close(s.c);
    while (rn_recv_ok(s.c, &left)) sum -= left;
    CHECK_EQ(sum, 0);
    rn_unref(s.c);
    rn_unref(s.results);
}

TEST_GO(exactly_once_under_a_storm_of_cancels) {
    storm(0);
    storm(3);
}

/* ---- the tree ---- */

TEST_GO(a_wide_tree_is_cancelled) {
    long n = scaled(100000);
    rn_ctx *top = rn_ctx_with_cancel(root()), **c = calloc((size_t)n, sizeof *c);
    for (long i = 0; i < n; i++)
        c[i] = i % 3 ? rn_ctx_with_cancel(top) : rn_ctx_with_timeout(top, HOUR);
    rn_ctx_cancel_cause(top, 3);
    for (long i = 0; i < n; i++) {
        CHECK_EQ(rn_ctx_cause(c[i]), 3);
        rn_ctx_unref(c[i]);
    }
    rn_ctx_unref(top);
    free(c);
}

TEST_GO(a_deep_tree_is_cancelled) {
    long n = scaled(100000);
    rn_ctx *top = rn_ctx_with_cancel(root()), *c = rn_ctx_ref(top);
    for (long i = 0; i < n; i++) {
        rn_ctx *d = i % 3 ? rn_ctx_with_cancel(c) : rn_ctx_with_timeout(c, HOUR - i);
        rn_ctx_unref(c);
        c = d;
    }
    rn_ctx_cancel(top);
    check_done(c, -ECANCELED, -ECANCELED);
    rn_ctx_unref(top);
    rn_ctx_unref(c); /* the whole chain */
}

TEST_GO(a_random_tree_dropped_in_any_order) {
    enum { N = 2000 };
    static rn_ctx *c[N];
    uint64_t seed = test_seed();
    for (int round = 0; round < 4; round++) {
        c[0] = rn_ctx_with_cancel(root());
        for (int i = 1; i < N; i++) {
            rn_ctx *up = c[test_random(&seed) % (uint64_t)i];
            switch (test_random(&seed) % 4) {
            case 0: c[i] = rn_ctx_with_timeout(up, HOUR); break;
            case 1: c[i] = rn_ctx_with_value(up, &seed, NULL); break;
            default: c[i] = rn_ctx_with_cancel(up); break;
            }
            if (i % 5 == 0) rn_ctx_done(c[i]);
        }
        if (round % 2) rn_ctx_cancel(c[0]);
        for (int i = N - 1; i >= 0; i--) {
            uint64_t j = test_random(&seed) % (uint64_t)(i + 1);
            rn_ctx *x = c[j];
            c[j] = c[i];
            rn_ctx_unref(x);
        }
    }
}

static void grow(void *arg, uint64_t seed, void *done) {
    rn_ctx *top = arg;
    for (long i = 0; i < scaled(300); i++) {
        rn_ctx *a = rn_ctx_with_cancel(top),
               *b = rn_ctx_with_timeout(a, (rn_duration)(test_random(&seed) % 100000));
        rn_ctx *c = rn_ctx_with_cancel(b);
        if (test_random(&seed) % 2) rn_ctx_done(c);
        if (test_random(&seed) % 2) rn_ctx_cancel(a);
        rn_ctx_unref(a);
        if (test_random(&seed) % 2) rn_recv(rn_ctx_done(c));
        rn_ctx_unref(b);
        if (rn_ctx_err(b = c)) CHECK(is_closed(rn_ctx_done(b)));
        rn_ctx_unref(c);
    }
    rn_send((rn_chan(int))done, 1);
}

TEST_GO(a_tree_that_grows_and_dies_while_it_is_cancelled) {
    rn_chan(int) done = rn_make(int, 0);
    uint64_t seed = test_seed();
    for (int round = 0; round < 4; round++) {
        rn_ctx *top = rn_ctx_with_cancel(root());
        for (int i = 0; i < 8; i++) rn_go(grow, (void *)top, test_random(&seed), (void *)done);
        for (int i = 0; i < round * 20; i++) rn_yield();
        rn_ctx_cancel(top);
        for (int i = 0; i < 8; i++) rn_recv(done);
        rn_ctx_unref(top);
    }
    rn_unref(done);
}

TEST_GO(one_of_many_cancels_counts) {
    for (long i = 0; i < scaled(300); i++) {
        rn_ctx *c = rn_ctx_with_cancel(root()), *d = rn_ctx_with_cancel(c);
        for (int k = 1; k <= 4; k++) rn_go(cancel_and_drop, rn_ctx_ref(c), k);
        rn_recv(rn_ctx_done(d));
        int cause = rn_ctx_cause(d);
        CHECK(cause >= 1 && cause <= 4);
        CHECK_EQ(rn_ctx_cause(c), cause);
        rn_ctx_unref(d);
        rn_ctx_unref(c);
    }
}
