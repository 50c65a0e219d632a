/* SPDX-License-Identifier: MIT */
/*
 * select.c: one of several channel operations, or a time.
 *
 * If one look finds a case ready, that channel alone is locked, and it is done ("the short way"); if it finds none, and all
 * channels are ours, so that nothing can change, it waits at once. Else, as in Go: look at the cases
 * in random order, with all channels locked, so that it is seen at one instant that none is ready; then wait in all queues. Whoever
 * serves one of the waiters claims the select (g->select_done 0 -> 1) and takes out the others on the same channel; the woken one takes the rest out of their queues, each in O(1).
 *
 * Locks. If all channels are biased to our P, the section is the lock. Else each is locked by its word, in the order
 * of addresses, and biases are revoked: nobody waits for another while in a section.
 * The winner's channel is not touched after the wake-up: it may be gone. The others are locked one by one. As the
 * parker's unlock goes through all of them, and the woken one through all but the winner's, which was unlocked before
 * it could win, the list on its stack outlives the unlocking.
 *
 * Time. The alarm may ring before the select has parked, so it works by a Dekker:
 *   the select: select_done = 0;  look at rang; if so, try to claim it for the alarm itself
 *   the alarm:  rang = 1;         try to claim select_done 0 -> 1; if so, make ready (once it is off its stack)
 * It is armed with no channel locked (the heap's lock ranks above theirs), with select_done still 1, after a first look
 * at the cases has found none ready. models/alarm.pml is this for Spin.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "chan/chan.h"
#include "chan/select.h"
#include "os/clock.h"

enum { ON_STACK = 64, MAX_CASES = 65535, FEW = 16 };

/* What a case needs beyond rn_case. */
struct entry {
    struct rn__waiter w;
    uint32_t poll;  /* this place of the order of looking: a case */
    uint32_t order; /* this place of the order of locking: a case */
};

struct sel {
    const rn_case *cases;
    struct entry *e;
    uint32_t n;   /* channel cases that are not NULL */
    bool sorted;  /* e[].order is valid */
    bool locked;  /* by their words; false: by the section */
    rn_time when; /* the earliest time case; RN_TIME_MAX: none */
    int32_t when_index;
    int32_t bound;   /* cases beyond are not looked at */
    uint32_t places; /* nor are those at later places */
    struct rn__g *g;
    /* the alarm */
    struct rn__timer timer;
    uint32_t rang;
};

struct verdict {
    int32_t index; /* -1: none was ready */
    enum rn__outcome out;
};

static struct rn__hchan *chan_of(const struct sel *s, uint32_t i) {
    return s->cases[s->e[i].order].chan;
}

/* ---- setting up ---- */

static bool is_channel_case(const rn_case *c) {
    return (c->kind == RN_CASE_SEND || c->kind == RN_CASE_RECV) && c->chan;
}

static void note_time(struct sel *s, const rn_case *c, int32_t index) {
    if (s->when_index >= 0 && c->when >= s->when) return;
    s->when = c->when;
    s->when_index = index;
}

/* The channel cases, in random order unless INORDER. */
static void set_up(struct sel *s, const rn_case *cases, size_t n, int flags) {
    s->cases = cases;
    s->n = 0;
    s->locked = false;
    s->sorted = false;
    s->when = RN_TIME_MAX;
    s->when_index = -1;
    for (uint32_t i = 0; i < n; i++) {
        if (cases[i].kind == RN_CASE_UNTIL) note_time(s, &cases[i], (int32_t)i);
        if (!is_channel_case(&cases[i])) continue;
        uint32_t at = flags & RN_INORDER || s->n == 0 ? s->n : rn__random(s->n + 1);
        s->e[s->n].poll = s->e[at].poll;
        s->e[at].poll = i;
        s->n++;
    }
}

static void insertion_sort(struct sel *s) {
    for (uint32_t i = 0; i < s->n; i++) {
        uint32_t c = s->e[i].poll, at = i;
        for (; at > 0 && (char *)chan_of(s, at - 1) > (char *)s->cases[c].chan; at--)
            s->e[at].order = s->e[at - 1].order;
        s->e[at].order = c;
    }
}

static void sift(struct sel *s, uint32_t at, uint32_t n, uint32_t c) {
    uint32_t child;
    for (; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && (char *)chan_of(s, child) < (char *)chan_of(s, child + 1)) child++;
        if ((char *)s->cases[c].chan >= (char *)chan_of(s, child)) break;
        s->e[at].order = s->e[child].order;
    }
    s->e[at].order = c;
}

/* No recursion, no memory, n log n. */
static void heap_sort(struct sel *s) {
    for (uint32_t i = 0; i < s->n; i++) s->e[i].order = s->e[i].poll;
    for (uint32_t i = s->n / 2; i-- > 0;) sift(s, i, s->n, s->e[i].order);
    for (uint32_t i = s->n; i-- > 1;) {
        uint32_t last = s->e[i].order;
        s->e[i].order = s->e[0].order;
        sift(s, 0, i, last);
    }
}

/* The order of addresses, made when it is first needed: to lock by words, or to wait. */
static void sort_by_address(struct sel *s) {
    if (s->sorted) return;
    s->sorted = true;
    if (s->n <= FEW)
        insertion_sort(s);
    else
        heap_sort(s);
}

/* ---- locking ---- */

/* Are all channels biased to our P, as they are or as we can make them? */
static bool all_ours(const struct sel *s, struct rn__m *m) {
    if (!m->p) return false;
    for (uint32_t i = 0; i < s->n; i++) {
        struct rn__hchan *c = s->cases[s->e[i].poll].chan;
        struct rn__p *bias = rn__load_relaxed(&c->bias);
        if (bias == m->p) continue;
        if (bias != RN__FRESH || rn__load_relaxed(&m->p->bias_debt) != 0) return false;
        if (!rn__cas_acq_rel(&c->bias, RN__FRESH, m->p)) return false;
    }
    return true;
}

static void lock_all(struct sel *s, struct rn__m *m) {
    rn__section_open(m);
    s->locked = !all_ours(s, m);
    if (!s->locked) return;
    sort_by_address(s);
    for (uint32_t i = 0; i < s->n; i++)
        if (i == 0 || chan_of(s, i) != chan_of(s, i - 1)) rn__chan_lock_shared(chan_of(s, i), m);
}

static void unlock_all(const struct sel *s) {
    if (!s->locked) return;
    uint32_t n = s->n;
    for (uint32_t i = 0; i < n; i++) {
        struct rn__hchan *c = chan_of(s, i);
        /* The last of a channel's cases: after the unlock the list may be gone, if that was the last channel. */
        if (i + 1 == n || chan_of(s, i + 1) != c) rn__lock_release(&c->lock);
    }
}

/* ---- looking ---- */

static enum rn__outcome try_case(const rn_case *c, struct rn__g **wake) {
    if (c->kind == RN_CASE_SEND) return rn__chan_send_locked(c->chan, c->v, wake);
    enum rn__outcome out = rn__chan_recv_locked(c->chan, c->v, wake);
    if (out != RN__WOULD_BLOCK && c->ok) *c->ok = out == RN__DONE;
    return out;
}

/* With all channels locked. */
static struct verdict look(const struct sel *s, struct rn__g **wake) {
    for (uint32_t i = 0; i < s->places; i++) {
        int32_t index = (int32_t)s->e[i].poll;
        if (index > s->bound) break; /* in order, and a time before it is due */
        enum rn__outcome out = try_case(&s->cases[index], wake);
        if (out != RN__WOULD_BLOCK) return (struct verdict){index, out};
    }
    return (struct verdict){-1, RN__WOULD_BLOCK};
}

/* True: one was ready. False: none is, and all channels are locked. */
static bool found(struct sel *s, struct rn__m *m, struct verdict *v) {
    struct rn__g *wake = NULL;
    lock_all(s, m);
    *v = look(s, &wake);
    if (v->index < 0) return false;
    unlock_all(s);
    if (wake) rn__ready_on(m, wake);
    return true;
}

/* ---- waiting ---- */

static void ring(void *arg, rn_time now) {
    struct sel *s = arg;
    struct rn__g *g = s->g;
    (void)now;
    rn__store_seq_cst(&s->rang, 1u);
    if (!rn__cas_seq_cst(&g->select_done, 0u, 1u)) return;
    g->param = NULL;
    rn__ready_late(g); /* s is gone */
}

static void unlock_parked(void *arg) {
    struct sel *s = arg;
    bool locked = s->locked && s->n > 0;
    /*
     * Before the unlock, as g->state is no longer ours once somebody could make it ready. An alarm may
     * do so here: with locks held it cannot return before we are through; without, s is gone.
     */
    if (s->when != RN_TIME_MAX) rn__parked(s->g);
    if (locked) unlock_all(s);
}

static void enqueue(struct sel *s, struct rn__g *g) {
    for (uint32_t i = 0; i < s->n; i++) {
        struct rn__waiter *w = &s->e[i].w;
        const rn_case *c = &s->cases[s->e[i].order];
        w->g = g;
        w->v = c->v;
        w->select = true;
        w->send = c->kind == RN_CASE_SEND;
        w->same = w;
        if (i > 0 && chan_of(s, i - 1) == c->chan) { /* into the ring of the one before */
            w->same = s->e[i - 1].w.same;
            s->e[i - 1].w.same = w;
        }
        rn__chan_enqueue(c->chan, w);
        if (unlikely(rn__sanitized)) rn__chan_san_park(c->chan, w);
    }
}

/* Take what is left out of the queues. The channel `gone` was the winner's, and is perhaps no more. */
static void withdraw(struct sel *s, const struct rn__hchan *gone) {
    for (uint32_t i = 0; i < s->n; i++) {
        struct rn__waiter *w = &s->e[i].w;
        struct rn__hchan *c = chan_of(s, i);
        if (c == gone) continue;
        struct rn__m *m = rn__arch_tls_m();
        rn__section_open(m);
        bool locked = rn__chan_lock(c, m);
        if (w->queued) rn__chan_dequeue(c, w);
        rn__chan_unlock(c, locked);
    }
}

/* `won`: the waiter that was served, of which a close leaves no more than `ok`. NULL: it was the alarm. */
static struct verdict conclude(struct sel *s, struct rn__waiter *won) {
    if (!won) {
        withdraw(s, NULL);
        return (struct verdict){s->when_index, RN__DONE};
    }
    uint32_t at = (uint32_t)((struct entry *)(void *)won - s->e), index = s->e[at].order;
    const rn_case *c = &s->cases[index];
    withdraw(s, c->chan);
    if (unlikely(rn__sanitized)) rn__chan_san_resume(won);
    rn__chan_end_wait(won);
    if (c->kind == RN_CASE_RECV && c->ok) *c->ok = won->ok;
    return (struct verdict){(int32_t)index, won->ok ? RN__DONE : RN__CLOSED};
}

/* With all channels locked and none ready: wait. */
static struct verdict wait(struct sel *s, struct rn__m *m) {
    struct rn__g *g = s->g;
    bool timed = s->when != RN_TIME_MAX;
    enum rn__reason why = s->n ? RN__WAIT_SELECT : timed ? RN__WAIT_SLEEP : RN__WAIT_SELECT_NONE;
    sort_by_address(s);
    enqueue(s, g);
    rn__store_seq_cst(&g->select_done, 0u);
    if (timed && rn__load_seq_cst(&s->rang) && rn__cas_seq_cst(&g->select_done, 0u, 1u)) {
        unlock_all(s);
        return conclude(s, NULL);
    }
    if (timed)
        rn__park_late(m, why, s, unlock_parked, s);
    else
        rn__park_on(m, why, s, s->locked ? unlock_parked : NULL, s);
    return conclude(s, g->param);
}

/* None was ready at the first look. Time cases need an alarm before the channels are locked again. */
static struct verdict wait_timed(struct sel *s, struct rn__m *m) {
    struct verdict v;
    s->rang = 0;
    s->timer = (struct rn__timer){0};
    rn__timer_arm(&s->timer, s->when, ring, s);
    if (!found(s, m, &v)) v = wait(s, m);
    rn__timer_disarm(&s->timer);
    return v;
}

/* ---- the operation ---- */

/* The first time case in the array that is due; there is one. */
static int32_t first_due(const rn_case *cases, rn_time now) {
    int32_t i = 0;
    while (cases[i].kind != RN_CASE_UNTIL || cases[i].when > now) i++;
    return i;
}

/* A time case that is due takes part in the choice, at a place of the order like the others. True: it is the first. */
static bool time_wins(struct sel *s, int flags) {
    if (s->when == RN_TIME_MAX) return false;
    rn_time now = rn__now();
    if (now < s->when) return false;
    if (flags & RN_INORDER)
        s->bound = s->when_index = first_due(s->cases, now);
    else
        s->places = rn__random(s->n + 1);
    return s->places == 0;
}

enum way { SHORT, WAITING, LONG };

/* With a time or RN_DEFAULT: a first look may be all. */
static struct verdict look_first(struct sel *s, int flags, struct rn__m *m) {
    struct verdict v;
    if (found(s, m, &v)) return v;
    unlock_all(s);
    if (s->when != RN_TIME_MAX && rn__now() >= s->when)
        return (struct verdict){s->when_index, RN__DONE};
    if (flags & RN_DEFAULT) return v;
    return wait_timed(s, rn__arch_tls_m());
}

/* All that wait for channels alone do so in one place, whatever the way: dumps show equal stacks once. */
static struct verdict choose(struct sel *s, int flags, enum way way) {
    struct rn__m *m = rn__arch_tls_m();
    struct verdict v;
    s->g = m->g;
    s->bound = INT32_MAX;
    s->places = s->n;
    if (way == LONG) {
        if (time_wins(s, flags)) return (struct verdict){s->when_index, RN__DONE};
        if (s->when != RN_TIME_MAX || flags & RN_DEFAULT) return look_first(s, flags, m);
        if (found(s, m, &v)) return v;
    }
    return wait(s, m);
}

/* ---- the short way ---- */

/* A glance, unless the channel is ours. */
RN_INLINE bool ready(const struct rn__hchan *c, enum rn_case_kind kind) {
    if (rn__load_relaxed(&c->closed)) return true;
    if (kind == RN_CASE_SEND)
        return rn__load_relaxed(&c->recvq.first) || rn__load_relaxed(&c->qcount) < c->dataqsiz;
    return rn__load_relaxed(&c->sendq.first) || rn__load_relaxed(&c->qcount) > 0;
}

/* What one look at the cases, in source order, has shown. */
struct glance {
    int32_t index; /* one that is ready, by chance; the first, if in order; -1: none */
    uint32_t seen; /* channels */
    bool foreign;  /* not all are biased to our P: they may change while we look */
    rn_time when;  /* the earliest time case; RN_TIME_MAX: none */
};

RN_INLINE struct glance glance(struct rn__m *m, const rn_case *cases, size_t n, bool inorder) {
    struct rn__p *p = m->p;
    struct glance l = {-1, 0, false, RN_TIME_MAX};
    uint32_t found = 0;
    for (size_t i = 0; i < n && !(inorder && found); i++) {
        const rn_case *k = &cases[i];
        const struct rn__hchan *c = k->chan;
        if (unlikely(k->kind == RN_CASE_UNTIL)) {
            if (k->when < l.when) l.when = k->when;
            continue;
        }
        if (!c || k->kind == RN_CASE_NONE) continue;
        l.seen++;
        if (rn__load_relaxed(&c->bias) != p) l.foreign = true;
        if (!ready(c, k->kind)) continue;
        if (found++ == 0 || rn__random(found) == 0) l.index = (int32_t)i;
    }
    return l;
}

/*
 * One look decides, and chance is asked only where several are ready. If all channels are ours, the section is the lock. If not,
 * only the chosen channel is locked, and must still be ready then: an operation on one channel, chosen among those that could be done a moment ago,
 * as chance would have. Not in order, where one that became ready meanwhile may come before it; and to find none takes all locks, but
 * where all are ours. WAITING: all are ours, and none is ready. LONG: it takes the long way. Nothing was done then.
 */
static enum way choose_quickly(struct rn__m *m, const rn_case *cases, size_t n, int flags,
                               struct verdict *v) {
    struct glance l = glance(m, cases, n, flags & RN_INORDER);
    *v = (struct verdict){l.index, RN__WOULD_BLOCK};
    if (l.index < 0) {
        if (l.foreign || l.when != RN_TIME_MAX) return LONG;
        return flags & RN_DEFAULT ? SHORT : WAITING;
    }
    if (l.foreign && flags & RN_INORDER && l.seen > 1) return LONG;
    if (l.when != RN_TIME_MAX && l.when <= rn__now()) return LONG;
    struct rn__g *wake = NULL;
    struct rn__hchan *c = cases[l.index].chan;
    bool locked = rn__chan_lock(c, m);
    v->out = try_case(&cases[l.index], &wake);
    rn__chan_unlock(c, locked);
    if (wake) rn__ready_on(m, wake);
    return v->out != RN__WOULD_BLOCK ? SHORT
                                     : LONG; /* others were faster, or had served all its waiters */
}

/* Inside; leaves. WAITING: in the section in which that was seen. */
static struct verdict choose_with(struct entry *e, const rn_case *cases, size_t n, int flags,
                                  enum way way) {
    struct sel s;
    s.e = e;
    set_up(&s, cases, n, way == WAITING ? RN_INORDER : flags);
    struct verdict v = choose(&s, flags, way);
    rn__leave(rn__arch_tls_m());
    return v;
}

static RN_NOINLINE struct verdict choose_on_stack(const rn_case *cases, size_t n, int flags,
                                                  enum way way) {
    struct entry e[n ? n : 1];
    return choose_with(e, cases, n, flags, way);
}

static RN_NOINLINE struct verdict choose_on_heap(const rn_case *cases, size_t n, int flags) {
    struct entry *e = malloc(n * sizeof *e);
    if (!e) rn__panic("select: out of memory");
    rn__in();
    struct verdict v = choose_with(e, cases, n, flags, LONG);
    free(e);
    return v;
}

static struct verdict select_cases(const rn_case *cases, size_t n, int flags) {
    struct verdict v;
    if (unlikely(n > MAX_CASES)) rn__panic("select: too many cases");
    struct rn__m *m = rn__enter();
    enum way way = choose_quickly(m, cases, n, flags, &v);
    if (way == SHORT) {
        rn__leave(m);
        return v;
    }
    if (n <= ON_STACK) return choose_on_stack(cases, n, flags, rn__chaos(2) ? LONG : way);
    rn__leave(m);
    return choose_on_heap(cases, n, flags);
}

int rn__select_n(const rn_case *cases, size_t n, int flags, bool *closed) {
    struct verdict v = select_cases(cases, n, flags);
    *closed = v.out == RN__CLOSED;
    return v.index;
}

int rn_select_n(const rn_case *cases, size_t n, int flags) {
    bool closed;
    int i = rn__select_n(cases, n, flags, &closed);
    if (closed && cases[i].kind == RN_CASE_SEND) rn__panic("send on closed channel");
    return i;
}

/* now + d, without running over. */
rn_case rn_on_after(rn_duration d) {
    rn_time t;
    if (__builtin_add_overflow(rn__now(), d, &t)) t = d < 0 ? 0 : RN_TIME_MAX;
    return rn_on_until(t);
}

/* ---- with a deadline ---- */

static int until_result(struct verdict v) {
    if (v.index == 1) return -ETIMEDOUT;
    return v.out == RN__CLOSED ? -EPIPE : 0;
}

int rn_chan_send_until(void *c, const void *v, rn_time t) {
    rn_case cases[2] = {{.chan = c, .v = (void *)(uintptr_t)v, .kind = RN_CASE_SEND},
                        rn_on_until(t)};
    return until_result(select_cases(cases, 2, RN_INORDER));
}

int rn_chan_recv_until(void *c, void *v, rn_time t) {
    rn_case cases[2] = {rn__on_recv(c, v, NULL), rn_on_until(t)};
    return until_result(select_cases(cases, 2, RN_INORDER));
}

/* ---- for observers ---- */

uint32_t rn__select_nchans(const void *on) { return ((const struct sel *)on)->n; }

struct rn__hchan *rn__select_chan(const void *on, uint32_t i) {
    return chan_of(on, i);
}

bool rn__select_timed(const void *on) { return ((const struct sel *)on)->when != RN_TIME_MAX; }
