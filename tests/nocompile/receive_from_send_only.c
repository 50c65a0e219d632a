/* SPDX-License-Identifier: MIT */
/* Receiving from a send-only channel. */
#include <runnel.h>

int receives(rn_send_chan(int) c, struct rn_ctx *ctx);

int receives(rn_send_chan(int) c, struct rn_ctx *ctx) {
    int v = 0;
    bool ok = false;
    v = rn_recv(c);                             // expect: this is a send-only channel
    (void)rn_recv_ok(c, &v);                    // expect: this is a send-only channel
    (void)rn_recv_ok(c, NULL);                  // expect: this is a send-only channel
    (void)rn_try_recv(c, &v);                   // expect: this is a send-only channel
    (void)rn_recv_until(c, &v, 0);              // expect: this is a send-only channel
    (void)rn_recv_ctx(ctx, c, &v);              // expect: this is a send-only channel
    (void)rn_select(rn_on_recv(c, &v));         // expect: this is a send-only channel
    (void)rn_select(rn_on_recv_ok(c, &v, &ok)); // expect: this is a send-only channel
    return c && ctx && v && ok;
}
