/* SPDX-License-Identifier: MIT */
/*
 * state_threads.c: the rows of core_bench.c with State Threads, one of run.py's peers.
 *
 * State Threads run on one OS thread and have no channels: these are made of its condition
 * variables, as its documentation has threads communicate, and need no lock. It has no yield and no select.
 */
#include <st.h>

#include "harness.h"

struct chan {
    int64_t *buf, cap, len, head; /* cap 0: one slot, and the sender waits until it is taken */
    int64_t sent, taken;
    bool closed;
    st_cond_t filled, emptied, passed;
};

static struct chan *make(int64_t cap) {
    struct chan *c = calloc(1, sizeof *c);
    if (!c || !(c->buf = calloc((size_t)(cap ? cap : 1), sizeof *c->buf))) bench_die("no memory");
    c->cap = cap;
    c->filled = st_cond_new();
    c->emptied = st_cond_new();
    c->passed = st_cond_new();
    return c;
}

static void drop(struct chan *c) {
    st_cond_destroy(c->filled);
    st_cond_destroy(c->emptied);
    st_cond_destroy(c->passed);
    free(c->buf);
    free(c);
}

static void put(struct chan *c, int64_t v) {
    int64_t room = c->cap ? c->cap : 1;
    while (c->len == room) st_cond_wait(c->emptied);
    c->buf[(c->head + c->len++) % room] = v;
    int64_t mine = ++c->sent;
    st_cond_signal(c->filled);
    if (c->cap == 0)
        while (c->taken < mine) st_cond_wait(c->passed);
}

static bool take_ok(struct chan *c, int64_t *v) {
    while (c->len == 0 && !c->closed) st_cond_wait(c->filled);
    if (c->len == 0) return false;
    *v = c->buf[c->head];
    if (++c->head == (c->cap ? c->cap : 1)) c->head = 0;
    c->len--;
    c->taken++;
    st_cond_signal(c->emptied);
    if (c->cap == 0) st_cond_broadcast(c->passed);
    return true;
}

static int64_t take(struct chan *c) {
    int64_t v = 0;
    take_ok(c, &v);
    return v;
}

static void close_chan(struct chan *c) {
    c->closed = true;
    st_cond_broadcast(c->filled);
}

static int bench_enter(int (*fn)(void *), void *arg) {
    if (st_init() != 0) bench_die("st_init failed");
    return fn(arg);
}

/* What a thread of a row does: from a channel to another, so many times. */
struct job {
    struct chan *in, *out;
    int64_t n;
};

static st_thread_t start(void *(*fn)(void *), void *arg) {
    st_thread_t t = st_thread_create(fn, arg, 1, 0);
    if (!t) bench_die("no memory for a thread");
    return t;
}

static void *nothing(void *unused) { return unused; }

static void *sender(void *arg) {
    struct job *j = arg;
    for (int64_t i = 0; i < j->n; i++) put(j->out, i);
    return NULL;
}

static void *sender_close(void *arg) {
    sender(arg);
    close_chan(((struct job *)arg)->out);
    return NULL;
}

static void *receiver(void *arg) {
    struct job *j = arg;
    for (int64_t i = 0; i < j->n; i++) take(j->in);
    return NULL;
}

ROW(spawn_one) {
    for (int64_t i = 0; i < n; i++) st_thread_join(start(nothing, NULL), NULL);
}

ROW(spawn_batch_1000) {
    static st_thread_t all[1000];
    bench.per_op = 1000;
    for (int64_t i = 0; i < n; i++) {
        for (int j = 0; j < 1000; j++) all[j] = start(nothing, NULL);
        for (int j = 0; j < 1000; j++) st_thread_join(all[j], NULL);
    }
}

static void *echo(void *arg) {
    struct job *j = arg;
    int64_t v;
    while (take_ok(j->in, &v)) put(j->out, v);
    return NULL;
}

ROW(pingpong) {
    struct job j = {make(0), make(0), 0};
    st_thread_t t = start(echo, &j);
    for (int64_t i = 0; i < n; i++) {
        put(j.in, i);
        take(j.out);
    }
    close_chan(j.in);
    st_thread_join(t, NULL);
    drop(j.in);
    drop(j.out);
}

static void stream(int64_t n, int64_t cap) {
    struct job j = {NULL, make(cap), n};
    st_thread_t t = start(sender_close, &j);
    int64_t got = 0, v;
    while (take_ok(j.out, &v)) got++;
    if (got != n) bench_die("stream: items lost");
    st_thread_join(t, NULL);
    drop(j.out);
}

ROW(stream) { stream(n, 0); }

ROW(stream_128) { stream(n, 128); }

/* Senders and receivers on one channel, n items for each of the larger number; a side of 0 is the caller. */
static void fan(int64_t n, int64_t cap, int senders, int receivers) {
    struct chan *c = make(cap);
    int64_t total = n * (senders > receivers ? senders : receivers);
    struct job s = {NULL, c, senders ? total / senders : total};
    struct job r = {c, NULL, receivers ? total / receivers : total};
    st_thread_t all[256];
    int started = 0;
    for (int i = 0; i < senders; i++) all[started++] = start(sender, &s);
    for (int i = 0; i < receivers; i++) all[started++] = start(receiver, &r);
    if (senders == 0) sender(&s);
    if (receivers == 0) receiver(&r);
    for (int i = 0; i < started; i++) st_thread_join(all[i], NULL);
    drop(c);
}

ROW(stream_128_4x4) {
    bench.per_op = 4;
    fan(n, 128, 4, 4);
}

ROW(fanin_100) {
    bench.per_op = 100;
    fan(n, 0, 100, 0);
}

ROW(fanout_100) {
    bench.per_op = 100;
    fan(n, 0, 0, 100);
}

static void uncontended(int64_t n, int64_t cap) {
    struct chan *c = make(cap);
    bench.per_op = cap;
    for (int64_t i = 0; i < n; i++) {
        for (int64_t k = 0; k < cap; k++) put(c, k);
        for (int64_t k = 0; k < cap; k++) take(c);
    }
    drop(c);
}

ROW(uncontended_1) { uncontended(n, 1); }

ROW(uncontended_100) { uncontended(n, 100); }

static void *sieve_numbers(void *arg) {
    struct job *j = arg;
    for (int64_t i = 2; i <= j->n; i++) put(j->out, i);
    close_chan(j->out);
    return NULL;
}

static void *sieve_filter(void *arg) {
    struct job *j = arg;
    int64_t v;
    while (take_ok(j->in, &v))
        if ((uint32_t)v % (uint32_t)j->n != 0) put(j->out, v);
    close_chan(j->out);
    return NULL;
}

static void sieve(int64_t end) {
    static struct job jobs[2001];
    static st_thread_t all[2001];
    int count = 0;
    int64_t prime = 0, last = 0;
    struct chan *c = make(0);
    jobs[0] = (struct job){NULL, c, end};
    all[count++] = start(sieve_numbers, &jobs[0]);
    while (take_ok(c, &prime)) {
        jobs[count] = (struct job){c, make(0), prime};
        all[count] = start(sieve_filter, &jobs[count]);
        c = jobs[count++].out;
        last = prime;
    }
    if (last != end) bench_die("sieve: wrong prime");
    for (int i = 0; i < count; i++) {
        st_thread_join(all[i], NULL);
        drop(jobs[i].out);
    }
}

ROW_ONCE(sieve_2000) { bench_whole("sieve_2000", sieve, bench_size(17389, 29)); }

static void *ring_node(void *arg) {
    struct job *j = arg;
    for (int64_t i = 0; i < j->n; i++) put(j->out, take(j->in));
    return NULL;
}

ROW(ring_10000) {
    enum { MOST = 10000 };
    static struct job jobs[MOST];
    static st_thread_t all[MOST];
    int64_t size = bench_size(MOST, 10);
    struct chan *first = make(0), *in = first;
    bench.per_op = size;
    for (int64_t i = 0; i < size - 1; i++) {
        jobs[i] = (struct job){in, make(0), n};
        all[i] = start(ring_node, &jobs[i]);
        in = jobs[i].out;
    }
    bench_reset();
    for (int64_t i = 0; i < n; i++) {
        put(first, i);
        if (take(in) != i) bench_die("ring: wrong token");
    }
    bench_stop();
    for (int64_t i = 0; i < size - 1; i++) st_thread_join(all[i], NULL);
    for (int64_t i = 0; i < size - 1; i++) drop(jobs[i].out);
    drop(first);
}
