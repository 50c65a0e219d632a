/* SPDX-License-Identifier: MIT */
/*
 * select_test.c: select does what Go's does, as the Go specification says it. The time cases are in
 * time_test.c.
 */
#include "parked.h"

typedef rn_chan(int) chan_int;
typedef rn_send_chan(int) send_int;
typedef rn_recv_chan(int) recv_int;

/* ---- which case runs ---- */

TEST(the_one_ready_case_runs) {
    rn_chan(int) a = rn_make(int, 0), b = rn_make(int, 1), c = rn_make(int, 0);
    int v = 0, w = 0;
    bool ok = false;
    for (int i = 0; i < 100; i++) {
        CHECK_EQ(rn_select(rn_on_recv(a, &v), rn_on_send(b, i), rn_on_recv(c, &w)), 1);
        CHECK_EQ(rn_len(b), 1);
        CHECK_EQ(rn_select(rn_on_recv_ok(b, &v, &ok), rn_on_send(b, -1), rn_on_recv(c, &w)), 0);
        CHECK_EQ(v, i);
        CHECK(ok);
    }
    CHECK_EQ(w, 0);
}

TEST(default_runs_when_nothing_is_ready) {
    rn_chan(int) a = rn_make(int, 0), full = rn_make(int, 1);
    int v = 42;
    bool ok = true;
    rn_send(full, 1);
    CHECK_EQ(rn_select_default(rn_on_recv_ok(a, &v, &ok), rn_on_send(a, 1), rn_on_send(full, 2)),
             -1);
    CHECK_EQ(v, 42);
    CHECK(ok);
    CHECK_EQ(rn_select_default(), -1);
    CHECK_EQ(rn_select_default(rn_on_recv(a, NULL), rn_on_recv(full, NULL)), 1);
}

TEST(null_channels_never_run) {
    chan_int none = NULL;
    rn_chan(int) b = rn_make(int, 1);
    for (int i = 0; i < 100; i++) {
        CHECK_EQ(rn_select(rn_on_recv(none, NULL), rn_on_send(b, 1), rn_on_send(none, 2)), 1);
        CHECK_EQ(rn_select_default(rn_on_recv(none, NULL), rn_on_recv(b, NULL)), 1);
        CHECK_EQ(rn_select_default(rn_on_recv(none, NULL), rn_on_send(none, 1)), -1);
    }
}

TEST(cases_that_are_none_never_run) {
    rn_chan(int) b = rn_make(int, 1);
    int v = 0;
    rn_case cases[] = {{.kind = RN_CASE_NONE}, rn_on_send(b, 3), {.kind = RN_CASE_NONE}};
    CHECK_EQ(rn_select_n(cases, 3, 0), 1);
    cases[1] = rn_on_recv(b, &v);
    CHECK_EQ(rn_select_n(cases, 3, RN_DEFAULT), 1);
    CHECK_EQ(v, 3);
    CHECK_EQ(rn_select_n(cases, 3, RN_DEFAULT), -1);
    CHECK_EQ(rn_select_n(NULL, 0, RN_DEFAULT), -1);
}

TEST(closed_channels_are_ready_to_receive) {
    rn_chan(int) a = rn_make(int, 0), c = rn_make(int, 2);
    int v = 42;
    bool ok = true;
    rn_send(c, 7);
    rn_close(c);
    CHECK_EQ(rn_select(rn_on_recv(a, NULL), rn_on_recv_ok(c, &v, &ok)), 1);
    CHECK_EQ(v, 7);
    CHECK(ok);
    for (int i = 0; i < 10; i++) {
        v = 42;
        ok = true;
        CHECK_EQ(rn_select(rn_on_recv(a, NULL), rn_on_recv_ok(c, &v, &ok)), 1);
        CHECK_EQ(v, 0);
        CHECK(!ok);
        CHECK_EQ(rn_select_default(rn_on_recv(c, NULL)), 0);
    }
}

static void select_send(void *c) {
    rn_select(rn_on_send((chan_int)c, 1), rn_on_recv((chan_int)NULL, NULL));
}
static void select_default_send(void *c) { rn_select_default(rn_on_send((chan_int)c, 1)); }

TEST(a_chosen_send_on_a_closed_channel_panics) {
    for (int64_t cap = 0; cap < 2; cap++) {
        rn_chan(int) c = rn_make(int, cap);
        rn_close(c);
        check_panics(select_send, c, "send on closed channel");
        check_panics(select_default_send, c, "send on closed channel");
        CHECK_EQ(rn_len(c), 0);
        /* and is ready among others as any: an ordered select takes the first */
        rn_case cases[] = {rn_on_recv(c, NULL), rn_on_send(c, 1)};
        CHECK_EQ(rn_select_n(cases, 2, RN_INORDER), 0);
    }
}

TEST(in_order_takes_the_first_ready_case) {
    rn_chan(int) a = rn_make(int, 1), b = rn_make(int, 1), c = rn_make(int, 1);
    rn_send(b, 1);
    rn_send(c, 1);
    for (int i = 0; i < 1000; i++) {
        rn_case cases[] = {rn_on_recv(a, NULL), rn_on_recv(b, NULL), rn_on_recv(c, NULL)};
        CHECK_EQ(rn_select_n(cases, 3, i % 2 ? RN_INORDER : RN_INORDER | RN_DEFAULT), 1);
        rn_send(b, 1);
    }
    rn_case none[] = {rn_on_recv(a, NULL), rn_on_send(b, 1)};
    CHECK_EQ(rn_select_n(none, 2, RN_INORDER | RN_DEFAULT), -1);
}

TEST(in_order_a_time_stands_where_it_stands) {
    rn_chan(int) a = rn_make(int, 1), b = rn_make(int, 1);
    rn_send(b, 1);
    rn_case cases[] = {rn_on_recv(a, NULL), rn_on_until(RN_TIME_MAX), rn_on_until(0),
                       rn_on_recv(b, NULL)};
    CHECK_EQ(rn_select_n(cases, 4, RN_INORDER), 2);
    CHECK_EQ(rn_len(b), 1);
    rn_send(a, 1);
    CHECK_EQ(rn_select_n(cases, 4, RN_INORDER), 0);
    cases[2] = rn_on_until(RN_TIME_MAX);
    CHECK_EQ(rn_select_n(cases, 4, RN_INORDER | RN_DEFAULT), 3);
}

static int order[3], ordered;
static chan_int chan_nth(chan_int c, int n) {
    order[ordered++] = n;
    return c;
}
static int value_nth(int v, int n) {
    order[ordered++] = n;
    return v;
}

struct pairs {
    rn_chan(long) first, second, ack;
    long rounds;
};

static void send_pairs(void *arg) {
    struct pairs *p = arg;
    for (long i = 0; i < p->rounds; i++) {
        rn_send(p->first, i);
        rn_send(p->second, i);
        (void)rn_recv(p->ack);
    }
}

/*
 * There is no moment at which the last is ready and the first is not, before the first was taken. Those between make the
 * look long, so that both may become ready while it is under way.
 */
TEST_GO(in_order_holds_while_another_sends) {
    enum { N = 60, LAST = N - 1 };
    struct pairs p = {rn_make(long, 1), rn_make(long, 1), rn_make(long, 1), scaled(4000)};
    rn_chan(long) never = rn_make(long, 0);
    rn_wg w = {0};
    CHECK_EQ(rn_wg_go(&w, send_pairs, &p), 0);
    for (long i = 0; i < p.rounds; i++) {
        long v = -1;
        rn_case cases[N];
        for (int j = 0; j < N; j++) cases[j] = rn_on_recv(never, &v);
        cases[0] = rn_on_recv(p.first, &v);
        cases[LAST] = rn_on_recv(p.second, &v);
        int k;
        while ((k = rn_select_n(cases, N, RN_INORDER | RN_DEFAULT)) < 0) {
            if (rn_procs(0) == 1 || i % 8 == 0) rn_yield();
        }
        CHECK_EQ(k, 0);
        CHECK_EQ(v, i);
        CHECK_EQ(rn_select_n(cases, N, RN_INORDER), LAST);
        CHECK_EQ(v, i);
        rn_send(p.ack, 0);
    }
    rn_wg_wait(&w);
    rn_unref(p.first);
    rn_unref(p.second);
    rn_unref(p.ack);
    rn_unref(never);
}

TEST(operands_are_evaluated_once_in_source_order) {
    rn_chan(int) c = rn_make(int, 1);
    chan_int none = NULL;
    for (int i = 0; i < 20; i++) {
        ordered = 0;
        int r = rn_select(rn_on_send(chan_nth(none, 0), value_nth(5, 1)),
                          rn_on_send(chan_nth(c, 2), 6));
        CHECK_EQ(r, 1);
        CHECK_EQ(ordered, 3);
        for (int k = 0; k < 3; k++) CHECK_EQ(order[k], k);
        CHECK_EQ(rn_recv(c), 6);
    }
}

TEST(values_of_cases_are_converted) {
    rn_chan(double) d = rn_make(double, 1);
    rn_chan(unsigned char) u = rn_make(unsigned char, 1);
    CHECK_EQ(rn_select(rn_on_send(d, 1)), 0);
    CHECK_EQ(rn_select(rn_on_send(u, -1)), 0);
    CHECK(rn_recv(d) == 1.0);
    CHECK_EQ(rn_recv(u), 255);
}

/* ---- chance ---- */

/* Within 10 sigma of a binomial with p = 1/k. */
static void check_uniform(const long *hits, size_t k, long n) {
    double p = 1.0 / (double)k, mean = (double)n * p, var = (double)n * p * (1 - p);
    for (size_t i = 0; i < k; i++) {
        double d = (double)hits[i] - mean;
        if (d * d > 100 * var) FAIL("case %zu was chosen %ld times of %ld", i, hits[i], n);
    }
}

static void choose(size_t k, long n, int flags) {
    long hits[16] = {0};
    rn_case cases[32];
    rn_chan(int) never = rn_make(int, 0);
    for (size_t i = 0; i < k; i++) {
        rn_chan(int) c = rn_make(int, 0);
        rn_close(c);
        cases[2 * i] = i % 2 ? rn_on_recv(never, NULL) : rn_on_recv((chan_int)NULL, NULL);
        cases[2 * i + 1] = rn_on_recv(c, NULL);
    }
    for (long i = 0; i < n; i++) {
        int r = rn_select_n(cases, 2 * k, flags);
        CHECK_EQ(r % 2, 1);
        hits[r / 2]++;
    }
    check_uniform(hits, k, n);
}

TEST(the_choice_is_uniform) {
    choose(2, scaled(100000), 0);
    choose(3, scaled(100000), 0);
    choose(10, scaled(100000), 0);
    choose(3, scaled(100000), RN_DEFAULT);
}

TEST(the_choice_between_send_and_receive_is_uniform) {
    long n = scaled(100000), hits[3] = {0}, room = n + 1;
    rn_chan(char) a = rn_make(char, room), b = rn_make(char, room), c = rn_make(char, room);
    for (long i = 0; i < n; i++) rn_send(c, 1);
    for (long i = 0; i < n; i++)
        hits[rn_select(rn_on_send(a, 1), rn_on_send(b, 1), rn_on_recv(c, NULL))]++;
    check_uniform(hits, 3, n);
    CHECK_EQ(rn_len(a), hits[0]);
    CHECK_EQ(rn_len(b), hits[1]);
    CHECK_EQ(rn_len(c), n - hits[2]);
}

TEST(a_time_that_is_due_is_one_of_those_that_are_ready) {
    enum { SILENT = 8 };
    rn_case cases[SILENT + 3];
    rn_chan(int) c = rn_make(int, 0);
    rn_close(c);
    for (int i = 0; i < SILENT; i++) cases[i] = rn_on_recv(rn_make(int, 0), NULL);
    cases[SILENT] = cases[SILENT + 1] = rn_on_recv(c, NULL);
    cases[SILENT + 2] = rn_on_until(0);
    long hits[3] = {0}, n = scaled(100000);
    for (long i = 0; i < n; i++) {
        int r = rn_select_n(cases, SILENT + 3, 0) - SILENT;
        CHECK(r >= 0 && r < 3);
        hits[r]++;
    }
    check_uniform(hits, 3, n);
}

/* Go's TestPseudoRandomSend: the value sent is chosen by chance, whether the sender parks or not. */
static void send_bits(send_int c, int n) {
    for (int i = 0; i < n; i++) rn_select(rn_on_send(c, 0), rn_on_send(c, 1));
    rn_close(c);
}

static void random_bits(int64_t cap) {
    int n = (int)scaled(10000), v;
    long hits[2] = {0};
    rn_chan(int) c = rn_make(int, cap);
    GO(send_bits, c, n);
    while (rn_recv_ok(c, &v)) hits[v]++;
    CHECK_EQ(hits[0] + hits[1], n);
    if (n >= 1000) CHECK(hits[0] > n / 10 && hits[1] > n / 10);
}

TEST_GO(the_same_send_twice_is_chosen_by_chance) {
    random_bits(0);
    random_bits(1);
    random_bits(128);
}

/* ---- the same channel more than once ---- */

TEST(the_same_channel_twice_runs_one_case) {
    rn_chan(int) c = rn_make(int, 8);
    long hits[2] = {0}, n = scaled(10000);
    int v[2];
    for (int i = 0; i < n; i++) {
        v[0] = v[1] = -1;
        rn_send(c, i);
        int r = rn_select(rn_on_recv(c, &v[0]), rn_on_recv(c, &v[1]));
        hits[r]++;
        CHECK_EQ(v[r], i);
        CHECK_EQ(v[!r], -1);
        CHECK_EQ(rn_len(c), 0);
    }
    if (n >= 1000) check_uniform(hits, 2, n);
}

static void recv_twice(recv_int c, recv_int d, send_int out, int n) {
    int a = 0, b = 0, e = 0;
    for (int i = 0; i < n; i++) {
        int r = rn_select(rn_on_recv(c, &a), rn_on_recv(c, &b), rn_on_recv(d, &e));
        rn_send(out, r == 0 ? a : r == 1 ? b : e);
    }
}

TEST_GO(the_same_channel_twice_parked) {
    rn_chan(int) c = rn_make(int, 0), d = rn_make(int, 0), out = rn_make(int, 0);
    GO(recv_twice, c, d, out, 300);
    for (int i = 0; i < 300; i++) {
        WAIT_RECEIVERS(c, 2);
        CHECK_EQ(parked_receivers(c), 2);
        rn_send(i % 3 ? c : d, i);
        CHECK_EQ(rn_recv(out), i);
    }
    CHECK_EQ(parked_receivers(c), 0);
    CHECK_EQ(parked_receivers(d), 0);
}

/* Go's TestSelectDuplicateChannel: a loser in the middle of a queue leaves it whole. */
static void select_c_c_d(recv_int c, recv_int d, send_int out) {
    CHECK_EQ(rn_select(rn_on_recv(c, NULL), rn_on_recv(c, NULL), rn_on_recv(d, NULL)), 2);
    rn_send(out, 1);
}

static void recv_number(recv_int c, int want, send_int out) {
    CHECK_EQ(rn_recv(c), want);
    rn_send(out, 2);
}

TEST_GO(a_loser_leaves_the_queue_whole) {
    rn_chan(int) c = rn_make(int, 0), d = rn_make(int, 0), out = rn_make(int, 0);
    GO(recv_number, c, 7, out);
    WAIT_RECEIVERS(c, 1);
    GO(select_c_c_d, c, d, out);
    WAIT_RECEIVERS(c, 3);
    GO(recv_number, c, 8, out);
    WAIT_RECEIVERS(c, 4);
    rn_send(d, 1);
    CHECK_EQ(rn_recv(out), 1);
    CHECK_EQ(parked_receivers(c), 2);
    rn_send(c, 7);
    CHECK_EQ(rn_recv(out), 2);
    rn_send(c, 8);
    CHECK_EQ(rn_recv(out), 2);
}

static void both_ways(chan_int c, send_int out) {
    int v = 0;
    int r = rn_select(rn_on_send(c, 7), rn_on_recv(c, &v));
    rn_send(out, r == 0 ? -1 : v);
}

TEST_GO(a_select_never_receives_its_own_send) {
    rn_chan(int) c = rn_make(int, 0), out = rn_make(int, 1);
    int v = 0;
    for (int i = 0; i < 100; i++) {
        CHECK_EQ(rn_select_default(rn_on_send(c, 1), rn_on_recv(c, &v)), -1);
        GO(both_ways, c, out);
        WAIT_RECEIVERS(c, 1);
        WAIT_SENDERS(c, 1);
        CHECK_EQ(rn_len(out), 0);
        if (i % 2) {
            rn_send(c, 5);
            CHECK_EQ(rn_recv(out), 5);
        } else {
            CHECK_EQ(rn_recv(c), 7);
            CHECK_EQ(rn_recv(out), -1);
        }
        CHECK_EQ(parked_senders(c) + parked_receivers(c), 0);
    }
}

/* Each round one twin sends and the other receives; the sum of what was received tells. */
static void twin(chan_int c, int me, int n, rn_send_chan(long) out) {
    long sent = 0;
    for (int i = 0; i < n; i++) {
        int v = -1;
        if (rn_select(rn_on_send(c, me), rn_on_recv(c, &v)) == 0)
            sent++;
        else
            CHECK_EQ(v, !me);
    }
    rn_send(out, sent);
}

TEST_GO(twins_send_and_receive_on_one_channel) {
    rn_chan(int) c = rn_make(int, 0);
    rn_chan(long) out = rn_make(long, 0);
    int n = (int)scaled(20000);
    GO(twin, c, 0, n, out);
    GO(twin, c, 1, n, out);
    CHECK_EQ(rn_recv(out) + rn_recv(out), n);
}

TEST_GO(send_and_receive_of_a_buffer_in_one_select) {
    rn_chan(int) c = rn_make(int, 1);
    int v = -1;
    for (int i = 0; i < 1000; i++) {
        CHECK_EQ(rn_select(rn_on_send(c, i), rn_on_recv(c, &v)), 0);
        CHECK_EQ(rn_select(rn_on_send(c, -5), rn_on_recv(c, &v)), 1);
        CHECK_EQ(v, i);
    }
}

/* ---- parked selects ---- */

static void wake_one(rn_send_chan(long) c, long v) { rn_send(c, v); }

enum { MANY = 1000 };
static rn_chan(long) many[MANY];

TEST_GO(select_on_a_thousand_channels) {
    static rn_case cases[MANY];
    static long v[MANY];
    uint64_t seed = test_seed();
    for (int i = 0; i < MANY; i++) {
        many[i] = rn_make(long, 0);
        cases[i] = rn_on_recv(many[i], &v[i]);
    }
    CHECK_EQ(rn_select_n(cases, MANY, RN_DEFAULT), -1);
    for (int i = 0; i < scaled(200); i++) {
        int k = (int)(test_random(&seed) % MANY);
        GO(wake_one, many[k], i + 1);
        if (i % 2) WAIT_SENDERS(many[k], 1);
        CHECK_EQ(rn_select_n(cases, MANY, 0), k);
        CHECK_EQ(v[k], i + 1);
    }
    for (int i = 0; i < MANY; i++) {
        CHECK_EQ(parked_receivers(many[i]), 0);
        rn_unref(many[i]);
    }
}

/* 1 to 130 cases: around 64 the memory comes from elsewhere. */
TEST_GO(any_number_of_cases) {
    rn_case cases[130];
    long v;
    for (int i = 0; i < 130; i++) {
        many[i] = rn_make(long, 0);
        cases[i] = rn_on_recv(many[i], &v);
    }
    for (int n = 1; n <= 130; n++) {
        GO(wake_one, many[n - 1], n);
        CHECK_EQ(rn_select_n(cases, (size_t)n, 0), n - 1);
        CHECK_EQ(v, n);
    }
}

static void too_many(void *cases) { rn_select_n(cases, 65536, RN_DEFAULT); }

TEST(the_number_of_cases_has_a_limit) {
    rn_case *cases = calloc(65536, sizeof *cases);
    CHECK(cases);
    CHECK_EQ(rn_select_n(cases, 65535, RN_DEFAULT), -1);
    rn_panic_info p;
    CHECK(!rn_try(too_many, cases, &p));
    CHECK(strstr(p.message, "select"));
    rn_chan(int) c = rn_make(int, 1);
    cases[65534] = rn_on_send(c, 1);
    CHECK_EQ(rn_select_n(cases, 65535, 0), 65534);
    free(cases);
}

static void loser(recv_int common, recv_int own, send_int done) {
    int v = 0;
    CHECK_EQ(rn_select(rn_on_recv(common, NULL), rn_on_recv(own, &v)), 1);
    rn_send(done, v);
}

/* 10,000 selects wait on one channel and leave its queue from everywhere in it: at O(n) each this takes for ever. */
TEST_GO(ten_thousand_parked_selects_leave_a_common_queue) {
    enum { N = 10000 };
    static chan_int own[N];
    rn_chan(int) common = rn_make(int, 0), done = rn_make(int, 0);
    for (int i = 0; i < N; i++) {
        own[i] = rn_make(int, 0);
        GO(loser, common, own[i], done);
    }
    long sum = 0;
    for (int i = 0; i < N; i++) {
        int k = (int)((long)i * 7919 % N);
        rn_send(own[k], k);
        sum += rn_recv(done);
    }
    CHECK_EQ(sum, (long)N * (N - 1) / 2);
    CHECK_EQ(parked_receivers(common), 0);
    CHECK_EQ(rn_try_send(common, 1), -EAGAIN);
}

static void select_and_count(recv_int a, recv_int b, recv_int stop, rn_send_chan(long) out) {
    long n = 0;
    while (rn_select(rn_on_recv(a, NULL), rn_on_recv(b, NULL), rn_on_recv(stop, NULL)) != 2) n++;
    rn_send(out, n);
}

static void send_many(send_int c, long n, send_int done) {
    for (long i = 0; i < n; i++) rn_send(c, 1);
    rn_send(done, 1);
}

/* Senders on both channels of parked selects at once: each value must wake one select, each select take one value. */
TEST_GO(two_cases_never_both_win) {
    rn_chan(int) a = rn_make(int, 0), b = rn_make(int, 0), stop = rn_make(int, 0),
                 done = rn_make(int, 0);
    rn_chan(long) out = rn_make(long, 0);
    long n = scaled(10000), sum = 0;
    for (int i = 0; i < 8; i++) GO(select_and_count, a, b, stop, out);
    for (int i = 0; i < 8; i++) GO(send_many, i % 2 ? a : b, n, done);
    wait_n(done, 8);
    rn_close(stop);
    for (int i = 0; i < 8; i++) sum += rn_recv(out);
    CHECK_EQ(sum, 8 * n);
}

static void one_round(recv_int a, recv_int b, send_int out) {
    int v = 0, w = 0;
    int r = rn_select(rn_on_recv(a, &v), rn_on_recv(b, &w));
    CHECK_EQ(r == 0 ? w : v, 0);
    rn_send(out, r == 0 ? v : w);
}

static void try_one(send_int c, int v, send_int won) { rn_send(won, rn_try_send(c, v) == 0); }

/* The same with try-sends: exactly one of two that race for one parked select gets through. */
TEST_GO(one_of_two_try_sends_wins_a_parked_select) {
    rn_chan(int) a = rn_make(int, 0), b = rn_make(int, 0), out = rn_make(int, 0),
                 won = rn_make(int, 0);
    for (int i = 0; i < scaled(2000); i++) {
        GO(one_round, a, b, out);
        WAIT_RECEIVERS(b, 1);
        GO(try_one, a, 1, won);
        GO(try_one, b, 2, won);
        int v = rn_recv(out);
        CHECK(v == 1 || v == 2);
        CHECK_EQ(rn_recv(won) + rn_recv(won), 1);
    }
}

/* Two selects over the same two channels in opposite order: no deadlock of locks, one transfer each. */
static void select_sends(send_int a, send_int b, int n, rn_send_chan(long) out) {
    long sum = 0;
    for (int i = 0; i < n; i++) sum += rn_select(rn_on_send(b, 1), rn_on_send(a, 2)) == 0 ? 1 : 2;
    rn_send(out, sum);
}

static void select_recvs(recv_int a, recv_int b, int n, rn_send_chan(long) out) {
    long sum = 0;
    for (int i = 0; i < n; i++) {
        int v = 0;
        CHECK_LE(rn_select(rn_on_recv(a, &v), rn_on_recv(b, &v)), 1);
        sum += v;
    }
    rn_send(out, sum);
}

static void selects_meet(int64_t cap) {
    rn_chan(int) a = rn_make(int, cap), b = rn_make(int, cap);
    rn_chan(long) sent = rn_make(long, 4), got = rn_make(long, 4);
    int n = (int)scaled(5000);
    for (int i = 0; i < 4; i++) {
        GO(select_sends, a, b, n, sent);
        GO(select_recvs, a, b, n, got);
    }
    long s = 0, g = 0;
    for (int i = 0; i < 4; i++) {
        s += rn_recv(sent);
        g += rn_recv(got);
    }
    CHECK_EQ(s, g);
}

TEST_GO(selects_meet_selects) {
    selects_meet(0);
    selects_meet(1);
    selects_meet(7);
}

static void close_it(send_int c) { rn_close(c); }

static void select_until_closed(recv_int a, recv_int b, send_int done) {
    bool ok = true;
    int v = 0;
    while (rn_select(rn_on_recv(a, &v), rn_on_recv_ok(b, NULL, &ok)) == 0) continue;
    CHECK(!ok);
    rn_send(done, 1);
}

TEST_GO(close_wakes_parked_selects) {
    for (int i = 0; i < scaled(200); i++) {
        rn_chan(int) a = rn_make(int, 0), b = rn_make(int, 0), done = rn_make(int, 0);
        for (int k = 0; k < 20; k++) GO(select_until_closed, a, b, done);
        if (i % 2) WAIT_RECEIVERS(b, 20);
        GO(close_it, b);
        wait_n(done, 20);
        CHECK_EQ(parked_receivers(a), 0);
        rn_unref(a);
        rn_unref(b);
    }
}

static void select_send_closed(void *c, send_int done) {
    check_panics(select_send, c, "send on closed channel");
    rn_send(done, 1);
}

TEST_GO(close_panics_parked_sending_selects) {
    rn_chan(int) c = rn_make(int, 0), done = rn_make(int, 0);
    for (int i = 0; i < 50; i++) GO(select_send_closed, (void *)c, done);
    WAIT_SENDERS(c, 50);
    rn_close(c);
    wait_n(done, 50);
}

/* ---- default only if no case was ready at any instant ---- */

/* Go's TestNonblockSelectRace: c1 has a value until c2 has one. */
static void must_not_default(recv_int c1, recv_int c2, send_int done) {
    CHECK_NE(rn_select_default(rn_on_recv(c1, NULL), rn_on_recv(c2, NULL)), -1);
    rn_send(done, 1);
}

TEST_GO(default_is_not_taken_while_a_value_moves) {
    rn_chan(int) done = rn_make(int, 1);
    for (int i = 0; i < scaled(20000); i++) {
        rn_chan(int) c1 = rn_make(int, 1), c2 = rn_make(int, 1);
        rn_send(c1, 1);
        GO(must_not_default, c1, c2, done);
        rn_send(c2, 1);
        rn_select_default(rn_on_recv(c1, NULL));
        wait_n(done, 1);
        rn_unref(c1);
        rn_unref(c2);
    }
}

TEST_GO(default_is_not_taken_while_one_closes_and_the_other_is_emptied) {
    rn_chan(int) done = rn_make(int, 1);
    for (int i = 0; i < scaled(20000); i++) {
        rn_chan(int) c1 = rn_make(int, 1), c2 = rn_make(int, 0);
        rn_send(c1, 1);
        GO(must_not_default, c1, c2, done);
        rn_close(c2);
        rn_select_default(rn_on_recv(c1, NULL));
        wait_n(done, 1);
        rn_unref(c1);
        rn_unref(c2);
    }
}

/* ---- programs ---- */

/* Go's TestSelectFairness: two producers that are always ready, two silent channels. */
TEST(ready_channels_share_fairly) {
    long n = scaled(100000), hits[4] = {0};
    rn_chan(char) c1 = rn_make(char, n + 1), c2 = rn_make(char, n + 1);
    rn_chan(char) c3 = rn_make(char, 0), c4 = rn_make(char, 0);
    for (long i = 0; i <= n; i++) {
        rn_send(c1, 1);
        rn_send(c2, 2);
    }
    for (long i = 0; i < n; i++)
        hits[rn_select(rn_on_recv(c3, NULL), rn_on_recv(c1, NULL), rn_on_recv(c4, NULL),
                       rn_on_recv(c2, NULL))]++;
    CHECK_EQ(hits[0] + hits[2], 0);
    check_uniform((long[]){hits[1], hits[3]}, 2, n);
}

static void fan(recv_int a, recv_int b, send_int out) {
    int v, left = 2;
    bool ok;
    while (left > 0) {
        int r = rn_select(rn_on_recv_ok(a, &v, &ok), rn_on_recv_ok(b, &v, &ok));
        if (ok) {
            rn_send(out, v);
        } else {
            left--;
            if (r == 0)
                a = NULL;
            else
                b = NULL;
        }
    }
    rn_close(out);
}

static void numbers(send_int c, int from, int step, int n) {
    for (int i = 0; i < n; i++) rn_send(c, from + i * step);
    rn_close(c);
}

TEST_GO(fan_in_with_channels_set_to_null) {
    rn_chan(int) a = rn_make(int, 0), b = rn_make(int, 3), out = rn_make(int, 0);
    int n = (int)scaled(10000), v, next[2] = {0, 1};
    GO(numbers, a, 0, 2, n);
    GO(numbers, b, 1, 2, n);
    GO(fan, a, b, out);
    while (rn_recv_ok(out, &v)) {
        CHECK_EQ(v, next[v % 2]);
        next[v % 2] += 2;
    }
    CHECK_EQ(next[0] + next[1], 4 * n + 1);
}

enum { NODES = 16 };

/* Values wander at random among nodes that all select on all channels, both ways; none is lost or doubled. */
static void node(rn_chan(long) * c, int me, long steps, uint64_t seed, rn_send_chan(long) out) {
    long mine = me + 1;
    rn_case cases[3];
    for (long i = 0; i < steps; i++) {
        long in[2] = {0, 0};
        size_t a = test_random(&seed) % NODES, b = test_random(&seed) % NODES;
        cases[0] = rn_on_recv(c[a], &in[0]);
        cases[1] = rn_on_recv(c[b], &in[1]);
        cases[2] = rn_on_send(c[(a + b) % NODES], mine);
        int r = rn_select_n(cases, 3, i % 4 == 0 ? RN_DEFAULT : 0);
        if (r == 2) mine = 0;
        if (r == 0 || r == 1) mine += in[r];
    }
    rn_send(out, mine);
}

TEST_GO(random_selects_lose_nothing) {
    static rn_chan(long) c[NODES];
    rn_chan(long) out = rn_make(long, 0);
    uint64_t seed = test_seed();
    for (int i = 0; i < NODES; i++) c[i] = rn_make(long, NODES * 4);
    long want = 0, sum = 0, v;
    /* a node never waits for ever: a buffer of 4 times the nodes always has room in one of the three */
    for (int i = 0; i < NODES; i++) {
        want += i + 1;
        GO(node, c, i, scaled(2000), test_random(&seed), out);
    }
    int left = NODES;
    while (left > 0) {
        rn_case cases[NODES + 1];
        long in = 0;
        for (int i = 0; i < NODES; i++) cases[i] = rn_on_recv(c[i], &in);
        cases[NODES] = rn_on_recv(out, &v);
        if (rn_select_n(cases, NODES + 1, 0) == NODES) {
            left--;
            sum += v;
        } else {
            sum += in;
        }
    }
    for (int i = 0; i < NODES; i++)
        while (rn_try_recv(c[i], &v) == 0) sum += v;
    CHECK_EQ(sum, want);
}
