/* SPDX-License-Identifier: MIT */
/*
 * leaks.c: goroutines that can never run again.
 *
 * A goroutine that is parked is woken by somebody who has a pointer to what it waits for. So the question is that of a
 * garbage collector, and it is answered like one: what can be reached from those who can run? A parked goroutine's stack is
 * no root, but an object like any other: it is reached when what it waits for is, for then it can run.
 *
 * Roots: global data, thread-local data, stacks of threads, the stacks of goroutines that run, may run, sleep or wait
 * for a descriptor, armed timers, all other writable memory but malloc's. Any aligned word that looks like an address is one.
 * From there: through malloc's blocks (heap.h), to channels; from a channel to those that wait in it (its queues point into
 * their stacks), and on through their stacks. Who waits for a mutex, a wait group, ... is in a table by address, which is left out:
 * it can run if the primitive's block, or the stack that it lies on, is reached; in global data it always can.
 *
 * Not looked at, as what is there is of the past: stacks below their pointer; what the runtime itself
 * keeps (Ms, Ps but for their timers, the threads' own stacks, the last arguments of rn_go); free blocks.
 *
 * Sound, as everything that can wake somebody holds an address of what he waits for: in memory, or in a
 * register. To see registers, and so that no pointer moves behind our back, all threads are held by a
 * signal (SIGURG, if the program does not use it) while we look. Not sound where addresses are hidden: in a file, xored,
 * at odd places, in memory that is not mapped writable; in a register of a thread that blocks SIGURG.
 */
#include <runnel/debug.h>

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "chan/chan.h"
#include "interrupted.h"
#include "inspect/heap.h"
#include "inspect/inspect.h"
#include "inspect/print.h"
#include "os/clock.h"
#include "os/pages.h"
#include "os/threads.h"

void rn__sema_memory(char **lo,
                     char **hi); /* sync/sema.h, whose waiters have the name of the channels' */

enum {
    MOST_EXCLUDED = 8192,
    MOST_STACKS = 512, /* stack.c: 17 classes of at most 24 chunks */
    RED_ZONE = 128,
    SAVED = 16,
    ARRIVAL_MS = 200,
    NEAR = 32768,
    LARGE = 1 << 20
};

/* All of a look, under rn__dump_lock; itself left out of it. */
static struct {
    struct rn__ctx ctx; /* of the caller */
    struct rn__memory mem;
    struct rn__snapshot s;
    struct rn__range excluded[MOST_EXCLUDED]; /* sorted */
    size_t nexcluded;
    struct rn__range stacks[MOST_STACKS]; /* the goroutines' */
    size_t nstacks;
    uint32_t *blocks; /* reached, to be scanned */
    size_t nblocks;
    struct rn__g **gs;
    size_t ngs;
    void *work;
    size_t work_size;
    uint32_t epoch; /* g->reached == epoch: in this look */
    uintptr_t stacks_lo, stacks_hi;
    struct rn__g *self;
    uintptr_t frame; /* below it the caller's stack is ours */
    int result;
    struct rn__out out;
    int fd;
} look;

/* ---- what is left out ---- */

static void exclude(void *lo, void *hi, void *unused) {
    (void)unused;
    if (lo >= hi || look.nexcluded == MOST_EXCLUDED) return; /* too many: some will be missed */
    size_t i = look.nexcluded++;
    for (; i > 0 && look.excluded[i - 1].lo > (uintptr_t)lo; i--)
        look.excluded[i] = look.excluded[i - 1];
    look.excluded[i] = (struct rn__range){(uintptr_t)lo, (uintptr_t)hi};
}

static void exclude_stacks(char *lo, char *hi, void *unused) {
    exclude(lo, hi, unused);
    if ((uintptr_t)lo < look.stacks_lo) look.stacks_lo = (uintptr_t)lo;
    if ((uintptr_t)hi > look.stacks_hi) look.stacks_hi = (uintptr_t)hi;
}

/* The stack for signals holds registers of long ago, but for those of a thread that is held. */
static void exclude_signal_stack(struct rn__m *m) {
    char *lo, *hi;
    rn__signal_stack_range(m, &lo, &hi);
    exclude(lo, m->held_at > lo && m->held_at < hi ? m->held_at : hi, NULL);
}

static void exclude_thread(struct rn__m *m) {
    exclude_signal_stack(m);
    if (m->g) exclude(m->go_regs, (char *)m->go_regs + sizeof(struct rn__regs), NULL);
    exclude(m, m + 1, NULL);
    if (m->claim == RN__FOREIGN) {
        uintptr_t below = m->blocked ? (uintptr_t)m->self.ctx.sp - RED_ZONE : 0;
        if (look.self == &m->self) below = look.frame;
        if (m->g && below) exclude(m->self.lo, (void *)below, NULL);
    } else if (m->g && m->g0.lo) {
        exclude(m->g0.lo, m->g0.hi, NULL);
    }
}

/* A P but for its timers. */
static void exclude_p(struct rn__p *p) {
    exclude(p, &p->timers, NULL);
    exclude(&p->timers + 1, p + 1, NULL);
}

static void exclude_all(void) {
    char *lo, *hi;
    look.nexcluded = 0;
    look.stacks_lo = UINTPTR_MAX;
    look.stacks_hi = 0;
    rn__stack_ranges(exclude_stacks, NULL);
    look.nstacks = look.nexcluded;
    memcpy(look.stacks, look.excluded, look.nstacks * sizeof look.stacks[0]);
    for (struct rn__m *m = rn__load_acquire(&rn__sched.all_ms); m; m = m->all_next)
        exclude_thread(m);
    for (uint32_t i = 0; i < RN__MAX_PROCS && rn__sched.ps[i]; i++) exclude_p(rn__sched.ps[i]);
    rn__sema_memory(&lo, &hi);
    exclude(lo, hi, NULL);
    rn__hop_memory(&lo, &hi);
    exclude(lo, hi, NULL);
    exclude(&look, &look + 1, NULL);
}

/* ---- marking ---- */

static void reach_g(struct rn__g *g) {
    if (g->reached == look.epoch) return;
    g->reached = look.epoch;
    look.gs[look.ngs++] = g;
}

static bool parked(const struct rn__g *g) { return g->state == RN__WAITING; }
static bool living(const struct rn__g *g) {
    return g->state == RN__RUNNABLE || g->state == RN__RUNNING || parked(g);
}

static void reach_stack(uintptr_t word) {
    bool guard = false;
    struct rn__g *g = rn__stack_find((void *)word, &guard);
    if (!g || guard || !living(g) || word >= (uintptr_t)g->hi) return;
    if (parked(g) && word < (uintptr_t)g->ctx.sp - RED_ZONE) return; /* of the past */
    reach_g(g);
}

static void reach(uintptr_t word) {
    if (word >= look.stacks_lo && word < look.stacks_hi) {
        reach_stack(word);
        return;
    }
    ptrdiff_t i = rn__memory_find(&look.mem, word);
    if (i < 0 || look.mem.mark[i]) return;
    look.mem.mark[i] = RN__REACHED;
    look.blocks[look.nblocks++] = (uint32_t)i;
}

static void scan_words(uintptr_t lo, uintptr_t hi, void *unused) {
    (void)unused;
    const uintptr_t *w = (const uintptr_t *)((lo + sizeof *w - 1) & ~(sizeof *w - 1));
    for (; (uintptr_t)(w + 1) <= hi; w++) reach(*(const volatile uintptr_t *)w);
}

static void scan_piece(uintptr_t lo, uintptr_t hi) {
    if (hi - lo > LARGE)
        rn__memory_present(&look.mem, lo, hi, scan_words, NULL);
    else
        scan_words(lo, hi, NULL);
}

static size_t first_excluded_after(uintptr_t lo) {
    size_t a = 0, b = look.nexcluded;
    while (a < b) {
        size_t mid = a + (b - a) / 2;
        if (look.excluded[mid].lo <= lo)
            a = mid + 1;
        else
            b = mid;
    }
    return a;
}

/* All of [lo, hi) that is not excluded. The excluded ranges may overlap. */
static void scan(uintptr_t lo, uintptr_t hi, void (*piece)(uintptr_t, uintptr_t)) {
    size_t i = first_excluded_after(lo);
    for (size_t k = i; k-- > 0 && k + 4 > i;) /* the few before: one may reach into it */
        if (look.excluded[k].hi > lo) lo = look.excluded[k].hi;
    while (lo < hi) {
        uintptr_t stop = i < look.nexcluded && look.excluded[i].lo < hi ? look.excluded[i].lo : hi;
        if (lo < stop) piece(lo, stop);
        lo = stop;
        if (i < look.nexcluded && stop != hi) {
            if (look.excluded[i].hi > lo) lo = look.excluded[i].hi;
            i++;
        }
    }
}

static void scan_present(uintptr_t lo, uintptr_t hi) {
    rn__memory_present(&look.mem, lo, hi, scan_words, NULL);
}

/* The stack of a goroutine that can run, and what else belongs to it. */
static void scan_g(struct rn__g *g) {
    uintptr_t lo = (uintptr_t)g->lo, hi = (uintptr_t)g->hi;
    uintptr_t sp = (uintptr_t)(g->state != RN__RUNNING ? g->ctx.sp : g->m ? g->m->held_sp : NULL);
    if (g == look.self)
        lo = look.frame;
    else if (sp - RED_ZONE > lo && sp < hi)
        lo = sp - RED_ZONE;
    scan_present(lo, hi);
    reach((uintptr_t)g->defers);
    reach((uintptr_t)g->eh[0]);
}

static void scan_reached(void) {
    while (look.ngs > 0 || look.nblocks > 0) {
        while (look.ngs > 0) scan_g(look.gs[--look.ngs]);
        if (look.nblocks > 0) {
            struct rn__range r = rn__memory_block(&look.mem, look.blocks[--look.nblocks]);
            scan(r.lo, r.hi, scan_piece);
        }
    }
}

/* ---- who can run ---- */

/* Can somebody who runs come to this address? */
static bool can_reach(void *on) {
    bool guard;
    uintptr_t a = (uintptr_t)on;
    struct rn__g *g = a >= look.stacks_lo && a < look.stacks_hi ? rn__stack_find(on, &guard) : NULL;
    if (g) return g->reached == look.epoch;
    ptrdiff_t i = rn__memory_find(&look.mem, a);
    return i < 0 || look.mem.mark[i] == RN__REACHED;
}

static bool can_be_woken(const struct rn__rec *r) {
    switch ((enum rn__reason)r->reason) {
    case RN__WAIT_SEND_NIL:
    case RN__WAIT_RECV_NIL:
    case RN__WAIT_SELECT_NONE: return false;
    case RN__WAIT_SELECT:
        if (rn__select_timed(r->on)) return true;
        for (uint32_t i = 0; i < rn__select_nchans(r->on); i++)
            if (can_reach(rn__select_chan(r->on, i))) return true;
        return false;
    case RN__WAIT_NONE:
    case RN__WAIT_SLEEP:
    case RN__WAIT_IO: return true;
    default: return !r->on || can_reach(r->on);
    }
}

static bool reach_more(void) {
    bool more = false;
    for (uint32_t i = 0; i < look.s.n; i++) {
        struct rn__rec *r = &look.s.recs[i];
        if (r->thread || r->g->reached == look.epoch) continue;
        if (r->state == RN__WAITING && !can_be_woken(r)) continue;
        reach_g(r->g);
        more = true;
    }
    return more;
}

static void mark_all(void) {
    look.epoch++;
    look.ngs = look.nblocks = 0;
    for (size_t i = 0; i < look.mem.nroots; i++)
        scan(look.mem.root[i].lo, look.mem.root[i].hi, scan_present);
    for (uint32_t i = 0; i < RN__MAX_PROCS && rn__sched.ps[i]; i++) {
        struct rn__timers *t = &rn__sched.ps[i]->timers;
        scan_words((uintptr_t)t, (uintptr_t)(t + 1), NULL);
    }
    do scan_reached();
    while (reach_more());
    look.result = 0;
    for (uint32_t i = 0; i < look.s.n; i++) {
        struct rn__rec *r = &look.s.recs[i];
        r->stuck = !r->thread && r->g->reached != look.epoch;
        look.result += r->stuck;
    }
}

/* ---- holding the threads that run ---- */

static uint32_t holding, arrived, gone; /* atomic */
static struct sigaction before;

/* Our registers are on the signal's stack by now: the thread's alternate one, or the one interrupted, on top. */
static void on_hold(int sig, siginfo_t *info, void *context) {
    (void)sig, (void)info;
    int saved = errno;
    struct rn__m *m = rn__arch_tls_m();
    char *sp = rn__arch_signal_sp(context), *here = __builtin_frame_address(0);
    if (m != &rn__nobody) {
        m->held_sp = here < sp && sp - here < NEAR ? here : sp;
        m->held_at = here;
    }
    rn__add_seq_cst(&arrived, 1u);
    while (rn__load_seq_cst(&holding)) rn__nap(200 * RN_US);
    rn__add_seq_cst(&gone, 1u);
    errno = saved;
}

/* One of ours that looks for work: it has nothing of the user's. */
static bool idles(int tid) {
    for (struct rn__m *m = rn__load_acquire(&rn__sched.all_ms); m; m = m->all_next)
        if (m->tid == tid && m->g == &m->g0) return true;
    return false;
}

static void hold_one(int tid, uint64_t blocked, char state, void *sent) {
    (void)state;
    if (blocked >> (SIGURG - 1) & 1 || idles(tid)) return;
    if (syscall(SYS_tgkill, getpid(), tid, SIGURG) == 0) ++*(uint32_t *)sent;
}

static void hold(void) {
    rn__store_seq_cst(&arrived, 0u);
    rn__store_seq_cst(&gone, 0u);
    struct sigaction a = {.sa_sigaction = on_hold,
                          .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
    sigemptyset(&a.sa_mask);
    if (sigaction(SIGURG, NULL, &before) != 0 || before.sa_flags & SA_SIGINFO) return;
    if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) return; /* in use */
    for (struct rn__m *m = rn__load_acquire(&rn__sched.all_ms); m; m = m->all_next)
        m->held_sp = m->held_at = NULL;
    rn__store_seq_cst(&holding, 1u);
    sigaction(SIGURG, &a, NULL);
    uint32_t sent = 0;
    rn__threads_each((int)syscall(SYS_gettid), hold_one, &sent);
    for (int i = 0; i < ARRIVAL_MS * 10 && rn__load_seq_cst(&arrived) < sent; i++)
        rn__nap(100 * RN_US);
}

static void let_go(void) {
    if (!rn__load_seq_cst(&holding)) return;
    rn__store_seq_cst(&holding, 0u);
    sigaction(SIGURG, &before, NULL); /* who comes later is not held, and ignores it */
    while (rn__load_seq_cst(&gone) < rn__load_seq_cst(&arrived)) rn__nap(50 * RN_US);
}

/* ---- a look ---- */

static bool reserve_work(void) {
    size_t blocks = look.mem.nblocks * sizeof *look.blocks + 64;
    look.work_size = blocks + (look.s.n + 64) * sizeof *look.gs;
    look.work = rn__pages_reserve(look.work_size);
    if (!look.work) return false;
    look.gs = look.work;
    look.blocks = (void *)(look.gs + look.s.n + 64);
    return true;
}

/* On our own stack, the world standing still. */
static void look_now(void *unused) {
    (void)unused;
    look.result = -ENOMEM;
    if (!rn__collect(&look.s, &look.ctx, NULL)) return;
    hold();
    exclude_all();
    int r = rn__memory_look(&look.mem, look.stacks, look.nstacks);
    if (r == 0) {
        exclude(look.s.memory, (char *)look.s.memory + look.s.memory_size, NULL);
        if (reserve_work()) {
            mark_all();
            rn__pages_release(look.work, look.work_size);
        }
        rn__memory_done(&look.mem);
    } else {
        look.result = r;
    }
    let_go();
}

static void print(void *unused) {
    (void)unused;
    rn__out_begin(&look.out, look.fd);
    rn__out_format(&look.out, "runnel: %d goroutine%s can never run again:\n", look.result,
                   look.result == 1 ? "" : "s");
    rn__print_stuck(&look.out, &look.s);
    rn__out_flush(&look.out);
}

static RN_NOINLINE int find(int fd, void *frame) {
    struct rn__ctx unused;
    struct rn__g *self = rn__self();
    if (rn__sanitized) return -ENOTSUP;
    rn__dump_lock();
    look.mem.freed = rn__memory_freed_mark();
    look.self = self;
    look.frame = (uintptr_t)frame;
    look.fd = fd;
    rn__world_stop();
    rn__hop(RN__HOP_DUMP, &look.ctx, look_now, NULL);
    rn__world_start();
    int r = look.result;
    if (r > 0 && fd >= 0) rn__hop(RN__HOP_DUMP, &unused, print, NULL);
    if (look.s.memory) rn__collect_free(&look.s);
    look.s.memory = NULL;
    rn__dump_unlock();
    return r;
}

/* A small frame, that holds what registers the caller may still need: the stack is looked at from here on. */
RN_NOINLINE int rn_leaks(int fd) {
    void *saved[SAVED];
    rn__spill(saved);
    int r = find(fd, saved);
    __asm__ volatile("" : : "r"(saved) : "memory");
    return r;
}

/* ---- RUNNEL_DEBUG=leaks=1 ---- */

static void at_run_end(void) {
    if (rn_leaks(STDERR_FILENO) < 0)
        rn__print(STDERR_FILENO, "runnel: leaks: not supported here\n");
}

void rn__leaks_start(void) {
    if (rn__debug.leaks) rn__run_end_hook = at_run_end;
}
