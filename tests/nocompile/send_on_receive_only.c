/* SPDX-License-Identifier: MIT */
/* Sending on a receive-only channel. */
#include <runnel.h>

int sends(rn_recv_chan(int) c, struct rn_ctx *ctx);

int sends(rn_recv_chan(int) c, struct rn_ctx *ctx) {
    rn_send(c, 1);                             // expect: this is a receive-only channel
    (void)rn_try_send(c, 1);                   // expect: this is a receive-only channel
    (void)rn_send_until(c, 1, 0);              // expect: this is a receive-only channel
    (void)rn_send_ctx(ctx, c, 1);              // expect: this is a receive-only channel
    (void)rn_select(rn_on_send(c, 1));         // expect: this is a receive-only channel
    (void)rn_select_default(rn_on_send(c, 1)); // expect: this is a receive-only channel
    return c && ctx;
}
