/* SPDX-License-Identifier: MIT */
/* A user's program: sums what goroutines send. Built against the installed tree by check.sh. */
#include <runnel.h>

static void count(rn_send_chan(int) out, int from, int to) {
    for (int i = from; i < to; i++) rn_send(out, i);
    rn_close(out);
}

static int sum(void *arg) {
    (void)arg;
    int v, total = 0;
    rn_chan(int) c = rn_make(int, 4);
    if (rn_go(count, c, 0, 100) != 0) return 1;
    while (rn_recv_ok(c, &v)) total += v;
    rn_unref(c);
    return total == 4950 ? 0 : 1;
}

int main(void) { return rn_run(sum, NULL); }
