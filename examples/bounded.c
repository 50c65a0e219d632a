/* SPDX-License-Identifier: MIT */
/*
 * bounded: a buffered channel is a counting semaphore. Twenty goroutines start at once, three
 * of them work at a time: each puts a token into the channel first and takes one out at its end.
 * A goroutine of its own counts who is at work; nobody shares a counter.
 */
#include <stdio.h>
#include <runnel.h>

enum { TASKS = 20, LIMIT = 3 };

struct token {}; /* an element of no bytes still counts against the capacity */

static void work(int n, rn_chan(struct token) limit, rn_send_chan(int) events,
                 rn_send_chan(int) results) {
    rn_send(limit, (struct token){});
    rn_send(events, +1);
    rn_yield(); /* the work: others run meanwhile */
    rn_send(events, -1);
    rn_recv_ok(limit, NULL);
    rn_send(results, n * n);
}

static void watch(rn_recv_chan(int) events, rn_send_chan(int) highest) {
    int now = 0, most = 0;
    for (int change; rn_recv_ok(events, &change);) {
        now += change;
        if (now > most) most = now;
    }
    rn_unref(events);
    rn_send(highest, most);
}

static int boss(void *arg) {
    (void)arg;
    rn_chan(struct token) limit = rn_make(struct token, LIMIT);
    rn_chan(int) events = rn_make(int, 0), results = rn_make(int, 0), highest = rn_make(int, 0);
    if (!limit || !events || !results || !highest) return 1;
    if (rn_go(watch, events, highest) != 0) return 1;
    for (int i = 1; i <= TASKS; i++) {
        if (rn_go(work, i, limit, events, results) != 0) return 1;
    }

    int sum = 0;
    for (int i = 0; i < TASKS; i++) sum += rn_recv(results);
    rn_close(events);
    bool kept = rn_recv(highest) <= LIMIT;
    printf("%d tasks, sum of squares %d, limit of %d %s\n", TASKS, sum, LIMIT,
           kept ? "kept" : "BROKEN");
    rn_unref(limit);
    rn_unref(results);
    rn_unref(highest);
    return !kept;
}

int main(void) { return rn_run(boss, NULL); }
