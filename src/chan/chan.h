/* SPDX-License-Identifier: MIT */
/*
 * chan.h: the inside of a channel, for the files of this folder and for the observers.
 *
 * Go's hchan, with a lock that can be biased. While a channel is used from one P only, that P's own
 * protocol (core.h) is all the exclusion it needs: between entering and leaving the runtime the M has the channel to
 * itself, without any atomic instruction. The first operation from elsewhere revokes the bias.
 *
 * c->bias:  FRESH   nobody has used it yet
 *           a P     only that P's M touches the channel, inside a section (rn__enter, rn__section_open)
 *           SHARED  c->lock protects it
 * FRESH -> P or SHARED by CAS; P -> SHARED by whoever holds c->lock, who then waits until the P's M
 * is in no section; SHARED -> P by an M of that P that holds c->lock.
 *
 * All other fields are under that exclusion, but that a try to receive may make closed RN__OVER. qcount, closed and the heads of the queues are stored with
 * atomic stores, as the non-blocking forms glance at them.
 *
 * Invariants (shared/SEMANTICS.md): one of sendq and recvq is empty, but for selects that wait both ways; qcount > 0: recvq
 * empty; qcount < dataqsiz: sendq empty.
 *
 * A waiter lies on the stack of the parked goroutine or thread. It may be touched while it is queued, and by
 * whoever dequeued it until he makes its owner ready.
 */
#ifndef RN_CHAN_CHAN_H
#define RN_CHAN_CHAN_H

#include <runnel/chan.h>
#include <runnel/select.h>

#include "sched/core.h"

struct rn__hchan;

struct rn__waiter {
    struct rn__waiter *next;
    struct rn__g *g;
    void *v; /* the value to send, or where the received one goes; NULL: dropped */
    union {
        struct {
            struct rn__waiter *prev;
            struct rn__waiter *same; /* ring of the waiters of one select on one channel */
        };
        struct rn__flock flock; /* of the last whom a close has woken, in no queue any more */
    };
    bool select; /* to be claimed by CAS on g->select_done 0 -> 1 */
    bool queued;
    bool send;
    bool ok;       /* it was served; false: closed */
    uint16_t size; /* of an element: the channel may be gone when its owner zeroes *v */
};

struct rn__waitq {
    struct rn__waiter *first, *last;
};

struct rn__hchan {
    size_t qcount, dataqsiz; /* as struct rn__chan_glance has it, up to `closed` */
    struct rn__waitq recvq, sendq;
    uint16_t closed; /* 0; 1; RN__OVER: and drained, and whoever closed it is done with it */
    uint16_t elemsize;
    bool selects;    /* one has waited here: a close claims each */
    bool threads;    /* a plain thread has waited here: a close wakes each at once */
    uint16_t streak; /* how often in a row the shared lock was `last`'s */
    struct rn__p *bias;
    size_t sendx, recvx;
    char *buf;
    struct rn__lock lock;
    uint32_t refs;
    struct rn__p *last;
    struct rn__chan_owner *owner; /* a timer's channel (owned.h); NULL: an ordinary one */
};

#define RN__AS_GLANCED(field, glanced)                                                             \
    _Static_assert(offsetof(struct rn__hchan, field) == offsetof(struct rn__chan_glance, glanced), \
                   "a channel begins as the header says")
RN__AS_GLANCED(qcount, count);
RN__AS_GLANCED(dataqsiz, cap);
RN__AS_GLANCED(recvq.first, receivers);
RN__AS_GLANCED(sendq.first, senders);
RN__AS_GLANCED(closed, closed);

#define RN__FRESH ((struct rn__p *)1)
#define RN__SHARED ((struct rn__p *)2)
#define RN__OVER 2

/* ---- the lock (chan/lock.c) ---- */

bool rn__chan_lock_slow(struct rn__hchan *c, struct rn__m *m);
/* Lock by c->lock, whatever the bias; for several at once, in the order of addresses. */
void rn__chan_lock_shared(struct rn__hchan *c, struct rn__m *m);

/* Exclusion for one operation, in a section of m. Returns whether rn__chan_unlock has something to do. */
RN_INLINE bool rn__chan_lock(struct rn__hchan *c, struct rn__m *m) {
    if (likely(rn__load_relaxed(&c->bias) == m->p && !rn__chaos(64)))
        return false; /* B2: the section orders it */
    return rn__chan_lock_slow(c, m);
}

RN_INLINE void rn__chan_unlock(struct rn__hchan *c, bool locked) {
    if (unlikely(locked)) rn__lock_release(&c->lock);
}

/* ---- rendezvous (chan/chan.c): one operation, seen from two sides; used by send, receive and select ---- */

enum rn__outcome {
    RN__WOULD_BLOCK,
    RN__DONE,
    RN__CLOSED,
};

/* With the channel locked. *wake: whom to make ready after the unlock. */
enum rn__outcome rn__chan_send_locked(struct rn__hchan *c, const void *v, struct rn__g **wake);
enum rn__outcome rn__chan_recv_locked(struct rn__hchan *c, void *v, struct rn__g **wake);
void rn__chan_enqueue(struct rn__hchan *c, struct rn__waiter *w);
void rn__chan_dequeue(struct rn__hchan *c, struct rn__waiter *w);
/* Its owner goes on, and is the last to touch it: a receiver on a closed channel gets zeroes. */
void rn__chan_end_wait(const struct rn__waiter *w);

/* What TSan is told when a waiter parks and when it goes on. */
void rn__chan_san_park(struct rn__hchan *c, struct rn__waiter *w);
void rn__chan_san_resume(struct rn__waiter *w);

/*
 * What a goroutine parked in a select waits for: `on` of its G. For observers; only while it is parked. The channels
 * are those that are not NULL, a channel of several cases as often; timed: a time ends it, too.
 */
uint32_t rn__select_nchans(const void *on);
struct rn__hchan *rn__select_chan(const void *on, uint32_t i);
bool rn__select_timed(const void *on);

void rn__block_forever(enum rn__reason why) __attribute__((noreturn));

#endif
