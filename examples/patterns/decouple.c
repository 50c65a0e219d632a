/* SPDX-License-Identifier: MIT */
/*
 * decouple: a producer that must not wait for a slow consumer. A buffer takes up bursts; when it is full somebody
 * has to lose: here once the newest values (drop), once the oldest (latest).
 */
#include <errno.h>
#include <stdio.h>
#include <runnel.h>

enum { VALUES = 10 };

/* Sends what there is room for. Returns how many were dropped. */
static int produce_drop(rn_send_chan(int) out) {
    int dropped = 0;
    for (int i = 1; i <= VALUES; i++) {
        if (rn_try_send(out, i) == -EAGAIN) dropped++;
    }
    rn_close(out);
    return dropped;
}

/* Throws out the oldest value until the new one fits. Right with one producer only, and it needs both directions. */
static void produce_latest(rn_chan(int) out) {
    for (int i = 1; i <= VALUES; i++) {
        while (rn_try_send(out, i) == -EAGAIN) (void)rn_try_recv(out, NULL);
    }
    rn_close(out);
}

static void consume(const char *name, rn_recv_chan(int) in) {
    printf("%s:", name);
    for (int v; rn_recv_ok(in, &v);) printf(" %d", v);
    printf("\n");
}

static int factory(void *arg) {
    (void)arg;
    rn_chan(int) first = rn_make(int, 4), latest = rn_make(int, 1);
    if (!first || !latest) return 1;
    int dropped = produce_drop(first); /* the consumer is still asleep */
    consume("the first come", first);
    printf("dropped: %d\n", dropped);
    produce_latest(latest);
    consume("the latest", latest);
    rn_unref(first);
    rn_unref(latest);
    return 0;
}

int main(void) { return rn_run(factory, NULL); }
