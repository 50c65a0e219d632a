/* SPDX-License-Identifier: MIT */
/* dump.c: rn_dump, SIGQUIT and RUNNEL_DEBUG=schedtrace. */
#include <runnel/debug.h>

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "inspect/inspect.h"
#include "inspect/print.h"
#include "os/clock.h"

/* ---- rn_dump ---- */

/* Who dumps; it has the stack RN__HOP_DUMP. Taken outside the runtime, and waited for as any other blocking call. */
static struct rn__lock dumping;

void rn__dump_lock(void) {
    while (!rn__lock_try(&dumping)) rn__nap(RN_MS);
    rn__san_acquire(&dumping); /* a user's TSan sees libc write on the stack that we share */
}

void rn__dump_unlock(void) {
    rn__san_release(&dumping);
    rn__lock_release(&dumping);
}

struct dump {
    struct rn__ctx ctx; /* of the caller */
    struct rn__snapshot s;
    struct rn__out out;
    int fd;
    bool ok;
};

static void look(void *arg) {
    struct dump *d = arg;
    d->ok = rn__collect(&d->s, &d->ctx, NULL);
}

static void print(void *arg) {
    struct dump *d = arg;
    rn__out_begin(&d->out, d->fd);
    rn__print_snapshot(&d->out, &d->s);
    rn__out_flush(&d->out);
}

/* Of the caller's stack the world must be started again before it is left: hence the two hops. */
int rn_dump(int fd) {
    static struct dump d; /* under `dumping` */
    struct rn__ctx unused;
    rn__self(); /* the runtime may not have started */
    rn__dump_lock();
    d.fd = fd;
    rn__world_stop();
    rn__hop(RN__HOP_DUMP, &d.ctx, look, &d);
    rn__world_start();
    int r = d.ok ? 0 : -ENOMEM;
    if (d.ok) {
        rn__hop(RN__HOP_DUMP, &unused, print, &d);
        rn__collect_free(&d.s);
    }
    rn__dump_unlock();
    return r;
}

/* ---- SIGQUIT ---- */

/* All that a report does may be done in a signal handler. Then the signal does what it does by default: end with a core. */
static void on_quit(int sig) {
    rn__print(STDERR_FILENO, "SIGQUIT: quit\n");
    rn__report(STDERR_FILENO, true);
    signal(sig, SIG_DFL);
    raise(sig);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, sig);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    _exit(2);
}

static void catch_quit(void) {
    struct sigaction now, a = {.sa_handler = on_quit, .sa_flags = SA_ONSTACK};
    if (sigaction(SIGQUIT, NULL, &now) != 0) return;
    if (now.sa_flags & SA_SIGINFO || now.sa_handler != SIG_DFL) return; /* the program's own */
    sigemptyset(&a.sa_mask);
    rn__quit_handler = on_quit;
    sigaction(SIGQUIT, &a, NULL);
}

/* ---- schedtrace ---- */

static rn_time began, due;

static uint32_t queued(struct rn__p *p) {
    return rn__runq_length(p) + (rn__load_relaxed(&p->runnext) != NULL);
}

/* As Go prints it. Glances; nothing stands still for it. */
static void trace_line(rn_time now) {
    struct rn__sched *s = &rn__sched;
    static struct rn__out o; /* sysmon's alone */
    uint32_t procs = rn__load_relaxed(&s->procs);
    rn__out_begin(&o, STDERR_FILENO);
    rn__lock_acquire(&s->lock);
    uint32_t threads = s->nms + 1, idle = s->nidle_ms;
    rn__lock_release(&s->lock);
    rn__out_format(&o,
                   "SCHED %lldms: gomaxprocs=%u idleprocs=%u threads=%u spinningthreads=%u "
                   "needspinning=%u idlethreads=%u runqueue=%u [ ",
                   (long long)((now - began) / RN_MS), procs, rn__load_relaxed(&s->nidle_ps),
                   threads, rn__load_relaxed(&s->nspinning), rn__load_relaxed(&s->stuck), idle,
                   rn__load_relaxed(&s->nglobal));
    for (uint32_t i = 0; i < procs; i++) rn__out_format(&o, "%u ", queued(s->ps[i]));
    rn__out_text(&o, "] schedticks=[ ");
    for (uint32_t i = 0; i < procs; i++)
        rn__out_format(&o, "%u ", rn__load_relaxed(&s->ps[i]->tick));
    rn__out_text(&o, "]\n");
    rn__out_flush(&o);
}

static void on_sysmon(rn_time now) {
    if (now < due) return;
    trace_line(now);
    due = now + rn__debug.schedtrace * RN_MS;
}

void rn__dump_start(void) {
    if (!rn__debug.nosigquit) catch_quit();
    if (rn__debug.schedtrace > 0) {
        began = rn__now();
        due = began;
        rn__sysmon_hook = on_sysmon;
    }
}
