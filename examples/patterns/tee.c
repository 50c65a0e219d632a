/* SPDX-License-Identifier: MIT */
/*
 * tee: every value to two receivers, in whichever order they are ready. The case that has run is switched off by a
 * NULL channel, so each gets each value once.
 */
#include <stdio.h>
#include <runnel.h>

typedef rn_send_chan(int) send_int;

static void tee(rn_recv_chan(int) in, send_int a, send_int b) {
    for (int v; rn_recv_ok(in, &v);) {
        send_int to_a = a, to_b = b;
        for (int left = 2; left > 0; left--) {
            if (rn_select(rn_on_send(to_a, v), rn_on_send(to_b, v)) == 0)
                to_a = NULL;
            else
                to_b = NULL;
        }
    }
    rn_close(a);
    rn_close(b);
}

static void add(rn_recv_chan(int) in, rn_send_chan(long) out) {
    long sum = 0;
    for (int v; rn_recv_ok(in, &v);) sum += v;
    rn_send(out, sum);
}

static void count(rn_recv_chan(int) in, rn_send_chan(long) out) {
    long n = 0;
    while (rn_recv_ok(in, NULL)) n++;
    rn_send(out, n);
}

static int source(void *arg) {
    (void)arg;
    rn_chan(int) in = rn_make(int, 0), a = rn_make(int, 0), b = rn_make(int, 0);
    rn_chan(long) sum = rn_make(long, 0), n = rn_make(long, 0);
    if (!in || !a || !b || !sum || !n) return 1;
    if (rn_go(tee, in, a, b) || rn_go(add, a, sum) || rn_go(count, b, n)) return 1;
    for (int i = 1; i <= 100; i++) rn_send(in, i);
    rn_close(in);
    printf("sum %ld", rn_recv(sum));
    printf(" of %ld\n", rn_recv(n));
    rn_unref(in);
    rn_unref(a);
    rn_unref(b);
    rn_unref(sum);
    rn_unref(n);
    return 0;
}

int main(void) { return rn_run(source, NULL); }
