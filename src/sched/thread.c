/* SPDX-License-Identifier: MIT */
/*
 * thread.c: OS threads: those of ours, that run goroutines, and plain ones that use the runtime.
 *
 * A plain thread gets an M of the kind FOREIGN at its first use: without a P for ever, with a G that stands
 * for the thread in wait queues. It waits in the kernel. When the thread ends, the M is kept for the next.
 *
 * Deadlock: somebody is in rn_run, all our threads are asleep, no timer is armed, nobody waits for a
 * descriptor, and every other thread of the process is blocked in the runtime. One that is elsewhere may still come in,
 * whether it has used the runtime before or not (os/threads.h). Those that make ready a plain thread
 * count it as outside before they wake it, so that it is never taken for asleep.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/futex.h"
#include "os/threads.h"
#include "sched/core.h"
#include "sched/panic.h"

enum { M_STACK = 256 * 1024, SURE = 3 };

struct rn__m rn__nobody = {.claim = RN__FOREIGN};

static pthread_key_t leaving; /* its destructor runs when a plain thread ends */

/* ---- Ms ---- */

static struct rn__m *m_recycled(void) {
    rn__lock_acquire(&rn__sched.lock);
    struct rn__m *m = rn__sched.free_ms;
    if (m) rn__sched.free_ms = m->free_next;
    rn__lock_release(&rn__sched.lock);
    return m;
}

static struct rn__m *m_fresh(void) {
    struct rn__m *m = aligned_alloc(RN_CACHE_LINE, sizeof *m);
    if (!m) return NULL;
    memset(m, 0, sizeof *m);
    rn__lock_acquire(&rn__sched.lock);
    m->all_next = rn__sched.all_ms;
    rn__store_release(&rn__sched.all_ms, m);
    rn__lock_release(&rn__sched.lock);
    return m;
}

/*
 * A record that is never given back to malloc, as others may glance at its tid, inside and claim any time, even for the sake of who had
 * it before: these are stored to relaxed. NULL: no memory.
 */
struct rn__m *rn__m_new(void) {
    struct rn__m *m = m_recycled();
    if (!m) m = m_fresh();
    if (!m) return NULL;
    m->random = rn__add_relaxed(&rn__sched.next_goid, 0) * 7919 + (uint64_t)(uintptr_t)m;
    m->g0.kind = RN__G0;
    m->g = &m->g0;
    return m;
}

static void m_free(struct rn__m *m) {
    m->g = NULL;
    rn__lock_acquire(&rn__sched.lock);
    m->free_next = rn__sched.free_ms;
    rn__sched.free_ms = m;
    rn__lock_release(&rn__sched.lock);
}

extern void *__cxa_get_globals(void) RN_WEAK;

extern __thread struct rn__regs rn__go_regs
    __attribute__((tls_model("initial-exec"), visibility("hidden")));

/* What every thread in the runtime has of its own. */
static void adopt(struct rn__m *m) {
    rn__tls_m = m;
    m->go_regs = &rn__go_regs;
    rn__store_relaxed(&m->tid,
                      (int)syscall(SYS_gettid)); /* sysmon may still look at who had it before */
    m->thread = pthread_self();
    m->eh = __cxa_get_globals ? __cxa_get_globals() : NULL;
    /*
     * Goroutines that run on one thread one after the other use its errno; TSan, told nothing of their order, would
     * take that for a race.
     */
    if (AnnotateBenignRaceSized)
        AnnotateBenignRaceSized(__FILE__, __LINE__, &errno, sizeof errno, "errno");
}

static void stack_bounds(struct rn__g *g) {
    pthread_attr_t a;
    void *lo = NULL;
    size_t size = 0;
    if (pthread_getattr_np(pthread_self(), &a) == 0) {
        pthread_attr_getstack(&a, &lo, &size);
        pthread_attr_destroy(&a);
    }
    g->lo = lo;
    g->hi = (char *)lo + size;
    g->asan_bottom = lo;
    g->asan_size = size;
    g->tsan_fiber = __tsan_get_current_fiber ? __tsan_get_current_fiber() : NULL;
}

/* ---- our threads ---- */

static void count_out(void) {
    rn__lock_acquire(&rn__sched.lock);
    rn__sched.nms--;
    rn__check_dead();
    rn__lock_release(&rn__sched.lock);
}

static void leave(struct rn__m *m) { /* m is neither the keeper nor in a list, and may have a P */
    if (m->picked) rn__runq_put(m->p, m->picked);
    m->picked = NULL;
    if (m->p) rn__handoff(rn__release_p(m));
    m->locked_g = NULL;
    m->quit = false;
    rn__tls_m = &rn__nobody;
    rn__signal_stack_drop(m);
    m_free(m);
    count_out();
}

/*
 * It ends by returning: pthread_exit unwinds, and aborts in a static program that is just calling exit on another
 * thread (which deregisters the tables) or in a dynamic one that finds no libgcc_s.
 */
static void *m_main(void *arg) {
    struct rn__m *m = arg;
    adopt(m);
    rn__store_relaxed(&m->inside, (uint32_t)RN__SCHED);
    stack_bounds(&m->g0);
    m->g0.hi = __builtin_frame_address(0); /* above are the thread's local variables */
    rn__signal_stack(m);
    struct rn__p *p = m->next_p;
    m->next_p = NULL;
    rn__acquire_p(m, p);
    rn__schedule(m);
    leave(m);
    return NULL;
}

static int create(struct rn__m *m) {
    pthread_attr_t a;
    sigset_t old;
    pthread_attr_init(&a);
    pthread_attr_setstacksize(&a, M_STACK);
    pthread_attr_setdetachstate(&a, PTHREAD_CREATE_DETACHED);
    pthread_sigmask(SIG_SETMASK, &rn__sched.mask, &old);
    int r = pthread_create(&m->thread, &a, m_main, m);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&a);
    return -r;
}

static RN_COLD void too_many(void) {
    rn__print(STDERR_FILENO, "runtime: program exceeds %u-thread limit\n", rn__sched.max_threads);
    rn__fatal("thread exhaustion");
}

static bool count_in(void) {
    rn__lock_acquire(&rn__sched.lock);
    bool ok = rn__sched.nms < rn__sched.max_threads;
    if (ok) rn__sched.nms++;
    rn__lock_release(&rn__sched.lock);
    return ok;
}

int rn__thread_create(struct rn__p *p, bool spinning) {
    if (!count_in()) {
        /* Those that block will come back for a P; only with the default limit it is a runaway program. */
        if (rn__sched.max_threads >= RN__MAX_THREADS) too_many();
        return -EAGAIN;
    }
    struct rn__m *m = rn__m_new();
    if (m) {
        rn__store_relaxed(&m->claim, (uint32_t)RN__FREE);
        m->next_p = p;
        m->spinning = spinning;
        int r = create(m);
        if (r == 0) return 0;
        m->next_p = NULL;
        m->spinning = false;
        m_free(m);
    }
    rn__lock_acquire(&rn__sched.lock);
    bool none = --rn__sched.nms == 0;
    rn__lock_release(&rn__sched.lock);
    if (none) rn__fatal("runtime: failed to create new OS thread");
    return -EAGAIN;
}

/* ---- plain threads ---- */

static void leave_runtime(void *arg) {
    struct rn__m *m = arg;
    rn__tls_m = &rn__nobody;
    rn__store_release(&m->inside, (uint32_t)RN__OUTSIDE); /* it may have ended inside */
    rn__lock_acquire(&rn__sched.lock);
    rn__sched.foreign_outside--;
    rn__check_dead();
    rn__lock_release(&rn__sched.lock);
    m_free(m);
}

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void start_once(void) {
    if (pthread_key_create(&leaving, leave_runtime) != 0) rn__fatal("runtime: no thread key");
    rn__start();
}

struct rn__m *rn__thread_register(void) {
    pthread_once(&once, start_once);
    struct rn__m *m = rn__m_new();
    if (!m) rn__fatal("runtime: out of memory for a thread");
    rn__store_relaxed(&m->claim, (uint32_t)RN__FOREIGN);
    m->self.kind = RN__THREAD;
    m->self.state = RN__RUNNING;
    m->self.m = m;
    rn__g_begin(&m->self);
    stack_bounds(&m->self);
    m->g = &m->self;
    rn__lock_acquire(&rn__sched.lock);
    rn__sched.foreign_outside++;
    rn__lock_release(&rn__sched.lock);
    pthread_setspecific(leaving, m);
    adopt(m);
    m->eh = NULL; /* it never switches */
    return m;
}

/* False: it was made ready before it could sleep. */
static bool blocked(struct rn__m *m, struct rn__g *g) {
    rn__lock_acquire(&rn__sched.lock);
    bool sleeps = g->sleep == 0;
    if (sleeps) {
        m->blocked = true;
        rn__sched.foreign_outside--;
        rn__sched.foreign_blocked++;
        rn__check_dead();
    }
    rn__lock_release(&rn__sched.lock);
    return sleeps;
}

/*
 * g->sleep goes 0 -> 1 under sched.lock when the thread is made ready, which may come before it parks, and
 * back to 0 when it goes on. The unlock comes first, as it may find that the wait is over (src/sync) and make
 * the thread ready itself: counted as blocked before, the thread could be taken for the last one asleep.
 */
void rn__thread_park(struct rn__m *m, struct rn__g *g, void (*unlock)(void *), void *arg) {
    rn__arch_switch(&g->ctx, &g->ctx); /* to here: observers read our stack from here on */
    g->state = RN__WAITING;
    if (unlock) unlock(arg);
    bool sleeps = blocked(m, g);
    while (sleeps && rn__load_acquire(&g->sleep) == 0) /* F1: pairs with F2 */
        rn__futex_wait(&g->sleep, 0, -1);
    rn__store_relaxed(&g->sleep, 0u);
    g->state = RN__RUNNING;
}

void rn__thread_ready(struct rn__g *g) {
    struct rn__m *m = g->m;
    rn__lock_acquire(&rn__sched.lock);
    if (m->blocked) {
        m->blocked = false;
        rn__sched.foreign_blocked--;
        rn__sched.foreign_outside++;
    }
    rn__store_release(&g->sleep, 1u); /* F2 */
    rn__lock_release(&rn__sched.lock);
    rn__futex_wake(&g->sleep, 1);
}

/* ---- deadlock ---- */

static RN_COLD void dead(void) {
    if (rn__sched.main_exited && rn_goroutines() == 0)
        rn__print(STDERR_FILENO,
                  "fatal error: no goroutines (main called rn_goexit) - deadlock!\n");
    else
        rn__print(STDERR_FILENO, "fatal error: all goroutines are asleep - deadlock!\n");
    rn__report(STDERR_FILENO, true);
    _exit(2);
}

/* Threads that we know nothing of yet may come in and wake somebody. Is it so? In doubt, yes. */
static bool strangers(struct rn__sched *s, bool sysmon) {
    struct rn__threads t = rn__threads_count((int)rn__load_relaxed(&s->sysmon_tid));
    size_t known = s->nms + s->foreign_blocked;
    if (t.all <= known) return false;
    if (t.all - t.service > known || !sysmon)
        s->looks = 0;
    else
        s->looks++;
    return s->looks < SURE;
}

static void check_dead(bool sysmon) {
    struct rn__sched *s = &rn__sched;
    if (s->nms != s->nidle_ms + s->nlocked_idle || s->nglobal != 0) return;
    if (s->in_run == 0 || s->foreign_outside != 0) return;
    if (rn__load_seq_cst(&s->outsiders) != 0 || rn__first_timer() != RN_TIME_MAX) return;
    if (rn__polling()) return;
    /* A P that is neither an M's nor idle is in sysmon's hands, on its way to an M, with what is in its queue. */
    if (rn__all_idle() && !strangers(s, sysmon)) dead();
    rn__store_seq_cst(&s->look_again,
                      1u); /* they may end, and nobody tells us: sysmon asks again */
    rn__sysmon_call();
}

void rn__check_dead(void) { check_dead(false); }

void rn__check_dead_again(void) {
    rn__lock_acquire(&rn__sched.lock);
    rn__store_seq_cst(&rn__sched.look_again, 0u);
    check_dead(true);
    rn__lock_release(&rn__sched.lock);
}

/* ---- rn_run ---- */

struct run {
    int (*fn)(void *);
    void *arg;
    int result;
    struct rn__g *caller;
};

static void run_main(void *arg) {
    struct run *r = arg;
    r->result = r->fn(r->arg);
    rn__run_defers(); /* before rn_run returns, not after */
    rn__in();
    rn__san_release(r);
    rn__ready(r->caller);
    rn__out();
}

bool rn__is_main(struct rn__g *g) { return g->fn == (void (*)(void))run_main; }

static void count_runs(int d) {
    rn__lock_acquire(&rn__sched.lock);
    rn__sched.in_run += (uint32_t)d;
    rn__lock_release(&rn__sched.lock);
}

int rn_run(int (*fn)(void *), void *arg) {
    if (rn_goid() != 0) rn__panic("rn_run called from a goroutine");
    rn__in();
    struct run r = {fn, arg, 0, rn__self()};
    if (rn__spawn_call(run_main, &r) != 0)
        rn__fatal("runtime: out of memory for the main goroutine");
    count_runs(1);
    rn__park(RN__WAIT_NONE, NULL, NULL, NULL);
    count_runs(-1);
    rn__san_acquire(&r);
    rn__out();
    if (rn__run_end_hook) rn__run_end_hook();
    return r.result;
}
