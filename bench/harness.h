/* SPDX-License-Identifier: MIT */
/*
 * harness.h: rows, a clock and the count of operations, for every program here that is written in C or C++, runnel's
 * and its peers'. Knows nothing of what it measures.
 *
 *   ROW(yield) { ... n operations ... }         scaled: run again with a larger n until one run
 *                                               takes RUNNEL_BENCH_MS; earlier runs are the warm-up
 *   ROW_ONCE(skynet) { ... bench_report ... }   runs once and reports by itself
 *
 * `PROGRAM list` prints the rows' names; `PROGRAM ROW...` runs rows (`all`: all), in order, in bench_enter, which the
 * program defines, and prints one JSON object a line for each result: {"row","unit","value"};
 * less is better in every unit. The rule for the next n is that of Go's package testing, so that a row and its
 * twin in Go are warmed alike.
 *
 * Environment: RUNNEL_PROCS; RUNNEL_BENCH_MS (100); RUNNEL_BENCH_CLOCK=cpu: measure processor time; RUNNEL_BENCH_QUICK=1 runs every row once with a
 * tiny count: a smoke test of the benchmark, whose numbers mean nothing.
 *
 * All state here belongs to the goroutine that bench_enter runs: one row runs at a time.
 */
#ifndef RUNNEL_BENCH_HARNESS_H
#define RUNNEL_BENCH_HARNESS_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Run fn(arg) to its end where rows run, and return what it returns. */
static int bench_enter(int (*fn)(void *), void *arg);

struct bench_row {
    const char *name;
    void (*scaled)(int64_t n); /* one of the two */
    void (*once)(void);
    struct bench_row *next;
};

static struct bench_row *bench_rows, **bench_rows_end = &bench_rows;

/* The clock of the row that runs, and what Go's testing.B remembers of the run before. */
static struct {
    int64_t started, spent; /* ns; started is 0 while the clock stands */
    int64_t per_op;         /* operations that one n stands for */
    int64_t previous_n, previous_ns;
} bench;

#define ROW__ADD(name_, scaled_, once_)                                                            \
    __attribute__((constructor)) static void row_add_##name_(void) {                               \
        static struct bench_row r = {#name_, scaled_, once_, NULL};                                \
        *bench_rows_end = &r;                                                                      \
        bench_rows_end = &r.next;                                                                  \
    }
#define ROW(name)                                                                                  \
    static void row_##name(int64_t n);                                                             \
    ROW__ADD(name, row_##name, NULL)                                                               \
    static void row_##name(int64_t n)
#define ROW_ONCE(name)                                                                             \
    static void row_##name(void);                                                                  \
    ROW__ADD(name, NULL, row_##name)                                                               \
    static void row_##name(void)

static inline void bench_die(const char *what) {
    fprintf(stderr, "bench: %s\n", what);
    exit(1);
}

static inline int64_t bench_clock(clockid_t id) {
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static inline int64_t bench_now(void) { return bench_clock(CLOCK_MONOTONIC); }

/* What a row's clock shows: time, or the processor time of all threads, which other programs disturb less. */
static inline int64_t bench_read(void) {
    const char *s = getenv("RUNNEL_BENCH_CLOCK");
    return bench_clock(s && strcmp(s, "cpu") == 0 ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC);
}

static inline bool bench_is_quick(void) {
    const char *s = getenv("RUNNEL_BENCH_QUICK");
    return s && *s && *s != '0';
}

/* The count of a row of fixed size: full, or tiny in the quick mode. */
static inline int64_t bench_size(int64_t full, int64_t tiny) {
    return bench_is_quick() ? tiny : full;
}

/* testing.B's ResetTimer and StopTimer. */
static inline void bench_reset(void) {
    bench.spent = 0;
    bench.started = bench_read();
}

static inline void bench_stop(void) {
    if (bench.started) bench.spent += bench_read() - bench.started;
    bench.started = 0;
}

static inline void bench_report(const char *row, const char *unit, double value) {
    printf("{\"row\": \"%s\", \"unit\": \"%s\", \"value\": %.6g}\n", row, unit, value);
    fflush(stdout);
}

static inline int64_t bench_run_n(void (*body)(int64_t), int64_t n) {
    bench.per_op = 1;
    bench_reset();
    body(n);
    bench_stop();
    if (bench.spent < 1) bench.spent = 1;
    bench.previous_n = n;
    bench.previous_ns = bench.spent;
    return bench.spent;
}

/* predictN of Go's testing package: enough to reach the goal, a fifth more, at most 100 times as many. */
static inline int64_t bench_next_n(int64_t goal, int64_t n, int64_t ns) {
    double want = (double)goal * (double)n / (double)ns * 1.2;
    if (want > 100.0 * (double)n) want = 100.0 * (double)n;
    if (want < (double)(n + 1)) want = (double)(n + 1);
    return want > 1e9 ? 1000000000 : (int64_t)want;
}

/* Measure body, under a name of its own: a row of several parts calls this for each. */
static inline void bench_scaled(const char *row, void (*body)(int64_t)) {
    const char *s = getenv("RUNNEL_BENCH_MS");
    int64_t goal = (s ? atol(s) : 100) * 1000000, n = bench_size(1, 2), ns;
    bench.previous_n = bench.previous_ns = 0;
    while (ns = bench_run_n(body, n), ns < goal && n < 1000000000 && !bench_is_quick())
        n = bench_next_n(goal, n, ns);
    bench_report(row, "ns/op", (double)ns / (double)n / (double)bench.per_op);
}

/* Run a fixed piece of work twice and report the second time, in milliseconds. */
static inline void bench_whole(const char *row, void (*body)(int64_t), int64_t size) {
    if (!bench_is_quick()) bench_run_n(body, size);
    bench_report(row, "ms", (double)bench_run_n(body, size) / 1e6);
}

static inline void bench_run_row(const char *name) {
    bool all = strcmp(name, "all") == 0, found = false;
    for (struct bench_row *r = bench_rows; r; r = r->next) {
        if (!all && strcmp(r->name, name) != 0) continue;
        if (r->once)
            r->once();
        else
            bench_scaled(r->name, r->scaled);
        found = true;
    }
    if (found) return;
    fprintf(stderr, "bench: no row named %s\n", name);
    exit(2);
}

/* Memory, in bytes, as the kernel counts it for the process: resident pages and page tables. */
static inline double bench_resident(void) {
    char line[256];
    double kib = 0, v;
    FILE *f = fopen("/proc/self/status", "r");
    if (!f) bench_die("no /proc/self/status");
    while (fgets(line, sizeof line, f))
        if (sscanf(line, "VmRSS: %lf", &v) == 1 || sscanf(line, "VmPTE: %lf", &v) == 1) kib += v;
    fclose(f);
    return kib * 1024;
}

/* A result of a row that has several: ROW/PART. */
static inline void bench_report_part(const char *row, const char *part, const char *unit,
                                     double value) {
    char name[64];
    snprintf(name, sizeof name, "%s/%s", row, part);
    bench_report(name, unit, value);
}

static inline int bench_main(void *names) {
    for (char **name = (char **)names; *name; name++) bench_run_row(*name);
    return 0;
}

int main(int argc, char **argv) {
    if (argc < 2) {
        fprintf(stderr, "usage: %s list | all | ROW...\n", argv[0]);
        return 2;
    }
    if (strcmp(argv[1], "list") != 0) return bench_enter(bench_main, argv + 1);
    for (struct bench_row *r = bench_rows; r; r = r->next) puts(r->name);
    return 0;
}

#endif
