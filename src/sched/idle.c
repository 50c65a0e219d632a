/* SPDX-License-Identifier: MIT */
/*
 * idle.c: what an M does on its own stack: look for a goroutine to run, spin a little, sleep; and waking Ms.
 *
 * No wake-up is lost. Who makes work visible in a place where sleepers must see it (a ring, the global
 * queue) then looks for idle Ps and for searchers (W1). Who goes to sleep first puts its P among the idle ones, then
 * executes a heavy fence, then looks at all queues once more (W2). One of the two sees the other. The global queue and the idle
 * Ps have one lock: who goes to sleep looks at that queue, and stops to be a searcher, while it holds it. So nothing is left to look at where
 * nobody has a P: no fence, then. What sits in the run-next slot of a busy P is that P's own: it is the next thing it does. If its
 * goroutine does not come back soon, a searcher takes it (runq.c), and sysmon wakes one.
 *
 * Searchers (spinning Ms): a waker does nothing while there is one, so a searcher that stops searching looks once
 * more; one that finds work wakes the next if there are idle Ps. models/wake.pml has all this, keeper.pml what is below.
 *
 * Patience. Goroutines that ready each other in turn, a select and its two producers say, are one too many for run-next, so
 * that one of them is always in the ring, for a moment. A thief who takes it breaks up a party: for microseconds of claim,
 * cold caches and revoked biases it gains nothing, as soon all have gathered at one P again, and the other P has run out. By that we know
 * it: a P that runs out shortly after it stole or was stolen from doubles the time that it will watch a ring
 * which moves before it steals; one that runs out later halves it. What waits long in a ring (runq.c) is stolen at once, however patient
 * the thief; but who has lost by that, at either end, as the claim took about as long as what was stolen, lets it wait twice as long, up to 4 ms. While
 * it watches, it naps and counts as a searcher, so that nobody pays for waking others.
 *
 * Giving way. Ps may also all be busy and yet get less done than one would, when all they do is take the same channels from each
 * other. A P that sees this (chan/lock.c) leaves its goroutines to the others, by the global queue, and watches as
 * long as its patience says, which doubles by this, before it takes anything from there. Others must be at work meanwhile.
 *
 * The keeper is the idle M that sleeps until exactly the next timer, or in the poller. Whoever goes
 * to sleep when there is none becomes it. While something runs sysmon also looks at the timers.
 *   arming:     first = when (timer.c);     light fence;  look at keeper_until
 *   the keeper: keeper_until = what it saw; heavy fence;  look at every heap's first again   (K1)
 * Who arms without a P has a full fence there, so one is enough for the keeper, too, where nobody has a P.
 * While all Ps are busy there is no keeper: those that run poll and look at the timers as they go along, and what another thread
 * polled for them would cost a wake-up, two switches, and the cache. Nor is there one while those that run poll all the time, though a P is
 * idle: for each event it would wake up as well, to find it taken, or to take it from who would have gone on with it at once. That they do
 * sysmon sees, and when they stop it wakes one that will be the keeper. So the keeper resigns where it is not needed; where all are
 * idle it is (K4, resign.pml):
 *   going idle: the P among the idle ones;  then: if one is needed and nobody is the keeper, I am
 *   the keeper: keeper = nobody;            then: if one is needed and nobody is the keeper, I am after all
 * A keeper that has polled something takes an idle P itself: to wake another M for it costs more than most requests do.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "os/clock.h"
#include "os/cpus.h"
#include "os/futex.h"
#include "sched/core.h"

const struct rn__poll_hooks *rn__poll_hooks;

enum {
    SPIN_US = 30,      /* about what a wake-up costs */
    SPIN_SLOW_US = 90, /* where turns are long */
    SPIN_PAUSES = 8,   /* between two looks */
    GRACE_US = 20,     /* that Ms which are awake have for a timer before the keeper sees to it */
    NAP_US = 20,       /* between two looks of who is patient */
    BRIEF_US = 200,    /* a P that runs out so soon after a steal has gained nothing by it */
    LATE_US = 1000,    /* and one that runs out so late has */
    EMPTY_US = 100,    /* rings that are empty so long are not worth patience */
    PATIENCE_US = 10,  /* the first */
    PATIENCE_MAX_US = 4000,
    LOSSES = 4,        /* so many steals in a row that did not pay count */
    NEGLECT_US = 200,  /* who has not looked after its descriptors for so long is helped, */
    NEGLECT_POLLS = 8, /* at each so many polls by who has enough to do itself */
    BUSY_MS = 20,      /* Ps that were idle for less time ago are not busy all the time */
    IDLE_SECONDS = 1,  /* an M that was idle for so long ends, but for the last few */
    KEEP_IDLE = 2,     /* so many Ms stay, however long they were idle */
};
enum wake { ASLEEP, WOKEN, LOOK_AGAIN };

/* ---- Ps ---- */

/* With sched.lock. */
static void idle_p_push(struct rn__p *p) {
    struct rn__sched *s = &rn__sched;
    rn__assert(!p->idle, "idle: a P twice idle");
    p->idle = true;
    p->idle_next = s->idle_ps;
    s->idle_ps = p;
    rn__store_seq_cst(&s->nidle_ps, s->nidle_ps + 1);
}

/* With sched.lock. NULL: none, or the world is to stand still, or there are more Ps than rn_procs allows. */
static struct rn__p *idle_p_pop(void) {
    struct rn__sched *s = &rn__sched;
    if (rn__load_relaxed(&s->stopping)) return NULL;
    struct rn__p *p = s->idle_ps;
    if (!p) return NULL;
    s->idle_ps = p->idle_next;
    p->idle = false;
    rn__store_seq_cst(&s->nidle_ps, s->nidle_ps - 1);
    rn__store_relaxed(&s->was_idle, rn__now());
    return p;
}

bool rn__all_busy(void) {
    struct rn__sched *s = &rn__sched;
    return rn__load_relaxed(&s->nidle_ps) == 0 && rn__load_relaxed(&s->procs) > 1 &&
           rn__load_relaxed(&s->coarse_now) - rn__load_relaxed(&s->was_idle) >= BUSY_MS * RN_MS;
}

void rn__idle_p_put(struct rn__p *p) {
    rn__lock_acquire(&rn__sched.lock);
    idle_p_push(p);
    rn__lock_release(&rn__sched.lock);
}

/* Take a P out of the idle ones, where it is: rn_procs. */
void rn__idle_p_remove(struct rn__p *p) {
    rn__lock_acquire(&rn__sched.lock);
    struct rn__p **at = &rn__sched.idle_ps;
    while (*at != p) at = &(*at)->idle_next;
    *at = p->idle_next;
    p->idle = false;
    rn__store_seq_cst(&rn__sched.nidle_ps, rn__sched.nidle_ps - 1);
    rn__lock_release(&rn__sched.lock);
}

/* NULL: none is to be had, and who was to search does not. */
static struct rn__p *idle_p_get(bool spinning) {
    rn__lock_acquire(&rn__sched.lock);
    bool was_all_idle = rn__all_idle();
    struct rn__p *p = idle_p_pop();
    if (!p && spinning) rn__sub_seq_cst(&rn__sched.nspinning, 1);
    rn__lock_release(&rn__sched.lock);
    if (p && was_all_idle) rn__sysmon_wake();
    return p;
}

struct rn__p *rn__idle_p_get(void) {
    return idle_p_get(false);
}

void rn__acquire_p(struct rn__m *m, struct rn__p *p) {
    rn__store_relaxed(&m->p, p);
    rn__store_relaxed(&p->owners, p->owners + 1);
    rn__store_release(&p->m, m); /* P1: pairs with rn__claim_p */
}

struct rn__p *rn__release_p(struct rn__m *m) {
    struct rn__p *p = m->p;
    rn__store_relaxed(&m->p, NULL);
    rn__store_release(&p->m, NULL);
    return p;
}

/* ---- waking Ms ---- */

static void interrupt(struct rn__m *m) {
    /* M3: pairs with sleep_now: it sees our `wake` or we see that it polls */
    if (rn__load_seq_cst(&m->polling))
        rn__load_acquire(&rn__poll_hooks)->wake();
    else
        rn__futex_wake(&m->wake, 1);
}

/* m has been taken out of the idle list and may have been given a P. */
void rn__m_wake(struct rn__m *m) {
    rn__store_seq_cst(&m->wake, (uint32_t)WOKEN); /* M1: pairs with M2 in woken */
    interrupt(m);
}

/* With sched.lock. */
static void idle_m_push(struct rn__m *m) {
    m->idle = true;
    m->idle_next = rn__sched.idle_ms;
    rn__sched.idle_ms = m;
    rn__sched.nidle_ms++;
}

/* With sched.lock. */
static void idle_m_remove(struct rn__m *m) {
    struct rn__m **at = &rn__sched.idle_ms;
    while (*at != m) at = &(*at)->idle_next;
    *at = m->idle_next;
    m->idle = false;
    rn__sched.nidle_ms--;
}

/* The most recent sleeper, but rather not the keeper: its sleep is of use. With sched.lock. */
static struct rn__m *idle_m_pop(void) {
    struct rn__m *m = rn__sched.idle_ms;
    if (!m) return NULL;
    if (m == rn__load_relaxed(&rn__sched.keeper) && m->idle_next) m = m->idle_next;
    idle_m_remove(m);
    return m;
}

/* What p holds goes to the global queue, as no thread can be had for it. */
static void park_p(struct rn__p *p, bool spinning) {
    rn__runq_drain(p);
    rn__idle_p_put(p);
    if (spinning) rn__sub_seq_cst(&rn__sched.nspinning, 1);
}

/* Give p, which is ours, to an M that sleeps, or to a new one. 0, or -EAGAIN when no thread can be had. */
int rn__m_start(struct rn__p *p, bool spinning) {
    rn__lock_acquire(&rn__sched.lock);
    struct rn__m *m = idle_m_pop();
    rn__lock_release(&rn__sched.lock);
    if (m) {
        m->next_p = p;
        m->spinning = spinning;
        rn__m_wake(m);
        return 0;
    }
    int r = rn__thread_create(p, spinning);
    if (r != 0) park_p(p, spinning);
    return r;
}

/* There is work for one more: let an idle P search, unless somebody searches already. */
void rn__wake_p(void) {
    rn__fence_seq_cst(); /* W1: of who has put into the global queue; pairs with stop_spinning */
    if (rn__load_seq_cst(&rn__sched.nidle_ps) == 0) return;
    if (rn__load_seq_cst(&rn__sched.nspinning) != 0) return;
    if (!rn__cas_seq_cst(&rn__sched.nspinning, 0u, 1u)) return;
    struct rn__p *p = idle_p_get(true);
    if (p) rn__m_start(p, true);
}

/* A P that has lost its M: it goes on if there is work, else it is idle. */
void rn__handoff(struct rn__p *p) {
    if (!rn__runq_empty(p) || rn__load_seq_cst(&rn__sched.nglobal) != 0) {
        rn__m_start(p, false);
        return;
    }
    if (rn__load_seq_cst(&rn__sched.nidle_ps) == 0 &&
        rn__cas_seq_cst(&rn__sched.nspinning, 0u, 1u)) {
        rn__m_start(p, true);
        return;
    }
    rn__idle_p_put(p);
    if (rn__load_seq_cst(&rn__sched.nglobal) != 0) rn__wake_p(); /* W2 for the global queue */
}

/* ---- timers ---- */

static rn_time first_timer(void) {
    rn_time first = RN_TIME_MAX;
    for (uint32_t i = 0; i < RN__MAX_PROCS; i++) {
        struct rn__p *p = rn__load_acquire(&rn__sched.ps[i]);
        if (!p) break;
        rn_time t = rn__timers_first(&p->timers);
        if (t < first) first = t;
    }
    return first;
}

rn_time rn__first_timer(void) { return first_timer(); }

/*
 * Run all that is due, whosever it is. Who runs a P sees to its timers as a rule, and two that do at once take the heap's lock and
 * lines from each other: those of a P that has an M are given some time.
 */
void rn__run_timers(void) {
    struct rn__p *mine = rn__load_relaxed(&rn__arch_tls_m()->p);
    rn_time now = 0;
    for (uint32_t i = 0; i < RN__MAX_PROCS; i++) {
        struct rn__p *p = rn__load_acquire(&rn__sched.ps[i]);
        if (!p) break;
        rn_time first = rn__timers_first(&p->timers);
        if (first == RN_TIME_MAX) continue;
        if (now == 0) now = rn__now();
        if (p == mine) rn__store_relaxed(&p->timers.looked, now);
        bool theirs = mine && p != mine && rn__load_relaxed(&p->m);
        if (first <= (theirs ? now - GRACE_US * RN_US : now)) rn__timers_run(&p->timers, now);
    }
}

struct rn__timers *rn__timers_mine(void) {
    struct rn__p *p = rn__load_relaxed(&rn__arch_tls_m()->p);
    return p ? &p->timers : &rn__sched.ps[0]->timers;
}

void rn__timer_earlier(rn_time when) {
    bool runs = rn__load_relaxed(&rn__arch_tls_m()->p); /* then sysmon is there, too */
    /* K1, K3: pairs with the fences in keep and in sysmon's sleep_as */
    if (runs)
        rn__barrier_light();
    else
        rn__fence_seq_cst();
    struct rn__m *k = rn__load_seq_cst(&rn__sched.keeper);
    if (!k && !runs)
        rn__sysmon_call();
    else if (k && when < rn__load_seq_cst(&rn__sched.keeper_until) &&
             rn__cas_seq_cst(&k->wake, (uint32_t)ASLEEP, (uint32_t)LOOK_AGAIN))
        interrupt(k);
}

/* A keeper that sleeps on its futex is to sleep in the poller; without one, somebody is to become it. */
void rn__poll_begins(const struct rn__poll_hooks *hooks) {
    rn__store_seq_cst(&rn__poll_hooks, hooks); /* H1 */
    rn__timer_earlier(0);
    if (!rn__load_seq_cst(&rn__sched.keeper)) rn__wake_p();
}

/* ---- sleeping ---- */

static bool woken(struct rn__m *m) { return rn__load_acquire(&m->wake) == WOKEN; /* M2 */ }

/* Something is to be done and m is still idle: take an idle P to do it. False: none, or woken meanwhile. */
static bool rise(struct rn__m *m) {
    rn__lock_acquire(&rn__sched.lock);
    struct rn__p *p = m->idle ? idle_p_pop() : NULL;
    if (p) {
        idle_m_remove(m);
        m->next_p = p;
        rn__store_relaxed(&m->wake, (uint32_t)WOKEN);
    }
    rn__lock_release(&rn__sched.lock);
    if (p) rn__sysmon_wake();
    return p != NULL;
}

/*
 * Is it worth a wake-up to have others run of n that were polled for p, half of them, as thieves do? If one of these runs for longer than
 * was to be expected, sysmon sees that others wait.
 */
static bool worth_waking(struct rn__p *p, int n) {
    return n > 0 && (p->turn == 0 || n * p->turn >= 2 * SPIN_US * RN_US);
}

/*
 * Once the poller is there the keeper always sleeps in it: whether somebody waits for a descriptor changes
 * too often to tell the keeper each time.
 */
static void sleep_now(struct rn__m *m, rn_duration timeout) {
    const struct rn__poll_hooks *hooks =
        rn__load_acquire(&rn__poll_hooks); /* H1: pairs with rn__poll_begins */
    if (hooks) {
        rn__store_seq_cst(&m->polling, true); /* M3 */
        int n = rn__load_seq_cst(&m->wake) == ASLEEP ? hooks->poll(timeout) : 0;
        rn__store_seq_cst(&m->polling, false);
        m->polled = n > 0 && rise(m);
        if (m->polled ? worth_waking(m->next_p, n - 1) : n > 0) rn__wake_p();
    } else {
        rn__futex_wait(&m->wake, ASLEEP, timeout);
    }
    rn__cas_seq_cst(&m->wake, (uint32_t)LOOK_AGAIN, (uint32_t)ASLEEP);
}

/* Those that are awake look at the timers themselves, as a rule, and for less than if two compete for them. */
static rn_duration grace(void) { return rn__all_idle() ? 0 : GRACE_US * RN_US; }

/* The keeper's turn: sleep until the next timer, then see to it. */
static void keep(struct rn__m *m) {
    rn_time until = first_timer();
    rn__store_seq_cst(&rn__sched.keeper_until, until);
    if (rn__all_idle())
        rn__fence_seq_cst();
    else
        rn__barrier_heavy(); /* K1 */
    /* Who armed unseen has compared with what we said: that stands, even if that timer is gone meanwhile. */
    rn_time again = first_timer();
    if (again < until) until = again;
    rn_duration left = until == RN_TIME_MAX ? -1 : until - rn__now() + grace();
    if (until == RN_TIME_MAX || left > 0) sleep_now(m, left);
    if (woken(m)) return;
    rn_time first = first_timer();
    if (first != RN_TIME_MAX && first <= rn__now() - grace() && !rise(m)) rn__run_timers();
}

static bool may_retire(struct rn__m *m) {
    bool retire = false;
    rn__lock_acquire(&rn__sched.lock);
    if (m->idle && rn__sched.nidle_ms > KEEP_IDLE) {
        idle_m_remove(m);
        retire = true;
    }
    rn__lock_release(&rn__sched.lock);
    return retire;
}

/* Is there to be a keeper? Where some run, only if one P is idle and those do not poll all the time. */
static bool needed(void) {
    if (rn__all_idle()) return true;
    return rn__load_seq_cst(&rn__sched.nidle_ps) != 0 && !rn__load_relaxed(&rn__sched.they_poll);
}

/* Is m the keeper from now on? (K4) */
static bool becomes_keeper(struct rn__m *m) {
    return needed() && rn__cas_seq_cst(&rn__sched.keeper, (struct rn__m *)NULL, m);
}

/* The keeper m leaves it to those that run. */
static void resign(void) {
    if (needed()) return;
    rn__store_seq_cst(
        &rn__sched.keeper,
        (struct rn__m *)NULL); /* K4: pairs with becomes_keeper, of who went idle meanwhile */
}

static bool keeps(struct rn__m *m) {
    if (rn__load_relaxed(&rn__sched.keeper) == m) resign();
    return rn__load_relaxed(&rn__sched.keeper) == m || becomes_keeper(m);
}

/* One that is not the keeper. It may have been taken for that. */
static void sleep_idly(struct rn__m *m, rn_duration timeout) {
    rn__futex_wait(&m->wake, ASLEEP, timeout);
    rn__cas_seq_cst(&m->wake, (uint32_t)LOOK_AGAIN, (uint32_t)ASLEEP);
}

static void sleep_until_woken(struct rn__m *m) {
    rn_time start = rn__now();
    while (!m->quit && !woken(m)) {
        if (keeps(m)) {
            keep(m);
            start = rn__now();
            continue;
        }
        sleep_idly(m, IDLE_SECONDS * RN_SEC);
        if (rn__now() - start >= IDLE_SECONDS * RN_SEC) m->quit = may_retire(m);
    }
    if (rn__load_relaxed(&rn__sched.keeper) == m)
        rn__store_seq_cst(&rn__sched.keeper, (struct rn__m *)NULL);
    rn__store_relaxed(&m->wake, (uint32_t)ASLEEP);
}

/* m has no P and nothing to do: sleep until somebody hands it a P, or it is to end. */
static void stop_m(struct rn__m *m) {
    rn__lock_acquire(&rn__sched.lock);
    idle_m_push(m);
    rn__check_dead();
    rn__lock_release(&rn__sched.lock);
    sleep_until_woken(m);
    struct rn__p *p = m->next_p;
    m->next_p = NULL;
    if (p) rn__acquire_p(m, p);
}

/* The same for an M that is locked to a goroutine: it is no use to others, so it is in no list. */
static void stop_locked(struct rn__m *m) {
    rn__lock_acquire(&rn__sched.lock);
    rn__sched.nlocked_idle++;
    rn__check_dead();
    rn__lock_release(&rn__sched.lock);
    while (!woken(m)) sleep_idly(m, -1);
    rn__store_relaxed(&m->wake, (uint32_t)ASLEEP);
    struct rn__p *p = m->next_p;
    m->next_p = NULL;
    rn__acquire_p(m, p);
}

/* ---- looking for work ---- */

/* In the global queue, or in any ring but that of `mine`, which may be NULL. */
static bool any_work(const struct rn__p *mine) {
    if (rn__load_seq_cst(&rn__sched.nglobal) != 0) return true;
    uint32_t n = rn__load_relaxed(&rn__sched.procs);
    for (uint32_t i = 0; i < n; i++) {
        struct rn__p *p = rn__load_acquire(&rn__sched.ps[i]);
        if (p && p != mine && rn__runq_length(p) != 0) return true;
    }
    return false;
}

static void spin_from_now(struct rn__m *m) {
    if (m->spinning) return;
    m->spinning = true;
    rn__add_seq_cst(&rn__sched.nspinning, 1);
}

/* Put m's P among the idle ones; m searches no more. False: there is something in the global queue. */
static bool leave_p(struct rn__m *m) {
    rn__lock_acquire(&rn__sched.lock);
    bool work = rn__sched.nglobal != 0 && !rn__load_relaxed(&rn__sched.stopping);
    if (!work) {
        idle_p_push(rn__release_p(m));
        if (m->spinning) rn__sub_seq_cst(&rn__sched.nspinning, 1);
        m->spinning = false;
    }
    rn__lock_release(&rn__sched.lock);
    return !work;
}

/* The P goes among the idle ones, and m to sleep, unless there is work after all. */
static void go_idle(struct rn__m *m) {
    if (!leave_p(m)) return;
    struct rn__p *p = NULL;
    if (!rn__all_idle()) {
        rn__barrier_heavy(); /* W2: pairs with W1 in rn__wake_others */
        if (any_work(NULL)) p = rn__idle_p_get();
    }
    if (!p) {
        stop_m(m);
        return;
    }
    rn__acquire_p(m, p);
    spin_from_now(m);
}

static bool may_spin(struct rn__m *m) {
    if (m->spinning) return true;
    uint32_t busy = rn__load_relaxed(&rn__sched.procs) - rn__load_relaxed(&rn__sched.nidle_ps);
    if (2 * rn__load_relaxed(&rn__sched.nspinning) >= busy) return false;
    spin_from_now(m);
    return true;
}

/* Our P's; or what our P shares with all. */
static struct rn__g *mine(struct rn__m *m) {
    rn__run_timers();
    return rn__runq_pick_own(m->p);
}

static struct rn__g *own(struct rn__m *m) {
    rn__run_timers();
    return rn__runq_pick_fairly(m->p);
}

static void more_patience(struct rn__p *p) {
    p->patience = p->patience == 0 ? PATIENCE_US * RN_US : 2 * p->patience;
    if (p->patience > PATIENCE_MAX_US * RN_US) p->patience = PATIENCE_MAX_US * RN_US;
}

/* p has run out of goroutines. */
static void learn_patience(struct rn__p *p, rn_time now) {
    rn_duration since = now - p->stole;
    if (since < BRIEF_US * RN_US)
        more_patience(p);
    else if (since >= LATE_US * RN_US)
        p->patience = p->patience <= PATIENCE_US * RN_US ? 0 : p->patience / 2;
    if (since >= BRIEF_US * RN_US)
        p->losses = 0;
    else if (since < 2 * p->paid && p->losses < LOSSES)
        p->losses++;
}

int rn__poll_neglected(const struct rn__poll_hooks *polling, rn_time now) {
    int n = 0;
    if (polling->owned() == 0) return 0;
    for (uint32_t i = 0; i < RN__MAX_PROCS; i++) {
        struct rn__p *p = rn__load_acquire(&rn__sched.ps[i]);
        if (!p) break;
        if (!rn__load_relaxed(&p->m) || now - rn__load_relaxed(&p->looked) >= NEGLECT_US * RN_US)
            n += polling->take(i);
    }
    return n;
}

/* By the M that has p. How many goroutines were queued. */
static int poll_for(struct rn__p *p, const struct rn__poll_hooks *polling, rn_time now) {
    rn__store_relaxed(&p->polls, p->polls + 1); /* sysmon glances */
    rn__store_relaxed(&p->looked, now);
    int n = polling->poll(0) + polling->take(p->id);
    bool some_idle = rn__load_relaxed(&rn__sched.nidle_ps) != 0;
    if (n == 0 || some_idle || p->polls % NEGLECT_POLLS == 0) n += rn__poll_neglected(polling, now);
    return n;
}

/* Nobody is woken for what is polled: the caller looks for work, and when it has some it sees to the rest (stop_spinning). */
static void nap(struct rn__m *m) {
    rn__nap(NAP_US * RN_US);
    const struct rn__poll_hooks *polling = rn__polling();
    if (polling) poll_for(m->p, polling, rn__now());
}

/* A watch: from when on it takes anything, when it last saw something in a ring. */
struct watch {
    rn_time steal, seen;
    bool shy;
    uint32_t left; /* the shy: what lies in the global queue, and since when it has not changed */
    rn_time unchanged;
};

/* Nobody takes what the shy have left: somebody must. */
static void end_shyness(struct watch *w, rn_time now) {
    uint32_t left = rn__load_relaxed(&rn__sched.nglobal);
    if (left == 0 || left != w->left) {
        w->left = left;
        w->unchanged = now;
    } else if (now - w->unchanged >= EMPTY_US * RN_US) {
        w->steal = now;
    }
}

static struct rn__g *look(struct rn__m *m, struct watch *w, rn_time now) {
    if (w->shy) end_shyness(w, now);
    struct rn__g *g = w->shy && now < w->steal ? mine(m) : own(m);
    if (g) return g;
    struct rn__search s = {now, now >= w->steal, rn__load_relaxed(&rn__sched.stuck) != 0, false};
    g = rn__steal(m, &s);
    if (s.seen || w->shy) w->seen = now;
    return g;
}

/* No other P runs, and there are descriptors that are waited for: what comes next comes from the poller. */
static bool only_descriptors(void) {
    return rn__polling() &&
           rn__load_relaxed(&rn__sched.nidle_ps) + 1 >= rn__load_relaxed(&rn__sched.procs);
}

/* Are there turns that are long, and others that would wait for them? */
static bool are_slow(void) {
    for (uint32_t i = 0; i < rn__load_relaxed(&rn__sched.procs); i++) {
        struct rn__p *p = rn__load_acquire(&rn__sched.ps[i]);
        if (p && rn__load_relaxed(&p->m) && rn__load_relaxed(&p->eager) &&
            rn__load_relaxed(&p->slow))
            return true;
    }
    return false;
}

struct rn__p *rn__p_on(int cpu, const struct rn__m *but) {
    for (uint32_t i = 0; cpu >= 0 && i < rn__load_relaxed(&rn__sched.procs); i++) {
        struct rn__p *p = rn__load_acquire(&rn__sched.ps[i]);
        struct rn__m *m = p ? rn__load_acquire(&p->m) : NULL;
        if (m && m != but && rn__load_relaxed(&m->cpu) == cpu) return p;
    }
    return NULL;
}

static bool is_taken(int cpu) { return rn__p_on(cpu, rn__arch_tls_m()) != NULL; }

static void note_cpu(struct rn__m *m) {
    int cpu = rn__cpu();
    if (rn__load_relaxed(&m->cpu) != cpu) rn__store_relaxed(&m->cpu, cpu); /* others read it */
}

/*
 * Where few CPUs share a cache the kernel does not look for an idle one: it wakes a thread on the CPU of who
 * wakes it, and there it would stand in the way of the very one whose work it searches for, each time for as long as it watches. Only where turns
 * are long: beside other programs that take the CPUs, too, leaving costs more than it gives.
 */
static void leave_crowd(struct rn__m *m) {
    note_cpu(m);
    if ((is_taken(rn__load_relaxed(&m->cpu)) || rn__chaos(2)) && rn__cpu_leave(is_taken))
        note_cpu(m);
}

/*
 * Watch, as long as a wake-up would cost, where there is a core to spare; or, while there is something in a ring, as patience
 * has it. The shy leave the global queue alone until then.
 */
static struct rn__g *watch(struct rn__m *m, rn_time start, bool shy) {
    bool crowded = rn__load_relaxed(&rn__sched.procs) > rn__sched.cpus || only_descriptors();
    bool slow = are_slow();
    rn_duration spin = (slow ? SPIN_SLOW_US : SPIN_US) * RN_US; /* until one more turn is over */
    if (!crowded && (slow || rn__chaos(64))) leave_crowd(m);
    struct watch w = {start + m->p->patience, start, shy, 0, start};
    for (int i = 0; !rn__load_relaxed(&rn__sched.stopping); i++) {
        rn_time now = rn__now();
        struct rn__g *g = look(m, &w, now);
        if (g) return g;
        if (crowded ? i < 4 : now - start < spin)
            rn__stand_back(SPIN_PAUSES);
        else if (now < w.steal && now - w.seen < EMPTY_US * RN_US)
            nap(m);
        else
            break;
    }
    return NULL;
}

/* Our P has run out: look elsewhere. */
static struct rn__g *search(struct rn__m *m) {
    rn_time now = rn__now();
    if (!m->spinning) learn_patience(m->p, now);
    struct rn__search s = {now, m->p->patience == 0, false, false};
    struct rn__g *g = rn__steal(m, &s);
    return g || !may_spin(m) ? g : watch(m, now, false);
}

/* Our P fights with others: what it has is theirs, if they are there. */
static struct rn__g *give_way(struct rn__m *m) {
    struct rn__p *p = m->p;
    struct rn__g *g = NULL;
    p->fights = false;
    if (rn__add_seq_cst(&rn__sched.nshy, 1) + 1 + rn__load_seq_cst(&rn__sched.nidle_ps) <
        rn__load_relaxed(&rn__sched.procs)) {
        more_patience(p);
        rn__runq_drain(p);
        spin_from_now(m);
        g = watch(m, rn__now(), true);
    }
    rn__sub_seq_cst(&rn__sched.nshy, 1);
    return g;
}

/*
 * m found something: it searches no more; if it was the last searcher, the next may start. A heavy fence here would cost a
 * membarrier for each that is found: a put whose store is under way just now is left to sysmon's next look.
 */
static void stop_spinning(struct rn__m *m) {
    if (!m->spinning) return;
    m->spinning = false;
    if (rn__sub_seq_cst(&rn__sched.nspinning, 1) != 1 || rn__load_seq_cst(&rn__sched.nidle_ps) == 0)
        return;
    const struct rn__p *but = rn__polling() ? m->p : NULL; /* sysmon is there soon, too */
    if (any_work(but) || worth_waking(m->p, (int)rn__runq_length(m->p))) rn__wake_p();
}

/*
 * How long those run that p polls, each. A batch is what it has run from a poll that found some to the next. What most run for
 * counts, not the mean: a thread that the kernel leaves behind for a moment is no reason to wake others, which would make it worse. If many run for
 * long of a sudden sysmon helps until that is learned.
 */
static void learn_turn(struct rn__p *p, rn_time now) {
    uint32_t ran = p->tick - p->batch_tick;
    if (p->batch == 0 || ran == 0) return;
    rn_duration turn = (now - p->batch) / ran;
    if (p->turn == 0)
        p->turn = turn;
    else if (turn < p->turn)
        p->turn -= p->turn / 8;
    else
        p->turn += p->turn / 32 + 25;
    p->batch = 0;
}

/* Poll, unless m has just done so as the keeper. How many goroutines are queued by it. */
static int poll_for_batch(struct rn__m *m) {
    struct rn__p *p = m->p;
    if (m->polled) {
        m->polled = false;
        return 0;
    }
    const struct rn__poll_hooks *polling = rn__polling();
    if (!polling) return 0;
    rn_time now = rn__now();
    learn_turn(p, now);
    int n = poll_for(p, polling, now);
    if (n > 0) {
        p->batch = now;
        p->batch_tick = p->tick;
    }
    return n;
}

/*
 * Who waits in the global queue comes before what is polled: that fills the ring each time when there are more connections than
 * it has room for, and then only the first of the global queue would go on each time.
 */
static struct rn__g *own_then_polled(struct rn__m *m) {
    struct rn__g *g = own(m);
    int left = poll_for_batch(m);
    if (!g && left > 0) {
        g = rn__runq_pick_own(m->p);
        left--;
    }
    if (worth_waking(m->p, left)) rn__wake_others();
    return g;
}

/* NULL: m is to end. */
static struct rn__g *find(struct rn__m *m) {
    for (;;) {
        struct rn__g *g = m->picked;
        m->picked = NULL;
        if (g) return g;
        if (!m->p) {
            if (m->quit) return NULL;
            stop_m(m);
            continue;
        }
        if (!rn__load_relaxed(&rn__sched.stopping)) {
            if (unlikely(m->p->fights || rn__chaos(16)) && (g = give_way(m))) return g;
            g = own_then_polled(m);
            if (!g) g = search(m);
            if (g) return g;
        } else {
            rn__runq_drain(m->p); /* nobody would look at the run-next of an idle P */
        }
        go_idle(m);
    }
}

/* ---- goroutines locked to a thread ---- */

/* m is locked to a goroutine that is not running now: give the P away and wait until it is its turn. */
static struct rn__g *wait_for_locked(struct rn__m *m) {
    struct rn__p *p = m->p;
    if (p) {
        if (m->picked) rn__runq_put(p, m->picked);
        m->picked = NULL;
        rn__handoff(rn__release_p(m));
    }
    stop_locked(m);
    return m->locked_g;
}

/* g is locked to another thread: give it our P. */
static void run_locked(struct rn__m *m, struct rn__g *g) {
    struct rn__m *to = g->locked_m;
    rn__lock_acquire(&rn__sched.lock);
    rn__sched.nlocked_idle--;
    rn__lock_release(&rn__sched.lock);
    to->next_p = rn__release_p(m);
    rn__m_wake(to);
    stop_m(m);
}

void rn__schedule(struct rn__m *m) {
    for (;;) {
        /* Still in the section, so that who revokes a bias finds the one that parked waiting (rn__parked). */
        rn__run_after(m);
        rn__store_release(&m->inside, (uint32_t)RN__SCHED); /* I3: ends a biased section, too */
        if (unlikely(m->quit)) return;
        struct rn__g *g = m->locked_g ? wait_for_locked(m) : find(m);
        if (unlikely(!g)) return;
        stop_spinning(m);
        if (unlikely(g->locked_m && g->locked_m != m)) {
            run_locked(m, g);
            continue;
        }
        note_cpu(m);
        rn__start_running(m, g);
        rn__switch(m, &m->g0, g);
    }
}
