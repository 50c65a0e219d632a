/* SPDX-License-Identifier: MIT */
/*
 * sema.c: queues of waiters by address. See sema.h for the pattern and the states of a waiter.
 *
 * A fixed table of locks; under each, a trie of the queues whose addresses fall there. The node of a queue is its first
 * waiter, so nothing is allocated, a million goroutines waiting for a million things cost 13 steps each, and a
 * million waiting for one thing cost one.
 *
 * Invariants, under the lock: a queue is in the trie iff it has a waiter; w->queued iff w is in it; next of the last is NULL;
 * prev of the first is the last.
 */
#include "sync/sema.h"

#include <errno.h>
#include <string.h>

enum { CLAIMED = 1, ABORTED = 2, POSTED = 4, PARKED = 8 };
enum { TABLE_BITS = 8 };

static struct rn__sema table[1 << TABLE_BITS];

#define first_of(node_) ((struct rn__waiter *)(void *)(node_))
_Static_assert(offsetof(struct rn__waiter, node) == 0, "first_of");

struct rn__sema *rn__sema_lock(const void *key) {
    /* The other end of the hash than the trie begins with, and the same for all keys of a primitive. */
    struct rn__sema *q = &table[rn__mix((uintptr_t)key >> 2) >> (64 - TABLE_BITS)];
    rn__lock_acquire(&q->lock);
    return q;
}

void rn__waiter_init(struct rn__waiter *w, const void *key, bool abortable) {
    memset(w, 0, sizeof *w);
    w->g = rn__self();
    w->key = key;
    w->abortable = abortable;
}

static struct rn__trie **place(struct rn__sema *q, const void *key) {
    return rn__trie_find(&q->queues, rn__mix((uintptr_t)key));
}

/* w becomes the only one of its queue. */
static void found(struct rn__trie **at, struct rn__waiter *w) {
    w->node.hash = rn__mix((uintptr_t)w->key);
    w->next = NULL;
    w->prev = w;
    rn__trie_put(at, &w->node);
}

/* w goes behind p; `first` is the first of that queue. */
static void insert_after(struct rn__waiter *first, struct rn__waiter *p, struct rn__waiter *w) {
    w->prev = p;
    w->next = p->next;
    *(p->next ? &p->next->prev : &first->prev) = w;
    p->next = w;
}

void rn__sema_push(struct rn__sema *q, struct rn__waiter *w) {
    struct rn__trie **at = place(q, w->key);
    struct rn__waiter *first = first_of(*at);
    w->queued = true;
    if (first)
        insert_after(first, first->prev, w);
    else
        found(at, w);
}

void rn__sema_push_since(struct rn__sema *q, struct rn__waiter *w) {
    struct rn__trie **at = place(q, w->key);
    struct rn__waiter *first = first_of(*at), *p = first;
    w->queued = true;
    if (!first) {
        found(at, w);
    } else if (w->since < first->since) {
        w->next = first;
        w->prev = first->prev;
        first->prev = w;
        rn__trie_replace(at, &w->node);
    } else {
        if (first->prev->since <= w->since) p = first->prev; /* a newcomer */
        while (p->next && p->next->since <= w->since) p = p->next;
        insert_after(first, p, w);
    }
}

struct rn__waiter *rn__sema_first(struct rn__sema *q, const void *key) {
    return first_of(*place(q, key));
}

static void remove_first(struct rn__trie **at, struct rn__waiter *w) {
    struct rn__waiter *next = w->next;
    if (!next) {
        rn__trie_remove(at);
        return;
    }
    next->prev = w->prev;
    rn__trie_replace(at, &next->node);
}

void rn__sema_remove(struct rn__sema *q, struct rn__waiter *w) {
    struct rn__trie **at = place(q, w->key);
    struct rn__waiter *first = first_of(*at);
    w->queued = false;
    if (w == first) {
        remove_first(at, w);
        return;
    }
    w->prev->next = w->next;
    *(w->next ? &w->next->prev : &first->prev) = w->prev;
}

/*
 * A wait that is not aborted has the word 0, then PARKED. Relaxed: the queue's lock orders wakers, and who loses to an
 * abort does not look at the record again.
 */
static bool claim(struct rn__waiter *w) {
    return !w->abortable || rn__cas_relaxed(&w->word, 0u, (uint32_t)CLAIMED) ||
           rn__cas_relaxed(&w->word, (uint32_t)PARKED, (uint32_t)(PARKED | CLAIMED));
}

bool rn__sema_claim(struct rn__sema *q, struct rn__waiter *w, struct rn__wakes *wakes) {
    rn__sema_remove(q, w);
    if (!claim(w)) return false;
    w->next = NULL;
    *(wakes->first ? &wakes->last->next : &wakes->first) = w;
    wakes->last = w;
    return true;
}

struct rn__waiter *rn__sema_take(struct rn__sema *q, const void *key, struct rn__wakes *wakes) {
    struct rn__waiter *w;
    do {
        w = rn__sema_first(q, key);
    } while (w && !rn__sema_claim(q, w, wakes));
    return w;
}

/* The record and the primitive may be gone once POSTED is set and the waiter was not parked. */
static void post(struct rn__waiter *w) {
    struct rn__g *g = w->g;
    /* SW: pairs with SW in rn__sema_wait and off_stack: what the waker did happens before the end of the wait. */
    if (rn__or_acq_rel(&w->word, (uint32_t)POSTED) & PARKED) rn__ready(g);
}

void rn__sema_post(struct rn__wakes *wakes) {
    for (struct rn__waiter *w = wakes->first, *next; w; w = next) {
        next = w->next;
        post(w);
    }
}

void rn__sema_abort(struct rn__waiter *w) {
    struct rn__g *g = w->g;
    uint32_t s = rn__load_relaxed(&w->word);
    while (!(s & (CLAIMED | ABORTED))) {
        if (rn__cas_acq_rel(&w->word, s, s | ABORTED | POSTED)) { /* SW */
            if (s & PARKED) rn__ready(g);
            return;
        }
        s = rn__load_relaxed(&w->word);
    }
}

static void time_out(void *w, rn_time now) {
    (void)now;
    rn__sema_abort(w);
}

/* The waiter is off its stack: runs on the far side of the switch. */
static void off_stack(void *arg) {
    struct rn__waiter *w = arg;
    struct rn__g *g = w->g;
    if (rn__or_acq_rel(&w->word, (uint32_t)PARKED) & POSTED) rn__ready(g); /* SW */
}

int rn__sema_wait(struct rn__waiter *w, enum rn__reason why, const void *on, rn_time until) {
    if (until != RN_TIME_MAX) rn__timer_arm(&w->timer, until, time_out, w);
    if (!(rn__load_acquire(&w->word) & POSTED)) /* SW */
        rn__park(why, (void *)(uintptr_t)on, off_stack, w);
    if (until != RN_TIME_MAX) rn__timer_disarm(&w->timer);
    return rn__load_acquire(&w->word) & ABORTED ? -ETIMEDOUT : 0; /* SW */
}

void rn__sema_memory(char **lo, char **hi) {
    *lo = (char *)table;
    *hi = *lo + sizeof table;
}
