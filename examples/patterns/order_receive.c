/* SPDX-License-Identifier: MIT */
/*
 * order_receive: on an unbuffered channel a receive happens before its send completes. A buffer of one takes
 * that away: the send only says that there was room.
 */
#include <stdio.h>
#include <runnel.h>

#ifdef BROKEN
enum { ROOM = 1 };
#else
enum { ROOM = 0 };
#endif

enum { ROUNDS = 50 };

static int x;

static void write_it(rn_recv_chan(int) ready, rn_send_chan(int) ended) {
    x = 42;
    (void)rn_recv(ready);
    rn_send(ended, 1);
}

static int reader(void *arg) {
    (void)arg;
    x = 0;
    rn_chan(int) ready = rn_make(int, ROOM), ended = rn_make(int, 0);
    if (!ready || !ended || rn_go(write_it, ready, ended) != 0) return -1;
    rn_send(ready, 1);
    int seen = x;
    (void)rn_recv(ended);
    rn_unref(ready);
    rn_unref(ended);
    return seen;
}

int main(void) {
    int right = 0;
    for (int i = 0; i < ROUNDS; i++) right += rn_run(reader, NULL) == 42;
    printf("%d of %d rounds saw 42\n", right, ROUNDS);
    return right != ROUNDS;
}
