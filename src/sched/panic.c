/* SPDX-License-Identifier: MIT */
/*
 * panic.c: panics, deferred calls, protected calls and the end of a goroutine by rn_goexit.
 *
 * A goroutine has a stack of protected calls (g->tries); its own function is the outermost, without a frame
 * here. g->defers are the calls deferred in the innermost one; those of the others wait in their frames
 * (try.outer). A panic runs deferred calls on top of the panicking frames, innermost first, then jumps to the innermost protected
 * call. rn_goexit goes through all of them. All of this is the goroutine's own: nobody else looks, but observers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sched/core.h"
#include "sched/panic.h"

struct rn__defer {
    void (*fn)(void *);
    void *arg;
    struct rn__defer *next;
};

struct rn__try {
    jmp_buf env;
    struct rn__try *prev;
    struct rn__defer *outer; /* what was deferred in the enclosing protected call */
    struct rn__panic_record *outer_panic;
    uint32_t exiting; /* g->exiting when it began: more now means an rn_goexit inside */
    rn_panic_info info;
};

/* A panic under way; on the stack of rn_panic. */
struct rn__panic_record {
    const char *message;
    struct rn__panic_record *prev; /* the one during whose deferred calls it happened */
};

void rn__run_defers(void) {
    struct rn__g *g = rn__self();
    struct rn__defer *d;
    while ((d = g->defers)) {
        void (*fn)(void *) = d->fn;
        void *arg = d->arg;
        g->defers = d->next; /* it is gone even if it panics */
        free(d);
        fn(arg);
    }
}

void rn_defer(void (*fn)(void *), void *arg) {
    struct rn__g *g = rn__self();
    if (g->kind == RN__THREAD && !g->tries) rn__panic("defer outside a protected call");
    struct rn__defer *d = malloc(sizeof *d);
    if (!d) rn__panic("defer: out of memory");
    *d = (struct rn__defer){fn, arg, g->defers};
    g->defers = d;
}

/* ---- the end of a goroutine ---- */

/* Leave the innermost protected call for good. */
static void pop_try(struct rn__g *g) {
    struct rn__try *t = g->tries;
    g->tries = t->prev;
    g->defers = t->outer;
    g->panicking = t->outer_panic;
}

static void __attribute__((noreturn)) exit_now(struct rn__g *g) {
    for (;;) {
        rn__run_defers();
        if (!g->tries) break;
        pop_try(g);
    }
    if (g->kind == RN__THREAD) pthread_exit(NULL);
    if (rn__is_main(g)) rn__sched.main_exited = true;
    rn__go_over();
}

void rn_goexit(void) {
    struct rn__g *g = rn__self();
    g->exiting++;
    exit_now(g);
}

/* ---- panic ---- */

static void print_chain(struct rn__panic_record *r) {
    if (r->prev) {
        print_chain(r->prev);
        rn__print(STDERR_FILENO, "\t");
    }
    rn__print(STDERR_FILENO, "panic: ");
    rn__write(STDERR_FILENO, r->message, strlen(r->message));
    rn__print(STDERR_FILENO, "\n");
}

static RN_COLD void __attribute__((noreturn)) unrecovered(struct rn__panic_record *r) {
    print_chain(r);
    rn__report(STDERR_FILENO, false);
    abort();
}

static void __attribute__((noreturn)) start_panic(struct rn__g *g, const char *message) {
    struct rn__panic_record r = {message, g->panicking};
    g->panicking = &r;
    rn__run_defers();
    struct rn__try *t = g->tries;
    if (!t) unrecovered(&r);
    rn__format(t->info.message, sizeof t->info.message, "%s", message);
    t->info.goid = g->kind == RN__GOROUTINE ? g->id : 0;
    longjmp(t->env, 1);
}

void rn__panic(const char *text) {
    struct rn__m *m = rn__arch_tls_m();
    if (m != &rn__nobody) rn__leave(m);
    start_panic(rn__self(), text);
}

void rn_panic(const char *format, ...) {
    char message[1024];
    va_list ap;
    va_start(ap, format);
    vsnprintf(message, sizeof message, format, ap);
    va_end(ap);
    start_panic(rn__self(), message);
}

/* Apart from rn_try, so that no local of it lives across the jump. */
static RN_NOINLINE bool protect(struct rn__try *t, void (*fn)(void *), void *arg) {
    if (_setjmp(t->env) != 0) return false;
    fn(arg);
    rn__run_defers(); /* a panic in here is this protected call's, too */
    return true;
}

bool rn_try(void (*fn)(void *), void *arg, rn_panic_info *p) {
    struct rn__g *g = rn__self();
    struct rn__try t;
    t.prev = g->tries;
    t.outer = g->defers;
    t.outer_panic = g->panicking;
    t.exiting = g->exiting;
    g->tries = &t;
    g->defers = NULL;
    bool returned = protect(&t, fn, arg);
    pop_try(g);
    /* it was a panic in a deferred call during an rn_goexit that began inside */
    if (!returned && g->exiting != t.exiting) exit_now(g);
    if (!returned && p) *p = t.info;
    return returned;
}
