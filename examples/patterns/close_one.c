/* SPDX-License-Identifier: MIT */
/*
 * close_one: one sender, any number of receivers: the sender closes, and there is nothing else to do. For each
 * receiver the loop ends by itself.
 */
#include <stdio.h>
#include <runnel.h>

enum { RECEIVERS = 3, VALUES = 100 };

static void receive(rn_recv_chan(int) in, rn_send_chan(int) counts) {
    int n = 0;
    while (rn_recv_ok(in, NULL)) n++;
    rn_send(counts, n);
}

static int sender(void *arg) {
    (void)arg;
    rn_chan(int) data = rn_make(int, 8), counts = rn_make(int, 0);
    if (!data || !counts) return 1;
    for (int i = 0; i < RECEIVERS; i++) {
        if (rn_go(receive, data, counts) != 0) return 1;
    }
    for (int i = 0; i < VALUES; i++) rn_send(data, i);
    rn_close(data); /* what is in the buffer is still received */
    int n = 0;
    for (int i = 0; i < RECEIVERS; i++) n += rn_recv(counts);
    printf("%d sent, %d received\n", VALUES, n);
    rn_unref(data);
    rn_unref(counts);
    return 0;
}

int main(void) { return rn_run(sender, NULL); }
