/* SPDX-License-Identifier: MIT */
/*
 * flight.c: rn_flight. Nothing is allocated: the record of a call lies on the stack of the caller that makes it, those of the
 * others on theirs. At the end the maker takes the call out of the table, so that nobody new can find it,
 * copies the outcome to each that waits, wakes them, and is gone.
 *
 * rn__lock guards the table and the calls' fields up to `fn`. Whoever finds a call queues up for it under that
 * lock, so the maker, which takes the lock at the end, finds all. Rank: above the queues' locks.
 *
 * Two keys of the same hash at once: the second call is not put into the table, and not shared.
 */
#include <runnel/go.h>
#include <runnel/sync.h>
#include <string.h>

#include "os/sanitizer.h"
#include "sync/sema.h"

enum outcome_kind { EXITED, RETURNED, PANICKED };

struct outcome {
    enum outcome_kind kind;
    int result;
    bool shared;
    void *value;
    rn_panic_info panic;
};

struct rn__flight_call {
    struct rn__trie node; /* in the table, unless alone */
    const char *key;
    bool alone; /* not in the table: forgotten, or its place was taken */
    int (*fn)(void *, void **);
    void *arg;
    rn_flight *f;
    struct outcome outcome;
};

_Static_assert(offsetof(struct rn__flight_call, node) == 0, "calls are found by their nodes");

/* A sanitizer sees strcmp read the others' keys, so it must see the lock too. (Go's mutex orders them as well.) */
static void lock(rn_flight *f) {
    rn_mutex_lock(&f->rn__lock);
    rn__san_acquire_word(&f->rn__lock);
}

static void unlock(rn_flight *f) {
    rn__san_release(&f->rn__lock);
    rn_mutex_unlock(&f->rn__lock);
}

static uint64_t hash_of(const char *key) {
    uint64_t h = 0;
    for (const char *s = key; *s; s++) h = rn__mix(h ^ (unsigned char)*s) + 1;
    return rn__mix(h);
}

/* Under the lock. Where the key's call is, or would be. */
static struct rn__trie **place(rn_flight *f, uint64_t hash) {
    return rn__trie_find(&f->rn__calls, hash);
}

/* Under the lock: queue w for the end of c. */
static void join(struct rn__flight_call *c, struct rn__waiter *w, struct outcome *o) {
    rn__in();
    rn__waiter_init(w, c, false);
    w->result = o;
    struct rn__sema *q = rn__sema_lock(c);
    rn__sema_push(q, w);
    rn__sema_unlock(q);
    rn__out();
    rn__san_release(c); /* the maker writes *o */
}

/* Join the call for c's key and return it; else c is the call, and NULL is returned. */
static struct rn__flight_call *find_or_add(struct rn__flight_call *c, struct rn__waiter *w) {
    lock(c->f);
    struct rn__trie **at = place(c->f, c->node.hash);
    struct rn__flight_call *found = (void *)*at;
    if (!found) {
        rn__trie_put(at, &c->node);
    } else if (strcmp(found->key, c->key) == 0) {
        join(found, w, &c->outcome);
    } else {
        c->alone = true;
        found = NULL;
    }
    unlock(c->f);
    return found;
}

/* Nobody can join c any more. Give each that did the outcome. */
static void share(struct rn__flight_call *c) {
    struct rn__wakes wakes = {0};
    struct rn__waiter *w;
    rn__in();
    struct rn__sema *q = rn__sema_lock(c);
    c->outcome.shared = rn__sema_first(q, c);
    if (c->outcome.shared) rn__san_acquire(c);
    while ((w = rn__sema_take(q, c, &wakes))) *(struct outcome *)w->result = c->outcome;
    rn__san_release(c);
    rn__sema_unlock(q);
    rn__sema_post(&wakes);
    rn__out();
}

static void finish(void *arg) {
    struct rn__flight_call *c = arg;
    lock(c->f);
    if (!c->alone) rn__trie_remove(place(c->f, c->node.hash));
    unlock(c->f);
    share(c);
}

static void call(void *arg) {
    struct rn__flight_call *c = arg;
    c->outcome.result = c->fn(c->arg, &c->outcome.value);
}

/* Runs finish, whichever way fn ends; never panics itself. */
static void make(void *arg) {
    struct rn__flight_call *c = arg;
    rn_defer(finish, c);
    bool ok = rn_try(call, c, &c->outcome.panic);
    c->outcome.kind = ok ? RETURNED : PANICKED;
}

static void wait_for(struct rn__flight_call *c, struct rn__waiter *w) {
    rn__in();
    rn__sema_wait(w, RN__WAIT_SEMA, c, RN_TIME_MAX);
    rn__out();
    rn__san_acquire(c);
}

int rn_flight_do(rn_flight *f, const char *key, int (*fn)(void *arg, void **value), void *arg,
                 void **value, bool *shared) {
    struct rn__flight_call c = {{{NULL}, hash_of(key)}, key, false, fn, arg, f, {0}};
    struct rn__waiter w;
    struct rn__flight_call *other = find_or_add(&c, &w);
    if (other)
        wait_for(other, &w);
    else
        (void)rn_try(make, &c, NULL);
    if (c.outcome.kind == PANICKED) rn_panic("%s", c.outcome.panic.message);
    if (c.outcome.kind == EXITED) rn_goexit();
    if (value) *value = c.outcome.value;
    if (shared) *shared = c.outcome.shared;
    return c.outcome.result;
}

void rn_flight_forget(rn_flight *f, const char *key) {
    lock(f);
    struct rn__trie **at = place(f, hash_of(key));
    struct rn__flight_call *c = (void *)*at;
    if (c && strcmp(c->key, key) == 0) {
        c->alone = true;
        rn__trie_remove(at);
    }
    unlock(f);
}
