/* SPDX-License-Identifier: MIT */
/*
 * close_many: many senders and many receivers, each of whom may want the end. Nobody closes the data while a sender
 * lives. Who wants the end asks a moderator, by a channel with room for one wish: later wishes are dropped. The
 * moderator closes `stop`, waits for the senders, and closes the data.
 */
#include <stdio.h>
#include <runnel.h>

enum { SENDERS = 4, RECEIVERS = 3, ENOUGH = 50 };

struct nothing {};
typedef rn_recv_chan(struct nothing) stop_chan;

static void supply(rn_send_chan(int) data, stop_chan stop, rn_send_chan(int) sent) {
    int n = 0;
    while (rn_select(rn_on_send(data, 1), rn_on_recv(stop, NULL)) == 0) n++;
    rn_send(sent, n);
}

static void receive(rn_recv_chan(int) data, rn_send_chan(int) wishes, rn_send_chan(int) got) {
    int n = 0;
    while (rn_recv_ok(data, NULL)) {
        if (++n == ENOUGH) (void)rn_try_send(wishes, 1); /* and goes on: nothing is lost */
    }
    rn_send(got, n);
}

static int moderator(void *arg) {
    (void)arg;
    rn_chan(int) data = rn_make(int, 8), wishes = rn_make(int, 1);
    rn_chan(int) sent = rn_make(int, 0), got = rn_make(int, 0);
    rn_chan(struct nothing) stop = rn_make(struct nothing, 0);
    if (!data || !wishes || !sent || !got || !stop) return 1;
    for (int i = 0; i < SENDERS; i++) {
        if (rn_go(supply, data, stop, sent) != 0) return 1;
    }
    for (int i = 0; i < RECEIVERS; i++) {
        if (rn_go(receive, data, wishes, got) != 0) return 1;
    }

    (void)rn_recv(wishes);
    rn_close(stop);
    int balance = 0;
    for (int i = 0; i < SENDERS; i++) balance += rn_recv(sent);
    rn_close(data); /* all senders have ended */
    for (int i = 0; i < RECEIVERS; i++) balance -= rn_recv(got);
    printf("stopped; sent and not received: %d\n", balance);
    rn_unref(data);
    rn_unref(wishes);
    rn_unref(sent);
    rn_unref(got);
    rn_unref(stop);
    return balance != 0;
}

int main(void) { return rn_run(moderator, NULL); }
