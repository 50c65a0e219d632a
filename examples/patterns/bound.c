/* SPDX-License-Identifier: MIT */
/*
 * bound: twelve tasks, three at a time, in four ways. They differ in who waits: with the buffered channel the
 * tasks do, with the others their maker.
 */
#include <stdio.h>
#include <runnel.h>

enum { TASKS = 12, LIMIT = 3 };

static rn_mutex lock;
static int now, most, ended; /* under lock */

static void task(void) {
    rn_mutex_lock(&lock);
    if (++now > most) most = now;
    rn_mutex_unlock(&lock);
    rn_yield(); /* the work */
    rn_mutex_lock(&lock);
    now--;
    ended++;
    rn_mutex_unlock(&lock);
}

static void report(const char *way) {
    printf("%-18s %d tasks, limit %s\n", way, ended, most <= LIMIT ? "kept" : "BROKEN");
    most = ended = 0;
}

/* 1. All goroutines exist at once; a token in the channel is the right to work. */
static void take_token_and_work(void *tokens_) {
    rn_chan(int) tokens = tokens_;
    rn_send(tokens, 1);
    task();
    (void)rn_recv(tokens);
}

/* 2. There are only three goroutines; the tasks are values. */
static void work_off(void *tasks_) {
    rn_chan(int) tasks = tasks_;
    while (rn_recv_ok(tasks, NULL)) task();
}

/* 3. The maker takes the right before it makes the goroutine, which gives it back. Tasks may differ in weight. */
static rn_sem sem = RN_SEM_INIT(LIMIT);
static void work_and_release(void *weight) {
    task();
    rn_sem_release(&sem, (intptr_t)weight);
}

/* 4. The same inside a group, which also keeps the first error. */
static int work_in_group(void *unused) {
    (void)unused;
    task();
    return 0;
}

static int boss(void *arg) {
    (void)arg;
    rn_chan(int) tokens = rn_make(int, LIMIT), tasks = rn_make(int, 0);
    if (!tokens || !tasks) return 1;
    rn_wg wg = {0};
    int failed = 0;
    for (int i = 0; i < TASKS; i++) failed |= rn_wg_go(&wg, take_token_and_work, tokens);
    rn_wg_wait(&wg);
    report("buffered channel:");

    for (int i = 0; i < LIMIT; i++) failed |= rn_wg_go(&wg, work_off, tasks);
    for (int i = 0; i < TASKS && !failed; i++) rn_send(tasks, i);
    rn_close(tasks);
    rn_wg_wait(&wg);
    report("worker pool:");

    for (intptr_t i = 0, weight; i < TASKS; i++) {
        rn_sem_acquire(&sem, weight = 1 + i % 2);
        if (rn_go(work_and_release, (void *)weight) != 0) return 1;
    }
    rn_sem_acquire(&sem, LIMIT); /* all of it: all have ended */
    report("semaphore:");

    rn_group group = {0};
    rn_group_limit(&group, LIMIT);
    for (int i = 0; i < TASKS; i++) failed |= rn_group_go(&group, work_in_group, NULL);
    failed |= rn_group_wait(&group);
    report("group limit:");
    rn_unref(tokens);
    rn_unref(tasks);
    return failed;
}

int main(void) { return rn_run(boss, NULL); }
