/* SPDX-License-Identifier: MIT */
/* order_go: what is done before rn_go happens before the new goroutine starts; what is done after it does not. */
#include <stdio.h>
#include <runnel.h>

enum { ROUNDS = 50 };

static int x;

static void read_it(rn_send_chan(int) answer) { rn_send(answer, x); }

static int starter(void *arg) {
    (void)arg;
    x = 0;
    rn_chan(int) answer = rn_make(int, 0);
    if (!answer) return -1;
#ifdef BROKEN
    if (rn_go(read_it, answer) != 0) return -1;
    x = 42;
#else
    x = 42;
    if (rn_go(read_it, answer) != 0) return -1;
#endif
    int seen = rn_recv(answer);
    rn_unref(answer);
    return seen;
}

int main(void) {
    int right = 0;
    for (int i = 0; i < ROUNDS; i++) right += rn_run(starter, NULL) == 42;
    printf("%d of %d rounds saw 42\n", right, ROUNDS);
    return right != ROUNDS;
}
