/* SPDX-License-Identifier: MIT */
/*
 * pool.c: rn_pool: a slot for each processor, each of one object at hand and a stack of more.
 *
 * A thread uses the slot of its number; threads that run goroutines are about as many as processors. That
 * is for locality only: any thread may use any slot, as it does to steal when its own is empty. `hand` changes by
 * one atomic instruction, the stack under the slot's lock. The slots are made at the first put, as many as
 * the machine has processors.
 *
 * Tried and rejected: objects of a thread in thread-local storage, without atomic instructions: nobody could steal
 * them, and a pool could not be cleared.
 */
#include <runnel/sync.h>

#include <stdlib.h>
#include <unistd.h>

#include "base/atomic.h"
#include "os/lock.h"
#include "os/sanitizer.h"
#include "sched/sched.h"

enum { STACK = 126, MAX_SLOTS = 64 };

struct slot {
    void *hand; /* atomic; NULL: none */
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

/* Once a call: a goroutine may go on on another thread after anything that locks. */
static RN_NOINLINE uint32_t own_index(void) {
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

/* Relaxed glances first: an empty place costs no atomic instruction. PO: pairs with PO in give_hand. */
static void *take_hand(struct slot *s) {
    return rn__load_relaxed(&s->hand) ? rn__exchange_acq_rel(&s->hand, (void *)NULL)
                                      : NULL; /* PO */
}

static bool give_hand(struct slot *s, void *obj) {
    return !rn__load_relaxed(&s->hand) && rn__cas_release(&s->hand, (void *)NULL, obj); /* PO */
}

static void *take_stack(struct slot *s) {
    void *obj = NULL;
    if (!rn__load_relaxed(&s->n)) return NULL;
    rn__in();
    rn__lock_acquire(&s->lock);
    uint32_t n = rn__load_relaxed(&s->n);
    if (n) {
        obj = s->stack[n - 1];
        rn__store_relaxed(&s->n, n - 1);
    }
    rn__lock_release(&s->lock);
    rn__out();
    return obj;
}

static bool give_stack(struct slot *s, void *obj) {
    rn__in();
    rn__lock_acquire(&s->lock);
    uint32_t n = rn__load_relaxed(&s->n);
    bool room = n < STACK;
    if (room) {
        s->stack[n] = obj;
        rn__store_relaxed(&s->n, n + 1);
    }
    rn__lock_release(&s->lock);
    rn__out();
    return room;
}

static void *take_any(struct rn__pool_slots *s, uint32_t own) {
    void *obj = NULL;
    for (uint32_t i = 0; !obj && i < s->count; i++) {
        struct slot *slot = &s->slot[(own + i) & (s->count - 1)];
        obj = take_hand(slot);
        if (!obj) obj = take_stack(slot);
    }
    return obj;
}

void *rn_pool_get(rn_pool *p) {
    struct rn__pool_slots *s = rn__load_acquire(&p->rn__slots); /* PS */
    void *obj = s ? take_any(s, own_index()) : NULL;
    if (obj) rn__san_acquire(obj);
    return !obj && p->create ? p->create() : obj;
}

bool rn_pool_put(rn_pool *p, void *obj) {
    if (!obj) return true;
    struct rn__pool_slots *s = slots_of(p);
    rn__san_release(obj);
    if (s) {
        struct slot *slot = &s->slot[own_index() & (s->count - 1)];
        if (give_hand(slot, obj) || give_stack(slot, obj)) return true;
    }
    if (p->destroy) p->destroy(obj);
    return p->destroy != NULL;
}

void rn_pool_clear(rn_pool *p) {
    struct rn__pool_slots *s = rn__load_acquire(&p->rn__slots); /* PS */
    void *obj;
    if (!s) return;
    while ((obj = take_any(s, 0))) {
        rn__san_acquire(obj);
        if (p->destroy) p->destroy(obj);
    }
    rn__store_relaxed(&p->rn__slots, (struct rn__pool_slots *)NULL); /* nobody else uses p */
    free(s);
}
