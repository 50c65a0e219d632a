/* SPDX-License-Identifier: MIT */
/* order_wg: an rn_wg_done happens before the return of the wait that it lets go: so the done comes last. */
#include <stdio.h>
#include <runnel.h>

enum { ROUNDS = 50 };

static int x;

static void write_it(rn_wg *wg, rn_send_chan(int) ended) {
#ifdef BROKEN
    rn_wg_done(wg);
    x = 42;
#else
    x = 42;
    rn_wg_done(wg);
#endif
    rn_send(ended, 1);
}

static int reader(void *arg) {
    (void)arg;
    x = 0;
    rn_wg wg = {0};
    rn_chan(int) ended = rn_make(int, 0);
    rn_wg_add(&wg, 1);
    if (!ended || rn_go(write_it, &wg, ended) != 0) return -1;
    rn_wg_wait(&wg);
    int seen = x;
    (void)rn_recv(ended);
    rn_unref(ended);
    return seen;
}

int main(void) {
    int right = 0;
    for (int i = 0; i < ROUNDS; i++) right += rn_run(reader, NULL) == 42;
    printf("%d of %d rounds saw 42\n", right, ROUNDS);
    return right != ROUNDS;
}
