/* SPDX-License-Identifier: MIT */
/*
 * poll.c: the records of descriptors, who waits for them, and making those ready (what and why: poll.h).
 *
 * A record's state word: generation (31 bits, never 0) << 32 | CLOSED << 31 | users (31 bits).
 *   opened   by rn__poll_open: next generation, users 1 (the opener's, which rn__poll_close gives back)
 *   used     by rn__poll_get: users + 1, if the generation fits and CLOSED is not set
 *   CLOSED   by rn__poll_close, once: no new users, no new waiters
 *   unused   by whoever brings users to 0, which only happens after CLOSED: it closes the descriptor, tells the closer and
 *            puts the record into the free list, state left as it is
 * A waiter lives on its goroutine's stack. It is queued under the lock by itself and taken out under the lock by whoever
 * wakes it, and touched by nobody after its goroutine was made ready.
 */
#include "sched/poll.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/die.h"
#include "os/clock.h"
#include "os/sanitizer.h"
#include "sched/core.h"
#include "sched/sched.h"
#include "sched/timer.h"

enum {
    CHUNK = 128,      /* records in a chunk */
    CHUNKS = 1 << 14, /* 2 million descriptors */
    EVENTS = 128,     /* taken at a time */
    ASK_FIRST = 4,    /* at one wait in so many it is asked where a connection belongs, */
    CALMEST = 6,      /* and in 2^6 times as many once it stays there */
    SMALL = 8,        /* so many connections are no imbalance */
    BOTH = RN__POLL_READ | RN__POLL_WRITE,
};

#define CLOSED ((uint64_t)1 << 31)
#define USERS (CLOSED - 1)
#define GENERATIONS ((uint64_t)0x7fffffff)

enum waiter_step { NEW, QUEUED, DONE };

struct rn__poll_waiter {
    struct rn__poll_waiter *next, *prev; /* in the record's queue */
    struct rn__pollfd *pd;
    struct rn__g *g;
    uint32_t dirs;
    int result;
    enum waiter_step step; /* under the record's lock */
    struct rn__timer timer;
};

static struct {
    struct rn__lock lock; /* protects free and used; ranks as a record's lock does, never both */
    struct rn__pollfd *free;
    uint32_t used;                    /* records there are */
    struct rn__pollfd *chunk[CHUNKS]; /* atomic: each written once (P1) */
} table;

static const struct rn__poll_hooks hooks = {rn__poll_active, rn__poll, rn__poll_take,
                                            rn__poller_owned, rn__poll_wake};
static struct rn__lock opening; /* for rn__poller_open */
static bool opened;             /* P2 */
static uint32_t own_sets;       /* of Ps; written before `opened` */

/* How many wait for a descriptor. On a line of its own: every wait writes it. */
static RN_ALIGNED_LINE uint32_t waiting;

/* Inside with the lock, and back: for callers from outside. */
static void enter(struct rn__lock *l) {
    rn__in();
    rn__lock_acquire(l);
}

static void leave(struct rn__lock *l) {
    rn__lock_release(l);
    rn__out();
}

/* ---- a record's queue; its lock is held ---- */

static void enqueue(struct rn__pollfd *pd, struct rn__poll_waiter *w) {
    w->step = QUEUED;
    w->next = NULL;
    w->prev = pd->last;
    if (pd->last)
        pd->last->next = w;
    else
        pd->first = w;
    pd->last = w;
    if (!(w->dirs & BOTH)) return;
    rn__add_seq_cst(&waiting, 1u);
    rn__poll_watched();
}

static void dequeue(struct rn__pollfd *pd, struct rn__poll_waiter *w, int result) {
    if (w->prev)
        w->prev->next = w->next;
    else
        pd->first = w->next;
    if (w->next)
        w->next->prev = w->prev;
    else
        pd->last = w->prev;
    w->result = result;
    w->step = DONE;
}

/* Those to be made ready after the lock. */
struct batch {
    struct rn__glist list;
    uint32_t awaited; /* how many of them wait for the descriptor, not for each other */
};

/* Take out all that wait for any of dirs; those for a turn get turn_result. */
static void collect(struct rn__pollfd *pd, uint32_t dirs, int result, int turn_result,
                    struct batch *b) {
    for (struct rn__poll_waiter *w = pd->first, *next; w; w = next) {
        next = w->next;
        if (!(w->dirs & dirs)) continue;
        dequeue(pd, w, w->dirs & RN__POLL_TURN ? turn_result : result);
        b->awaited += (w->dirs & BOTH) != 0;
        rn__glist_put(&b->list, w->g); /* off its stack: it parked with the lock that we hold */
    }
}

/* After they are ready: whoever looks for a deadlock in between sees that they wait, or that there is work. */
static void count_off(struct batch *b) {
    if (b->awaited) rn__sub_seq_cst(&waiting, b->awaited);
}

/* Inside. */
static void ready(struct batch *b) {
    rn__ready_list(&b->list);
    count_off(b);
}

/* The counters are only written under the lock. P5: who sees an odd edge sees that it is odd. */
static void bump(struct rn__pollfd *pd, uint32_t dirs) {
    for (int i = 0; i < 2; i++)
        if (dirs & (1u << i)) rn__store_release(&pd->seq[i], rn__load_relaxed(&pd->seq[i]) + 1);
}

/* Changes whenever one of dirs had an edge. */
static uint32_t count(struct rn__pollfd *pd, uint32_t dirs) {
    uint32_t n = 0; /* acquire: not after the system call that follows; P5 */
    if (dirs & RN__POLL_READ) n += rn__load_acquire(&pd->seq[0]);
    if (dirs & RN__POLL_WRITE) n += rn__load_acquire(&pd->seq[1]);
    return n;
}

/* ---- records ---- */

static struct rn__pollfd *record(uint32_t index) {
    if (index / CHUNK >= CHUNKS) return NULL;
    struct rn__pollfd *c =
        rn__load_acquire(&table.chunk[index / CHUNK]); /* P1: pairs with more_records */
    return c ? &c[index % CHUNK] : NULL;
}

/* malloc without the lock: when two come at once, there are two chunks more. */
static int more_records(void) {
    struct rn__pollfd *c = calloc(CHUNK, sizeof *c);
    if (!c) return -ENOMEM;
    enter(&table.lock);
    bool full = table.used / CHUNK >= CHUNKS;
    if (!full) {
        for (uint32_t i = 0; i < CHUNK; i++) {
            c[i].index = table.used + i;
            rn__lock_rank(&c[i].lock, RN__RANK_CHAN);
            rn__store_relaxed(&c[i].state, CLOSED); /* published by P1 */
            c[i].next = i + 1 < CHUNK ? &c[i + 1] : table.free;
        }
        table.free = &c[0];
        rn__store_release(&table.chunk[table.used / CHUNK], c); /* P1: pairs with record */
        table.used += CHUNK;
    }
    leave(&table.lock);
    if (full) free(c);
    return full ? -ENOMEM : 0;
}

static struct rn__pollfd *take_record(void) {
    for (;;) {
        enter(&table.lock);
        struct rn__pollfd *pd = table.free;
        if (pd) table.free = pd->next;
        leave(&table.lock);
        if (pd || more_records() < 0) return pd;
    }
}

static void give_record_in(struct rn__pollfd *pd) {
    rn__lock_acquire(&table.lock);
    pd->next = table.free;
    table.free = pd;
    rn__lock_release(&table.lock);
}

static uint64_t next_generation(uint64_t state) {
    uint64_t g = ((state >> 32) + 1) & GENERATIONS;
    return g ? g : 1;
}

rn__pollref rn__poll_open(int fd, uint8_t kind, bool borrowed) {
    struct rn__pollfd *pd = take_record();
    if (!pd) return -ENOMEM;
    enter(&pd->lock); /* a late event may look at the record */
    pd->fd = fd;
    pd->kind = kind;
    pd->borrowed = borrowed;
    pd->registered = pd->writing = false;
    pd->calm = 0;
    pd->path = NULL;
    rn__store_relaxed(&pd->empty, rn__load_relaxed(&pd->seq[0]) - 1);
    rn__store_relaxed(&pd->odd, false);
    rn__store_relaxed(&pd->deadline[0], RN_TIME_MAX);
    rn__store_relaxed(&pd->deadline[1], RN_TIME_MAX);
    /* P3: pairs with step */
    rn__san_release(pd); /* who opened the descriptor before who uses it */
    rn__store_release(&pd->state, next_generation(rn__load_relaxed(&pd->state)) << 32 | 1);
    leave(&pd->lock);
    return rn__poll_ref(pd);
}

rn__pollref rn__poll_ref(struct rn__pollfd *pd) {
    return (rn__pollref)((rn__load_relaxed(&pd->state) >> 32) << 32 | pd->index);
}

/* Step the state of an open record from s to s + change. NULL: the handle is of another generation, or closed. */
static struct rn__pollfd *step(rn__pollref h, uint64_t change) {
    struct rn__pollfd *pd = h > 0 ? record((uint32_t)h) : NULL;
    if (!pd) return NULL;
    for (;;) {
        uint64_t s = rn__load_relaxed(&pd->state);
        if (s >> 32 != (uint64_t)h >> 32 || s & CLOSED) return NULL;
        if (rn__cas_acq_rel(&pd->state, s, s + change)) return pd; /* P3 */
    }
}

struct rn__pollfd *rn__poll_get(rn__pollref h) {
    struct rn__pollfd *pd = step(h, 1);
    if (pd) rn__san_acquire(pd);
    return pd;
}

/* The last user of a closed record. The closer, if it waits, gave up its use under the lock and is parked when we have it. */
static void unused(struct rn__pollfd *pd) {
    struct batch l = {0};
    rn__san_acquire(pd);
    if (pd->registered) rn__poller_del(pd->fd, pd->set);
    if (!pd->borrowed) close(pd->fd);
    enter(&pd->lock);
    collect(pd, RN__POLL_GONE, 0, 0, &l);
    if (pd->first) rn__fatal("poll: a closed descriptor has waiters");
    rn__lock_release(&pd->lock);
    give_record_in(pd);
    ready(&l);
    rn__out();
}

/* P4: each user's put happens before the descriptor is closed. */
void rn__poll_put(struct rn__pollfd *pd) {
    rn__san_release(pd);
    if ((rn__sub_acq_rel(&pd->state, (uint64_t)1) & USERS) == 1) unused(pd);
}

/* ---- waiting ---- */

static void unlock(void *lock) { rn__lock_release(lock); }

/* Runs with the heap's lock: the waiter disarms, and so waits for us, before it leaves, unless we timed it out. */
static void on_time(void *arg, rn_time now) {
    struct rn__poll_waiter *w = arg;
    struct rn__pollfd *pd = w->pd;
    struct rn__g *g = NULL;
    bool awaited = w->dirs & BOTH; /* w is gone with the ready */
    (void)now;
    rn__lock_acquire(&pd->lock);
    if (w->step == QUEUED) {
        g = w->g;
        dequeue(pd, w, -ETIMEDOUT);
    } else if (w->step == NEW) {
        w->result = -ETIMEDOUT;
        w->step = DONE;
    }
    rn__lock_release(&pd->lock);
    if (!g) return;
    rn__ready(g);
    if (awaited) rn__sub_seq_cst(&waiting, 1u);
}

static bool is_open(void) {
    if (!rn__load_acquire(&opened)) return false; /* P2 */
    rn__san_acquire(&opened);
    return true;
}

/* Set 0 and one for each P, up to what there is room for. 0 or -errno. */
static int open_sets(void) {
    uint32_t procs = rn__load_relaxed(&rn__sched.procs);
    int n = procs == 1 ? 1 : procs < RN__POLLER_SETS ? (int)procs + 1 : RN__POLLER_SETS;
    int r = rn__poller_open(n);
    if (r < 0) return r;
    own_sets = (uint32_t)r - 1;
    return 0;
}

static int open_poller(void) {
    rn__lock_acquire(&opening);
    int r = is_open() ? 0 : open_sets();
    if (r == 0) {
        rn__san_release(&opened);
        rn__store_release(&opened, true); /* P2 */
    }
    rn__lock_release(&opening);
    if (r == 0) rn__poll_begins(&hooks);
    return r;
}

/* The poller is opened by the first that waits. */
static int ensure_open(void) { return is_open() ? 0 : open_poller(); }

static int check_turn(struct rn__pollfd *pd, uint32_t seq) {
    if (!pd->writing) {
        pd->writing = true;
        return 0;
    }
    return count(pd, RN__POLL_WRITE) != seq ? -EINTR : 1;
}

/* The lock is held. 1, or what rn__poller_add says. */
static int add(struct rn__pollfd *pd, uint32_t set) {
    int r = rn__poller_add(pd->fd, (uint64_t)rn__poll_ref(pd), set);
    if (r < 0) return r;
    pd->set = (uint8_t)set;
    pd->registered = true;
    return 1;
}

/* The lock is held. First the new set, then out of the old one, so that others who wait stay in one, whatever fails. An edge more does no harm. */
static void move(struct rn__pollfd *pd, uint32_t set) {
    uint32_t was = pd->set;
    if (set != was && add(pd, set) > 0) rn__poller_del(pd->fd, was);
}

static uint32_t own_set(uint32_t id) { return own_sets == 0 ? 0 : 1 + id % own_sets; }

/* The set of the P that runs where the kernel handles what comes for fd; 0: there is none. */
static uint32_t set_there(int fd) {
    const struct rn__p *p = rn__p_on(rn__poller_cpu(fd), NULL);
    return p ? own_set(p->id) : 0;
}

/* Where the kernel handles everything on one CPU its P is not to have everything either. */
static bool is_full(struct rn__pollfd *pd, uint32_t set) {
    uint32_t n = rn__poller_members(set);
    if (pd->set != 0) return n > rn__poller_members(pd->set);
    return n > 2 * rn__poller_owned() / own_sets + SMALL;
}

/* Both ends of a connection may be ours, and each follow the other: chance decides who asks. */
static void follow(struct rn__pollfd *pd) {
    if (rn__random((uint32_t)ASK_FIRST << pd->calm) != 0) return;
    uint32_t set = set_there(pd->fd);
    if (set != 0 && set != pd->set && !is_full(pd, set)) {
        pd->calm = 0;
        move(pd, set);
    } else if (pd->calm < CALMEST) {
        pd->calm++;
    }
}

/* The lock is held. */
static void settle(struct rn__pollfd *pd) {
    if (own_sets == 0) return;
    if (rn__chaos(8))
        move(pd, rn__random(own_sets + 1));
    else if (rn__all_busy())
        follow(pd);
    else if (pd->set != 0)
        move(pd, 0);
}

/* The lock is held. What keeps the caller from parking; 1 if nothing does. */
static int check(struct rn__pollfd *pd, uint32_t dirs, uint32_t seq) {
    if (rn__load_relaxed(&pd->state) & CLOSED)
        return -EBADF; /* relaxed: the closer takes the lock after setting it */
    if (dirs & RN__POLL_TURN) return check_turn(pd, seq);
    if (count(pd, dirs) != seq) return 0;
    if (!pd->registered) return add(pd, 0);
    settle(pd);
    return 1;
}

/* The caller holds pd->lock; it is released. */
static void park(struct rn__pollfd *pd, struct rn__poll_waiter *w) {
    enqueue(pd, w);
    rn__park(RN__WAIT_IO, pd, unlock, &pd->lock);
}

/* Inside. */
static int wait(struct rn__pollfd *pd, uint32_t dirs, uint32_t seq, rn_time until) {
    struct rn__poll_waiter w = {.pd = pd, .g = rn__self(), .dirs = dirs};
    bool timed = until != RN_TIME_MAX;
    if (timed && until <= rn__now()) return -ETIMEDOUT;
    if (timed) rn__timer_arm(&w.timer, until, on_time, &w);
    rn__lock_acquire(&pd->lock);
    int r = w.step == DONE ? w.result : check(pd, dirs, seq);
    if (r == 1) {
        park(pd, &w);
        r = w.result;
    } else {
        w.step = DONE;
        rn__lock_release(&pd->lock);
    }
    if (timed && r != -ETIMEDOUT) rn__timer_disarm(&w.timer);
    return r;
}

uint32_t rn__poll_seq(struct rn__pollfd *pd, uint32_t dir) { return count(pd, dir); }

/* Relaxed: what is said holds for the counter that it is said with, whoever sees it. */
void rn__poll_read_short(struct rn__pollfd *pd, uint32_t seq) {
    rn__store_relaxed(&pd->empty, seq);
}

bool rn__poll_empty(struct rn__pollfd *pd, uint32_t seq) {
    return rn__load_relaxed(&pd->empty) == seq && !rn__load_relaxed(&pd->odd);
}

void rn__poll_odd(struct rn__pollfd *pd) { rn__store_relaxed(&pd->odd, true); }

int rn__poll_wait(struct rn__pollfd *pd, uint32_t dir, uint32_t seq, rn_time until) {
    rn__in();
    int r = ensure_open();
    if (r == 0) r = wait(pd, dir, seq, until);
    rn__out();
    return r;
}

int rn__poll_try_turn(struct rn__pollfd *pd) {
    enter(&pd->lock);
    int r = pd->writing ? -EAGAIN : 0;
    if (rn__load_relaxed(&pd->state) & CLOSED) r = -EBADF;
    if (r == 0) pd->writing = true;
    leave(&pd->lock);
    return r;
}

int rn__poll_take_turn(struct rn__pollfd *pd, uint32_t seq, rn_time until) {
    rn__in();
    int r = wait(pd, RN__POLL_TURN, seq, until);
    rn__out();
    return r;
}

/* The turn goes straight to the oldest waiter, or is free. */
void rn__poll_give_turn(struct rn__pollfd *pd) {
    enter(&pd->lock);
    struct rn__poll_waiter *w = pd->first;
    while (w && !(w->dirs & RN__POLL_TURN)) w = w->next;
    struct rn__g *g = w ? w->g : NULL;
    if (w)
        dequeue(pd, w, 0);
    else
        pd->writing = false;
    rn__lock_release(&pd->lock);
    if (g) rn__ready(g);
    rn__out();
}

void rn__poll_kick(struct rn__pollfd *pd, uint32_t dirs) {
    struct batch l = {0};
    enter(&pd->lock);
    bump(pd, dirs);
    collect(pd, dirs, 0, -EINTR, &l);
    rn__lock_release(&pd->lock);
    ready(&l);
    rn__out();
}

/* ---- closing ---- */

int rn__poll_close(rn__pollref h) {
    struct rn__pollfd *pd = step(h, CLOSED);
    if (!pd) return -EBADF;
    struct batch l = {0};
    enter(&pd->lock);
    collect(pd, BOTH | RN__POLL_TURN, -EBADF, -EBADF, &l);
    rn__lock_release(&pd->lock);
    ready(&l);

    struct rn__poll_waiter w = {.pd = pd, .g = rn__self(), .dirs = RN__POLL_GONE};
    rn__lock_acquire(&pd->lock);
    bool last = (rn__sub_acq_rel(&pd->state, (uint64_t)1) & USERS) == 1; /* P4 */
    if (last)
        rn__lock_release(&pd->lock);
    else
        park(pd, &w);
    rn__out();
    if (last) unused(pd);
    return 0;
}

/* ---- for the scheduler ---- */

uint32_t rn__poll_waiting(void) { return rn__load_relaxed(&waiting); }

bool rn__poll_active(void) {
    return rn__load_relaxed(&waiting) !=
           0; /* relaxed: who decides on it looks again when all is idle */
}

static void deliver(const struct rn__poll_event *e, struct batch *l) {
    struct rn__pollfd *pd = record((uint32_t)e->cookie);
    if (!pd) return;
    rn__lock_acquire(&pd->lock);
    if (rn__load_relaxed(&pd->state) >> 32 ==
        e->cookie >> 32) { /* else late: the record has another user */
        if (e->events & RN__POLL_ODD) rn__store_relaxed(&pd->odd, true); /* P5 */
        bump(pd, e->events & BOTH);
        collect(pd, e->events & BOTH, 0, 0, l);
    }
    rn__lock_release(&pd->lock);
}

static int ready_polled(struct batch *l) {
    int n = (int)rn__ready_quietly(&l->list);
    count_off(l);
    return n;
}

static void take(uint32_t set, struct batch *l) {
    struct rn__poll_event e[EVENTS];
    int n = rn__poller_take(e, EVENTS, set);
    for (int i = 0; i < n; i++) deliver(&e[i], l);
}

int rn__poll(rn_duration timeout) {
    struct rn__poll_event e[EVENTS];
    struct batch l = {0};
    if (timeout == 0 && !is_open()) return 0;
    int r = ensure_open();
    if (r) return r;
    int n = rn__poller_wait(e, EVENTS, timeout);
    for (int i = 0; i < n; i++) deliver(&e[i], &l);
    for (uint32_t i = 1; timeout != 0 && i <= own_sets; i++) take(i, &l);
    return ready_polled(&l);
}

int rn__poll_take(uint32_t id) {
    struct batch l = {0};
    if (!is_open()) return 0;
    if (own_set(id) != 0) take(own_set(id), &l);
    return ready_polled(&l);
}

/* When the poller is not open nobody waits in it. */
void rn__poll_wake(void) {
    if (is_open()) rn__poller_wake();
}
