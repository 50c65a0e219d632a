/* SPDX-License-Identifier: MIT */
/*
 * chan.c: making channels; send, receive and close. What each must do stands in shared/SEMANTICS.md.
 *
 * A value goes from stack to stack where a waiter is there, else through the buffer. Goroutines are
 * made ready after the unlock. Once an operation has unlocked the channel, or has been served while it was
 * parked, it does not touch the channel any more: the other side may have dropped the last reference.
 *
 * Of those who wait, a close sees to the first ones itself. The rest of a long queue becomes a flock (sched/sched.h), after the selects
 * among them have been claimed; but not where a plain thread may be among them, as nobody else would wake that. They are off the
 * channel, then, but not made ready yet: observers unfold the flocks first.
 *
 * TSan: a buffer slot is a thing that each send and each receive acquires and releases in turn: it carries the
 * k-th send to the k-th receive, and that to the (k+C)-th send. Unbuffered, both sides are
 * ordered both ways, through the waiter. In the buffered case with a waiter, the slot is acquired and released in the
 * name of the waiter, on its fiber: acquiring its clock ourselves would order more than Go promises.
 */
#include "chan/chan.h"
#include "chan/owned.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_ELEM = 65536,
    FEW = 64, /* that a close sees to at once, however many there are */
};

/* ---- making and references ---- */

void *rn_chan_make(size_t elem_size, int64_t cap) {
    if (elem_size >= MAX_ELEM) rn__panic("makechan: invalid channel element type");
    size_t bytes;
    if (cap < 0 || __builtin_mul_overflow(elem_size, (size_t)cap, &bytes) ||
        bytes > PTRDIFF_MAX - sizeof(struct rn__hchan))
        rn__panic("makechan: size out of range");
    struct rn__hchan *c = malloc(sizeof *c + bytes);
    if (!c) return NULL;
    memset(c, 0, sizeof *c);
    c->bias = RN__FRESH;
    rn__lock_rank(&c->lock, RN__RANK_CHAN);
    c->refs = 1;
    c->elemsize = (uint16_t)elem_size;
    c->dataqsiz = (size_t)cap;
    c->buf = (char *)(c + 1);
    return c;
}

void *rn_chan_ref(void *cv) {
    struct rn__hchan *c = cv;
    if (c) rn__add_relaxed(&c->refs, 1); /* the caller has one, so it cannot reach 0 meanwhile */
    return c;
}

void rn_chan_unref(void *cv) {
    struct rn__hchan *c = cv;
    if (!c) return;
    rn__san_release(&c->refs); /* the user's program has looked at it: struct rn__chan_glance */
    uint32_t before =
        rn__sub_acq_rel(&c->refs, 1); /* R1: pairs with itself: the last sees what all did */
    rn__assert(before != 0, "chan: unref of a channel without references");
    if (before != 1) return;
    rn__assert(!c->recvq.first && !c->sendq.first,
               "chan: the last reference dropped while others wait on the channel");
    rn__san_acquire(&c->refs);
    if (c->owner) c->owner->gone(c->owner);
    free(c);
}

size_t rn_chan_len(void *cv) {
    struct rn__hchan *c = cv;
    return c && !c->owner ? rn__load_relaxed(&c->qcount) : 0; /* instantaneous; orders nothing */
}

size_t rn_chan_cap(void *cv) {
    struct rn__hchan *c = cv;
    return c && !c->owner ? c->dataqsiz : 0;
}

/* ---- copying ---- */

/* Not memcpy, whose interceptor would take the write to a waiter's variable for an access of the caller's. */
RN_UNSEEN static void copy_unseen(char *to, const char *from, size_t n) {
    for (size_t i = 0; i < n; i++) {
        to[i] = from[i];
        __asm__ volatile("" ::: "memory"); /* or the compiler makes a memcpy of it */
    }
}

RN_UNSEEN static void zero(void *v, size_t n) {
    for (size_t i = 0; i < n; i++) {
        ((char *)v)[i] = 0;
        __asm__ volatile("" ::: "memory");
    }
}

/* The usual sizes as constants: a load and a store. False: another size, nothing is done. */
RN_INLINE bool copy_at_once(struct rn__hchan *c, void *to, const void *from) {
    if (likely(c->elemsize == 8))
        memcpy(to, from, 8);
    else if (c->elemsize == 4)
        memcpy(to, from, 4);
    else if (c->elemsize == 16)
        memcpy(to, from, 16);
    else if (c->elemsize == 1)
        memcpy(to, from, 1);
    else
        return c->elemsize == 0;
    return true;
}

RN_INLINE void copy(struct rn__hchan *c, void *to, const void *from) {
    if (unlikely(rn__sanitized))
        copy_unseen(to, from, c->elemsize);
    else if (!copy_at_once(c, to, from))
        memcpy(to, from, c->elemsize);
}

RN_INLINE char *slot(struct rn__hchan *c, size_t i) { return c->buf + i * c->elemsize; }

RN_INLINE size_t after(struct rn__hchan *c, size_t i) { return i + 1 == c->dataqsiz ? 0 : i + 1; }

/* The slot at sendx is filled; the one at recvx is free. Q2: glanced at by try forms */
RN_INLINE void filled(struct rn__hchan *c) {
    c->sendx = after(c, c->sendx);
    rn__store_release(&c->qcount, c->qcount + 1); /* Q2 */
}

RN_INLINE void freed(struct rn__hchan *c) {
    c->recvx = after(c, c->recvx);
    rn__store_release(&c->qcount, c->qcount - 1); /* Q2 */
}

/* ---- TSan ---- */

/* A slot without bytes has no address of its own: all those of a channel share one, which orders a little more. */
static void *san_slot(struct rn__hchan *c, size_t i) {
    return c->elemsize ? (void *)slot(c, i) : (void *)&c->buf;
}

RN_UNSEEN static void san_notify_for(struct rn__g *g, void *s) {
    if (g->kind ==
        RN__THREAD) { /* its fiber is in use while it sleeps: order a little more instead */
        __tsan_acquire(g);
        __tsan_acquire(s);
        __tsan_release(s);
        return;
    }
    void *self = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(g->tsan_fiber, 1);
    __tsan_acquire(s);
    __tsan_release(s);
    __tsan_switch_to_fiber(self, 1);
}

/* An operation on slot i: the caller's, or that of the waiter w. */
static RN_COLD void san_slot_op(struct rn__hchan *c, size_t i, struct rn__waiter *w) {
    if (!__tsan_acquire) return;
    if (w) {
        san_notify_for(w->g, san_slot(c, i));
    } else {
        __tsan_acquire(san_slot(c, i));
        __tsan_release(san_slot(c, i));
    }
}

/* Unbuffered: what either did before happens before what either does after. */
static RN_COLD void san_meet(struct rn__waiter *w) {
    rn__san_acquire(w);
    rn__san_release(w);
}

void rn__chan_san_park(struct rn__hchan *c, struct rn__waiter *w) {
    if (!rn__tsan_on()) return;
    if (c->dataqsiz == 0)
        __tsan_release(w);
    else if (w->g->kind == RN__THREAD)
        __tsan_release(w->g);
}

void rn__chan_san_resume(struct rn__waiter *w) { rn__san_acquire(w); }

/* ---- queues of waiters ---- */

void rn__chan_enqueue(struct rn__hchan *c, struct rn__waiter *w) {
    struct rn__waitq *q = w->send ? &c->sendq : &c->recvq;
    w->next = NULL;
    w->prev = q->last;
    if (q->last)
        q->last->next = w;
    else
        rn__store_release(&q->first, w); /* glanced at by try forms: Q1 */
    q->last = w;
    w->queued = true;
    w->size = c->elemsize;
    if (w->select && unlikely(!c->selects)) c->selects = true;
    if (unlikely(w->g->kind == RN__THREAD)) c->threads = true;
}

void rn__chan_dequeue(struct rn__hchan *c, struct rn__waiter *w) {
    struct rn__waitq *q = w->send ? &c->sendq : &c->recvq;
    if (w->prev)
        w->prev->next = w->next;
    else
        rn__store_release(&q->first, w->next); /* Q1 */
    if (w->next)
        w->next->prev = w->prev;
    else
        q->last = w->prev;
    w->queued = false;
}

/* A select is served through one of its waiters: take those on this channel out with it. */
static RN_COLD void dequeue_same(struct rn__hchan *c, struct rn__waiter *w) {
    for (struct rn__waiter *s = w->same; s != w; s = s->same)
        if (s->queued) rn__chan_dequeue(c, s);
}

/* The oldest waiter that is still to be had, out of its queue and ours to serve. */
RN_INLINE struct rn__waiter *next_waiter(struct rn__hchan *c, struct rn__waitq *q) {
    for (;;) {
        struct rn__waiter *w = q->first;
        if (!w) return NULL;
        rn__chan_dequeue(c, w);
        if (!w->select) return w;
        /* S2: the winner of a select; also orders what its owner wrote before parking */
        if (!rn__cas_acq_rel(&w->g->select_done, 0u, 1u)) continue;
        if (unlikely(w->same != w)) dequeue_same(c, w);
        return w;
    }
}

RN_INLINE struct rn__g *serve(struct rn__waiter *w, bool ok) {
    w->ok = ok;
    w->g->param = w;
    return w->g;
}

/* ---- rendezvous ---- */

static RN_COLD void san_send_to(struct rn__hchan *c, struct rn__waiter *w) {
    if (c->dataqsiz == 0) {
        san_meet(w);
        return;
    }
    /* As if it went through the buffer. */
    san_slot_op(c, c->sendx, NULL);
    san_slot_op(c, c->sendx, w);
    c->sendx = c->recvx = after(c, c->sendx);
}

RN_INLINE enum rn__outcome send_locked(struct rn__hchan *c, const void *v, struct rn__g **wake) {
    if (unlikely(rn__load_relaxed(&c->closed))) {
        rn__san_acquire(&c->closed);
        return RN__CLOSED;
    }
    struct rn__waiter *w = next_waiter(c, &c->recvq);
    if (w) {
        if (w->v) copy(c, w->v, v);
        if (unlikely(rn__sanitized)) san_send_to(c, w);
        *wake = serve(w, true);
        return RN__DONE;
    }
    if (c->qcount == c->dataqsiz) return RN__WOULD_BLOCK;
    if (unlikely(rn__sanitized)) san_slot_op(c, c->sendx, NULL);
    copy(c, slot(c, c->sendx), v);
    filled(c);
    return RN__DONE;
}

/* The buffer is full and w waits to send: the caller takes the head, w's value goes to the same slot. */
RN_INLINE void take_and_refill(struct rn__hchan *c, void *v, struct rn__waiter *w) {
    if (unlikely(rn__sanitized)) {
        san_slot_op(c, c->recvx, NULL);
        san_slot_op(c, c->recvx, w);
    }
    if (v) copy(c, v, slot(c, c->recvx));
    copy(c, slot(c, c->recvx), w->v);
    c->sendx = c->recvx = after(c, c->recvx);
}

static void recv_from(struct rn__hchan *c, void *v, struct rn__waiter *w) {
    if (c->dataqsiz != 0) {
        take_and_refill(c, v, w);
        return;
    }
    if (unlikely(rn__sanitized)) san_meet(w);
    if (v) copy(c, v, w->v);
}

static RN_COLD enum rn__outcome recv_closed(struct rn__hchan *c, void *v) {
    rn__san_acquire(&c->closed);
    if (v) zero(v, c->elemsize);
    return RN__CLOSED;
}

RN_INLINE enum rn__outcome recv_locked(struct rn__hchan *c, void *v, struct rn__g **wake) {
    if (unlikely(rn__load_relaxed(&c->closed)) && c->qcount == 0) return recv_closed(c, v);
    struct rn__waiter *w = next_waiter(c, &c->sendq);
    if (w) {
        recv_from(c, v, w);
        *wake = serve(w, true);
        return RN__DONE;
    }
    if (c->qcount == 0) return RN__WOULD_BLOCK;
    if (unlikely(rn__sanitized)) san_slot_op(c, c->recvx, NULL);
    if (v) copy(c, v, slot(c, c->recvx));
    freed(c);
    return RN__DONE;
}

enum rn__outcome rn__chan_send_locked(struct rn__hchan *c, const void *v, struct rn__g **wake) {
    return send_locked(c, v, wake);
}

enum rn__outcome rn__chan_recv_locked(struct rn__hchan *c, void *v, struct rn__g **wake) {
    return recv_locked(c, v, wake);
}

/* ---- parking ---- */

static void unlock(void *arg) {
    struct rn__hchan *c = arg;
    rn__lock_release(&c->lock);
}

void rn__chan_end_wait(const struct rn__waiter *w) {
    if (unlikely(!w->ok) && !w->send && w->v) zero(w->v, w->size);
}

/* Wait for the other side. True: served; false: closed. The channel is not touched after. */
static RN_NOINLINE bool wait(struct rn__hchan *c, struct rn__m *m, bool locked, void *v,
                             bool send) {
    struct rn__waiter w;
    w.g = m->g;
    w.v = v;
    w.select = false;
    w.send = send;
    w.ok = false;
    rn__chan_enqueue(c, &w);
    if (unlikely(rn__sanitized)) rn__chan_san_park(c, &w);
    rn__park_on(m, send ? RN__WAIT_SEND : RN__WAIT_RECV, c, locked ? unlock : NULL, c);
    if (unlikely(rn__sanitized)) rn__chan_san_resume(&w);
    rn__leave(rn__arch_tls_m());
    rn__chan_end_wait(&w);
    return w.ok;
}

void rn__block_forever(enum rn__reason why) {
    for (;;) {
        rn__in();
        rn__park(why, NULL, NULL, NULL);
        rn__out();
    }
}

/* ---- send, receive ---- */

RN_INLINE void finish(struct rn__hchan *c, struct rn__m *m, bool locked, struct rn__g *wake) {
    rn__chan_unlock(c, locked);
    if (wake) rn__ready_on(m, wake);
    rn__leave(m);
}

/*
 * Into or out of the buffer of a channel that is our P's own and on which nobody waits: what most operations on buffered
 * channels are. In a section. False: it is another case, and nothing is done. It calls nothing, so that there is no frame to
 * be made.
 */
RN_INLINE bool own_and_open(struct rn__hchan *c, struct rn__m *m) {
    return likely(rn__load_relaxed(&c->bias) == m->p && !rn__load_relaxed(&c->closed) &&
                  !rn__sanitized && !rn__chaos(2));
}

RN_INLINE bool put_at_once(struct rn__hchan *c, struct rn__m *m, const void *v) {
    if (rn__load_relaxed(&c->qcount) == c->dataqsiz || !own_and_open(c, m) || c->recvq.first)
        return false;
    if (!copy_at_once(c, slot(c, c->sendx), v)) return false;
    filled(c);
    return true;
}

RN_INLINE bool get_at_once(struct rn__hchan *c, struct rn__m *m, void *v) {
    if (rn__load_relaxed(&c->qcount) == 0 || !own_and_open(c, m) || c->sendq.first) return false;
    if (v && !copy_at_once(c, v, slot(c, c->recvx))) return false;
    freed(c);
    return true;
}

/* The rest of entering. A claim that came since is waited for, too, though we are inside: nothing was done. */
RN_INLINE struct rn__m *enter_after_all(struct rn__m *m) {
    return unlikely(rn__load_acquire(&m->claim) != RN__FREE) ? rn__enter_slow(m) : m; /* C1 */
}

static RN_NOINLINE void send(struct rn__hchan *c, struct rn__m *m, const void *v) {
    if (unlikely(!c)) rn__block_forever(RN__WAIT_SEND_NIL);
    m = enter_after_all(m);
    bool locked = rn__chan_lock(c, m);
    struct rn__g *wake = NULL;
    enum rn__outcome out = send_locked(c, v, &wake);
    if (out == RN__WOULD_BLOCK) {
        if (wait(c, m, locked, (void *)(uintptr_t)v, true)) return;
        rn__panic("send on closed channel");
    }
    finish(c, m, locked, wake);
    if (unlikely(out == RN__CLOSED)) rn__panic("send on closed channel");
}

void rn_chan_send(void *cv, const void *v) {
    struct rn__hchan *c = cv;
    struct rn__m *m = rn__arch_tls_m();
    if (c && rn__enter_at_once(m) && put_at_once(c, m, v))
        rn__leave(m);
    else
        send(c, m, v);
}

static RN_NOINLINE bool recv(struct rn__hchan *c, struct rn__m *m, void *v) {
    if (unlikely(!c)) rn__block_forever(RN__WAIT_RECV_NIL);
    m = enter_after_all(m);
    bool locked = rn__chan_lock(c, m);
    struct rn__g *wake = NULL;
    enum rn__outcome out = recv_locked(c, v, &wake);
    if (out == RN__WOULD_BLOCK) return wait(c, m, locked, v, false);
    finish(c, m, locked, wake);
    return out == RN__DONE;
}

bool rn_chan_recv(void *cv, void *v) {
    struct rn__hchan *c = cv;
    struct rn__m *m = rn__arch_tls_m();
    if (!c || !rn__enter_at_once(m) || !get_at_once(c, m, v)) return recv(c, m, v);
    rn__leave(m);
    return true;
}

static RN_NOINLINE int try_send(struct rn__hchan *c, const void *v) {
    struct rn__m *m = rn__enter();
    bool locked = rn__chan_lock(c, m);
    struct rn__g *wake = NULL;
    enum rn__outcome out = send_locked(c, v, &wake);
    finish(c, m, locked, wake);
    return out == RN__DONE ? 0 : out == RN__CLOSED ? -EPIPE : -EAGAIN;
}

/* Failing without the lock, as Go does; see struct rn__chan_glance. */
int rn_chan_try_send(void *cv, const void *v) {
    struct rn__hchan *c = cv;
    if (unlikely(!c)) return -EAGAIN;
    if (rn__chan_full(c) && likely(rn__chan_open(c))) return -EAGAIN;
    return try_send(c, v);
}

/*
 * The last reference may be dropped on our word that it is closed, so who closed it must be done with it. With the lock:
 * since the bias was revoked, if it closed with that, nobody has been in the lock (B3, L2: pair with who let it go). By the
 * bias of our P: that was in a section of ours. Had our P been taken, by whoever closed it there, we would see that with its
 * `closed` (P1).
 */
static bool left_by_its_closer(struct rn__hchan *c) {
    struct rn__p *p = rn__load_acquire(&c->bias);
    if (p != RN__SHARED) return p == rn__load_relaxed(&rn__arch_tls_m()->p);
    return rn__load_acquire(&c->lock.word) == 0;
}

static RN_NOINLINE int try_recv(struct rn__hchan *c, void *v) {
    struct rn__m *m = rn__enter();
    bool locked = rn__chan_lock(c, m);
    struct rn__g *wake = NULL;
    enum rn__outcome out = recv_locked(c, v, &wake);
    finish(c, m, locked, wake);
    return out == RN__DONE ? 0 : out == RN__CLOSED ? -EPIPE : -EAGAIN;
}

/*
 * It was empty, and then closed. It may have got a last value before that, so a second look decides: closed and then empty
 * stays so. The first to see that notes it for all.
 */
static RN_NOINLINE int try_recv_closed(struct rn__hchan *c, void *v) {
    if (!rn__chan_empty(c) || !left_by_its_closer(c)) return try_recv(c, v);
    rn__store_release(&c->closed, (uint16_t)RN__OVER); /* Q3: with what the closer did before */
    recv_closed(c, v);
    return -EPIPE;
}

int rn_chan_try_recv(void *cv, void *v) {
    struct rn__hchan *c = cv;
    if (unlikely(!c)) return -EAGAIN;
    if (!rn__chan_empty(c)) return try_recv(c, v);
    uint32_t closed = rn__load_acquire(&c->closed); /* Q3 */
    if (likely(!closed)) return -EAGAIN;
    if (unlikely(closed != RN__OVER || rn__sanitized)) return try_recv_closed(c, v);
    if (v) zero(v, c->elemsize);
    return -EPIPE;
}

/* ---- close ---- */

/* Who comes 16 places on in a long queue is fetched meanwhile. */
RN_INLINE void fetch_ahead(struct rn__ahead *a, const struct rn__waiter *w) {
    const char *next = rn__ahead(a, w, RN__AHEAD);
    if (!next) return;
    __builtin_prefetch(next);
    __builtin_prefetch((const char *)w->g + (next - (const char *)w));
}

/* Those of a flock are off their stacks, claimed if they are selects, and so nobody else's to touch. */
static uint32_t take_flock(struct rn__flock *f, struct rn__g **out, uint32_t n) {
    struct rn__waiter *w = f->rest;
    struct rn__ahead a = {.step = f->step};
    uint32_t got = 0;
    for (; w && got < n; w = w->next) {
        fetch_ahead(&a, w);
        out[got++] = w->g;
    }
    f->step = a.step;
    f->rest = w;
    return got;
}

/*
 * A select is claimed before the close is over, or another channel could still win it. Those that have been won stay behind:
 * the first and the last of the others.
 */
static struct rn__waitq claim_all(struct rn__waitq q) {
    struct rn__waitq got = {q.first, NULL};
    struct rn__waiter **at = &got.first, *w;
    struct rn__ahead a = {.step = 0};
    while ((w = *at)) {
        fetch_ahead(&a, w);
        if (w->select) {
            w->queued = false;
            if (!rn__cas_acq_rel(&w->g->select_done, 0u, 1u)) { /* S2 */
                *at = w->next;
                continue;
            }
            serve(w, false);
        }
        got.last = w;
        at = &w->next;
    }
    return got;
}

/* All that wait in q; NULL: none is to be had. */
static struct rn__flock *flock(struct rn__hchan *c, struct rn__waitq *q) {
    struct rn__waitq all = c->selects ? claim_all(*q) : *q;
    rn__store_release(&q->first, NULL); /* Q1 */
    q->last = NULL;
    if (!all.first) return NULL;
    struct rn__flock *f = &all.last->flock;
    *f = (struct rn__flock){take_flock, all.first, 0};
    return f;
}

/* Those that wait in q. The first ones go to l; what is left of a long queue is a flock, if it can be. */
static struct rn__flock *wake_all(struct rn__hchan *c, struct rn__waitq *q, struct rn__glist *l) {
    struct rn__waiter *w;
    int few = rn__chaos(2) ? 1 : FEW;
    while ((w = next_waiter(c, q))) {
        if (unlikely(rn__sanitized)) rn__san_release(w);
        rn__glist_put(l, serve(w, false));
        if (--few <= 0 && q->first && !c->threads && !rn__sanitized) return flock(c, q);
    }
    return NULL;
}

void rn_chan_close(void *cv) {
    struct rn__hchan *c = cv;
    if (!c) rn__panic("close of nil channel");
    struct rn__m *m = rn__enter();
    bool locked = rn__chan_lock(c, m);
    if (rn__load_relaxed(&c->closed)) {
        finish(c, m, locked, NULL);
        rn__panic("close of closed channel");
    }
    struct rn__glist l = {0};
    rn__san_release(&c->closed);
    rn__store_release(&c->closed, (uint16_t)1); /* Q3: pairs with the try forms' glance */
    struct rn__flock *receivers = wake_all(c, &c->recvq, &l);
    struct rn__flock *senders = wake_all(c, &c->sendq, &l);
    rn__chan_unlock(c, locked);
    rn__ready_list(&l);
    if (receivers) rn__ready_flock(receivers);
    if (senders) rn__ready_flock(senders);
    rn__leave(m);
}
