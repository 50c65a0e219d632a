/* SPDX-License-Identifier: MIT */
/*
 * rate: at most one request each 2 ms, but a burst of three after a rest. The bucket is a buffered channel, full at
 * first; a ticker puts in one token at a time, and what does not fit is lost: so rests do not add up.
 */
#include <stdio.h>
#include <runnel.h>

enum { BURST = 3, REQUESTS = 6 };

#define INTERVAL (2 * RN_MS)

struct token {};

static void refill(rn_ticker *ticker, rn_send_chan(struct token) bucket,
                   rn_recv_chan(struct token) stop, rn_send_chan(int) ended) {
    while (rn_select(rn_on_recv(rn_ticker_chan(ticker), NULL), rn_on_recv(stop, NULL)) == 0)
        (void)rn_try_send(bucket, (struct token){});
    rn_send(ended, 1);
}

static int client(void *arg) {
    (void)arg;
    rn_chan(struct token) bucket = rn_make(struct token, BURST), stop = rn_make(struct token, 0);
    rn_chan(int) ended = rn_make(int, 0);
    if (!bucket || !stop || !ended) return 1;
    for (int i = 0; i < BURST; i++) rn_send(bucket, (struct token){});
    rn_time start = rn_now();
    rn_ticker *ticker = rn_ticker_new(INTERVAL);
    if (!ticker || rn_go(refill, ticker, bucket, stop, ended) != 0) return 1;

    for (int i = 1; i <= REQUESTS; i++) {
        (void)rn_recv_ok(bucket, NULL);
        bool early = i > BURST && rn_now() - start < (i - BURST) * INTERVAL;
        printf("request %d %s\n", i, early ? "TOO EARLY" : i <= BURST ? "at once" : "in its time");
    }
    rn_close(stop);
    (void)rn_recv(ended);
    rn_ticker_free(ticker);
    rn_unref(bucket);
    rn_unref(stop);
    rn_unref(ended);
    return 0;
}

int main(void) { return rn_run(client, NULL); }
