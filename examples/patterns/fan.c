/* SPDX-License-Identifier: MIT */
/*
 * fan: fan-out, four workers on one channel, and fan-in, their results on another. The last worker
 * to end closes the results: a goroutine that does nothing but wait for them all.
 */
#include <stdio.h>
#include <runnel.h>

enum { WORKERS = 4, JOBS = 100 };

static void work(rn_recv_chan(int) jobs, rn_send_chan(long) results, rn_wg *workers) {
    for (int n; rn_recv_ok(jobs, &n);) rn_send(results, (long)n * n);
    rn_wg_done(workers);
}

static void make_jobs(rn_send_chan(int) jobs) {
    for (int i = 1; i <= JOBS; i++) rn_send(jobs, i);
    rn_close(jobs);
    rn_unref(jobs);
}

static void close_after(rn_wg *workers, rn_send_chan(long) results) {
    rn_wg_wait(workers);
    rn_close(results);
    rn_unref(results);
}

static int boss(void *arg) {
    (void)arg;
    rn_chan(int) jobs = rn_make(int, 0);
    rn_chan(long) results = rn_make(long, 0);
    if (!jobs || !results) return 1;
    static rn_wg workers;         /* static: close_after may still be on its way out of the wait */
    rn_wg_add(&workers, WORKERS); /* here, before anybody can wait or be done */
    for (int i = 0; i < WORKERS; i++) {
        if (rn_go(work, jobs, results, &workers) != 0) return 1;
    }
    if (rn_go(make_jobs, rn_ref(jobs)) != 0) return 1;
    if (rn_go(close_after, &workers, rn_ref(results)) != 0) return 1;

    long sum = 0, n = 0;
    for (long r; rn_recv_ok(results, &r); n++) sum += r;
    printf("%ld results, sum of squares %ld\n", n, sum);
    rn_unref(jobs);
    rn_unref(results);
    return 0;
}

int main(void) { return rn_run(boss, NULL); }
