/* SPDX-License-Identifier: MIT */
/*
 * keeper.pml: no timer is slept over: the keeper, sysmon, and who arms.
 *
 *   of src/sched/timer.c: rn__timer_arm rn__timer_disarm publish
 *   of src/sched/idle.c: rn__timer_earlier keep sleep_now rise keeps becomes_keeper resign sleep_until_woken stop_m go_idle rn__m_wake rn__idle_p_get
 *   of src/sched/sysmon.c: sleep_as rn__sysmon_wake rn__sysmon_call
 *
 * One heap, two Ps, one M, sysmon, and two that arm. One gets a P: it arms a timer for time 1, may disarm it, and leaves the P idle.
 * The other is a plain thread: it arms one for time 2, and may then make work for the M, so that the keeper goes and comes back. Time
 * passes when nobody has anything else to do. While something runs sysmon naps for moments only: here its nap ends as soon as there is
 * something to see.
 *
 * It shows: each timer is run at its time (the grace of a few microseconds that the keeper gives those that are awake aside).
 *
 *   check FULL_FENCES
 *   check NO_M
 *   check NO_M FULL_FENCES
 *   twin NO_HEAVY_FENCE: assertion violated      (K1: of who has a P)
 *   twin NO_FENCE: assertion violated            (K1: of who has none)
 *   twin NO_M NO_FENCE: assertion violated       (K3: the same)
 *   twin NO_M ASKS_LAST: assertion violated      (K3: sysmon asks whether all are idle after it has looked at the heaps)
 *   twin LOOKS_ONCE: assertion violated          (the keeper does not look again after its fence)
 *   twin SAYS_AGAIN: assertion violated          (the keeper changes what it said to what it saw last)
 *   twin NOT_TOLD: assertion violated            (who arms tells nobody)
 */
#define PROCS 4
#define VARS 7
#include "memory.pml"

/* Processes, by `me`; words. */
#define M 0
#define SYSMON 1
#define T1 2
#define T2 3

#define FIRST 0       /* the heap's */
#define HEAP 1        /* its lock */
#define KEEPER 2      /* 1: it is M */
#define UNTIL 3       /* keeper_until */
#define WAKE 4        /* m->wake */
#define DEEP 5        /* sysmon_asleep */
#define IDLE_PS 6     /* nidle_ps */

#define PS 2

/* m->wake */
#define ASLEEP 0
#define WOKEN 1
#define LOOK_AGAIN 2

#define NEVER 3

byte now;
bool armed[3]; /* in the heap, by their times; under its lock */
bool idle_m;   /* M is in the idle list; under sched.lock */

/* ---- timers ---- */

inline publish() {
    if
    :: armed[1] -> store_release(FIRST, 1) /* T1 */
    :: !armed[1] && armed[2] -> store_release(FIRST, 2)
    :: !armed[1] && !armed[2] -> store_release(FIRST, NEVER)
    fi
}

/* sched.lock makes a step of it: who has it has seen what the one before had stored. */
#define with_lock(step) d_step { drain(me); step }

inline arm(when) {
    lock(HEAP);
    armed[when] = true;
    earlier = when < load(FIRST);
    publish();
    unlock(HEAP)
}

inline disarm(when) {
    lock(HEAP);
    armed[when] = false;
    publish();
    unlock(HEAP)
}

inline tell_keeper(when) {
    load_seq_cst(k, UNTIL);
    if
    :: when < k -> cas(ok, WAKE, ASLEEP, LOOK_AGAIN); ok = false /* and interrupt */
    :: else
    fi
}

/* rn__timer_earlier of who has a P: sysmon does not sleep, and whoever goes idle last looks at the timers. */
inline timer_earlier_with_p(when) {
#ifndef NOT_TOLD
    light(); /* K1 */
    load_seq_cst(k, KEEPER);
    if
    :: k != 0 -> tell_keeper(when)
    :: else
    fi;
    k = 0
#else
    skip
#endif
}

/* Of who has none. */
inline timer_earlier(when) {
#ifndef NOT_TOLD
#ifdef NO_FENCE
    light();
#else
    fence(); /* K1, K3 */
#endif
    load_seq_cst(k, KEEPER);
    if
    :: k == 0 -> sysmon_wake() /* rn__sysmon_call */
    :: else -> tell_keeper(when)
    fi;
    k = 0
#else
    skip
#endif
}

inline sysmon_wake() {
    load_seq_cst(k, DEEP);
    if
    :: k == 1 -> cas(ok, DEEP, 1, 0); ok = false
    :: else
    fi
}

#define due() (load(FIRST) <= now)

/* rn__run_timers */
inline run_timers() {
    if
    :: due() ->
        lock(HEAP);
        d_step {
            assert(!(armed[1] && now > 1) && !(armed[2] && now > 2)); /* nobody is late */
            armed[now] = false
        };
        publish();
        unlock(HEAP)
    :: else
    fi
}

/* ---- the M ---- */

inline sleep_now() {
    skip;
end_sleep:
    load(WAKE) != ASLEEP || (until != NEVER && now >= until);
    cas(ok, WAKE, LOOK_AGAIN, ASLEEP);
    ok = false
}

/* ok = an idle P is ours */
inline rise() {
    with_lock(
        ok = idle_m && mem[IDLE_PS] > 0;
        idle_m = idle_m && !ok;
        mem[IDLE_PS] = (ok -> mem[IDLE_PS] - 1 : mem[IDLE_PS])
    );
    if
    :: ok -> store_relaxed(WAKE, WOKEN); fence(); sysmon_wake(); k = 0
    :: else
    fi
}

inline keep() {
    until = load(FIRST);
    store_seq_cst(UNTIL, until);
    load_seq_cst(k, IDLE_PS);
    if
    :: k == PS -> fence() /* K1 */
    :: else -> heavy()
    fi;
    k = 0;
#ifdef SAYS_AGAIN
    until = load(FIRST);
    store_seq_cst(UNTIL, until);
#elif !defined(LOOKS_ONCE)
    until = (load(FIRST) < until -> load(FIRST) : until);
#endif
    if
    :: until == NEVER || until > now -> sleep_now()
    :: else
    fi;
    until = 0;
    if
    :: load(WAKE) != WOKEN && due() ->
        rise();
        if
        :: !ok -> run_timers()
        :: else
        fi;
        ok = false
    :: else
    fi
}

/* resign.pml has what is between two Ms. */
inline keeps() {
    load_seq_cst(k, IDLE_PS);
    if
    :: k == 0 -> store_seq_cst(KEEPER, 0)
    :: else -> cas(ok, KEEPER, 0, 1); ok = false
    fi;
    k = 0
}

inline futex_wait() {
    skip;
end_futex:
    load(WAKE) != ASLEEP;
    cas(ok, WAKE, LOOK_AGAIN, ASLEEP);
    ok = false
}

inline sleep_until_woken() {
    do
    :: load(WAKE) == WOKEN -> break /* M2 */
    :: load(WAKE) != WOKEN ->
        keeps();
        if
        :: load(KEEPER) == 1 -> keep()
        :: load(KEEPER) == 0 -> futex_wait()
        fi
    od;
    store_seq_cst(KEEPER, 0);
    store_relaxed(WAKE, ASLEEP)
}

proctype m(byte me) {
    byte k, until;
    bool ok;
    do
    :: true ->
        run_timers(); /* find */
        with_lock(mem[IDLE_PS] = mem[IDLE_PS] + 1); /* leave_p */
        with_lock(idle_m = true); /* stop_m */
        sleep_until_woken()
    od
}

/* ---- sysmon ---- */

inline sleep_as() {
    store_seq_cst(DEEP, 1);
    fence(); /* K3 */
#ifndef ASKS_LAST
    load_seq_cst(k, IDLE_PS);
    all = k == PS;
    k = 0;
#endif
    load_seq_cst(k, KEEPER);
    until = NEVER;
    if
    :: k == 0 -> until = load(FIRST)
    :: else
    fi;
    k = 0;
#ifdef ASKS_LAST
    load_seq_cst(k, IDLE_PS);
    all = k == PS;
    k = 0;
#endif
    if
    :: all && until > now ->
end_deep:
        load(DEEP) == 0 || (until != NEVER && now >= until)
    :: else
    fi;
    until = 0;
    all = false;
    store_seq_cst(DEEP, 0)
}

proctype sysmon(byte me) {
    byte k, until;
    bool all;
    do
    :: true ->
        run_timers();
end:
        if
        :: due()
        :: load(IDLE_PS) == PS -> sleep_as()
        fi
    od
}

/* ---- who arms ---- */

/* rn__wake_p: the P for M. If M is not in the list yet it would be a new thread: M's place is as good. */
inline make_work() {
#ifndef NO_M
    load_seq_cst(k, IDLE_PS);
    if
    :: k > 0 ->
        with_lock(ok = mem[IDLE_PS] > 0; mem[IDLE_PS] = (ok -> mem[IDLE_PS] - 1 : 0));
        if
        :: ok ->
            sysmon_wake();
            k = 0;
            d_step { idle_m -> idle_m = false };
            store_seq_cst(WAKE, WOKEN) /* M1 */
        :: else
        fi
    :: else
    fi;
    k = 0;
    ok = false
#else
    skip
#endif
}

proctype t1(byte me) {
    byte k;
    bool ok, earlier;
    d_step { mem[IDLE_PS] > 0 -> drain(me); mem[IDLE_PS] = mem[IDLE_PS] - 1 }; /* rn__idle_p_get */
    sysmon_wake();
    k = 0;
    arm(1);
    if
    :: earlier -> timer_earlier_with_p(1)
    :: else
    fi;
    if
    :: true
    :: disarm(1)
    fi;
    with_lock(mem[IDLE_PS] = mem[IDLE_PS] + 1) /* rn__handoff: none becomes the keeper by that */
}

proctype t2(byte me) {
    byte k;
    bool ok, earlier;
    arm(2);
    if
    :: earlier -> timer_earlier(2)
    :: else
    fi;
    if
    :: true
    :: make_work()
    fi
}

proctype clock() {
    do
    :: atomic { timeout && now < 2 -> now++ }
    :: timeout && now == 2 -> break
    od;
    assert(!armed[1] && !armed[2])
}

init {
    atomic {
        mem[FIRST] = NEVER;
#ifndef NO_M
        run m(M);
        run memory(M);
        mem[IDLE_PS] = 1;
#else
        mem[IDLE_PS] = 2;
#endif
        run sysmon(SYSMON);
        run memory(SYSMON);
        run t1(T1);
        run memory(T1);
        run t2(T2);
        run memory(T2);
        run clock()
    }
}
