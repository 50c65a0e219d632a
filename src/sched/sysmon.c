/* SPDX-License-Identifier: MIT */
/*
 * sysmon.c: the thread that sees to it that nothing starves. It runs without a P.
 *
 * Every 20 us at first, backing off to 10 ms while there is nothing to do for it (that one which computes has had its slice
 * is no reason to come more often), it looks at each P that has an M. A P whose tick stood still since the last look runs
 * one goroutine. If others wait to run in its place and it runs for 10 ms, or its thread blocks in the kernel (its CPU
 * clock stands still, and the kernel says that it does not just wait for a core), the P is taken and handed to another M;
 * the goroutine goes on without one, and queues for one at its next need (claim.c). Nothing is sent to the thread; it
 * never notices. Where all other Ps are busy, one that blocks loses its P before anybody waits; one that computes keeps it:
 * it may be using it, and who comes is seen within 10 ms.
 *
 * A P that runs one long goroutine while others wait in its queue or the global one, and another P is idle: an M is
 * woken for them, the run-next one too. Likewise where one runs after the other and each for long, in between looks that are further apart,
 * and one waits in run-next: by the CPU time of the thread, and the number of its turns. Who is made ready there goes into the global queue for a
 * while (rn__ready_on), and searchers watch for longer (idle.c): then there is neither a wake-up nor a claim in each turn. Those that talk all the
 * time stay together.
 *
 * Sysmon also runs timers that are due (an M may be too busy to), polls descriptors, trims stacks, and keeps the
 * coarse clock. When all Ps are idle, for longer than a moment, it sleeps: until something runs, or until the next timer if there
 * is no keeper.
 */
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "os/clock.h"
#include "os/futex.h"
#include "sched/core.h"

enum {
    TICK_US = 20,
    TICK_MAX_US = 10000,
    CALM = 50,         /* quiet looks before it backs off */
    LONG_TURN_US = 10, /* to run one goroutine after the other at one P, while another is idle */
    TALK_US = 2,       /* who meets others more often, */
    TALK_MS = 1,       /* for so long, does little else */
    PEACE_MS = 1000,   /* after that */
    HANDOVER_US = 3,   /* longer than who makes another ready and parks takes for it */
    STAYS_US = 100,    /* so long we wait to see who stays in run-next, */
    STAYS_MS = 2,      /* and so often, at most */
    SLICE_MS = 10,     /* after which a P is taken from a goroutine that runs */
    EAGER_MS = 100,    /* how long a P that let others wait wakes others at once */
    TRIM_MS = 200,
    POLL_MS = 10,
    WATCH_US = 200,   /* so often those that run must poll, or there is to be a keeper */
    GLANCE_US = 1000, /* so often we look, at least, while descriptors are waited for */
    DOZE_US = 200,    /* before it sleeps deeply */
    FIRST_LOOK_MS = 10,
    LAST_LOOK_MS = 10000,
};
enum sleep { AWAKE, DEEP, DOZING };

static rn_time last_trim, last_poll, last_watch;
static uint32_t last_polls;

/* CPU time of the thread in ns; -1: it is gone. */
static int64_t cpu_time(struct rn__m *m) {
    clockid_t clock =
        (clockid_t)((~(unsigned)rn__load_relaxed(&m->tid) << 3) |
                    6u); /* the kernel's clock of a thread: CPUCLOCK_SCHED, per thread */
    struct timespec t;
    if (clock_gettime(clock, &t) != 0) return -1;
    return (int64_t)t.tv_sec * RN_SEC + t.tv_nsec;
}

/* Does somebody wait who could run in this P's place? */
static bool wanted(struct rn__p *p) {
    return !rn__runq_empty(p) || rn__load_relaxed(&rn__sched.nglobal) != 0;
}

/* Everything is busy and nobody searches: what becomes ready will want a P at once. */
static bool scarce(void) {
    return rn__load_relaxed(&rn__sched.nidle_ps) == 0 &&
           rn__load_relaxed(&rn__sched.nspinning) == 0;
}

/* Do those that p runs talk to others all the time? Apart they would wait for each other's cache lines. A burst does not count. */
static bool talks(struct rn__p *p, rn_time now) {
    uint32_t meets = rn__load_relaxed(&p->meets);
    rn_duration since = now - p->talk_when;
    if (since < TALK_MS * RN_MS) return false;
    bool much = (rn_duration)(meets - p->talk_meets) * TALK_US * RN_US > since;
    p->talk_when = now;
    p->talk_meets = meets;
    return much;
}

/* Do those that p runs go on for long, each? By the time of the CPU and the number of turns, while its thread is the same. */
static bool turns_are_long(struct rn__p *p, const struct rn__seen *was) {
    const struct rn__seen *is = &p->seen;
    if (is->m == was->m && is->owners == was->owners) {
        p->measured = is->when;
        return is->cpu - was->cpu >= (rn_duration)(is->tick - was->tick) * LONG_TURN_US * RN_US;
    }
    return p->slow && is->when - p->measured < EAGER_MS * RN_MS;
}

/* Notes what p does now, and whether its goroutines are better apart. */
static void look_anew(struct rn__p *p, struct rn__m *m) {
    struct rn__seen was = p->seen;
    rn_time now = rn__now();
    p->seen = (struct rn__seen){m, rn__load_relaxed(&p->tick), rn__load_relaxed(&p->owners), now,
                                cpu_time(m)};
    if (talks(p, now)) {
        p->talked = now;
        rn__store_relaxed(&p->eager, 0u);
    }
    bool peace = now - p->talked < PEACE_MS * RN_MS;
    rn__store_relaxed(&p->slow, turns_are_long(p, &was) && !peace);
}

/* The kernel's word for the state of a thread: R runs or waits for a core, S and D wait for something else. */
static char kernel_state(struct rn__m *m) {
    char path[64], stat[256];
    rn__format(path, sizeof path, "/proc/self/task/%d/stat", rn__load_relaxed(&m->tid));
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 'R';
    ssize_t n = read(fd, stat, sizeof stat - 1);
    close(fd);
    stat[n > 0 ? n : 0] = 0;
    char *end = strrchr(stat, ')'); /* the name before it may contain anything */
    return end && end[1] == ' ' ? end[2] : 'R';
}

/* Blocked in the kernel: its CPU clock stood still since the last look, and not for want of a core. */
static bool blocked(struct rn__p *p, struct rn__m *m) {
    int64_t cpu = cpu_time(m);
    bool still = cpu == p->seen.cpu;
    p->seen.cpu = cpu;
    return still && kernel_state(m) != 'R';
}

static bool retake(struct rn__p *p) {
    struct rn__m *m = rn__claim_p(p, 1);
    if (!m) return false;
    if (rn__load_relaxed(&p->tick) != p->seen.tick || m->g == NULL || m->g->kind != RN__GOROUTINE) {
        rn__unclaim_m(m);
        return false;
    }
    rn__take_p(m);
    rn__handoff(p);
    return true;
}

/* Others wait behind one long goroutine: if a P is idle somebody shall come for them. */
static bool help(struct rn__p *p, rn_time now) {
    if (rn__load_relaxed(&rn__sched.nidle_ps) == 0) return false;
    rn__note_wait(p, now);
    rn__wake_p();
    return true;
}

/* Somebody is in run-next, and that for more than the moment that a hand-over takes, in the next two turns. */
static bool next_stays(struct rn__p *p) {
    rn_time now = rn__now(), since = now, end = now + STAYS_US * RN_US;
    struct rn__g *next = NULL;
    uint32_t first = rn__load_relaxed(&p->tick), tick = first;
    for (; now < end && tick - first <= 2; now = rn__now()) {
        struct rn__g *g = rn__load_relaxed(&p->runnext);
        uint32_t t = rn__load_relaxed(&p->tick);
        if (!g || g != next || t != tick) since = now;
        if (now - since >= HANDOVER_US * RN_US) return true;
        next = g;
        tick = t;
        rn__stand_back(1);
    }
    return false;
}

/* Where turns are long, and a core is idle: does somebody stay in run-next? To see that takes some of the idle core's time. */
static bool lets_wait(struct rn__p *p, rn_time now) {
    static rn_time looked;
    if (!p->slow || rn__load_relaxed(&p->eager) || rn__idle_cores() == 0) return false;
    if (now - looked < STAYS_MS * RN_MS) return false;
    looked = now;
    return next_stays(p);
}

/* True if something was done. */
static bool look_at(struct rn__p *p, rn_time now) {
    struct rn__m *m = rn__load_acquire(&p->m);
    if (now - rn__load_relaxed(&p->helped) > EAGER_MS * RN_MS) rn__store_relaxed(&p->eager, 0u);
    if (!m) return false;
    if (m != p->seen.m || rn__load_relaxed(&p->tick) != p->seen.tick) {
        look_anew(p, m);
        return lets_wait(p, now) && help(p, now);
    }
    if (rn__load_relaxed(&m->inside) == RN__SCHED) return false; /* it looks for work */
    if (rn__chaos(2)) return retake(p);
    bool now_wanted = wanted(p);
    if (now_wanted && help(p, now)) {
        rn__store_relaxed(&rn__sched.stuck, 1u);
        return true;
    }
    if (now_wanted && now - p->seen.when >= SLICE_MS * RN_MS) {
        bool computes = kernel_state(m) == 'R';
        return retake(p) && !computes;
    }
    return (now_wanted || scarce()) && blocked(p, m) && retake(p);
}

/* From another P on each time: what is done for one at a time comes to all. */
static bool look_at_all(rn_time now) {
    static uint32_t from;
    uint32_t n = rn__load_relaxed(&rn__sched.procs);
    bool any = false;
    rn__store_relaxed(&rn__sched.stuck, 0u);
    from++;
    for (uint32_t i = 0; i < n; i++) {
        struct rn__p *p = rn__load_acquire(&rn__sched.ps[(from + i) % n]);
        if (p && look_at(p, now)) any = true;
    }
    return any;
}

/* Of a counter that each P has. */
static uint32_t sum(size_t counter) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < RN__MAX_PROCS; i++) {
        struct rn__p *p = rn__load_acquire(&rn__sched.ps[i]);
        if (!p) break;
        n += rn__load_relaxed((uint32_t *)(void *)((char *)p + counter));
    }
    return n;
}

/* A P is idle, others run, and nobody waits in the poller. */
static bool unwatched(void) {
    return rn__load_seq_cst(&rn__sched.nidle_ps) != 0 && !rn__all_idle() &&
           !rn__load_seq_cst(&rn__sched.keeper);
}

/*
 * Do those that run poll all the time? Then they need no keeper (idle.c). If not, while a P is idle, we wake one that will be the
 * keeper.
 */
static bool they_poll(rn_time now) {
    uint32_t n = sum(offsetof(struct rn__p, polls));
    bool do_they = (rn_duration)(n - last_polls) * WATCH_US * RN_US >= now - last_watch;
    rn__store_relaxed(&rn__sched.they_poll, (uint32_t)do_they);
    last_polls = n;
    last_watch = now;
    return do_they;
}

/* For those that are too busy to. */
static void poll(const struct rn__poll_hooks *polling, rn_time now) {
    bool stopped = now - last_watch >= WATCH_US * RN_US && !they_poll(now) && unwatched();
    if (!stopped && now - last_poll < POLL_MS * RN_MS) return;
    last_poll = now;
    if (polling->poll(0) + rn__poll_neglected(polling, now) > 0 || stopped) rn__wake_p();
}

static void poll_and_trim(rn_time now) {
    const struct rn__poll_hooks *polling = rn__polling();
    if (polling)
        poll(polling, now);
    else
        rn__store_relaxed(&rn__sched.they_poll, 0u);
    if (now - last_trim >= TRIM_MS * RN_MS) {
        rn__stack_trim();
        last_trim = now;
    }
}

/* All slept but for threads that the runtime does not know. Ask again, less and less often. */
static rn_duration patience = FIRST_LOOK_MS * RN_MS;

static void look_for_deadlock(void) {
    if (!rn__all_idle()) {
        rn__store_seq_cst(&rn__sched.look_again, 0u);
        patience = FIRST_LOOK_MS * RN_MS;
        return;
    }
    if (patience < LAST_LOOK_MS * RN_MS) patience *= 2;
    rn__check_dead_again();
}

/*
 * Everything is idle: sleep until a P is taken from the idle ones, or a timer is armed and nobody keeps watch.
 *   sysmon: asleep = DEEP; fence; look at nidle_ps                         the waker: take the P; fence; look at asleep
 *   sysmon: asleep = how; fence; are all idle? then at every heap's first  arming: first = when; look at asleep (K3)
 * Who arms with a P is seen by that, or sees us, as it took its P after we had looked; who arms without one has a fence in between.
 *
 * DOZING is the same for a moment, from which who takes a P does not wake us: where there is a little to do every few microseconds,
 * a wake-up each time would cost more than all else.
 */
static void sleep_as(enum sleep how, rn_duration most) {
    rn__store_seq_cst(&rn__sched.sysmon_asleep, (uint32_t)how);
    rn__fence_seq_cst(); /* K3: pairs with rn__timer_earlier; K2 */
    bool idle = rn__all_idle();
    rn_duration left = most;
    if (!rn__load_seq_cst(&rn__sched.keeper)) {
        if (how == DEEP && rn__polling()) { /* K2: pairs with rn__poll_watched */
            rn__store_seq_cst(&rn__sched.sysmon_asleep, (uint32_t)AWAKE);
            rn__wake_p(); /* somebody must sleep in the poller */
            return;
        }
        rn_time first = rn__first_timer();
        if (first != RN_TIME_MAX) {
            rn_duration due = first - rn__now();
            if (due < 0) due = 0;
            if (left < 0 || due < left) left = due;
        }
    }
    if (idle && left != 0) rn__futex_wait(&rn__sched.sysmon_asleep, (uint32_t)how, left);
    rn__store_seq_cst(&rn__sched.sysmon_asleep, (uint32_t)AWAKE);
}

/* Changes when goroutines run. */
static uint32_t ticks(void) { return sum(offsetof(struct rn__p, tick)); }

/* True: something ran while we dozed. */
static bool sleep_idle(void) {
    uint32_t before = ticks();
    sleep_as(DOZING, DOZE_US * RN_US);
    if (!rn__all_idle() || ticks() != before) return true;
    bool look_again = rn__load_seq_cst(&rn__sched.look_again);
    sleep_as(DEEP, look_again ? patience : -1);
    if (look_again) look_for_deadlock();
    return false;
}

static void wake_from(enum sleep how) {
    if (rn__cas_seq_cst(&rn__sched.sysmon_asleep, (uint32_t)how, (uint32_t)AWAKE))
        rn__futex_wake(&rn__sched.sysmon_asleep, 1);
}

void rn__sysmon_wake(void) {
    if (rn__load_seq_cst(&rn__sched.sysmon_asleep) == DEEP) wake_from(DEEP);
}

void rn__sysmon_call(void) {
    uint32_t how = rn__load_seq_cst(&rn__sched.sysmon_asleep);
    if (how != AWAKE) wake_from(how);
}

/* Not past the next timer, as the Ms may all be busy, nor for long where those that run have to poll. */
static rn_duration bounded(rn_duration d) {
    rn_time first = rn__first_timer();
    if (rn__polling()) {
        bool some_idle = rn__load_relaxed(&rn__sched.nidle_ps) != 0;
        rn_duration most = (some_idle ? WATCH_US : GLANCE_US) * RN_US;
        if (d > most) d = most;
    }
    if (first == RN_TIME_MAX) return d;
    rn_duration left = first - rn__now();
    return left < TICK_US * RN_US ? TICK_US * RN_US : left < d ? left : d;
}

static void *sysmon(void *arg) {
    rn__tls_m = arg;
    rn__tls_m->inside = RN__SCHED;
    rn__store_relaxed(&rn__sched.sysmon_tid, (uint32_t)syscall(SYS_gettid));
    int quiet = 0;
    rn_duration delay = TICK_US * RN_US;
    for (;;) {
        rn__nap(bounded(delay));
        if (rn__all_idle() && !rn__sysmon_hook && !rn__stack_surplus()) {
            bool dozed = sleep_idle();
            if (!dozed || !rn__load_seq_cst(&rn__sched.keeper)) quiet = 0;
        }
        rn_time now = rn__now(); /* after all sleeping */
        rn__store_relaxed(&rn__sched.coarse_now, now);
        if (rn__sysmon_hook) rn__sysmon_hook(now);
        rn__run_timers();
        poll_and_trim(now);
        if (look_at_all(now))
            quiet = 0;
        else
            quiet++;
        if (quiet == 0 || rn__chaos(1))
            delay = TICK_US * RN_US;
        else if (quiet > CALM && delay < TICK_MAX_US * RN_US)
            delay *= 2;
    }
    return NULL;
}

void rn__sysmon_start(void) {
    struct rn__m *m = rn__m_new();
    pthread_attr_t a;
    sigset_t all, old;
    if (!m) rn__fatal("runtime: out of memory");
    sigfillset(&all);
    pthread_attr_init(&a);
    pthread_attr_setdetachstate(&a, PTHREAD_CREATE_DETACHED);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int r = pthread_create(&m->thread, &a, sysmon, m);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&a);
    if (r != 0) rn__fatal("runtime: failed to create new OS thread");
}
