/* SPDX-License-Identifier: MIT */
/*
 * proc.c: the life of a goroutine: made, parked, made ready, ended; and the switch between them.
 *
 * A goroutine that parks switches straight to the next one of its P if there is one, without passing
 * through the scheduler's own stack. What must be done once the parked one is off its stack (release
 * a lock, free the stack) is left in m->after and runs on the far side of the switch.
 *
 * No lock is taken between enqueuing oneself and the switch: waiting for one would end the biased section
 * under which one stands in a channel's queue (rn__lock_slow), and the waker could come too early. So the pick here only looks at
 * the P's own queue; all else is done on g0.
 */
#include <errno.h>
#include <sched.h>
#include <string.h>

#include "os/clock.h"
#include "sched/core.h"
#include "sched/panic.h"

__thread struct rn__m *rn__tls_m __attribute__((tls_model("initial-exec"), used)) = &rn__nobody;
__thread struct rn__regs rn__go_regs
    __attribute__((tls_model("initial-exec"), visibility("hidden")));

struct rn__sched rn__sched;

/* ---- switching ---- */

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define LIBRARY_UNDER_TSAN 1
#endif
#endif
#ifdef __SANITIZE_THREAD__
#define LIBRARY_UNDER_TSAN 1
#endif

/*
 * A switch orders nothing that users may rely on. But where TSan sees our own memory accesses too, it must
 * know that a thread's fibers run one after the other.
 */
#ifdef LIBRARY_UNDER_TSAN
enum { FIBER_FLAGS = 0 };
#else
enum { FIBER_FLAGS = 1 };
#endif

RN_UNSEEN void rn__san_before(struct rn__g *from, struct rn__g *to) {
    if (__sanitizer_start_switch_fiber)
        __sanitizer_start_switch_fiber(from->state == RN__DEAD ? NULL : &from->asan_save,
                                       to->asan_bottom, to->asan_size);
    if (__tsan_switch_to_fiber) __tsan_switch_to_fiber(to->tsan_fiber, FIBER_FLAGS);
}

RN_UNSEEN void rn__san_after(struct rn__g *self) {
    if (__sanitizer_finish_switch_fiber)
        __sanitizer_finish_switch_fiber(self->asan_save, NULL, NULL);
}

void rn__away(struct rn__m *m, struct rn__g *g, void (*after)(void *), void *arg) {
    struct rn__g *next = rn__runq_pick(m->p);
    if (unlikely(next == g)) { /* it yielded and is alone */
        rn__start_running(m, g);
        return;
    }
    m->after = after;
    m->after_arg = arg;
    if (unlikely(!next || next->wired || g->wired)) {
        m->picked = next;
        next = &m->g0;
    } else {
        rn__start_running(m, next);
    }
    rn__switch(m, g, next);
    rn__run_after(rn__arch_tls_m());
}

RN_INLINE struct rn__g *note_why(struct rn__m *m, enum rn__reason why, void *on) {
    struct rn__g *g = m->g;
    g->reason = why;
    g->on = on;
    g->since = rn__load_relaxed(&rn__sched.coarse_now); /* for dumps; any recent time will do */
    return g;
}

void rn__park_on(struct rn__m *m, enum rn__reason why, void *on, void (*unlock)(void *),
                 void *arg) {
    struct rn__g *g = note_why(m, why, on);
    if (unlikely(g->kind == RN__THREAD)) {
        rn__thread_park(m, g, unlock, arg);
        return;
    }
    g->state = RN__WAITING;
    rn__away(m, g, unlock, arg);
}

void rn__park_late(struct rn__m *m, enum rn__reason why, void *on, void (*unlock)(void *),
                   void *arg) {
    struct rn__g *g = note_why(m, why, on);
    if (g->kind == RN__THREAD)
        rn__thread_park(m, g, unlock, arg);
    else
        rn__away(m, g, unlock, arg);
}

/* g runs next here; whom it displaces stays queued. */
static inline void run_next(struct rn__m *m, struct rn__g *g) {
    struct rn__p *p = m->p;
    if (unlikely(!p || rn__chaos(2))) {
        rn__hand_out(g);
        return;
    }
    struct rn__g *displaced = p->runnext;
    rn__store_relaxed(&p->runnext, g); /* thieves glance */
    if (displaced) {
        rn__runq_put(p, displaced);
        rn__wake_others();
    } else if (unlikely(rn__load_relaxed(&p->eager))) {
        rn__wake_others();
    }
}

/* g, which is new, runs next here; another new one that it displaces is the newest of the young. */
static inline void run_new(struct rn__m *m, struct rn__g *g) {
    struct rn__p *p = m->p;
    struct rn__g *last = p ? p->runnext : NULL;
    if (last && last->ctx.pc == (void *)(uintptr_t)rn__go_entry) {
        rn__runq_put_young(p, last);
        rn__store_relaxed(&p->runnext, NULL);
        run_next(m, g);
        rn__wake_others();
    } else {
        run_next(m, g);
    }
}

/* Our P has run so many others since: of what g needs little is left in the cache, and so it is with those that come after it. */
enum { FORGOTTEN = 1024, PLACES = 3 };

static RN_NOINLINE void fetch_ahead(struct rn__p *p, const struct rn__g *g) {
    const char *next = rn__ahead(&p->ahead, g, PLACES);
    if (next) rn__fetch_frames(g, next);
}

/*
 * Do those that run at p go on for long, each, and let others wait (sysmon.c), while another M is there or could be? Then who is made ready
 * is that one's: it costs him less than a microsecond to take it from the global queue, and from our run-next a claim. No more are handed out
 * than can be taken at once. The shy leave that queue alone.
 */
static bool parts(struct rn__p *p) {
    if (!rn__load_relaxed(&p->slow)) return false;
    uint32_t there = rn__load_relaxed(&rn__sched.nspinning) + rn__idle_cores();
    return rn__load_relaxed(&rn__sched.nglobal) + rn__load_relaxed(&rn__sched.nshy) < there;
}

void rn__ready_on(struct rn__m *m, struct rn__g *g) {
    if (unlikely(g->kind == RN__THREAD)) {
        rn__thread_ready(g);
        return;
    }
    rn__assert(g->state == RN__WAITING, "proc: made ready, but not waiting");
    g->state = RN__RUNNABLE;
    struct rn__p *p = m->p;
    if (likely(p) && unlikely(p->tick - g->ran >= FORGOTTEN) && g->m == m) fetch_ahead(p, g);
    if (likely(p) && unlikely(rn__load_relaxed(&p->eager)) && parts(p))
        rn__hand_out(g);
    else
        run_next(m, g);
}

/* ---- the doors ---- */

void rn__in(void) { rn__enter(); }

void rn__out(void) { rn__leave(rn__arch_tls_m()); }

struct rn__g *rn__self(void) {
    struct rn__m *m = rn__arch_tls_m();
    if (likely(m != &rn__nobody)) return m->g;
    rn__in();
    m = rn__arch_tls_m();
    rn__leave(m);
    return m->g;
}

void rn__park(enum rn__reason why, void *on, void (*unlock)(void *), void *arg) {
    rn__park_on(rn__arch_tls_m(), why, on, unlock, arg);
}

void rn__ready(struct rn__g *g) { rn__ready_on(rn__arch_tls_m(), g); }

void rn__ready_late(struct rn__g *g) {
    while (rn__load_acquire(&g->state) != RN__WAITING) rn__arch_pause(); /* G1: pairs with G2 */
    rn__ready(g);
}

/* For `unlock` functions of those that may be made ready by rn__ready_late: now it is off its stack. */
void rn__parked(struct rn__g *g) {
    rn__store_release(&g->state, (uint32_t)RN__WAITING); /* G2: pairs with G1 */
}

uint32_t rn__ready_quietly(struct rn__glist *l) {
    uint32_t n = l->n;
    for (struct rn__g *g = l->threads, *next; g; g = next) {
        next = g->next;
        rn__thread_ready(g);
    }
    rn__runq_put_list(rn__arch_tls_m()->p, l);
    *l = (struct rn__glist){0};
    return n;
}

void rn__ready_list(struct rn__glist *l) {
    if (rn__ready_quietly(l) != 0) rn__wake_others();
}

uint32_t rn__random(uint32_t n) {
    struct rn__m *m = rn__arch_tls_m();
    uint64_t *s = &m->random;
    *s = *s * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(((*s >> 32) * n) >> 32);
}

/* ---- starting ---- */

static uint64_t next_id(struct rn__p *p) {
    if (!p) return rn__add_relaxed(&rn__sched.next_goid, 1) + 1; /* only has to be unique */
    if (p->next_id == p->end_id) {
        p->next_id = rn__add_relaxed(&rn__sched.next_goid, 16) + 1;
        p->end_id = p->next_id + 16;
    }
    return p->next_id++;
}

static void name_it(struct rn__g *g, const char *name) {
    size_t n = name ? strnlen(name, RN__NAME - 1) : 0;
    memcpy(g->name, name ? name : "", n);
    g->name[n] = 0;
}

static void prepare_sanitizers(struct rn__g *g) {
    if (__tsan_create_fiber) g->tsan_fiber = __tsan_create_fiber(0);
    g->asan_bottom = g->lo;
    g->asan_size = (size_t)(g->hi - g->lo);
    g->asan_save = NULL;
    if (__asan_unpoison_memory_region) __asan_unpoison_memory_region(g->lo, g->asan_size);
}

/* Memory for a goroutine, filled in but for what it runs. */
static struct rn__g *new_g(struct rn__m *m, const rn_go_opts *opts) {
    struct rn__p *p = m->p;
    struct rn__g *g = rn__stack_get(p, opts ? opts->stack_size : 0);
    if (!g) return NULL;
    g->id = next_id(p);
    g->creator = m->g ? m->g->id : 0;
    rn__g_begin(g);
    name_it(g, opts ? opts->name : NULL);
    if (unlikely(rn__sanitized)) prepare_sanitizers(g);
    return g;
}

/* Not by memcpy(3): a user's TSan watches that, and knows the thread's storage as another fiber's. */
RN_INLINE void copy_regs(struct rn__regs *to, const struct rn__regs *from) {
    typedef uint64_t pair __attribute__((vector_size(16), aligned(8), may_alias));
    _Static_assert(sizeof *to % sizeof(pair) == 0, "regs are pairs of words");
    pair *t = (pair *)(void *)to;
    const pair *f = (const pair *)(const void *)from;
    for (size_t i = 0; i < sizeof *to / sizeof *t; i++) {
        t[i] = f[i];
        __asm__("" ::: "memory"); /* else the compiler makes it a call of memcpy */
    }
}

static void launch(struct rn__m *m, struct rn__g *g, const struct rn__regs *regs, void (*fn)(void),
                   void *pc) {
    struct rn__start *s = (struct rn__start *)(void *)g - 1;
    copy_regs(&s->regs, regs);
    s->fn = fn;
    g->fn = fn;
    g->creator_pc = pc;
    g->ctx = (struct rn__ctx){s, NULL, (void *)(uintptr_t)rn__go_entry};
    if (likely(m->p))
        rn__store_relaxed(&m->p->started, m->p->started + 1); /* rn_goroutines glances */
    else
        rn__add_relaxed(&rn__sched.foreign_started, 1); /* a statistic */
    g->state = RN__RUNNABLE;
    run_new(m, g);
}

static int spawn(struct rn__m *m, const rn_go_opts *opts, const struct rn__regs *regs,
                 void (*fn)(void), void *pc) {
    if (opts && opts->stack_size > RN__MAX_STACK) return -EINVAL;
    struct rn__g *g = new_g(m, opts);
    if (!g) return -ENOMEM;
    if (rn__tsan_on()) __tsan_release(g); /* S1: starting happens before the first step */
    launch(m, g, regs, fn, pc);
    return 0;
}

static void put_back(void *arg) { rn__global_put(arg); }

/*
 * A spawner that has started many lets the last of them run before it adds another: they may end, and their stacks be used
 * again, warm.
 */
static struct rn__m *after_the_crowd(struct rn__m *m) {
    struct rn__p *p = m->p;
    if (likely(!p || !rn__runq_crowded(p))) return m;
    m->g->state = RN__RUNNABLE;
    rn__runq_put_under(p, m->g); /* as go_behind does with our ring */
    rn__away(m, m->g, NULL, NULL);
    return rn__arch_tls_m();
}

/*
 * The registers lie in the thread's rn__go_regs since rn__go_capture. Nothing comes between that would move us
 * to another thread, but entering may (when our P was taken): so copy first.
 */
int rn__go_captured(const rn_go_opts *opts, void (*fn)(void)) {
    struct rn__regs regs;
    copy_regs(&regs, &rn__go_regs);
    if (!fn) rn__panic("go of nil func value");
    struct rn__m *m = after_the_crowd(rn__enter());
    int r = spawn(m, opts, &regs, fn, __builtin_return_address(0));
    rn__leave(m);
    return r;
}

int rn_go_call(const rn_go_opts *opts, void (*fn)(void *), void *arg) {
    struct rn__regs regs = {.ints = {(uint64_t)(uintptr_t)arg}};
    if (!fn) rn__panic("go of nil func value");
    struct rn__m *m = after_the_crowd(rn__enter());
    int r = spawn(m, opts, &regs, (void (*)(void))fn, __builtin_return_address(0));
    rn__leave(m);
    return r;
}

int rn__spawn_call(void (*fn)(void *), void *arg) {
    struct rn__regs regs = {.ints = {(uint64_t)(uintptr_t)arg}};
    return spawn(rn__arch_tls_m(), NULL, &regs, (void (*)(void))fn, __builtin_return_address(0));
}

/* The far side of the switch into a new goroutine; called by rn__go_entry on its stack. */
RN_HIDDEN void rn__go_begin(void);
void rn__go_begin(void) {
    struct rn__m *m = rn__arch_tls_m();
    if (unlikely(rn__sanitized)) {
        rn__san_after(m->g);
        rn__san_acquire(m->g); /* S1 */
    }
    rn__run_after(m);
    rn__leave(m);
}

/* ---- ending ---- */

static void bury(void *arg) {
    struct rn__g *g = arg;
    struct rn__p *p = rn__arch_tls_m()->p;
    if (unlikely(rn__tsan_on())) __tsan_destroy_fiber(g->tsan_fiber);
    rn__store_release(&p->ended, p->ended + 1); /* E1: who counts it out knows that it is over */
    rn__stack_put(p, g);
}

/* The caller's goroutine is over: its function returned or it called rn_goexit. */
void rn__go_over(void) {
    struct rn__m *m = rn__enter();
    struct rn__g *g = m->g;
    rn__san_release(g); /* S1: whoever gets this stack next writes to it after us */
    g->state = RN__DEAD;
    if (g->locks > 0) { /* it is wired: its thread ends once it is on its own stack */
        m->locked_g = NULL;
        m->quit = true;
    }
    rn__away(m, g, bury, g);
    rn__fatal("proc: a dead goroutine runs");
}

/* Called by rn__go_entry when the goroutine's function has returned. */
RN_HIDDEN void rn__go_end(void);
void rn__go_end(void) {
    struct rn__g *g = rn__arch_tls_m()->g;
    if (unlikely(g->defers != NULL)) rn__run_defers();
    rn__go_over();
}

/* ---- public ---- */

static inline bool has_room(struct rn__p *p) {
    return rn__load_relaxed(&p->tail) - p->head < rn__ring_size(); /* relaxed: its owner's own */
}

/* Our own ring is nobody else's while we are inside: we may lie in it before we are off the stack. It has room. */
static inline void go_behind(struct rn__m *m, struct rn__p *p, struct rn__g *g) {
    g->state = RN__RUNNABLE;
    rn__runq_put(p, g);
    rn__away(m, g, NULL, NULL);
}

void rn_yield(void) {
    struct rn__m *m = rn__enter();
    struct rn__g *g = m->g;
    if (g->kind == RN__THREAD) {
        rn__leave(m);
        sched_yield();
        return;
    }
    struct rn__p *p = m->p;
    /* Those in the global queue have waited longer, and those that have not run yet are to: behind them, then, as in Go. */
    if (unlikely(p->young.head != p->young.tail)) rn__runq_age(p);
    if (likely(has_room(p) && rn__load_relaxed(&rn__sched.nglobal) == 0)) {
        go_behind(m, p, g);
    } else {
        g->state = RN__RUNNABLE;
        rn__away(m, g, put_back, g);
    }
    rn__leave(rn__arch_tls_m());
}

void rn__meets(uint32_t n) {
    struct rn__p *p = rn__load_relaxed(&rn__arch_tls_m()->p);
    if (p) rn__store_relaxed(&p->meets, rn__load_relaxed(&p->meets) + n); /* a hint */
}

bool rn__let_next(void) {
    struct rn__m *m = rn__arch_tls_m();
    struct rn__p *p = m->p;
    struct rn__g *g = m->g;
    if (g->kind != RN__GOROUTINE || !p || !p->runnext || rn__runq_length(p) != 0) return false;
    go_behind(m, p, g);
    return true;
}

void rn__let_run(const struct rn__g *next) {
    struct rn__m *m = rn__arch_tls_m();
    struct rn__p *p = m->p;
    struct rn__g *g = m->g;
    if (g->kind == RN__GOROUTINE && p && p->runnext == next && has_room(p)) go_behind(m, p, g);
}

uint64_t rn_goid(void) {
    struct rn__m *m = rn__arch_tls_m();
    return m->g && m->g->kind == RN__GOROUTINE ? m->g->id : 0;
}

size_t rn_goroutines(void) {
    int64_t n = rn__load_relaxed(&rn__sched.foreign_started); /* a statistic */
    for (uint32_t i = 0; i < RN__MAX_PROCS; i++) {
        struct rn__p *p = rn__load_acquire(&rn__sched.ps[i]);
        if (!p) break;
        n += rn__load_relaxed(&p->started) - rn__load_acquire(&p->ended) /* E1 */;
    }
    return n > 0 ? (size_t)n : 0;
}
