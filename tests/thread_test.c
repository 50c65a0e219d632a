/* SPDX-License-Identifier: MIT */
/*
 * thread_test.c: plain threads are full citizens: every operation from threads alone, and from threads
 * and goroutines together.
 */
#include <pthread.h>
#include <sys/syscall.h>

#include "parked.h"

typedef rn_chan(int) chan_int;
typedef rn_send_chan(int) send_int;
typedef rn_recv_chan(int) recv_int;

static pthread_t start(void *(*fn)(void *), void *arg) {
    pthread_t t;
    CHECK_EQ(pthread_create(&t, NULL, fn, arg), 0);
    return t;
}

static void join(pthread_t t) { CHECK_EQ(pthread_join(t, NULL), 0); }

static chan_int chan, chan2, done;

/* ---- each operation, partner by partner ---- */

static void *thread_sends(void *n) {
    for (intptr_t i = 0; i < (intptr_t)n; i++) rn_send(chan, (int)i);
    return NULL;
}

static void *thread_receives(void *n) {
    for (intptr_t i = 0; i < (intptr_t)n; i++) CHECK_EQ(rn_recv(chan), i);
    return NULL;
}

static void go_sends(int n) { thread_sends((void *)(intptr_t)n); }
static void go_receives(int n) {
    thread_receives((void *)(intptr_t)n);
    rn_send(done, 1);
}

static void one_to_one(int64_t cap) {
    intptr_t n = scaled(3000);
    chan = rn_make(int, cap);
    done = rn_make(int, 0);
    pthread_t t = start(thread_sends, (void *)n);
    thread_receives((void *)n);
    join(t);
    t = start(thread_receives, (void *)n);
    thread_sends((void *)n);
    join(t);
    GO(go_sends, (int)n);
    thread_receives((void *)n);
    GO(go_receives, (int)n);
    thread_sends((void *)n);
    wait_n(done, 1);
    rn_unref(chan);
    rn_unref(done);
}

TEST(threads_and_goroutines_send_and_receive) {
    one_to_one(0);
    one_to_one(1);
    one_to_one(100);
}

static void *ping(void *unused) {
    int v;
    while (rn_recv_ok(chan, &v)) rn_send(chan2, v + 1);
    rn_close(chan2);
    return unused;
}

TEST(ping_pong_of_two_threads) {
    chan = rn_make(int, 0);
    chan2 = rn_make(int, 0);
    pthread_t t = start(ping, NULL);
    for (int i = 0; i < scaled(3000); i++) {
        rn_send(chan, i);
        CHECK_EQ(rn_recv(chan2), i + 1);
    }
    rn_close(chan);
    CHECK(!rn_recv_ok(chan2, NULL));
    join(t);
}

static void go_ping(void) { ping(NULL); }

TEST(ping_pong_of_a_thread_and_a_goroutine) {
    chan = rn_make(int, 0);
    chan2 = rn_make(int, 0);
    GO(go_ping);
    for (int i = 0; i < scaled(3000); i++) {
        rn_send(chan, i);
        CHECK_EQ(rn_recv(chan2), i + 1);
    }
    rn_close(chan);
    CHECK(!rn_recv_ok(chan2, NULL));
}

/* ---- order ---- */

static void *thread_sends_one(void *v) {
    rn_send(chan, (int)(intptr_t)v);
    return NULL;
}
static void go_sends_one(int v) { rn_send(chan, v); }

TEST(parked_threads_and_goroutines_are_served_in_order) {
    enum { N = 40 };
    pthread_t t[N];
    chan = rn_make(int, 0);
    for (intptr_t i = 0; i < N; i++) {
        if (i % 2)
            t[i] = start(thread_sends_one, (void *)i);
        else
            GO(go_sends_one, (int)i);
        WAIT_SENDERS(chan, i + 1);
    }
    for (int i = 0; i < N; i++) CHECK_EQ(rn_recv(chan), i);
    for (int i = 1; i < N; i += 2) join(t[i]);
}

static void *thread_receives_own(void *v) {
    CHECK_EQ(rn_recv(chan), (intptr_t)v);
    rn_send(done, 1);
    return NULL;
}
static void go_receives_own(int v) { thread_receives_own((void *)(intptr_t)v); }

TEST(parked_receivers_of_both_kinds_are_served_in_order) {
    enum { N = 40 };
    pthread_t t[N];
    chan = rn_make(int, 3);
    done = rn_make(int, N);
    for (intptr_t i = 0; i < N; i++) {
        if (i % 2)
            t[i] = start(thread_receives_own, (void *)i);
        else
            GO(go_receives_own, (int)i);
        WAIT_RECEIVERS(chan, i + 1);
    }
    for (int i = 0; i < N; i++) {
        rn_send(chan, i);
        CHECK_EQ(rn_len(chan), 0);
    }
    wait_n(done, N);
    for (int i = 1; i < N; i += 2) join(t[i]);
}

/* ---- close ---- */

static void *thread_sees_close(void *unused) {
    CHECK(!rn_recv_ok(chan, NULL));
    return unused;
}
static void go_sees_close(void) {
    CHECK(!rn_recv_ok(chan, NULL));
    rn_send(done, 1);
}
static void *thread_closes(void *unused) {
    rn_close(chan);
    return unused;
}

TEST(close_wakes_threads_and_goroutines) {
    pthread_t t[10];
    done = rn_make(int, 0);
    chan = rn_make(int, 0);
    for (int i = 0; i < 10; i++) {
        t[i] = start(thread_sees_close, NULL);
        GO(go_sees_close);
    }
    WAIT_RECEIVERS(chan, 20);
    join(start(thread_closes, NULL));
    wait_n(done, 10);
    for (int i = 0; i < 10; i++) join(t[i]);
}

static void send_one(void *c) { rn_send((chan_int)c, 1); }
static void *thread_panics(void *unused) {
    check_panics(send_one, chan, "send on closed channel");
    return unused;
}

TEST(close_panics_parked_threads) {
    pthread_t t[10];
    chan = rn_make(int, 0);
    for (int i = 0; i < 10; i++) t[i] = start(thread_panics, NULL);
    WAIT_SENDERS(chan, 10);
    rn_close(chan);
    for (int i = 0; i < 10; i++) join(t[i]);
}

/* ---- select ---- */

static void *thread_selects(void *sum) {
    int v, n = 0;
    bool ok = true;
    while (ok) {
        rn_select(rn_on_recv_ok(chan, &v, &ok), rn_on_recv_ok(chan2, &v, &ok));
        n += ok;
    }
    return memcpy(sum, &n, sizeof n);
}

static void go_selects(int *sum) {
    thread_selects(sum);
    rn_send(done, 1);
}

TEST(threads_and_goroutines_select_together) {
    enum { N = 4 };
    pthread_t t[N];
    static int got[2 * N];
    int n = (int)scaled(3000), sum = 0;
    chan = rn_make(int, 0);
    chan2 = rn_make(int, 1);
    done = rn_make(int, 0);
    for (int i = 0; i < N; i++) {
        t[i] = start(thread_selects, &got[i]);
        GO(go_selects, &got[N + i]);
    }
    for (int i = 0; i < n; i++) rn_select(rn_on_send(chan, i), rn_on_send(chan2, i));
    while (rn_len(chan2) > 0) rn_yield();
    rn_close(chan2);
    wait_n(done, N);
    for (int i = 0; i < N; i++) join(t[i]);
    for (int i = 0; i < 2 * N; i++) sum += got[i];
    CHECK_EQ(sum, n);
}

static void *thread_twin(void *result) {
    long sent = 0;
    for (int i = 0; i < scaled(2000); i++) {
        int v = 0;
        if (rn_select(rn_on_send(chan, 1), rn_on_recv(chan, &v)) == 0)
            sent++;
        else
            CHECK_EQ(v, 1);
    }
    return memcpy(result, &sent, sizeof sent);
}

TEST(a_thread_and_its_twin_select_both_ways) {
    long a = 0, b = 0;
    chan = rn_make(int, 0);
    pthread_t t = start(thread_twin, &a);
    thread_twin(&b);
    join(t);
    CHECK_EQ(a + b, scaled(2000));
}

static long go_sent;
static void go_twin(void) {
    thread_twin(&go_sent);
    rn_send(done, 1);
}

TEST(a_thread_and_a_goroutine_select_both_ways) {
    long a = 0;
    chan = rn_make(int, 0);
    done = rn_make(int, 0);
    GO(go_twin);
    thread_twin(&a);
    wait_n(done, 1);
    CHECK_EQ(a + go_sent, scaled(2000));
}

/* ---- many ---- */

static rn_chan(long) longs, sums;

static void produce(long from, long to) {
    for (long i = from; i < to; i++) rn_send(longs, i);
    rn_send(done, 1);
}
static void *thread_produces(void *range) {
    long *r = range;
    produce(r[0], r[1]);
    return NULL;
}
static void consume(void) {
    long sum = 0, v;
    while (rn_recv_ok(longs, &v)) sum += v;
    rn_send(sums, sum);
}
static void *thread_consumes(void *unused) {
    consume();
    return unused;
}

static void add_up(int64_t cap) {
    pthread_t t[4];
    long n = scaled(20000), sum = 0, range[2][2];
    longs = rn_make(long, cap);
    sums = rn_make(long, 0);
    done = rn_make(int, 0);
    for (int i = 0; i < 2; i++) {
        range[i][0] = n * i / 4;
        range[i][1] = n * (i + 1) / 4;
        t[i] = start(thread_produces, range[i]);
        t[2 + i] = start(thread_consumes, NULL);
        GO(produce, n * (i + 2) / 4, n * (i + 3) / 4);
        GO(consume);
    }
    wait_n(done, 4);
    rn_close(longs);
    for (int i = 0; i < 4; i++) sum += rn_recv(sums);
    CHECK_EQ(sum, n * (n - 1) / 2);
    for (int i = 0; i < 4; i++) join(t[i]);
}

TEST(threads_and_goroutines_add_up_exactly) {
    add_up(0);
    add_up(1);
    add_up(64);
}

static void *thread_visits(void *i) {
    rn_send(chan, (int)(intptr_t)i);
    CHECK_EQ(rn_recv(chan2), 1);
    return NULL;
}

/* What the runtime keeps of a thread goes with the thread. */
TEST(many_threads_come_and_go) {
    chan = rn_make(int, 0);
    chan2 = rn_make(int, 0);
    for (intptr_t i = 0; i < scaled(500); i++) {
        pthread_t t = start(thread_visits, (void *)i);
        CHECK_EQ(rn_recv(chan), i);
        rn_send(chan2, 1);
        join(t);
    }
}

static void exit_here(void *deferred) {
    rn_defer(exit_here, deferred);
    pthread_exit(NULL);
}

static void *thread_exits_in_try(void *unused) {
    (void)rn_try(exit_here, unused, NULL);
    return unused;
}

static void *thread_has_no_try(void *unused) {
    rn_yield();
    CHECK(!rn__self()->tries);
    CHECK(!rn__self()->defers);
    return unused;
}

/* The next thread has the record of one that ended inside a protected call. */
TEST(a_thread_may_end_in_a_protected_call) {
    for (int i = 0; i < 10; i++) {
        join(start(thread_exits_in_try, NULL));
        join(start(thread_has_no_try, NULL));
    }
}

enum { PAIRS = 4 };

struct two_ways {
    chan_int a, b;
    uint32_t stop;
};

static void *thread_sends_either(void *arg) {
    struct two_ways *w = arg;
    for (int i = 0; !rn__load_acquire(&w->stop); i++) rn_send(i % 2 ? w->a : w->b, i);
    rn_close(w->a);
    return NULL;
}

static void *thread_selects_either(void *arg) {
    struct two_ways *w = arg;
    int v;
    bool ok = true;
    while (ok) rn_select(rn_on_recv_ok(w->a, &v, &ok), rn_on_recv(w->b, &v));
    return NULL;
}

struct seen {
    struct rn__waiter *receiver, *sender;
    size_t n;
};

static struct seen look_at(chan_int c) {
    struct rn__hchan *h = (void *)c;
    return (struct seen){h->recvq.first, h->sendq.first, h->qcount};
}

static void look_at_all(struct two_ways *w, struct seen *seen) {
    for (int i = 0; i < PAIRS; i++) {
        seen[2 * i] = look_at(w[i].a);
        seen[2 * i + 1] = look_at(w[i].b);
    }
}

/* Not even one that slept inside, and was woken by another which had still to leave. */
TEST_GO(threads_touch_no_channel_while_the_world_stands_still) {
    struct two_ways w[PAIRS];
    pthread_t t[2 * PAIRS];
    struct seen before[2 * PAIRS], after[2 * PAIRS];
    for (int i = 0; i < PAIRS; i++) {
        w[i] = (struct two_ways){rn_make(int, 0), rn_make(int, 0), 0};
        t[i] = start(thread_sends_either, &w[i]);
    }
    for (int i = 0; i < PAIRS; i++) t[PAIRS + i] = start(thread_selects_either, &w[i]);
    for (long i = 0; i < scaled(300); i++) {
        rn__world_stop();
        look_at_all(w, before);
        usleep(200);
        look_at_all(w, after);
        rn__world_start();
        for (int k = 0; k < 2 * PAIRS; k++) {
            CHECK(before[k].receiver == after[k].receiver);
            CHECK(before[k].sender == after[k].sender);
            CHECK_EQ(before[k].n, after[k].n);
        }
        rn_yield();
    }
    for (int i = 0; i < PAIRS; i++) rn__store_release(&w[i].stop, 1u);
    for (int i = 0; i < 2 * PAIRS; i++) join(t[i]);
    for (int i = 0; i < PAIRS; i++) rn_unref(w[i].a), rn_unref(w[i].b);
}

static void *thread_goes(void *unused) {
    for (int i = 0; i < 50; i++) GO(go_sends_one, i);
    CHECK_EQ(rn_goid(), 0);
    rn_yield();
    return unused;
}

TEST(threads_start_goroutines) {
    pthread_t t[4];
    long sum = 0;
    chan = rn_make(int, 0);
    for (int i = 0; i < 4; i++) t[i] = start(thread_goes, NULL);
    for (int i = 0; i < 200; i++) sum += rn_recv(chan);
    CHECK_EQ(sum, 4 * 1225);
    for (int i = 0; i < 4; i++) join(t[i]);
}

static int run_body(void *v) {
    rn_send(chan, *(int *)v);
    return *(int *)v;
}
static void *thread_runs(void *v) {
    CHECK_EQ(rn_run(run_body, v), *(int *)v);
    return NULL;
}

TEST(run_may_be_called_from_any_thread) {
    int v[] = {1, 2, 3, 4};
    chan = rn_make(int, 4);
    for (int i = 0; i < 4; i++) join(start(thread_runs, &v[i]));
    for (int i = 0; i < 4; i++) CHECK_EQ(rn_recv(chan), v[i]);
}

TEST(run_may_be_called_from_several_threads_at_once) {
    int v[] = {1, 2, 3, 4}, sum = 0;
    pthread_t t[4];
    chan = rn_make(int, 0);
    for (int i = 0; i < 4; i++) t[i] = start(thread_runs, &v[i]);
    for (int i = 0; i < 4; i++) sum += rn_recv(chan);
    CHECK_EQ(sum, 10);
    for (int i = 0; i < 4; i++) join(t[i]);
}

/* A goroutine may wait for a thread that it has started. */
TEST_GO(a_thread_serves_the_main_goroutine) {
    chan = rn_make(int, 0);
    chan2 = rn_make(int, 0);
    pthread_t t = start(ping, NULL);
    for (int i = 0; i < scaled(2000); i++) {
        rn_send(chan, i);
        CHECK_EQ(rn_recv(chan2), i + 1);
    }
    rn_close(chan);
    CHECK(!rn_recv_ok(chan2, NULL));
    join(t);
}

/* ---- references ---- */

static void *thread_drops(void *c) {
    CHECK_EQ(rn_recv((chan_int)c), 1);
    rn_chan_unref(c);
    return NULL;
}

TEST(a_thread_frees_the_channel_under_its_sender) {
    for (int i = 0; i < scaled(500); i++) {
        rn_chan(int) c = rn_make(int, i % 2);
        pthread_t t = start(thread_drops, c);
        rn_send(c, 1);
        join(t);
    }
}

/* ---- sleeping ---- */

static long sleeper;

static void *thread_sleeps(void *unused) {
    __atomic_store_n(&sleeper, syscall(SYS_gettid), __ATOMIC_RELAXED);
    CHECK_EQ(rn_recv(chan), 1);
    return unused;
}

static char state_of(long tid) {
    char name[64], text[512] = "";
    snprintf(name, sizeof name, "/proc/self/task/%ld/stat", tid);
    FILE *f = fopen(name, "r");
    if (!f) SKIP("no /proc/self/task");
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = 0;
    char *p = strrchr(text, ')');
    CHECK(p && p[1] == ' ');
    return p[2];
}

/* Not spinning, not yielding: it is seen sleeping many times in a row sooner or later. */
TEST(a_blocked_thread_sleeps_in_the_kernel) {
    chan = rn_make(int, 0);
    pthread_t t = start(thread_sleeps, NULL);
    WAIT_RECEIVERS(chan, 1);
    for (int in_a_row = 0; in_a_row < 100;) {
        in_a_row = state_of(count(&sleeper)) == 'S' ? in_a_row + 1 : 0;
        usleep(10);
    }
    rn_send(chan, 1);
    join(t);
}
