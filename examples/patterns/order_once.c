/* SPDX-License-Identifier: MIT */
/*
 * order_once: the end of f happens before any rn_once_do returns. A flag of one's own beside it, to save the
 * call, is the famous mistake; and the call is a load and a branch already.
 */
#include <stdio.h>
#include <runnel.h>

enum { GOROUTINES = 3, ROUNDS = 50 };

static rn_once once;
static int x, ready;

static void make_it(void *unused) {
    (void)unused;
    x = 42;
    ready = 1;
}

static void read_it(rn_send_chan(int) answer) {
#ifdef BROKEN
    if (!ready)
#endif
        rn_once_do(&once, make_it, NULL);
    rn_send(answer, x);
}

static int caller(void *arg) {
    (void)arg;
    x = ready = 0;
    once = (rn_once){0};
    rn_chan(int) answer = rn_make(int, 0);
    if (!answer) return -1;
    for (int i = 0; i < GOROUTINES; i++) {
        if (rn_go(read_it, answer) != 0) return -1;
    }
    int seen = -1;
    for (int i = 0; i < GOROUTINES; i++) seen &= rn_recv(answer);
    rn_unref(answer);
    return seen;
}

int main(void) {
    int right = 0;
    for (int i = 0; i < ROUNDS; i++) right += rn_run(caller, NULL) == 42;
    printf("%d of %d rounds saw 42\n", right, ROUNDS);
    return right != ROUNDS;
}
