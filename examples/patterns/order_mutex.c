/* SPDX-License-Identifier: MIT */
/*
 * order_mutex: the n-th unlock happens before the m-th lock returns, n < m. A failed try-lock orders nothing: that
 * somebody has the mutex does not tell what he has done.
 */
#include <stdio.h>
#include <runnel.h>

enum { ROUNDS = 50 };

static rn_mutex m;
static int x; /* under m */

static void add_one(rn_send_chan(int) ended) {
#ifdef BROKEN
    while (rn_mutex_try_lock(&m)) { /* until it fails */
        rn_mutex_unlock(&m);
        rn_yield();
    }
    x++;
#else
    rn_mutex_lock(&m);
    x++;
    rn_mutex_unlock(&m);
#endif
    rn_send(ended, 1);
}

static int counter(void *arg) {
    (void)arg;
    x = 0;
    rn_chan(int) ended = rn_make(int, 0);
    if (!ended || rn_go(add_one, ended) != 0) return -1;
    rn_mutex_lock(&m);
    x++;
#ifdef BROKEN
    (void)rn_recv(ended); /* keep it locked until the other has failed */
    rn_mutex_unlock(&m);
#else
    rn_mutex_unlock(&m);
    (void)rn_recv(ended);
#endif
    rn_unref(ended);
    return x;
}

int main(void) {
    int right = 0;
    for (int i = 0; i < ROUNDS; i++) right += rn_run(counter, NULL) == 2;
    printf("%d of %d rounds saw 2\n", right, ROUNDS);
    return right != ROUNDS;
}
