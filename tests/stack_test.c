/* SPDX-License-Identifier: MIT */
/*
 * stack_test.c: goroutines' stacks: deep enough for libc by default, as small and as large as asked for,
 * and an overflow that is told rather than silent.
 */
#include <alloca.h>
#include <execinfo.h>
#include <netdb.h>
#include <regex.h>

#include "core.h"

typedef rn_chan(int) chan_int;
typedef rn_send_chan(int) send_int;

/* Use about `bytes` of stack, touching every page on the way down. Returns something made of all of it. */
static __attribute__((noinline)) long dig(long bytes) {
    volatile char frame[512];
    frame[0] = (char)bytes;
    frame[511] = 1;
    if (bytes < 700) return frame[0];
    return dig(bytes - 600) + frame[511];
}

static void digs(long bytes, send_int done) {
    CHECK_NE(dig(bytes), 0);
    rn_send(done, 1);
}

static int by_number(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }

static void uses_libc(send_int done) {
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *ai = NULL;
    if (getaddrinfo("localhost", "80", &hints, &ai) == 0) freeaddrinfo(ai);
    if (getaddrinfo("no-such-name.invalid", NULL, &hints, &ai) == 0) freeaddrinfo(ai);
    char text[4096];
    CHECK_GT(snprintf(text, sizeof text, "%Lf %1000d %.500g", 1e300L, 7, 1e-300), 1000);
    fprintf(stderr, "%s %.200f\n", "printf on a goroutine's stack", 1e300);
    regex_t re;
    CHECK_EQ(regcomp(&re, "^(a|b)*c{3,9}[[:alpha:]]+$", REG_EXTENDED), 0);
    CHECK_EQ(regexec(&re, "abababcccxyz", 0, NULL, 0), 0);
    regfree(&re);
    int v[1000];
    for (int i = 0; i < 1000; i++) v[i] = (i * 7919) % 1000;
    qsort(v, 1000, sizeof *v, by_number);
    for (int i = 0; i < 1000; i++) CHECK_EQ(v[i], i);
    rn_send(done, 1);
}

TEST_GO(libc_fits_on_the_default_stack) {
    rn_chan(int) done = rn_make(int, 0);
    for (int i = 0; i < 4; i++) GO(uses_libc, done);
    wait_n(done, 4);
}

/* 256 KiB less what the entry takes, and a sanitizer's larger frames. */
TEST_GO(the_default_stack_is_256_KiB) {
    rn_chan(int) done = rn_make(int, 0);
    long bytes = TEST_ASAN || TEST_TSAN ? 100 << 10 : 240 << 10;
    GO(digs, bytes, done);
    wait_n(done, 1);
}

TEST_GO(small_stacks) {
    rn_chan(int) done = rn_make(int, 0);
    rn_go_opts o = {"small", 1};
    for (int i = 0; i < 100; i++) CHECK_EQ(rn_go_opt(&o, digs, 1000L, done), 0);
    wait_n(done, 100);
    o.stack_size = 16 << 10;
    for (int i = 0; i < 100; i++) CHECK_EQ(rn_go_opt(&o, digs, 4000L, done), 0);
    wait_n(done, 100);
}

TEST_GO(large_stacks) {
    rn_chan(int) done = rn_make(int, 0);
    rn_go_opts o = {"large", 64 << 20};
    for (int i = 0; i < 3; i++) CHECK_EQ(rn_go_opt(&o, digs, (long)scaled(16 << 20), done), 0);
    wait_n(done, 3);
    o.stack_size = (4 << 20) + 1; /* rounded up, not down */
    CHECK_EQ(rn_go_opt(&o, digs, TEST_ASAN || TEST_TSAN ? 1L << 20 : 5L << 20, done), 0);
    wait_n(done, 1);
}

static void digs_and_parks(long bytes, rn_recv_chan(int) go_on, send_int done) {
    CHECK_NE(dig(bytes), 0);
    (void)rn_recv(go_on);
    CHECK_NE(dig(bytes), 0);
    rn_send(done, 1);
}

/* Stacks of many sizes side by side, all in use at once, then used again. */
TEST_GO(stacks_of_all_sizes_together) {
    rn_chan(int) go_on = rn_make(int, 0), done = rn_make(int, 0);
    for (int lap = 0; lap < 3; lap++) {
        for (int i = 0; i < 80; i++) {
            rn_go_opts o = {NULL, (size_t)(16 << 10) << (i % 8)};
            CHECK_EQ(rn_go_opt(&o, digs_and_parks, 3000L << (i % 8), go_on, done), 0);
        }
        for (int i = 0; i < 80; i++) rn_send(go_on, 1);
        wait_n(done, 80);
    }
}

static int main_digs(void *bytes) {
    CHECK_NE(dig((intptr_t)bytes), 0);
    return 0;
}

static void digs_a_megabyte(void) {
    setenv("RUNNEL_STACK", "2097152", 1);
    CHECK_EQ(rn_run(main_digs, (void *)(intptr_t)(1 << 20)), 0);
}

TEST(the_environment_sets_the_default_size) { check_exit(run_child(digs_a_megabyte), 0); }

/* ---- alignment and unwinding ---- */

static void aligned(send_int done) {
    typedef double v4 __attribute__((vector_size(16)));
    volatile v4 v = {1, 2};
    CHECK_EQ((uintptr_t)&v % 16, 0);
    CHECK_EQ((uintptr_t)__builtin_frame_address(0) % 16, 0);
    CHECK(v[0] + v[1] == 3);
    char *p = alloca(1000);
    memset(p, 1, 1000);
    CHECK_EQ(p[999], 1);
    rn_send(done, 1);
}

TEST_GO(stacks_are_aligned) {
    rn_chan(int) done = rn_make(int, 0);
    for (int i = 0; i < 10; i++) {
        rn_go_opts o = {NULL, (size_t)(16 << 10) << i};
        CHECK_EQ(rn_go_opt(&o, aligned, done), 0);
    }
    wait_n(done, 10);
}

static __attribute__((noinline)) int frames(void **pc, int n, int max) {
    int r = n > 0 ? frames(pc, n - 1, max) : backtrace(pc, max);
    __asm__ volatile("");
    return r;
}

/* The unwinder stops at the goroutine's entry; it neither runs on into the dark nor loses frames. */
static void unwinds(send_int done) {
    void *pc[200];
    int none = frames(pc, 0, 200), ten = frames(pc, 10, 200);
    CHECK_EQ(ten - none, 10);
    CHECK_LT(none, 20);
    rn_yield();
    CHECK_EQ(frames(pc, 10, 200), ten);
    rn_send(done, 1);
}

TEST_GO(backtrace_ends_at_the_goroutines_entry) {
    rn_chan(int) done = rn_make(int, 0);
    GO(unwinds, done);
    wait_n(done, 1);
}

/* ---- overflow ---- */

static void overflows(rn_recv_chan(int) c) {
    CHECK_NE(dig(1L << 40), 0);
    (void)rn_recv(c);
}

static int main_overflows(void *unused) {
    (void)unused;
    rn_chan(int) c = rn_make(int, 0);
    rn_go_opts o = {"digger", 64 << 10};
    CHECK_EQ(rn_go_opt(&o, overflows, c), 0);
    (void)rn_recv(c);
    return 0;
}

static void overflow_of_64K(void) { rn_run(main_overflows, NULL); }
static void overflow_of_main(void) { rn_run(main_digs, (void *)(intptr_t)((intptr_t)1 << 40)); }

TEST(an_overflow_says_which_goroutine_and_which_limit) {
    struct child *c = run_child(overflow_of_64K);
    CHECK_NE(c->status, 0);
    if (TEST_ASAN || TEST_TSAN) return; /* their handlers report it */
    check_aborted(c);
    check_text(c, "goroutine stack exceeds 65536-byte limit");
    check_text(c, "fatal error: stack overflow");
    check_text(c, "digger");
    check_text(c, "dig");
}

TEST(an_overflow_of_the_main_goroutine_is_told_too) {
    struct child *c = run_child(overflow_of_main);
    CHECK_NE(c->status, 0);
    if (TEST_ASAN || TEST_TSAN) return;
    check_aborted(c);
    check_text(c, "goroutine stack exceeds 262144-byte limit");
    check_text(c, "fatal error: stack overflow");
    check_text(c, "goroutine 1 ");
}

static void null_write(void) {
    volatile int *volatile p = NULL;
    *p = 1;
}
static int main_faults(void *unused) {
    (void)unused;
    null_write();
    return 0;
}
static void fault_in_goroutine(void) { rn_run(main_faults, NULL); }

/* Any other fault is not taken for an overflow. */
TEST(another_fault_is_still_a_fault) {
    struct child *c = run_child(fault_in_goroutine);
    CHECK_NE(c->status, 0);
    check_no_text(c, "stack overflow");
    if (!TEST_ASAN && !TEST_TSAN) CHECK(WIFSIGNALED(c->status));
}

/* A guard keeps a neighbour's stack from the overflow: nobody else is hurt before the program dies. */
static int overflow_among_many(void *unused) {
    rn_chan(int) c = rn_make(int, 0);
    for (int i = 0; i < 50; i++) {
        rn_go_opts o = {NULL, 64 << 10};
        CHECK_EQ(rn_go_opt(&o, digs_and_parks, 1000L, c, c), 0);
    }
    rn_yield();
    return main_overflows(unused);
}
static void overflow_with_neighbours(void) { rn_run(overflow_among_many, NULL); }

TEST(an_overflow_hits_the_guard_not_a_neighbour) {
    struct child *c = run_child(overflow_with_neighbours);
    CHECK_NE(c->status, 0);
    if (TEST_ASAN || TEST_TSAN) return;
    check_text(c, "goroutine stack exceeds 65536-byte limit");
    check_text(c, "digger");
}
