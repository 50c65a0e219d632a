/* SPDX-License-Identifier: MIT */
/*
 * producer_consumer: four producers and three consumers around one buffered channel. Who gets
 * which item is chance; that each is consumed once is not.
 */
#include <stdio.h>
#include <runnel.h>

enum { PRODUCERS = 4, CONSUMERS = 3, ITEMS = 1000 };

struct tally {
    long count, sum;
};

static void produce(int first, rn_send_chan(int) items, rn_send_chan(int) finished) {
    for (int i = 0; i < ITEMS; i++) rn_send(items, first + i);
    rn_send(finished, ITEMS);
}

static void consume(rn_recv_chan(int) items, rn_send_chan(struct tally) tallies) {
    struct tally t = {0, 0};
    for (int item; rn_recv_ok(items, &item); t.count++) t.sum += item;
    rn_unref(items); /* each consumer has a reference of its own */
    rn_send(tallies, t);
}

static int warehouse(void *arg) {
    (void)arg;
    rn_chan(int) items = rn_make(int, 16);
    rn_chan(int) finished = rn_make(int, 0);
    rn_chan(struct tally) tallies = rn_make(struct tally, 0);
    if (!items || !finished || !tallies) return 1;
    for (int i = 0; i < PRODUCERS; i++) {
        if (rn_go(produce, i * ITEMS + 1, items, finished) != 0) return 1;
    }
    for (int i = 0; i < CONSUMERS; i++) {
        if (rn_go(consume, rn_ref(items), tallies) != 0) return 1;
    }

    long made = 0;
    for (int i = 0; i < PRODUCERS; i++) made += rn_recv(finished);
    rn_close(items); /* nobody sends any more; the consumers drain what is left, then end */
    struct tally all = {0, 0};
    for (int i = 0; i < CONSUMERS; i++) {
        struct tally t = rn_recv(tallies);
        all.count += t.count;
        all.sum += t.sum;
    }
    printf("%ld made, %ld consumed, sum %ld\n", made, all.count, all.sum);
    rn_unref(items);
    rn_unref(finished);
    rn_unref(tallies);
    return 0;
}

int main(void) { return rn_run(warehouse, NULL); }
