/* SPDX-License-Identifier: MIT */
/*
 * tsan_test.c: what happens before what, as ThreadSanitizer sees it. Two kinds of case: `orders_...` is
 * right, and a missing edge makes TSan report it; `race_...` is wrong, in a child process, and an edge
 * too many hides it from TSan. The second kind can only be judged where the library is not
 * instrumented (preset tsan-user: what a user has): its own locks order too much. Without TSan the first
 * kind are programs like any other.
 *
 * `x` is the plain variable that is used from two sides. `step` brings the two sides into the order that the
 * case is about without ordering anything in TSan's eyes: relaxed.
 */
#include <pthread.h>

#include "core.h"

typedef rn_chan(int) chan_int;
typedef rn_send_chan(int) send_int;
typedef rn_recv_chan(int) recv_int;

#ifndef RN_TSAN_USER
#define RN_TSAN_USER 0
#endif

static volatile int x;
static long step;

static void set_step(long s) { __atomic_store_n(&step, s, __ATOMIC_RELAXED); }
static void wait_step(long s) { WAIT_FOR(count(&step) >= s); }

static chan_int c, done;

static void make(int64_t cap) {
    c = rn_make(int, cap);
    done = rn_make(int, 0);
    x = 0;
    set_step(0);
}

/* ---- what is ordered ---- */

static void write_and_send(void) {
    x = 1;
    rn_send(c, 1);
}

static void write_and_send_thrice(void) {
    for (int i = 0; i < 3; i++) {
        x = i;
        rn_send(c, 1);
        (void)rn_recv(done);
    }
}

TEST_GO(orders_a_send_before_its_receive) {
    for (int64_t cap = 0; cap < 3; cap++)
        for (int i = 0; i < scaled(300); i++) {
            make(cap);
            GO(write_and_send);
            if (i % 2) rn_yield();
            (void)rn_recv(c);
            CHECK_EQ(x, 1);
        }
}

TEST_GO(orders_a_send_before_its_receive_by_try_and_select) {
    for (int64_t cap = 0; cap < 2; cap++) {
        make(cap);
        GO(write_and_send_thrice);
        WAIT_FOR(rn_try_recv(c, NULL) == 0);
        CHECK_EQ(x, 0);
        rn_send(done, 1);
        CHECK_EQ(rn_select(rn_on_recv(done, NULL), rn_on_recv(c, NULL)), 1);
        CHECK_EQ(x, 1);
        rn_send(done, 1);
        WAIT_FOR(rn_select_default(rn_on_recv(c, NULL)) == 0);
        CHECK_EQ(x, 2);
        rn_send(done, 1);
    }
}

static void write_and_select_send(void) {
    rn_chan(int) never = rn_make(int, 0);
    x = 1;
    rn_select(rn_on_recv(never, NULL), rn_on_send(c, 1));
    rn_unref(never);
}

TEST_GO(orders_a_selected_send_before_its_receive) {
    for (int64_t cap = 0; cap < 2; cap++)
        for (int i = 0; i < scaled(300); i++) {
            make(cap);
            GO(write_and_select_send);
            if (i % 2) rn_yield();
            (void)rn_recv(c);
            CHECK_EQ(x, 1);
        }
}

static void write_and_try_send(void) {
    x = 1;
    WAIT_FOR(rn_try_send(c, 1) == 0);
}

TEST_GO(orders_a_tried_send_before_its_receive) {
    for (int64_t cap = 0; cap < 2; cap++)
        for (int i = 0; i < scaled(300); i++) {
            make(cap);
            GO(write_and_try_send);
            (void)rn_recv(c);
            CHECK_EQ(x, 1);
        }
}

static void write_and_close(void) {
    x = 1;
    rn_close(c);
}

TEST_GO(orders_a_close_before_the_receive_of_zero) {
    for (int i = 0; i < scaled(500); i++) {
        make(i % 2);
        GO(write_and_close);
        if (i % 4 > 1) rn_yield();
        switch (i % 3) {
        case 0: CHECK(!rn_recv_ok(c, NULL)); break;
        case 1: WAIT_FOR(rn_try_recv(c, NULL) == -EPIPE); break;
        case 2: rn_select(rn_on_recv(c, NULL), rn_on_recv(done, NULL)); break;
        }
        CHECK_EQ(x, 1);
    }
}

static void write_and_receive(void) {
    x = 1;
    (void)rn_recv(c);
}

TEST_GO(orders_a_receive_before_its_unbuffered_send) {
    for (int i = 0; i < scaled(500); i++) {
        make(0);
        GO(write_and_receive);
        if (i % 4 > 1) rn_yield();
        switch (i % 3) {
        case 0: rn_send(c, 1); break;
        case 1: WAIT_FOR(rn_try_send(c, 1) == 0); break;
        case 2: rn_select(rn_on_send(c, 1), rn_on_recv(done, NULL)); break;
        }
        CHECK_EQ(x, 1);
    }
}

static void use_semaphore(int n) {
    for (int i = 0; i < n; i++) {
        rn_send(c, 1);
        x = x + 1;
        (void)rn_recv(c);
    }
    rn_send(done, 1);
}

/* The k-th receive before the (k+1)-th send: a channel of capacity 1 is a mutex. */
TEST_GO(orders_a_receive_before_the_send_that_takes_its_slot) {
    int n = (int)scaled(500);
    make(1);
    for (int i = 0; i < 4; i++) GO(use_semaphore, n);
    wait_n(done, 4);
    CHECK_EQ(x, 4 * n);
}

static int slots[3];

static void fill_slots(int n) {
    for (int i = 0; i < n; i++) {
        rn_send(c, i); /* the slot is ours when i-3 has been received */
        slots[i % 3] = i;
        rn_send(done, 1);
    }
    rn_close(done);
}

/*
 * Capacity 3: what the k-th receiver did is seen by the (k+3)-th sender. The slots are read
 * after an element of `done` came, and given back by the receive from c.
 */
TEST_GO(orders_the_kth_receive_before_the_k_plus_cth_send) {
    int n = (int)scaled(600), i = 0;
    make(3);
    GO(fill_slots, n);
    while (rn_recv_ok(done, NULL)) {
        CHECK_EQ(slots[i % 3], i);
        slots[i % 3] = -1;
        CHECK_EQ(rn_recv(c), i);
        i++;
    }
    CHECK_EQ(i, n);
}

static void read_x(int want) {
    CHECK_EQ(x, want);
    x = want + 1;
    rn_send(done, 1);
}

static void try_and_unref(void) {
    int v;
    while (rn_try_recv(c, &v) == -EAGAIN) rn_yield();
    rn_unref(c);
    set_step(1);
}

/* Who has looked at a channel by a try, in line, and then dropped his reference, has done so before it is freed. */
TEST_GO(orders_a_try_before_the_free_by_another) {
    for (int i = 0; i < 20; i++) {
        c = rn_make(int, 1);
        rn_ref(c);
        GO(try_and_unref);
        rn_yield();
        rn_send(c, 1);
        wait_step(1);
        rn_unref(c);
        set_step(0);
    }
}

TEST_GO(orders_go_before_the_goroutine) {
    make(0);
    for (int i = 0; i < scaled(500); i++) {
        x = i;
        GO(read_x, i);
        wait_n(done, 1);
        CHECK_EQ(x, i + 1);
    }
}

static int main_reads(void *want) {
    CHECK_EQ(x, (intptr_t)want);
    x = x + 1;
    return 0;
}

TEST(orders_run_before_main_and_its_end_before_the_return) {
    for (intptr_t i = 0; i < scaled(100); i++) {
        x = (int)i;
        CHECK_EQ(rn_run(main_reads, (void *)i), 0);
        CHECK_EQ(x, i + 1);
    }
}

static void *thread_writes(void *unused) {
    for (int i = 0; i < scaled(300); i++) {
        x = i;
        rn_send(c, i);
        (void)rn_recv(done);
    }
    rn_close(c);
    return unused;
}

TEST(orders_threads_and_goroutines_alike) {
    make(0);
    pthread_t t;
    CHECK_EQ(pthread_create(&t, NULL, thread_writes, NULL), 0);
    int v;
    while (rn_recv_ok(c, &v)) {
        CHECK_EQ(x, v);
        GO(read_x, v); /* and that one lets the thread go on */
    }
    CHECK_EQ(pthread_join(t, NULL), 0);
}

/* A value passed on through many hands is everybody's in turn. */
static void hand_on(chan_int in, chan_int out, int *shared) {
    int v;
    while (rn_recv_ok(in, &v)) {
        *shared += 1;
        rn_send(out, v + 1);
    }
    rn_close(out);
}

/*
 * What a fresh primitive's first release orders, when those who come meanwhile take the library's path: TSan has no clock
 * for the word until then.
 */
struct fresh {
    rn_mutex m;
    rn_rwmutex rw;
    rn_sem sem;
    rn_wg wg;
    int under_mutex, under_rwmutex, under_sem;
};

static void use_fresh(struct fresh *f, int *mine) {
    rn_mutex_lock(&f->m);
    f->under_mutex++;
    rn_mutex_unlock(&f->m);
    rn_rwmutex_lock(&f->rw);
    f->under_rwmutex++;
    rn_rwmutex_unlock(&f->rw);
    rn_sem_acquire(&f->sem, 1);
    f->under_sem++;
    rn_sem_release(&f->sem, 1);
    *mine = 1;
    rn_wg_done(&f->wg);
}

TEST_GO(orders_the_first_users_of_a_primitive) {
    enum { USERS = 4 };
    for (long i = 0, n = scaled(20000); i < n; i++) {
        struct fresh *f = calloc(1, sizeof *f);
        int mine[USERS];
        CHECK(f);
        rn_sem_init(&f->sem, 1);
        rn_wg_add(&f->wg, USERS);
        for (int k = 0; k < USERS; k++) CHECK_EQ(rn_go(use_fresh, f, &mine[k]), 0);
        rn_wg_wait(&f->wg);
        for (int k = 0; k < USERS; k++) CHECK_EQ(mine[k], 1);
        CHECK_EQ(f->under_mutex + f->under_rwmutex + f->under_sem, 3 * USERS);
        free(f);
    }
}

TEST_GO(orders_a_ring_of_goroutines) {
    static int shared;
    rn_chan(int) first = rn_make(int, 0);
    rn_chan(int) in = first;
    for (int i = 0; i < 20; i++) {
        rn_chan(int) out = rn_make(int, 0);
        GO(hand_on, in, out, &shared);
        in = out;
    }
    int n = (int)scaled(300);
    for (int i = 0; i < n; i++) {
        shared = 0;
        rn_send(first, 0);
        CHECK_EQ(rn_recv(in), 20);
        CHECK_EQ(shared, 20);
    }
    rn_close(first);
    CHECK(!rn_recv_ok(in, NULL));
}

/* ---- what is not ---- */

/*
 * One side: does `first`, then lets the other, which does `second` and then touches x. Each case gives the
 * capacity and what the two do; x is written before `first`, so the report is at the line of x below.
 */
struct race {
    int64_t cap;
    int filled; /* elements in the buffer beforehand */
    void (*first)(void);
    void (*second)(void);
};
static struct race race;
static int race_line;

static void early(void) {
    x = 1;
    race.first();
    set_step(1);
    rn_send(done, 1);
}

static void late(void) {
    wait_step(1);
    race.second();
    race_line = __LINE__ + 1;
    x = 2;
    rn_send(done, 1);
}

static int race_main(void *unused) {
    (void)unused;
    make(race.cap);
    for (int i = 0; i < race.filled; i++) rn_send(c, i);
    GO(late);
    GO(early);
    wait_n(done, 2);
    return 0;
}

static void race_body(void) {
    rn_run(race_main, NULL);
    fprintf(stderr, "line %d\n", race_line);
}

static void check_race(struct race r) {
    if (!TEST_TSAN) SKIP("no TSan here");
    if (!RN_TSAN_USER) SKIP("an instrumented library orders too much");
    race = r;
    struct child *child = run_child(race_body);
    check_text(child, "data race");
    CHECK_NE(child->status, 0);
    if (strstr(child->err, "tsan_test.c:")) check_text(child, "in late");
}

static void nothing(void) {}
static void send_it(void) { rn_send(c, 1); }
static void recv_it(void) { (void)rn_recv(c); }
static void try_send_fails(void) { CHECK_EQ(rn_try_send(c, 1), -EAGAIN); }
static void try_recv_fails(void) { CHECK_EQ(rn_try_recv(c, NULL), -EAGAIN); }
static void select_fails(void) { CHECK_EQ(rn_select_default(rn_on_recv(c, NULL)), -1); }
static void ask_len(void) { (void)rn_len(c); }
static void count_refs(void) { rn_unref(rn_ref(c)); }
static void spawn(void) { GO(nothing); }
static void yield(void) { rn_yield(); }

TEST(race_without_any_order) { check_race((struct race){0, 0, nothing, nothing}); }
TEST(race_of_two_senders) { check_race((struct race){4, 0, send_it, send_it}); }
TEST(race_of_two_receivers) { check_race((struct race){4, 4, recv_it, recv_it}); }
TEST(race_of_a_receiver_with_a_later_sender_of_another_slot) {
    check_race((struct race){4, 1, recv_it, send_it});
}
TEST(race_of_failed_try_sends) { check_race((struct race){1, 1, try_send_fails, try_send_fails}); }
TEST(race_of_failed_try_receives) {
    check_race((struct race){1, 0, try_recv_fails, try_recv_fails});
}
TEST(race_of_failed_selects) { check_race((struct race){0, 0, select_fails, select_fails}); }
TEST(race_of_a_send_with_len) { check_race((struct race){4, 0, send_it, ask_len}); }
TEST(race_of_reference_counts) { check_race((struct race){0, 0, count_refs, count_refs}); }
TEST(race_of_two_that_spawn) { check_race((struct race){0, 0, spawn, spawn}); }
TEST(race_of_two_that_yield) { check_race((struct race){0, 0, yield, yield}); }

/* The receive of one element orders nothing with the send of another that came before it. */
static void send_two(void) {
    rn_send(c, 1);
    set_step(1);
    wait_step(2);
    x = 1;
    rn_send(c, 2);
    set_step(3);
    rn_send(done, 1);
}
static void recv_first_only(void) {
    wait_step(1);
    (void)rn_recv(c);
    set_step(2);
    wait_step(3);
    x = 2;
    rn_send(done, 1);
}
static int race_first_main(void *unused) {
    (void)unused;
    make(4);
    GO(send_two);
    GO(recv_first_only);
    wait_n(done, 2);
    return 0;
}
static void race_first_body(void) { rn_run(race_first_main, NULL); }

TEST(race_of_a_receiver_with_a_send_after_its_own) {
    if (!TEST_TSAN) SKIP("no TSan here");
    if (!RN_TSAN_USER) SKIP("an instrumented library orders too much");
    struct child *child = run_child(race_first_body);
    check_text(child, "data race");
    CHECK_NE(child->status, 0);
}

/* The race that has no excuse is found in every TSan build, and at its line. */
static void bump(int n) {
    for (int i = 0; i < n; i++) {
        x = x + 1; /* LINE */
        rn_yield();
    }
    rn_send(done, 1);
}
enum { BUMP_LINE = __LINE__ - 5 };

static int bump_main(void *unused) {
    (void)unused;
    make(0);
    for (int i = 0; i < 4; i++) GO(bump, 1000);
    wait_n(done, 4);
    return 0;
}
static void bump_body(void) { rn_run(bump_main, NULL); }

TEST(race_of_two_goroutines_is_reported_at_its_line) {
    if (!TEST_TSAN) SKIP("no TSan here");
    if (!RN_TSAN_USER) SKIP("an instrumented library orders too much");
    struct child *child = run_child(bump_body);
    check_text(child, "data race");
    CHECK_NE(child->status, 0);
    char line[64];
    snprintf(line, sizeof line, "tsan_test.c:%d", BUMP_LINE);
    if (strstr(child->err, "tsan_test.c:")) check_text(child, line);
}
