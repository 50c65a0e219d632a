/* SPDX-License-Identifier: MIT */
#include "inspect/unwind.h"

#include <string.h>
#include <unwind.h>

#include "os/sanitizer.h"
#include "sched/core.h"

enum { HALF = RN__FRAMES / 2, MOST = 1 << 18, HOP_STACK = 256 * 1024 };

_Unwind_Reason_Code rn__unwind_ctx(struct rn__ctx *ctx, _Unwind_Trace_Fn fn, void *arg) RN_HIDDEN;

/* ---- walking ---- */

/* The first half goes to its place; the others into a ring that holds the last half. */
struct walk {
    struct rn__stack_pcs *out;
    uint32_t seen;
    uintptr_t ring[HALF];
    bool ring_exact[HALF];
    bool began;
};

static void set_exact(struct rn__stack_pcs *s, uint32_t i, bool exact) {
    if (exact) s->exact[i / 64] |= (uint64_t)1 << (i % 64);
}

static _Unwind_Reason_Code visit(struct _Unwind_Context *c, void *arg) {
    struct walk *w = arg;
    int exact = 0;
    uintptr_t pc = _Unwind_GetIPInfo(c, &exact);
    if (!w->began) { /* rn__unwind_ctx itself */
        w->began = true;
        return _URC_NO_REASON;
    }
    if (pc == 0 || w->seen == MOST) return _URC_END_OF_STACK;
    if (w->seen < HALF) {
        w->out->pc[w->seen] = pc;
        set_exact(w->out, w->seen, exact != 0);
    } else {
        w->ring[w->seen % HALF] = pc;
        w->ring_exact[w->seen % HALF] = exact != 0;
    }
    w->seen++;
    return _URC_NO_REASON;
}

void rn__unwind(struct rn__ctx *ctx, struct rn__stack_pcs *out) {
    struct walk w;
    w.out = out;
    w.seen = 0;
    w.began = false;
    out->exact[0] = out->exact[1] = 0;
    rn__unwind_ctx(ctx, visit, &w);
    out->n = w.seen < RN__FRAMES ? w.seen : RN__FRAMES;
    out->elided = w.seen - out->n;
    for (uint32_t i = HALF; i < out->n; i++) {
        uint32_t at = w.seen - out->n + i; /* its number, counted from the innermost */
        out->pc[i] = w.ring[at % HALF];
        set_exact(out, i, w.ring_exact[at % HALF]);
    }
}

/* ---- the observers' own stacks ---- */

static char hop_stacks[2][HOP_STACK] __attribute__((aligned(64)));
struct hop {
    struct rn__ctx *from, here;
    void (*fn)(void *);
    void *arg;
};
static struct hop hops[2];

static RN_UNSEEN void san_switch(void **save, const void *bottom, size_t size) {
    if (__sanitizer_start_switch_fiber) __sanitizer_start_switch_fiber(save, bottom, size);
}

static RN_UNSEEN void san_arrive(void *save, const void **bottom, size_t *size) {
    if (__sanitizer_finish_switch_fiber) __sanitizer_finish_switch_fiber(save, bottom, size);
}

/* Called by rn__hop_entry on one of hop_stacks. */
RN_HIDDEN void rn__hop_main(void);
__attribute__((used)) RN_UNSEEN void rn__hop_main(void) {
    /* On riscv64 a frame's address is its upper end: that of the first stack is where the second begins. */
    struct hop *h = &hops[(char *)__builtin_frame_address(0) > hop_stacks[1]];
    const void *bottom = NULL;
    size_t size = 0;
    san_arrive(NULL, &bottom, &size);
    h->fn(h->arg);
    san_switch(NULL, bottom, size);
    rn__arch_switch(&h->here, h->from);
}

RN_UNSEEN void rn__hop(enum rn__hop_stack which, struct rn__ctx *from, void (*fn)(void *),
                       void *arg) {
    struct hop *h = &hops[which];
    h->from = from;
    h->fn = fn;
    h->arg = arg;
    /* Not its very end, which is the other's beginning. */
    struct rn__ctx to = {hop_stacks[which] + HOP_STACK - 64, NULL,
                         (void *)(uintptr_t)rn__hop_entry};
    void *save = NULL;
    san_switch(&save, hop_stacks[which], HOP_STACK);
    rn__arch_switch(from, &to);
    san_arrive(save, NULL, NULL);
}

void rn__hop_memory(char **lo, char **hi) {
    *lo = hop_stacks[0];
    *hi = *lo + sizeof hop_stacks;
}
