/* SPDX-License-Identifier: MIT */
/*
 * select_loop: an event loop that takes from two sources and feeds a sink, whichever is ready. A
 * channel that is NULL is never ready: a source that has ended, and the sink while there is nothing
 * to give, are switched off that way, as in Go.
 */
#include <stdio.h>
#include <runnel.h>

static void source(rn_send_chan(int) out, int first, int count) {
    for (int i = 0; i < count; i++) rn_send(out, first + i);
    rn_close(out);
}

static void sink(rn_recv_chan(int) in, rn_send_chan(long) total) {
    long sum = 0;
    for (int n; rn_recv_ok(in, &n);) sum += n;
    rn_unref(in);
    rn_send(total, sum);
}

/* A value goes into the queue; an end switches its source off. */
static int *take(rn_chan(int) * source, bool ok, int n, int *tail) {
    if (ok) {
        *tail = n;
        return tail + 1;
    }
    rn_unref(*source);
    *source = NULL;
    return tail;
}

static int loop(void *arg) {
    (void)arg;
    rn_chan(int) a = rn_make(int, 0), b = rn_make(int, 0), out = rn_make(int, 0);
    rn_chan(long) total = rn_make(long, 0);
    if (!a || !b || !out || !total) return 1;
    int first = rn_select_default(rn_on_recv(a, NULL), rn_on_recv(b, NULL));
    printf("before anybody sends: %d\n", first);
    if (rn_go(source, a, 1, 100) || rn_go(source, b, 1001, 50) || rn_go(sink, out, total)) return 1;

    int queue[151], *head = queue, *tail = queue, n = 0;
    bool ok = true;
    while (a || b || head < tail) {
        switch (rn_select(rn_on_recv_ok(a, &n, &ok), rn_on_recv_ok(b, &n, &ok),
                          rn_on_send(head < tail ? out : NULL, *head))) {
        case 0: tail = take(&a, ok, n, tail); break;
        case 1: tail = take(&b, ok, n, tail); break;
        case 2: head++; break;
        }
    }
    rn_close(out);
    printf("%d passed on, total %ld\n", (int)(head - queue), rn_recv(total));
    rn_unref(total);
    return 0;
}

int main(void) { return rn_run(loop, NULL); }
