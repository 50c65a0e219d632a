/* SPDX-License-Identifier: MIT */
/*
 * runq.c: the queues of runnable goroutines. Each P has a run-next slot, a ring, and those that have not run yet apart from it,
 * the young ones; what does not fit goes to the global queue, half a ring at a time.
 *
 * A P's queue has no atomic instruction: it is its owner's, or a claimant's (core.h). Ends, counts and
 * runnext are written with relaxed stores, as others glance at them to see whether a claim is worth while;
 * the claim orders what they then read.
 *
 * Order: runnext; the ring, first in first out; the young ones, the newest first; the newest comes before the ring at every 8th pick.
 * Newest first makes of a tree of goroutines that start goroutines a walk in depth: few are alive at a time, on stacks that are warm. (Skynet in
 * the order of their starts: 170,000 alive, 780 MB, and a miss of every cache for each.) So does the ring first: what has begun goes on before
 * anything else begins. Thieves take the oldest, which is the highest in the tree. A goroutine that yields goes behind them (rn_yield). One
 * that has started many goes under the last of them: a loop that starts goroutines has its first 256 and then 64 at a time, each node of a
 * tree 64 of its children, and there is room for that (young_slot), as in the global queue they would be begun one after the other.
 *
 * Fairness: every 64th pick is a fair one. It ends the turn of those that ready each other through run-next: what is there goes behind
 * the ring, and the global queue comes first, then the ring, then the newest of the young. (To pick just one from the ring now and then is not enough: a loop that starts a
 * goroutine each time round and goes on through run-next would fill the ring faster than that empties it.) And every 10 ms the oldest of the
 * young comes before all: see oldest_in_turn. A goroutine that runs and never parks is sysmon's business.
 *
 * A slot of the global queue may hold a flock, many that a close has woken, instead of one goroutine: it is taken from while it lasts, some for each
 * who comes.
 *
 * Invariant: a P without an M has empty queues (rn__handoff).
 */
#include <string.h>

#include "os/clock.h"
#include "os/pages.h"
#include "sched/core.h"

enum {
    GLANCE_US = 60,  /* between two glances that tell how fast a ring moves, be it in bursts */
    STALE_US = 1000, /* after which the first one tells nothing, at least */
    YOUNG_TICKS = 8, /* every so many picks the newest of the young comes before the ring */
    YOUNG_MS = 10,   /* so often the oldest of the young comes first */
    LONG_US = 250,   /* what waits so long is stolen at once; twice as long for each loss */
    NEXT_US = 20,    /* or in run-next, while one goroutine runs, by who is not patient */
    COLD = 32, /* so many of a flock are fetched at a time: their frames fill the first cache */
};

/* Relaxed: a glance, or the owner's own */
static uint32_t length(struct rn__p *p) {
    return rn__load_relaxed(&p->tail) - rn__load_relaxed(&p->head);
}

static uint32_t young(struct rn__p *p) {
    return rn__load_relaxed(&p->young.tail) - rn__load_relaxed(&p->young.head);
}

static uint32_t young_room(void) { return rn__ring_size() * (RN__YOUNG / RN__RING); }

uint32_t rn__runq_length(struct rn__p *p) { return length(p) + young(p); }

#define MORE (rn__ring_size() / 4) /* that one may start at a time though there are enough */

bool rn__runq_crowded(struct rn__p *p) {
    struct rn__young *y = &p->young;
    if (likely(young(p) < rn__ring_size())) return false;
    if (y->tick != p->tick) y->more = 0;
    y->tick = p->tick;
    return y->more++ >= MORE;
}

bool rn__runq_empty(struct rn__p *p) {
    return rn__runq_length(p) == 0 && !rn__load_relaxed(&p->runnext);
}

/* ---- the global queue's storage. With sched.lock. ---- */

enum { GLOBAL_FIRST = 1024 };

static struct rn__g **global_slots(uint32_t cap) {
    struct rn__g **slot = rn__pages_reserve(cap * sizeof *slot);
    if (!slot) rn__fatal("runtime: out of memory for runnable goroutines");
    return slot;
}

void rn__global_init(void) {
    rn__sched.global.cap = GLOBAL_FIRST;
    rn__sched.global.slot = global_slots(GLOBAL_FIRST);
}

/* Twice the room, in order from the beginning. Not from malloc, which may be the program's own: we hold a lock. */
static void global_grow(struct rn__globq *q) {
    struct rn__g **more = global_slots(q->cap * 2);
    uint32_t to_end = q->cap - q->head;
    memcpy(more, q->slot + q->head, to_end * sizeof *more);
    memcpy(more + to_end, q->slot, q->head * sizeof *more);
    rn__pages_release(q->slot, q->cap * sizeof *q->slot);
    q->slot = more;
    q->head = 0;
    q->cap *= 2;
}

static void global_push(struct rn__g *g) {
    struct rn__globq *q = &rn__sched.global;
    uint32_t n = rn__sched.nglobal;
    if (n == q->cap) global_grow(q);
    q->slot[(q->head + n) & (q->cap - 1)] = g;
    rn__store_relaxed(&rn__sched.nglobal, n + 1); /* glanced at */
}

static void global_drop(void) {
    struct rn__globq *q = &rn__sched.global;
    q->head = (q->head + 1) & (q->cap - 1);
    rn__store_relaxed(&rn__sched.nglobal, rn__sched.nglobal - 1);
}

/* NULL: what lies in that slot is a goroutine. */
static struct rn__flock *flock_of(struct rn__g *slot) {
    return (uintptr_t)slot & 1 ? (struct rn__flock *)(void *)((char *)slot - 1) : NULL;
}

/* What comes out of the global queue: one of a flock is still as it was when it parked. Not under the lock, where it would wait for memory, while others run. */
RN_INLINE void rouse(struct rn__g *g) {
    if (g->state != RN__WAITING) return;
    g->state = RN__RUNNABLE;
    rn__fetch_frames(g, g);
}

/* The first n that wait there, or as many as there are, to be roused. */
static uint32_t global_take(struct rn__g **out, uint32_t n) {
    struct rn__globq *q = &rn__sched.global;
    uint32_t got = 0;
    while (got < n && rn__sched.nglobal != 0) {
        struct rn__g *g = q->slot[q->head];
        struct rn__flock *f = flock_of(g);
        if (!f) {
            out[got++] = g;
        } else {
            got += f->take(f, out + got, n - got);
            if (f->rest) break;
        }
        global_drop();
    }
    return got;
}

/* Each slot once round, from the head to the tail. */
void rn__global_unfold(void) {
    struct rn__g *some[64];
    rn__lock_acquire(&rn__sched.lock);
    for (uint32_t n = rn__sched.nglobal; n > 0; n--) {
        struct rn__globq *q = &rn__sched.global;
        struct rn__g *g = q->slot[q->head];
        struct rn__flock *f = flock_of(g);
        global_drop();
        if (!f) global_push(g);
        while (f && f->rest) {
            uint32_t got = f->take(f, some, 64);
            for (uint32_t i = 0; i < got; i++) {
                rouse(some[i]);
                global_push(some[i]);
            }
        }
    }
    rn__lock_release(&rn__sched.lock);
}

/* Who comes soon is fetched: first the G, then the frames that it will go on in. In line, as rn__fetch_frames. */
RN_INLINE void fetch(struct rn__p *p, uint32_t h) {
    __builtin_prefetch(p->ring[(h + 1) % RN__RING]); /* or a stale pointer: no harm */
    if (h == p->tail) return;
    const char *sp = p->ring[h % RN__RING]->ctx.sp;
    __builtin_prefetch(sp);
    __builtin_prefetch(sp + RN_CACHE_LINE);
    __builtin_prefetch(sp + 2 * RN_CACHE_LINE);
}

static struct rn__g *ring_get(struct rn__p *p) {
    uint32_t h = p->head;
    if (h == p->tail) return NULL;
    struct rn__g *g = p->ring[h % RN__RING];
    fetch(p, h + 1);
    rn__store_relaxed(&p->head, h + 1);
    return g;
}

static struct rn__g *runnext_get(struct rn__p *p) {
    struct rn__g *g = p->runnext;
    if (g) rn__store_relaxed(&p->runnext, NULL);
    return g;
}

static inline struct rn__g *newest_get(struct rn__p *p) {
    struct rn__young *y = &p->young;
    if (y->head == y->tail) return NULL;
    rn__store_relaxed(&y->taken, y->taken + 1);
    rn__store_relaxed(&y->tail, y->tail - 1);
    return p->young_slot[y->tail % RN__YOUNG];
}

static struct rn__g *oldest_get(struct rn__p *p) {
    struct rn__young *y = &p->young;
    if (y->head == y->tail) return NULL;
    rn__store_relaxed(&y->taken, y->taken + 1);
    rn__store_relaxed(&y->head, y->head + 1);
    return p->young_slot[(y->head - 1) % RN__YOUNG];
}

/* Some of what is full, by get, to the global queue, and g, which may be NULL. */
static RN_COLD void overflow(struct rn__p *p, struct rn__g *get(struct rn__p *), struct rn__g *g) {
    rn__lock_acquire(&rn__sched.lock);
    for (uint32_t n = rn__ring_size() / 2; n > 0; n--) global_push(get(p));
    if (g) global_push(g);
    rn__lock_release(&rn__sched.lock);
}

void rn__runq_put(struct rn__p *p, struct rn__g *g) {
    if (unlikely(length(p) >= rn__ring_size())) {
        overflow(p, ring_get, g);
        return;
    }
    p->ring[p->tail % RN__RING] = g;
    rn__store_relaxed(&p->tail, p->tail + 1);
}

void rn__runq_put_young(struct rn__p *p, struct rn__g *g) {
    struct rn__young *y = &p->young;
    if (unlikely(young(p) >= young_room())) overflow(p, oldest_get, NULL);
    p->young_slot[y->tail % RN__YOUNG] = g;
    rn__store_relaxed(&y->tail, y->tail + 1);
}

void rn__runq_put_under(struct rn__p *p, struct rn__g *g) {
    struct rn__young *y = &p->young;
    rn__runq_put_young(p, g);
    for (uint32_t at = y->tail - 1, n = MORE; n > 0 && at != y->head; n--, at--) {
        p->young_slot[at % RN__YOUNG] = p->young_slot[(at - 1) % RN__YOUNG];
        p->young_slot[(at - 1) % RN__YOUNG] = g;
    }
}

/* The young ones wait with the others from now on. */
void rn__runq_age(struct rn__p *p) {
    struct rn__g *g;
    while ((g = oldest_get(p))) rn__runq_put(p, g);
}

/*
 * The next one, by one who may not take a lock. NULL: none, or it is time for a fair pick: go to g0.
 */
struct rn__g *rn__runq_pick(struct rn__p *p) {
    uint32_t tick = p->tick + 1;
    rn__store_relaxed(&p->tick, tick); /* sysmon glances */
    if (unlikely(tick % RN__FAIR_TICKS == 0 || rn__chaos(4))) return NULL;
    struct rn__g *g = runnext_get(p);
    if (g) return g;
    if (tick % YOUNG_TICKS == 0 && (g = newest_get(p))) return g;
    g = ring_get(p);
    return g ? g : newest_get(p);
}

/* The next one that p has, on g0. */
struct rn__g *rn__runq_pick_own(struct rn__p *p) {
    struct rn__g *g = ring_get(p);
    if (!g) g = newest_get(p);
    return g ? g : runnext_get(p);
}

/* The oldest of the young, if it is its turn: more often, and the walk in depth becomes one in breadth. */
static struct rn__g *oldest_in_turn(struct rn__p *p) {
    rn_time now = rn__load_relaxed(&rn__sched.coarse_now);
    if (now - p->young.turn < YOUNG_MS * RN_MS) return NULL;
    p->young.turn = now;
    return oldest_get(p);
}

/* The next one, on g0: those that wait longest come first, and run-next's turn is over if there is anybody else. */
struct rn__g *rn__runq_pick_fairly(struct rn__p *p) {
    struct rn__g *last = runnext_get(p), *g = oldest_in_turn(p);
    if (!g) g = rn__global_get(p);
    if (!g) g = ring_get(p);
    if (!g) g = newest_get(p);
    if (!g) return last;
    if (last) rn__runq_put(p, last);
    return g;
}

/* All that p holds to the global queue. (Not by picking fairly, which would get it back from there.) */
void rn__runq_drain(struct rn__p *p) {
    struct rn__g *g;
    while ((g = runnext_get(p)) || (g = ring_get(p)) || (g = oldest_get(p))) rn__global_put(g);
}

/* ---- the global queue ---- */

void rn__global_put(struct rn__g *g) {
    rn__lock_acquire(&rn__sched.lock);
    global_push(g);
    rn__lock_release(&rn__sched.lock);
}

void rn__hand_out(void *g) {
    rn__global_put(g);
    rn__wake_p();
}

/* How many p may take along, besides the one that it runs at once. With sched.lock. */
static uint32_t fair_share(struct rn__p *p) {
    struct rn__globq *q = &rn__sched.global;
    uint32_t share = rn__sched.nglobal / rn__load_relaxed(&rn__sched.procs);
    uint32_t room = rn__ring_size() - length(p);
    if (share > rn__ring_size() / 2) share = rn__ring_size() / 2;
    if (flock_of(q->slot[q->head])) share = COLD; /* how many are in it nobody knows */
    return share < room ? share : room;
}

void rn__ready_flock(struct rn__flock *f) { rn__hand_out((char *)f + 1); /* see flock_of */ }

/* The first of the global queue; a fair share of the rest comes along into p's ring. */
struct rn__g *rn__global_get(struct rn__p *p) {
    struct rn__g *some[1 + RN__RING / 2];
    if (rn__load_relaxed(&rn__sched.nglobal) == 0) return NULL; /* a glance: who puts then wakes */
    rn__lock_acquire(&rn__sched.lock);
    uint32_t n = global_take(some, 1 + fair_share(p));
    rn__lock_release(&rn__sched.lock);
    for (uint32_t i = 0; i < n; i++) rouse(some[i]);
    for (uint32_t i = 1; i < n; i++) rn__runq_put(p, some[i]);
    return n != 0 ? some[0] : NULL;
}

/* ---- stealing ---- */

/* Half of n, rounded up, but no more than half a ring. */
static uint32_t half(uint32_t n) {
    n -= n / 2;
    return n > rn__ring_size() / 2 ? rn__ring_size() / 2 : n;
}

/* Half of what the victim's ring holds; the last one is returned. */
static struct rn__g *take_ring(struct rn__p *to, struct rn__p *from) {
    uint32_t n = half(length(from));
    struct rn__g *g = ring_get(from);
    for (; n > 1; n--) {
        rn__runq_put(to, g);
        g = ring_get(from);
    }
    return g;
}

/* Half of the young ones, the oldest; the newest of them is returned. */
static struct rn__g *take_young(struct rn__p *to, struct rn__p *from) {
    uint32_t n = half(young(from));
    struct rn__g *g = oldest_get(from);
    for (; n > 1; n--) {
        rn__runq_put_young(to, g);
        g = oldest_get(from);
    }
    return g;
}

/* How many have left the ring and the young ones. */
static uint32_t left(struct rn__p *p) {
    return rn__load_relaxed(&p->head) + rn__load_relaxed(&p->young.taken);
}

static void note_left(struct rn__p *p, uint32_t n, rn_time now) {
    rn__store_relaxed(&p->watched_left, n);
    rn__store_relaxed(&p->watched, now);
}

/* So long the thief lets others wait. */
static rn_duration long_for(const struct rn__p *thief) {
    return (LONG_US * RN_US) << thief->losses;
}

/*
 * Will those in the queue of p wait long? How many they are and how many left since it was last noted tell. All of it is
 * glanced at, by as many as like: a wrong guess costs time only.
 */
static bool waits_long(struct rn__p *p, rn_time now, rn_duration too_long) {
    uint32_t gone = left(p), n = rn__runq_length(p);
    uint32_t moved = gone - rn__load_relaxed(&p->watched_left);
    rn_duration since = now - rn__load_relaxed(&p->watched);
    rn_duration stale = STALE_US * RN_US;
    if (stale < 2 * too_long) stale = 2 * too_long;
    if (n == 0 || since > stale) {
        note_left(p, gone, now);
        return false;
    }
    if (since < GLANCE_US * RN_US) return false;
    if (moved == 0) return since >= too_long;
    note_left(p, gone, now);
    return since / moved * n >= too_long;
}

/* Does somebody wait in run-next for longer than those need who are about to park, and than the thief is patient? */
static bool next_waits(struct rn__p *p, rn_time now, const struct rn__p *thief) {
    rn_duration too_long = long_for(thief);
    if (thief->patience < too_long) too_long = thief->patience;
    if (too_long < NEXT_US * RN_US) too_long = NEXT_US * RN_US;
    struct rn__g *g = rn__load_relaxed(&p->runnext);
    uint32_t tick = rn__load_relaxed(&p->tick);
    if (g && g == rn__load_relaxed(&p->next_seen) && tick == rn__load_relaxed(&p->next_tick))
        return now - rn__load_relaxed(&p->next_since) >= too_long;
    rn__store_relaxed(&p->next_seen, g);
    rn__store_relaxed(&p->next_tick, tick);
    rn__store_relaxed(&p->next_since, now);
    return false;
}

/* Both Ps are ours now. */
static void note_steal(struct rn__p *to, struct rn__p *from, rn_time start) {
    to->stole = from->stole = rn__now();
    to->paid = from->paid = to->stole - start;
}

static struct rn__g *steal_from(struct rn__p *to, struct rn__p *from, struct rn__search *s) {
    bool some = rn__runq_length(from) != 0;
    bool steals = some && (s->any || waits_long(from, s->now, long_for(to)));
    s->seen |= some;
    bool next =
        s->runnext_too ? rn__load_relaxed(&from->runnext) != NULL : next_waits(from, s->now, to);
    if (!steals && !next) return NULL;
    rn_time start = rn__now();
    struct rn__m *m = rn__claim_p(from, 96);
    if (!m) return NULL;
    struct rn__g *g = take_ring(to, from);
    if (!g) g = take_young(to, from);
    if (!g && next) {
        g = runnext_get(from);
        if (g && rn__load_relaxed(&from->slow)) rn__note_wait(from, s->now);
    }
    if (g) note_steal(to, from, start);
    rn__unclaim_m(m);
    return g;
}

/* Something from another P, starting at a random one. The caller has a P with an empty ring. */
struct rn__g *rn__steal(struct rn__m *m, struct rn__search *s) {
    struct rn__p *p = m->p;
    uint32_t n = rn__load_relaxed(&rn__sched.procs);
    uint32_t start = rn__random(n);
    for (uint32_t i = 0; i < n; i++) {
        struct rn__p *victim = rn__load_acquire(&rn__sched.ps[(start + i) % n]);
        if (!victim || victim == p) continue;
        struct rn__g *g = steal_from(p, victim, s);
        if (g) return g;
    }
    return NULL;
}

/* ---- lists ---- */

void rn__glist_put(struct rn__glist *l, struct rn__g *g) {
    if (unlikely(g->kind == RN__THREAD)) {
        g->next = l->threads;
        l->threads = g;
        return;
    }
    g->next = NULL;
    *(l->tail ? &l->tail->next : &l->head) = g;
    l->tail = g;
    l->n++;
}

static struct rn__g *list_get(struct rn__g **head) {
    struct rn__g *g = *head;
    *head = g->next;
    rn__assert(g->state == RN__WAITING, "runq: made ready, but not waiting");
    g->state = RN__RUNNABLE;
    return g;
}

static void global_put_list(struct rn__g *head) {
    rn__lock_acquire(&rn__sched.lock);
    while (head) global_push(list_get(&head));
    rn__lock_release(&rn__sched.lock);
}

/* Into the ring of p, which may be NULL, and what it has no room for into the global queue. */
void rn__runq_put_list(struct rn__p *p, struct rn__glist *l) {
    struct rn__g *head = l->head;
    while (p && head && length(p) < rn__ring_size()) rn__runq_put(p, list_get(&head));
    if (head) global_put_list(head);
}
