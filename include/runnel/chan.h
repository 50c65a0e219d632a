/* SPDX-License-Identifier: MIT */
/*
 * chan.h: typed channels, as Go's.
 *
 * rn_chan(T) is the type of a channel of T; rn_send_chan(T) can only be sent on
 * and closed, rn_recv_chan(T) only received from. A channel converts to either
 * direction by itself; a wrong direction or element type does not compile.
 * NULL is Go's nil channel.
 *
 * All operations may be used from any goroutine and any plain thread together.
 * "Blocks" means: parks the goroutine, or lets the plain thread sleep in the kernel. None may be called in a signal handler.
 * Source of the behaviour: the Go specification, "Channel types", "Send statements",
 * "Receive operator", "Close".
 */
#ifndef RUNNEL_CHAN_H
#define RUNNEL_CHAN_H

#include <errno.h>
#include <runnel/base.h>

RN__BEGIN

#ifndef __cplusplus

/*
 * The types. They are pointers to arrays that do not exist: a pointer to an array of unknown
 * length is compatible with pointers to arrays of any length, which gives
 * Go's conversion from both directions to one, and none back.
 */
#define rn_chan(T) __typeof__(__typeof__(T)(*)[])
#define rn_send_chan(T) __typeof__(__typeof__(T)(*)[1])
#define rn_recv_chan(T) __typeof__(__typeof__(T)(*)[2])

/*
 * rn_chan(T) rn_make(T, int64_t cap): a new channel with room for cap elements; 0: unbuffered.
 * The caller owns one reference, to be given back with rn_unref. NULL when there is no memory.
 * Panics `makechan: size out of range` for a negative or overflowing cap, and
 * `makechan: invalid channel element type` for elements of 64 KiB and more. Never blocks.
 */
#define rn_make(T, cap) ((rn_chan(T))rn_chan_make(sizeof(T), (cap)))

/*
 * void rn_send(c, v): send v, converted to the element type; blocks until a receiver or the
 * buffer has taken it. Blocks for ever on NULL. Panics `send on closed channel`.
 */
#define rn_send(c, v) RN__SEND(rn_chan_send, c, v, __COUNTER__)

/*
 * T rn_recv(c): receive; blocks until there is a value or the channel is closed and drained: then
 * the value is all zero bytes. Blocks for ever on NULL.
 */
#define rn_recv(c) RN__RECV(c, __COUNTER__)

/*
 * bool rn_recv_ok(c, T *v): receive into *v. False, and *v zeroed, once the channel is closed and
 * drained. `while (rn_recv_ok(c, &v))` is Go's `for v := range c`. v may be NULL: the value is dropped.
 */
#define rn_recv_ok(c, v) rn_chan_recv(RN__RECVABLE_INTO(c, v), (v))

/*
 * int rn_try_send(c, v): send if that needs no waiting. 0; -EAGAIN: would block; -EPIPE: closed.
 * int rn_try_recv(c, T *v): receive if that needs no waiting. 0; -EAGAIN: would block;
 * -EPIPE: closed and drained, *v zeroed. v may be NULL. On NULL: -EAGAIN. Never block.
 */
#define rn_try_send(c, v) RN__SEND(rn__try_send, c, v, __COUNTER__)
#define rn_try_recv(c, v) rn__try_recv(RN__RECVABLE_INTO(c, v), (v))

/*
 * int rn_send_until(c, v, rn_time t): send, waiting until t at most. 0; -ETIMEDOUT; -EPIPE: closed.
 * Not 0: nothing was sent and the value is still the caller's. What is ready at once is done even if t has passed.
 * int rn_recv_until(c, T *v, rn_time t): 0; -ETIMEDOUT, *v untouched, nothing received;
 * -EPIPE: closed and drained, *v zeroed. v may be NULL. On a NULL channel both wait until t. Block.
 */
#define rn_send_until(c, v, t) RN__SEND_X(rn_chan_send_until, c, v, t, __COUNTER__)
#define rn_recv_until(c, v, t) rn_chan_recv_until(RN__RECVABLE_INTO(c, v), (v), (t))

/*
 * int rn_send_ctx(ctx, c, v), int rn_recv_ctx(ctx, c, T *v): the same, ended by the context:
 * -ECANCELED when it was cancelled, -ETIMEDOUT when its deadline passed; -EPIPE as above. What is ready at once is done
 * or refused at random when the context is done too, as Go's select chooses. Block. Panic `context: NULL context`, and
 * `context: out of memory` as rn_ctx_done does (context.h).
 */
#define rn_send_ctx(ctx, c, v) RN__SEND_CTX(ctx, c, v, __COUNTER__)
#define rn_recv_ctx(ctx, c, v) rn_chan_recv_ctx((ctx), RN__RECVABLE_INTO(c, v), (v))

/*
 * void rn_close(c): no more is sent. Wakes all receivers with zero and false, then all senders, which
 * panic. Panics `close of closed channel`, `close of nil channel`. Never blocks.
 */
#define rn_close(c) rn_chan_close(RN__SENDABLE(c))

/* size_t rn_len(c), rn_cap(c): elements in the buffer now, and its size. 0 for NULL. Never block. */
#define rn_len(c) rn_chan_len(RN__ANY(c))
#define rn_cap(c) rn_chan_cap(RN__ANY(c))

/*
 * rn_ref(c): one more reference; returns c. rn_unref(c): one less; the last one frees the channel (not what
 * pointers in its buffer point to). NULL is allowed. Never block. Whoever has seen the last
 * communication may drop the last reference at once, whatever the other side still does on its way out. Dropping it while
 * somebody still waits on the channel is a fatal error.
 */
#define rn_ref(c) ((__typeof__(c))rn_chan_ref(RN__ANY(c)))
#define rn_unref(c) rn_chan_unref(RN__ANY(c))

/* What the macros are made of; not for direct use. */
#define RN__ELEM(c) __typeof__((*(c))[0])
#define RN__CAN_SEND(c) __builtin_types_compatible_p(__typeof__(c), RN__ELEM(c)(*)[1])
#define RN__CAN_RECV(c) __builtin_types_compatible_p(__typeof__(c), RN__ELEM(c)(*)[2])
/* A comma, not a sum: clang and its sanitizer mind adding even 0 to NULL. */
#define RN__SENDABLE(c)                                                                            \
    ((void)RN__CHECK(RN__CAN_SEND(c), "this is a receive-only channel (or no channel)"),           \
     (char *)(c))
#define RN__RECVABLE(c)                                                                            \
    ((void)RN__CHECK(RN__CAN_RECV(c), "this is a send-only channel (or no channel)"), (char *)(c))
#define RN__RECVABLE_INTO(c, v) ((void)RN__CHECK_PTR(c, v), RN__RECVABLE(c))
#define RN__ANY(c)                                                                                 \
    ((void)RN__CHECK(RN__CAN_SEND(c) || RN__CAN_RECV(c), "this is no channel"), (char *)(c))
#define RN__CHECK_PTR(c, v)                                                                        \
    RN__CHECK(__builtin_types_compatible_p(__typeof__(*(v)), RN__ELEM(c)) ||                       \
                  __builtin_types_compatible_p(__typeof__(v), void *),                             \
              "the pointer does not point to the channel's element type")
#define RN__SEND(op, c, v, id)                                                                     \
    __extension__({                                                                                \
        __auto_type RN__CAT(rn_c_, id) = (c);                                                      \
        RN__ELEM(RN__CAT(rn_c_, id)) RN__CAT(rn_v_, id) = (v);                                     \
        op(RN__SENDABLE(RN__CAT(rn_c_, id)), &RN__CAT(rn_v_, id));                                 \
    })
#define RN__SEND_X(op, c, v, x, id)                                                                \
    __extension__({                                                                                \
        __auto_type RN__CAT(rn_c_, id) = (c);                                                      \
        RN__ELEM(RN__CAT(rn_c_, id)) RN__CAT(rn_v_, id) = (v);                                     \
        op(RN__SENDABLE(RN__CAT(rn_c_, id)), &RN__CAT(rn_v_, id), (x));                            \
    })
#define RN__SEND_CTX(ctx, c, v, id)                                                                \
    __extension__({                                                                                \
        struct rn_ctx *RN__CAT(rn_x_, id) = (ctx);                                                 \
        __auto_type RN__CAT(rn_c_, id) = (c);                                                      \
        RN__ELEM(RN__CAT(rn_c_, id)) RN__CAT(rn_v_, id) = (v);                                     \
        rn_chan_send_ctx(RN__CAT(rn_x_, id), RN__SENDABLE(RN__CAT(rn_c_, id)),                     \
                         &RN__CAT(rn_v_, id));                                                     \
    })
#define RN__RECV(c, id)                                                                            \
    __extension__({                                                                                \
        __auto_type RN__CAT(rn_c_, id) = (c);                                                      \
        RN__ELEM(RN__CAT(rn_c_, id)) RN__CAT(rn_v_, id);                                           \
        (void)rn_chan_recv(RN__RECVABLE(RN__CAT(rn_c_, id)), &RN__CAT(rn_v_, id));                 \
        RN__CAT(rn_v_, id);                                                                        \
    })

#endif /* __cplusplus */

struct rn_ctx;

/*
 * The untyped functions below the macros, for other languages and generic code. A channel is a
 * `void *`; `v` points to an element, of the size given to rn_chan_make. They behave as the macros that they carry the name of.
 * rn_chan_recv returns false once the channel is closed and drained.
 */
RN_API void *rn_chan_make(size_t elem_size, int64_t cap);
RN_API void rn_chan_send(void *c, const void *v);
RN_API bool rn_chan_recv(void *c, void *v);
RN_API int rn_chan_try_send(void *c, const void *v);
RN_API int rn_chan_try_recv(void *c, void *v);
RN_API int rn_chan_send_until(void *c, const void *v, rn_time t);
RN_API int rn_chan_recv_until(void *c, void *v, rn_time t);
RN_API int rn_chan_send_ctx(struct rn_ctx *ctx, void *c, const void *v);
RN_API int rn_chan_recv_ctx(struct rn_ctx *ctx, void *c, void *v);
RN_API void rn_chan_close(void *c);
RN_API size_t rn_chan_len(void *c);
RN_API size_t rn_chan_cap(void *c);
RN_API void *rn_chan_ref(void *c);
RN_API void rn_chan_unref(void *c);

/*
 * What a try that fails looks at, in line, and nothing else: how a channel begins. All are atomic.
 * Full, or empty, and then open: as a closed channel does not open again, it was open, too, when it was full or empty. (Go looks
 * the other way round: then a close that takes a receiver away between the looks makes it full, which it was neither before nor after.)
 */
struct rn__chan_glance {
    size_t count, cap;        /* in the buffer */
    const void *receivers[2]; /* first and last of those that wait */
    const void *senders[2];
    uint16_t closed;
};

/* Q1, Q2, Q3: pair with those in chan/chan.c. Without a buffer count and cap are 0, with one nobody waits to send while it is empty. */
static inline bool rn__chan_empty(const void *c) {
    const struct rn__chan_glance *g = (const struct rn__chan_glance *)c;
    size_t count = __atomic_load_n(&g->count, __ATOMIC_ACQUIRE);
    const void *sender = __atomic_load_n(&g->senders[0], __ATOMIC_ACQUIRE);
    return (count | (uintptr_t)sender) == 0;
}

static inline bool rn__chan_full(const void *c) {
    const struct rn__chan_glance *g = (const struct rn__chan_glance *)c;
    size_t cap = __atomic_load_n(&g->cap, __ATOMIC_RELAXED);
    size_t left = cap - __atomic_load_n(&g->count, __ATOMIC_ACQUIRE);
    const void *receiver = __atomic_load_n(&g->receivers[0], __ATOMIC_ACQUIRE);
    return (left | (uintptr_t)receiver) == 0;
}

static inline bool rn__chan_open(const void *c) {
    const struct rn__chan_glance *g = (const struct rn__chan_glance *)c;
    return __atomic_load_n(&g->closed, __ATOMIC_ACQUIRE) == 0;
}

static inline int rn__try_send(void *c, const void *v) {
    if (c && rn__chan_full(c) && rn__chan_open(c)) return -EAGAIN;
    return rn_chan_try_send(c, v);
}

static inline int rn__try_recv(void *c, void *v) {
    if (c && rn__chan_empty(c) && rn__chan_open(c)) return -EAGAIN;
    return rn_chan_try_recv(c, v);
}

RN__END

#endif
