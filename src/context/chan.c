/* SPDX-License-Identifier: MIT */
/* chan.c: sending and receiving that a context can end: a select of the operation and the context's end. */
#include <runnel/context.h>

#include <errno.h>

#include "chan/select.h"

static int operate(rn_ctx *ctx, rn_case op) {
    rn_case cases[] = {op, rn_on_done(ctx)};
    bool closed;
    if (rn__select_n(cases, 2, 0, &closed) == 1) return rn_ctx_err(ctx);
    return closed ? -EPIPE : 0;
}

int rn_chan_send_ctx(rn_ctx *ctx, void *c, const void *v) {
    return operate(ctx, (rn_case){c, (void *)(uintptr_t)v, NULL, 0, RN_CASE_SEND});
}

int rn_chan_recv_ctx(rn_ctx *ctx, void *c, void *v) {
    return operate(ctx, rn__on_recv(c, v, NULL));
}
