/* SPDX-License-Identifier: MIT */
/* order_end: the end of a goroutine orders nothing. To see that it is gone is not to see what it did: let it say so. */
#include <stdio.h>
#include <runnel.h>

enum { ROUNDS = 50 };

static int x;

static void write_it(rn_send_chan(int) done) {
    x = 42;
#ifdef BROKEN
    (void)done;
#else
    rn_send(done, 1);
#endif
}

static int waiter(void *arg) {
    (void)arg;
    x = 0;
    rn_chan(int) done = rn_make(int, 0);
    if (!done || rn_go(write_it, done) != 0) return -1;
#ifdef BROKEN
    while (rn_goroutines() > 1) rn_yield();
#else
    (void)rn_recv(done);
#endif
    rn_unref(done);
    return x;
}

int main(void) {
    int right = 0;
    for (int i = 0; i < ROUNDS; i++) right += rn_run(waiter, NULL) == 42;
    printf("%d of %d rounds saw 42\n", right, ROUNDS);
    return right != ROUNDS;
}
