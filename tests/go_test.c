/* SPDX-License-Identifier: MIT */
/*
 * go_test.c: starting goroutines: rn_go's arguments, rn_run, yield, exit, numbers, names, processors,
 * wired threads, calls that block.
 */
#include <fenv.h>
#include <float.h>
#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <sys/syscall.h>

#include "parked.h"

typedef rn_chan(int) chan_int;
typedef rn_send_chan(int) send_int;
typedef rn_recv_chan(int) recv_int;

/* Goroutines under test say here that they are done. */
static chan_int done;

/* ---- arguments: each number, each type, values at the extremes ---- */

static void f0(void) { rn_send(done, 0); }

static void f1(int a) {
    CHECK_EQ(a, INT_MIN);
    rn_send(done, 1);
}

static void f2(int a, long b) {
    CHECK_EQ(a, INT_MAX);
    CHECK_EQ(b, LONG_MIN);
    rn_send(done, 2);
}

static void f3(long a, const char *b, unsigned c) {
    CHECK_EQ(a, LONG_MAX);
    CHECK_STR(b, "three");
    CHECK_EQ(c, UINT_MAX);
    rn_send(done, 3);
}

static void f4(int8_t a, uint8_t b, int16_t c, uint16_t d) {
    CHECK_EQ(a, INT8_MIN);
    CHECK_EQ(b, UINT8_MAX);
    CHECK_EQ(c, INT16_MIN);
    CHECK_EQ(d, UINT16_MAX);
    rn_send(done, 4);
}

static void f5(uint64_t a, int64_t b, uint32_t c, int32_t d, void *e) {
    CHECK(a == UINT64_MAX);
    CHECK_EQ(b, INT64_MIN);
    CHECK_EQ(c, UINT32_MAX);
    CHECK_EQ(d, INT32_MIN);
    CHECK(e == (void *)UINTPTR_MAX);
    rn_send(done, 5);
}

static void f6(int64_t a, int64_t b, int64_t c, int64_t d, int64_t e, int64_t f) {
    CHECK_EQ(a, INT64_MIN);
    CHECK_EQ(b, INT64_MAX);
    CHECK_EQ(c, -1);
    CHECK_EQ(d, 0);
    CHECK_EQ(e, 0x0123456789abcdef);
    CHECK_EQ(f, -0x0123456789abcdef);
    rn_send(done, 6);
}

TEST_GO(none_to_six_arguments) {
    done = rn_make(int, 0);
    long bits = 0;
    GO(f0);
    GO(f1, INT_MIN);
    GO(f2, INT_MAX, LONG_MIN);
    GO(f3, LONG_MAX, "three", UINT_MAX);
    GO(f4, INT8_MIN, UINT8_MAX, INT16_MIN, UINT16_MAX);
    GO(f5, UINT64_MAX, INT64_MIN, UINT32_MAX, INT32_MIN, (void *)UINTPTR_MAX);
    GO(f6, INT64_MIN, INT64_MAX, -1, 0, 0x0123456789abcdef, -0x0123456789abcdef);
    for (int i = 0; i < 7; i++) bits |= 1 << rn_recv(done);
    CHECK_EQ(bits, 127);
}

/* The same bits, so that a NaN's payload and the sign of zero count too. */
static void check_double(double a, double want) { CHECK_EQ(memcmp(&a, &want, sizeof a), 0); }
static void check_float(float a, float want) { CHECK_EQ(memcmp(&a, &want, sizeof a), 0); }

static void d6(double a, double b, double c, double d, double e, double f) {
    check_double(a, DBL_MAX);
    check_double(b, -DBL_TRUE_MIN);
    check_double(c, (double)NAN);
    check_double(d, -(double)INFINITY);
    check_double(e, -0.0);
    check_double(f, 0.1);
    rn_send(done, 1);
}

static void s6(float a, float b, float c, float d, float e, float f) {
    check_float(a, FLT_MAX);
    check_float(b, -FLT_TRUE_MIN);
    check_float(c, NAN);
    check_float(d, -INFINITY);
    check_float(e, -0.0f);
    check_float(f, 0.1f);
    rn_send(done, 1);
}

static void mix1(int a, double b, const char *c, float d, uint64_t e, short f) {
    CHECK_EQ(a, -7);
    check_double(b, -1e300);
    CHECK_STR(c, "a text longer than eight bytes");
    check_float(d, 1e-30f);
    CHECK(e == UINT64_MAX - 1);
    CHECK_EQ(f, SHRT_MIN);
    rn_send(done, 1);
}

static void mix2(float a, int b, double c, void *d, float e, double f) {
    check_float(a, 1.5f);
    CHECK_EQ(b, INT_MIN);
    check_double(c, 2.5);
    CHECK(d == &done);
    check_float(e, -3.5f);
    check_double(f, 4.5);
    rn_send(done, 1);
}

static void mix3(float a, double b, float c, double d, float e, int64_t f) {
    check_float(a, 1);
    check_double(b, 2);
    check_float(c, 3);
    check_double(d, 4);
    check_float(e, 5);
    CHECK_EQ(f, INT64_MIN + 6);
    rn_send(done, 1);
}

static void mix4(int64_t a, int64_t b, int64_t c, int64_t d, int64_t e, double f) {
    CHECK_EQ(a + b + c + d + e, 15);
    check_double(f, 6);
    rn_send(done, 1);
}

TEST_GO(floating_point_and_mixed_arguments) {
    done = rn_make(int, 0);
    GO(d6, DBL_MAX, -DBL_TRUE_MIN, (double)NAN, -(double)INFINITY, -0.0, 0.1);
    GO(s6, FLT_MAX, -FLT_TRUE_MIN, NAN, -INFINITY, -0.0f, 0.1f);
    GO(mix1, -7, -1e300, "a text longer than eight bytes", 1e-30f, UINT64_MAX - 1, SHRT_MIN);
    GO(mix2, 1.5f, INT_MIN, 2.5, &done, -3.5f, 4.5);
    GO(mix3, 1, 2, 3, 4, 5, INT64_MIN + 6);
    GO(mix4, 1, 2, 3, 4, 5, 6);
    wait_n(done, 6);
}

/* What travels on the stack, or in two registers, on one CPU or another. */
static void wide6(long double a, long double b, long double c, long double d, long double e,
                  long double f) {
    CHECK(a == 1.0L / 3 && b == -2.5L && c == 3 && d == LDBL_MAX && e == -LDBL_MIN);
    CHECK(f == 0.1L);
    rn_send(done, 1);
}

static void wide_mix(int a, long double b, double c, const char *d, long double e, int64_t f) {
    CHECK_EQ(a, -7);
    CHECK(b == 1.0L / 7 && e == -1.0L / 9);
    check_double(c, 0.25);
    CHECK_STR(d, "text");
    CHECK_EQ(f, INT64_MIN);
    rn_send(done, 1);
}

__extension__ typedef __int128 int128;

static void two_words(int a, int128 b, int128 c, int128 d, int128 e, int f) {
    CHECK_EQ(a, 1);
    CHECK(b == (int128)1 << 100 && c == -((int128)1 << 99) && d == 3 && e == -4);
    CHECK_EQ(f, 6);
    rn_send(done, 1);
}

static void complex_ones(_Complex double a, _Complex float b, _Complex double c, _Complex double d,
                         _Complex double e, double f) {
    CHECK(a == 1 && b == 2 && c == 3 && d == 4 && e == 5 && f == 6);
    rn_send(done, 1);
}

TEST_GO(arguments_of_sixteen_bytes) {
    done = rn_make(int, 0);
    GO(wide6, 1.0L / 3, -2.5, 3, LDBL_MAX, -LDBL_MIN, 0.1L); /* -2.5 and 3 are converted */
    GO(wide_mix, -7, 1.0L / 7, 0.25, "text", -1.0L / 9, INT64_MIN);
    GO(two_words, 1, (int128)1 << 100, -((int128)1 << 99), 3, (int128)-4, 6);
    GO(complex_ones, 1, 2, (_Complex double)3, 4, 5, 6);
    wait_n(done, 4);
}

enum colour { RED = -1, GREEN, BLUE = INT_MAX };

static void kinds(bool a, char b, enum colour c, size_t d, ptrdiff_t e, int (*f)(int)) {
    CHECK_EQ(a, true);
    CHECK_EQ(b, 'x');
    CHECK_EQ(c, RED);
    CHECK(d == SIZE_MAX);
    CHECK_EQ(e, PTRDIFF_MIN);
    CHECK_EQ(f('x'), 'X');
    rn_send(done, 1);
}

static int upper(int c) { return c - 'a' + 'A'; }

static void chans(rn_send_chan(int) a, rn_recv_chan(int) b, rn_chan(int) c) {
    CHECK((void *)a == (void *)done && (void *)b == (void *)done && c == done);
    rn_send(a, 1);
}

/* Arguments become what the parameters are, as in a call. */
static void converts(double a, float b, signed char c, unsigned char d, bool e, long f) {
    check_double(a, -3.0);
    check_float(b, 7.0f);
    CHECK_EQ(c, (signed char)300);
    CHECK_EQ(d, 255);
    CHECK_EQ(e, true);
    CHECK_EQ(f, -2);
    rn_send(done, 1);
}

static void widens(uint64_t a, int64_t b, uint32_t c, int64_t d, float e, int f) {
    CHECK(a == UINT64_MAX);
    CHECK_EQ(b, INT_MIN);
    CHECK_EQ(c, UINT32_MAX);
    CHECK_EQ(d, UINT32_MAX);
    check_float(e, 0.1f);
    CHECK_EQ(f, 9);
    rn_send(done, 1);
}

TEST_GO(every_kind_of_scalar) {
    done = rn_make(int, 0);
    int array[4] = {0};
    int three_hundred = 300, minus = -1;
    double nine = 9.75;
    GO(kinds, true, 'x', RED, SIZE_MAX, PTRDIFF_MIN, upper);
    GO(chans, done, done, done);
    GO(converts, -3, 7, (signed char)three_hundred, (unsigned char)minus, 256, (short)-2);
    GO(widens, (uint64_t)minus, INT_MIN, (uint32_t)minus, UINT32_MAX, (float)0.1, (int)nine);
    wait_n(done, 4);
    (void)array;
}

static void arrays(int *a, const char *b, void *c) {
    CHECK_EQ(a[3], 4);
    CHECK_STR(b, "x");
    CHECK(c == NULL);
    rn_send(done, 1);
}

TEST_GO(arrays_decay_and_null_is_a_pointer) {
    static int a[] = {1, 2, 3, 4};
    static const char x[] = "x";
    done = rn_make(int, 0);
    GO(arrays, a, x, NULL);
    GO(arrays, &a[0], "x", 0);
    wait_n(done, 2);
}

static int returns_int(int a) {
    rn_send(done, a);
    return 42;
}
static double returns_double(double a) {
    rn_send(done, (int)a);
    return a;
}
static const char *returns_pointer(void) {
    rn_send(done, 3);
    return "dropped";
}

TEST_GO(what_the_function_returns_is_dropped) {
    done = rn_make(int, 0);
    GO(returns_int, 1);
    GO(returns_double, 2.0);
    GO(returns_pointer);
    CHECK_EQ(rn_recv(done) + rn_recv(done) + rn_recv(done), 6);
}

static void say(int v) { rn_send(done, v); }
static void (*which(int *calls))(int) {
    ++*calls;
    return say;
}

TEST_GO(function_and_arguments_are_evaluated_once_and_now) {
    done = rn_make(int, 0);
    int i = 5, calls = 0;
    void (*f)(int) = say;
    GO(which(&calls), i++);
    i = 99;
    CHECK_EQ(calls, 1);
    CHECK_EQ(rn_recv(done), 5);
    GO(f, i);
    f = NULL;
    i = 0;
    CHECK_EQ(rn_recv(done), 99);
    GO(&say, 3);
    CHECK_EQ(rn_recv(done), 3);
}

static int nested_go(int v) {
    GO(say, v);
    return v + 1;
}

TEST_GO(an_argument_may_start_a_goroutine) {
    done = rn_make(int, 2);
    GO(say, nested_go(1));
    CHECK_EQ(rn_recv(done) + rn_recv(done), 3);
}

static void call(void *p) { rn_send(done, *(int *)p); }

TEST_GO(the_untyped_form) {
    done = rn_make(int, 0);
    int v = 77;
    CHECK_EQ(rn_go_call(NULL, call, &v), 0);
    CHECK_EQ(rn_recv(done), 77);
    rn_go_opts o = {"named", 64 << 10};
    CHECK_EQ(rn_go_call(&o, call, &v), 0);
    CHECK_EQ(rn_recv(done), 77);
}

/* Compilers differ in how they widen narrow arguments; many values find a wrong half of a register. */
static void narrow(int8_t a, uint8_t b, int16_t c, uint16_t d, int32_t e, uint32_t f) {
    CHECK_EQ(a, (int8_t)f);
    CHECK_EQ(b, (uint8_t)f);
    CHECK_EQ(c, (int16_t)f);
    CHECK_EQ(d, (uint16_t)f);
    CHECK_EQ(e, (int32_t)f);
    rn_send(done, 1);
}

TEST_GO(random_narrow_arguments) {
    uint64_t seed = test_seed();
    done = rn_make(int, 100);
    for (int i = 0; i < scaled(2000); i++) {
        uint64_t x = test_random(&seed);
        GO(narrow, (int8_t)x, (uint8_t)x, (int16_t)x, (uint16_t)x, (int32_t)x, (uint32_t)x);
        if (i % 50 == 49) wait_n(done, 50);
    }
}

/* ---- rn_run ---- */

static int add_run(void *p) { return *(int *)p + 1; }

TEST(run_returns_what_the_function_returns) {
    for (int i = -3; i < 100; i++) CHECK_EQ(rn_run(add_run, &i), i + 1);
    int min = INT_MIN;
    CHECK_EQ(rn_run(add_run, &min), INT_MIN + 1);
}

static void forever(recv_int c, long *started) {
    add(started, 1);
    (void)rn_recv(c);
    FAIL("received on a channel that nobody sends on");
}

static long started;
static int leave_some(void *c) {
    for (int i = 0; i < 10; i++) GO(forever, (chan_int)c, &started);
    WAIT_RECEIVERS(c, 10);
    return 7;
}

TEST(run_abandons_the_others) {
    rn_chan(int) c = rn_make(int, 0);
    CHECK_EQ(rn_run(leave_some, c), 7);
    CHECK_EQ(count(&started), 10);
    WAIT_FOR(rn_goroutines() == 10);
    CHECK_EQ(rn_run(leave_some, c), 7);
    WAIT_FOR(rn_goroutines() == 20);
}

static void count_on(recv_int stop, long *n, send_int stopped) {
    while (rn_try_recv(stop, NULL) == -EAGAIN) {
        add(n, 1);
        rn_yield();
    }
    rn_send(stopped, 1);
}

static long ticks;
static chan_int stop, stopped;
static int start_counter(void *unused) {
    (void)unused;
    GO(count_on, stop, &ticks, stopped);
    return 0;
}

TEST(abandoned_goroutines_go_on_running) {
    stop = rn_make(int, 1);
    stopped = rn_make(int, 0);
    CHECK_EQ(rn_run(start_counter, NULL), 0);
    long now = count(&ticks);
    WAIT_FOR(count(&ticks) > now + 100);
    rn_send(stop, 1);
    CHECK_EQ(rn_recv(stopped), 1);
}

static void run_inside(void *unused) {
    (void)unused;
    int v = 1;
    rn_run(add_run, &v);
}

static void run_must_panic(void *why) {
    rn_panic_info p;
    CHECK(!rn_try(run_inside, NULL, &p));
    CHECK(strstr(p.message, "rn_run"));
    (void)why;
    rn_send(done, 1);
}

TEST_GO(run_inside_a_goroutine_panics) {
    done = rn_make(int, 2);
    run_must_panic(NULL);
    GO(run_must_panic, NULL);
    wait_n(done, 2);
}

TEST(goroutines_without_run) {
    done = rn_make(int, 0);
    for (int i = 0; i < 100; i++) GO(say, i);
    long sum = 0;
    for (int i = 0; i < 100; i++) sum += rn_recv(done);
    CHECK_EQ(sum, 4950);
}

/* ---- numbers, names, counts ---- */

static void send_goid(rn_send_chan(uint64_t) c) {
    uint64_t id = rn_goid();
    rn_yield();
    CHECK_EQ(rn_goid(), id);
    rn_send(c, id);
}

TEST_GO(goids_are_unique_and_never_used_again) {
    enum { N = 1000 };
    uint64_t last = rn_goid();
    CHECK_GE(last, 1);
    rn_chan(uint64_t) c = rn_make(uint64_t, 0);
    static unsigned char seen[100 * N];
    for (int i = 0; i < N; i++) {
        GO(send_goid, c);
        if (i % 10 != 9) continue;
        for (int k = 0; k < 10; k++) {
            uint64_t id = rn_recv(c);
            CHECK_GT(id, 0);
            CHECK_NE(id, last);
            if (id >= sizeof seen) continue; /* a runtime may give numbers out in blocks */
            CHECK_EQ(seen[id], 0);
            seen[id] = 1;
        }
    }
    CHECK_EQ(rn_goid(), last);
}

TEST(goid_of_a_plain_thread_is_zero) {
    CHECK_EQ(rn_goid(), 0);
    done = rn_make(int, 0);
    GO(say, 1);
    (void)rn_recv(done);
    CHECK_EQ(rn_goid(), 0);
}

static void wait_for_close(recv_int c) { CHECK(!rn_recv_ok(c, NULL)); }

TEST_GO(goroutines_are_counted) {
    rn_chan(int) c = rn_make(int, 0);
    CHECK_EQ(rn_goroutines(), 1);
    for (size_t i = 0; i < 100; i++) {
        GO(wait_for_close, c);
        CHECK_EQ(rn_goroutines(), i + 2);
    }
    WAIT_RECEIVERS(c, 100);
    CHECK_EQ(rn_goroutines(), 101);
    rn_close(c);
    WAIT_FOR(rn_goroutines() == 1);
}

TEST_GO(options) {
    done = rn_make(int, 0);
    rn_go_opts o = {0};
    CHECK_EQ(rn_go_opt(&o, say, 1), 0);
    CHECK_EQ(rn_recv(done), 1);
    static const size_t sizes[] = {1, 16 << 10, (16 << 10) + 1, 100000, 1 << 20, 64 << 20, 1 << 30};
    for (size_t i = 0; i < 7; i++) {
        char name[64];
        snprintf(name, sizeof name, "a name that is far too long to be kept whole, number %zu", i);
        o = (rn_go_opts){name, sizes[i]};
        int r = rn_go_opt(&o, say, 2);
        if (r != 0 && (TEST_TSAN || TEST_ASAN) && sizes[i] > 1 << 20) continue;
        CHECK_EQ(r, 0);
        memset(name, 0, sizeof name);
        CHECK_EQ(rn_recv(done), 2);
    }
    o.stack_size = ((size_t)1 << 30) + 1;
    CHECK_EQ(rn_go_opt(&o, say, 3), -EINVAL);
    o.stack_size = SIZE_MAX;
    CHECK_EQ(rn_go_opt(&o, say, 3), -EINVAL);
    CHECK_EQ(rn_go_opt(NULL, say, 4), 0);
    CHECK_EQ(rn_recv(done), 4);
    WAIT_FOR(rn_goroutines() == 1);
}

/* ---- yield, exit ---- */

static void count_yields(long *n, recv_int until) {
    while (rn_try_recv(until, NULL) == -EAGAIN) {
        add(n, 1);
        rn_yield();
    }
    rn_send(done, 1);
}

TEST_GO(yield_lets_the_others_run) {
    static long n[8];
    done = rn_make(int, 0);
    rn_chan(int) until = rn_make(int, 0);
    for (int i = 0; i < 8; i++) GO(count_yields, &n[i], until);
    for (int i = 0; i < 8; i++) WAIT_FOR(count(&n[i]) > 100);
    rn_close(until);
    wait_n(done, 8);
}

static void hand_back(recv_int in, send_int out) { rn_send(out, rn_recv(in)); }

/*
 * A loop that starts a goroutine each time round, and is always what runs next itself: those it leaves behind must
 * get their last turn in bounded time.
 */
TEST_GO_ONCE(those_who_run_next_do_not_starve_the_rest) {
    rn_procs(1);
    rn_chan(int) in = rn_make(int, 0), out = rn_make(int, 0);
    for (int i = 0; i < scaled(20000); i++) {
        GO(hand_back, in, out);
        rn_send(in, i);
        CHECK_EQ(rn_recv(out), i);
        CHECK_LT(rn_goroutines(), 1000);
    }
}

static long rounds;

static void play(chan_int in, chan_int out) {
    for (;;) {
        rn_send(out, rn_recv(in));
        add(&rounds, 1);
    }
}

static void end_at_once(rn_wg *w) { rn_wg_done(w); }

/* Nor do two that keep the processor between them, through run-next, starve whom others start, and who starts them. */
TEST_GO_ONCE(two_who_run_next_do_not_starve_those_that_are_started) {
    rn_procs(1);
    int n = (int)scaled(1000);
    rn_chan(int) a = rn_make(int, 0), b = rn_make(int, 0);
    rn_wg w = {0};
    GO(play, a, b);
    GO(play, b, a);
    rn_send(a, 1);
    rn_sleep(RN_MS);
    rn_wg_add(&w, n);
    long before = count(&rounds);
    for (int i = 0; i < n; i++) GO(end_at_once, &w);
    rn_wg_wait(&w);
    CHECK_LT(count(&rounds) - before, 5000000);
}

/* A tree of goroutines is walked in depth: few of them have begun and not ended at a time, however many children each has. */
static long nodes, alive, most_alive, most_there;

static void note_most(long *most, long now) {
    long was = count(most);
    while (now > was &&
           !__atomic_compare_exchange_n(most, &was, now, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        continue;
}

static void node(send_int up, int children, int depth) {
    note_most(&most_alive, add(&alive, 1));
    note_most(&most_there, (long)rn_goroutines());
    add(&nodes, 1);
    if (depth > 0) {
        rn_chan(int) in = rn_make(int, 0);
        for (int i = 0; i < children; i++) GO(node, in, children, depth - 1);
        for (int i = 0; i < children; i++) rn_recv(in);
        rn_unref(in);
    }
    rn_send(up, 1);
    add(&alive, -1);
}

static void walk(int children, int depth, long size) {
    rn_chan(int) in = rn_make(int, 0);
    nodes = most_alive = most_there = 0;
    GO(node, in, children, depth);
    rn_recv(in);
    while (count(&alive) != 0) rn_yield();
    CHECK_EQ(nodes, size);
    rn_unref(in);
}

TEST_GO_ONCE(a_tree_of_goroutines_is_walked_in_depth) {
    bool whole = scaled(10000) == 10000;
#ifdef RN_CHAOS
    whole = false; /* queues are short */
#endif
    rn_procs(1);
    if (!whole) {
        walk(10, 3, 1111);
        walk(60, 2, 3661);
        return;
    }
    walk(10, 5, 111111);
    CHECK_LT(most_alive, 200);
    walk(64, 3, 266305);
    CHECK_LT(most_alive, 400);
    walk(600, 2, 360601);
    CHECK_LT(most_alive, 10000); /* or all of them */
    walk(1200, 2, 1441201);
    CHECK_LT(most_there, 20000); /* 26,000 and more if spawners queued behind all */
}

/* New ones all the time, and each is the newest: the oldest gets its turn all the same, and so does one that is woken. */
static long stop_breeding, old_ran, woken_ran;

static void nothing(void) {}

static void breed(void) {
    GO(nothing);
    if (!count(&stop_breeding)) GO(breed);
}

static void run_once(long *ran) { add(ran, 1); }

static void when_woken(recv_int in) {
    rn_recv(in);
    add(&woken_ran, 1);
}

TEST_GO_ONCE(those_who_are_new_do_not_starve_the_rest) {
    rn_procs(1);
    rn_chan(int) in = rn_make(int, 0);
    GO(when_woken, in);
    rn_yield();
    GO(run_once, &old_ran);
    GO(breed);
    rn_send(in, 1);
    WAIT_FOR(count(&old_ran) && count(&woken_ran));
    add(&stop_breeding, 1);
    rn_unref(in);
}

static long exits;
static void note_exit(void *order) { CHECK_EQ(add(&exits, 1), (long)(intptr_t)order); }

static void exit_here(void) {
    rn_defer(note_exit, (void *)1);
    rn_goexit();
}

static void deep_exit(int depth, void (*end)(void)) {
    if (depth > 0)
        deep_exit(depth - 1, end);
    else
        end();
    add(&exits, 100); /* rn_goexit has returned */
}

static void say_done(void *unused) {
    (void)unused;
    rn_send(done, 1);
}

static void exits_deep(void) {
    rn_defer(say_done, NULL);
    rn_defer(note_exit, (void *)2);
    deep_exit(10, exit_here);
}

TEST_GO(goexit_runs_the_deferred_calls_and_ends_the_goroutine) {
    done = rn_make(int, 0);
    GO(exits_deep);
    wait_n(done, 1);
    CHECK_EQ(exits, 2);
    WAIT_FOR(rn_goroutines() == 1);
}

static void just_exit(void) { rn_goexit(); }

TEST_GO(goexit_of_many) {
    for (int i = 0; i < scaled(10000); i++) {
        GO(just_exit);
        if (i % 100 == 0) WAIT_FOR(rn_goroutines() == 1);
    }
    WAIT_FOR(rn_goroutines() == 1);
}

/* ---- many ---- */

TEST_GO(spawn_many) {
    done = rn_make(int, 0);
    long n = scaled(TEST_TSAN ? 20000 : 100000), alive = TEST_TSAN ? 100 : 1000;
    for (long i = 0; i < n; i++) {
        GO(say, 1);
        if (i >= alive) (void)rn_recv(done);
    }
    wait_n(done, n < alive ? n : alive);
    WAIT_FOR(rn_goroutines() == 1);
}

TEST_GO(many_at_once) {
    long n = scaled(TEST_TSAN ? 5000 : 20000);
    rn_chan(int) c = rn_make(int, 0);
    for (long i = 0; i < n; i++) GO(wait_for_close, c);
    CHECK_EQ(rn_goroutines(), n + 1);
    rn_close(c);
    WAIT_FOR(rn_goroutines() == 1);
}

static void tree(int depth, send_int up) {
    if (depth == 0) {
        rn_send(up, 1);
        return;
    }
    rn_chan(int) c = rn_make(int, 0);
    for (int i = 0; i < 4; i++) GO(tree, depth - 1, c);
    int sum = 0;
    for (int i = 0; i < 4; i++) sum += rn_recv(c);
    rn_unref(c);
    rn_send(up, sum);
}

TEST_GO(goroutines_start_goroutines) {
    rn_chan(int) c = rn_make(int, 0);
    int depth = scaled(100) < 50 ? 4 : 6;
    GO(tree, depth, c);
    CHECK_EQ(rn_recv(c), 1 << (2 * depth));
}

/* ---- what belongs to a goroutine stays with it over a switch ---- */

static void keeps_values(int seed) {
    double a = seed + 0.1, b = seed + 0.2, c = seed + 0.3, d = seed + 0.4, e = seed + 0.5;
    float f = (float)seed + 0.6f;
    long i = seed, j = seed * 2L, k = seed * 3L, l = seed * 5L, m = seed * 7L, n = seed * 11L;
    for (int r = 0; r < 200; r++) {
        rn_yield();
        a += 1, b += 1, c += 1, d += 1, e += 1, f += 1;
        i += 1, j += 1, k += 1, l += 1, m += 1, n += 1;
    }
    CHECK(a > seed + 200.09 && a < seed + 200.11 && b - a > 0.09 && b - a < 0.11);
    CHECK(c - b > 0.09 && d - c > 0.09 && e - d > 0.09 && e - d < 0.11);
    CHECK(f > (float)seed + 200.5f && f < (float)seed + 200.7f);
    CHECK_EQ(i + j + k + l + m + n, seed * 29L + 1200);
    rn_send(done, 1);
}

TEST_GO(registers_survive_switches) {
    done = rn_make(int, 0);
    for (int i = 0; i < 50; i++) GO(keeps_values, i);
    wait_n(done, 50);
}

#if defined(__x86_64__) || defined(__i386__)
static void four_sums(int seed) {
    typedef double v2 __attribute__((vector_size(16)));
    v2 v = {seed, seed + 1}, w = {1, 2};
    for (int r = 0; r < 200; r++) {
        rn_yield();
        v += w;
    }
    CHECK(v[0] == seed + 200 && v[1] == seed + 401);
    rn_send(done, 1);
}

static void vectors(void) {
    done = rn_make(int, 0);
    for (int i = 0; i < 20; i++) GO(four_sums, i);
    wait_n(done, 20);
}
#else
static void vectors(void) { SKIP("only for x86_64"); }
#endif

TEST_GO(vectors_survive_switches) { vectors(); }

/* ---- processors ---- */

TEST(procs_comes_from_the_environment) {
    const char *s = getenv("RUNNEL_PROCS");
    int want = s ? atoi(s) : rn_procs(0);
    CHECK_EQ(rn_procs(0), want);
    CHECK_EQ(rn_procs(-1), want);
    CHECK_EQ(rn_procs(0), want);
}

TEST_GO(procs_are_set_and_the_previous_returned) {
    int was = rn_procs(3);
    CHECK_EQ(rn_procs(1), 3);
    CHECK_EQ(rn_procs(16), 1);
    CHECK_EQ(rn_procs(was), 16);
    CHECK_EQ(rn_procs(0), was);
    int most = rn_procs(100000);
    CHECK_EQ(most, was);
    CHECK_EQ(rn_procs(was), 256);
}

/* More than the rings hold wait in the global queue meanwhile. */
TEST_GO(procs_change_with_thousands_waiting) {
    int was = rn_procs(0);
    done = rn_make(int, 4000);
    for (int i = 0; i < 2000; i++) GO(say, 1);
    rn_procs(3);
    for (int i = 0; i < 2000; i++) GO(say, 1);
    rn_procs(1);
    rn_procs(was);
    wait_n(done, 4000);
}

static void relay(recv_int in, send_int out) {
    int v;
    while (rn_recv_ok(in, &v)) rn_send(out, v + 1);
    rn_close(out);
}

TEST_GO(procs_change_under_load) {
    uint64_t seed = test_seed();
    rn_chan(int) in = rn_make(int, 0);
    rn_chan(int) c = in;
    for (int i = 0; i < 20; i++) {
        rn_chan(int) next = rn_make(int, i % 3);
        GO(relay, c, next);
        c = next;
    }
    for (int i = 0; i < scaled(300); i++) {
        rn_send(in, i);
        if (i % 5 == 0) rn_procs((int)(test_random(&seed) % 9));
        CHECK_EQ(rn_recv(c), i + 20);
    }
    rn_close(in);
    CHECK(!rn_recv_ok(c, NULL));
}

/* ---- wired to a thread ---- */

/*
 * Instead of libc's. A thread of the scheduler ends without it: it unwinds, and that aborts in a static program whose
 * main is just calling exit.
 */
void pthread_exit(void *value) {
    (void)value;
    FAIL("pthread_exit was called");
}

static pid_t tid(void) { return (pid_t)syscall(SYS_gettid); }

static void stay(int locks) {
    for (int i = 0; i < locks; i++) rn_lock_thread();
    pid_t t = tid();
    for (int i = 0; i < locks; i++) {
        for (int k = 0; k < 50; k++) {
            rn_yield();
            CHECK_EQ(tid(), t);
            rn_send(done, 1);
            CHECK_EQ(tid(), t);
        }
        if (i < locks - 1) rn_unlock_thread();
    }
    if (locks % 2) rn_unlock_thread(); /* the others end locked: their thread ends too */
    rn_send(done, 1);
}

TEST_GO(a_locked_goroutine_stays_on_its_thread) {
    done = rn_make(int, 0);
    long n = 0;
    for (int i = 1; i <= 6; i++) {
        GO(stay, i);
        n += i * 50 + 1;
    }
    wait_n(done, n);
    WAIT_FOR(rn_goroutines() == 1);
}

static long others_tid;
static void locked_waiter(recv_int c) {
    rn_lock_thread();
    __atomic_store_n(&others_tid, (long)tid(), __ATOMIC_RELAXED);
    CHECK_EQ(rn_recv(c), 1);
    CHECK_EQ(tid(), count(&others_tid));
    rn_unlock_thread();
    rn_send(done, 1);
}

TEST_GO(nobody_else_runs_on_a_locked_thread) {
    done = rn_make(int, 0);
    rn_chan(int) c = rn_make(int, 0);
    GO(locked_waiter, c);
    WAIT_RECEIVERS(c, 1);
    for (int i = 0; i < 1000; i++) {
        CHECK_NE(tid(), count(&others_tid));
        rn_yield();
    }
    rn_send(c, 1);
    wait_n(done, 1);
}

TEST_GO(main_may_be_locked) {
    done = rn_make(int, 0);
    rn_unlock_thread(); /* without a lock: no effect */
    rn_lock_thread();
    pid_t t = tid();
    for (int i = 0; i < 100; i++) {
        GO(say, i);
        CHECK_EQ(rn_recv(done), i);
        CHECK_EQ(tid(), t);
    }
    rn_unlock_thread();
}

/* ---- calls that block in the kernel ---- */

static intptr_t read_byte(void *fd) {
    char c = 0;
    CHECK_EQ(read(*(int *)fd, &c, 1), 1);
    return c;
}

static void write_byte(int fd, char c) { CHECK_EQ(write(fd, &c, 1), 1); }

TEST_GO(blocking_gives_the_processor_away) {
    int p[2];
    CHECK_EQ(pipe(p), 0);
    for (int i = 0; i < 20; i++) {
        GO(write_byte, p[1], (char)('a' + i));
        CHECK_EQ(rn_blocking(read_byte, &p[0]), 'a' + i);
    }
}

static intptr_t read_and_tell(void *fd) {
    intptr_t c = read_byte(fd);
    rn_send(done, (int)c);
    return c;
}

static void blocks(int fd) { rn_blocking(read_and_tell, &fd); }

TEST_GO(many_block_at_once_and_use_channels_inside) {
    int p[2];
    CHECK_EQ(pipe(p), 0);
    done = rn_make(int, 0);
    for (int i = 0; i < 20; i++) GO(blocks, p[0]);
    for (int i = 0; i < 20; i++) write_byte(p[1], 1);
    wait_n(done, 20);
}

TEST(blocking_on_a_plain_thread_is_a_call) {
    int p[2];
    CHECK_EQ(pipe(p), 0);
    write_byte(p[1], 'x');
    CHECK_EQ(rn_blocking(read_byte, &p[0]), 'x');
}

/* Nobody tells the runtime of this call: sysmon must take the processor. */
TEST_GO(a_system_call_that_blocks_does_not_hold_up_the_others) {
    int p[2];
    CHECK_EQ(pipe(p), 0);
    for (int i = 0; i < 20; i++) {
        GO(write_byte, p[1], (char)i);
        CHECK_EQ(read_byte(&p[0]), i);
    }
}

static void set(long *flag) { __atomic_store_n(flag, 1, __ATOMIC_RELEASE); }

TEST_GO(a_goroutine_that_burns_cpu_does_not_hold_up_the_others) {
    static long flag[5];
    for (int i = 0; i < 5; i++) {
        GO(set, &flag[i]);
        while (!__atomic_load_n(&flag[i], __ATOMIC_ACQUIRE)) continue;
    }
}
