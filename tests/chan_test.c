/* SPDX-License-Identifier: MIT */
/*
 * chan_test.c: channels do what Go's do, as the Go specification says it, and the classic programs
 * made of channels (sieve, daisy chain, power series).
 */
#include "parked.h"

typedef rn_chan(int) chan_int;
typedef rn_send_chan(int) send_int;
typedef rn_recv_chan(int) recv_int;

/* ---- making ---- */

TEST(make_gives_the_capacity_asked_for) {
    static const int64_t caps[] = {0, 1, 7, 1000000};
    for (size_t i = 0; i < 4; i++) {
        rn_chan(int) c = rn_make(int, caps[i]);
        CHECK(c);
        CHECK_EQ(rn_cap(c), caps[i]);
        CHECK_EQ(rn_len(c), 0);
        rn_unref(c);
    }
}

static void fill(unsigned char *e, size_t size, size_t i) {
    for (size_t k = 0; k < size; k++) e[k] = (unsigned char)(i * 31 + k * 7 + (k >> 8));
}

/* Send and receive n elements of this size without waiting; all bytes must come out in order. */
static void through_buffer(void *c, size_t size, size_t n) {
    static unsigned char in[65535], want[65535], out[65535];
    for (size_t i = 0; i < n; i++) {
        fill(in, size, i);
        CHECK_EQ(rn_chan_try_send(c, in), 0);
    }
    CHECK_EQ(rn_chan_len(c), n);
    for (size_t i = 0; i < n; i++) {
        fill(want, size, i);
        CHECK_EQ(rn_chan_try_recv(c, out), 0);
        CHECK_EQ(memcmp(want, out, size), 0);
    }
    CHECK_EQ(rn_chan_try_recv(c, out), -EAGAIN);
}

static void capacity_and_size(int64_t cap, size_t size) {
    void *c = rn_chan_make(size, cap);
    CHECK(c);
    CHECK_EQ(rn_chan_cap(c), cap);
    size_t n = cap > 1000 ? (size_t)scaled(1000) : (size_t)cap;
    for (int lap = 0; lap < 3; lap++) through_buffer(c, size, n);
    rn_chan_unref(c);
}

TEST(every_capacity_with_every_element_size) {
    static const int64_t caps[] = {0, 1, 7, 1000000};
    static const size_t sizes[] = {0, 1, 8, 64, 4096, 3, 17, 65535};
    for (size_t i = 0; i < 4; i++)
        for (size_t k = 0; k < 8; k++) {
            if (caps[i] > 7 && sizes[k] > 64) continue; /* big_buffer has these */
            capacity_and_size(caps[i], sizes[k]);
        }
}

/* 4 GB of address space: a machine may refuse it, and then the answer is NULL. */
TEST(big_buffer_of_big_elements) {
    if (TEST_TSAN || TEST_ASAN) return;
    void *c = rn_chan_make(4096, 1000000);
    if (!c) return;
    CHECK_EQ(rn_chan_cap(c), 1000000);
    through_buffer(c, 4096, (size_t)scaled(1000));
    rn_chan_unref(c);
}

TEST(a_million_elements_fill_the_buffer_exactly) {
    rn_chan(uint64_t) c = rn_make(uint64_t, 1000000);
    CHECK(c);
    for (uint64_t i = 0; i < 1000000; i++) rn_send(c, i * i);
    CHECK_EQ(rn_len(c), 1000000);
    CHECK_EQ(rn_try_send(c, 1), -EAGAIN);
    for (uint64_t i = 0; i < 1000000; i++) CHECK_EQ(rn_recv(c), i * i);
    CHECK_EQ(rn_len(c), 0);
    rn_unref(c);
}

struct make_args {
    size_t size;
    int64_t cap;
};

static void call_make(void *p) {
    struct make_args *a = p;
    rn_chan_unref(rn_chan_make(a->size, a->cap));
}

TEST(absurd_sizes_panic) {
    static const struct make_args range[] = {
        {8, -1},
        {0, -1},
        {1, -1},
        {8, INT64_MIN},
        {8, INT64_MAX},
        {8, INT64_MAX / 8 + 1},
        {1, INT64_MAX},
        {4096, INT64_MAX / 4096 + 1},
        {65535, INT64_MAX / 2},
        {0, INT64_MIN},
    };
    for (size_t i = 0; i < sizeof range / sizeof *range; i++)
        check_panics(call_make, (void *)(uintptr_t)&range[i], "makechan: size out of range");
    static const struct make_args elem[] = {{65536, 0}, {65536, 1}, {1 << 20, 7}, {SIZE_MAX, 1}};
    for (size_t i = 0; i < sizeof elem / sizeof *elem; i++)
        check_panics(call_make, (void *)(uintptr_t)&elem[i],
                     "makechan: invalid channel element type");
}

TEST(any_capacity_of_nothing) {
    void *c = rn_chan_make(0, INT64_MAX);
    CHECK(c);
    CHECK_EQ(rn_chan_cap(c), INT64_MAX);
    for (int i = 0; i < 1000; i++) rn_chan_send(c, "");
    CHECK_EQ(rn_chan_len(c), 1000);
    rn_chan_unref(c);
}

struct nothing {};

TEST(elements_of_no_bytes_count_against_the_capacity) {
    rn_chan(struct nothing) c = rn_make(struct nothing, 2);
    struct nothing v = {};
    CHECK_EQ(rn_try_send(c, v), 0);
    CHECK_EQ(rn_try_send(c, v), 0);
    CHECK_EQ(rn_try_send(c, v), -EAGAIN);
    CHECK_EQ(rn_len(c), 2);
    rn_close(c);
    CHECK(rn_recv_ok(c, &v));
    CHECK(rn_recv_ok(c, NULL));
    CHECK(!rn_recv_ok(c, &v));
    rn_unref(c);
}

/* ---- NULL ---- */

TEST(null_channel_fails_fast_and_is_empty) {
    rn_chan(int) c = NULL;
    int v = 42;
    CHECK_EQ(rn_try_send(c, 1), -EAGAIN);
    CHECK_EQ(rn_try_recv(c, &v), -EAGAIN);
    CHECK_EQ(rn_try_recv(c, NULL), -EAGAIN);
    CHECK_EQ(v, 42);
    CHECK_EQ(rn_len(c), 0);
    CHECK_EQ(rn_cap(c), 0);
    CHECK(rn_ref(c) == NULL);
    rn_unref(c);
}

static void call_close(void *c) { rn_chan_close(c); }

TEST(closing_null_panics) { check_panics(call_close, NULL, "close of nil channel"); }

static void send_null(send_int before, send_int after) {
    rn_send(before, 1);
    rn_send((chan_int)NULL, 1);
    rn_send(after, 1);
}

static void recv_null(send_int before, send_int after) {
    rn_send(before, 1);
    (void)rn_recv((chan_int)NULL);
    rn_send(after, 1);
}

TEST_GO(null_channel_blocks_for_ever) {
    rn_chan(int) before = rn_make(int, 0), after = rn_make(int, 2);
    GO(send_null, before, after);
    GO(recv_null, before, after);
    wait_n(before, 2);
    for (int i = 0; i < 1000; i++) rn_yield();
    CHECK_EQ(rn_len(after), 0);
    CHECK_EQ(rn_goroutines(), 3);
}

/* ---- values ---- */

static void send_all_kinds(rn_send_chan(double) d, rn_send_chan(signed char) s,
                           rn_send_chan(bool) b, rn_send_chan(void *) p) {
    int one = 1;
    rn_send(d, one);
    rn_send(s, -128);
    rn_send(b, 256);
    rn_send(p, NULL);
}

TEST_GO(values_are_converted_to_the_element_type) {
    rn_chan(double) d = rn_make(double, 0);
    rn_chan(signed char) s = rn_make(signed char, 0);
    rn_chan(bool) b = rn_make(bool, 0);
    rn_chan(void *) p = rn_make(void *, 0);
    GO(send_all_kinds, d, s, b, p);
    CHECK(rn_recv(d) == 1.0);
    CHECK_EQ(rn_recv(s), -128);
    CHECK_EQ(rn_recv(b), true);
    CHECK(rn_recv(p) == NULL);
}

struct point {
    int x, y;
    char text[100];
};

TEST(structs_pass_by_value) {
    rn_chan(struct point) c = rn_make(struct point, 3);
    struct point a = {1, 2, "one"};
    rn_send(c, a);
    a.x = 9;
    rn_send(c, ((struct point){3, 4, "two"}));
    struct point r = rn_recv(c);
    CHECK_EQ(r.x, 1);
    CHECK_STR(r.text, "one");
    CHECK(rn_recv_ok(c, &r));
    CHECK_EQ(r.y, 4);
    CHECK_STR(r.text, "two");
    rn_unref(c);
}

static int evaluated;
static chan_int once(chan_int c) {
    evaluated++;
    return c;
}

TEST(operands_are_evaluated_once) {
    rn_chan(int) c = rn_make(int, 8);
    int i = 0, v[4];
    rn_send(once(c), i++);
    CHECK_EQ(rn_try_send(once(c), i++), 0);
    CHECK_EQ(i, 2);
    CHECK_EQ(rn_recv(once(c)), 0);
    int *p = v;
    CHECK(rn_recv_ok(once(c), p++));
    CHECK_EQ(v[0], 1);
    CHECK(p == v + 1);
    CHECK_EQ(evaluated, 4);
    rn_close(once(c));
    CHECK_EQ(rn_len(once(c)) + rn_cap(once(c)), 8);
    CHECK_EQ(evaluated, 7);
    rn_unref(once(c));
    CHECK_EQ(evaluated, 8);
}

TEST(a_buffer_is_a_fifo_over_many_laps) {
    rn_chan(long) c = rn_make(long, 7);
    uint64_t seed = test_seed();
    long in = 0, out = 0, end = scaled(100000);
    while (out < end) {
        for (uint64_t k = test_random(&seed) % 8; k > 0 && in - out < 7; k--) rn_send(c, in++);
        CHECK_EQ(rn_len(c), in - out);
        for (uint64_t k = test_random(&seed) % 8; k > 0 && out < in; k--)
            CHECK_EQ(rn_recv(c), out++);
    }
    rn_unref(c);
}

/* ---- unbuffered ---- */

static void send_one(send_int c, int v) { rn_send(c, v); }
static void recv_one(recv_int c, send_int out) { rn_send(out, rn_recv(c)); }

static void send_then_mark(send_int c, int v, long *mark) {
    rn_send(c, v);
    add(mark, 1);
}

TEST_GO(unbuffered_send_waits_for_its_receiver) {
    static long sent;
    rn_chan(int) c = rn_make(int, 0);
    GO(send_then_mark, c, 7, &sent);
    WAIT_SENDERS(c, 1);
    for (int i = 0; i < 100; i++) rn_yield();
    CHECK_EQ(count(&sent), 0);
    CHECK_EQ(rn_len(c), 0);
    CHECK_EQ(rn_cap(c), 0);
    CHECK_EQ(rn_recv(c), 7);
    WAIT_FOR(count(&sent) == 1);
}

TEST_GO(a_full_buffer_holds_the_sender) {
    static long sent;
    rn_chan(int) c = rn_make(int, 2);
    rn_send(c, 1);
    rn_send(c, 2);
    GO(send_then_mark, c, 3, &sent);
    WAIT_SENDERS(c, 1);
    CHECK_EQ(count(&sent), 0);
    CHECK_EQ(rn_len(c), 2);
    for (int i = 1; i <= 3; i++) CHECK_EQ(rn_recv(c), i);
    WAIT_FOR(count(&sent) == 1);
}

static void echo(recv_int in, send_int out) {
    int v;
    while (rn_recv_ok(in, &v)) rn_send(out, v + 1);
    rn_close(out);
}

TEST_GO(ping_pong) {
    rn_chan(int) a = rn_make(int, 0), b = rn_make(int, 0);
    GO(echo, a, b);
    for (int i = 0; i < scaled(20000); i++) {
        rn_send(a, i);
        CHECK_EQ(rn_recv(b), i + 1);
    }
    rn_close(a);
    CHECK(!rn_recv_ok(b, NULL));
    rn_unref(a);
    rn_unref(b);
}

static void count_to(rn_send_chan(long) c, long n) {
    for (long i = 0; i < n; i++) rn_send(c, i);
    rn_close(c);
}

static void stream(int64_t cap) {
    rn_chan(long) c = rn_make(long, cap);
    long n = scaled(20000), want = 0, v;
    GO(count_to, c, n);
    while (rn_recv_ok(c, &v)) CHECK_EQ(v, want++);
    CHECK_EQ(want, n);
    rn_unref(c);
}

TEST_GO(a_stream_keeps_its_order) {
    static const int64_t caps[] = {0, 1, 2, 7, 128, 1000000};
    for (size_t i = 0; i < 6; i++) stream(caps[i]);
}

/* Elements of every size go from stack to stack, the sender or the receiver being parked. */
static void send_sized(void *c, size_t size, long n) {
    unsigned char e[4096];
    for (long i = 0; i < n; i++) {
        fill(e, size, (size_t)i);
        rn_chan_send(c, e);
        memset(e, 0xee, size);
    }
    rn_chan_close(c);
}

static void stream_sized(size_t size, int64_t cap) {
    unsigned char want[4096], got[4098];
    void *c = rn_chan_make(size, cap);
    long n = scaled(2000), i = 0;
    GO(send_sized, c, size, n);
    for (;; i++) {
        memset(got, 0x55, sizeof got);
        if (!rn_chan_recv(c, got + 1)) break;
        fill(want, size, (size_t)i);
        CHECK_EQ(memcmp(want, got + 1, size), 0);
        CHECK(got[0] == 0x55 && got[size + 1] == 0x55);
    }
    CHECK_EQ(i, n);
    for (size_t k = 0; k < size; k++) CHECK_EQ(got[k + 1], 0);
    CHECK(got[0] == 0x55 && got[size + 1] == 0x55);
    rn_chan_unref(c);
}

TEST_GO(elements_of_every_size_arrive_whole) {
    static const size_t sizes[] = {0, 1, 2, 3, 4, 7, 8, 9, 12, 16, 24, 32, 64, 100, 4096};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        stream_sized(sizes[i], 0);
        stream_sized(sizes[i], 1);
        stream_sized(sizes[i], 7);
    }
}

/* ---- order ---- */

TEST_GO(fifo_of_parked_senders) {
    rn_chan(int) c = rn_make(int, 0);
    for (int i = 0; i < 100; i++) {
        GO(send_one, c, i);
        WAIT_SENDERS(c, i + 1);
    }
    for (int i = 0; i < 100; i++) CHECK_EQ(rn_recv(c), i);
    CHECK_EQ(rn_try_recv(c, NULL), -EAGAIN);
}

TEST_GO(fifo_of_senders_parked_on_a_full_buffer) {
    rn_chan(int) c = rn_make(int, 3);
    for (int i = 0; i < 3; i++) rn_send(c, i);
    for (int i = 3; i < 100; i++) {
        GO(send_one, c, i);
        WAIT_SENDERS(c, i - 2);
    }
    for (int i = 0; i < 100; i++) CHECK_EQ(rn_recv(c), i);
    CHECK_EQ(rn_len(c), 0);
}

static void recv_my_number(recv_int c, int want, send_int done) {
    CHECK_EQ(rn_recv(c), want);
    rn_send(done, 1);
}

static void fifo_of_receivers(int64_t cap) {
    rn_chan(int) c = rn_make(int, cap), done = rn_make(int, 0);
    for (int i = 0; i < 100; i++) {
        GO(recv_my_number, c, i, done);
        WAIT_RECEIVERS(c, i + 1);
    }
    for (int i = 0; i < 100; i++) rn_send(c, i);
    wait_n(done, 100);
}

TEST_GO(fifo_of_parked_receivers) {
    fifo_of_receivers(0);
    fifo_of_receivers(1);
    fifo_of_receivers(200);
}

/* The value freed by a receive belongs to the oldest parked sender, not to who comes along now. */
TEST_GO(no_barging_past_a_parked_sender) {
    rn_chan(int) c = rn_make(int, 1);
    rn_send(c, 1);
    GO(send_one, c, 2);
    WAIT_SENDERS(c, 1);
    CHECK_EQ(rn_try_send(c, 99), -EAGAIN);
    CHECK_EQ(rn_recv(c), 1);
    CHECK_EQ(rn_try_send(c, 99), -EAGAIN);
    CHECK_EQ(rn_len(c), 1);
    CHECK_EQ(rn_recv(c), 2);
    CHECK_EQ(rn_try_recv(c, NULL), -EAGAIN);
}

TEST_GO(no_barging_past_a_parked_receiver) {
    rn_chan(int) c = rn_make(int, 4), out = rn_make(int, 4);
    GO(recv_one, c, out);
    WAIT_RECEIVERS(c, 1);
    rn_send(c, 1);
    CHECK_EQ(rn_try_recv(c, NULL), -EAGAIN);
    rn_send(c, 2);
    CHECK_EQ(rn_recv(c), 2);
    CHECK_EQ(rn_recv(out), 1);
}

TEST_GO(hand_over_goes_past_the_buffer) {
    rn_chan(int) c = rn_make(int, 10), out = rn_make(int, 10);
    for (int i = 0; i < 5; i++) GO(recv_one, c, out);
    WAIT_RECEIVERS(c, 5);
    for (int i = 0; i < 5; i++) {
        rn_send(c, i);
        CHECK_EQ(rn_len(c), 0);
    }
    rn_send(c, 5);
    CHECK_EQ(rn_len(c), 1);
    int sum = 0;
    for (int i = 0; i < 5; i++) sum += rn_recv(out);
    CHECK_EQ(sum, 10);
}

TEST_GO(a_receive_takes_the_head_and_lets_the_oldest_sender_in_at_the_tail) {
    rn_chan(int) c = rn_make(int, 3);
    rn_send(c, -1);
    (void)rn_recv(c); /* so that the ring does not start at slot 0 */
    for (int i = 0; i < 3; i++) rn_send(c, i);
    for (int i = 3; i < 6; i++) {
        GO(send_one, c, i);
        WAIT_SENDERS(c, i - 2);
    }
    for (int i = 0; i < 6; i++) {
        CHECK_EQ(rn_len(c), i < 3 ? 3 : 6 - i);
        CHECK_EQ(parked_senders(c), i < 3 ? 3 - i : 0);
        CHECK_EQ(rn_recv(c), i);
    }
}

/* ---- try ---- */

TEST(try_forms_say_would_block) {
    rn_chan(int) c = rn_make(int, 0), b = rn_make(int, 1);
    int v = 42;
    CHECK_EQ(rn_try_send(c, 1), -EAGAIN);
    CHECK_EQ(rn_try_recv(c, &v), -EAGAIN);
    CHECK_EQ(rn_try_recv(b, &v), -EAGAIN);
    CHECK_EQ(v, 42);
    CHECK_EQ(rn_try_send(b, 1), 0);
    CHECK_EQ(rn_try_send(b, 2), -EAGAIN);
    CHECK_EQ(rn_try_recv(b, &v), 0);
    CHECK_EQ(v, 1);
    rn_unref(c);
    rn_unref(b);
}

TEST_GO(try_forms_meet_a_parked_partner) {
    rn_chan(int) c = rn_make(int, 0), out = rn_make(int, 1);
    int v = 0;
    GO(send_one, c, 5);
    WAIT_SENDERS(c, 1);
    CHECK_EQ(rn_try_send(c, 6), -EAGAIN);
    CHECK_EQ(rn_try_recv(c, &v), 0);
    CHECK_EQ(v, 5);
    CHECK_EQ(rn_try_recv(c, &v), -EAGAIN);
    GO(recv_one, c, out);
    WAIT_RECEIVERS(c, 1);
    CHECK_EQ(rn_try_recv(c, &v), -EAGAIN);
    CHECK_EQ(rn_try_send(c, 6), 0);
    CHECK_EQ(rn_try_send(c, 7), -EAGAIN);
    CHECK_EQ(rn_recv(out), 6);
}

TEST(a_value_may_be_dropped) {
    rn_chan(int) c = rn_make(int, 3);
    for (int i = 0; i < 3; i++) rn_send(c, i);
    CHECK(rn_recv_ok(c, NULL));
    CHECK_EQ(rn_try_recv(c, NULL), 0);
    CHECK_EQ(rn_recv(c), 2);
    rn_close(c);
    CHECK_EQ(rn_try_recv(c, NULL), -EPIPE);
    CHECK(!rn_recv_ok(c, NULL));
    rn_unref(c);
}

/* ---- closing ---- */

TEST(a_closed_channel_is_drained_then_gives_zero_for_ever) {
    rn_chan(int) c = rn_make(int, 8);
    for (int i = 1; i <= 5; i++) rn_send(c, i);
    rn_close(c);
    CHECK_EQ(rn_len(c), 5);
    int v = 0;
    CHECK_EQ(rn_recv(c), 1);
    CHECK(rn_recv_ok(c, &v));
    CHECK_EQ(v, 2);
    CHECK_EQ(rn_try_recv(c, &v), 0);
    CHECK_EQ(v, 3);
    CHECK(rn_recv_ok(c, NULL));
    CHECK_EQ(rn_recv(c), 5);
    for (int i = 0; i < 10; i++) {
        v = 42;
        CHECK(!rn_recv_ok(c, &v));
        CHECK_EQ(v, 0);
        v = 42;
        CHECK_EQ(rn_try_recv(c, &v), -EPIPE);
        CHECK_EQ(v, 0);
        CHECK_EQ(rn_recv(c), 0);
    }
    CHECK_EQ(rn_len(c), 0);
    CHECK_EQ(rn_cap(c), 8);
    rn_unref(c);
}

static void call_send(void *c) { rn_send((chan_int)c, 1); }

static void closed_refuses(int64_t cap) {
    rn_chan(int) c = rn_make(int, cap);
    rn_close(c);
    for (int i = 0; i < 3; i++) {
        check_panics(call_send, c, "send on closed channel");
        check_panics(call_close, c, "close of closed channel");
        CHECK_EQ(rn_try_send(c, 1), -EPIPE);
    }
    CHECK_EQ(rn_len(c), 0);
    rn_unref(c);
}

TEST(a_closed_channel_refuses_sends_and_a_second_close) {
    closed_refuses(0);
    closed_refuses(1);
    closed_refuses(7);
}

static void recv_closed(recv_int c, send_int done) {
    int v = 42;
    CHECK(!rn_recv_ok(c, &v));
    CHECK_EQ(v, 0);
    rn_send(done, 1);
}

TEST_GO(close_wakes_all_receivers) {
    for (int64_t cap = 0; cap < 2; cap++) {
        rn_chan(int) c = rn_make(int, cap), done = rn_make(int, 0);
        for (int i = 0; i < 100; i++) GO(recv_closed, c, done);
        WAIT_RECEIVERS(c, 100);
        rn_close(c);
        CHECK_EQ(parked_receivers(c), 0);
        wait_n(done, 100);
        rn_unref(c);
    }
}

struct sending {
    void *c;
    int v;
};

static void send_it(void *arg) {
    struct sending *s = arg;
    rn_chan_send(s->c, &s->v);
}

static void send_closed(void *c, send_int done) {
    struct sending s = {c, 7};
    check_panics(send_it, &s, "send on closed channel");
    CHECK_EQ(s.v, 7); /* it is still the caller's */
    rn_send(done, 1);
}

static void close_panics(int64_t cap, int n) {
    rn_chan(int) c = rn_make(int, cap), done = rn_make(int, 0);
    for (int i = 0; i < cap; i++) rn_send(c, 7);
    for (int i = 0; i < n; i++) GO(send_closed, (void *)c, done);
    WAIT_SENDERS(c, n);
    rn_close(c);
    CHECK_EQ(parked_senders(c), 0);
    wait_n(done, n);
    /* what was in the buffer is still delivered, what was parked is not */
    for (int i = 0; i < cap; i++) CHECK_EQ(rn_recv(c), 7);
    CHECK(!rn_recv_ok(c, NULL));
    rn_unref(c);
}

TEST_GO(close_panics_all_senders) {
    for (int64_t cap = 0; cap < 3; cap++) close_panics(cap, 100);
    close_panics(2, (int)scaled(5000));
}

struct wide {
    char b[24];
};
typedef rn_chan(struct wide) chan_wide;

static void recv_wide(chan_wide c, rn_wg *w) {
    static const struct wide nothing;
    struct wide v;
    memset(&v, 0xab, sizeof v);
    CHECK(!rn_recv_ok(c, &v));
    CHECK_EQ(memcmp(&v, &nothing, sizeof v), 0);
    rn_wg_done(w);
}

/* Most of them are still to be touched when rn_close returns: not by way of the channel, which goes at once. */
TEST_GO(close_wakes_thousands_and_the_channel_may_go) {
    for (long i = 0, n = scaled(5000); i < 3; i++) {
        chan_wide c = rn_make(struct wide, i);
        rn_wg w = {0};
        rn_wg_add(&w, n);
        for (long k = 0; k < n; k++) GO(recv_wide, c, &w);
        WAIT_RECEIVERS(c, n);
        rn_close(c);
        CHECK_EQ(parked_receivers(c), 0);
        rn_unref(c);
        size_t size = sizeof(struct rn__hchan) + (size_t)i * sizeof(struct wide);
        void *again = memset(malloc(size), 0xff, size); /* the same memory, as a rule */
        rn_wg_wait(&w);
        free(again);
    }
}

static void recv_none(chan_int c, rn_wg *w) {
    CHECK(!rn_recv_ok(c, NULL));
    rn_wg_done(w);
}

/* Of the two channels one is closed: who is served by that is not the other's any more. */
static void select_one(chan_int c, chan_int d, rn_wg *w) {
    bool ok = true;
    int v = 42, i = rn_select(rn_on_recv_ok(c, &v, &ok), rn_on_recv(d, &v));
    CHECK_EQ(i, 0);
    CHECK(!ok);
    CHECK_EQ(v, 0);
    rn_wg_done(w);
}

static void *thread_recv_none(void *c) {
    CHECK(!rn_recv_ok((chan_int)c, NULL));
    return NULL;
}

TEST_GO(close_wakes_threads_among_hundreds) {
    enum { THREADS = 3, OTHERS = 200 };
    for (int i = 0; i < 10; i++) {
        chan_int c = rn_make(int, 0);
        pthread_t t[THREADS];
        rn_wg w = {0};
        rn_wg_add(&w, 2 * OTHERS);
        for (int k = 0; k < OTHERS; k++) GO(recv_none, c, &w);
        WAIT_RECEIVERS(c, OTHERS);
        for (int k = 0; k < THREADS; k++)
            CHECK_EQ(pthread_create(&t[k], NULL, thread_recv_none, (void *)c), 0);
        WAIT_RECEIVERS(c, OTHERS + THREADS);
        for (int k = 0; k < OTHERS; k++) GO(recv_none, c, &w);
        WAIT_RECEIVERS(c, 2 * OTHERS + THREADS);
        rn_close(c);
        for (int k = 0; k < THREADS; k++) CHECK_EQ(pthread_join(t[k], NULL), 0);
        rn_wg_wait(&w);
        rn_unref(c);
    }
}

TEST_GO(close_sees_to_each_select_at_once) {
    for (long i = 0, n = scaled(500); i < 10; i++) {
        chan_int c = rn_make(int, 0), d = rn_make(int, 0);
        rn_wg w = {0};
        rn_wg_add(&w, 2 * n);
        for (long k = 0; k < n; k++) {
            GO(recv_none, c, &w);
            GO(select_one, c, d, &w);
        }
        WAIT_RECEIVERS(c, 2 * n);
        rn_close(c);
        rn_unref(c);
        CHECK_EQ(rn_try_send(d, 1), -EAGAIN);
        rn_wg_wait(&w);
        rn_unref(d);
    }
}

/* How selects ended. */
struct tally {
    rn_wg w;
    long closed, served, timed, sum; /* atomic */
};

/* Twice on c, once on d, and a time. */
static void select_many(chan_int c, chan_int d, rn_time t, struct tally *y) {
    int v = 42;
    bool ok = true;
    int i = rn_select(rn_on_recv_ok(c, &v, &ok), rn_on_recv(d, &v), rn_on_recv_ok(c, &v, &ok),
                      rn_on_until(t));
    if (i == 1) add(&y->sum, v);
    if (i == 3) CHECK_EQ(v, 42);
    if (i == 0 || i == 2) CHECK_EQ(v, 0);
    CHECK_EQ(ok, i == 1 || i == 3);
    add(i == 1 ? &y->served : i == 3 ? &y->timed : &y->closed, 1);
    rn_wg_done(&y->w);
}

struct stealing {
    chan_int d;
    long stolen, sum; /* atomic */
    rn_wg w;
};

static void steal_some(struct stealing *s, int from, int to) {
    for (int k = from; k < to; k++) {
        if (rn_try_send(s->d, k) != 0) continue;
        add(&s->sum, k);
        add(&s->stolen, 1);
    }
}

static void steal(struct stealing *s) {
    steal_some(s, 0, (int)scaled(500));
    rn_wg_done(&s->w);
}

/* Each ends once: by the close, by the other channel, or by the time. */
TEST_GO(a_close_another_channel_and_time_share_the_selects) {
    for (long i = 0, n = scaled(1000); i < 10; i++) {
        chan_int c = rn_make(int, 0), d = rn_make(int, 0), never = rn_make(int, 0);
        struct tally y = {0};
        struct stealing s = {.d = d};
        rn_time soon = rn_now() + RN_MS;
        rn_wg_add(&y.w, 2 * n), rn_wg_add(&s.w, 1);
        for (long k = 0; k < 2 * n; k++)
            GO(select_many, c, k < n ? never : d, k % 2 ? soon + k * RN_US : RN_TIME_MAX, &y);
        /* Those that no time ends. */
        WAIT_RECEIVERS(never, n / 2);
        WAIT_RECEIVERS(d, n / 2);
        GO(steal, &s);
        while (count(&s.stolen) == 0) rn_yield();
        steal_some(&s, 500,
                   600); /* these have not gone on when the close comes, and wait behind others */
        rn_close(c);
        rn_wg_wait(&s.w);
        CHECK_EQ(rn_try_send(d, 1), -EAGAIN);
        rn_wg_wait(&y.w);
        CHECK_EQ(y.closed + y.served + y.timed, 2 * n);
        CHECK_EQ(y.served, s.stolen);
        CHECK_EQ(y.sum, s.sum);
        CHECK_EQ(parked_receivers(c) + parked_receivers(d) + parked_receivers(never), 0);
        rn_unref(c), rn_unref(d), rn_unref(never);
    }
}

static void select_to_send(void *arg) {
    chan_int *c = arg;
    rn_select(rn_on_recv(c[1], NULL), rn_on_send(c[0], 1), rn_on_recv(c[1], NULL));
}

static void send_closed_in_select(chan_int *c, rn_wg *w) {
    check_panics(select_to_send, c, "send on closed channel");
    rn_wg_done(w);
}

TEST_GO(close_panics_selects_that_send) {
    chan_int c[] = {rn_make(int, 0), rn_make(int, 0)};
    long n = scaled(1000);
    rn_wg w = {0};
    rn_wg_add(&w, n);
    for (long k = 0; k < n; k++) GO(send_closed_in_select, c, &w);
    WAIT_SENDERS(c[0], n);
    rn_close(c[0]);
    CHECK_EQ(rn_try_send(c[1], 1), -EAGAIN);
    rn_unref(c[0]);
    rn_wg_wait(&w);
    CHECK_EQ(parked_receivers(c[1]), 0);
    rn_unref(c[1]);
}

static void select_both_ways(chan_int c, send_int out) {
    int v = 42;
    bool ok = true;
    int i = rn_select(rn_on_send(c, 1), rn_on_recv_ok(c, &v, &ok));
    CHECK_EQ(i, 1);
    CHECK_EQ(v, 0);
    CHECK(!ok);
    rn_send(out, 1);
}

/* The one way to be a parked receiver and a parked sender of one channel shows which come first. */
TEST_GO(close_releases_receivers_before_senders) {
    rn_chan(int) c = rn_make(int, 0), out = rn_make(int, 0);
    GO(select_both_ways, c, out);
    WAIT_RECEIVERS(c, 1);
    WAIT_SENDERS(c, 1);
    rn_close(c);
    CHECK_EQ(rn_recv(out), 1);
    CHECK_EQ(parked_senders(c), 0);
}

static void close_it(send_int c) { rn_close(c); }

static void try_until_empty(recv_int c, send_int done) {
    int v = 42;
    int r = rn_try_recv(c, &v);
    if (r != 0) CHECK_EQ(r, -EPIPE);
    CHECK_EQ(v, r == 0 ? 1 : 0);
    rn_send(done, 1);
}

/* Full, then closed and drained: at no instant is it open and empty. */
TEST_GO(a_full_channel_being_closed_never_shows_empty) {
    rn_chan(int) done = rn_make(int, 0);
    for (int i = 0; i < scaled(10000); i++) {
        rn_chan(int) c = rn_make(int, 1);
        rn_send(c, 1);
        GO(try_until_empty, c, done);
        rn_close(c);
        (void)rn_recv(c);
        wait_n(done, 1);
        rn_unref(c);
    }
}

static void recv_last_or_none(recv_int c, send_int done) {
    (void)rn_recv_ok(c, NULL);
    rn_send(done, 1);
}

static void try_or_closed(send_int c, send_int done) {
    int r = rn_try_send(c, 1);
    if (r != 0) CHECK_EQ(r, -EPIPE);
    rn_send(done, 1);
}

/* A receiver waits, then it is closed: at no instant is it open with nobody there. */
TEST_GO(a_channel_closed_under_its_receiver_never_shows_nobody) {
    rn_chan(int) done = rn_make(int, 0);
    for (int i = 0; i < scaled(10000); i++) {
        rn_chan(int) c = rn_make(int, 0);
        GO(recv_last_or_none, c, done);
        WAIT_RECEIVERS(c, 1);
        GO(try_or_closed, c, done);
        if (i % 2) rn_yield();
        rn_close(c);
        wait_n(done, 2);
        rn_unref(c);
    }
}

static void many_tries(recv_int c, int n, send_int done) {
    for (int i = 0; i < n; i++) CHECK_NE(rn_try_recv(c, NULL), -EAGAIN);
    rn_send(done, 1);
}

TEST_GO(eight_see_no_empty_channel_while_it_is_closed) {
    rn_chan(int) done = rn_make(int, 0);
    for (int i = 0; i < scaled(500); i++) {
        rn_chan(int) c = rn_make(int, 40);
        for (int k = 0; k < 40; k++) rn_send(c, k);
        for (int k = 0; k < 8; k++) GO(many_tries, c, 5, done);
        GO(close_it, c);
        wait_n(done, 8);
        while (rn_recv_ok(c, NULL)) continue;
        rn_unref(c);
    }
}

static void receive_closed(recv_int c, bool tries, send_int done) {
    for (int i = 0; i < 100; i++)
        CHECK(tries ? rn_try_recv(c, NULL) == -EPIPE : !rn_recv_ok(c, NULL));
    rn_send(done, 1);
}

/* Tries do so without the lock, and note that it is over. */
TEST_GO(who_receives_and_who_tries_see_the_close_together) {
    rn_chan(int) done = rn_make(int, 0);
    for (int i = 0; i < scaled(300); i++) {
        rn_chan(int) c = rn_make(int, i % 2);
        rn_close(c);
        for (int k = 0; k < 4; k++) GO(receive_closed, c, k % 2 == 0, done);
        wait_n(done, 4);
        rn_unref(c);
    }
    rn_unref(done);
}

/* A receive that finds the channel closed comes after every send that came before the close. */
static void send_and_close(send_int c, int n) {
    for (int i = 0; i < n; i++) rn_send(c, i);
    rn_close(c);
}

TEST_GO(nothing_sent_before_the_close_is_lost) {
    for (int i = 0; i < scaled(3000); i++) {
        rn_chan(int) c = rn_make(int, i % 4);
        int n = 0, r;
        GO(send_and_close, c, 5);
        while ((r = rn_try_recv(c, NULL)) != -EPIPE) {
            if (r == 0)
                n++;
            else
                rn_yield();
        }
        CHECK_EQ(n, 5);
        rn_unref(c);
    }
}

/* Close against parked receivers, arriving receivers and a second close: one close wins. */
static void try_close(void *c, send_int won) {
    rn_panic_info p;
    bool ok = rn_try(call_close, c, &p);
    if (!ok) CHECK_STR(p.message, "close of closed channel");
    rn_send(won, ok);
}

TEST_GO(of_many_closes_one_wins) {
    rn_chan(int) won = rn_make(int, 0), done = rn_make(int, 0);
    for (int i = 0; i < scaled(500); i++) {
        rn_chan(int) c = rn_make(int, i % 2);
        for (int k = 0; k < 4; k++) GO(recv_closed, c, done);
        for (int k = 0; k < 8; k++) GO(try_close, (void *)c, won);
        int n = 0;
        for (int k = 0; k < 8; k++) n += rn_recv(won);
        CHECK_EQ(n, 1);
        wait_n(done, 4);
        rn_unref(c);
    }
}

/* ---- references ---- */

TEST(references_are_counted) {
    rn_chan(int) c = rn_make(int, 1);
    for (int i = 0; i < 100; i++) CHECK(rn_ref(c) == c);
    rn_send(c, 1);
    for (int i = 0; i < 100; i++) rn_unref(c);
    CHECK_EQ(rn_recv(c), 1);
    rn_unref(c);
}

TEST(a_channel_with_values_in_it_can_be_freed) {
    rn_chan(int) c = rn_make(int, 8);
    for (int i = 0; i < 5; i++) rn_send(c, i);
    rn_unref(c);
    c = rn_make(int, 8);
    rn_send(c, 1);
    rn_close(c);
    rn_unref(c);
}

static void recv_last(recv_int c, send_int done) {
    CHECK_EQ(rn_recv(c), 1);
    rn_unref(c);
    rn_send(done, 1);
}

static void send_last(send_int c, send_int done) {
    rn_send(c, 1);
    rn_unref(c);
    rn_send(done, 1);
}

static void see_close(recv_int c, send_int done) {
    CHECK(!rn_recv_ok(c, NULL));
    rn_unref(c);
    rn_send(done, 1);
}

static void poll_last(recv_int c, send_int done) {
    while (rn_try_recv(c, NULL) != 0) rn_yield();
    rn_unref(c);
    rn_send(done, 1);
}

static void poll_close(recv_int c, send_int done) {
    while (rn_try_recv(c, NULL) != -EPIPE) rn_yield();
    rn_unref(c);
    rn_send(done, 1);
}

static void select_last(recv_int c, send_int done) {
    rn_chan(int) other = rn_make(int, 0);
    int v = 0;
    CHECK_EQ(rn_select(rn_on_recv(other, NULL), rn_on_recv(c, &v)), 1);
    CHECK_EQ(v, 1);
    rn_unref(c);
    rn_unref(other);
    rn_send(done, 1);
}

static void take_and_close(rn_chan(int) c) {
    (void)rn_recv(c);
    rn_close(c);
}

/* Who sees without waiting that it is closed may drop the last reference, while close is on its way out. */
TEST_GO(dropped_by_a_try_that_sees_it_closed) {
    for (long i = scaled(4000); i > 0; i--) {
        int r;
        rn_chan(int) c = rn_make(int, 1);
        rn_go(take_and_close, c);
        rn_send(c, 1);
        while ((r = rn_try_recv(c, NULL)) != -EPIPE) {
            if (r == 0) rn_send(c, 1); /* it was for the other */
            if (i % 2 || rn_procs(0) == 1) rn_yield();
        }
        rn_unref(c);
    }
}

static void just_close(rn_chan(int) c) { rn_close(c); }

/* The closer's processor has it to itself: the other only ever glances at it. */
TEST_GO(dropped_by_a_try_that_sees_it_closed_by_its_own) {
    for (long i = scaled(4000); i > 0; i--) {
        rn_chan(int) c = rn_make(int, i % 2);
        rn_go(just_close, c);
        while (rn_try_recv(c, NULL) != -EPIPE)
            if (rn_procs(0) == 1) rn_yield();
        rn_unref(c);
    }
}

/*
 * One reference for both sides: whoever sees the last communication drops it while the other, who
 * holds none, is still in its call. For ASan and TSan to judge.
 */
TEST_GO(the_last_receiver_frees_the_channel_under_its_sender) {
    static void (*const how[])(recv_int, send_int) = {recv_last, poll_last, select_last};
    rn_chan(int) done = rn_make(int, 0);
    for (int i = 0; i < scaled(6000); i++) {
        rn_chan(int) c = rn_make(int, i / 3 % 2);
        GO(how[i % 3], c, done);
        if (i & 8) rn_yield();
        rn_send(c, 1);
        wait_n(done, 1);
    }
}

TEST_GO(the_sender_frees_the_channel_under_its_receiver) {
    rn_chan(int) done = rn_make(int, 0);
    for (int i = 0; i < scaled(6000); i++) {
        rn_chan(int) c = rn_make(int, 0);
        GO(send_last, c, done);
        if (i & 8) rn_yield();
        CHECK_EQ(rn_recv(c), 1);
        wait_n(done, 1);
    }
}

TEST_GO(the_receiver_frees_the_channel_under_its_closer) {
    static void (*const how[])(recv_int, send_int) = {see_close, poll_close};
    rn_chan(int) done = rn_make(int, 0);
    for (int i = 0; i < scaled(6000); i++) {
        rn_chan(int) c = rn_make(int, i / 2 % 2);
        GO(how[i % 2], c, done);
        if (i & 8) rn_yield();
        rn_close(c);
        wait_n(done, 1);
    }
}

static void send_last_select(send_int c, send_int done) {
    rn_chan(int) other = rn_make(int, 0);
    CHECK_EQ(rn_select(rn_on_send(c, 1), rn_on_recv(other, NULL)), 0);
    rn_unref(c);
    rn_unref(other);
    rn_send(done, 1);
}

/* Two selects meet; each side in turn is the one that frees. */
TEST_GO(selects_free_the_channel_under_each_other) {
    rn_chan(int) done = rn_make(int, 0), never = rn_make(int, 0);
    for (int i = 0; i < scaled(6000); i++) {
        rn_chan(int) c = rn_make(int, 0);
        int v = 0;
        if (i % 2) {
            GO(send_last_select, c, done);
            CHECK_EQ(rn_select(rn_on_recv(c, &v), rn_on_recv(never, NULL)), 0);
            CHECK_EQ(v, 1);
        } else {
            GO(select_last, c, done);
            CHECK_EQ(rn_select(rn_on_recv(never, NULL), rn_on_send(c, 1)), 1);
        }
        wait_n(done, 1);
    }
}

static void drop_all(rn_recv_chan(chan_int) in, send_int done) {
    chan_int c;
    while (rn_recv_ok(in, &c)) {
        CHECK_EQ(rn_recv(c), 1);
        rn_unref(c);
    }
    rn_send(done, 1);
}

/* The same with no time lost between: four pairs at once, free(3) reusing the memory at once. */
TEST_GO(many_channels_are_freed_while_their_senders_leave) {
    rn_chan(chan_int) pass = rn_make(chan_int, 4);
    rn_chan(int) done = rn_make(int, 0);
    for (int i = 0; i < 4; i++) GO(drop_all, pass, done);
    for (int i = 0; i < scaled(20000); i++) {
        rn_chan(int) c = rn_make(int, 0);
        rn_send(pass, c);
        rn_send(c, 1);
    }
    rn_close(pass);
    wait_n(done, 4);
}

/* ---- programs ---- */

struct request {
    int x;
    rn_chan(int) answer;
};

static void square_server(rn_recv_chan(struct request) in) {
    struct request r;
    while (rn_recv_ok(in, &r)) rn_send(r.answer, r.x * r.x);
}

TEST_GO(channels_travel_through_channels) {
    rn_chan(struct request) c = rn_make(struct request, 0);
    GO(square_server, c);
    rn_chan(int) answer = rn_make(int, 0);
    for (int i = 0; i < scaled(5000); i++) {
        rn_send(c, ((struct request){i % 1000, answer}));
        CHECK_EQ(rn_recv(answer), (i % 1000) * (i % 1000));
    }
    rn_chan(rn_chan(int)) cc = rn_make(rn_chan(int), 1);
    rn_send(cc, answer);
    CHECK(rn_recv(cc) == answer);
    rn_close(c);
}

static void produce(rn_send_chan(long) c, long from, long to) {
    for (long i = from; i < to; i++) rn_send(c, i);
}

static void produce_and_say(rn_send_chan(long) c, long from, long to, send_int done) {
    produce(c, from, to);
    rn_send(done, 1);
}

static void consume(rn_recv_chan(long) c, rn_send_chan(long) out) {
    long sum = 0, v;
    while (rn_recv_ok(c, &v)) sum += v;
    rn_send(out, sum);
}

static void four_to_four(int64_t cap, long n) {
    rn_chan(long) c = rn_make(long, cap), sums = rn_make(long, 0);
    rn_chan(int) done = rn_make(int, 0);
    for (int i = 0; i < 4; i++) GO(produce_and_say, c, n * i / 4, n * (i + 1) / 4, done);
    for (int i = 0; i < 4; i++) GO(consume, c, sums);
    wait_n(done, 4);
    rn_close(c);
    long sum = 0;
    for (int i = 0; i < 4; i++) sum += rn_recv(sums);
    CHECK_EQ(sum, n * (n - 1) / 2);
    rn_unref(c);
}

TEST_GO(four_producers_and_four_consumers_add_up_exactly) {
    four_to_four(0, scaled(271828));
    four_to_four(1, scaled(271828));
    four_to_four(128, scaled(271828));
}

static void add_one(recv_int in, send_int out) { rn_send(out, rn_recv(in) + 1); }

TEST_GO(daisy_chain_of_10000) {
    int n = 10000;
    rn_chan(int) first = rn_make(int, 0);
    rn_chan(int) right = first;
    for (int i = 0; i < n; i++) {
        rn_chan(int) left = rn_make(int, 0);
        GO(add_one, right, left);
        right = left;
    }
    GO(send_one, first, 0);
    CHECK_EQ(rn_recv(right), n);
}

static void generate(send_int c) {
    for (int i = 2;; i++) rn_send(c, i);
}

static void filter(recv_int in, send_int out, int prime) {
    for (;;) {
        int v = rn_recv(in);
        if (v % prime) rn_send(out, v);
    }
}

TEST_GO(prime_sieve) {
    long n = scaled(200);
    int prime = 0;
    rn_chan(int) c = rn_make(int, 0);
    GO(generate, c);
    for (long i = 0; i < n; i++) {
        prime = rn_recv(c);
        for (int d = 2; d * d <= prime; d++) CHECK_NE(prime % d, 0);
        rn_chan(int) next = rn_make(int, 0);
        GO(filter, c, next, prime);
        c = next;
    }
    if (n == 200) CHECK_EQ(prime, 1223);
}

/*
 * Power series after McIlroy's "Squinting at Power Series": a series is the stream of its coefficients
 * (here modulo a prime), a product a network of goroutines that grows while it runs. Who reads a
 * stream to its end drops it.
 */
typedef rn_chan(uint64_t) series;
enum { PRIME = 1000000007 };

static uint64_t inverse(uint64_t a) {
    uint64_t r = 1;
    for (unsigned e = PRIME - 2; e > 0; e >>= 1, a = a * a % PRIME)
        if (e & 1) r = r * a % PRIME;
    return r;
}

/* exp(c x), n terms of it. */
static void exponential(uint64_t c, series out, int n) {
    uint64_t a = 1;
    for (int k = 1; k <= n; k++) {
        rn_send(out, a);
        a = a * c % PRIME * inverse((uint64_t)k) % PRIME;
    }
    rn_close(out);
}

static void drain(series s) {
    while (rn_recv_ok(s, NULL)) continue;
    rn_unref(s);
}

static void split(series in, series a, series b) {
    uint64_t v;
    while (rn_recv_ok(in, &v)) {
        rn_send(a, v);
        rn_send(b, v);
    }
    rn_close(a);
    rn_close(b);
    rn_unref(in);
}

/* FG = f0 g0 + x (f0 G' + g0 F' + x F'G'), where F = f0 + x F'. */
static void multiply(series f, series g, series out, int n) {
    series inner = NULL;
    if (n > 0) {
        series f1 = rn_make(uint64_t, n), f2 = rn_make(uint64_t, n), g1 = rn_make(uint64_t, n);
        series g2 = rn_make(uint64_t, n);
        uint64_t f0 = rn_recv(f), g0 = rn_recv(g);
        inner = rn_make(uint64_t, 0);
        GO(split, f, f1, f2);
        GO(split, g, g1, g2);
        GO(multiply, f2, g2, inner, n - 2);
        rn_send(out, f0 * g0 % PRIME);
        for (int k = 1; k < n; k++) {
            uint64_t v = f0 * rn_recv(g1) % PRIME + g0 * rn_recv(f1) % PRIME;
            rn_send(out, (v + (k > 1 ? rn_recv(inner) : 0)) % PRIME);
        }
        f = f1;
        g = g1;
    }
    drain(f); /* first, or split waits for room in f1, and inner for split */
    drain(g);
    if (inner) drain(inner);
    rn_close(out);
}

static series exp_of(uint64_t c, int n) {
    series s = rn_make(uint64_t, 0);
    GO(exponential, c, s, n);
    return s;
}

/* exp(x) exp(2x) ... exp(mx) = exp(m(m+1)/2 x), coefficient by coefficient. */
static void product_of_exponentials(int m, int n, send_int done) {
    series s = exp_of(1, n), want = exp_of((uint64_t)(m * (m + 1) / 2), n);
    for (int i = 2; i <= m; i++) {
        series out = rn_make(uint64_t, i % 2);
        GO(multiply, s, exp_of((uint64_t)i, n), out, n);
        s = out;
    }
    for (int k = 0; k < n; k++) CHECK_EQ(rn_recv(s), rn_recv(want));
    drain(s);
    drain(want);
    rn_send(done, 1);
}

TEST_GO(power_series) {
    rn_chan(int) done = rn_make(int, 0);
    int rounds = (int)scaled(8);
    for (int i = 0; i < rounds; i++) GO(product_of_exponentials, 8, 30, done);
    wait_n(done, rounds);
    WAIT_FOR(rn_goroutines() == 1);
}

/* A channel of capacity n as a semaphore: at most n goroutines are between its send and receive. */
static void enter(send_int sem_in, recv_int sem_out, long *inside, long limit, send_int done) {
    for (int i = 0; i < 50; i++) {
        rn_send(sem_in, 1);
        CHECK_LE(add(inside, 1), limit);
        rn_yield();
        add(inside, -1);
        (void)rn_recv(sem_out);
    }
    rn_send(done, 1);
}

TEST_GO(a_buffer_is_a_counting_semaphore) {
    static long inside;
    rn_chan(int) sem = rn_make(int, 3), done = rn_make(int, 0);
    long n = scaled(100);
    for (long i = 0; i < n; i++) GO(enter, sem, sem, &inside, 3, done);
    wait_n(done, n);
    CHECK_EQ(inside, 0);
}

/* Every value goes to exactly one of many receivers, whoever they are. */
static void mark_each(recv_int c, unsigned char *seen, send_int done) {
    int v;
    while (rn_recv_ok(c, &v)) CHECK_EQ(__atomic_fetch_add(&seen[v], 1, __ATOMIC_RELAXED), 0);
    rn_send(done, 1);
}

TEST_GO(every_value_is_delivered_once) {
    static unsigned char seen[100000];
    for (int64_t cap = 0; cap < 3; cap++) {
        int n = (int)scaled(50000);
        rn_chan(int) c = rn_make(int, cap), done = rn_make(int, 0);
        memset(seen, 0, sizeof seen);
        for (int i = 0; i < 23; i++) GO(mark_each, c, seen, done);
        for (int i = 0; i < n; i++) rn_send(c, i);
        rn_close(c);
        wait_n(done, 23);
        for (int i = 0; i < n; i++) CHECK_EQ(seen[i], 1);
        rn_unref(c);
    }
}

static void len_watch(recv_int c, recv_int stop) {
    while (rn_try_recv(stop, NULL) == -EAGAIN) {
        CHECK_LE(rn_len(c), 7);
        CHECK_EQ(rn_cap(c), 7);
        rn_yield();
    }
    rn_unref(stop);
}

TEST_GO(len_stays_within_the_capacity) {
    rn_chan(int) c = rn_make(int, 7), stop = rn_make(int, 1);
    GO(len_watch, c, stop);
    GO(send_and_close, c, (int)scaled(20000));
    while (rn_recv_ok(c, NULL)) CHECK_LE(rn_len(c), 7);
    rn_send(stop, 1);
}
