/* SPDX-License-Identifier: MIT */
/*
 * signal.c: stack overflow is told from other crashes. Each of our threads has an alternate stack for signals;
 * SIGSEGV and SIGBUS at a guard page print which goroutine overflowed which limit. All else goes to whom it went before.
 */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "os/pages.h"
#include "sched/core.h"

enum { ALTSTACK = 64 * 1024 };

static struct sigaction before[2];

void rn__signal_stack(struct rn__m *m) {
    stack_t have;
    if (sigaltstack(NULL, &have) == 0 && !(have.ss_flags & SS_DISABLE)) return; /* a sanitizer's */
    m->altstack = rn__pages_reserve(ALTSTACK);
    if (!m->altstack) return; /* an overflow will be a plain crash */
    stack_t s = {.ss_sp = m->altstack, .ss_size = ALTSTACK};
    sigaltstack(&s, NULL);
}

void rn__signal_stack_drop(struct rn__m *m) {
    if (!m->altstack) return;
    stack_t s = {.ss_flags = SS_DISABLE};
    sigaltstack(&s, NULL);
    rn__pages_release(m->altstack, ALTSTACK);
    m->altstack = NULL;
}

void rn__signal_stack_range(const struct rn__m *m, char **lo, char **hi) {
    *lo = m->altstack;
    *hi = m->altstack ? *lo + ALTSTACK : *lo;
}

static void overflow(struct rn__g *g) {
    rn__print(STDERR_FILENO, "runtime: goroutine stack exceeds %zu-byte limit\n",
              rn__stack_size(g));
    rn__print(STDERR_FILENO, "fatal error: stack overflow\n");
    rn__report(STDERR_FILENO, false);
    abort();
}

/* A crash of ours in the middle of the report must end it. */
static void pass_on(int sig) {
    sigaction(sig, &before[sig == SIGBUS], NULL); /* and the instruction faults again */
}

static void on_fault(int sig, siginfo_t *info, void *context) {
    (void)context;
    struct rn__g *g = NULL;
    bool in_guard = false;
    if (info->si_code > 0) g = rn__stack_find(info->si_addr, &in_guard);
    pass_on(sig);
    if (g && in_guard) overflow(g);
}

void rn__signal_init(void) {
    struct sigaction a = {.sa_sigaction = on_fault,
                          .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    sigemptyset(&a.sa_mask);
    sigaction(SIGSEGV, &a, &before[0]);
    sigaction(SIGBUS, &a, &before[1]);
}
