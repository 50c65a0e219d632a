/* SPDX-License-Identifier: MIT */
/*
 * order_capacity: the k-th receive happens before the (k+C)-th send completes: a channel of capacity C lets C
 * in at a time. With one it is a mutex; with two it is not.
 */
#include <stdio.h>
#include <runnel.h>

#ifdef BROKEN
enum { ROOM = 2 };
#else
enum { ROOM = 1 };
#endif

enum { GOROUTINES = 4, ROUNDS = 50 };

static int x;

static void add_one(rn_chan(int) room, rn_send_chan(int) ended) {
    rn_send(room, 1);
    x++;
    (void)rn_recv(room);
    rn_send(ended, 1);
}

static int counter(void *arg) {
    (void)arg;
    x = 0;
    rn_chan(int) room = rn_make(int, ROOM), ended = rn_make(int, 0);
    if (!room || !ended) return -1;
    for (int i = 0; i < GOROUTINES; i++) {
        if (rn_go(add_one, room, ended) != 0) return -1;
    }
    for (int i = 0; i < GOROUTINES; i++) (void)rn_recv(ended);
    rn_unref(room);
    rn_unref(ended);
    return x;
}

int main(void) {
    int right = 0;
    for (int i = 0; i < ROUNDS; i++) right += rn_run(counter, NULL) == 4;
    printf("%d of %d rounds saw 4\n", right, ROUNDS);
    return right != ROUNDS;
}
