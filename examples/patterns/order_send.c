/* SPDX-License-Identifier: MIT */
/* order_send: a send happens before its receive completes; so does what the sender did before, not what it does after. */
#include <stdio.h>
#include <runnel.h>

enum { ROUNDS = 50 };

static int x;

static void write_it(rn_send_chan(int) ready, rn_send_chan(int) ended) {
#ifdef BROKEN
    rn_send(ready, 1);
    x = 42;
#else
    x = 42;
    rn_send(ready, 1);
#endif
    rn_send(ended, 1);
}

static int reader(void *arg) {
    (void)arg;
    x = 0;
    rn_chan(int) ready = rn_make(int, 1), ended = rn_make(int, 0);
    if (!ready || !ended || rn_go(write_it, ready, ended) != 0) return -1;
    (void)rn_recv(ready);
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
