/* SPDX-License-Identifier: MIT */
/*
 * context.c: the tree of contexts. One allocation each; the done channel is made when first asked for.
 *
 * Two relations:
 *   parent  the context it was made from. A counted reference: whoever has a context has all above it.
 *   up      the nearest context above that can be cancelled; it lists, without counting, those directly
 *           below it in `below`, so that cancelling goes down. One who dies takes itself out of the list; who
 *           goes down takes a reference only on those that are not dying (try_ref).
 * `node` is the context itself if it can be cancelled, else its `up`: done, err and cause are the node's.
 *
 * A context is cancelled by whoever sets its `err` under its lock; that one closes its channel, ends its
 * timer, and goes on with those below, over a list of work linked through `next`: linear, no recursion. Each listed one
 * is taken out of its list exactly once, and only whoever took it out uses its `next`.
 *
 * lock protects: err and cause (err is read without it), done (set once, read without it), the list
 * `below`, and in each that is or was in the list, its next, prev and listed. Rank: none is acquired under it, and it
 * is acquired under none; in particular no two contexts' locks are held together, in whatever order the tree says.
 *
 * A deadline's function runs with a heap's lock held, and cancelling is too much for that: it starts a goroutine.
 */
#include <runnel/context.h>
#include <runnel/go.h>
#include <runnel/panic.h>
#include <runnel/time.h>

#include <errno.h>
#include <stdlib.h>

#include "base/atomic.h"
#include "os/deadline.h"
#include "os/lock.h"
#include "os/sanitizer.h"
#include "sched/sched.h"
#include "sched/timer.h"

struct deadline;

enum kind { ROOT, CANCEL, DEADLINE, VALUE, WITHOUT, FUNC };

struct rn_ctx {
    struct rn__ctx_head head; /* where the node's err is, or a 0 if there is no node */
    uint32_t refs;
    uint8_t kind;
    bool listed; /* in up->below */
    struct rn__lock lock;
    int err;
    int cause;
    struct rn_ctx *parent, *node, *up;
    struct deadline *timed; /* the nearest with a deadline, itself included: it has the earliest */
    struct rn_ctx *below, *next, *prev;
    void *done;
};

/* What the other kinds have beyond it. */
struct deadline {
    struct rn_ctx ctx;
    struct rn__timer timer;
    rn_time at;
    int cause;
    bool held; /* the timer's function has taken its reference */
};

struct value {
    struct rn_ctx ctx;
    const void *key;
    void *value;
};

struct rn_ctx_func {
    struct rn_ctx ctx;
    void (*fn)(void *);
    void *arg;
};

static const int never;
static struct rn_ctx background = {.head = {&never}, .kind = ROOT};
static struct rn_ctx todo = {.head = {&never}, .kind = ROOT};

rn_ctx *rn_ctx_background(void) { return &background; }

rn_ctx *rn_ctx_todo(void) { return &todo; }

static void need(const struct rn_ctx *c) {
    if (!c) rn_panic("context: NULL context");
}

static void enter(struct rn_ctx *c) {
    rn__in();
    rn__lock_acquire(&c->lock);
}

static void leave(struct rn_ctx *c) {
    rn__lock_release(&c->lock);
    rn__out();
}

/* ---- references ---- */

rn_ctx *rn_ctx_ref(rn_ctx *c) {
    need(c);
    /* Relaxed: whoever refers to it may make more references; the last unref orders */
    if (c->kind != ROOT) rn__add_relaxed(&c->refs, 1u);
    return c;
}

/* A reference on one that may be dying. The caller knows that the memory is there: it is listed, or its timer fires. */
static bool try_ref(struct rn_ctx *c) {
    uint32_t n = rn__load_relaxed(&c->refs);
    while (n != 0 && !rn__cas_relaxed(&c->refs, n, n + 1)) n = rn__load_relaxed(&c->refs);
    return n != 0;
}

/* With up's lock. */
static void unlist(struct rn_ctx *c) {
    if (c->prev)
        c->prev->next = c->next;
    else
        c->up->below = c->next;
    if (c->next) c->next->prev = c->prev;
    c->listed = false;
}

/* Take c out of the list it may be in. Returns whether it was. */
static bool leave_tree(struct rn_ctx *c) {
    if (!c->up) return false;
    enter(c->up);
    bool listed = c->listed;
    if (listed) unlist(c);
    leave(c->up);
    return listed;
}

static void stop_timer(struct rn_ctx *c) {
    if (c->kind != DEADLINE) return;
    rn__in();
    rn__timer_disarm(&((struct deadline *)c)->timer);
    rn__out();
}

static void destroy(struct rn_ctx *c) {
    leave_tree(c);
    stop_timer(c);
    rn_chan_unref(c->done);
    free(c);
}

/* One reference less. True: it was the last one. A sanitizer sees the free: it must see what comes before it. */
static bool drop(rn_ctx *c) {
    rn__san_release(c);
    if (rn__sub_acq_rel(&c->refs, 1u) != 1) return false;
    rn__san_acquire(c);
    return true;
}

/* The last child of a long chain takes the chain along: a loop, not a recursion. */
void rn_ctx_unref(rn_ctx *c) {
    while (c && c->kind != ROOT && drop(c)) {
        struct rn_ctx *parent = c->parent;
        destroy(c);
        c = parent;
    }
}

/* ---- cancelling ---- */

/* The function gets a goroutine, if need be when there is memory for one again. */
static void start_func(struct rn_ctx *c) {
    struct rn_ctx_func *f = (struct rn_ctx_func *)c;
    rn__san_acquire(f); /* F1: what came before rn_ctx_after_func happens before fn */
    while (rn_go_call(NULL, f->fn, f->arg) != 0) rn_sleep(RN_MS);
}

/* With c's lock: all below that are not dying, referred to, put before `work`. */
static struct rn_ctx *take_below(struct rn_ctx *c, struct rn_ctx *work) {
    struct rn_ctx *next;
    for (struct rn_ctx *b = c->below; b; b = next) {
        next = b->next;
        b->listed = false;
        if (!try_ref(b)) continue;
        b->next = work;
        work = b;
    }
    c->below = NULL;
    return work;
}

/* Cancel c alone; returns those below it that are to follow, and `work`. */
static struct rn_ctx *cancel_one(struct rn_ctx *c, int err, int cause, struct rn_ctx *work) {
    enter(c);
    bool first = c->err == 0;
    if (first) {
        c->cause = cause;
        rn__san_release(&c->err);        /* cancelling happens before who is told of it goes on */
        rn__store_release(&c->err, err); /* E1: pairs with E2 in rn_ctx_err: cause */
        work = take_below(c, work);
    }
    void *done = c->done;
    leave(c);
    if (!first) return work;
    if (done) rn_chan_close(done);
    stop_timer(c);
    return work;
}

static void cancel_tree(struct rn_ctx *c, int err, int cause) {
    struct rn_ctx *work = cancel_one(c, err, cause, NULL);
    while (work) {
        struct rn_ctx *b = work;
        work = b->next;
        if (b->kind == FUNC)
            start_func(b);
        else
            work = cancel_one(b, err, cause, work);
        rn_ctx_unref(b);
    }
    leave_tree(c);
}

void rn_ctx_cancel_cause(rn_ctx *c, int cause) {
    need(c);
    if (c->node != c) rn_panic("context: cancel of a context that has no cancel");
    cancel_tree(c, -ECANCELED, cause ? cause : -ECANCELED);
}

void rn_ctx_cancel(rn_ctx *c) { rn_ctx_cancel_cause(c, -ECANCELED); }

static void expired(void *arg) {
    struct deadline *c = arg;
    cancel_tree(&c->ctx, -ETIMEDOUT, c->cause);
    rn_ctx_unref(&c->ctx);
}

/*
 * The deadline's function, with the heap's lock: destroy waits for it in stop_timer. It must not drop a
 * reference, which might be the last; so if no goroutine can be started it keeps it for the next attempt.
 */
static void expire(void *arg, rn_time now) {
    struct deadline *c = arg;
    if (!c->held && !try_ref(&c->ctx)) return;
    c->held = true;
    if (rn__spawn_call(expired, c) != 0) rn__timer_again(&c->timer, rn__time_add(now, RN_MS));
}

/* ---- making ---- */

static void *make(enum kind kind, size_t size, rn_ctx *parent) {
    struct rn_ctx *c = calloc(1, size);
    if (!c) return NULL;
    c->refs = 1;
    c->kind = (uint8_t)kind;
    c->parent = rn_ctx_ref(parent);
    c->up = kind == WITHOUT ? NULL : parent->node;
    c->node = kind == CANCEL || kind == DEADLINE ? c : c->up;
    c->head.rn__err = c->node ? &c->node->err : &never;
    c->timed = kind == DEADLINE ? (struct deadline *)c : kind == WITHOUT ? NULL : parent->timed;
    return c;
}

/* Into up's list; or, if up is done, go its way at once. */
static void enter_tree(struct rn_ctx *c) {
    struct rn_ctx *up = c->up;
    if (!up) return;
    enter(up);
    int err = up->err, cause = up->cause;
    if (!err) {
        c->next = up->below;
        if (c->next) c->next->prev = c;
        up->below = c;
        c->listed = true;
    }
    leave(up);
    if (!err) return;
    if (c->kind == FUNC)
        start_func(c);
    else
        cancel_tree(c, err, cause);
}

static void need_parent(const struct rn_ctx *parent) {
    if (!parent) rn_panic("cannot create context from nil parent");
}

rn_ctx *rn_ctx_with_cancel(rn_ctx *parent) {
    need_parent(parent);
    struct rn_ctx *c = make(CANCEL, sizeof *c, parent);
    if (c) enter_tree(c);
    return c;
}

rn_ctx *rn_ctx_with_cancel_cause(rn_ctx *parent) { return rn_ctx_with_cancel(parent); }

/*
 * Armed before it is in the tree, while nobody else can end the timer. Should it expire in between, the
 * tree gets one that is done, which does no harm.
 */
rn_ctx *rn_ctx_with_deadline_cause(rn_ctx *parent, rn_time t, int cause) {
    need_parent(parent);
    if (parent->timed && parent->timed->at <= t) return rn_ctx_with_cancel(parent);
    struct deadline *c = make(DEADLINE, sizeof *c, parent);
    if (!c) return NULL;
    c->at = t;
    c->cause = cause ? cause : -ETIMEDOUT;
    bool past = t <= rn__now();
    if (!past) {
        rn__in();
        rn__timer_arm(&c->timer, t, expire, c);
        rn__out();
    }
    enter_tree(&c->ctx);
    if (past) cancel_tree(&c->ctx, -ETIMEDOUT, c->cause);
    return &c->ctx;
}

rn_ctx *rn_ctx_with_deadline(rn_ctx *parent, rn_time t) {
    return rn_ctx_with_deadline_cause(parent, t, 0);
}

rn_ctx *rn_ctx_with_timeout(rn_ctx *parent, rn_duration d) {
    return rn_ctx_with_deadline_cause(parent, rn__time_after(d), 0);
}

rn_ctx *rn_ctx_with_value(rn_ctx *parent, const void *key, void *value) {
    need_parent(parent);
    if (!key) rn_panic("nil key");
    struct value *c = make(VALUE, sizeof *c, parent);
    if (!c) return NULL;
    c->key = key;
    c->value = value;
    return &c->ctx;
}

rn_ctx *rn_ctx_without_cancel(rn_ctx *parent) {
    need_parent(parent);
    return make(WITHOUT, sizeof(struct rn_ctx), parent);
}

rn_ctx_func *rn_ctx_after_func(rn_ctx *ctx, void (*fn)(void *), void *arg) {
    need(ctx);
    struct rn_ctx_func *f = make(FUNC, sizeof *f, ctx);
    if (!f) return NULL;
    f->fn = fn;
    f->arg = arg;
    rn__san_release(f); /* F1 */
    enter_tree(&f->ctx);
    return f;
}

bool rn_ctx_func_stop(rn_ctx_func *func) {
    if (!func) rn_panic("context: NULL function");
    struct rn_ctx *f = &func->ctx;
    bool stopped = leave_tree(f) || !f->up; /* below the root it would never have run */
    rn_ctx_unref(f);
    return stopped;
}

/* ---- asking ---- */

/*
 * Give n its channel, closed if n is done. Whoever cancels looks for a channel under the lock and closes it
 * afterwards; if it saw none, it is for us to close it before anybody sees it.
 */
static void *make_done(struct rn_ctx *n) {
    void *c = rn_chan_make(sizeof(char), 0), *done = NULL;
    bool closed = false;
    if (!c) rn_panic("context: out of memory");
    while (!done) {
        if (!closed && rn__load_acquire(&n->err)) {
            rn_chan_close(c);
            closed = true;
        }
        enter(n);
        if (!n->done && closed == (n->err != 0)) rn__store_release(&n->done, c); /* D1 */
        done = n->done;
        leave(n);
    }
    if (done != c) rn_chan_unref(c);
    return done;
}

rn_done_chan rn_ctx_done(rn_ctx *c) {
    need(c);
    struct rn_ctx *n = c->node;
    if (!n) return NULL;
    void *done = rn__load_acquire(&n->done); /* pairs with D1: the channel's inside */
    return (rn_done_chan)(done ? done : make_done(n));
}

/* Whoever set err is about to close the channel, if there is one: a matter of a few instructions. */
int rn__ctx_err(rn_ctx *c) {
    need(c);
    struct rn_ctx *n = c->node;
    int err = rn__load_acquire(c->head.rn__err); /* E2: pairs with E1 */
    if (!err) return 0;
    rn__san_acquire(&n->err);
    void *done = rn__load_acquire(&n->done);
    while (done && rn_chan_try_recv(done, NULL) != -EPIPE) rn_yield();
    return err;
}

const char *rn_ctx_err_text(rn_ctx *c) {
    switch (rn_ctx_err(c)) {
    case 0: return "";
    case -ETIMEDOUT: return "context deadline exceeded";
    default: return "context canceled";
    }
}

int rn_ctx_cause(rn_ctx *c) { return rn_ctx_err(c) ? c->node->cause : 0; }

bool rn_ctx_deadline(rn_ctx *c, rn_time *t) {
    need(c);
    if (!c->timed) return false;
    if (t) *t = c->timed->at;
    return true;
}

void *rn_ctx_value(rn_ctx *c, const void *key) {
    need(c);
    for (; c; c = c->parent) {
        struct value *v = (struct value *)c;
        if (c->kind == VALUE && v->key == key) return v->value;
    }
    return NULL;
}
