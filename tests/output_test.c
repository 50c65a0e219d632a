/* SPDX-License-Identifier: MIT */
/*
 * output_test.c: what a program prints when it ends badly, and its exit status: panics nobody recovers
 * from, deadlocks. Each case runs a program in a child process. The texts are Go's, compared
 * with what Go 1.26 prints for the same program.
 */
#include <limits.h>
#include <pthread.h>

#include "parked.h"

typedef rn_chan(int) chan_int;
typedef rn_send_chan(int) send_int;
typedef rn_recv_chan(int) recv_int;

/* Run fn as the main goroutine of the child. */
static void (*main_fn)(void);
static int call_main(void *unused) {
    (void)unused;
    main_fn();
    return 0;
}
static void run_main(void) { rn_run(call_main, NULL); }

static struct child *run_go(void (*fn)(void)) {
    main_fn = fn;
    return run_child(run_main);
}

/* ---- panics ---- */

static void panics(void) { rn_panic("boom %d", 42); }

TEST(panic_prints_its_text_and_the_goroutine) {
    struct child *c = run_go(panics);
    check_aborted(c);
    CHECK_EQ(strncmp(c->err, "panic: boom 42\n", 15), 0);
    check_text(c, "panic: boom 42\n\ngoroutine 1 [running]:\n");
    check_no_text(c, "deadlock");
}

static void panics_with_a_name(void) { rn_panic("boom"); }
static void starts_named(void) {
    rn_go_opts o = {"the-culprit", 0};
    CHECK_EQ(rn_go_opt(&o, panics_with_a_name), 0);
    (void)rn_recv(rn_make(int, 0));
}

TEST(panic_of_another_goroutine_ends_the_program) {
    struct child *c = run_go(starts_named);
    check_aborted(c);
    check_text(c, "panic: boom\n");
    check_text(c, "panic: boom\n\ngoroutine ");
    check_text(c, "the-culprit");
    check_text(c, "[running");
    check_no_text(c, "goroutine 1 [running");
    check_no_text(c, "deadlock");
}

static void close_nil(void) { rn_close((chan_int)NULL); }
static void close_twice(void) {
    rn_chan(int) c = rn_make(int, 0);
    rn_close(c);
    rn_close(c);
}
static void send_closed(void) {
    rn_chan(int) c = rn_make(int, 1);
    rn_close(c);
    rn_send(c, 1);
}
static void close_later(send_int c) {
    WAIT_SENDERS(c, 1);
    rn_close(c);
}
static void send_closed_parked(void) {
    rn_chan(int) c = rn_make(int, 0);
    GO(close_later, c);
    rn_send(c, 1);
}
static void select_closed(void) {
    rn_chan(int) c = rn_make(int, 0);
    rn_close(c);
    rn_select(rn_on_send(c, 1));
}
static void make_negative(void) { (void)rn_make(int, -1); }
static void make_huge_elements(void) { (void)rn_chan_make(1 << 16, 0); }

TEST(panics_of_channels_have_gos_texts) {
    static const struct {
        void (*fn)(void);
        const char *text;
    } t[] = {
        {close_nil, "panic: close of nil channel\n"},
        {close_twice, "panic: close of closed channel\n"},
        {send_closed, "panic: send on closed channel\n"},
        {send_closed_parked, "panic: send on closed channel\n"},
        {select_closed, "panic: send on closed channel\n"},
        {make_negative, "panic: makechan: size out of range\n"},
        {make_huge_elements, "panic: makechan: invalid channel element type\n"},
    };
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        struct child *c = run_go(t[i].fn);
        check_aborted(c);
        check_text(c, t[i].text);
        check_text(c, "\n\ngoroutine 1 [running]:\n");
    }
}

static void say(void *text) { fprintf(stderr, "%s\n", (char *)text); }
static void panic_with(void *text) { rn_panic("%s", (char *)text); }

static void defers_then_panics(void) {
    rn_defer(say, "deferred 1");
    rn_defer(say, "deferred 2");
    rn_panic("boom");
}

TEST(deferred_calls_run_before_the_program_ends) {
    struct child *c = run_go(defers_then_panics);
    check_aborted(c);
    check_text(c, "deferred 2\ndeferred 1\n");
    CHECK(strstr(c->err, "deferred 1") < strstr(c->err, "panic: boom"));
}

static void panics_twice(void) {
    rn_defer(panic_with, "second");
    rn_panic("first");
}
static void panics_thrice(void) {
    rn_defer(panic_with, "third");
    rn_defer(panic_with, "second");
    rn_panic("first");
}

TEST(a_panic_in_a_deferred_call_prints_both) {
    struct child *c = run_go(panics_twice);
    check_aborted(c);
    check_text(c, "panic: first\n\tpanic: second\n");
    check_text(c, "panic: first\n\tpanic: second\n\ngoroutine 1 [running");
    c = run_go(panics_thrice);
    check_aborted(c);
    check_text(c, "panic: first\n\tpanic: second\n\tpanic: third\n");
    check_text(c, "panic: first\n\tpanic: second\n\tpanic: third\n\ngoroutine 1 [running");
}

static void recovers_in_defer(void *unused) {
    CHECK(!rn_try(panic_with, "recovered", NULL));
    (void)unused;
}
static void recovers_an_inner_one(void) {
    rn_defer(recovers_in_defer, NULL);
    rn_panic("not recovered");
}

TEST(a_panic_recovered_in_a_deferred_call_is_not_printed) {
    struct child *c = run_go(recovers_an_inner_one);
    check_aborted(c);
    check_text(c, "panic: not recovered\n");
    check_text(c, "panic: not recovered\n\ngoroutine 1 [running");
    check_no_text(c, "panic: recovered");
}

static void exits_then_panics(void) {
    rn_defer(panic_with, "while exiting");
    rn_goexit();
}

TEST(a_panic_during_goexit_is_not_forgotten) {
    struct child *c = run_go(exits_then_panics);
    check_aborted(c);
    check_text(c, "panic: while exiting\n");
    check_text(c, "panic: while exiting\n\ngoroutine 1 [running");
}

static void thread_panics(void) { rn_panic("from a thread"); }
static void *panics_on_thread(void *unused) {
    rn_panic("from another thread");
    return unused;
}
static void second_thread_panics(void) {
    pthread_t t;
    CHECK_EQ(pthread_create(&t, NULL, panics_on_thread, NULL), 0);
    pthread_join(t, NULL);
}
static void thread_closes_nil(void) { rn_close((chan_int)NULL); }
static void thread_defers(void) { rn_defer(say, "never"); }

TEST(panic_on_a_plain_thread) {
    struct child *c = run_child(thread_panics);
    check_aborted(c);
    check_text(c, "panic: from a thread\n");
    c = run_child(second_thread_panics);
    check_aborted(c);
    check_text(c, "panic: from another thread\n");
    c = run_child(thread_closes_nil);
    check_aborted(c);
    check_text(c, "panic: close of nil channel\n");
    c = run_child(thread_defers);
    check_aborted(c);
    check_text(c, "panic: defer outside a protected call\n");
    check_no_text(c, "never");
}

static void run_in_run(void) { rn_run(call_main, NULL); }

TEST(run_inside_a_goroutine_is_told) {
    struct child *c = run_go(run_in_run);
    check_aborted(c);
    check_text(c, "panic: rn_run");
}

static void long_panic(void) {
    char text[3000];
    memset(text, 'z', sizeof text - 1);
    text[sizeof text - 1] = 0;
    rn_panic("%s", text);
}

TEST(a_long_panic_text_is_cut) {
    struct child *c = run_go(long_panic);
    check_aborted(c);
    check_text(c, "panic: zzzzzzzzzz");
    check_text(c, "goroutine 1 [running");
}

/* ---- deadlocks ---- */

static const char asleep[] = "fatal error: all goroutines are asleep - deadlock!\n";

static void check_deadlock(void (*fn)(void), const char *text) {
    struct child *c = run_go(fn);
    check_text(c, asleep);
    check_text(c, text);
    check_exit(c, 2);
}

static void recv_for_ever(void) { (void)rn_recv(rn_make(int, 0)); }
static void send_for_ever(void) { rn_send(rn_make(int, 0), 1); }
static void send_full(void) {
    rn_chan(int) c = rn_make(int, 1);
    rn_send(c, 1);
    rn_send(c, 2);
}
static void recv_nil(void) { (void)rn_recv((chan_int)NULL); }
static void send_nil(void) { rn_send((chan_int)NULL, 1); }
static void select_none(void) { rn_select(); }
static void select_nils(void) {
    chan_int none = NULL;
    rn_select(rn_on_recv(none, NULL), rn_on_send(none, 1));
}
static void select_two(void) {
    rn_chan(int) a = rn_make(int, 0), b = rn_make(int, 0);
    rn_select(rn_on_recv(a, NULL), rn_on_send(b, 1));
}

TEST(a_deadlock_says_what_main_waits_for) {
    check_deadlock(recv_for_ever, "\n\ngoroutine 1 [chan receive]:\n");
    check_deadlock(send_for_ever, "\n\ngoroutine 1 [chan send]:\n");
    check_deadlock(send_full, "\n\ngoroutine 1 [chan send]:\n");
    check_deadlock(recv_nil, "\n\ngoroutine 1 [chan receive (nil chan)]:\n");
    check_deadlock(send_nil, "\n\ngoroutine 1 [chan send (nil chan)]:\n");
    check_deadlock(select_none, "\n\ngoroutine 1 [select (no cases)]:\n");
    check_deadlock(select_nils, "\n\ngoroutine 1 [select (no cases)]:\n");
    check_deadlock(select_two, "\n\ngoroutine 1 [select]:\n");
}

static void waits_for(recv_int c) { (void)rn_recv(c); }

static void several_wait(void) {
    rn_chan(int) c = rn_make(int, 0);
    rn_go_opts o = {"sleepy", 0};
    CHECK_EQ(rn_go_opt(&o, waits_for, c), 0);
    GO(waits_for, c);
    (void)rn_recv(c);
}

TEST(a_deadlock_lists_every_goroutine) {
    struct child *c = run_go(several_wait);
    check_exit(c, 2);
    check_text(c, asleep);
    int n = 0;
    for (const char *p = c->err; (p = strstr(p, "[chan receive]")); p++) n++;
    CHECK_EQ(n, 3);
    check_text(c, "sleepy");
    check_text(c, "goroutine 1 [chan receive]:");
}

static void main_exits(void) { rn_goexit(); }
static void main_exits_others_block(void) {
    rn_chan(int) c = rn_make(int, 0);
    GO(waits_for, c);
    WAIT_RECEIVERS(c, 1);
    rn_goexit();
}

TEST(when_main_has_exited_and_nobody_is_left) {
    struct child *c = run_go(main_exits);
    check_exit(c, 2);
    check_text(c, "fatal error: no goroutines (main called rn_goexit) - deadlock!\n");
    c = run_go(main_exits_others_block);
    check_exit(c, 2);
    check_text(c, "deadlock!\n");
    check_text(c, "[chan receive]:");
}

static void ends_the_program(recv_int c) {
    (void)rn_recv(c);
    fprintf(stderr, "still here\n");
    exit(7);
}
static void main_exits_another_goes_on(void) {
    rn_chan(int) c = rn_make(int, 1);
    GO(ends_the_program, c);
    rn_send(c, 1);
    rn_goexit();
}

TEST(when_main_has_exited_the_others_go_on) {
    struct child *c = run_go(main_exits_another_goes_on);
    check_exit(c, 7);
    check_text(c, "still here");
}

/* A deadlock comes after much life, with processors asleep and awake. */
static void relay(recv_int in, send_int out) {
    int v;
    while (rn_recv_ok(in, &v)) rn_send(out, v);
}
static void lives_then_dies(void) {
    rn_chan(int) in = rn_make(int, 0);
    rn_chan(int) c = in;
    for (int i = 0; i < 10; i++) {
        rn_chan(int) next = rn_make(int, i % 2);
        GO(relay, c, next);
        c = next;
    }
    for (int i = 0; i < scaled(500); i++) {
        rn_send(in, i);
        CHECK_EQ(rn_recv(c), i);
    }
    (void)rn_recv(c);
}

TEST(a_deadlock_is_found_after_much_life) {
    check_deadlock(lives_then_dies, "goroutine 1 [chan receive]:");
}

/* ---- what is no deadlock ---- */

static chan_int from_thread;
static void *thread_uses_then_sends(void *unused) {
    CHECK_EQ(rn_recv(from_thread), 1);
    usleep(20000);
    rn_send(from_thread, 5);
    return unused;
}
static void waits_for_a_thread_that_is_known(void) {
    pthread_t t;
    from_thread = rn_make(int, 0);
    CHECK_EQ(pthread_create(&t, NULL, thread_uses_then_sends, NULL), 0);
    WAIT_RECEIVERS(from_thread, 1);
    rn_send(from_thread, 1);
    CHECK_EQ(rn_recv(from_thread), 5);
    pthread_join(t, NULL);
}

TEST(waiting_for_a_thread_that_has_used_the_runtime_is_no_deadlock) {
    struct child *c = run_go(waits_for_a_thread_that_is_known);
    check_exit(c, 0);
    check_no_text(c, "deadlock");
}

static void *thread_receives(void *unused) {
    (void)rn_recv(from_thread);
    return unused;
}
static void everybody_waits(void) {
    pthread_t t;
    from_thread = rn_make(int, 0);
    CHECK_EQ(pthread_create(&t, NULL, thread_receives, NULL), 0);
    WAIT_RECEIVERS(from_thread, 1);
    (void)rn_recv(rn_make(int, 0));
}

TEST(a_thread_that_is_blocked_too_does_not_save_the_program) {
    check_deadlock(everybody_waits, "goroutine 1 [chan receive]:");
}

static void write_later(int fd) {
    usleep(20000);
    CHECK_EQ(write(fd, "x", 1), 1);
}
static intptr_t read_one(void *fd) {
    char c;
    return read(*(int *)fd, &c, 1);
}
static void blocks_in_a_call(int fd, send_int done) {
    CHECK_EQ(rn_blocking(read_one, &fd), 1);
    rn_send(done, 1);
}
static void waits_for_a_call(void) {
    int p[2];
    rn_chan(int) done = rn_make(int, 0);
    CHECK_EQ(pipe(p), 0);
    GO(blocks_in_a_call, p[0], done);
    GO(write_later, p[1]);
    (void)rn_recv(done);
}

TEST(waiting_for_a_goroutine_in_a_system_call_is_no_deadlock) {
    struct child *c = run_go(waits_for_a_call);
    check_exit(c, 0);
    check_no_text(c, "deadlock");
}

static void no_run(void) {
    rn_chan(int) c = rn_make(int, 0);
    GO(waits_for, c);
    WAIT_RECEIVERS(c, 1);
    usleep(20000);
    rn_send(c, 1);
}

TEST(goroutines_asleep_without_run_are_no_deadlock) {
    struct child *c = run_child(no_run);
    check_exit(c, 0);
    check_no_text(c, "deadlock");
}

/* ---- too many threads ---- */

static void blocks(void) { pause(); }

static void too_many_block(void) {
    for (int i = 0; i < 10100; i++)
        if (rn_go(blocks) != 0) exit(3);
    (void)rn_recv((chan_int)NULL);
}

/* The number in a file; LONG_MAX if there is none. */
static long number_in(const char *path) {
    long n = LONG_MAX;
    FILE *f = fopen(path, "r");
    if (f && fscanf(f, "%ld", &n) != 1) n = LONG_MAX;
    if (f) fclose(f);
    return n;
}

TEST_ONCE(more_threads_than_the_limit_end_the_program) {
    if (TEST_TSAN || TEST_ASAN || getenv("RUNNEL_EMULATED"))
        SKIP("ten thousand threads are too much here");
    if (number_in("/proc/sys/kernel/threads-max") < 20000 ||
        number_in("/proc/sys/vm/max_map_count") < 60000 ||
        number_in("/sys/fs/cgroup/pids.max") < 20000)
        SKIP("the system allows fewer threads");
    struct child *c = run_go(too_many_block);
    check_aborted(c);
    check_text(c, "runtime: program exceeds 10000-thread limit\nfatal error: thread exhaustion\n");
}
