/* SPDX-License-Identifier: MIT */
/*
 * stop.c: one goroutine, the moderator, decides that all should stop and closes the channel that tells it.
 *
 * Requests come from rn_notify, for signals, and from the collector when stdout fails. They could not
 * both close `stop`: closing twice panics. The channel of requests holds one; what comes when it is full is not
 * needed. After the first the signals have their default action again: a second one ends the program at once.
 */
#define _GNU_SOURCE
#include <signal.h>

#include "treesum.h"

/* What was ignored when we were started (nohup, a background job) stays ignored. */
void stop_on_signals(const struct plan *p) {
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++) {
        struct sigaction old;
        sigaction(signals[i], NULL, &old);
        if (old.sa_handler != SIG_IGN && rn_notify(p->requests, signals[i]) != 0) need(NULL);
    }
    signal(SIGPIPE, SIG_IGN); /* a closed pipe is an error of write(2), with a message */
}

void moderate(const struct plan *p) {
    int why = 0;
    bool asked = rn_recv_ok(p->requests, &why);
    rn_notify_stop(p->requests);
    if (asked) rn_close(p->stop);
    rn_send(p->verdict, why);
}

/* At the end of the work. Returns the signal that stopped it, or 0. */
int stop_end(const struct plan *p) {
    rn_notify_stop(p->requests); /* nothing is sent on it after this */
    rn_close(p->requests);
    return rn_recv(p->verdict);
}
