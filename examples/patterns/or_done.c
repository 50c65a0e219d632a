/* SPDX-License-Identifier: MIT */
/*
 * or_done: a loop over a channel that also ends when somebody says so, and one channel that is closed when any of
 * several is.
 */
#include <stdio.h>
#include <runnel.h>

struct nothing {};
typedef rn_chan(struct nothing) signal_chan;
typedef rn_recv_chan(struct nothing) signal_in;

/* False: `in` is drained, or `done` is closed. The loop's body is in the caller. */
static bool next(rn_recv_chan(int) in, signal_in done, int *v) {
    bool ok = false;
    return rn_select(rn_on_recv_ok(in, v, &ok), rn_on_recv(done, NULL)) == 0 && ok;
}

/* Closes `any` once one of a, b, c is closed. */
static void close_when_any(signal_in a, signal_in b, signal_in c,
                           rn_send_chan(struct nothing) any) {
    rn_select(rn_on_recv(a, NULL), rn_on_recv(b, NULL), rn_on_recv(c, NULL));
    rn_close(any);
}

static int listener(void *arg) {
    (void)arg;
    signal_chan s[3], any = rn_make(struct nothing, 0);
    for (int i = 0; i < 3; i++) s[i] = rn_make(struct nothing, 0);
    rn_chan(int) data = rn_make(int, 3);
    if (!s[0] || !s[1] || !s[2] || !any || !data) return 1;
    if (rn_go(close_when_any, s[0], s[1], s[2], any) != 0) return 1;

    int v, n = 0;
    for (int i = 0; i < 3; i++) rn_send(data, i);
    while (n < 3 && next(data, any, &v)) n++;
    printf("%d values\n", n);
    rn_close(s[1]);
    while (next(data, any, &v)) n++; /* data stays open and empty: only `any` can end this */
    printf("then one of three signals\n");

    for (int i = 0; i < 3; i++) rn_unref(s[i]);
    rn_unref(any);
    rn_unref(data);
    return 0;
}

int main(void) { return rn_run(listener, NULL); }
