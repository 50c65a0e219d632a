/* SPDX-License-Identifier: MIT */
/*
 * core_bench.c: goroutines and channels: the rows that runnel is compared by. bench/go/main.go, bench/rust,
 * bench/fiber.cpp and bench/st.c do the same work; change them together. run.py runs them all.
 *
 * Elements are 8 bytes. An operation (op) is: a yield; a goroutine; a round trip; an item; a
 * send and a receive; a hop. The join is counted in.
 */
#include "bench.h"

typedef rn_chan(int64_t) chan64;

/* Producers and consumers that several rows share. */
static void send_n(chan64 c, int64_t n) {
    for (int64_t i = 0; i < n; i++) rn_send(c, i);
}

static void send_n_close(chan64 c, int64_t n) {
    send_n(c, n);
    rn_close(c);
}

static void recv_n(chan64 c, int64_t n) {
    for (int64_t i = 0; i < n; i++) (void)rn_recv(c);
}

static void send_n_done(chan64 c, int64_t n, rn_wg *w) {
    send_n(c, n);
    rn_wg_done(w);
}

static void recv_n_done(chan64 c, int64_t n, rn_wg *w) {
    recv_n(c, n);
    rn_wg_done(w);
}

/* Goroutines. */
static void yield_n(int64_t n, rn_wg *w) {
    for (int64_t i = 0; i < n; i++) rn_yield();
    rn_wg_done(w);
}

ROW(yield) {
    rn_wg w = {0};
    rn_wg_add(&w, 100);
    bench.per_op = 100;
    for (int i = 0; i < 100; i++) GO(yield_n, n, &w);
    rn_wg_wait(&w);
}

static void send_one(chan64 done) { rn_send(done, 1); }

ROW(spawn_one) {
    chan64 done = rn_make(int64_t, 0);
    for (int64_t i = 0; i < n; i++) {
        GO(send_one, done);
        (void)rn_recv(done);
    }
    rn_unref(done);
}

ROW(spawn_batch_1000) {
    bench.per_op = 1000;
    for (int64_t i = 0; i < n; i++) {
        rn_wg w = {0};
        rn_wg_add(&w, 1000);
        for (int j = 0; j < 1000; j++) GO(rn_wg_done, &w);
        rn_wg_wait(&w);
    }
}

/* Pairs. */
static void echo(chan64 ping, chan64 pong) {
    int64_t v;
    while (rn_recv_ok(ping, &v)) rn_send(pong, v);
    rn_close(pong);
}

ROW(pingpong) {
    chan64 ping = rn_make(int64_t, 0), pong = rn_make(int64_t, 0);
    GO(echo, ping, pong);
    for (int64_t i = 0; i < n; i++) {
        rn_send(ping, i);
        (void)rn_recv(pong);
    }
    rn_close(ping);
    (void)rn_recv(pong);
    rn_unref(ping);
    rn_unref(pong);
}

static void stream(int64_t n, int64_t cap) {
    chan64 c = rn_make(int64_t, cap);
    int64_t v, got = 0;
    GO(send_n_close, c, n);
    while (rn_recv_ok(c, &v)) got++;
    if (got != n) bench_die("stream: items lost");
    rn_unref(c);
}

ROW(stream) { stream(n, 0); }

ROW(stream_128) { stream(n, 128); }

ROW(stream_128_4x4) {
    rn_wg w = {0};
    chan64 c = rn_make(int64_t, 128);
    rn_wg_add(&w, 8);
    bench.per_op = 4;
    for (int i = 0; i < 4; i++) {
        GO(send_n_done, c, n, &w);
        GO(recv_n_done, c, n, &w);
    }
    rn_wg_wait(&w);
    rn_unref(c);
}

static void uncontended(int64_t n, int64_t cap) {
    chan64 c = rn_make(int64_t, cap);
    bench.per_op = cap;
    for (int64_t i = 0; i < n; i++) {
        send_n(c, cap);
        recv_n(c, cap);
    }
    rn_unref(c);
}

ROW(uncontended_1) { uncontended(n, 1); }

ROW(uncontended_100) { uncontended(n, 100); }

/* Select and try. */
static void select_two(int64_t n, int64_t cap) {
    chan64 a = rn_make(int64_t, cap), b = rn_make(int64_t, cap);
    int64_t v;
    bench.per_op = 2;
    GO(send_n, a, n);
    GO(send_n, b, n);
    for (int64_t i = 0; i < 2 * n; i++) rn_select(rn_on_recv(a, &v), rn_on_recv(b, &v));
    rn_unref(a);
    rn_unref(b);
}

ROW(select_2) { select_two(n, 0); }

ROW(select_2_128) { select_two(n, 128); }

ROW(try_fail) {
    chan64 c = rn_make(int64_t, 0);
    int64_t v;
    for (int64_t i = 0; i < n; i++)
        if (rn_try_recv(c, &v) == 0) bench_die("try_fail: received");
    rn_unref(c);
}

ROW(select_fail_2) {
    chan64 a = rn_make(int64_t, 0), b = rn_make(int64_t, 0);
    int64_t v;
    for (int64_t i = 0; i < n; i++)
        if (rn_select_default(rn_on_recv(a, &v), rn_on_recv(b, &v)) != -1) bench_die("received");
    rn_unref(a);
    rn_unref(b);
}

ROW(select_fail_4) {
    chan64 c[4];
    int64_t v;
    for (int i = 0; i < 4; i++) c[i] = rn_make(int64_t, 0);
    for (int64_t i = 0; i < n; i++)
        if (rn_select_default(rn_on_recv(c[0], &v), rn_on_recv(c[1], &v), rn_on_recv(c[2], &v),
                              rn_on_recv(c[3], &v)) != -1)
            bench_die("received");
    for (int i = 0; i < 4; i++) rn_unref(c[i]);
}

/*
 * The prime sieve as a daisy chain of filters. The numbers end at the wanted prime, and the chain drains
 * and ends by close, so that the work is the same in every language and no goroutine is left. Divisions are of 32 bits: one of 64 takes
 * three times as long, and some compilers make those of small numbers short by themselves.
 */
static void sieve_numbers(chan64 out, int64_t end) {
    for (int64_t i = 2; i <= end; i++) rn_send(out, i);
    rn_close(out);
}

static void sieve_filter(chan64 in, chan64 out, int64_t prime) {
    int64_t v;
    while (rn_recv_ok(in, &v))
        if ((uint32_t)v % (uint32_t)prime != 0) rn_send(out, v);
    rn_close(out);
    rn_unref(in);
}

static void sieve(int64_t end) {
    chan64 c = rn_make(int64_t, 0);
    int64_t prime = 0, last = 0;
    GO(sieve_numbers, c, end);
    while (rn_recv_ok(c, &prime)) {
        chan64 next = rn_make(int64_t, 0);
        GO(sieve_filter, c, next, prime);
        c = next;
        last = prime;
    }
    if (last != end) bench_die("sieve: wrong prime");
    rn_unref(c);
}

ROW_ONCE(sieve_2000) { bench_whole("sieve_2000", sieve, bench_size(17389, 29)); }

/* Skynet: a tree of goroutines, ten children each, that adds up the numbers of its leaves. */
static void skynet_node(chan64 out, int64_t number, int64_t size) {
    if (size == 1) {
        rn_send(out, number);
        return;
    }
    chan64 in = rn_make(int64_t, 0);
    int64_t sum = 0;
    for (int64_t i = 0; i < 10; i++) GO(skynet_node, in, number + i * (size / 10), size / 10);
    for (int i = 0; i < 10; i++) sum += rn_recv(in);
    rn_unref(in);
    rn_send(out, sum);
}

static void skynet(int64_t size) {
    chan64 out = rn_make(int64_t, 0);
    GO(skynet_node, out, (int64_t)0, size);
    if (rn_recv(out) != size * (size - 1) / 2) bench_die("skynet: wrong sum");
    rn_unref(out);
}

ROW_ONCE(skynet) { bench_whole("skynet", skynet, bench_size(1000000, 100)); }

/* Many goroutines. */
static int64_t parked; /* atomic: goroutines about to receive */

static void park_here(chan64 c, rn_wg *w) {
    int64_t v;
    __atomic_add_fetch(&parked, 1, __ATOMIC_ACQ_REL);
    (void)rn_recv_ok(c, &v);
    rn_wg_done(w);
}

static void park_in_select(chan64 c, chan64 never, rn_wg *w) {
    int64_t v;
    __atomic_add_fetch(&parked, 1, __ATOMIC_ACQ_REL);
    (void)rn_select(rn_on_recv(c, &v), rn_on_recv(never, &v));
    rn_wg_done(w);
}

/* Reports three results: spawn and park, bytes each, and wake by close and end. Stacks of 0: the default. */
static void park(const char *row, int64_t n, size_t stack_size, bool select) {
    rn_go_opts opts = {.stack_size = stack_size};
    rn_wg w = {0};
    chan64 c = rn_make(int64_t, 0), never = rn_make(int64_t, 0);
    rn_wg_add(&w, n);
    parked = 0;
    double before = bench_resident();
    bench_reset();
    for (int64_t i = 0; i < n; i++)
        if ((select ? rn_go_opt(&opts, park_in_select, c, never, &w)
                    : rn_go_opt(&opts, park_here, c, &w)) != 0)
            bench_die("no memory for a goroutine");
    while (__atomic_load_n(&parked, __ATOMIC_ACQUIRE) < n) rn_yield();
    bench_stop();
    bench_report_part(row, "park", "ns/op", (double)bench.spent / (double)n);
    for (int i = 0; i < 100; i++) rn_yield(); /* the last ones are still on their way */
    bench_report_part(row, "bytes", "bytes/op", (bench_resident() - before) / (double)n);
    bench_reset();
    rn_close(c);
    rn_wg_wait(&w);
    bench_stop();
    bench_report_part(row, "wake", "ns/op", (double)bench.spent / (double)n);
    rn_unref(c), rn_unref(never);
}

ROW_ONCE(park_100k) { park("park_100k", bench_size(100000, 100), 0, false); }

ROW_ONCE(park_1m) { park("park_1m", bench_size(1000000, 200), 0, false); }

/* As those that wait for work or for the end. */
ROW_ONCE(park_1m_select) { park("park_1m_select", bench_size(1000000, 200), 0, true); }

/* With stacks of 64 KiB, which only runnel has; four million take 18 GB. */
ROW_ONCE(park_1m_64k) { park("park_1m_64k", bench_size(1000000, 200), 65536, false); }

ROW_ONCE(park_4m_64k) { park("park_4m_64k", bench_size(4000000, 200), 65536, false); }

/* Rings and fans. */
static void ring_node(chan64 in, chan64 out, int64_t rounds) {
    for (int64_t i = 0; i < rounds; i++) rn_send(out, rn_recv(in));
}

ROW(ring_10000) {
    int64_t size = bench_size(10000, 10);
    chan64 first = rn_make(int64_t, 0), *all = malloc(sizeof *all * (size_t)size), in = first;
    if (!all) bench_die("no memory");
    bench.per_op = size;
    for (int64_t i = 0; i < size - 1; i++) {
        all[i] = rn_make(int64_t, 0);
        GO(ring_node, in, all[i], n);
        in = all[i];
    }
    bench_reset();
    for (int64_t i = 0; i < n; i++) {
        rn_send(first, i);
        if (rn_recv(in) != i) bench_die("ring: wrong token");
    }
    bench_stop();
    for (int64_t i = 0; i < size - 1; i++) rn_unref(all[i]);
    rn_unref(first);
    free(all);
}

ROW(fanin_100) {
    chan64 c = rn_make(int64_t, 0);
    bench.per_op = 100;
    for (int i = 0; i < 100; i++) GO(send_n, c, n);
    recv_n(c, 100 * n);
    rn_unref(c);
}

ROW(fanout_100) {
    rn_wg w = {0};
    chan64 c = rn_make(int64_t, 0);
    bench.per_op = 100;
    rn_wg_add(&w, 100);
    for (int i = 0; i < 100; i++) GO(recv_n_done, c, n, &w);
    send_n(c, 100 * n);
    rn_wg_wait(&w);
    rn_unref(c);
}

#include "go_rows.h"
