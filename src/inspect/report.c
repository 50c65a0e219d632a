/* SPDX-License-Identifier: MIT */
/*
 * report.c: what is added to the last words of a program: stacks. Called by rn__report (base/die.h) on any
 * thread, in signal handlers too, with any lock held. So: no lock, no malloc, no stdio, a stack of its own.
 *
 * Nothing here may hang or crash the report:
 *  - one thread reports; another that wants to waits a while, as the program is about to end, then goes on without;
 *  - a fault while reading a stack gives up that stack only; one anywhere else ends the report;
 *  - an alarm rings when the report does not come along (it waits for the dynamic linker's lock, say): first it goes
 *    on without symbols, then it ends. The time spent in write(2) does not count: who reads may be slow.
 */
#include <runnel/debug.h>

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "inspect/inspect.h"
#include "inspect/print.h"
#include "inspect/symbol.h"
#include "os/clock.h"

enum {
    PATIENCE_S = 10,
    OTHERS_WAIT_MS = 30000,
    FAULTS = 100,
    ANSWER_MS = 100,
    MOST_UNANSWERED = 10
};

static int reporter; /* the thread that reports; 0: none. atomic */
static int recursion;
static volatile sig_atomic_t recoverable; /* there is a place to jump to */
static sigjmp_buf place;
static int faults, alarms;

static int self_tid(void) { return (int)syscall(SYS_gettid); }

/* ---- trouble ---- */

static void __attribute__((noreturn)) give_up(const char *why) {
    rn__print(STDERR_FILENO, "\nrunnel: the report ends here: %s\n", why);
    signal(SIGABRT, SIG_DFL);
    abort();
}

static void wait_for_end(void) {
    for (;;) pause();
}

static void on_trouble(int sig) {
    if (self_tid() != rn__load_relaxed(&reporter)) {
        if (sig != SIGALRM) wait_for_end(); /* a crash of another thread: too late to matter */
        syscall(SYS_tgkill, getpid(), rn__load_relaxed(&reporter), SIGALRM);
        return;
    }
    if (sig == SIGALRM) {
        if (alarms++ > 0) give_up("it takes too long");
        rn__symbol_give_up();
    } else if (faults++ > FAULTS) {
        give_up("too many faults");
    }
    alarm(PATIENCE_S);
    if (recoverable) siglongjmp(place, 1);
    if (sig != SIGALRM) give_up("a fault in it");
}

static void set_traps(void) {
    struct sigaction a = {.sa_handler = on_trouble, .sa_flags = SA_NODEFER};
    static const int sigs[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGALRM};
    sigset_t set;
    sigemptyset(&a.sa_mask);
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof sigs / sizeof sigs[0]; i++) {
        sigaction(sigs[i], &a, NULL);
        sigaddset(&set, sigs[i]);
    }
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    alarm(PATIENCE_S);
}

static void writing(bool begins) { alarm(begins ? 0 : PATIENCE_S); }

/* Call fn(arg); false: it faulted or took too long. */
static bool guard(void (*fn)(void *), void *arg) {
    static unsigned calls;
    if (++calls % 1024 == 0) alarm(PATIENCE_S); /* it comes along */
    if (sigsetjmp(place, 0) != 0) {
        recoverable = 0;
        return false;
    }
    recoverable = 1;
    fn(arg);
    recoverable = 0;
    return true;
}

/* ---- the report ---- */

struct report {
    struct rn__ctx ctx; /* of the caller */
    struct rn__out out;
    bool about_all;
};
static struct report the_report;

struct own {
    struct report *r;
    struct rn__stack_pcs pcs;
};

static void read_own(void *arg) {
    struct own *o = arg;
    rn__unwind(&o->r->ctx, &o->pcs);
}

static void print_own(void *arg) {
    struct own *o = arg;
    rn__print_stack(&o->r->out, &o->pcs);
}

static void guarded_print(struct rn__out *out, void (*fn)(void *), void *arg) {
    if (guard(fn, arg)) return;
    if (!guard(fn, arg))
        rn__out_text(out, "\t(a fault while reading this)\n"); /* without symbols */
}

/* The caller's own. */
static void report_self(struct report *r) {
    struct rn__m *m = rn__arch_tls_m();
    struct rn__g *g = m->g && m->g->kind == RN__GOROUTINE ? m->g : NULL;
    static struct own own;
    own.r = r;
    own.pcs.n = 0;
    if (g) {
        rn__out_format(&r->out, "\ngoroutine %llu [running", (unsigned long long)g->id);
        rn__out_text(&r->out, g->locked_m ? ", locked to thread]" : "]");
        if (g->name[0]) rn__out_format(&r->out, " {\"name\": \"%s\"}", g->name);
        rn__out_text(&r->out, ":\n");
    } else {
        rn__out_format(&r->out, "\nthread %d [running]:\n", self_tid());
    }
    guard(read_own, &own);
    guarded_print(&r->out, print_own, &own);
    if (g && !rn__is_main(g)) rn__print_creator(&r->out, (uintptr_t)g->creator_pc, g->creator);
}

/* ---- goroutines that run on other threads ---- */

/* One at a time is asked by SIGURG where it stands. It stays there: the program is about to end. */
static struct {
    int tid; /* atomic */
    struct rn__ctx ctx;
    uint32_t there; /* atomic */
} asked;
static int unanswered;

static void on_ask(int sig) {
    (void)sig;
    if (self_tid() == rn__load_relaxed(&reporter)) return;
    if (self_tid() == rn__load_acquire(&asked.tid)) {
        rn__arch_switch(&asked.ctx,
                        &asked.ctx); /* to here: the reporter walks on from this frame */
        rn__store_release(&asked.there, 1u);
    }
    wait_for_end();
}

static struct rn__ctx *where_it_runs(struct rn__g *g) {
    struct rn__m *m = g->m;
    if (!m || unanswered >= MOST_UNANSWERED) return NULL;
    rn__store_release(&asked.there, 0u);
    rn__store_release(&asked.tid, m->tid);
    if (syscall(SYS_tgkill, getpid(), m->tid, SIGURG) != 0) return NULL;
    for (int i = 0; i < ANSWER_MS * 10; i++) {
        if (rn__load_acquire(&asked.there)) return rn__load_relaxed(&m->g) == g ? &asked.ctx : NULL;
        rn__nap(100 * RN_US);
    }
    rn__store_release(&asked.tid, 0);
    unanswered++;
    return NULL;
}

static void ask_from_now_on(void) {
    struct sigaction a = {.sa_handler = on_ask, .sa_flags = SA_ONSTACK | SA_RESTART};
    sigemptyset(&a.sa_mask);
    sigaction(SIGURG, &a, NULL);
}

static void print_all(void *arg) {
    struct rn__snapshot *s = arg;
    rn__print_snapshot(&the_report.out, s);
}

static void report_others(struct report *r) {
    static const struct rn__collector how = {guard, where_it_runs};
    struct rn__snapshot s;
    rn__freeze();
    ask_from_now_on();
    if (!rn__collect(&s, NULL, &how)) {
        rn__out_text(&r->out, "\nrunnel: no memory to list the goroutines\n");
        return;
    }
    guarded_print(&r->out, print_all, &s);
}

/* A deadlock, found by whoever went to sleep last, and SIGQUIT are about all; everything else begins with the caller. */
static void report(void *arg) {
    struct report *r = arg;
    struct rn__g *g = rn__arch_tls_m()->g;
    if (!r->about_all || (g && g->kind == RN__GOROUTINE)) report_self(r);
    if (r->about_all || rn__debug.all) report_others(r);
    rn__out_flush(&r->out);
}

/* Are we the one that reports? */
static bool mine(void) {
    int self = self_tid();
    if (rn__load_acquire(&reporter) == self) {
        if (recursion++ > 3) _exit(2);
        rn__print(STDERR_FILENO, "runnel: (in the middle of another report)\n");
        return false;
    }
    if (rn__cas_acq_rel(&reporter, 0, self)) return true;
    rn__nap(OTHERS_WAIT_MS * RN_MS); /* the other one ends the program */
    return false;
}

static void on_report(int fd, bool all) {
    if (!mine()) return;
    set_traps();
    struct report *r = &the_report;
    r->about_all = all;
    rn__out_begin(&r->out, fd);
    r->out.writing = writing;
    rn__hop(RN__HOP_FATAL, &r->ctx, report, r);
    alarm(0);
}

/* ---- start ---- */

void rn__inspect_start(void) {
    rn__debug_init();
    rn__report_hook = on_report;
    rn__dump_start();
    rn__leaks_start();
}
