/* SPDX-License-Identifier: MIT */
/*
 * sync_test.c: the primitives of sync.h, from goroutines and from plain threads.
 *
 * To know that somebody waits, cases look into the queues (queue_len): a state, not a time.
 */
#include "test.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <sys/wait.h>

#include "sync/sema.h"

/* ---- helpers ---- */

/* How many stand in the queue of key. */
static long queue_len(const void *key) {
    long n = 0;
    rn__in();
    struct rn__sema *q = rn__sema_lock(key);
    for (struct rn__waiter *w = rn__sema_first(q, key); w; w = w->next) n++;
    rn__sema_unlock(q);
    rn__out();
    return n;
}

#define SEM(s) rn__sema_key(s, RN__KEY_SEM)

static void await_queue(const void *key, long n) {
    while (queue_len(key) < n) rn_yield();
}

#define AWAIT(cond)                                                                                \
    while (!(cond)) rn_yield()

static long get(long *p) { return __atomic_load_n(p, __ATOMIC_ACQUIRE); }

static void set(long *p, long v) { __atomic_store_n(p, v, __ATOMIC_RELEASE); }

static long count(long *p) { return __atomic_add_fetch(p, 1, __ATOMIC_ACQ_REL); }

static void go(void (*fn)(void *), void *arg) { CHECK_EQ(rn_go_call(NULL, fn, arg), 0); }

static pthread_t thread(void *(*fn)(void *), void *arg) {
    pthread_t t;
    CHECK_EQ(pthread_create(&t, NULL, fn, arg), 0);
    return t;
}

/* ---- the queues' lock ---- */

struct hoarder_case {
    int key;
    long holds, got, rounds;
};

/* Holds the lock for all but the moment between a release and the next acquire. */
static void *hoard(void *arg) {
    struct hoarder_case *c = arg;
    rn__in();
    while (get(&c->got) < c->rounds) {
        struct rn__sema *q = rn__sema_lock(&c->key);
        count(&c->holds);
        rn_time until = rn__now() + RN_MS;
        while (rn__now() < until) {
        }
        rn__sema_unlock(q);
    }
    rn__out();
    return NULL;
}

static void *want_a_moment(void *arg) {
    struct hoarder_case *c = arg;
    rn__in();
    while (count(&c->got) < c->rounds) {
        long before = get(&c->holds);
        while (get(&c->holds) == before && get(&c->got) < c->rounds) sched_yield();
        rn__sema_unlock(rn__sema_lock(&c->key));
    }
    rn__out();
    return NULL;
}

/* A wait looks at the lock once in a millisecond, and finds it free in one of 10,000 looks unless the hoarder stands back. */
TEST(the_lock_of_a_queue_starves_nobody) {
    struct hoarder_case c = {.rounds = scaled(100)};
    pthread_t t[] = {thread(hoard, &c), thread(want_a_moment, &c), thread(want_a_moment, &c)};
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) pthread_join(t[i], NULL);
}

/* fn(arg), in a process of its own, dies and says `text`. */
static void check_dies(void (*fn)(void *), void *arg, const char *text) {
    static char said[65536];
    int pipes[2], status;
    size_t n = 0;
    ssize_t r;
    CHECK_EQ(pipe(pipes), 0);
    pid_t pid = fork();
    CHECK_GE(pid, 0);
    if (pid == 0) {
        dup2(pipes[1], 2);
        close(pipes[0]);
        fn(arg);
        _exit(0);
    }
    close(pipes[1]);
    while ((r = read(pipes[0], said + n, sizeof said - 1 - n)) > 0) n += (size_t)r;
    close(pipes[0]);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) FAIL("it lived, and said: %s", said);
    if (!strstr(said, text)) FAIL("it died and did not say \"%s\" but: %s", text, said);
}

static void check_panics(void (*fn)(void *), void *arg, const char *text) {
    rn_panic_info p;
    if (rn_try(fn, arg, &p)) FAIL("did not panic with \"%s\"", text);
    CHECK_STR(p.message, text);
}

/* ---- mutex ---- */

struct counting {
    rn_mutex m;
    long n;
    long rounds;
    rn_wg wg;
};

static void count_under_mutex(void *arg) {
    struct counting *c = arg;
    for (long i = 0; i < c->rounds; i++) {
        rn_mutex_lock(&c->m);
        c->n++;
        rn_mutex_unlock(&c->m);
    }
}

static void *count_in_thread(void *arg) {
    count_under_mutex(arg);
    return NULL;
}

TEST_GO(mutex_excludes_goroutines_and_threads) {
    struct counting c = {.rounds = scaled(20000)};
    pthread_t t[2];
    for (int i = 0; i < 2; i++) t[i] = thread(count_in_thread, &c);
    for (int i = 0; i < 8; i++) CHECK_EQ(rn_wg_go(&c.wg, count_under_mutex, &c), 0);
    rn_wg_wait(&c.wg);
    for (int i = 0; i < 2; i++) pthread_join(t[i], NULL);
    CHECK_EQ(c.n, 10 * c.rounds);
    CHECK_EQ(c.m.rn__state, 0);
}

static void count_with_yields(void *arg) {
    struct counting *c = arg;
    for (long i = 0; i < c->rounds; i++) {
        rn_mutex_lock(&c->m);
        long n = c->n;
        rn_yield();
        c->n = n + 1;
        rn_mutex_unlock(&c->m);
    }
}

TEST_GO(mutex_excludes_across_parks) {
    struct counting c = {.rounds = scaled(1000)};
    for (int i = 0; i < 16; i++) CHECK_EQ(rn_wg_go(&c.wg, count_with_yields, &c), 0);
    rn_wg_wait(&c.wg);
    CHECK_EQ(c.n, 16 * c.rounds);
    CHECK_EQ(c.m.rn__state, 0);
}

TEST(mutex_try_lock_fails_while_locked) {
    rn_mutex m = {0};
    CHECK(rn_mutex_try_lock(&m));
    CHECK(!rn_mutex_try_lock(&m));
    rn_mutex_unlock(&m);
    CHECK(rn_mutex_try_lock(&m));
    rn_mutex_unlock(&m);
}

struct order {
    rn_mutex m;
    rn_rwmutex rw;
    rn_sem sem;
    rn_cond cond;
    rn_wg wg;
    char log[16]; /* under what the case is about */
    size_t n;
    long flag;
};

static void note(struct order *o, char c) { o->log[o->n++] = c; }

static void lock_and_note(struct order *o, int c) {
    rn_mutex_lock(&o->m);
    note(o, (char)c);
    rn_mutex_unlock(&o->m);
    rn_wg_done(&o->wg);
}

TEST_GO(mutex_is_handed_to_the_longest_waiter_after_1ms) {
    struct order o = {0};
    rn_mutex_lock(&o.m);
    rn_wg_add(&o.wg, 3);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(rn_go(lock_and_note, &o, 'A' + i), 0);
        await_queue(&o.m, i + 1);
    }
    rn_time t = rn__now() + 2 * RN_MS;
    AWAIT(rn__now() > t);
    rn_mutex_unlock(&o.m);
    /* Handed over: it never was free, so we come after all three. */
    rn_mutex_lock(&o.m);
    CHECK_STR(o.log, "ABC");
    rn_mutex_unlock(&o.m);
    rn_wg_wait(&o.wg);
}

static void lock_for_ever(void *arg) {
    struct order *o = arg;
    while (!get(&o->flag)) {
        rn_mutex_lock(&o->m);
        for (volatile int i = 0; i < 1000; i++) {
        }
        rn_mutex_unlock(&o->m);
    }
}

TEST_GO(mutex_locked_in_a_loop_starves_nobody) {
    struct order o = {0};
    CHECK_EQ(rn_wg_go(&o.wg, lock_for_ever, &o), 0);
    for (int i = 0; i < 20; i++) {
        rn_mutex_lock(&o.m);
        rn_yield();
        rn_mutex_unlock(&o.m);
    }
    set(&o.flag, 1);
    rn_wg_wait(&o.wg);
}

static void *barge_for_ever(void *arg) {
    struct order *o = arg;
    rn_sem_release(&o->sem, 1);
    while (!get(&o->flag)) {
        rn_mutex_lock(&o->m);
        rn_mutex_unlock(&o->m);
    }
    return NULL;
}

/* Those who do not wait overtake one that does, but not for ever. */
TEST_GO(mutex_thrown_to_and_fro_starves_nobody) {
    enum { THROWERS = 3 };
    struct order o = {0};
    pthread_t t[THROWERS];
    rn_sem_init(&o.sem, THROWERS);
    CHECK(rn_sem_try(&o.sem, THROWERS));
    for (int i = 0; i < THROWERS; i++) t[i] = thread(barge_for_ever, &o);
    rn_sem_acquire(&o.sem, THROWERS);
    for (long i = 0; i < scaled(100); i++) {
        rn_mutex_lock(&o.m);
        rn_yield();
        rn_mutex_unlock(&o.m);
    }
    set(&o.flag, 1);
    for (int i = 0; i < THROWERS; i++) pthread_join(t[i], NULL);
}

/* Who was woken has still to run, and those behind it are not in the mutex's word: it sees to them. */
TEST_GO(mutex_used_before_the_woken_one_comes_forgets_nobody) {
    struct order o = {0};
    rn_procs(1);
    for (long i = 0; i < scaled(1000); i++) {
        rn_mutex_lock(&o.m);
        rn_wg_add(&o.wg, 3);
        for (int k = 0; k < 3; k++) CHECK_EQ(rn_go(lock_and_note, &o, 'A' + k), 0);
        await_queue(&o.m, 3);
        for (int k = 0; k < 3; k++) {
            rn_mutex_unlock(&o.m);
            rn_mutex_lock(&o.m); /* a new one that does not wait, or the last */
        }
        rn_mutex_unlock(&o.m);
        rn_wg_wait(&o.wg);
        CHECK_EQ(o.n, 3);
        CHECK_EQ(o.m.rn__state, 0);
        o.n = 0;
    }
}

static void lock_and_set(struct order *o) {
    rn_mutex_lock(&o->m);
    set(&o->flag, 1);
    rn_mutex_unlock(&o->m);
    rn_wg_done(&o->wg);
}

/* Else everybody who wants it would wait for one that waits behind who unlocked it. */
TEST_GO(mutex_handed_over_is_used_at_once) {
    struct order o = {0};
    rn_procs(1);
    int at_once = 0;
    for (int i = 0; i < 64; i++) {
        rn_mutex_lock(&o.m);
        rn_wg_add(&o.wg, 1);
        CHECK_EQ(rn_go(lock_and_set, &o), 0);
        await_queue(&o.m, 1);
        rn_time t = rn__now() + 2 * RN_MS;
        AWAIT(rn__now() > t);
        rn_mutex_unlock(&o.m);
        at_once += get(&o.flag) != 0;
        rn_wg_wait(&o.wg);
        set(&o.flag, 0);
    }
    CHECK_GE(at_once, 8); /* chaos queues one in two or so elsewhere */
}

static void unlock_unlocked(void *m) { rn_mutex_unlock(m); }

TEST(mutex_unlock_of_unlocked_is_fatal) {
    rn_mutex m = {0};
    check_dies(unlock_unlocked, &m, "fatal error: sync: unlock of unlocked mutex");
}

/* Both have seen that it is locked, and that somebody waits. */
static int unlock_twice(void *arg) {
    struct order *o = arg;
    rn_mutex_lock(&o->m);
    rn_wg_add(&o->wg, 1);
    CHECK_EQ(rn_go(lock_and_note, o, 'A'), 0);
    await_queue(&o->m, 1);
    uint32_t seen = __atomic_load_n(&o->m.rn__state, __ATOMIC_RELAXED);
    rn__mutex_unlock_slow(&o->m, seen);
    rn__mutex_unlock_slow(&o->m, seen);
    return 0;
}

static void run_unlock_twice(void *arg) { rn_run(unlock_twice, arg); }

TEST(mutex_unlocked_twice_at_once_is_fatal) {
    struct order o = {0};
    check_dies(run_unlock_twice, &o, "fatal error: sync: unlock of unlocked mutex");
}

struct counted {
    rn_mutex m;
    rn_rwmutex rw;
    rn_sem sem;
    long refs; /* under the lock */
};

static void drop_under_mutex(void *arg) {
    struct counted *c = arg;
    rn_mutex_lock(&c->m);
    long left = --c->refs;
    rn_mutex_unlock(&c->m);
    if (left == 0) free(c);
}

/* Starts `n` goroutines of fn on a new object, `rounds` times. */
static void drop_many(void (*fn)(void *), int n, long rounds) {
    rn_wg wg = {0};
    for (long i = 0; i < rounds; i++) {
        struct counted *c = calloc(1, sizeof *c);
        c->refs = n;
        rn_sem_init(&c->sem, 1);
        for (int j = 0; j < n; j++) CHECK_EQ(rn_wg_go(&wg, fn, c), 0);
        if (i % 16 == 0) rn_wg_wait(&wg);
    }
    rn_wg_wait(&wg);
}

TEST_GO(mutex_may_be_freed_by_its_last_user) { drop_many(drop_under_mutex, 4, scaled(2000)); }

/* ---- rwmutex ---- */

static void read_together(struct order *o) {
    rn_rwmutex_rlock(&o->rw);
    count(&o->flag);
    AWAIT(get(&o->flag) == 4);
    rn_rwmutex_runlock(&o->rw);
}

static void read_together_arg(void *o) { read_together(o); }

TEST_GO(rwmutex_readers_share) {
    struct order o = {0};
    for (int i = 0; i < 4; i++) CHECK_EQ(rn_wg_go(&o.wg, read_together_arg, &o), 0);
    rn_wg_wait(&o.wg);
    CHECK_EQ(o.rw.rn__state, 0);
}

static void write_and_note(struct order *o, int c) {
    rn_rwmutex_lock(&o->rw);
    note(o, (char)c);
    rn_rwmutex_unlock(&o->rw);
    rn_wg_done(&o->wg);
}

static void read_and_note(struct order *o, int c) {
    rn_rwmutex_rlock(&o->rw);
    rn_mutex_lock(&o->m);
    note(o, (char)c);
    rn_mutex_unlock(&o->m);
    rn_rwmutex_runlock(&o->rw);
    rn_wg_done(&o->wg);
}

#define WRITERS(o) rn__sema_key(&(o).rw, RN__KEY)
#define READERS(o) rn__sema_key(&(o).rw, RN__KEY_READERS)

TEST_GO(rwmutex_waiting_writer_holds_off_new_readers) {
    struct order o = {0};
    rn_rwmutex_rlock(&o.rw);
    rn_wg_add(&o.wg, 2);
    CHECK(rn_rwmutex_try_rlock(&o.rw));
    rn_rwmutex_runlock(&o.rw);
    CHECK_EQ(rn_go(write_and_note, &o, 'w'), 0);
    await_queue(WRITERS(o), 1);
    CHECK(!rn_rwmutex_try_rlock(&o.rw));
    CHECK(!rn_rwmutex_try_lock(&o.rw));
    CHECK_EQ(rn_go(read_and_note, &o, 'r'), 0);
    await_queue(READERS(o), 1);
    CHECK_EQ(o.n, 0);
    rn_rwmutex_runlock(&o.rw);
    rn_wg_wait(&o.wg);
    CHECK_STR(o.log, "wr");
    CHECK_EQ(o.rw.rn__state, 0);
}

TEST_GO(rwmutex_waiting_readers_go_before_the_next_writer) {
    struct order o = {0};
    rn_rwmutex_lock(&o.rw);
    rn_wg_add(&o.wg, 4);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(rn_go(write_and_note, &o, 'w'), 0);
        await_queue(WRITERS(o), i + 1);
        CHECK_EQ(rn_go(read_and_note, &o, 'r'), 0);
        await_queue(READERS(o), i + 1);
    }
    CHECK(!rn_rwmutex_try_rlock(&o.rw));
    rn_rwmutex_unlock(&o.rw);
    rn_wg_wait(&o.wg);
    CHECK_STR(o.log, "rrww");
    CHECK_EQ(o.rw.rn__state, 0);
}

struct sharing {
    rn_rwmutex rw;
    rn_wg wg;
    long a, b; /* equal but while a writer is inside */
    long rounds, seed;
};

static void read_write_mix(void *arg) {
    struct sharing *s = arg;
    uint64_t seed = (uint64_t)count(&s->seed);
    for (long i = 0; i < s->rounds; i++) {
        uint64_t r = test_random(&seed) % 16;
        if (r < 2 || (r == 2 && rn_rwmutex_try_lock(&s->rw))) {
            if (r < 2) rn_rwmutex_lock(&s->rw);
            s->a++;
            if (r == 0) rn_yield();
            s->b++;
            rn_rwmutex_unlock(&s->rw);
        } else {
            rn_rwmutex_rlock(&s->rw);
            CHECK_EQ(s->a, s->b);
            if (r == 3) rn_yield();
            CHECK_EQ(s->a, s->b);
            rn_rwmutex_runlock(&s->rw);
        }
    }
}

static void *read_write_mix_thread(void *arg) {
    read_write_mix(arg);
    return NULL;
}

TEST_GO(rwmutex_hammered_keeps_its_word) {
    struct sharing s = {.rounds = scaled(5000), .seed = (long)(test_seed() >> 8)};
    pthread_t t[2];
    for (int i = 0; i < 2; i++) t[i] = thread(read_write_mix_thread, &s);
    for (int i = 0; i < 6; i++) CHECK_EQ(rn_wg_go(&s.wg, read_write_mix, &s), 0);
    rn_wg_wait(&s.wg);
    for (int i = 0; i < 2; i++) pthread_join(t[i], NULL);
    CHECK_EQ(s.rw.rn__state, 0);
    CHECK_EQ(s.a, s.b);
}

static void read_for_ever(void *arg) {
    struct order *o = arg;
    while (!get(&o->flag)) {
        rn_rwmutex_rlock(&o->rw);
        rn_yield();
        rn_rwmutex_runlock(&o->rw);
    }
}

TEST_GO(rwmutex_readers_in_a_loop_starve_no_writer) {
    struct order o = {0};
    for (int i = 0; i < 4; i++) CHECK_EQ(rn_wg_go(&o.wg, read_for_ever, &o), 0);
    for (int i = 0; i < 20; i++) {
        rn_rwmutex_lock(&o.rw);
        rn_yield();
        rn_rwmutex_unlock(&o.rw);
    }
    set(&o.flag, 1);
    rn_wg_wait(&o.wg);
}

static void write_for_ever(void *arg) {
    struct order *o = arg;
    while (!get(&o->flag)) {
        rn_rwmutex_lock(&o->rw);
        rn_yield();
        rn_rwmutex_unlock(&o->rw);
    }
}

TEST_GO(rwmutex_writers_in_a_loop_starve_no_reader) {
    struct order o = {0};
    for (int i = 0; i < 3; i++) CHECK_EQ(rn_wg_go(&o.wg, write_for_ever, &o), 0);
    for (int i = 0; i < 20; i++) {
        rn_rwmutex_rlock(&o.rw);
        rn_yield();
        rn_rwmutex_runlock(&o.rw);
    }
    set(&o.flag, 1);
    rn_wg_wait(&o.wg);
}

static void runlock_unlocked(void *m) { rn_rwmutex_runlock(m); }

static void wunlock_unlocked(void *m) { rn_rwmutex_unlock(m); }

TEST(rwmutex_wrong_unlocks_are_fatal) {
    rn_rwmutex m = {0};
    check_dies(runlock_unlocked, &m, "fatal error: sync: RUnlock of unlocked RWMutex");
    check_dies(wunlock_unlocked, &m, "fatal error: sync: Unlock of unlocked RWMutex");
    rn_rwmutex_rlock(&m);
    check_dies(wunlock_unlocked, &m, "fatal error: sync: Unlock of unlocked RWMutex");
    rn_rwmutex_runlock(&m);
    rn_rwmutex_lock(&m);
    check_dies(runlock_unlocked, &m, "fatal error: sync: RUnlock of unlocked RWMutex");
    rn_rwmutex_unlock(&m);
}

static void drop_rw(void *arg) {
    struct counted *c = arg;
    bool write = rn_goid() % 2;
    if (!write) {
        rn_rwmutex_rlock(&c->rw);
        rn_rwmutex_runlock(&c->rw);
    }
    rn_rwmutex_lock(&c->rw);
    long left = --c->refs;
    rn_rwmutex_unlock(&c->rw);
    if (left == 0) free(c);
}

TEST_GO(rwmutex_may_be_freed_by_its_last_user) { drop_many(drop_rw, 4, scaled(2000)); }

/* ---- cond ---- */

static void wait_and_note(struct order *o, int c) {
    rn_mutex_lock(&o->m);
    rn_cond_wait(&o->cond, &o->m);
    note(o, (char)c);
    rn_mutex_unlock(&o->m);
    rn_wg_done(&o->wg);
}

static void start_waiters(struct order *o, int n) {
    rn_wg_add(&o->wg, n);
    for (int i = 0; i < n; i++) {
        CHECK_EQ(rn_go(wait_and_note, o, 'A' + i), 0);
        await_queue(&o->cond, i + 1);
    }
}

static size_t noted(struct order *o) {
    rn_mutex_lock(&o->m);
    size_t n = o->n;
    rn_mutex_unlock(&o->m);
    return n;
}

TEST_GO(cond_signals_in_order_of_waiting) {
    struct order o = {0};
    start_waiters(&o, 4);
    for (size_t i = 0; i < 4; i++) {
        CHECK_EQ(noted(&o), i);
        rn_cond_signal(&o.cond);
        AWAIT(noted(&o) == i + 1);
    }
    rn_wg_wait(&o.wg);
    CHECK_STR(o.log, "ABCD");
    rn_cond_signal(&o.cond); /* for nobody */
}

TEST_GO(cond_broadcast_wakes_all_that_wait) {
    struct order o = {0};
    start_waiters(&o, 5);
    rn_cond_broadcast(&o.cond);
    rn_wg_wait(&o.wg);
    CHECK_EQ(o.n, 5);
    CHECK_EQ(o.cond.rn__waiters, 0);
}

TEST_GO(cond_wait_until_times_out_with_the_mutex_locked) {
    struct order o = {0};
    rn_time t = rn__now() + 3 * RN_MS;
    rn_mutex_lock(&o.m);
    CHECK_EQ(rn_cond_wait_until(&o.cond, &o.m, t), -ETIMEDOUT);
    CHECK_GE(rn__now(), t);
    CHECK(!rn_mutex_try_lock(&o.m));
    CHECK_EQ(rn_cond_wait_until(&o.cond, &o.m, 0), -ETIMEDOUT);
    rn_mutex_unlock(&o.m);
    CHECK_EQ(queue_len(&o.cond), 0);
    CHECK_EQ(o.cond.rn__waiters, 0);
}

static void signal_in_a_while(void *arg) {
    struct order *o = arg;
    await_queue(&o->cond, 1);
    rn_cond_signal(&o->cond);
}

TEST(cond_wait_until_is_signalled_on_a_plain_thread) {
    struct order o = {0};
    go(signal_in_a_while, &o);
    rn_mutex_lock(&o.m);
    CHECK_EQ(rn_cond_wait_until(&o.cond, &o.m, RN_TIME_MAX - 1), 0);
    rn_mutex_unlock(&o.m);
}

/* A signal goes to somebody who waits for it, not to one who has timed out: no token is left lying. */
struct tokens {
    rn_mutex m;
    rn_cond cond;
    rn_wg wg;
    long tokens, taken, rounds, timeouts;
};

static void take_tokens(void *arg) {
    struct tokens *t = arg;
    rn_mutex_lock(&t->m);
    while (t->taken < t->rounds) {
        if (t->tokens) {
            t->tokens--;
            t->taken++;
        } else if (rn_cond_wait_until(&t->cond, &t->m, rn__now() + 20 * RN_US)) {
            t->timeouts++;
        }
    }
    rn_mutex_unlock(&t->m);
    rn_cond_broadcast(&t->cond);
}

TEST_GO(cond_loses_no_signal_to_a_time_out) {
    struct tokens t = {.rounds = scaled(3000)};
    for (int i = 0; i < 4; i++) CHECK_EQ(rn_wg_go(&t.wg, take_tokens, &t), 0);
    for (long i = 0; i < t.rounds; i++) {
        rn_mutex_lock(&t.m);
        t.tokens++;
        rn_mutex_unlock(&t.m);
        rn_cond_signal(&t.cond);
        if (i % 8 == 0) rn_yield();
    }
    rn_wg_wait(&t.wg);
    CHECK_EQ(t.taken, t.rounds);
    CHECK_EQ(t.tokens, 0);
    CHECK_EQ(queue_len(&t.cond), 0);
}

/* Ping-pong by signals alone: each wait is ended by just one signal. */
static void pong(void *arg) {
    struct tokens *t = arg;
    rn_mutex_lock(&t->m);
    for (long i = 0; i < t->rounds; i++) {
        while (t->tokens % 2 == 0) rn_cond_wait(&t->cond, &t->m);
        t->tokens++;
        rn_cond_signal(&t->cond);
    }
    rn_mutex_unlock(&t->m);
}

TEST_GO(cond_ping_pong) {
    struct tokens t = {.rounds = scaled(10000)};
    CHECK_EQ(rn_wg_go(&t.wg, pong, &t), 0);
    rn_mutex_lock(&t.m);
    for (long i = 0; i < t.rounds; i++) {
        while (t.tokens % 2 == 1) rn_cond_wait(&t.cond, &t.m);
        t.tokens++;
        rn_cond_signal(&t.cond);
    }
    rn_mutex_unlock(&t.m);
    rn_wg_wait(&t.wg);
    CHECK_EQ(t.tokens, 2 * t.rounds);
}

static void signal_it(void *c) { rn_cond_signal(c); }

TEST_GO(cond_copied_while_in_use_panics) {
    struct order o = {0};
    start_waiters(&o, 1);
    rn_cond copy = o.cond;
    check_panics(signal_it, &copy, "sync.Cond is copied");
    rn_cond_signal(&o.cond);
    rn_wg_wait(&o.wg);
}

/* ---- once ---- */

struct once_case {
    rn_once once;
    rn_once_value value;
    rn_wg wg;
    long runs, ended, flag;
};

static void run_slowly(void *arg) {
    struct once_case *c = arg;
    count(&c->runs);
    await_queue(&c->once, 3);
    c->ended = 1; /* plain: ordered by the once */
}

static void call_once(void *arg) {
    struct once_case *c = arg;
    rn_once_do(&c->once, run_slowly, c);
    CHECK_EQ(c->ended, 1);
}

TEST_GO(once_runs_once_and_all_wait_for_its_end) {
    struct once_case c = {0};
    for (int i = 0; i < 4; i++) CHECK_EQ(rn_wg_go(&c.wg, call_once, &c), 0);
    rn_wg_wait(&c.wg);
    CHECK_EQ(c.runs, 1);
    call_once(&c);
    CHECK_EQ(c.runs, 1);
}

static void run_and_panic(void *arg) {
    struct once_case *c = arg;
    count(&c->runs);
    rn_panic("no luck");
}

static void once_panicking(void *arg) {
    struct once_case *c = arg;
    rn_once_do(&c->once, run_and_panic, c);
}

TEST(once_counts_a_panic_as_done) {
    struct once_case c = {0};
    check_panics(once_panicking, &c, "no luck");
    CHECK(rn_try(once_panicking, &c, NULL));
    CHECK_EQ(c.runs, 1);
}

static void run_and_exit(void *arg) {
    struct once_case *c = arg;
    count(&c->runs);
    rn_goexit();
}

static void once_exiting(void *arg) {
    struct once_case *c = arg;
    rn_once_do(&c->once, run_and_exit, c);
    count(&c->flag); /* the second one comes here */
}

TEST_GO(once_counts_goexit_as_done) {
    struct once_case c = {0};
    CHECK_EQ(rn_wg_go(&c.wg, once_exiting, &c), 0);
    rn_wg_wait(&c.wg);
    CHECK_EQ(c.flag, 0);
    once_exiting(&c);
    CHECK_EQ(c.flag, 1);
    CHECK_EQ(c.runs, 1);
}

static void *make_value(void *arg) {
    struct once_case *c = arg;
    count(&c->runs);
    return &c->runs;
}

TEST(once_value_is_made_once) {
    struct once_case c = {0};
    for (int i = 0; i < 3; i++) CHECK(rn_once_value_get(&c.value, make_value, &c) == &c.runs);
    CHECK_EQ(c.runs, 1);
}

static void *make_panic(void *arg) {
    make_value(arg);
    rn_panic("no value");
}

static void get_panicking(void *arg) {
    struct once_case *c = arg;
    rn_once_value_get(&c->value, make_panic, c);
}

TEST(once_value_panics_for_every_caller) {
    struct once_case c = {0};
    for (int i = 0; i < 3; i++) check_panics(get_panicking, &c, "no value");
    CHECK_EQ(c.runs, 1);
}

/* ---- wg ---- */

struct wg_case {
    rn_wg wg, waiters;
    long n;
    long refs;
};

static void wait_for_it(void *arg) {
    struct wg_case *c = arg;
    rn_wg_wait(&c->wg);
    CHECK_EQ(get(&c->n), 100);
}

static void count_one(void *arg) {
    struct wg_case *c = arg;
    if (rn_goid() % 3 == 0) rn_yield();
    count(&c->n);
}

TEST_GO(wg_waits_for_all) {
    struct wg_case c = {0};
    rn_wg_add(&c.wg, 1);
    for (int i = 0; i < 5; i++) CHECK_EQ(rn_wg_go(&c.waiters, wait_for_it, &c), 0);
    await_queue(&c.wg, 5);
    for (int i = 0; i < 100; i++) CHECK_EQ(rn_wg_go(&c.wg, count_one, &c), 0);
    rn_wg_done(&c.wg);
    wait_for_it(&c);
    rn_wg_wait(&c.waiters);
    CHECK_EQ(c.wg.rn__state, 0);
}

TEST(wg_waits_on_a_plain_thread_and_can_be_used_again) {
    struct wg_case c = {0};
    rn_wg_wait(&c.wg);
    for (int round = 0; round < 20; round++) {
        c.n = 0;
        for (int i = 0; i < 100; i++) CHECK_EQ(rn_wg_go(&c.wg, count_one, &c), 0);
        wait_for_it(&c);
    }
}

static void exit_at_once(void *arg) {
    (void)arg;
    rn_goexit();
}

TEST_GO(wg_go_counts_a_goexit_as_done) {
    rn_wg wg = {0};
    CHECK_EQ(rn_wg_go(&wg, exit_at_once, NULL), 0);
    rn_wg_wait(&wg);
}

static void done_once_more(void *w) { rn_wg_done(w); }

static void add_one(void *w) { rn_wg_add(w, 1); }

TEST(wg_misuse_panics) {
    rn_wg w = {0};
    check_panics(done_once_more, &w, "sync: negative WaitGroup counter");
    /* The counter has come to zero and the waiters are being woken. */
    w.rn__state = RN__WG_AWAITED;
    check_panics(add_one, &w, "sync: WaitGroup misuse: Add called concurrently with Wait");
}

static void wait_and_drop(void *arg) {
    struct wg_case *c = arg;
    rn_wg_wait(&c->wg);
    if (__atomic_sub_fetch(&c->refs, 1, __ATOMIC_ACQ_REL) == 0) free(c);
}

static void done_only(void *arg) {
    struct wg_case *c = arg;
    rn_wg_done(&c->wg);
}

TEST_GO(wg_may_be_freed_by_whoever_has_waited) {
    rn_wg all = {0};
    for (long i = 0, n = scaled(2000); i < n; i++) {
        struct wg_case *c = calloc(1, sizeof *c);
        c->refs = 2;
        rn_wg_add(&c->wg, 2);
        for (int j = 0; j < 4; j++)
            CHECK_EQ(rn_wg_go(&all, j % 2 ? wait_and_drop : done_only, c), 0);
        if (i % 16 == 0) rn_wg_wait(&all);
    }
    rn_wg_wait(&all);
}

/* ---- sem ---- */

static void acquire_and_note(struct order *o, int c, int64_t n) {
    rn_sem_acquire(&o->sem, n);
    rn_mutex_lock(&o->m);
    note(o, (char)c);
    rn_mutex_unlock(&o->m);
    rn_sem_release(&o->sem, n);
    rn_wg_done(&o->wg);
}

static void start_acquire(struct order *o, int c, int64_t n, long queue) {
    rn_wg_add(&o->wg, 1);
    CHECK_EQ(rn_go(acquire_and_note, o, c, n), 0);
    await_queue(SEM(&o->sem), queue);
}

TEST_GO(sem_serves_strictly_in_order) {
    struct order o = {.sem = RN_SEM_INIT(4)};
    rn_sem_acquire(&o.sem, 4);
    start_acquire(&o, 'A', 4, 1);
    start_acquire(&o, 'B', 1, 2);
    start_acquire(&o, 'C', 4, 3);
    CHECK(!rn_sem_try(&o.sem, 0)); /* nobody overtakes, not even for nothing */
    rn_sem_release(&o.sem, 3);
    CHECK(!rn_sem_try(&o.sem, 1));
    CHECK_EQ(queue_len(SEM(&o.sem)), 3);
    rn_sem_release(&o.sem, 1);
    rn_wg_wait(&o.wg);
    CHECK_STR(o.log, "ABC");
    CHECK_EQ(o.sem.rn__state, 0);
    CHECK(rn_sem_try(&o.sem, 4));
}

struct stream {
    rn_sem sem;
    rn_wg wg;
    long stop, held, most;
    long rounds;
};

static void take_small(void *arg) {
    struct stream *s = arg;
    while (!get(&s->stop)) {
        rn_sem_acquire(&s->sem, 1);
        rn_yield();
        rn_sem_release(&s->sem, 1);
    }
}

TEST_GO(sem_large_request_is_served_among_small_ones) {
    struct stream s = {.sem = RN_SEM_INIT(3)};
    for (int i = 0; i < 6; i++) CHECK_EQ(rn_wg_go(&s.wg, take_small, &s), 0);
    for (int i = 0; i < 20; i++) {
        rn_sem_acquire(&s.sem, 3);
        rn_sem_release(&s.sem, 3);
    }
    set(&s.stop, 1);
    rn_wg_wait(&s.wg);
    CHECK_EQ(s.sem.rn__state, 0);
}

TEST_GO(sem_acquire_until_times_out_and_takes_nothing) {
    rn_sem s = RN_SEM_INIT(2);
    rn_time t = rn__now() + 3 * RN_MS;
    rn_sem_acquire(&s, 1);
    CHECK_EQ(rn_sem_acquire_until(&s, 2, t), -ETIMEDOUT);
    CHECK_GE(rn__now(), t);
    CHECK_EQ(rn_sem_acquire_until(&s, 1, 0), 0);
    CHECK_EQ(rn_sem_acquire_until(&s, 1, 0), -ETIMEDOUT);
    CHECK_EQ(rn_sem_acquire_until(&s, 3, rn__now() + RN_MS), -ETIMEDOUT); /* more than there is */
    rn_sem_release(&s, 2);
    CHECK_EQ(s.rn__state, 0);
}

static void time_out_first(void *arg) {
    struct order *o = arg;
    CHECK_EQ(rn_sem_acquire_until(&o->sem, 2, rn__now() + 3 * RN_MS), -ETIMEDOUT);
}

TEST_GO(sem_first_waiter_that_leaves_lets_the_next_through) {
    struct order o = {.sem = RN_SEM_INIT(2)};
    rn_sem_acquire(&o.sem, 1);
    CHECK_EQ(rn_wg_go(&o.wg, time_out_first, &o), 0);
    rn_wg_add(&o.wg, 1);
    CHECK_EQ(rn_go(acquire_and_note, &o, 'B', (int64_t)1), 0);
    rn_wg_wait(&o.wg);
    CHECK_STR(o.log, "B");
    rn_sem_release(&o.sem, 1);
    CHECK_EQ(o.sem.rn__state, 0);
}

struct sem_ctx {
    rn_sem sem;
    rn_ctx *ctx;
    rn_wg wg;
    long rounds, taken, refused;
};

static void acquire_two_ctx(void *arg) {
    struct sem_ctx *c = arg;
    CHECK_EQ(rn_sem_acquire_ctx(c->ctx, &c->sem, 2), -ECANCELED);
}

TEST_GO(sem_acquire_ctx_is_cancelled_and_takes_nothing) {
    struct sem_ctx c = {.sem = RN_SEM_INIT(2), .ctx = rn_ctx_with_cancel(rn_ctx_background())};
    CHECK_EQ(rn_sem_acquire_ctx(c.ctx, &c.sem, 1), 0);
    CHECK_EQ(rn_wg_go(&c.wg, acquire_two_ctx, &c), 0);
    await_queue(SEM(&c.sem), 1);
    CHECK(!rn_sem_try(&c.sem, 1));
    rn_ctx_cancel(c.ctx);
    rn_wg_wait(&c.wg);
    CHECK(rn_sem_try(&c.sem, 1));
    rn_sem_release(&c.sem, 2);
    CHECK_EQ(rn_sem_acquire_ctx(c.ctx, &c.sem, 1), -ECANCELED); /* done already */
    CHECK_EQ(c.sem.rn__state, 0);
    rn_ctx_unref(c.ctx);
}

TEST_GO(sem_acquire_ctx_of_more_than_the_size_waits_for_the_context) {
    rn_sem s = RN_SEM_INIT(2);
    rn_ctx *ctx = rn_ctx_with_timeout(rn_ctx_background(), 2 * RN_MS);
    CHECK_EQ(rn_sem_acquire_ctx(ctx, &s, 3), -ETIMEDOUT);
    CHECK_EQ(s.rn__state, 0);
    rn_ctx_unref(ctx);
}

static void acquire_and_count(void *arg) {
    struct sem_ctx *c = arg;
    int r = rn_sem_acquire_ctx(c->ctx, &c->sem, 1);
    if (r == 0)
        rn_sem_release(&c->sem, 1);
    else
        CHECK_EQ(r, -ECANCELED);
    count(r ? &c->refused : &c->taken);
}

TEST_GO(sem_release_races_with_cancel_and_loses_no_unit) {
    struct sem_ctx c = {.sem = RN_SEM_INIT(1)};
    for (long i = 0, n = scaled(1000); i < n; i++) {
        c.ctx = rn_ctx_with_cancel(rn_ctx_background());
        c.taken = c.refused = 0;
        rn_sem_acquire(&c.sem, 1);
        for (int j = 0; j < 3; j++) CHECK_EQ(rn_wg_go(&c.wg, acquire_and_count, &c), 0);
        if (i % 3 == 0) await_queue(SEM(&c.sem), 2);
        if (i % 2) rn_ctx_cancel(c.ctx);
        rn_sem_release(&c.sem, 1);
        if (i % 2 == 0) rn_ctx_cancel(c.ctx);
        rn_wg_wait(&c.wg);
        CHECK_EQ(c.taken + c.refused, 3);
        CHECK_EQ(c.sem.rn__state, 0);
        rn_ctx_unref(c.ctx);
    }
}

static void take_at_random(void *arg) {
    struct stream *s = arg;
    uint64_t seed = rn_goid();
    for (long i = 0; i < s->rounds; i++) {
        int64_t n = (int64_t)(test_random(&seed) % 5);
        int64_t wait = (int64_t)(test_random(&seed) % 3);
        if (wait == 0 && !rn_sem_try(&s->sem, n)) continue;
        if (wait == 1 && rn_sem_acquire_until(&s->sem, n, rn__now() + 5 * RN_US)) continue;
        if (wait == 2) rn_sem_acquire(&s->sem, n);
        long held = __atomic_add_fetch(&s->held, n, __ATOMIC_RELAXED);
        CHECK_LE(held, 4);
        if (n == 3) rn_yield();
        __atomic_sub_fetch(&s->held, n, __ATOMIC_RELAXED);
        rn_sem_release(&s->sem, n);
    }
}

TEST_GO(sem_hammered_keeps_count) {
    struct stream s = {.sem = RN_SEM_INIT(4), .rounds = scaled(2000)};
    for (int i = 0; i < 8; i++) CHECK_EQ(rn_wg_go(&s.wg, take_at_random, &s), 0);
    rn_wg_wait(&s.wg);
    CHECK_EQ(s.sem.rn__state, 0);
    CHECK_EQ(queue_len(SEM(&s.sem)), 0);
}

static void release_one(void *s) { rn_sem_release(s, 1); }

static void acquire_negative(void *s) { rn_sem_acquire(s, -1); }

TEST(sem_misuse_panics) {
    rn_sem s = RN_SEM_INIT(2);
    check_panics(release_one, &s, "semaphore: released more than held");
    check_panics(acquire_negative, &s, "semaphore: negative weight");
    CHECK(rn_sem_try(&s, 2));
}

static void drop_under_sem(void *arg) {
    struct counted *c = arg;
    rn_sem_acquire(&c->sem, 1);
    long left = --c->refs;
    rn_sem_release(&c->sem, 1);
    if (left == 0) free(c);
}

TEST_GO(sem_may_be_freed_by_its_last_user) { drop_many(drop_under_sem, 4, scaled(2000)); }

/* ---- group ---- */

struct group_case {
    rn_group g;
    long inside, most, runs, flag;
};

static int work(void *arg) {
    struct group_case *c = arg;
    long inside = count(&c->inside);
    if (inside > get(&c->most)) set(&c->most, inside);
    CHECK_LE(inside, 3);
    rn_yield();
    __atomic_sub_fetch(&c->inside, 1, __ATOMIC_ACQ_REL);
    count(&c->runs);
    return 0;
}

TEST_GO(group_limit_bounds_the_goroutines) {
    struct group_case c = {0};
    rn_group_limit(&c.g, 3);
    for (int i = 0; i < 100; i++) CHECK_EQ(rn_group_go(&c.g, work, &c), 0);
    CHECK_EQ(rn_group_wait(&c.g), 0);
    CHECK_EQ(c.runs, 100);
}

static int fail_when_told(void *arg) {
    struct group_case *c = arg;
    AWAIT(get(&c->flag) == 1);
    return -EIO;
}

static int fail_first(void *arg) {
    struct group_case *c = arg;
    (void)c;
    return -ENOENT;
}

TEST_GO(group_wait_returns_the_first_error) {
    struct group_case c = {0};
    CHECK_EQ(rn_group_go(&c.g, fail_when_told, &c), 0);
    CHECK_EQ(rn_group_go(&c.g, fail_first, &c), 0);
    AWAIT(__atomic_load_n(&c.g.rn__error, __ATOMIC_ACQUIRE) != 0);
    set(&c.flag, 1);
    CHECK_EQ(rn_group_wait(&c.g), -ENOENT);
}

TEST(group_without_goroutines_waits_for_nothing) {
    rn_group g = {0};
    CHECK_EQ(rn_group_wait(&g), 0);
}

static int wait_for_flag(void *arg) {
    struct group_case *c = arg;
    AWAIT(get(&c->flag) == 1);
    return 0;
}

static void limit_five(void *g) { rn_group_limit(g, 5); }

TEST_GO(group_try_go_fails_at_the_limit) {
    struct group_case c = {0};
    rn_group_limit(&c.g, 1);
    CHECK_EQ(rn_group_try_go(&c.g, wait_for_flag, &c), 0);
    CHECK_EQ(rn_group_try_go(&c.g, wait_for_flag, &c), -EAGAIN);
    check_panics(limit_five, &c.g,
                 "errgroup: modify limit while 1 goroutines in the group are still active");
    set(&c.flag, 1);
    CHECK_EQ(rn_group_wait(&c.g), 0);
    CHECK_EQ(rn_group_try_go(&c.g, wait_for_flag, &c), 0);
    CHECK_EQ(rn_group_wait(&c.g), 0);
}

static int wait_for_done(void *arg) {
    struct rn_ctx *ctx = arg;
    (void)rn_recv(rn_ctx_done(ctx));
    return rn_ctx_cause(ctx) == -ENOENT ? -ECANCELED : -EPROTO;
}

TEST_GO(group_first_error_cancels_its_context_with_that_cause) {
    struct group_case c = {0};
    rn_ctx *ctx = rn_group_with_ctx(&c.g, rn_ctx_background());
    CHECK(ctx);
    for (int i = 0; i < 3; i++) CHECK_EQ(rn_group_go(&c.g, wait_for_done, ctx), 0);
    CHECK_EQ(rn_ctx_err(ctx), 0);
    CHECK_EQ(rn_group_go(&c.g, fail_first, &c), 0);
    CHECK_EQ(rn_group_wait(&c.g), -ENOENT);
    CHECK_EQ(rn_ctx_err(ctx), -ECANCELED);
    CHECK_EQ(rn_ctx_cause(ctx), -ENOENT);
    rn_ctx_unref(ctx);
}

TEST_GO(group_wait_ends_its_context) {
    struct group_case c = {0};
    rn_ctx *ctx = rn_group_with_ctx(&c.g, rn_ctx_background());
    CHECK_EQ(rn_group_go(&c.g, work, &c), 0);
    CHECK_EQ(rn_group_wait(&c.g), 0);
    CHECK_EQ(rn_ctx_err(ctx), -ECANCELED);
    CHECK_EQ(rn_ctx_cause(ctx), -ECANCELED);
    rn_ctx_unref(ctx);
}

TEST_GO(group_is_cancelled_from_above) {
    struct group_case c = {0};
    rn_ctx *parent = rn_ctx_with_cancel(rn_ctx_background());
    rn_ctx *ctx = rn_group_with_ctx(&c.g, parent);
    CHECK_EQ(rn_group_go(&c.g, wait_for_done, ctx), 0);
    rn_ctx_cancel_cause(parent, -ENOENT);
    CHECK_EQ(rn_group_wait(&c.g), -ECANCELED);
    rn_ctx_unref(ctx);
    rn_ctx_unref(parent);
}

/* ---- flight ---- */

struct flight_case {
    rn_flight f;
    rn_wg wg;
    long runs, callers, came, got, panics, flag;
    enum { RETURN, PANIC, EXIT } how;
};

/* Ends once all other callers wait for it. */
static int fetch(void *arg, void **value) {
    struct flight_case *c = arg;
    count(&c->runs);
    AWAIT(get(&c->came) == c->callers);
    await_queue(c->f.rn__calls, c->callers - 1);
    if (c->how == PANIC) rn_panic("fetch failed");
    if (c->how == EXIT) rn_goexit();
    *value = &c->runs;
    return -ENODATA;
}

static void do_flight(void *arg) {
    struct flight_case *c = arg;
    void *value;
    bool shared;
    count(&c->came);
    CHECK_EQ(rn_flight_do(&c->f, "key", fetch, c, &value, &shared), -ENODATA);
    CHECK(value == &c->runs);
    CHECK(shared);
    count(&c->got);
}

static void fly(void *arg) {
    struct flight_case *c = arg;
    rn_panic_info p;
    if (rn_try(do_flight, c, &p)) return;
    CHECK_STR(p.message, "fetch failed");
    count(&c->panics);
}

static void fly_together(struct flight_case *c) {
    for (long i = 0; i < c->callers; i++) CHECK_EQ(rn_wg_go(&c->wg, fly, c), 0);
    rn_wg_wait(&c->wg);
    CHECK_EQ(c->runs, 1);
    CHECK(!c->f.rn__calls);
}

TEST_GO(flight_shares_one_call_among_many) {
    struct flight_case c = {.callers = scaled(10000)};
    if (c.callers < 2) c.callers = 2;
    fly_together(&c);
    CHECK_EQ(c.got, c.callers);
}

TEST_GO(flight_passes_a_panic_to_every_caller) {
    struct flight_case c = {.callers = 100, .how = PANIC};
    fly_together(&c);
    CHECK_EQ(c.panics, c.callers);
}

TEST_GO(flight_passes_goexit_to_every_caller) {
    struct flight_case c = {.callers = 10, .how = EXIT};
    fly_together(&c);
    CHECK_EQ(c.got + c.panics, 0);
}

static int quick(void *arg, void **value) {
    count(arg);
    *value = arg;
    return 0;
}

TEST(flight_alone_is_not_shared_and_runs_each_time) {
    rn_flight f = {0};
    long runs = 0;
    bool shared = true;
    for (int i = 1; i <= 3; i++) {
        CHECK_EQ(rn_flight_do(&f, "k", quick, &runs, NULL, &shared), 0);
        CHECK(!shared);
        CHECK_EQ(runs, i);
    }
}

static int fetch_until_flag(void *arg, void **value) {
    struct flight_case *c = arg;
    *value = NULL;
    count(&c->runs);
    AWAIT(get(&c->flag) == 1);
    return 0;
}

static void fly_until_flag(void *arg) {
    struct flight_case *c = arg;
    CHECK_EQ(rn_flight_do(&c->f, "key", fetch_until_flag, c, NULL, NULL), 0);
}

TEST_GO(flight_forget_makes_the_next_call_anew) {
    struct flight_case c = {0};
    CHECK_EQ(rn_wg_go(&c.wg, fly_until_flag, &c), 0);
    AWAIT(get(&c.runs) == 1);
    rn_flight_forget(&c.f, "other");
    CHECK(c.f.rn__calls);
    rn_flight_forget(&c.f, "key");
    CHECK_EQ(rn_wg_go(&c.wg, fly_until_flag, &c), 0);
    AWAIT(get(&c.runs) == 2);
    set(&c.flag, 1);
    rn_wg_wait(&c.wg);
    CHECK(!c.f.rn__calls);
}

static void fly_with_many_keys(void *arg) {
    struct flight_case *c = arg;
    char key[32];
    uint64_t seed = rn_goid();
    for (long i = 0; i < c->callers; i++) {
        void *value = NULL;
        snprintf(key, sizeof key, "key %d", (int)(test_random(&seed) % 50));
        CHECK_EQ(rn_flight_do(&c->f, key, quick, &c->runs, &value, NULL), 0);
        CHECK(value == &c->runs);
        if (i % 7 == 0) rn_flight_forget(&c->f, key);
        if (i % 5 == 0) rn_yield();
    }
}

TEST_GO(flight_hammered_with_many_keys) {
    struct flight_case c = {.callers = scaled(2000)};
    for (int i = 0; i < 8; i++) CHECK_EQ(rn_wg_go(&c.wg, fly_with_many_keys, &c), 0);
    rn_wg_wait(&c.wg);
    CHECK(!c.f.rn__calls);
    CHECK_LE(c.runs, 8 * c.callers);
}

/* ---- pool ---- */

static long pool_made, pool_ended;

static void *pool_make(void) {
    count(&pool_made);
    return calloc(1, 16);
}

static void pool_end(void *obj) {
    count(&pool_ended);
    free(obj);
}

TEST(pool_gives_back_what_was_put) {
    rn_pool p = {0};
    int x, y;
    CHECK(!rn_pool_get(&p));
    CHECK(rn_pool_put(&p, NULL));
    CHECK(rn_pool_put(&p, &x));
    CHECK(rn_pool_get(&p) == &x);
    CHECK(rn_pool_put(&p, &x));
    CHECK(rn_pool_put(&p, &y));
    void *a = rn_pool_get(&p), *b = rn_pool_get(&p);
    CHECK((a == &x && b == &y) || (a == &y && b == &x));
    CHECK(!rn_pool_get(&p));
    rn_pool_clear(&p);
}

TEST(pool_is_bounded) {
    rn_pool p = {0};
    static char objects[10000];
    long taken = 0;
    for (int i = 0; i < 10000; i++) taken += rn_pool_put(&p, &objects[i]);
    CHECK_GT(taken, 0);
    CHECK_LT(taken, 10000);
    while (rn_pool_get(&p)) taken--;
    CHECK_EQ(taken, 0);
    rn_pool_clear(&p);
}

TEST(pool_creates_and_destroys) {
    rn_pool p = RN_POOL_INIT(pool_make, pool_end);
    void *obj[100];
    for (int i = 0; i < 100; i++) CHECK((obj[i] = rn_pool_get(&p)));
    CHECK_EQ(pool_made, 100);
    for (int i = 0; i < 100; i++) CHECK(rn_pool_put(&p, obj[i]));
    rn_pool_clear(&p);
    CHECK_EQ(pool_ended, 100);
    CHECK(rn_pool_put(&p, rn_pool_get(&p))); /* as new */
    rn_pool_clear(&p);
    CHECK_EQ(pool_ended, 101);
}

static void *pool_put_in_thread(void *arg) {
    static int x;
    CHECK(rn_pool_put(arg, &x));
    return &x;
}

TEST(pool_takes_from_other_threads) {
    rn_pool p = {0};
    void *x;
    for (int i = 0; i < 5; i++) {
        pthread_join(thread(pool_put_in_thread, &p), &x);
        CHECK(rn_pool_get(&p) == x);
    }
    rn_pool_clear(&p);
}

struct pool_case {
    rn_pool p;
    rn_wg wg;
    long rounds;
};

static void use_pool(void *arg) {
    struct pool_case *c = arg;
    for (long i = 0; i < c->rounds; i++) {
        long *x = rn_pool_get(&c->p);
        CHECK_EQ(x[0], 0); /* nobody else has it */
        x[0] = 1;
        if (i % 4 == 0) rn_yield();
        x[0] = 0;
        rn_pool_put(&c->p, x);
    }
}

TEST_GO(pool_hammered_gives_each_object_to_one) {
    struct pool_case c = {.p = RN_POOL_INIT(pool_make, pool_end), .rounds = scaled(5000)};
    for (int i = 0; i < 8; i++) CHECK_EQ(rn_wg_go(&c.wg, use_pool, &c), 0);
    rn_wg_wait(&c.wg);
    rn_pool_clear(&c.p);
    CHECK_EQ(pool_made, pool_ended);
}

/* ---- sema ---- */

/* Queues of many addresses at once stand beside each other, and are served in order. */
enum { KEYS = 500 };

static void wait_for_key(rn_wg *all, rn_mutex *m) {
    rn_mutex_lock(m);
    rn_mutex_unlock(m);
    rn_wg_done(all);
}

TEST_GO(sema_many_addresses_at_once) {
    static rn_mutex m[KEYS];
    rn_wg all = {0};
    uint64_t seed = test_seed();
    for (int i = 0; i < KEYS; i++) rn_mutex_lock(&m[i]);
    rn_wg_add(&all, 3 * KEYS);
    for (int i = 0; i < 3 * KEYS; i++) CHECK_EQ(rn_go(wait_for_key, &all, &m[i % KEYS]), 0);
    for (int i = 0; i < KEYS; i++) await_queue(&m[i], 3);
    int order[KEYS];
    for (int i = 0; i < KEYS; i++) order[i] = i;
    for (int i = KEYS - 1; i > 0; i--) {
        int j = (int)(test_random(&seed) % (uint64_t)(i + 1)), t = order[i];
        order[i] = order[j];
        order[j] = t;
    }
    for (int i = 0; i < KEYS; i++) rn_mutex_unlock(&m[order[i]]);
    rn_wg_wait(&all);
    for (int i = 0; i < KEYS; i++) CHECK_EQ(queue_len(&m[i]), 0);
}

/* ---- what orders nothing ---- */

/*
 * Programs with a race that a user's TSan must report: an edge too many would hide it. Two plain threads, so that no
 * scheduling orders them, and a relaxed flag, which orders nothing.
 */
struct race {
    rn_mutex m;
    rn_sem sem;
    rn_wg wg;
    long x, flag;
    bool (*try)(struct race *r);
};

static void *race_second(void *arg) {
    struct race *r = arg;
    while (!__atomic_load_n(&r->flag, __ATOMIC_RELAXED)) sched_yield();
    CHECK(!r->try(r));
    r->x = 2;
    return NULL;
}

static void race_first(void *arg) {
    struct race *r = arg;
    pthread_t t = thread(race_second, r);
    rn_mutex_lock(&r->m);
    rn_sem_acquire(&r->sem, 1);
    r->x = 1;
    rn_wg_add(&r->wg, 1);
    __atomic_store_n(&r->flag, 1, __ATOMIC_RELAXED);
    pthread_join(t, NULL);
}

static bool race_mutex_try(struct race *r) { return rn_mutex_try_lock(&r->m); }

static bool race_sem_try(struct race *r) { return rn_sem_try(&r->sem, 1); }

static bool race_wg_done(struct race *r) {
    rn_wg_done(&r->wg);
    return false;
}

static void check_race(bool (*try)(struct race *r)) {
#ifndef RN_TSAN_USER
    (void)try;
    (void)race_first;
    SKIP("needs TSan in the program and not in the library");
#else
    struct race r = {.sem = RN_SEM_INIT(1), .try = try};
    check_dies(race_first, &r, "WARNING: ThreadSanitizer: data race");
#endif
}

TEST_ONCE(race_failed_try_lock_orders_nothing) { check_race(race_mutex_try); }

TEST_ONCE(race_failed_try_of_a_semaphore_orders_nothing) { check_race(race_sem_try); }

TEST_ONCE(race_add_orders_nothing) { check_race(race_wg_done); }
