/* SPDX-License-Identifier: MIT */
/* A timer's channel and a context's are only received from; signals need a channel of int. */
#include <runnel.h>

int uses(rn_timer *t, rn_ticker *k, rn_ctx *ctx, rn_chan(long) wide, rn_recv_chan(int) in);

int uses(rn_timer *t, rn_ticker *k, rn_ctx *ctx, rn_chan(long) wide, rn_recv_chan(int) in) {
    rn_send(rn_timer_chan(t), 1); // expect: this is a receive-only channel
    rn_close(rn_ticker_chan(k));  // expect: this is a receive-only channel
    rn_close(rn_ctx_done(ctx));   // expect: this is a receive-only channel
    rn_close(rn_after(1));        // expect: this is a receive-only channel
    (void)rn_notify(wide, 2);     // expect: this is no channel of int
    (void)rn_notify(in, 2);       // expect: this is a receive-only channel
    rn_notify_stop(in);           // expect: this is a receive-only channel
    return t && k && ctx && wide && in;
}
