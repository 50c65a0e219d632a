/* SPDX-License-Identifier: MIT */
/*
 * notify.c: signals as values. One thread, the dispatcher, owns everything: who asked for which signal, and
 * the handlers that we installed. Others give it requests and wait for the answer; so there is no lock
 * around sending, and nothing is sent to a channel once rn_notify_stop has returned.
 *
 *   handler:     pending[sig] += 1, and, if it was 0, post `work`.   Async-signal-safe, any thread.
 *   requester:   push the request on `requests`, post `work`, wait for the request's own `done`.
 *   dispatcher:  wait for `work`; take the requests; deliver all pending; carry out the requests.
 *
 * The requests are taken before the pending signals are: so what arrived before rn_notify_stop was called is delivered before
 * it is carried out. A count, not a flag, is kept for each signal: none that the kernel delivered is lost.
 *
 * The dispatcher is a plain thread, with all signals blocked, that uses channels without waiting. It
 * waits in sem_wait(3), whose sem_post(3) is the one wake-up that POSIX allows in a handler. A requester waits in the kernel too,
 * for some microseconds: parking it would look like a deadlock when all others are parked.
 *
 * A handler found in place is called by ours and put back when nobody asks any more, unless somebody has
 * meanwhile replaced ours.
 */
#include <runnel/panic.h>
#include <runnel/signal.h>

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>

#include "base/atomic.h"
#include "sched/sched.h"

enum { SIGS = 65 };

typedef uint64_t sigbits; /* bit sig - 1 */

enum what { NOTIFY, STOP, IGNORE, RESET };

struct request {
    enum what what;
    void *chan;
    rn_ctx *ctx;
    sigbits sigs;
    int result;
    sem_t done;
    struct request *next;
};

/* Somebody who asked: a channel, or a context to cancel. */
struct subscriber {
    void *chan;
    rn_ctx *ctx;
    sigbits sigs;
    struct subscriber *next;
};

enum state { THEIRS, CAUGHT, IGNORED };

/* ---- shared with handlers and requesters: atomics only ---- */

static uint32_t pending[SIGS];
static void (*chained[SIGS])(int, siginfo_t *, void *); /* the handler found in place */
static struct request *requests;                        /* a stack, last in first */
static sem_t work;

/* ---- the dispatcher's own ---- */

static struct subscriber *subscribers;
static struct {
    enum state state;
    struct sigaction before; /* valid unless THEIRS */
} slots[SIGS];

static sigbits bit(int sig) { return (sigbits)1 << (sig - 1); }

/* ---- the handler ---- */

static void handle(int sig, siginfo_t *info, void *context) {
    int saved = errno; /* this thread's: a handler does not migrate */
    if (rn__add_acq_rel(&pending[sig], 1u) == 0) sem_post(&work);
    /* Relaxed: written before our handler was installed */
    void (*next)(int, siginfo_t *, void *) = rn__load_relaxed(&chained[sig]);
    if (next) next(sig, info, context);
    errno = saved;
}

static bool is_function(const struct sigaction *a) {
    if (!(a->sa_flags & SA_SIGINFO) && a->sa_handler == rn__quit_handler) return false;
    return (a->sa_flags & SA_SIGINFO) || (a->sa_handler != SIG_DFL && a->sa_handler != SIG_IGN);
}

/*
 * A handler that takes one argument is called with three: our ABIs all pass the first in the same
 * register, and it does not look at the others.
 */
static void chain_to(int sig, const struct sigaction *a) {
    void (*fn)(int, siginfo_t *, void *) = NULL;
    if (is_function(a)) {
        if (a->sa_flags & SA_SIGINFO)
            fn = a->sa_sigaction;
        else
            fn = (void (*)(int, siginfo_t *, void *))(void (*)(void))a->sa_handler;
    }
    rn__store_relaxed(&chained[sig], fn);
}

/* ---- installing and restoring: the dispatcher only ---- */

static void install(int sig, enum state state) {
    struct sigaction mine = {0};
    if (slots[sig].state == THEIRS) {
        sigaction(sig, NULL, &slots[sig].before);
        chain_to(sig, &slots[sig].before);
    }
    if (state == IGNORED) {
        mine.sa_handler = SIG_IGN;
    } else {
        const struct sigaction *b = &slots[sig].before;
        int keep = SA_RESTART | SA_NOCLDSTOP | SA_NOCLDWAIT;
        mine.sa_sigaction = handle;
        mine.sa_flags =
            SA_SIGINFO | SA_ONSTACK | (is_function(b) ? b->sa_flags & keep : SA_RESTART);
        mine.sa_mask = b->sa_mask;
    }
    sigaction(sig, &mine, NULL);
    slots[sig].state = state;
}

static bool still_ours(int sig, const struct sigaction *now) {
    if (slots[sig].state == CAUGHT)
        return (now->sa_flags & SA_SIGINFO) && now->sa_sigaction == handle;
    return !(now->sa_flags & SA_SIGINFO) && now->sa_handler == SIG_IGN;
}

static void restore(int sig) {
    struct sigaction now;
    if (slots[sig].state == THEIRS) return;
    sigaction(sig, NULL, &now);
    if (still_ours(sig, &now)) sigaction(sig, &slots[sig].before, NULL);
    slots[sig].state = THEIRS;
}

static bool is_wanted(int sig) {
    for (struct subscriber *s = subscribers; s; s = s->next)
        if (s->sigs & bit(sig)) return true;
    return false;
}

/* Bring the handlers of these signals in line with who wants them. */
static void settle(sigbits sigs) {
    for (int sig = 1; sig < SIGS; sig++) {
        if (!(sigs & bit(sig))) continue;
        if (is_wanted(sig))
            install(sig, CAUGHT);
        else if (slots[sig].state == CAUGHT)
            restore(sig);
    }
}

/* ---- subscribers: the dispatcher only ---- */

static struct subscriber **find(const struct request *r) {
    struct subscriber **s = &subscribers;
    while (*s && ((*s)->chan != r->chan || (*s)->ctx != r->ctx)) s = &(*s)->next;
    return s;
}

static int subscribe(struct request *r) {
    struct subscriber **s = find(r);
    if (!*s) {
        *s = calloc(1, sizeof **s);
        if (!*s) return -ENOMEM;
        (*s)->chan = rn_chan_ref(r->chan);
        (*s)->ctx = r->ctx ? rn_ctx_ref(r->ctx) : NULL;
    }
    (*s)->sigs |= r->sigs;
    settle(r->sigs);
    return 0;
}

static void drop(struct subscriber **at) {
    struct subscriber *s = *at;
    *at = s->next;
    rn_chan_unref(s->chan);
    if (s->ctx) rn_ctx_unref(s->ctx);
    free(s);
}

static int unsubscribe(struct request *r) {
    struct subscriber **s = find(r);
    if (!*s) return 0;
    sigbits sigs = (*s)->sigs;
    drop(s);
    settle(sigs);
    return 0;
}

/* Nobody wants these any more. */
static void withdraw(sigbits sigs) {
    struct subscriber **s = &subscribers;
    while (*s) {
        (*s)->sigs &= ~sigs;
        if ((*s)->sigs)
            s = &(*s)->next;
        else
            drop(s);
    }
    settle(sigs);
}

static int carry_out(struct request *r) {
    switch (r->what) {
    case NOTIFY: return subscribe(r);
    case STOP: return unsubscribe(r);
    default: break;
    }
    withdraw(r->sigs);
    for (int sig = 1; sig < SIGS; sig++) {
        if (!(r->sigs & bit(sig))) continue;
        if (r->what == IGNORE)
            install(sig, IGNORED);
        else
            restore(sig);
    }
    return 0;
}

static void deliver_one(int sig) {
    for (struct subscriber *s = subscribers; s; s = s->next) {
        if (!(s->sigs & bit(sig))) continue;
        if (s->ctx)
            rn_ctx_cancel_cause(s->ctx, sig);
        else
            rn_chan_try_send(s->chan, &sig); /* full or closed: dropped */
    }
}

static void deliver(void) {
    for (int sig = 1; sig < SIGS; sig++) {
        /* Relaxed: a glance; who makes it 1 posts `work` */
        if (!rn__load_relaxed(&pending[sig])) continue;
        for (uint32_t n = rn__exchange_acq_rel(&pending[sig], 0u); n > 0; n--) deliver_one(sig);
    }
}

/* In the order in which they came. */
static struct request *take_requests(void) {
    struct request *r = rn__exchange_acq_rel(&requests, (struct request *)NULL), *first = NULL;
    while (r) {
        struct request *next = r->next;
        r->next = first;
        first = r;
        r = next;
    }
    return first;
}

static void wait_for(sem_t *s) {
    while (sem_wait(s) != 0) {
    } /* EINTR */
}

static void *dispatch(void *started) {
    rn__in(); /* from now on the runtime knows this thread, and that it may still send */
    rn__out();
    sem_post(started);
    for (;;) {
        wait_for(&work);
        struct request *r = take_requests(), *next;
        deliver();
        for (; r; r = next) {
            next = r->next;
            r->result = carry_out(r);
            sem_post(&r->done); /* r is gone */
        }
    }
    return NULL;
}

/* ---- the requester's side ---- */

static int start_thread(void) {
    sigset_t all, before;
    pthread_t thread;
    sem_t started;
    if (sem_init(&work, 0, 0) != 0 || sem_init(&started, 0, 0) != 0) return -EAGAIN;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int err = pthread_create(&thread, NULL, dispatch, &started);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (err) return -EAGAIN;
    pthread_detach(thread);
    wait_for(&started);
    return 0;
}

/* The dispatcher is started by the first who needs it; others wait for that one. */
static int ensure_thread(void) {
    enum { NONE, STARTING, RUNNING };
    static uint32_t state;
    for (;;) {
        uint32_t s = rn__load_acquire(&state); /* S1 */
        if (s == RUNNING) return 0;
        if (s == NONE && rn__cas_acquire(&state, (uint32_t)NONE, (uint32_t)STARTING)) break;
        sched_yield();
    }
    int err = start_thread();
    rn__store_release(&state, (uint32_t)(err ? NONE : RUNNING)); /* pairs with S1: `work` */
    return err;
}

static int request(struct request *r) {
    int err = ensure_thread();
    if (err) return err;
    if (sem_init(&r->done, 0, 0) != 0) return -EAGAIN;
    do r->next = rn__load_relaxed(&requests);
    while (!rn__cas_acq_rel(&requests, r->next, r));
    sem_post(&work);
    wait_for(&r->done);
    sem_destroy(&r->done);
    return r->result;
}

/* Crashes, what cannot be caught, and 32 and 33, which are libc's, are not for sale. */
static bool is_allowed(int sig) {
    switch (sig) {
    case SIGKILL:
    case SIGSTOP:
    case SIGSEGV:
    case SIGBUS:
    case SIGFPE:
    case SIGILL:
    case SIGTRAP: return false;
    default: return sig > 0 && sig < SIGS && (sig < 32 || sig >= SIGRTMIN);
    }
}

/* None given: all that are allowed, as in Go. */
static int collect(const int *sigs, size_t n, sigbits *to) {
    *to = 0;
    for (int sig = 1; n == 0 && sig < SIGS; sig++)
        if (is_allowed(sig)) *to |= bit(sig);
    for (size_t i = 0; i < n; i++) {
        if (!is_allowed(sigs[i])) return -EINVAL;
        *to |= bit(sigs[i]);
    }
    return 0;
}

static int ask(enum what what, void *chan, rn_ctx *ctx, const int *sigs, size_t n) {
    struct request r = {.what = what, .chan = chan, .ctx = ctx};
    int err = collect(sigs, n, &r.sigs);
    return err ? err : request(&r);
}

int rn_notify_n(void *c, const int *sigs, size_t n) {
    if (!c) rn_panic("os/signal: Notify using nil channel");
    return ask(NOTIFY, c, NULL, sigs, n);
}

void rn_notify_stop_n(void *c) {
    if (c) ask(STOP, c, NULL, NULL, 0);
}

int rn_notify_ignore_n(const int *sigs, size_t n) { return ask(IGNORE, NULL, NULL, sigs, n); }

int rn_notify_reset_n(const int *sigs, size_t n) { return ask(RESET, NULL, NULL, sigs, n); }

rn_ctx *rn_notify_ctx_n(rn_ctx *parent, const int *sigs, size_t n) {
    rn_ctx *ctx = rn_ctx_with_cancel(parent);
    if (!ctx || ask(NOTIFY, NULL, ctx, sigs, n) == 0) return ctx;
    rn_ctx_unref(ctx);
    return NULL;
}

void rn_notify_ctx_stop(rn_ctx *ctx) {
    if (!ctx) rn_panic("context: NULL context");
    ask(STOP, NULL, ctx, NULL, 0);
    rn_ctx_cancel(ctx);
    rn_ctx_unref(ctx);
}
