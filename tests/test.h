/* SPDX-License-Identifier: MIT */
/*
 * test.h: what a test file needs. The runner is ctest: CMake reads the TEST lines of a
 * file and gives ctest one process for each case and procs count, with a time-out; so a
 * failed check on any goroutine or thread, a crash and a hang are each one failed case.
 *
 *   TEST(close_wakes_all_receivers) { ... }     body runs on the plain main thread
 *   TEST_GO(fifo_of_parked_senders) { ... }     body runs as the main goroutine of rn_run
 *
 * Each case is run at RUNNEL_PROCS 1, 2 and 8. TEST_ONCE and TEST_GO_ONCE run once, at the default procs; TEST_GO_ALONE
 * does so with no other case beside it, for what is to use cores that others would take.
 * Keep `TEST(name)` at the start of its line: CMake finds it there.
 */
#ifndef RUNNEL_TEST_H
#define RUNNEL_TEST_H

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <runnel.h>

struct test_case {
    const char *name;
    void (*body)(void);
    bool in_goroutine;
    struct test_case *next;
};

static struct test_case *test_cases;

#define TEST__CASE(name_, go)                                                                      \
    static void test_##name_(void);                                                                \
    __attribute__((constructor)) static void test_add_##name_(void) {                              \
        static struct test_case c = {#name_, test_##name_, go, NULL};                              \
        c.next = test_cases;                                                                       \
        test_cases = &c;                                                                           \
    }                                                                                              \
    static void test_##name_(void)

#define TEST(name) TEST__CASE(name, false)
#define TEST_GO(name) TEST__CASE(name, true)
#define TEST_ONCE(name) TEST__CASE(name, false)
#define TEST_GO_ONCE(name) TEST__CASE(name, true)
#define TEST_GO_ALONE(name) TEST__CASE(name, true)

/* Any thread or goroutine may fail the case. */
#define FAIL(...)                                                                                  \
    do {                                                                                           \
        fprintf(stderr, "%s:%d: ", __FILE__, __LINE__);                                            \
        fprintf(stderr, __VA_ARGS__);                                                              \
        fputc('\n', stderr);                                                                       \
        _exit(1);                                                                                  \
    } while (0)

/* Leave a case that cannot run here (an emulator, a sanitizer): ctest lists it as skipped. */
#define SKIP(why)                                                                                  \
    do {                                                                                           \
        fprintf(stderr, "skipped: %s\n", why);                                                     \
        _exit(77);                                                                                 \
    } while (0)

#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!(cond)) FAIL("check failed: %s", #cond);                                              \
    } while (0)

#define CHECK_CMP(a, op, b)                                                                        \
    do {                                                                                           \
        intmax_t test_a = (intmax_t)(a), test_b = (intmax_t)(b);                                   \
        if (!(test_a op test_b))                                                                   \
            FAIL("check failed: %s %s %s: %" PRIdMAX " and %" PRIdMAX, #a, #op, #b, test_a,        \
                 test_b);                                                                          \
    } while (0)
#define CHECK_EQ(a, b) CHECK_CMP(a, ==, b)
#define CHECK_NE(a, b) CHECK_CMP(a, !=, b)
#define CHECK_LT(a, b) CHECK_CMP(a, <, b)
#define CHECK_LE(a, b) CHECK_CMP(a, <=, b)
#define CHECK_GE(a, b) CHECK_CMP(a, >=, b)
#define CHECK_GT(a, b) CHECK_CMP(a, >, b)

#define CHECK_STR(a, b)                                                                            \
    do {                                                                                           \
        const char *test_a = (a), *test_b = (b);                                                   \
        if (strcmp(test_a, test_b) != 0)                                                           \
            FAIL("check failed: %s is \"%s\", not \"%s\"", #a, test_a, test_b);                    \
    } while (0)

/*
 * Scale for loops of stress: n, less where the build is slow (sanitizers, chaos, qemu): ctest sets
 * RUNNEL_TEST_SCALE to a percentage.
 */
static inline long scaled(long n) {
    const char *s = getenv("RUNNEL_TEST_SCALE");
    long percent = s ? atol(s) : 100;
    long r = n * percent / 100;
    return r > 0 ? r : 1;
}

/* A seed for a stress test: RUNNEL_TEST_SEED, or a new one. Printed, so that a failure can be run again. */
static inline uint64_t test_seed(void) {
    const char *s = getenv("RUNNEL_TEST_SEED");
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    uint64_t seed =
        s ? strtoull(s, NULL, 0) : ((uint64_t)t.tv_sec * 1000000007u) ^ (uint64_t)t.tv_nsec;
    fprintf(stderr, "RUNNEL_TEST_SEED=%" PRIu64 "\n", seed);
    return seed;
}

/* splitmix64. */
static inline uint64_t test_random(uint64_t *seed) {
    uint64_t z = (*seed += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static inline int test_run_body(void *c) {
    ((struct test_case *)c)->body();
    return 0;
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: %s CASE\n", argv[0]);
        for (struct test_case *c = test_cases; c; c = c->next) puts(c->name);
        return 2;
    }
    for (struct test_case *c = test_cases; c; c = c->next) {
        if (strcmp(c->name, argv[1]) != 0) continue;
        if (c->in_goroutine) return rn_run(test_run_body, c);
        c->body();
        return 0;
    }
    fprintf(stderr, "%s: no case named %s\n", argv[0], argv[1]);
    return 2;
}

#endif
