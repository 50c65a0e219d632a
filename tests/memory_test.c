/* SPDX-License-Identifier: MIT */
/*
 * memory_test.c: what goroutines and channels cost, that they give it back, and what happens when there
 * is none. The costs are asserted in the plain build only.
 */
#include <malloc.h>
#include <sys/resource.h>

#include "parked.h"

typedef rn_chan(int) chan_int;
typedef rn_send_chan(int) send_int;
typedef rn_recv_chan(int) recv_int;

#ifdef RN_CHAOS
#define PLAIN 0
#else
#define PLAIN (!TEST_ASAN && !TEST_TSAN)
#endif

/* A line "Key:  123 kB" of a file of /proc, in bytes; 0 if it is not there. */
static long proc_bytes(const char *file, const char *key) {
    char line[256];
    long kb = 0;
    FILE *f = fopen(file, "r");
    if (!f) return 0;
    while (fgets(line, sizeof line, f))
        if (strncmp(line, key, strlen(key)) == 0) kb = atol(line + strlen(key));
    fclose(f);
    return kb * 1024;
}

/* Resident memory with its page tables. */
static long resident(void) {
    long rss = proc_bytes("/proc/self/smaps_rollup", "Rss:");
    long pte = proc_bytes("/proc/self/status", "VmPTE:");
    if (rss == 0 || pte == 0) SKIP("no smaps_rollup or VmPTE in /proc");
    return rss + pte;
}

static void wait_for_close(recv_int c) { CHECK(!rn_recv_ok(c, NULL)); }

TEST_GO_ONCE(a_parked_goroutine_costs_at_most_4800_bytes) {
    if (!PLAIN) SKIP("a sanitizer's memory is not ours");
    long n = scaled(100000);
    if (n < 10000) SKIP("an emulator's memory is not ours");
    rn_chan(int) c = rn_make(int, 0);
    long before = resident();
    for (long i = 0; i < n; i++) GO(wait_for_close, c);
    WAIT_RECEIVERS(c, n);
    long each = (resident() - before) / n;
    fprintf(stderr, "%ld bytes each\n", each);
    CHECK_LE(each, 4800);
    rn_close(c);
    WAIT_FOR(rn_goroutines() == 1);
}

/* The most that was ever resident, and the heap in use: the first shows stacks that leak, the second the rest. */
static long peak(void) {
    long hwm = proc_bytes("/proc/self/status", "VmHWM:");
    if (hwm == 0) SKIP("no VmHWM in /proc");
    return hwm;
}
static long heap(void) { return (long)mallinfo2().uordblks; }

enum { MIB = 1 << 20 };

/* Run body(n) a few times: the first grows the memory to what it needs, the others must not by more than `slack`. */
static void check_no_growth(void (*body)(long), long n, long slack) {
    body(n);
    body(n);
    if (!PLAIN) return;
    long peak_before = peak(), heap_before = heap();
    body(n);
    body(n);
    long peak_grown = peak() - peak_before, heap_grown = heap() - heap_before;
    fprintf(stderr, "the peak has grown by %ld, the heap in use by %ld\n", peak_grown, heap_grown);
    CHECK_LT(peak_grown, slack);
    CHECK_LT(heap_grown, 256 << 10);
}

static void spawn_and_end(long n) {
    rn_chan(int) c = rn_make(int, 0);
    for (long i = 0; i < n; i++) GO(wait_for_close, c);
    rn_close(c);
    WAIT_FOR(rn_goroutines() == 1);
    rn_unref(c);
}

TEST_GO(goroutines_give_their_memory_back) {
    check_no_growth(spawn_and_end, scaled(20000), 64 * MIB);
}

static void one_after_the_other(long n) {
    rn_chan(int) c = rn_make(int, 0);
    rn_close(c);
    for (long i = 0; i < n; i++) {
        GO(wait_for_close, c);
        if (i % 8 == 7) WAIT_FOR(rn_goroutines() == 1);
    }
    WAIT_FOR(rn_goroutines() == 1);
    rn_unref(c);
}

TEST_GO(a_million_short_goroutines_do_not_grow_memory) {
    check_no_growth(one_after_the_other, scaled(250000), 64 * MIB);
}

static void make_and_drop(long n) {
    for (long i = 0; i < n; i++) {
        rn_chan(long) c = rn_make(long, i % 32);
        if (i % 32) rn_send(c, i);
        rn_ref(c);
        rn_unref(c);
        rn_unref(c);
    }
}

TEST_GO(channels_give_their_memory_back) {
    check_no_growth(make_and_drop, scaled(250000), 4 * MIB);
}

static chan_int left, right, never;

static void select_for_ever(void) {
    while (rn_select(rn_on_recv(never, NULL), rn_on_recv(left, NULL), rn_on_recv(never, NULL)) == 1)
        rn_select(rn_on_recv(never, NULL), rn_on_send(right, 1));
}

static void blocked_selects(long n) {
    for (long i = 0; i < n; i++) {
        rn_select(rn_on_recv(never, NULL), rn_on_send(left, 1));
        rn_select(rn_on_recv(right, NULL), rn_on_send(never, 1), rn_on_recv(never, NULL));
    }
}

/* Four times n rounds of four selects, nearly all of which park. */
TEST_GO_ONCE(ten_million_blocked_selects_do_not_grow_memory) {
    left = rn_make(int, 0);
    right = rn_make(int, 0);
    never = rn_make(int, 0);
    rn_procs(1); /* one that runs parks the other */
    GO(select_for_ever);
    check_no_growth(blocked_selects, scaled(625000), 4 * MIB);
}

static void park_on_both(recv_int a, recv_int b, send_int done) {
    CHECK_EQ(rn_select(rn_on_recv(a, NULL), rn_on_recv(b, NULL)), 1);
    rn_send(done, 1);
}

/* The loser's entry must leave the queue of the channel that is never used. */
static void losers(long n) {
    rn_chan(int) b = rn_make(int, 0), done = rn_make(int, 0);
    for (long i = 0; i < n; i++) {
        GO(park_on_both, never, b, done);
        rn_send(b, 1);
        wait_n(done, 1);
    }
    CHECK_EQ(parked_receivers(never), 0);
    rn_unref(b);
    rn_unref(done);
}

TEST_GO(losers_of_selects_leave_nothing_behind) {
    never = rn_make(int, 0);
    check_no_growth(losers, scaled(50000), 64 * MIB);
}

static void catch_one(void *unused) {
    (void)unused;
    rn_defer(free, malloc(16));
    rn_panic("caught");
}

static void panics(long n) {
    for (long i = 0; i < n; i++) CHECK(!rn_try(catch_one, NULL, NULL));
}

TEST_GO(panics_do_not_grow_memory) { check_no_growth(panics, scaled(100000), 4 * MIB); }

/* ---- none left ---- */

static void limit_address_space(long more) {
    long used = proc_bytes("/proc/self/status", "VmSize:");
    if (used == 0) SKIP("no VmSize in /proc/self/status");
    struct rlimit r = {(rlim_t)(used + more), (rlim_t)(used + more)};
    CHECK_EQ(setrlimit(RLIMIT_AS, &r), 0);
}

/* Channels until there is no memory: NULL, and all that exists works on. */
TEST_GO(make_returns_null_without_memory) {
    enum { N = 1000 };
    static rn_chan(long) c[N];
    if (!PLAIN) SKIP("sanitizers do not live under RLIMIT_AS");
    if (getenv("RUNNEL_EMULATED")) SKIP("an emulator lives under the limit too");
    limit_address_space(64 << 20);
    int n = 0;
    while (n < N && (c[n] = rn_make(long, 1 << 17))) n++;
    CHECK(n > 5 && n < N);
    CHECK(rn_make(long, (int64_t)1 << 40) == NULL);
    for (int i = 0; i < n; i++) {
        rn_send(c[i], i);
        CHECK_EQ(rn_recv(c[i]), i);
        rn_unref(c[i]);
    }
    CHECK((c[0] = rn_make(long, 1 << 17)));
    rn_unref(c[0]);
}

/*
 * Goroutines until there is no memory: -ENOMEM, nothing has run, and those that exist work on. Stacks of
 * 256 MiB, so that the limit is met soon; how many fit is the library's affair.
 */
static void out_of_stacks(size_t size, int at_most) {
    rn_chan(int) c = rn_make(int, 0);
    rn_go_opts o = {NULL, size};
    int n = 0, r = 0;
    while (n < at_most && (r = rn_go_opt(&o, wait_for_close, c)) == 0) n++;
    fprintf(stderr, "%d goroutines\n", n);
    CHECK_LT(n, at_most);
    CHECK_EQ(r, -ENOMEM);
    CHECK_EQ(rn_go_opt(&o, wait_for_close, c), -ENOMEM);
    CHECK_EQ(rn_goroutines(), n + 1);
    WAIT_RECEIVERS(c, n);
    rn_close(c);
    WAIT_FOR(rn_goroutines() == 1);
}

TEST_GO(go_returns_enomem_without_memory) {
    if (!PLAIN) SKIP("sanitizers do not live under RLIMIT_AS");
    if (getenv("RUNNEL_EMULATED")) SKIP("an emulator lives under the limit too");
    limit_address_space((long)1 << 30);
    out_of_stacks(256 << 20, 1000);
    /* there was no room for those; small ones still run */
    rn_chan(int) c = rn_make(int, 0);
    rn_close(c);
    GO(wait_for_close, c);
    WAIT_FOR(rn_goroutines() == 1);
}

/* The runtime itself starts with little address space, or says why not. */
static int works(void *unused) {
    (void)unused;
    rn_chan(int) c = rn_make(int, 0);
    GO(wait_for_close, c);
    rn_close(c);
    return 0;
}

static void start_in(long bytes) {
    limit_address_space(bytes);
    CHECK_EQ(rn_run(works, NULL), 0);
    fprintf(stderr, "worked\n");
}
static void start_in_nothing(void) { start_in(0); }
static void start_in_4_MiB(void) { start_in(4 << 20); }
static void start_in_512_MiB(void) { start_in(512 << 20); }

TEST(starting_without_memory_is_a_clear_message_or_works) {
    if (!PLAIN) SKIP("sanitizers do not live under RLIMIT_AS");
    if (getenv("RUNNEL_EMULATED")) SKIP("an emulator lives under the limit too");
    void (*const how[])(void) = {start_in_nothing, start_in_4_MiB};
    for (int i = 0; i < 2; i++) {
        struct child *c = run_child(how[i]);
        if (c->status == 0)
            check_text(c, "worked");
        else
            check_text(c, "fatal error: runtime: ");
    }
    check_text(run_child(start_in_512_MiB), "worked");
}
