/* SPDX-License-Identifier: MIT */
/*
 * graceful_close: a send on a closed channel panics, so with several senders none of them, and
 * not the receiver either, may close the data channel. The receiver closes a second one, `enough`; the
 * senders see it, report what they have sent and end; no value is lost on the way.
 */
#include <stdio.h>
#include <runnel.h>

enum { SENDERS = 4, WANTED = 1000 };

struct nothing {};

static void send_all(rn_send_chan(int) data, rn_recv_chan(struct nothing) enough,
                     rn_send_chan(int) gone) {
    int sent = 0;
    while (rn_select(rn_on_send(data, 1), rn_on_recv(enough, NULL)) == 0) sent++;
    rn_send(gone, sent);
}

static int receiver(void *arg) {
    (void)arg;
    rn_chan(int) data = rn_make(int, 8), gone = rn_make(int, 0);
    rn_chan(struct nothing) enough = rn_make(struct nothing, 0);
    if (!data || !gone || !enough) return 1;
    for (int i = 0; i < SENDERS; i++) {
        if (rn_go(send_all, data, enough, gone) != 0) return 1;
    }

    int received = 0, sent = 0, ended = 0;
    while (received < WANTED) received += rn_recv(data);
    printf("%d received, that is enough\n", received);
    rn_close(enough);
    for (; ended < SENDERS; ended++) sent += rn_recv(gone);
    rn_close(
        data); /* safe now: all senders are gone. What they left in the buffer is still there. */
    while (rn_recv_ok(data, NULL)) received++;
    printf("%d senders gone, %s\n", ended, sent == received ? "nothing lost" : "values LOST");

    rn_unref(data);
    rn_unref(gone);
    rn_unref(enough);
    return sent != received;
}

int main(void) { return rn_run(receiver, NULL); }
