/* SPDX-License-Identifier: MIT */
/*
 * panic_test.c: panics, deferred calls, protected calls, as Go's panic, defer and recover. What an
 * uncaught one prints is in output_test.c.
 */
#include <pthread.h>

#include "parked.h"

typedef rn_chan(int) chan_int;
typedef rn_send_chan(int) send_int;
typedef rn_recv_chan(int) recv_int;

/* The order in which things happened. A case uses it from one goroutine at a time. */
static char log_text[256];

static void note(void *text) { strcat(log_text, text); }

static void check_log(const char *want) {
    CHECK_STR(log_text, want);
    log_text[0] = 0;
}

static void panic_with(void *text) { rn_panic("%s", (char *)text); }
static void nothing(void *unused) { (void)unused; }

/* ---- rn_try ---- */

TEST(try_returns_true_without_a_panic) {
    rn_panic_info p = {"untouched", 77};
    CHECK(rn_try(nothing, NULL, &p));
    CHECK(rn_try(nothing, NULL, NULL));
    CHECK(rn_try(note, "ran", &p));
    check_log("ran");
}

TEST_GO(try_catches_and_tells) {
    rn_panic_info p;
    memset(&p, 0xff, sizeof p);
    CHECK(!rn_try(panic_with, "boom", &p));
    CHECK_STR(p.message, "boom");
    CHECK_EQ(p.goid, rn_goid());
    CHECK_GT(p.goid, 0);
    CHECK(!rn_try(panic_with, "boom", NULL));
}

TEST(try_works_on_a_plain_thread) {
    rn_panic_info p;
    CHECK(!rn_try(panic_with, "boom", &p));
    CHECK_STR(p.message, "boom");
    CHECK_EQ(p.goid, 0);
}

static void formatted(void *unused) {
    (void)unused;
    rn_panic("%s: %d of %ld, %c%%, %5.2f", "text", -7, 1L << 40, 'x', 2.5);
}

TEST_GO(the_message_is_formatted) {
    check_panics(formatted, NULL, "text: -7 of 1099511627776, x%,  2.50");
    check_panics(panic_with, "", "");
    check_panics(panic_with, "%s %n %d", "%s %n %d");
    check_panics(panic_with, "two\nlines", "two\nlines");
}

TEST_GO(a_long_message_is_cut_to_fit) {
    char text[5000];
    memset(text, 'y', sizeof text);
    for (size_t n = 250; n < 260; n++) {
        rn_panic_info p;
        text[n] = 0;
        CHECK(!rn_try(panic_with, text, &p));
        CHECK_EQ(strlen(p.message), n < 255 ? n : 255);
        text[n] = 'y';
    }
    text[4999] = 0;
    rn_panic_info p;
    CHECK(!rn_try(panic_with, text, &p));
    CHECK_EQ(strlen(p.message), 255);
}

static void inner_try(void *text) {
    rn_panic_info p;
    CHECK(!rn_try(panic_with, "inner", &p));
    CHECK_STR(p.message, "inner");
    note("caught ");
    if (text) rn_panic("%s", (char *)text);
}

TEST_GO(protected_calls_nest) {
    rn_panic_info p;
    CHECK(rn_try(inner_try, NULL, &p));
    check_log("caught ");
    CHECK(!rn_try(inner_try, "outer", &p));
    CHECK_STR(p.message, "outer");
    check_log("caught ");
}

static void try_deep(void *depth) {
    intptr_t d = (intptr_t)depth;
    if (d == 0) rn_panic("bottom");
    rn_panic_info p;
    CHECK(!rn_try(try_deep, (void *)(d - 1), &p));
    char want[32];
    snprintf(want, sizeof want, "at %d", (int)d - 1);
    CHECK_STR(p.message, d == 1 ? "bottom" : want);
    rn_panic("at %d", (int)d);
}

TEST_GO(protected_calls_nest_deeply) { check_panics(try_deep, (void *)100, "at 100"); }

static int deep(int n) {
    volatile char fill[100];
    fill[n % 100] = 1;
    if (n == 0) panic_with("from the deep");
    return n == 0 ? 0 : deep(n - 1) + fill[n % 100];
}
static void go_deep(void *unused) {
    (void)unused;
    deep(100);
}

TEST_GO(a_panic_leaves_many_frames) {
    for (int i = 0; i < 100; i++) check_panics(go_deep, NULL, "from the deep");
}

/* ---- rn_defer ---- */

static void defers_return(void *unused) {
    (void)unused;
    rn_defer(note, "1");
    rn_defer(note, "2");
    rn_defer(note, "3");
    note("body ");
}

static void defers_panic(void *unused) {
    defers_return(unused);
    rn_panic("boom");
}

TEST_GO(deferred_calls_run_last_in_first_out) {
    CHECK(rn_try(defers_return, NULL, NULL));
    check_log("body 321");
    check_panics(defers_panic, NULL, "boom");
    check_log("body 321");
}

TEST(deferred_calls_run_on_a_plain_thread) {
    CHECK(rn_try(defers_return, NULL, NULL));
    check_log("body 321");
    check_panics(defers_panic, NULL, "boom");
    check_log("body 321");
}

static void outer_defers(void *unused) {
    rn_defer(note, "outer");
    CHECK(!rn_try(defers_panic, NULL, NULL));
    note(" ");
    (void)unused;
}

TEST_GO(a_deferred_call_belongs_to_the_innermost_protected_call) {
    CHECK(rn_try(outer_defers, NULL, NULL));
    check_log("body 321 outer");
}

static void own_function(recv_int go_on, send_int done) {
    rn_defer(note, "deferred");
    (void)rn_recv(go_on);
    note("body ");
    rn_unref(go_on);
    rn_send(done, 1); /* the deferred call comes after */
}

static void fill_in(void *p) { __atomic_store_n((int *)p, 42, __ATOMIC_RELEASE); }
static void defers_fill(int *p) { rn_defer(fill_in, p); }

TEST_GO(a_goroutines_own_function_is_a_protected_call) {
    static int v;
    rn_chan(int) go_on = rn_make(int, 0), done = rn_make(int, 0);
    GO(own_function, go_on, done);
    rn_send(go_on, 1);
    wait_n(done, 1);
    GO(defers_fill, &v);
    WAIT_FOR(__atomic_load_n(&v, __ATOMIC_ACQUIRE) == 42);
    WAIT_FOR(rn_goroutines() == 1);
}

static int main_defers(void *unused) {
    (void)unused;
    rn_defer(note, "deferred ");
    note("main ");
    return 3;
}

TEST(the_main_goroutine_may_defer) {
    CHECK_EQ(rn_run(main_defers, NULL), 3);
    note("after");
    check_log("main deferred after");
}

static void many_defers(void *n) {
    for (intptr_t i = 0; i < (intptr_t)n; i++) rn_defer(note, i % 2 ? "b" : "a");
}

static long calls;
static void count_call(void *unused) {
    (void)unused;
    calls++;
}
static void defers_10000(void *unused) {
    for (int i = 0; i < 10000; i++) rn_defer(count_call, unused);
    CHECK_EQ(calls, 0);
}

TEST_GO(any_number_of_deferred_calls) {
    CHECK(rn_try(many_defers, (void *)6, NULL));
    check_log("bababa");
    CHECK(rn_try(defers_10000, NULL, NULL));
    CHECK_EQ(calls, 10000);
}

static void defer_more(void *unused) {
    note("more ");
    rn_defer(note, "late ");
    rn_defer(note, "later ");
    (void)unused;
}
static void defers_that_defer(void *panics) {
    rn_defer(note, "first ");
    rn_defer(defer_more, NULL);
    if (panics) rn_panic("boom");
}

TEST_GO(a_deferred_call_may_defer) {
    CHECK(rn_try(defers_that_defer, NULL, NULL));
    check_log("more later late first ");
    check_panics(defers_that_defer, "", "boom");
    check_log("more later late first ");
}

static void defer_outside(void *unused) {
    (void)unused;
    rn_defer(note, "no");
}

static void *thread_defers(void *unused) {
    (void)unused;
    /* inside rn_try it is inside */
    CHECK(rn_try(defer_outside, NULL, NULL));
    check_log("no");
    return NULL;
}

TEST(defer_on_a_plain_thread_belongs_into_a_protected_call) {
    pthread_t t;
    CHECK_EQ(pthread_create(&t, NULL, thread_defers, NULL), 0);
    pthread_join(t, NULL);
}

/* ---- panics in deferred calls ---- */

static void panic_in_defer(void *unused) {
    (void)unused;
    rn_defer(note, "1");
    rn_defer(panic_with, "second");
    rn_defer(note, "2");
    rn_panic("first");
}

TEST_GO(a_panic_in_a_deferred_call_replaces_the_first) {
    check_panics(panic_in_defer, NULL, "second");
    check_log("21");
}

static void panic_in_defer_after_return(void *unused) {
    (void)unused;
    rn_defer(note, "1");
    rn_defer(panic_with, "late");
    rn_defer(note, "2");
}

TEST_GO(a_deferred_call_may_panic_after_a_normal_return) {
    check_panics(panic_in_defer_after_return, NULL, "late");
    check_log("21");
}

static void panic_thrice(void *unused) {
    (void)unused;
    rn_defer(panic_with, "fourth");
    rn_defer(panic_with, "third");
    rn_defer(panic_with, "second");
    rn_panic("first");
}

TEST_GO(each_deferred_call_may_panic) { check_panics(panic_thrice, NULL, "fourth"); }

static void try_in_defer(void *unused) {
    (void)unused;
    rn_panic_info p;
    CHECK(!rn_try(panic_with, "inner", &p));
    CHECK_STR(p.message, "inner");
    note("tried ");
}
static void defers_try(void *unused) {
    (void)unused;
    rn_defer(note, "last");
    rn_defer(try_in_defer, NULL);
    rn_panic("outer");
}

TEST_GO(a_protected_call_inside_a_deferred_call_leaves_the_panic_alone) {
    check_panics(defers_try, NULL, "outer");
    check_log("tried last");
}

static void use_channels(void *c) {
    rn_send((chan_int)c, 1);
    rn_yield();
    note("used ");
}
static void defers_channels(void *c) {
    rn_defer(use_channels, c);
    rn_panic("outer");
}
static void take(recv_int c, send_int done) { rn_send(done, rn_recv(c)); }

TEST_GO(a_deferred_call_may_block) {
    rn_chan(int) c = rn_make(int, 0), done = rn_make(int, 1);
    for (int i = 0; i < 100; i++) {
        GO(take, c, done);
        check_panics(defers_channels, c, "outer");
        check_log("used ");
        wait_n(done, 1);
    }
}

/* ---- rn_goexit ---- */

static void note_and_tell(void *done) {
    note("told ");
    rn_send((chan_int)done, 1);
}

static void exit_inside(void *unused) {
    (void)unused;
    rn_defer(note, "inner ");
    rn_goexit();
}
static void exits_through_try(send_int done) {
    rn_defer(note_and_tell, (void *)done);
    rn_defer(note, "outer ");
    rn_try(exit_inside, NULL, NULL);
    FAIL("rn_try caught an rn_goexit");
}

TEST_GO(goexit_goes_past_protected_calls) {
    rn_chan(int) done = rn_make(int, 1);
    GO(exits_through_try, done);
    wait_n(done, 1);
    check_log("inner outer told ");
}

static void goexit_now(void *unused) {
    (void)unused;
    rn_goexit();
}
static void exit_during_panic(send_int done) {
    rn_defer(note_and_tell, (void *)done);
    rn_defer(goexit_now, NULL);
    rn_panic("forgotten");
}

/* As in Go: a Goexit in a deferred call ends the panic and the goroutine. */
TEST_GO(goexit_in_a_deferred_call_ends_a_panic) {
    rn_chan(int) done = rn_make(int, 1);
    GO(exit_during_panic, done);
    wait_n(done, 1);
    check_log("told ");
}

static void recovers_then_exits(void *unused) {
    try_in_defer(unused);
    note("on ");
}
static void exit_and_try(send_int done) {
    rn_defer(note_and_tell, (void *)done);
    rn_defer(recovers_then_exits, NULL);
    rn_goexit();
}

TEST_GO(a_protected_call_during_goexit_does_not_stop_it) {
    rn_chan(int) done = rn_make(int, 1);
    GO(exit_and_try, done);
    wait_n(done, 1);
    check_log("tried on told ");
}

static void exit_then_panic(void *unused) {
    (void)unused;
    rn_defer(panic_with, "while exiting");
    rn_goexit();
}
static void exit_panic_caught(send_int done) {
    rn_defer(note_and_tell, (void *)done);
    rn_try(exit_then_panic, NULL, NULL);
    FAIL("a panic stopped an rn_goexit");
}

/* As in Go: recovering from a panic that a deferred call raised during Goexit goes on with the Goexit. */
TEST_GO(a_panic_caught_during_goexit_does_not_stop_it) {
    rn_chan(int) done = rn_make(int, 1);
    GO(exit_panic_caught, done);
    wait_n(done, 1);
    check_log("told ");
}

static void *thread_exits(void *result) {
    rn_try(exit_inside, NULL, NULL);
    FAIL("rn_goexit returned on a thread");
    return result;
}

TEST(goexit_on_a_plain_thread_ends_the_thread) {
    pthread_t t;
    void *r = &t;
    CHECK_EQ(pthread_create(&t, NULL, thread_exits, NULL), 0);
    CHECK_EQ(pthread_join(t, &r), 0);
    CHECK(r != &t);
    check_log("inner ");
}

/* ---- panics of the library ---- */

static void close_twice(void *c) {
    rn_chan_close(c);
    rn_chan_close(c);
}
static void send_closed(void *c) { rn_send((chan_int)c, 1); }
static void select_closed(void *c) {
    rn_chan(int) never = rn_make(int, 0);
    rn_select(rn_on_recv(never, NULL), rn_on_send((chan_int)c, 1));
}

/* No lock stays behind: the channel works on after each. */
TEST_GO(a_channel_works_on_after_a_panic_in_it) {
    for (int i = 0; i < 100; i++) {
        rn_chan(int) c = rn_make(int, 2);
        rn_send(c, i);
        check_panics(close_twice, c, "close of closed channel");
        check_panics(send_closed, c, "send on closed channel");
        check_panics(select_closed, c, "send on closed channel");
        CHECK_EQ(rn_recv(c), i);
        CHECK(!rn_recv_ok(c, NULL));
        rn_unref(c);
    }
}

/* ---- over parks and threads ---- */

static void parks_then_panics(void *c) {
    for (int i = 0; i < 10; i++) rn_yield();
    (void)rn_recv((chan_int)c);
    for (int i = 0; i < 10; i++) rn_yield();
    rn_panic("moved");
}

static void panics_after_parks(chan_int c, send_int done) {
    for (int i = 0; i < 20; i++) {
        rn_panic_info p;
        CHECK(!rn_try(parks_then_panics, c, &p));
        CHECK_STR(p.message, "moved");
        CHECK_EQ(p.goid, rn_goid());
    }
    rn_send(done, 1);
}

TEST_GO(a_protected_call_may_park_and_move) {
    rn_chan(int) c = rn_make(int, 0), done = rn_make(int, 0);
    long n = scaled(200);
    for (long i = 0; i < n; i++) GO(panics_after_parks, c, done);
    for (long i = 0; i < 20 * n; i++) rn_send(c, 1);
    wait_n(done, n);
}

static void nest_and_park(void *depth) {
    intptr_t d = (intptr_t)depth;
    rn_yield();
    if (d == 0) rn_panic("bottom");
    rn_panic_info p;
    CHECK(!rn_try(nest_and_park, (void *)(d - 1), &p));
    CHECK_STR(p.message, "bottom");
    rn_yield();
    rn_panic("bottom");
}

static void panics_nested(send_int done) {
    check_panics(nest_and_park, (void *)10, "bottom");
    rn_send(done, 1);
}

TEST_GO(thousands_panic_at_once) {
    rn_chan(int) done = rn_make(int, 0);
    long n = scaled(2000);
    for (long i = 0; i < n; i++) GO(panics_nested, done);
    wait_n(done, n);
}
