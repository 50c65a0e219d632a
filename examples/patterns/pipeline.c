/* SPDX-License-Identifier: MIT */
/*
 * pipeline: stages joined by channels, ended from below: the consumer has enough, cancels, and no stage hangs in a
 * send. Each stage owns its outgoing channel and closes it when it ends, whatever the reason.
 */
#include <stdio.h>
#include <runnel.h>

static rn_wg stages;

static void numbers(rn_ctx *ctx, rn_send_chan(long) out) {
    for (long i = 1; rn_send_ctx(ctx, out, i) == 0; i++) {
    }
    rn_close(out);
    rn_unref(out);
    rn_wg_done(&stages);
}

static void squares(rn_ctx *ctx, rn_recv_chan(long) in, rn_send_chan(long) out) {
    for (long v; rn_recv_ok(in, &v);) {
        if (rn_send_ctx(ctx, out, v * v) != 0) break;
    }
    rn_close(out);
    rn_unref(in);
    rn_unref(out);
    rn_wg_done(&stages);
}

static int consumer(void *arg) {
    (void)arg;
    rn_ctx *ctx = rn_ctx_with_cancel(rn_ctx_background());
    rn_chan(long) a = rn_make(long, 0), b = rn_make(long, 0), c = rn_make(long, 0);
    if (!ctx || !a || !b || !c) return 1;
    rn_wg_add(&stages, 3);
    if (rn_go(numbers, ctx, rn_ref(a)) != 0) return 1;
    if (rn_go(squares, ctx, a, rn_ref(b)) != 0) return 1; /* a is the stage's now */
    if (rn_go(squares, ctx, b, rn_ref(c)) != 0) return 1;

    for (long v; rn_recv_ok(c, &v);) {
        printf("%ld\n", v);
        if (v > 500) break;
    }
    rn_ctx_cancel(ctx);
    rn_wg_wait(&stages); /* without the cancel: for ever */
    printf("all stages have ended\n");
    rn_unref(c);
    rn_ctx_unref(ctx);
    return 0;
}

int main(void) { return rn_run(consumer, NULL); }
