/* SPDX-License-Identifier: MIT */
/*
 * periodic: something to do every 2 ms until it is stopped. The ticker belongs to the goroutine that uses it;
 * stopping a ticker does not close its channel, so the loop needs a way out of its own.
 */
#include <stdio.h>
#include <runnel.h>

struct nothing {};

static void beat(rn_send_chan(int) beats, rn_recv_chan(struct nothing) stop,
                 rn_send_chan(int) ended) {
    rn_ticker *t = rn_ticker_new(2 * RN_MS);
    for (int n = 1; t; n++) {
        if (rn_select(rn_on_recv(rn_ticker_chan(t), NULL), rn_on_recv(stop, NULL)) == 1) break;
        if (rn_select(rn_on_send(beats, n), rn_on_recv(stop, NULL)) == 1) break;
    }
    if (t) rn_ticker_free(t);
    rn_send(ended, 1);
}

static int patient(void *arg) {
    (void)arg;
    rn_chan(int) beats = rn_make(int, 0), ended = rn_make(int, 0);
    rn_chan(struct nothing) stop = rn_make(struct nothing, 0);
    rn_time start = rn_now();
    if (!beats || !ended || !stop || rn_go(beat, beats, stop, ended) != 0) return 1;
    for (int i = 0; i < 4; i++) printf("beat %d\n", rn_recv(beats));
    printf("4 beats take 8 ms or more: %s\n", rn_now() - start >= 8 * RN_MS ? "yes" : "NO");

    rn_close(stop);
    (void)rn_recv(ended);
    printf("stopped\n");
    rn_unref(beats);
    rn_unref(ended);
    rn_unref(stop);
    return 0;
}

int main(void) { return rn_run(patient, NULL); }
