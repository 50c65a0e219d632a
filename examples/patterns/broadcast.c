/* SPDX-License-Identifier: MIT */
/*
 * broadcast: closing a channel wakes all who wait and lets pass all who come later. It can be done once; for the next
 * time there must be a new channel, which is why runners get theirs afresh for each race.
 */
#include <stdio.h>
#include <runnel.h>

enum { RUNNERS = 5, RACES = 2 };

struct nothing {};

static void run(rn_recv_chan(struct nothing) start, rn_send_chan(int) finish, int number) {
    (void)rn_recv_ok(start, NULL);
    rn_unref(start);
    rn_send(finish, number);
}

static int race(rn_chan(int) finish) {
    rn_chan(struct nothing) start = rn_make(struct nothing, 0);
    if (!start) return -1;
    for (int i = 1; i <= RUNNERS; i++) {
        if (rn_go(run, rn_ref(start), finish, i) != 0) return -1;
    }
    for (int i = 0; i < 10; i++) rn_yield(); /* let them come; who is late is not lost */
    if (rn_try_recv(finish, NULL) == 0) printf("a FALSE start\n");
    rn_close(start);
    int sum = 0;
    for (int i = 0; i < RUNNERS; i++) sum += rn_recv(finish);
    rn_unref(start);
    return sum;
}

static int starter(void *arg) {
    (void)arg;
    rn_chan(int) finish = rn_make(int, 0);
    if (!finish) return 1;
    for (int i = 1; i <= RACES; i++) printf("race %d: sum of numbers %d\n", i, race(finish));
    rn_unref(finish);
    return 0;
}

int main(void) { return rn_run(starter, NULL); }
