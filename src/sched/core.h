/* SPDX-License-Identifier: MIT */
/*
 * core.h: G, M and P, for the scheduler's own files and for the observers.
 *
 * G  a goroutine: saved registers, state, what it waits for. It lies at the top of its own stack, in
 *    the page that the first frames touch anyhow. Plain threads in the runtime and the
 *    threads' own stacks (g0) are Gs too, of other kinds, so that waiting and switching are written once.
 * M  an OS thread. Never freed, so that anybody may look at one.
 * P  a processor: the right to run goroutines, with a run queue, timers and free stacks.
 *
 * Who may touch what. All plain fields of a P belong to the M that has it *while that M is inside* the
 * runtime, or to whoever has claimed that M. This is the one protocol that the run queue, stealing, retaking,
 * stopping the world and the channels' biased lock are built on:
 *
 *   M, entering:  inside = OP;  light fence;  look at claim     (rn__enter, no atomic instruction)
 *   claimant:     claim = CLAIMED;  heavy fence;  look at inside
 *
 * One of the two sees the other. If the M is OUTSIDE it stays out of the runtime until the claim ends: its
 * P is the claimant's, to steal from, or to take away for good (TAKEN). If it is inside, the claimant
 * waits a little or gives up. SCHED means: inside, and not in a channel's biased section: the
 * state of who waits for a lock or looks for work, for which revokers of a bias need not wait.
 *
 * models/claim.pml is this protocol for Spin.
 *
 * A plain thread has no P to be claimed. While the world stands still (`stopper`) it waits when it enters:
 *
 *   M, entering:  inside = OP;  light fence;  look at stopper
 *   stopper:      stopper = it;  heavy fence;  wait until the M was OUTSIDE, or is blocked: all of them at a time
 *
 * models/stop.pml is this for Spin.
 *
 * m->inside   written by the M's own thread only
 * m->claim    FREE -> CLAIMED by a claimant's CAS; CLAIMED -> FREE or TAKEN by that claimant;
 *             TAKEN -> FREE by the M itself; FOREIGN for ever in the M of a plain thread;
 *             FORKED for ever in a child of fork
 * m->p, p->m  by the M while inside (acquire_p, release_p), or by its claimant
 */
#ifndef RN_SCHED_CORE_H
#define RN_SCHED_CORE_H

#include <pthread.h>
#include <signal.h>
#include <runnel/go.h>

#include "arch.h"
#include "base/atomic.h"
#include "base/chaos.h"
#include "base/die.h"
#include "os/barrier.h"
#include "os/lock.h"
#include "os/sanitizer.h"
#include "sched/ahead.h"
#include "sched/sched.h"
#include "sched/timer.h"

#define RN__MAX_STACK ((size_t)1 << 30)
enum { RN__MAX_THREADS = 10000 };
enum {
    RN__RING = 256,
    RN__YOUNG = 65536, /* a power of two; what is not used costs addresses only */
    RN__MAX_PROCS = 256,
    RN__FAIR_TICKS = 64,
    RN__NAME = 32,
};

enum rn__state {
    RN__IDLE,     /* no goroutine here (also what a trimmed stack reads as) */
    RN__RUNNABLE, /* in a run queue, or about to be put there by whoever made it ready */
    RN__RUNNING,
    RN__WAITING, /* parked: off its stack or, a thread, committed to sleep */
    RN__DEAD,    /* ended; the stack is about to be reused */
};

enum rn__gkind { RN__GOROUTINE, RN__THREAD, RN__G0 };

struct rn__defer;
struct rn__try;
struct rn__panic_record;

struct rn__g {
    /* What a switch touches. */
    struct rn__ctx ctx;
    struct rn__g *next; /* in a run queue or list */
    uint32_t state;
    uint32_t wired; /* not 0: locked to a thread, or other reasons to go through g0 */
    void *param;    /* what woke it: for who parked */
    uint32_t select_done;
    uint32_t kind;
    void *eh[2]; /* libstdc++'s exception state while it does not run */
    /* What only parking, dying and observers touch. */
    uint64_t id;
    void *on;
    rn_time since; /* when it parked, by the coarse clock */
    uint32_t reason;
    uint32_t stack_class;
    struct rn__defer *defers;
    struct rn__try *tries;
    char *lo, *hi; /* the stack: lo is above the guard */
    uint64_t creator;
    void *creator_pc;
    void (*fn)(void);
    struct rn__m *locked_m;
    uint32_t locks;
    uint32_t sleep;  /* futex of a plain thread */
    struct rn__m *m; /* the thread that runs it, or ran it last */
    uint32_t ran;    /* its P's tick when it began to, the last time */
    void *tsan_fiber;
    void *asan_save;
    const char *asan_bottom;
    size_t asan_size;
    struct rn__panic_record *panicking; /* sched/panic.c */
    uint32_t exiting;                   /* calls of rn_goexit under way */
    char name[RN__NAME];
    uint32_t reached; /* the leak finder's, while the world stands still */
};

/* What a goroutine, or what stands for a thread, begins with, whoever had the record before. */
RN_INLINE void rn__g_begin(struct rn__g *g) {
    g->wired = 0;
    g->locks = 0;
    g->locked_m = NULL;
    g->select_done = 1;
    g->eh[0] = g->eh[1] = NULL;
    g->defers = NULL;
    g->tries = NULL;
    g->panicking = NULL;
    g->exiting = 0;
    g->reason = RN__WAIT_NONE;
}

enum rn__inside { RN__OUTSIDE, RN__OP, RN__SCHED };
enum rn__claim { RN__FREE, RN__CLAIMED, RN__TAKEN, RN__FOREIGN, RN__FORKED };

struct rn__m {
    /* The thread's own, at each operation. */
    uint32_t inside;
    uint32_t claim; /* others write it, rarely */
    struct rn__p *p;
    struct rn__g *g;
    void (*after)(void *); /* to run on the far side of the switch under way */
    void *after_arg;
    void **eh;            /* libstdc++'s exception state of this thread, if there is libstdc++ */
    struct rn__g *picked; /* chosen by who switched to g0, for g0 to run */
    uint64_t random;
    bool spinning;
    bool polled; /* just now, as the keeper */
    /* Rarely. */
    struct rn__g g0;
    struct rn__g *locked_g;
    RN_ALIGNED_LINE uint32_t wake; /* futex: 1 = there is something for you */
    struct rn__p *next_p;          /* a P handed over with the wake-up */
    struct rn__m *idle_next;       /* under sched.lock */
    bool idle;                     /* in the idle list; under sched.lock */
    bool quit;                     /* its thread is to end */
    bool blocked;                  /* a plain thread that sleeps in the runtime; under sched.lock */
    bool polling;                  /* sleeps in the poller rather than on `wake` */
    pthread_t thread;
    int tid;
    int cpu; /* atomic, a hint: where it ran when it last came by the scheduler */
    struct rn__m *all_next;
    struct rn__m *free_next;
    void *altstack;
    void *go_regs; /* the thread's rn__go_regs, where the last arguments of rn_go still lie */
    /* Where its stack begins and what the signal's handler needs begins while the leak finder holds it; NULL: not held. */
    char *held_sp, *held_at;
    uint64_t kept_out; /* the last stop of the world that has seen it outside; its own (start.c) */
    struct rn__g self; /* what stands for a plain thread */
};

/* Goroutines that have not run yet, and those that wait for what they have started (runq.c). */
struct rn__young {
    uint32_t head, tail; /* the oldest is at head, the newest before tail */
    uint32_t taken;      /* how many have left, at either end */
    rn_time turn;        /* when the oldest had its last turn */
    uint32_t tick, more; /* so many were started at that tick, though there were enough */
};

/* What sysmon saw of a P when it looked. */
struct rn__seen {
    struct rn__m *m;
    uint32_t tick, owners;
    rn_time when, cpu;
};

struct rn__p {
    /* The owner's. */
    struct rn__m *m;
    uint32_t tick; /* switches: sysmon sees by it that the P moves */
    uint32_t head, tail;
    struct rn__g *runnext;
    struct rn__young young; /* begins in the line of head and tail */
    struct rn__g *ring[RN__RING];
    struct rn__ahead ahead; /* of those made ready that had not run for long */
    struct rn__g *free;     /* stacks of the default class, last in first out */
    uint32_t nfree;
    uint32_t id;
    uint64_t next_id, end_id; /* goroutine numbers at hand */
    int64_t started, ended;   /* goroutines; sums give rn_goroutines */
    uint32_t bias_debt;       /* chan/lock.c: so many fresh channels are not biased to it */
    uint32_t eager;           /* atomic: who is made ready here waits long: wake others at once */
    uint32_t owners;          /* how often an M has come to it; sysmon glances */
    rn_duration patience;     /* idle.c: so long it watches rings that move before it steals */
    rn_time stole;            /* when it last stole, or was stolen from */
    rn_duration paid;         /* how long that took */
    uint32_t losses;          /* so many times in a row it took longer than what was stolen */
    uint32_t bounces; /* chan/lock.c: channels that came here from another P, since `bounced` */
    rn_time bounced;
    uint32_t meets; /* atomic, a hint: how often its goroutines used what others use, too */
    bool fights;    /* it loses its time to such channels: it shall give way */
    uint32_t polls; /* how often it looked for events; sysmon glances */
    rn_time looked; /* atomic: when it did so last */
    rn_time batch;  /* when it polled those that it runs now, at batch_tick; 0: it does not */
    uint32_t batch_tick;
    rn_duration turn; /* how long one of those runs; 0: that is not known yet */
    RN_ALIGNED_LINE struct rn__timers timers;
    /* sched.lock's. */
    RN_ALIGNED_LINE struct rn__p *idle_next;
    bool idle;
    /* sysmon's. */
    struct rn__seen seen;
    rn_time measured;  /* when it last knew how long turns are */
    rn_time talk_when; /* since then its goroutines have met others: */
    uint32_t talk_meets;
    rn_time talked; /* when they last did little but talk to those of other Ps */
    rn_time helped; /* atomic, and thieves' too: when those that wait here were last helped */
    bool slow;      /* atomic: its goroutines go on for long, each */
    /* Whoever watches the queue writes these, relaxed: how many had left it, and when. */
    uint32_t watched_left;
    rn_time watched;
    struct rn__g *next_seen; /* what was in run-next, at that tick, since then */
    uint32_t next_tick;
    rn_time next_since;
    /* The owner's. */
    struct rn__g *young_slot[RN__YOUNG]; /* not cleared at start */
};

/* By m, which has a P: it is about to switch to g. */
RN_INLINE void rn__start_running(struct rn__m *m, struct rn__g *g) {
    g->state = RN__RUNNING;
    g->m = m;
    g->ran = m->p->tick;
}

enum { RN__FRAME_LINES = 16 }; /* fetched of a parked one, at most */

/*
 * Fetch the frames that the parked `like` will go on in, up to its G; or as much where g is thought to lie, which was started like that one.
 * In line: gcc takes a function that only fetches for one that does nothing.
 */
RN_INLINE void rn__fetch_frames(const struct rn__g *like, const void *g) {
    const char *end = (const char *)g + offsetof(struct rn__g, ran);
    const char *at = (const char *)g - ((const char *)like - (const char *)like->ctx.sp);
    for (int i = 0; i < RN__FRAME_LINES && at < end; i++, at += RN_CACHE_LINE)
        __builtin_prefetch(at);
}

/* All that is shared. Plain fields are under `lock`; those marked `atomic` are read without. */
struct rn__sched {
    struct rn__lock lock;
    struct rn__globq {
        struct rn__g **slot; /* a ring of `cap`, a power of two; or a flock: its address and 1 */
        uint32_t cap, head;
    } global;               /* sched/runq.c */
    uint32_t nglobal;       /* atomic */
    struct rn__m *idle_ms;  /* last in, first out */
    uint32_t nms, nidle_ms; /* threads of ours, without sysmon; those that sleep in stop_m */
    uint32_t nlocked_idle;  /* those that wait for the goroutine they are locked to */
    struct rn__p *idle_ps;
    RN_ALIGNED_LINE uint32_t nidle_ps; /* atomic */
    uint32_t nspinning;                /* atomic: Ms that look for work */
    uint32_t nshy;                     /* atomic: Ps that give way to others */
    uint32_t procs;                    /* atomic */
    uint32_t cpus;                     /* that this process may use; constant */
    uint32_t stuck;                    /* atomic: sysmon has seen a P whose run-next waits long */
    uint32_t stopping;                 /* atomic: the world is to stand still */
    struct rn__m *stopper; /* atomic: who makes it; plain threads wait to enter. NULL: nobody */
    rn_time was_idle;      /* atomic: when a P went to work that had been idle, the last time */
    uint32_t they_poll;    /* atomic: sysmon has seen that those that run poll all the time */
    RN_ALIGNED_LINE struct rn__m *keeper; /* the idle M that sleeps until the next timer */
    rn_time keeper_until;                 /* atomic */
    uint32_t foreign_outside; /* plain threads that used the runtime and are not blocked in it */
    uint32_t foreign_blocked;
    uint32_t in_run;         /* those blocked in rn_run: without any there is no deadlock */
    uint32_t looks;          /* how often sysmon has found only service threads besides */
    uint32_t sysmon_tid;     /* atomic */
    uint32_t look_again;     /* atomic: sysmon is to look for a deadlock now and then */
    bool main_exited;        /* the function of rn_run called rn_goexit */
    struct rn__m *all_ms;    /* atomic: grows at its head only */
    struct rn__m *free_ms;   /* records of threads that are gone */
    uint64_t next_goid;      /* atomic */
    int64_t foreign_started; /* atomic */
    rn_time coarse_now;      /* atomic: the time, as of sysmon's last look */
    uint32_t max_threads;
    uint32_t
        outsiders; /* atomic: who may make goroutines ready from outside (signals): no deadlock then */
    uint32_t sysmon_asleep; /* atomic: futex: enum sleep, in sysmon.c */
    size_t default_stack;
    sigset_t mask; /* the signal mask that our threads get: that of who started the runtime */
    struct rn__p *ps[RN__MAX_PROCS];
};
extern struct rn__sched rn__sched RN_HIDDEN;

/* The M of threads that have not used the runtime yet: its claim is FOREIGN, so that entering looks closer. */
extern struct rn__m rn__nobody RN_HIDDEN;

/* What descriptors add to the idle path (sched/poll.c); NULL until the first is waited for. */
struct rn__poll_hooks {
    bool (*active)(void);             /* does anybody wait for a descriptor? */
    int (*poll)(rn_duration timeout); /* make ready who can go on; see rn__poll; inside */
    int (*take)(uint32_t id);         /* those that are P id's own (poll.h) */
    uint32_t (*owned)(void);          /* how many are some P's own */
    void (*wake)(void);               /* interrupt a poll with a time-out */
};
extern const struct rn__poll_hooks *rn__poll_hooks;

/* The hooks if somebody waits for a descriptor, else NULL. H1: pairs with rn__poll_begins */
RN_INLINE const struct rn__poll_hooks *rn__polling(void) {
    const struct rn__poll_hooks *h = rn__load_acquire(&rn__poll_hooks);
    return h && h->active() ? h : NULL;
}

/* Inside. Once, when there are hooks. */
void rn__poll_begins(const struct rn__poll_hooks *hooks);

/* Have all Ps been busy for a while? */
bool rn__all_busy(void);

/* A P whose M, which is not `but`, was last seen on that CPU; NULL: none. */
struct rn__p *rn__p_on(int cpu, const struct rn__m *but);

/* Make ready who can go on of those that are other Ps' own and that these have not looked after for long. How many. */
int rn__poll_neglected(const struct rn__poll_hooks *polling, rn_time now);

/* ---- entering and leaving ---- */

struct rn__m *rn__enter_slow(struct rn__m *m) RN_HIDDEN;

/*
 * Begin a section in which what is biased to our P is ours alone; it lasts until the M leaves, switches, or waits
 * for a lock. Before the bias is looked at.
 */
RN_INLINE void rn__section_open(struct rn__m *m) {
    rn__store_relaxed(&m->inside, (uint32_t)RN__OP);
    rn__barrier_light(); /* B1, B2: pairs with the heavy fences in rn__claim_p and of a revoker */
}

/* Enter, if that is but a section and a look. False: rn__enter_slow is to be called before anything else. */
RN_INLINE bool rn__enter_at_once(struct rn__m *m) {
    rn__section_open(m);
    /* C1: pairs with C2 in rn__unclaim_m and rn__take_p: what the claimant did to our P */
    return likely(rn__load_acquire(&m->claim) == RN__FREE);
}

RN_INLINE struct rn__m *rn__enter(void) {
    struct rn__m *m = rn__arch_tls_m();
    return rn__enter_at_once(m) ? m : rn__enter_slow(m);
}

/* `m` is the thread's own: read anew after anything that may have switched. */
RN_INLINE void rn__leave(struct rn__m *m) {
    rn__store_release(&m->inside, (uint32_t)RN__OUTSIDE); /* I1: pairs with I2 in rn__claim_p */
    rn__chaos_yield(16);
}

/* ---- claims (sched/claim.c) ---- */

void rn__claim_init(void);

/* Claim the M that has p. NULL: none has it, somebody else claims, or it is inside for too long. */
struct rn__m *rn__claim_p(struct rn__p *p, int patience);
void rn__unclaim_m(struct rn__m *m);
/* Take the P away from an M that we have claimed: ends the claim; the P is ours. */
struct rn__p *rn__take_p(struct rn__m *m);
/* Wait until the M that has p (if any) is in no biased section. For revokers, after their heavy fence. */
void rn__wait_section(struct rn__p *p);

/* ---- switching (sched/proc.c) ---- */

void rn__san_before(struct rn__g *from, struct rn__g *to) RN_HIDDEN;
void rn__san_after(struct rn__g *self) RN_HIDDEN;

RN_INLINE void rn__run_after(struct rn__m *m) {
    void (*fn)(void *) = m->after;
    if (fn) {
        m->after = NULL;
        fn(m->after_arg);
    }
}

RN_INLINE void rn__switch(struct rn__m *m, struct rn__g *from, struct rn__g *to) {
    m->g = to;
    if (unlikely(m->eh != NULL)) {
        from->eh[0] = m->eh[0], from->eh[1] = m->eh[1];
        m->eh[0] = to->eh[0], m->eh[1] = to->eh[1];
    }
    if (unlikely(rn__sanitized)) rn__san_before(from, to);
    rn__arch_switch(&from->ctx, &to->ctx);
    if (unlikely(rn__sanitized)) rn__san_after(from);
}

/* Park the caller's G, which has enqueued itself. The fast form of rn__park for the channels. */
void rn__park_on(struct rn__m *m, enum rn__reason why, void *on, void (*unlock)(void *), void *arg);
void rn__ready_on(struct rn__m *m, struct rn__g *g);
/* The same for one that rn__ready_late may wake: `unlock` must call rn__parked first. */
void rn__park_late(struct rn__m *m, enum rn__reason why, void *on, void (*unlock)(void *),
                   void *arg);
/* Switch away from g for good or until it is made ready; `after(arg)` runs on the far side. */
void rn__away(struct rn__m *m, struct rn__g *g, void (*after)(void *), void *arg);
void rn__go_over(void) __attribute__((noreturn));
void rn__parked(struct rn__g *g);

/* ---- queues (sched/runq.c) ---- */

#ifdef RN_CHAOS
#define rn__ring_size() 4u
#else
#define rn__ring_size() ((uint32_t)RN__RING)
#endif

struct rn__g *rn__runq_pick(struct rn__p *p);
struct rn__g *rn__runq_pick_fairly(struct rn__p *p);
struct rn__g *rn__runq_pick_own(struct rn__p *p);
void rn__runq_put(struct rn__p *p, struct rn__g *g);
void rn__runq_drain(struct rn__p *p);
/* Of one that has not run yet: the newest goes first. */
void rn__runq_put_young(struct rn__p *p, struct rn__g *g);
/* Shall who is about to start another let those that it has started run before? Then it is to be put under them. */
bool rn__runq_crowded(struct rn__p *p);
void rn__runq_put_under(struct rn__p *p, struct rn__g *g);
void rn__runq_age(struct rn__p *p);
/* Glances: how many can be stolen; whether there is nothing at all. */
uint32_t rn__runq_length(struct rn__p *p);
bool rn__runq_empty(struct rn__p *p);
void rn__global_put(struct rn__g *g);
/* To whoever comes first: into the global queue, and somebody is woken for it. */
void rn__hand_out(void *g);
void rn__global_init(void);
void rn__global_unfold(void); /* no flock any more: for observers, with the world stopped */
void rn__runq_put_list(struct rn__p *p, struct rn__glist *l);
struct rn__g *rn__global_get(struct rn__p *p);
/* What a thief may take: from rings in which one waits long, from any; and what is in run-next. */
struct rn__search {
    rn_time now;
    bool any;
    bool runnext_too;
    bool seen; /* the answer: there is something in a ring */
};
struct rn__g *rn__steal(struct rn__m *m, struct rn__search *s);

/* ---- threads and idling (sched/idle.c) ---- */

/* p fights with others for its channels: it is to give way, at its next switch. p is the caller's. */
RN_INLINE void rn__fights(struct rn__p *p) {
    p->fights = true;
    rn__store_relaxed(&p->tick, p->tick | (RN__FAIR_TICKS - 1)); /* the next pick is g0's */
}

void rn__wake_p(void);

/* Nobody has a P. */
RN_INLINE bool rn__all_idle(void) {
    return rn__load_seq_cst(&rn__sched.nidle_ps) >= rn__load_seq_cst(&rn__sched.procs);
}

/* Somebody had to wait at p: who is made ready there for a while shall not (rn__ready_on). */
RN_INLINE void rn__note_wait(struct rn__p *p, rn_time now) {
    rn__store_relaxed(&p->helped, now);
    rn__store_relaxed(&p->eager, 1u);
}

/* Cores that no P uses, as far as there are idle Ps for them. */
RN_INLINE uint32_t rn__idle_cores(void) {
    uint32_t idle = rn__load_relaxed(&rn__sched.nidle_ps);
    uint32_t busy = rn__load_relaxed(&rn__sched.procs) - idle;
    uint32_t cores = busy < rn__sched.cpus ? rn__sched.cpus - busy : 0;
    return cores < idle ? cores : idle;
}

/* Work stays queued on a busy P: wake another M, unless somebody is on the way. */
RN_INLINE void rn__wake_others(void) {
    rn__barrier_light(); /* W1: pairs with the heavy fence of who goes to sleep (idle.c) */
    if (rn__load_relaxed(&rn__sched.nidle_ps) != 0 && rn__load_relaxed(&rn__sched.nspinning) == 0)
        rn__wake_p();
}

void rn__schedule(struct rn__m *m); /* returns when m is to end */
void rn__handoff(struct rn__p *p);
void rn__acquire_p(struct rn__m *m, struct rn__p *p);
struct rn__p *rn__release_p(struct rn__m *m);
struct rn__p *rn__idle_p_get(void);
void rn__idle_p_put(struct rn__p *p);
void rn__idle_p_remove(struct rn__p *p);
void rn__m_wake(struct rn__m *m);
int rn__m_start(struct rn__p *p, bool spinning);
rn_time rn__first_timer(void);
void rn__run_timers(void);

/* ---- threads (sched/thread.c) ---- */

/* A new thread of ours that begins with p. 0, or -EAGAIN: the system has none, or there are as many as allowed. */
int rn__thread_create(struct rn__p *p, bool spinning);
/* With sched.lock: is everybody asleep, for ever? Then says so and ends the program. */
void rn__check_dead(void);
/* The same for sysmon, that asks again. Takes sched.lock. */
void rn__check_dead_again(void);

struct rn__m *rn__thread_register(void);
void rn__thread_park(struct rn__m *m, struct rn__g *g, void (*unlock)(void *), void *arg);
void rn__thread_ready(struct rn__g *g);
struct rn__m *rn__m_new(void);

/* ---- stacks (sched/stack.c) ---- */

void rn__stack_init(void);
struct rn__g *rn__stack_get(struct rn__p *p, size_t size);
void rn__stack_put(struct rn__p *p, struct rn__g *g);
void rn__stack_trim(void);
bool rn__stack_surplus(void);
/* Calls fn for each G that was ever made, until fn returns false. For observers, with the world stopped. */
void rn__stack_each(bool (*fn)(struct rn__g *, void *), void *arg);
/* Calls fn with each range of addresses that is reserved for stacks. */
void rn__stack_ranges(void (*fn)(char *lo, char *hi, void *arg), void *arg);
/* The G whose guard page (or stack) contains this address, or NULL. Async-signal-safe. */
struct rn__g *rn__stack_find(const void *addr, bool *in_guard);
size_t rn__stack_size(const struct rn__g *g);

/* ---- start (sched/start.c) ---- */

void rn__start(void);
void rn__sysmon_start(void);
void rn__sysmon_wake(void); /* something runs */
void rn__sysmon_call(void); /* nobody keeps watch: also from a doze */
bool rn__is_main(struct rn__g *g);
void rn__signal_stack(struct rn__m *m);
void rn__signal_stack_drop(struct rn__m *m);
void rn__signal_stack_range(const struct rn__m *m, char **lo, char **hi);
void rn__signal_init(void);

/* The observers (src/inspect) begin to look; the one call upwards, which also makes a static library contain them. */
void rn__inspect_start(void);
/* Set by them at start, before all threads. NULL: nothing to do. */
extern void (*rn__sysmon_hook)(rn_time now); /* at each of sysmon's looks; it never sleeps deeply */
extern void (*rn__run_end_hook)(void); /* rn_run's function has returned; its caller's thread */

/*
 * After active() may have become true. With a keeper somebody polls or will. Without one, an M that has a P will, or it becomes the
 * keeper when it goes idle; a plain thread has sysmon make one. (K2)
 */
RN_INLINE void rn__poll_watched(void) {
    if (!rn__load_relaxed(&rn__arch_tls_m()->p) && !rn__load_seq_cst(&rn__sched.keeper))
        rn__sysmon_call();
}

/*
 * Stop all others: on return no goroutine and no plain thread but the caller's is inside, and no timer fires. (Sysmon and the keeper
 * go on: what the poller has may still be made ready.)
 */
void rn__world_stop(void);
void rn__world_start(void);

#endif
