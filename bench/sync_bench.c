/* SPDX-License-Identifier: MIT */
/*
 * sync_bench.c: twins of the benchmarks of Go's own package sync (the tests in src/sync), under their names. run.py takes the
 * other side from the installed Go's own sources.
 *
 * A twin keeps the shape of the original: who runs, what is padded, what is counted. What is constant is read before the loop, not from the
 * line that is fought for. Go's Sema rows use the
 * runtime's semaphore, which the mutex and others wait in; ours use rn_sem, one unit at a time.
 */
#include "bench.h"
#include "parallel.h"

#define PADDED(T)                                                                                  \
    struct {                                                                                       \
        _Alignas(64) T it;                                                                         \
        char pad[128];                                                                             \
    }

/* ---- mutex_test.go ---- */

static void mutex_uncontended(struct pb *p, void *unused) {
    PADDED(rn_mutex) m = {{0}, {0}};
    (void)unused;
    while (pb_next(p)) {
        rn_mutex_lock(&m.it);
        rn_mutex_unlock(&m.it);
    }
}

ROW(MutexUncontended) { run_parallel(n, mutex_uncontended, NULL); }

static void mutex_plain(struct pb *p, void *m) {
    while (pb_next(p)) {
        rn_mutex_lock(m);
        rn_mutex_unlock(m);
    }
}

static void mutex_work(struct pb *p, void *m) {
    while (pb_next(p)) {
        rn_mutex_lock(m);
        rn_mutex_unlock(m);
        local_work(100);
    }
}

static void mutex(int64_t n, int times, void (*body)(struct pb *, void *)) {
    rn_mutex m = {0};
    run_parallel_times(n, times, body, &m);
}

ROW(Mutex) { mutex(n, 1, mutex_plain); }
ROW(MutexSlack) { mutex(n, 10, mutex_plain); }
ROW(MutexWork) { mutex(n, 1, mutex_work); }
ROW(MutexWorkSlack) { mutex(n, 10, mutex_work); }

struct accounts {
    rn_mutex m;
    uint64_t acc0, acc1;
};

static void transfer(struct accounts *a) {
    rn_mutex_lock(&a->m);
    a->acc0 -= 100;
    a->acc1 += 100;
    rn_mutex_unlock(&a->m);
}

static void touch(volatile uint64_t *data, int n) {
    for (int i = 0; i < n; i += 4) data[i]++;
}

static void send_true(rn_chan(bool) c) { rn_send(c, true); }

static void mutex_no_spin(struct pb *p, void *a) {
    enum { DATA = 4 << 10 };
    rn_chan(bool) c = rn_make(bool, 0);
    uint64_t data[DATA] = {0};
    for (int64_t i = 0; pb_next(p); i++) {
        if (i % 4 == 0) {
            transfer(a);
        } else {
            touch(data, DATA);
            GO(send_true, c);
            (void)rn_recv(c);
        }
    }
    rn_unref(c);
}

ROW(MutexNoSpin) {
    struct accounts a = {{0}, 0, 0};
    run_parallel_times(n, 4, mutex_no_spin, &a);
}

static void mutex_spin(struct pb *p, void *a) {
    enum { DATA = 16 << 10 };
    uint64_t data[DATA] = {0};
    while (pb_next(p)) {
        transfer(a);
        touch(data, DATA);
    }
}

ROW(MutexSpin) {
    struct accounts a = {{0}, 0, 0};
    run_parallel(n, mutex_spin, &a);
}

/* ---- rwmutex_test.go ---- */

static void rwmutex_uncontended(struct pb *p, void *unused) {
    PADDED(rn_rwmutex) m = {{0}, {0}};
    (void)unused;
    while (pb_next(p)) {
        rn_rwmutex_rlock(&m.it);
        rn_rwmutex_rlock(&m.it);
        rn_rwmutex_runlock(&m.it);
        rn_rwmutex_runlock(&m.it);
        rn_rwmutex_lock(&m.it);
        rn_rwmutex_unlock(&m.it);
    }
}

ROW(RWMutexUncontended) { run_parallel(n, rwmutex_uncontended, NULL); }

struct rw {
    rn_rwmutex m;
    int64_t work, ratio;
};

static void rwmutex_part(struct pb *p, void *arg) {
    struct rw *w = arg;
    int64_t work = w->work, ratio = w->ratio;
    for (int64_t foo = 1; pb_next(p); foo++) {
        if (foo % ratio == 0) {
            rn_rwmutex_lock(&w->m);
            rn_rwmutex_unlock(&w->m);
        } else {
            rn_rwmutex_rlock(&w->m);
            local_work(work);
            rn_rwmutex_runlock(&w->m);
        }
    }
}

static void rwmutex(int64_t n, int64_t work, int64_t ratio) {
    struct rw w = {{0}, work, ratio};
    run_parallel(n, rwmutex_part, &w);
}

ROW(RWMutexWrite100) { rwmutex(n, 0, 100); }
ROW(RWMutexWrite10) { rwmutex(n, 0, 10); }
ROW(RWMutexWorkWrite100) { rwmutex(n, 100, 100); }
ROW(RWMutexWorkWrite10) { rwmutex(n, 100, 10); }

/* ---- cond_test.go ---- */

struct cond {
    rn_mutex m;
    rn_cond c;
    int id, waiters;
    int64_t n;
    rn_wg done;
};

/* False: the first one is through, all end. */
static bool cond_turn(struct cond *c) {
    rn_mutex_lock(&c->m);
    bool go_on = c->id != -1;
    if (go_on && ++c->id == c->waiters + 1) {
        c->id = 0;
        rn_cond_broadcast(&c->c);
    } else if (go_on) {
        rn_cond_wait(&c->c, &c->m);
    }
    rn_mutex_unlock(&c->m);
    return go_on;
}

static void cond_part(struct cond *c) {
    for (int64_t i = 0; i < c->n && cond_turn(c); i++) {
    }
    rn_mutex_lock(&c->m);
    c->id = -1;
    rn_cond_broadcast(&c->c);
    rn_mutex_unlock(&c->m);
    rn_wg_done(&c->done);
}

static void cond(int64_t n, int waiters) {
    struct cond c = {.waiters = waiters, .n = n};
    rn_wg_add(&c.done, waiters + 1);
    for (int i = 0; i < waiters + 1; i++) GO(cond_part, &c);
    rn_wg_wait(&c.done);
}

ROW(Cond1) { cond(n, 1); }
ROW(Cond2) { cond(n, 2); }
ROW(Cond4) { cond(n, 4); }
ROW(Cond8) { cond(n, 8); }
ROW(Cond16) { cond(n, 16); }
ROW(Cond32) { cond(n, 32); }

/* ---- waitgroup_test.go ---- */

static void wg_uncontended(struct pb *p, void *unused) {
    PADDED(rn_wg) w = {{0}, {0}};
    (void)unused;
    while (pb_next(p)) {
        rn_wg_add(&w.it, 1);
        rn_wg_done(&w.it);
        rn_wg_wait(&w.it);
    }
}

ROW(WaitGroupUncontended) { run_parallel(n, wg_uncontended, NULL); }

struct wg_work {
    rn_wg w;
    int64_t work;
};

static void wg_add_done(struct pb *p, void *arg) {
    struct wg_work *w = arg;
    int64_t work = w->work;
    while (pb_next(p)) {
        rn_wg_add(&w->w, 1);
        local_work(work);
        rn_wg_done(&w->w);
    }
}

static void wg_only_wait(struct pb *p, void *arg) {
    struct wg_work *w = arg;
    int64_t work = w->work;
    while (pb_next(p)) {
        rn_wg_wait(&w->w);
        local_work(work);
    }
}

static void wait_group(int64_t n, void (*body)(struct pb *, void *), int64_t work) {
    struct wg_work w = {{0}, work};
    run_parallel(n, body, &w);
}

ROW(WaitGroupAddDone) { wait_group(n, wg_add_done, 0); }
ROW(WaitGroupAddDoneWork) { wait_group(n, wg_add_done, 100); }
ROW(WaitGroupWait) { wait_group(n, wg_only_wait, 0); }
ROW(WaitGroupWaitWork) { wait_group(n, wg_only_wait, 100); }

static void wg_done_only(rn_wg *w) { rn_wg_done(w); }

static void wg_actually_wait(struct pb *p, void *unused) {
    (void)unused;
    while (pb_next(p)) {
        rn_wg w = {0};
        rn_wg_add(&w, 1);
        GO(wg_done_only, &w);
        rn_wg_wait(&w);
    }
}

ROW(WaitGroupActuallyWait) { run_parallel(n, wg_actually_wait, NULL); }

/* ---- once_test.go, oncefunc_test.go ---- */

static void nothing(void *unused) { (void)unused; }

static void once_part(struct pb *p, void *o) {
    while (pb_next(p)) rn_once_do(o, nothing, NULL);
}

ROW(Once) {
    rn_once o = {0};
    run_parallel(n, once_part, &o);
}

static void *make_42(void *unused) {
    static int value = 42;
    (void)unused;
    return &value;
}

static void once_value(int64_t n) {
    rn_once_value o = {0};
    for (int64_t i = 0; i < n; i++) {
        int *v = rn_once_value_get(&o, make_42, NULL);
        if (*v != 42) bench_die("OnceValue: not 42");
    }
}

ROW_ONCE(OnceValue) { bench_scaled("OnceValue/v=Local", once_value); }

/* ---- pool_test.go ---- */

static int pooled;

static void pool_part(struct pb *p, void *pool) {
    while (pb_next(p)) {
        rn_pool_put(pool, &pooled);
        (void)rn_pool_get(pool);
    }
}

static void pool_many(struct pb *p, void *pool, int puts, int gets) {
    while (pb_next(p)) {
        for (int i = 0; i < puts; i++) rn_pool_put(pool, &pooled);
        for (int i = 0; i < gets; i++) (void)rn_pool_get(pool);
    }
}

static void pool_overflow(struct pb *p, void *pool) { pool_many(p, pool, 100, 100); }

static void pool_starvation(struct pb *p, void *pool) { pool_many(p, pool, 67, 100); }

static void pool(int64_t n, void (*body)(struct pb *, void *)) {
    rn_pool p = {0};
    run_parallel(n, body, &p);
    rn_pool_clear(&p);
}

ROW(Pool) { pool(n, pool_part); }
ROW(PoolOverflow) { pool(n, pool_overflow); }
ROW(PoolStarvation) { pool(n, pool_starvation); }

/* ---- runtime_sema_test.go ---- */

enum { SEMA_SIZE = 1 << 20 };

static void sema_init(rn_sem *s) {
    rn_sem_init(s, SEMA_SIZE);
    rn_sem_acquire(s, SEMA_SIZE);
}

static void sema_uncontended(struct pb *p, void *unused) {
    PADDED(rn_sem) s;
    (void)unused;
    sema_init(&s.it);
    while (pb_next(p)) {
        rn_sem_release(&s.it, 1);
        rn_sem_acquire(&s.it, 1);
    }
}

ROW(SemaUncontended) { run_parallel(n, sema_uncontended, NULL); }

struct sema {
    rn_sem s;
    int64_t work;
    rn_wg blocked;
};

static void sema_part(struct pb *p, void *arg) {
    struct sema *s = arg;
    int64_t work = s->work;
    while (pb_next(p)) {
        rn_sem_release(&s->s, 1);
        local_work(work);
        rn_sem_acquire(&s->s, 1);
    }
    rn_sem_release(&s->s, 1);
}

static void sema_block(struct sema *s) {
    for (int i = 0; i < rn_procs(0) / 2; i++) rn_sem_acquire(&s->s, 1);
    rn_wg_done(&s->blocked);
}

static void sema(int64_t n, bool block, int64_t work) {
    struct sema s = {.work = work};
    sema_init(&s.s);
    if (block) {
        rn_wg_add(&s.blocked, 1);
        GO(sema_block, &s);
    }
    run_parallel(n, sema_part, &s);
    if (block) rn_wg_wait(&s.blocked);
}

ROW(SemaSyntNonblock) { sema(n, false, 0); }
ROW(SemaSyntBlock) { sema(n, true, 0); }
ROW(SemaWorkNonblock) { sema(n, false, 100); }
ROW(SemaWorkBlock) { sema(n, true, 100); }
