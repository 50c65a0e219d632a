/* SPDX-License-Identifier: MIT */
/*
 * select.h: wait for several channel operations and do exactly one, as Go's select.
 *
 *     switch (rn_select(rn_on_recv(jobs, &job), rn_on_send(out, res), rn_on_after(RN_SEC))) {
 *     case 0: ...   case 1: ...   case 2: ...
 *     }
 *
 * Operands are evaluated once, case by case in source order, before the choice; those of one receive in any order.
 * Cases with a NULL channel never run.
 * May be used from any goroutine and any plain thread, not in a signal handler.
 * Source of the behaviour: the Go specification, "Select statements".
 */
#ifndef RUNNEL_SELECT_H
#define RUNNEL_SELECT_H

#include <runnel/chan.h>

RN__BEGIN

enum rn_case_kind { RN_CASE_NONE, RN_CASE_SEND, RN_CASE_RECV, RN_CASE_UNTIL };

/* One case. Made by rn_on_...; may be filled by hand for rn_select_n: chan, v and kind. */
typedef struct rn_case {
    void *chan;   /* NULL: never runs */
    void *v;      /* send: the value; receive: where it goes, or NULL */
    bool *ok;     /* receive: set to whether a value came (false: closed); may be NULL */
    rn_time when; /* RN_CASE_UNTIL: the time at which the case becomes ready */
    enum rn_case_kind kind;
} rn_case;

enum {
    RN_DEFAULT = 1, /* do not block: return -1 when no case is ready */
    RN_INORDER = 2, /* take the first ready case in the array's order rather than one by chance */
};

/*
 * Do one of the n cases and return its index; blocks until one is ready, unless flags has RN_DEFAULT.
 * The choice among those that are ready is uniform, unless flags has RN_INORDER. Of several times only the earliest
 * counts; with RN_INORDER, the first that has come. Panics
 * `send on closed channel` if a send is chosen on a closed one. Up to 64 cases need no memory; more
 * come from malloc, and the failure of that panics `select: out of memory`. n over 65535 panics.
 */
RN_API int rn_select_n(const rn_case *cases, size_t n, int flags);

/*
 * Case makers. The channel's direction and the types are checked by the compiler.
 * rn_on_recv(c, T *v): v may be NULL.   rn_on_recv_ok(c, T *v, bool *ok).
 * rn_on_send(c, v): v converted to the element type.
 * rn_on_after(rn_duration d), rn_on_until(rn_time t): a time; no channel, no allocation.
 * rn_on_done(ctx): the context is done (context.h).
 *
 * A case points to its values. That of rn_on_send is a compound literal: it ends with the innermost block around it, and the
 * body of a loop is a block. So who fills an array in a loop gives the value a place that lasts as long as the array:
 *     cases[i] = (rn_case){.chan = c[i], .v = &v[i], .kind = RN_CASE_SEND};
 */
RN_API rn_case rn_on_after(rn_duration d);

#ifndef __cplusplus
#define rn_on_recv(c, v) rn__on_recv(RN__RECVABLE_INTO(c, v), (v), NULL)
#define rn_on_recv_ok(c, v, ok) rn__on_recv(RN__RECVABLE_INTO(c, v), (v), (ok))
/* An initialiser, not a call: gcc and clang evaluate those in order, but a call's arguments in any. */
#define rn_on_send(c, v)                                                                           \
    ((rn_case){RN__SENDABLE(c), (void *)(RN__ELEM(c)[1]){v}, NULL, 0, RN_CASE_SEND})

/* int rn_select(case, ...): blocks; returns the index of the case that ran. Without a case: blocks for ever. */
#define rn_select(...) RN__SELECT(0, __VA_ARGS__)
/* int rn_select_default(case, ...): never blocks; -1 when no case was ready. */
#define rn_select_default(...) RN__SELECT(RN_DEFAULT, __VA_ARGS__)
#define RN__SELECT(flags, ...)                                                                     \
    rn_select_n(((rn_case[]){RN__NO_CASE, __VA_ARGS__}) + 1, RN__NCASES(__VA_ARGS__), flags)
/* Each member by name: of one that is left out, gcc clears the whole array first, in 20 cycles and more. */
#define RN__NO_CASE                                                                                \
    { NULL, NULL, NULL, 0, RN_CASE_NONE }
#define RN__NCASES(...) (sizeof((rn_case[]){RN__NO_CASE, __VA_ARGS__}) / sizeof(rn_case) - 1)
#endif

static inline rn_case rn__on_recv(void *c, void *v, bool *ok) {
    rn_case r = {c, v, ok, 0, RN_CASE_RECV};
    return r;
}

static inline rn_case rn_on_until(rn_time t) {
    rn_case r = {NULL, NULL, NULL, t, RN_CASE_UNTIL};
    return r;
}

RN__END

#endif
