/* SPDX-License-Identifier: MIT */
/*
 * sync.h: what Go has in sync, golang.org/x/sync/semaphore, errgroup and singleflight.
 *
 * Every type here is ready to use when all its bytes are zero, and needs no destructor, except
 * where one is named. None may be copied or moved once used. All functions may be called from any
 * goroutine and any plain thread, unless they say otherwise; none in a signal handler. "Blocks" means: parks the
 * goroutine, or lets the plain thread sleep in the kernel. The fields belong to the library.
 *
 * Whoever is the last to use an object may free its memory at once: a call that lets another
 * user through (an unlock, a done, a release, a signal) does not touch the object after the
 * instruction that lets it through.
 *
 * The paths that need no waiting are inline and one atomic instruction long; the rest is in
 * src/sync/. Each pair of an acquire and a release has a label, the same on both sides.
 */
#ifndef RUNNEL_SYNC_H
#define RUNNEL_SYNC_H

#include <runnel/base.h>
#include <runnel/panic.h>

RN__BEGIN

struct rn_ctx;

/* --- rn_mutex ----------------------------------------------------------- */

/*
 * A mutual exclusion lock, as sync.Mutex. It is not owned: another goroutine or thread may unlock
 * it. Running goroutines may overtake parked ones. But an unlock that finds that the first in the queue came 1 ms ago or more
 * hands the mutex to it, and nobody can come between. Not recursive.
 */
typedef struct rn_mutex {
    uint32_t rn__state; /* RN__MUTEX_ bits */
} rn_mutex;

enum {
    RN__MUTEX_LOCKED = 1, /* somebody has it */
    RN__MUTEX_QUEUED = 2, /* and is to see to the queue when it unlocks */
};

RN_API void rn__mutex_lock_slow(rn_mutex *m);
RN_API void rn__mutex_unlock_slow(rn_mutex *m, uint32_t seen);

/* Take m if it is free, which is when the word is 0. */
static inline bool rn__mutex_take(rn_mutex *m) {
    /* MX: pairs with MX in rn_mutex_unlock and mutex.c. */
#ifdef __clang__
    uint32_t s = 0;
    return __atomic_compare_exchange_n(&m->rn__state, &s, (uint32_t)RN__MUTEX_LOCKED, false,
                                       __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
#else
    /* In just this form it is `lock bts` on x86; clang 14 makes a loop of it. */
    uint32_t locked = RN__MUTEX_LOCKED;
    return !__builtin_expect(
        (__atomic_fetch_or(&m->rn__state, locked, __ATOMIC_ACQUIRE) & locked) != 0, 0);
#endif
}

/* Lock m; blocks until it is free. */
static inline void rn_mutex_lock(rn_mutex *m) {
    if (RN__LIKELY(rn__mutex_take(m))) return;
    rn__mutex_lock_slow(m);
}

/* Lock m if that needs no waiting. True: locked. False orders nothing. Never blocks. */
static inline bool rn_mutex_try_lock(rn_mutex *m) {
    uint32_t s = 0;
    /* MX */
    return __atomic_load_n(&m->rn__state, __ATOMIC_RELAXED) == 0 &&
           __atomic_compare_exchange_n(&m->rn__state, &s, (uint32_t)RN__MUTEX_LOCKED, false,
                                       __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

/*
 * Unlock m. Dies with `fatal error: sync: unlock of unlocked mutex` if it is not locked. Never blocks; but a
 * goroutine that hands m to another lets it run first, as a rule, as in Go: it may go on with another thread.
 */
static inline void rn_mutex_unlock(rn_mutex *m) {
    uint32_t s = RN__MUTEX_LOCKED;
    /* MX: pairs with MX in rn_mutex_lock, rn_mutex_try_lock and mutex.c. */
    if (RN__LIKELY(__atomic_compare_exchange_n(&m->rn__state, &s, 0u, false, __ATOMIC_RELEASE,
                                               __ATOMIC_RELAXED)))
        return;
    rn__mutex_unlock_slow(m, s);
}

/* --- rn_rwmutex ---------------------------------------------------------- */

/*
 * A lock that many readers or one writer can hold, as sync.RWMutex. A waiting writer holds off new
 * readers; the readers that came during a writer's turn all go before the next writer. So neither
 * kind starves. A goroutine that read-locks twice can therefore deadlock with a writer in between.
 * An unlock that finds that it was copied or moved while somebody waited dies with
 * `fatal error: sync: rn_rwmutex was copied or moved while in use`.
 */
typedef struct rn_rwmutex {
    uint32_t rn__state; /* RN__RW_ bits, and RN__RW_READER for each reader inside */
} rn_rwmutex;

enum {
    RN__RW_WRITER = 1, /* a writer has it */
    RN__RW_QUEUED =
        2, /* a queue is not empty; changes under its lock only, and closes the fast paths */
    RN__RW_READER = 4, /* one reader */
};

RN_API void rn__rwmutex_rlock_slow(rn_rwmutex *m);
RN_API void rn__rwmutex_runlock_slow(rn_rwmutex *m, uint32_t old);
RN_API void rn__rwmutex_lock_slow(rn_rwmutex *m);
RN_API void rn__rwmutex_unlock_slow(rn_rwmutex *m, uint32_t old);

/* Lock for reading if that needs no waiting. True: locked. False orders nothing. Never blocks. */
static inline bool rn_rwmutex_try_rlock(rn_rwmutex *m) {
    uint32_t s = __atomic_load_n(&m->rn__state, __ATOMIC_RELAXED);
    while (RN__LIKELY(!(s & (RN__RW_WRITER | RN__RW_QUEUED)))) {
        /* RW1: pairs with RW1 in rn_rwmutex_unlock and rwmutex.c. */
        if (RN__LIKELY(__atomic_compare_exchange_n(&m->rn__state, &s, s + RN__RW_READER, false,
                                                   __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)))
            return true;
    }
    return false;
}

/* Lock for reading; blocks while a writer has the lock or waits for it. */
static inline void rn_rwmutex_rlock(rn_rwmutex *m) {
    if (!rn_rwmutex_try_rlock(m)) rn__rwmutex_rlock_slow(m);
}

/*
 * Undo one rlock. Dies with `fatal error: sync: RUnlock of unlocked RWMutex` if it has no reader. Never
 * blocks.
 */
static inline void rn_rwmutex_runlock(rn_rwmutex *m) {
    /* RW2: pairs with RW2 in rn_rwmutex_lock and rwmutex.c. */
    uint32_t old = __atomic_fetch_sub(&m->rn__state, (uint32_t)RN__RW_READER, __ATOMIC_RELEASE);
    if (RN__LIKELY(old >= RN__RW_READER && !(old & RN__RW_QUEUED))) return;
    rn__rwmutex_runlock_slow(m, old);
}

/* Lock for writing if that needs no waiting. True: locked. False orders nothing. Never blocks. */
static inline bool rn_rwmutex_try_lock(rn_rwmutex *m) {
    uint32_t s = 0;
    /* RW1, RW2 */
    return __atomic_compare_exchange_n(&m->rn__state, &s, (uint32_t)RN__RW_WRITER, false,
                                       __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

/* Lock for writing; blocks until all readers and the writer are gone. */
static inline void rn_rwmutex_lock(rn_rwmutex *m) {
    if (RN__LIKELY(rn_rwmutex_try_lock(m))) return;
    rn__rwmutex_lock_slow(m);
}

/*
 * Undo lock. Dies with `fatal error: sync: Unlock of unlocked RWMutex` if no writer has it. Never
 * blocks.
 */
static inline void rn_rwmutex_unlock(rn_rwmutex *m) {
    /* RW1: pairs with RW1 in rn_rwmutex_try_rlock, rn__rwmutex_rlock_slow and the lock functions. */
    uint32_t old = __atomic_fetch_sub(&m->rn__state, (uint32_t)RN__RW_WRITER, __ATOMIC_RELEASE);
    if (RN__LIKELY(old == RN__RW_WRITER)) return;
    rn__rwmutex_unlock_slow(m, old);
}

/* --- rn_cond --------------------------------------------------------------- */

/*
 * A condition variable, as sync.Cond: waiters are woken in the order in which they came, and never
 * without a signal. Use with a mutex that guards the condition, and wait in a loop.
 */
typedef struct rn_cond {
    uint32_t rn__waiters;           /* not 0: the queue is not empty; changes under its lock */
    const struct rn_cond *rn__self; /* where it lay at the first wait, to see copies */
} rn_cond;

RN_API void rn__cond_wake(rn_cond *c, bool all);

/*
 * Unlock m, wait for a signal, lock m again. Atomic: a signal given after the unlock finds
 * this waiter. m must be locked. Blocks. Panics `sync.Cond is copied`.
 */
RN_API void rn_cond_wait(rn_cond *c, rn_mutex *m);

/* The same, until t at most. 0: signalled; -ETIMEDOUT. m is locked in both cases. */
RN_API int rn_cond_wait_until(rn_cond *c, rn_mutex *m, rn_time t);

/* Wake the one that has waited longest, if any. The mutex need not be held. Never blocks. */
static inline void rn_cond_signal(rn_cond *c) {
    /* Relaxed: a waiter that must be seen set it before it unlocked the mutex, which the
     * caller has locked since; for any other the signal came first. */
    if (__atomic_load_n(&c->rn__waiters, __ATOMIC_RELAXED)) rn__cond_wake(c, false);
}

/* Wake all that wait now. The mutex need not be held. Never blocks. */
static inline void rn_cond_broadcast(rn_cond *c) {
    if (__atomic_load_n(&c->rn__waiters, __ATOMIC_RELAXED)) rn__cond_wake(c, true);
}

/* --- rn_once --------------------------------------------------------------- */

/* Do something once, as sync.Once. */
typedef struct rn_once {
    uint32_t rn__state; /* RN__ONCE_ */
} rn_once;

enum { RN__ONCE_NEW, RN__ONCE_RUNNING, RN__ONCE_AWAITED, RN__ONCE_DONE };

RN_API void rn__once_slow(rn_once *o, void (*fn)(void *), void *arg);

/*
 * Call fn(arg) if this is the first call for o; else wait until that first call has ended. A panic or
 * rn_goexit in fn counts as its end, and goes on in the first caller; a panic does so from here, with the first 255 bytes of its
 * message. Blocks while fn runs. Calling it for o
 * from fn deadlocks.
 */
static inline void rn_once_do(rn_once *o, void (*fn)(void *), void *arg) {
    /* ON: pairs with ON in once.c, finish. */
    if (RN__LIKELY(__atomic_load_n(&o->rn__state, __ATOMIC_ACQUIRE) == RN__ONCE_DONE)) return;
    rn__once_slow(o, fn, arg);
}

/* How a function ended. */
enum { RN__ONCE_EXITED, RN__ONCE_RETURNED, RN__ONCE_PANICKED };

/* A value made at its first use, as sync.OnceValue. */
typedef struct rn_once_value {
    rn_once rn__once;
    int rn__outcome; /* how fn ended */
    void *rn__value;
    rn_panic_info rn__panic;
} rn_once_value;

RN_API void *rn__once_value_slow(rn_once_value *o, void *(*fn)(void *), void *arg);

/*
 * What fn(arg) returned when it was called for the first caller. If it panicked then, every call
 * panics with the same message (its first 255 bytes); if it called rn_goexit, that went on in the first caller, and every later call panics
 * `rn_once_value: the function has called rn_goexit`. Blocks while fn runs.
 */
static inline void *rn_once_value_get(rn_once_value *o, void *(*fn)(void *), void *arg) {
    /* OV: pairs with OV in once.c, make_value. */
    if (RN__LIKELY(__atomic_load_n(&o->rn__outcome, __ATOMIC_ACQUIRE) == RN__ONCE_RETURNED))
        return o->rn__value;
    return rn__once_value_slow(o, fn, arg);
}

/* --- rn_wg ----------------------------------------------------------------- */

/* Wait for a number of things to be done, as sync.WaitGroup. */
typedef struct rn_wg {
    int64_t rn__state; /* twice the counter, plus RN__WG_AWAITED */
} rn_wg;

enum {
    RN__WG_AWAITED =
        1, /* the queue is not empty, or is being emptied; changes under its lock only */
    RN__WG_ONE = 2,
};

RN_API void rn__wg_add_slow(rn_wg *w, int64_t old, int64_t n);
RN_API void rn__wg_wait_slow(rn_wg *w);

/*
 * Add n, which may be negative, to the counter. When it becomes zero, all waiters are let go. An add that
 * raises the counter from zero must happen before the wait. Panics `sync: negative WaitGroup counter`, and
 * `sync: WaitGroup misuse: Add called concurrently with Wait` where that is seen. Never blocks.
 */
static inline void rn_wg_add(rn_wg *w, int64_t n) {
    int64_t old;
    /* WG: pairs with WG in rn_wg_wait and wg.c. Only what lowers the counter releases. */
    if (n < 0)
        old = __atomic_fetch_add(&w->rn__state, n * RN__WG_ONE, __ATOMIC_RELEASE);
    else
        old = __atomic_fetch_add(&w->rn__state, n * RN__WG_ONE, __ATOMIC_RELAXED);
    if (RN__LIKELY(!(old & RN__WG_AWAITED) && old + n * RN__WG_ONE >= 0)) return;
    rn__wg_add_slow(w, old, n);
}

/* rn_wg_add(w, -1). */
static inline void rn_wg_done(rn_wg *w) { rn_wg_add(w, -1); }

/* Wait until the counter is zero. Blocks. */
static inline void rn_wg_wait(rn_wg *w) {
    /* WG: pairs with WG in rn_wg_add. */
    if (__atomic_load_n(&w->rn__state, __ATOMIC_ACQUIRE) == 0) return;
    rn__wg_wait_slow(w);
}

/*
 * Run fn(arg) in a new goroutine, counted by w until it ends, whichever way. 0, or -ENOMEM: then fn is not
 * run and not counted. Never blocks.
 */
RN_API int rn_wg_go(rn_wg *w, void (*fn)(void *), void *arg);

/* --- rn_sem ---------------------------------------------------------------- */

/*
 * A weighted semaphore, as golang.org/x/sync/semaphore. Strictly first come, first served: a large
 * request is not overtaken by small ones. A zeroed one has size 0; rn_sem_init or
 * RN_SEM_INIT gives it more.
 */
typedef struct rn_sem {
    int64_t rn__state; /* twice the amount held, plus RN__SEM_QUEUED */
    int64_t rn__size;
} rn_sem;

enum {
    RN__SEM_QUEUED =
        1, /* the queue is not empty; changes under its lock only, and closes the fast paths */
    RN__SEM_ONE = 2,
};

#define RN_SEM_INIT(size)                                                                          \
    { 0, (size) }

RN_API void rn__sem_acquire_slow(rn_sem *s, int64_t n);
RN_API void rn__sem_release_slow(rn_sem *s, int64_t n, int64_t old);

/* Set the size, 0 to INT64_MAX / 4; nobody may be using s. Never blocks. */
static inline void rn_sem_init(rn_sem *s, int64_t size) {
    s->rn__state = 0;
    s->rn__size = size;
}

RN_API bool rn__sem_try_again(rn_sem *s, int64_t n);

/* May n be taken at once, when the state is v? */
static inline bool rn__sem_fits(const rn_sem *s, int64_t v, int64_t n) {
    return !(v & RN__SEM_QUEUED) && n <= s->rn__size - (v >> 1);
}

/* The word is about to be read, and then written: its line comes to be written to, where it would come twice if it is fought for. */
#ifdef __x86_64__
#define RN__TO_WRITE(word) __asm__ volatile("prefetchw %0" : : "m"(*(word)))
#else
#define RN__TO_WRITE(word) __builtin_prefetch((word), 1)
#endif

/* Take n >= 0 if that needs no waiting. True: taken. False, also for n < 0, orders nothing. Never blocks. */
static inline bool rn_sem_try(rn_sem *s, int64_t n) {
    RN__TO_WRITE(&s->rn__state);
    int64_t v = __atomic_load_n(&s->rn__state, __ATOMIC_RELAXED);
    if (n < 0 || !rn__sem_fits(s, v, n)) return false;
    /* SE: pairs with SE in rn_sem_release and sem.c. */
    if (RN__LIKELY(__atomic_compare_exchange_n(&s->rn__state, &v, v + n * RN__SEM_ONE, false,
                                               __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)))
        return true;
    return rn__sem_try_again(s, n);
}

/*
 * Take n >= 0. Blocks until that much is free; for ever if n is more than the size. Panics
 * `semaphore: negative weight`, as the next two do.
 */
static inline void rn_sem_acquire(rn_sem *s, int64_t n) {
    if (!rn_sem_try(s, n)) rn__sem_acquire_slow(s, n);
}

/* The same, until t at most. 0; -ETIMEDOUT: nothing was taken. */
RN_API int rn_sem_acquire_until(rn_sem *s, int64_t n, rn_time t);

/*
 * The same, ended by the context: what rn_ctx_err tells, and nothing was taken; -ENOMEM: there was no memory to
 * wait. A context that is done already, or is when the wait ends, takes nothing even if there is room. Panics
 * `context: NULL context`.
 */
RN_API int rn_sem_acquire_ctx(struct rn_ctx *ctx, rn_sem *s, int64_t n);

/* Give back n >= 0. Panics `semaphore: released more than held`, `semaphore: negative weight`. Never blocks. */
static inline void rn_sem_release(rn_sem *s, int64_t n) {
    int64_t old = 0;
    if (RN__LIKELY(n >= 0)) {
        /* SE: pairs with SE in rn_sem_try and sem.c. */
        old = __atomic_fetch_sub(&s->rn__state, (int64_t)((uint64_t)n * RN__SEM_ONE),
                                 __ATOMIC_RELEASE);
        if (RN__LIKELY(!(old & RN__SEM_QUEUED) && n <= old >> 1)) return;
    }
    rn__sem_release_slow(s, n, old);
}

/* --- rn_group -------------------------------------------------------------- */

/* Goroutines working on parts of one task, as golang.org/x/sync/errgroup. */
typedef struct rn_group {
    rn_wg rn__wg;
    rn_sem rn__sem;
    int32_t rn__error; /* the first that is not 0 */
    bool rn__limited;
    struct rn_ctx *rn__ctx; /* cancelled at the first error and at the end; NULL: none */
} rn_group;

/*
 * Give a group that has not started a context below `parent`, for its goroutines: the first error cancels it
 * with that error as the cause, and so does the end of rn_group_wait, without a cause. Returns
 * a reference of the caller's, to be given back with rn_ctx_unref; the group has its own until
 * rn_group_wait. NULL: no memory. Never blocks.
 */
RN_API struct rn_ctx *rn_group_with_ctx(rn_group *g, struct rn_ctx *parent);

/*
 * At most n goroutines at a time; negative: any number, which is also the state of a zeroed group. Panics
 * `errgroup: modify limit while N goroutines in the group are still active`. Never blocks.
 */
RN_API void rn_group_limit(rn_group *g, int64_t n);

/*
 * Run fn(arg) in a new goroutine. The first result that is not 0 is the group's. Blocks while the limit is
 * reached. 0, or -ENOMEM: then fn is not run.
 */
RN_API int rn_group_go(rn_group *g, int (*fn)(void *), void *arg);

/* The same, never blocking: -EAGAIN when the limit is reached. */
RN_API int rn_group_try_go(rn_group *g, int (*fn)(void *), void *arg);

/* Wait for all goroutines of the group; returns the first result that was not 0, or 0. Blocks. */
RN_API int rn_group_wait(rn_group *g);

/* --- rn_flight ------------------------------------------------------------- */

struct rn__trie;

/* One call for all that ask for the same key meanwhile, as golang.org/x/sync/singleflight. */
typedef struct rn_flight {
    rn_mutex rn__lock;          /* guards the calls */
    struct rn__trie *rn__calls; /* in flight, by key */
} rn_flight;

/*
 * If no call for `key` is in flight, call fn(arg, value) here; else wait for the end of that call. Returns what
 * fn returned, and *value, if value is not NULL, is what it stored: the same pointer for every caller, and it is for
 * them to agree who frees it. *shared, if shared is not NULL, tells whether more than one caller got it. A panic in fn is
 * passed on to every caller (the first 255 bytes of its message), and so is rn_goexit. The key is read during the call only. Blocks.
 */
RN_API int rn_flight_do(rn_flight *f, const char *key, int (*fn)(void *arg, void **value),
                        void *arg, void **value, bool *shared);

/* The next call for `key` does not wait for the one in flight, if any, but makes its own. Never blocks. */
RN_API void rn_flight_forget(rn_flight *f, const char *key);

/* --- rn_pool --------------------------------------------------------------- */

struct rn__pool_slots;

/*
 * Objects that are free to be used again, as sync.Pool: a cache for each processor; an empty one takes from
 * the others. Bounded: what does not fit is destroyed. A zeroed pool has no functions: get returns NULL when
 * it is empty, and what does not fit is given back to the caller by put.
 */
typedef struct rn_pool {
    void *(*create)(void);      /* makes an object when none is free; may be NULL */
    void (*destroy)(void *obj); /* ends one that does not fit; may be NULL: put tells */
    struct rn__pool_slots *rn__slots;
} rn_pool;

#define RN_POOL_INIT(create, destroy)                                                              \
    { (create), (destroy), NULL }

/* An object; what create returned if none is free; NULL if there is no create either. Never blocks, create may. */
RN_API void *rn_pool_get(rn_pool *p);

/*
 * Give an object to the pool. NULL is ignored. True: taken (or destroyed). False: there is no room and no
 * destroy, and the object is still the caller's. Never blocks, destroy may.
 */
RN_API bool rn_pool_put(rn_pool *p, void *obj);

/*
 * Destroy all objects and give the pool's memory back; it is then as new. Objects without a destroy are
 * dropped. Nobody else may be using p.
 */
RN_API void rn_pool_clear(rn_pool *p);

RN__END

#endif
