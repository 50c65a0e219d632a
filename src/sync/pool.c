/* SPDX-License-Identifier: MIT */
/*
 * pool.c: rn_pool: a slot for each processor, each of one object at hand and a stack of more.
 *
 * What is at hand belongs to the P of the slot's number: only its M touches it, inside (core.h), so it needs no atomic
 * instruction, and nobody steals it, as in Go. The stack changes under the slot's lock, and any thread may use any slot's,
 * as it does to steal when its own is empty; a plain thread begins at the slot of its number. The
 * slots are made at the first put, as many as the machine has processors; a P beyond them has no hand.
 *
 * Tried and rejected: a hand that is taken and given by atomic instructions, so that it can be stolen, too: 16.6 ns for a get and a
 * put, where this takes a third of it.
 */
#include <runnel/sync.h>

#include <stdlib.h>
#include <unistd.h>

#include "base/atomic.h"
#include "os/lock.h"
#include "os/sanitizer.h"
#include "sched/core.h"

enum { STACK = 126, MAX_SLOTS = 64 };

struct slot {
    void *hand; /* its P's; NULL: none */
    struct rn__lock lock;
    uint32_t n; /* how many in the stack; changes under the lock, read by anyone as a hint */
    void *stack[STACK];
} RN_ALIGNED_LINE;

struct rn__pool_slots {
    uint32_t count; /* a power of two; constant */
    struct slot slot[];
};

/* Numbers for threads, from 1; 0: none yet. */
static uint32_t threads;
static __thread uint32_t thread;

static RN_NOINLINE uint32_t thread_number(void) {
    if (!thread) thread = rn__add_relaxed(&threads, 1u) + 1; /* relaxed: only distinct */
    return thread - 1;
}

static struct rn__pool_slots *slots_new(void) {
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    uint32_t n = 1;
    while (n < MAX_SLOTS && n < cpus) n *= 2;
    struct rn__pool_slots *s = aligned_alloc(RN_CACHE_LINE, sizeof *s + n * sizeof s->slot[0]);
    if (!s) return NULL;
    s->count = n;
    for (uint32_t i = 0; i < n; i++) s->slot[i] = (struct slot){.hand = NULL};
    return s;
}

/* The slots, made if need be; NULL: no memory. */
static struct rn__pool_slots *slots_of(rn_pool *p) {
    struct rn__pool_slots *s = rn__load_acquire(&p->rn__slots); /* PS */
    if (s) return s;
    s = slots_new();
    if (!s) return NULL;
    /* PS: pairs with PS in slots_of and rn_pool_get. */
    if (rn__cas_acq_rel(&p->rn__slots, (struct rn__pool_slots *)NULL, s)) return s;
    free(s);
    return rn__load_acquire(&p->rn__slots); /* PS */
}

/* The number of the slot to begin with, in the section of m. */
RN_INLINE uint32_t own_index(struct rn__pool_slots *s, struct rn__m *m) {
    return (likely(m->p != NULL) ? m->p->id : thread_number()) & (s->count - 1);
}

/* The hand of the caller's P; NULL: it has none. */
RN_INLINE void **own_hand(struct rn__pool_slots *s, struct rn__m *m) {
    return m->p && m->p->id < s->count ? &s->slot[m->p->id].hand : NULL;
}

/* ---- the stacks. Inside. ---- */

static void *pop(struct slot *s) {
    void *obj = NULL;
    if (!rn__load_relaxed(&s->n)) return NULL;
    rn__lock_acquire(&s->lock);
    uint32_t n = rn__load_relaxed(&s->n);
    if (n) {
        obj = s->stack[n - 1];
        rn__store_relaxed(&s->n, n - 1);
    }
    rn__lock_release(&s->lock);
    return obj;
}

static bool push(struct slot *s, void *obj) {
    rn__lock_acquire(&s->lock);
    uint32_t n = rn__load_relaxed(&s->n);
    bool room = n < STACK;
    if (room) {
        s->stack[n] = obj;
        rn__store_relaxed(&s->n, n + 1);
    }
    rn__lock_release(&s->lock);
    return room;
}

/* Outside when they return. */
static RN_NOINLINE void *take_any(struct rn__pool_slots *s, struct rn__m *m) {
    uint32_t own = own_index(s, m);
    void *obj = NULL;
    for (uint32_t i = 0; !obj && i < s->count; i++) obj = pop(&s->slot[(own + i) & (s->count - 1)]);
    rn__leave(m);
    return obj;
}

static RN_NOINLINE bool give_stack(struct rn__pool_slots *s, struct rn__m *m, void *obj) {
    bool room = push(&s->slot[own_index(s, m)], obj);
    rn__leave(m);
    return room;
}

/* ---- all of it ---- */

static void *take(struct rn__pool_slots *s) {
    struct rn__m *m = rn__enter();
    void **hand = own_hand(s, m), *obj = hand ? *hand : NULL;
    if (!obj) return take_any(s, m);
    *hand = NULL;
    rn__leave(m);
    return obj;
}

static bool give(struct rn__pool_slots *s, void *obj) {
    struct rn__m *m = rn__enter();
    void **hand = own_hand(s, m);
    if (!hand || *hand) return give_stack(s, m, obj);
    *hand = obj;
    rn__leave(m);
    return true;
}

void *rn_pool_get(rn_pool *p) {
    struct rn__pool_slots *s = rn__load_acquire(&p->rn__slots); /* PS */
    void *obj = s ? take(s) : NULL;
    if (obj) rn__san_acquire(obj);
    return !obj && p->create ? p->create() : obj;
}

bool rn_pool_put(rn_pool *p, void *obj) {
    if (!obj) return true;
    struct rn__pool_slots *s = slots_of(p);
    rn__san_release(obj);
    if (s && give(s, obj)) return true;
    if (p->destroy) p->destroy(obj);
    return p->destroy != NULL;
}

static void destroy(rn_pool *p, void *obj) {
    if (!obj) return;
    rn__san_acquire(obj);
    if (p->destroy) p->destroy(obj);
}

/* Nobody else uses p, so that the hands are ours as well. */
void rn_pool_clear(rn_pool *p) {
    struct rn__pool_slots *s = rn__load_acquire(&p->rn__slots); /* PS */
    void *obj;
    if (!s) return;
    for (uint32_t i = 0; i < s->count; i++) destroy(p, s->slot[i].hand);
    while ((obj = take_any(s, rn__enter()))) destroy(p, obj);
    rn__store_relaxed(&p->rn__slots, (struct rn__pool_slots *)NULL);
    free(s);
}
