/* SPDX-License-Identifier: MIT */
/*
 * go.h: starting goroutines, and the processors they run on.
 *
 * A goroutine is a function running with a stack of its own, scheduled by
 * runnel over a few threads. All functions here may be called from any
 * goroutine and from any plain thread, but for rn_run; the runtime starts by itself at the
 * first use. None may be called in a signal handler, nor in a child of fork(2) once the runtime has started: that is a fatal
 * error, as such a child may only exec or exit.
 *
 * A goroutine may go on with another thread after any call of runnel: keep no address of errno or of a thread-local
 * across one. More on the environment, stacks, signals and deadlocks: runnel(7).
 */
#ifndef RUNNEL_GO_H
#define RUNNEL_GO_H

#include <runnel/base.h>

RN__BEGIN

/*
 * Run `fn(arg)` as the main goroutine and return what it returns. The calling
 * thread sleeps meanwhile. Goroutines that are still alive then are abandoned,
 * as Go does when main returns: they stay as they are, and go on running if the
 * process does. Blocks the thread. May be called again, and from several plain threads at a time; not from a goroutine
 * (that panics). Does not return if fn calls rn_goexit. No memory for the goroutine is a fatal error. fn is not NULL.
 *
 * While a thread is in rn_run a deadlock is reported, and ends the program with status 2: when all goroutines and all
 * threads of the process are blocked in runnel, no timer is armed and nobody waits for a descriptor.
 */
RN_API int rn_run(int (*fn)(void *), void *arg);

/* Options for rn_go_opt. A zeroed struct means the defaults. */
typedef struct rn_go_opts {
    const char *name;  /* shown in dumps; copied, at most 31 bytes; NULL for none */
    size_t stack_size; /* bytes of address space, rounded up to a power of two, 16 KiB to 1 GiB;
                          0: the default, 256 KiB or what RUNNEL_STACK says */
} rn_go_opts;

/*
 * int rn_go(fn, ...): run `fn` with 0 to 6 arguments in a new goroutine, as Go's
 * `go fn(...)`: the arguments are evaluated and converted to the parameters'
 * types now, by the compiler, which rejects what a plain call would not take.
 * Parameters are scalars (integers, pointers, enums, bools, floating point) of
 * at most 16 bytes. What fn returns is dropped; it must be of at most 8 bytes.
 * Returns 0, or -ENOMEM when there is no memory for the goroutine; nothing runs then.
 * The new goroutine may start on any processor, and before the call returns. The caller goes on at once, unless it is a
 * goroutine on whose processor 256 or more wait that have not begun: then it may start 64 more, and after these the
 * last 64 run first. What comes before the call happens before fn begins. A NULL fn panics `go of nil func value`.
 *
 * int rn_go_opt(opts, fn, ...): the same with a name and a stack size
 * (`const rn_go_opts *opts`, read before the call returns). Also -EINVAL for a stack
 * size over 1 GiB.
 */
#ifndef __cplusplus
#define rn_go(...) RN__CAT(RN__GO_, RN__NARGS(__VA_ARGS__))(((const rn_go_opts *)0), __VA_ARGS__)
#define rn_go_opt(opts, ...) RN__CAT(RN__GO_, RN__NARGS(__VA_ARGS__))((opts), __VA_ARGS__)
#endif

/* The untyped form: run `fn(arg)` in a new goroutine. opts may be NULL. Else as rn_go_opt. */
RN_API int rn_go_call(const rn_go_opts *opts, void (*fn)(void *), void *arg);

/* Let others run first, those that have waited longest too, as runtime.Gosched. On a plain thread: sched_yield(2). */
RN_API void rn_yield(void);

/*
 * End this goroutine: its deferred calls run, then it is gone, as runtime.Goexit.
 * On a plain thread: the same, then the thread ends by pthread_exit. rn_run does not return if its function does it: the
 * others go on, and the program ends with a deadlock when none is left.
 */
RN_API RN_NORETURN void rn_goexit(void);

/* The number of this goroutine, 1 and up, never used again; 0 on a plain thread. Never blocks. */
RN_API uint64_t rn_goid(void);

/* How many goroutines exist now. Instantaneous. Never blocks. */
RN_API size_t rn_goroutines(void);

/*
 * GOMAXPROCS: how many goroutines may run at the same time. Sets it where n > 0 (more than 256 is 256);
 * returns what it was before. With no memory for more, it stays at what could be had. The default is what RUNNEL_PROCS says, else the CPUs that
 * this process may use (sched_getaffinity, cgroup v2 cpu.max). Setting stops the world for a moment.
 */
RN_API int rn_procs(int n);

/*
 * Wire this goroutine to its thread until as many unlocks: nobody else runs on that
 * thread, and this goroutine on no other, as runtime.LockOSThread. A goroutine that ends locked
 * ends its thread. No effect on a plain thread. An unlock without a lock has no effect.
 */
RN_API void rn_lock_thread(void);
RN_API void rn_unlock_thread(void);

/*
 * Run `fn(arg)`, known to block in the kernel, giving the processor away
 * at once rather than when sysmon sees that others want it (20 us to 10 ms). Returns what fn returns. fn may use all of
 * runnel. On a plain thread it is a plain call. fn is not NULL.
 */
RN_API intptr_t rn_blocking(intptr_t (*fn)(void *), void *arg);

/* What rn_go is made of; not for direct use. */
RN_API void rn__go_capture(void);
RN_API int rn__go_captured(const rn_go_opts *opts, void (*fn)(void));

#define RN__GO_CALL(id, opts, fn, args, checks)                                                    \
    __extension__({                                                                                \
        __typeof__(&*(fn)) RN__CAT(rn_f_, id) = (fn);                                              \
        __typeof__(&*(fn)) RN__CAT(rn_s_, id) = (__typeof__(&*(fn)))rn__go_capture;                \
        const rn_go_opts *RN__CAT(rn_o_, id) = (opts);                                             \
        (void)(checks);                                                                            \
        _Static_assert(sizeof((fn)args) <= 8, "rn_go: the function's result is over 8 bytes");     \
        (void)RN__CAT(rn_s_, id) args;                                                             \
        rn__go_captured(RN__CAT(rn_o_, id), (void (*)(void))RN__CAT(rn_f_, id));                   \
    })
/* An array decays in ?: as in a call; the comma silences gcc on `!` of a product or an address. */
#define RN__GO_ARG(a)                                                                              \
    RN__CHECK(sizeof(!((void)0, (a))) && sizeof(1 ? (a) : (a)) <= 16,                              \
              "rn_go: an argument is no scalar of at most 16 bytes")
#define RN__GO_1(o, f) RN__GO_CALL(__COUNTER__, o, f, (), 0)
#define RN__GO_2(o, f, a) RN__GO_CALL(__COUNTER__, o, f, (a), RN__GO_ARG(a))
#define RN__GO_3(o, f, a, b) RN__GO_CALL(__COUNTER__, o, f, (a, b), RN__GO_ARG(a) + RN__GO_ARG(b))
#define RN__GO_4(o, f, a, b, c)                                                                    \
    RN__GO_CALL(__COUNTER__, o, f, (a, b, c), RN__GO_ARG(a) + RN__GO_ARG(b) + RN__GO_ARG(c))
#define RN__GO_5(o, f, a, b, c, d)                                                                 \
    RN__GO_CALL(__COUNTER__, o, f, (a, b, c, d),                                                   \
                RN__GO_ARG(a) + RN__GO_ARG(b) + RN__GO_ARG(c) + RN__GO_ARG(d))
#define RN__GO_6(o, f, a, b, c, d, e)                                                              \
    RN__GO_CALL(__COUNTER__, o, f, (a, b, c, d, e),                                                \
                RN__GO_ARG(a) + RN__GO_ARG(b) + RN__GO_ARG(c) + RN__GO_ARG(d) + RN__GO_ARG(e))
#define RN__GO_7(o, f, a, b, c, d, e, g)                                                           \
    RN__GO_CALL(__COUNTER__, o, f, (a, b, c, d, e, g),                                             \
                RN__GO_ARG(a) + RN__GO_ARG(b) + RN__GO_ARG(c) + RN__GO_ARG(d) + RN__GO_ARG(e) +    \
                    RN__GO_ARG(g))
#define RN__GO_8(...) RN__GO_TOO_MANY(__VA_ARGS__)
#define RN__GO_TOO_MANY(...)                                                                       \
    __extension__({                                                                                \
        _Static_assert(0, "rn_go: more than 6 arguments");                                         \
        0;                                                                                         \
    })

RN__END

#endif
