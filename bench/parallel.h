/* SPDX-License-Identifier: MIT */
/* parallel.h: what the twins of Go's own benchmarks share: testing.B's RunParallel, and local work. */
#ifndef RUNNEL_BENCH_PARALLEL_H
#define RUNNEL_BENCH_PARALLEL_H

#include "bench.h"

/* testing.B's RunParallel: as many goroutines as procs share n operations in grains of about 100 us. */
struct pb {
    int64_t *taken; /* atomic: shared by the goroutines of one run */
    int64_t n, grain, cache;
};

static inline bool pb_next(struct pb *p) {
    if (p->cache == 0) {
        int64_t end = __atomic_add_fetch(p->taken, p->grain, __ATOMIC_SEQ_CST);
        if (end <= p->n)
            p->cache = p->grain;
        else if (end < p->n + p->grain)
            p->cache = p->n + p->grain - end;
        else
            return false;
    }
    p->cache--;
    return true;
}

struct parallel {
    void (*body)(struct pb *, void *);
    void *arg;
    int64_t taken, n, grain;
    rn_wg w;
};

static inline void parallel_part(struct parallel *a) {
    struct pb p = {&a->taken, a->n, a->grain, 0};
    a->body(&p, a->arg);
    rn_wg_done(&a->w);
}

/* `times`: SetParallelism, goroutines for each of the procs. */
static inline void run_parallel_times(int64_t n, int times, void (*body)(struct pb *, void *),
                                      void *arg) {
    struct parallel a = {.body = body, .arg = arg, .n = n, .grain = 1};
    int parts = times * rn_procs(0);
    if (bench.previous_ns > 0) a.grain = 100000 * bench.previous_n / bench.previous_ns;
    if (a.grain < 1) a.grain = 1;
    if (a.grain > 10000) a.grain = 10000;
    rn_wg_add(&a.w, parts);
    for (int i = 0; i < parts; i++) GO(parallel_part, &a);
    rn_wg_wait(&a.w);
}

static inline void run_parallel(int64_t n, void (*body)(struct pb *, void *), void *arg) {
    run_parallel_times(n, 1, body, arg);
}

/*
 * The local work of chan_test.go, both kinds (foo /= foo + 1; foo *= 2, foo /= 2). Go's compiler sees that foo
 * stays 0 and leaves the counting: so do we. The asm keeps the loop.
 */
static inline void local_work(int64_t turns) {
    for (int64_t i = 0; i < turns; i++) __asm__ volatile("" : "+r"(i));
}

#endif
