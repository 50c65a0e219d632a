/* SPDX-License-Identifier: MIT */
/*
 * go_rows.h: twins of the benchmarks of Go's own runtime (src/runtime/chan_test.go, proc_test.go), under
 * their names; part of core_bench.c. run.py takes the other side from the installed Go's own sources.
 *
 * A twin keeps the shape of the original: who runs, what is sent, what is counted. Where C has to
 * differ it says so: a channel is given back by hand where Go leaves it to the collector.
 */
#ifndef RUNNEL_GO_ROWS_H
#define RUNNEL_GO_ROWS_H

#include <errno.h>

#include "bench.h"
#include "parallel.h"

typedef rn_chan(bool) chan_bool;
struct struct0 {};
struct struct32 {
    int64_t a, b, c, d;
};
struct struct40 {
    int64_t a, b, c, d, e;
};
typedef rn_chan(struct struct0) chan_struct0;

static void recv_all_bool(chan_bool c, int n) {
    for (int i = 0; i < n; i++) (void)rn_recv(c);
}

/* chan_test.go */
#define MAKE_CHAN(name, T)                                                                         \
    static void make_chan_##name(int64_t n) {                                                      \
        for (int64_t i = 0; i < n; i++) rn_unref(rn_make(T, 8));                                   \
    }
MAKE_CHAN(byte, unsigned char)
MAKE_CHAN(int, int64_t)
MAKE_CHAN(ptr, unsigned char *)
MAKE_CHAN(struct0, struct struct0)
MAKE_CHAN(struct32, struct struct32)
MAKE_CHAN(struct40, struct struct40)

ROW_ONCE(MakeChan) {
    bench_scaled("MakeChan/Byte", make_chan_byte);
    bench_scaled("MakeChan/Int", make_chan_int);
    bench_scaled("MakeChan/Ptr", make_chan_ptr);
    bench_scaled("MakeChan/Struct/0", make_chan_struct0);
    bench_scaled("MakeChan/Struct/32", make_chan_struct32);
    bench_scaled("MakeChan/Struct/40", make_chan_struct40);
}

static void nonblocking(struct pb *p, void *c) {
    chan64 myc = c;
    int64_t v;
    while (pb_next(p)) (void)rn_try_recv(myc, &v);
}

ROW(ChanNonblocking) {
    chan64 myc = rn_make(int64_t, 0);
    run_parallel(n, nonblocking, myc);
    rn_unref(myc);
}

/* Receive from either and send to the other: the loop of two rows. */
static void swap_between(struct pb *p, chan64 a, chan64 b) {
    int64_t v;
    rn_send(a, 0);
    while (pb_next(p)) {
        if (rn_select(rn_on_recv(a, &v), rn_on_recv(b, &v)) == 0)
            rn_send(b, 0);
        else
            rn_send(a, 0);
    }
}

static void select_uncontended(struct pb *p, void *unused) {
    chan64 a = rn_make(int64_t, 1), b = rn_make(int64_t, 1);
    (void)unused;
    swap_between(p, a, b);
    rn_unref(a);
    rn_unref(b);
}

ROW(SelectUncontended) { run_parallel(n, select_uncontended, NULL); }

struct three {
    chan64 a, b, c, done;
    rn_wg w;
};

static void sync_contended_sender(struct three *t) {
    while (rn_select(rn_on_send(t->a, 0), rn_on_send(t->b, 0), rn_on_send(t->c, 0),
                     rn_on_recv(t->done, NULL)) != 3)
        continue;
    rn_wg_done(&t->w);
}

static void sync_contended(struct pb *p, void *arg) {
    struct three *t = arg;
    int64_t v;
    GO(sync_contended_sender, t);
    while (pb_next(p)) rn_select(rn_on_recv(t->a, &v), rn_on_recv(t->b, &v), rn_on_recv(t->c, &v));
}

/* Go leaves the senders to end later; here they are waited for, off the clock, before the channels go. */
ROW(SelectSyncContended) {
    struct three t = {.a = rn_make(int64_t, 0), .b = rn_make(int64_t, 0), .c = rn_make(int64_t, 0)};
    t.done = rn_make(int64_t, 0);
    rn_wg_add(&t.w, rn_procs(0));
    run_parallel(n, sync_contended, &t);
    rn_close(t.done);
    bench_stop();
    rn_wg_wait(&t.w);
    rn_unref(t.a);
    rn_unref(t.b);
    rn_unref(t.c);
    rn_unref(t.done);
}

struct two {
    chan64 a, b;
};

static void async_contended(struct pb *p, void *arg) {
    struct two *t = arg;
    swap_between(p, t->a, t->b);
}

ROW(SelectAsyncContended) {
    int procs = rn_procs(0);
    struct two t = {rn_make(int64_t, procs), rn_make(int64_t, procs)};
    run_parallel(n, async_contended, &t);
    rn_unref(t.a);
    rn_unref(t.b);
}

struct four {
    chan64 a, b, c, d;
};

static void select_nonblock(struct pb *p, void *arg) {
    struct four *f = arg;
    int64_t v;
    while (pb_next(p)) {
        (void)rn_try_recv(f->a, &v);
        (void)rn_try_send(f->b, 0);
        (void)rn_try_recv(f->c, &v);
        (void)rn_try_send(f->d, 0);
    }
}

ROW(SelectNonblock) {
    struct four f = {rn_make(int64_t, 0), rn_make(int64_t, 0), rn_make(int64_t, 1),
                     rn_make(int64_t, 1)};
    run_parallel(n, select_nonblock, &f);
    rn_unref(f.a);
    rn_unref(f.b);
    rn_unref(f.c);
    rn_unref(f.d);
}

static void hundred_each_way(struct pb *p, void *c) {
    chan64 myc = c;
    while (pb_next(p)) {
        for (int i = 0; i < 100; i++) rn_send(myc, 0);
        for (int i = 0; i < 100; i++) (void)rn_recv(myc);
    }
}

static void chan_uncontended(struct pb *p, void *unused) {
    chan64 myc = rn_make(int64_t, 100);
    (void)unused;
    hundred_each_way(p, myc);
    rn_unref(myc);
}

ROW(ChanUncontended) { run_parallel(n, chan_uncontended, NULL); }

ROW(ChanContended) {
    chan64 myc = rn_make(int64_t, 100 * rn_procs(0));
    run_parallel(n, hundred_each_way, myc);
    rn_unref(myc);
}

enum { CALLS_PER_SCHED = 1000 };

/* benchmarkChanSync: two goroutines that take turns in 1000 rounds at a time. */
struct chan_sync {
    int32_t left; /* atomic: batches of a thousand */
    int64_t work;
    chan64 myc;
    chan_bool done;
};

static void chan_sync_turn(struct chan_sync *s, bool receives_first) {
    if (receives_first)
        (void)rn_recv(s->myc);
    else
        rn_send(s->myc, 0);
    local_work(s->work);
    if (receives_first)
        rn_send(s->myc, 0);
    else
        (void)rn_recv(s->myc);
    local_work(s->work);
}

static void chan_sync_part(struct chan_sync *s) {
    chan_bool done = s->done;
    int32_t i;
    while ((i = __atomic_sub_fetch(&s->left, 1, __ATOMIC_SEQ_CST)) >= 0)
        for (int g = 0; g < CALLS_PER_SCHED; g++) chan_sync_turn(s, i % 2 == 0);
    rn_send(done, true);
}

static void chan_sync(int64_t n, int64_t work) {
    struct chan_sync s = {(int32_t)(n / CALLS_PER_SCHED / 2 * 2), work, rn_make(int64_t, 0),
                          rn_make(bool, 2)};
    for (int p = 0; p < 2; p++) GO(chan_sync_part, &s);
    for (int p = 0; p < 2; p++) (void)rn_recv(s.done);
    rn_unref(s.myc);
    rn_unref(s.done);
}

ROW(ChanSync) { chan_sync(bench_size(n, 2 * CALLS_PER_SCHED), 0); }

ROW(ChanSyncWork) { chan_sync(n, 1000); }

/* benchmarkChanProdCons: as many producers and consumers as procs. */
struct prod_cons {
    int32_t left; /* atomic: batches of a thousand */
    int64_t work;
    chan64 myc;
    chan_bool done, never;
};

static void prod(struct prod_cons *s) {
    while (__atomic_sub_fetch(&s->left, 1, __ATOMIC_SEQ_CST) >= 0)
        for (int g = 0; g < CALLS_PER_SCHED; g++) {
            local_work(s->work);
            rn_send(s->myc, 1);
        }
    rn_send(s->myc, 0);
    rn_send(s->done, true);
}

static void cons(struct prod_cons *s) {
    while (rn_recv(s->myc) != 0) local_work(s->work);
    rn_send(s->done, true);
}

/* SelectProdCons puts a timer and a stop channel beside, neither of which ever fires. */
static void select_prod(struct prod_cons *s) {
    rn_time_chan timer = rn_after(3600 * RN_SEC);
    while (__atomic_sub_fetch(&s->left, 1, __ATOMIC_SEQ_CST) >= 0)
        for (int g = 0; g < CALLS_PER_SCHED; g++) {
            local_work(100);
            rn_select(rn_on_send(s->myc, 1), rn_on_recv(timer, NULL), rn_on_recv(s->never, NULL));
        }
    rn_send(s->myc, 0);
    rn_unref(timer);
    rn_send(s->done, true);
}

static void select_cons(struct prod_cons *s) {
    rn_time_chan timer = rn_after(3600 * RN_SEC);
    int64_t v;
    for (;;) {
        if (rn_select(rn_on_recv(s->myc, &v), rn_on_recv(timer, NULL),
                      rn_on_recv(s->never, NULL)) == 0 &&
            v == 0)
            break;
        local_work(100);
    }
    rn_unref(timer);
    rn_send(s->done, true);
}

static void prod_cons(int64_t n, int64_t cap, int64_t work, void (*p)(struct prod_cons *),
                      void (*c)(struct prod_cons *)) {
    int procs = rn_procs(0);
    struct prod_cons s = {(int32_t)(bench_size(n, CALLS_PER_SCHED) / CALLS_PER_SCHED), work,
                          rn_make(int64_t, cap), rn_make(bool, 2 * procs), rn_make(bool, 0)};
    for (int i = 0; i < procs; i++) {
        GO(p, &s);
        GO(c, &s);
    }
    recv_all_bool(s.done, 2 * procs);
    rn_unref(s.myc);
    rn_unref(s.done);
    rn_unref(s.never);
}

ROW(ChanProdCons0) { prod_cons(n, 0, 0, prod, cons); }

ROW(ChanProdCons10) { prod_cons(n, 10, 0, prod, cons); }

ROW(ChanProdCons100) { prod_cons(n, 100, 0, prod, cons); }

ROW(ChanProdConsWork0) { prod_cons(n, 0, 100, prod, cons); }

ROW(ChanProdConsWork10) { prod_cons(n, 10, 100, prod, cons); }

ROW(ChanProdConsWork100) { prod_cons(n, 100, 100, prod, cons); }

ROW(SelectProdCons) { prod_cons(n, 128, 100, select_prod, select_cons); }

ROW(ReceiveDataFromClosedChan) {
    struct struct0 v;
    chan_struct0 ch = rn_make(struct struct0, n);
    for (int64_t i = 0; i < n; i++) rn_send(ch, (struct struct0){});
    rn_close(ch);
    bench_reset();
    while (rn_recv_ok(ch, &v)) continue;
    bench_stop();
    rn_unref(ch);
}

static void chan_creation(struct pb *p, void *unused) {
    (void)unused;
    while (pb_next(p)) {
        chan64 myc = rn_make(int64_t, 1);
        rn_send(myc, 0);
        (void)rn_recv(myc);
        rn_unref(myc);
    }
}

ROW(ChanCreation) { run_parallel(n, chan_creation, NULL); }

static void chan_sem(struct pb *p, void *c) {
    chan_struct0 myc = c;
    while (pb_next(p)) {
        rn_send(myc, (struct struct0){});
        (void)rn_recv_ok(myc, NULL);
    }
}

ROW(ChanSem) {
    chan_struct0 myc = rn_make(struct struct0, rn_procs(0));
    run_parallel(n, chan_sem, myc);
    rn_unref(myc);
}

enum { POPULAR = 1000 };

static void popular_listener(chan_bool c, chan_bool d, int64_t n, rn_wg *w) {
    for (int64_t i = 0; i < n; i++) rn_select(rn_on_recv(c, NULL), rn_on_recv(d, NULL));
    rn_wg_done(w);
}

ROW(ChanPopular) {
    rn_wg w = {0};
    static chan_bool a[POPULAR];
    chan_bool c = rn_make(bool, 0);
    rn_wg_add(&w, POPULAR);
    for (int j = 0; j < POPULAR; j++) {
        a[j] = rn_make(bool, 0);
        GO(popular_listener, c, a[j], n, &w);
    }
    for (int64_t i = 0; i < n; i++)
        for (int j = 0; j < POPULAR; j++) rn_send(a[j], true);
    rn_wg_wait(&w);
    for (int j = 0; j < POPULAR; j++) rn_unref(a[j]);
    rn_unref(c);
}

static void chan_closed(struct pb *p, void *c) {
    chan_struct0 myc = c;
    while (pb_next(p))
        if (rn_try_recv(myc, NULL) == -EAGAIN) bench_die("ChanClosed: unreachable");
}

ROW(ChanClosed) {
    chan_struct0 c = rn_make(struct struct0, 0);
    rn_close(c);
    run_parallel(n, chan_closed, c);
    rn_unref(c);
}

/* proc_test.go */
static void create_chain(chan_bool c, int64_t n) {
    if (n == 0)
        rn_send(c, true);
    else
        GO(create_chain, c, n - 1);
}

static void create_goroutines(int64_t n, int procs) {
    chan_bool c = rn_make(bool, 0);
    for (int i = 0; i < procs; i++) GO(create_chain, c, n / procs);
    recv_all_bool(c, procs);
    rn_unref(c);
}

ROW(CreateGoroutines) { create_goroutines(n, 1); }

ROW(CreateGoroutinesParallel) { create_goroutines(n, rn_procs(0)); }

/* The arguments stand for what Go's closure captures. */
static void capturing(int i, int64_t n, rn_wg *w) {
    if (i >= 4 || n < 0) bench_die("CreateGoroutinesCapture: bad");
    rn_wg_done(w);
}

ROW(CreateGoroutinesCapture) {
    for (int64_t i = 0; i < n; i++) {
        rn_wg w = {0};
        rn_wg_add(&w, 4);
        for (int j = 0; j < 4; j++) GO(capturing, j, n, &w);
        rn_wg_wait(&w);
    }
}

static void spin_for(int64_t ns) {
    int64_t end = bench_now() + ns;
    while (bench_now() < end) continue;
}

/* warmupScheduler: all processors have a thread before the clock starts. */
static void warm_part(int64_t *arrived, int64_t want, rn_wg *w) {
    __atomic_add_fetch(arrived, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(arrived, __ATOMIC_SEQ_CST) < want) continue;
    spin_for(1000000);
    rn_wg_done(w);
}

static void warm_scheduler(int procs) {
    rn_wg w = {0};
    int64_t arrived = 0;
    rn_wg_add(&w, procs);
    for (int i = 0; i < procs; i++) GO(warm_part, &arrived, (int64_t)procs, &w);
    rn_wg_wait(&w);
}

ROW(CreateGoroutinesSingle) {
    rn_wg w = {0};
    warm_scheduler(rn_procs(0));
    bench_reset();
    rn_wg_add(&w, n);
    for (int64_t i = 0; i < n; i++) GO(rn_wg_done, &w);
    rn_wg_wait(&w);
}

/* A pair plays ping-pong on the one processor that a third goroutine hogs. */
struct hog {
    chan_bool stop, done, ping, pong;
};

static void hog(struct hog *h) {
    while (rn_try_recv(h->stop, NULL) == -EAGAIN) continue;
    rn_send(h->done, true);
}

static void hog_ponger(struct hog *h, int64_t n) {
    for (int64_t i = 0; i < n; i++) rn_send(h->pong, rn_recv(h->ping));
    rn_close(h->stop);
    rn_send(h->done, true);
}

static void hog_pinger(struct hog *h, int64_t n) {
    for (int64_t i = 0; i < n; i++) rn_send(h->ping, rn_recv(h->pong));
    rn_send(h->done, true);
}

ROW(PingPongHog) {
    int procs = rn_procs(1);
    struct hog h = {rn_make(bool, 0), rn_make(bool, 0), rn_make(bool, 0), rn_make(bool, 0)};
    GO(hog, &h);
    GO(hog_ponger, &h, n);
    GO(hog_pinger, &h, n);
    bench_reset();
    rn_send(h.ping, true);
    (void)rn_recv(h.stop);
    bench_stop();
    (void)rn_recv(h.ping);
    recv_all_bool(h.done, 3);
    rn_unref(h.stop);
    rn_unref(h.done);
    rn_unref(h.ping);
    rn_unref(h.pong);
    rn_procs(procs);
}

/*
 * benchmarkWakeupParallel: two goroutines take turns at sending; both spin, the sender 5 us longer, so
 * that the receiver waits. Tells what a wake-up costs beside the 2 * (delay + 5 us) of the spinning.
 */
struct wakeup {
    chan_struct0 ping, pong, start, done;
    int64_t delay;
};

static void wakeup_send(chan_struct0 c, int64_t delay) {
    spin_for(delay + 5000);
    rn_send(c, (struct struct0){});
}

static void wakeup_recv(chan_struct0 c, int64_t delay) {
    spin_for(delay);
    (void)rn_recv_ok(c, NULL);
}

static void wakeup_first(struct wakeup *w, int64_t n) {
    (void)rn_recv_ok(w->start, NULL);
    for (int64_t i = 0; i < n; i++) {
        wakeup_send(w->ping, w->delay);
        wakeup_recv(w->pong, w->delay);
    }
    rn_send(w->done, (struct struct0){});
}

static void wakeup_second(struct wakeup *w, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        wakeup_recv(w->ping, w->delay);
        wakeup_send(w->pong, w->delay);
    }
    rn_send(w->done, (struct struct0){});
}

static int64_t wakeup_delay; /* ns, for the run that follows */

static void wakeup(int64_t n) {
    struct wakeup w = {rn_make(struct struct0, 0), rn_make(struct struct0, 0),
                       rn_make(struct struct0, 0), rn_make(struct struct0, 0), wakeup_delay};
    GO(wakeup_first, &w, n);
    GO(wakeup_second, &w, n);
    bench_reset();
    rn_send(w.start, (struct struct0){});
    (void)rn_recv_ok(w.done, NULL);
    (void)rn_recv_ok(w.done, NULL);
    bench_stop();
    rn_unref(w.ping);
    rn_unref(w.pong);
    rn_unref(w.start);
    rn_unref(w.done);
}

/* Go skips it at one processor. */
ROW_ONCE(WakeupParallelSpinning) {
    static const int us[] = {0, 1, 2, 5, 10, 20, 50, 100};
    if (rn_procs(0) == 1) return;
    for (size_t i = 0; i < sizeof us / sizeof *us; i++) {
        char name[64];
        snprintf(name, sizeof name, "WakeupParallelSpinning/%d%s", us[i], us[i] ? "us" : "s");
        wakeup_delay = us[i] * 1000;
        bench_scaled(name, wakeup);
    }
}

#endif
