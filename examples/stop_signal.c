/* SPDX-License-Identifier: MIT */
/*
 * stop_signal: closing a channel that carries no values tells any number of goroutines to stop:
 * a receive from a closed channel is always ready.
 */
#include <stdio.h>
#include <runnel.h>

enum { COUNTERS = 3 };

struct nothing {};

/* Counts for as long as anybody listens and nobody says stop. */
static void count(int from, int step, rn_send_chan(int) out, rn_recv_chan(struct nothing) stop,
                  rn_send_chan(int) stopped) {
    for (int n = from;; n += step) {
        if (rn_select(rn_on_send(out, n), rn_on_recv(stop, NULL)) == 1) break;
    }
    rn_send(stopped, step);
}

static int listener(void *arg) {
    (void)arg;
    rn_chan(struct nothing) stop = rn_make(struct nothing, 0);
    rn_chan(int) stopped = rn_make(int, 0), out[COUNTERS];
    if (!stop || !stopped) return 1;
    for (int i = 0; i < COUNTERS; i++) {
        out[i] = rn_make(int, 0);
        if (!out[i] || rn_go(count, 0, i + 1, out[i], stop, stopped) != 0) return 1;
    }

    for (int i = 0; i < COUNTERS; i++) {
        printf("by %d:", i + 1);
        for (int k = 0; k < 6; k++) printf(" %d", rn_recv(out[i]));
        printf("\n");
    }
    rn_close(stop);
    int steps = 0;
    for (int i = 0; i < COUNTERS; i++) steps += rn_recv(stopped);
    printf("all stopped: steps 1 + 2 + 3 = %d\n", steps);

    for (int i = 0; i < COUNTERS; i++) rn_unref(out[i]);
    rn_unref(stop);
    rn_unref(stopped);
    return 0;
}

int main(void) { return rn_run(listener, NULL); }
