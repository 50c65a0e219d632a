/* SPDX-License-Identifier: MIT */
/*
 * chan_of_chans: channels are values. A request carries the channel for its answer, so that one server
 * serves many clients and each gets its own answer, without an address or a table.
 */
#include <stdio.h>
#include <runnel.h>

enum { CLIENTS = 5 };

struct request {
    int number;
    rn_send_chan(long) answer;
};

static void serve(rn_recv_chan(struct request) requests) {
    for (struct request r; rn_recv_ok(requests, &r);) {
        long factorial = 1;
        for (int i = 2; i <= r.number; i++) factorial *= i;
        rn_send(r.answer, factorial);
    }
    rn_unref(requests);
}

static void ask(int number, rn_send_chan(struct request) server, rn_send_chan(long) result) {
    rn_chan(long) answer = rn_make(long, 0);
    if (!answer) rn_panic("out of memory");
    rn_send(server, ((struct request){number, answer}));
    rn_send(result, rn_recv(answer));
    rn_unref(answer); /* at once, although the server may still be on its way out of its send */
}

static int clients(void *arg) {
    (void)arg;
    rn_chan(struct request) server = rn_make(struct request, 0);
    if (!server || rn_go(serve, server) != 0) return 1;
    rn_chan(long) results[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) {
        results[i] = rn_make(long, 1);
        if (!results[i] || rn_go(ask, 3 * i, server, results[i]) != 0) return 1;
    }
    for (int i = 0; i < CLIENTS; i++) { /* all are under way; look at them in order */
        printf("%2d! = %ld\n", 3 * i, rn_recv(results[i]));
        rn_unref(results[i]);
    }
    rn_close(server);
    return 0;
}

int main(void) { return rn_run(clients, NULL); }
