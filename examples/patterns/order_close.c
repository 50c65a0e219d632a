/* SPDX-License-Identifier: MIT */
/* order_close: a close happens before the receives that return zero because of it. */
#include <stdio.h>
#include <runnel.h>

struct nothing {};

enum { ROUNDS = 50 };

static int x;

static void write_it(rn_send_chan(struct nothing) ready, rn_send_chan(int) ended) {
#ifdef BROKEN
    rn_close(ready);
    x = 42;
#else
    x = 42;
    rn_close(ready);
#endif
    rn_send(ended, 1);
}

static int reader(void *arg) {
    (void)arg;
    x = 0;
    rn_chan(struct nothing) ready = rn_make(struct nothing, 0);
    rn_chan(int) ended = rn_make(int, 0);
    if (!ready || !ended || rn_go(write_it, ready, ended) != 0) return -1;
    (void)rn_recv_ok(ready, NULL);
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
