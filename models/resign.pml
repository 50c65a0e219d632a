/* SPDX-License-Identifier: MIT */
/*
 * resign.pml: while all Ps are idle somebody keeps watch, though the keeper resigns while some run.
 *
 *   of src/sched/idle.c: needed becomes_keeper resign keeps sleep_until_woken sleep_now rise stop_m leave_p go_idle rn__idle_p_get rn__m_start
 *
 * Two Ps and two Ms: one has a P, the other is the keeper. Who has a P goes idle, any time; the keeper wakes any time, as for an
 * event, for which it may take a P itself, and asks itself whether to stay. Where one P is idle that is left to chance: those that run may
 * poll or not (sysmon sees to it if they stop, in the end). A plain thread makes work, twice, for which it wakes one of the
 * idle Ms, whichever. In the end all sleep, all Ps are idle, and somebody must be there to see what happens.
 *
 *   check FULL_FENCES
 *   twin RESIGNS_BLINDLY: assertion violated   (K4: who resigns does not look for an idle P afterwards)
 *   twin WEAK_STORE FULL_FENCES: assertion violated (K4: resigning is not seq_cst, where W2 is no membarrier)
 *   twin ASKS_FIRST: assertion violated        (K4: who goes idle asks for the keeper before its P is among the idle ones)
 */
#define PROCS 3
#define VARS 4
#include "memory.pml"

/* Processes, by `me`; words. */
#define M1 0
#define M2 1
#define THREAD 2

#define WAKE(m) (m) /* m->wake; 1: woken, with a P */
#define KEEPER 2    /* 0: nobody; else 1 + who */
#define NIDLE_PS 3

#define PS 2

bool idle[2];   /* in the list of idle Ms; under sched.lock, which makes a step of what is done with it */
bool asleep[2]; /* ghost: on its futex, or in the poller */
bool over;      /* ghost: nothing wakes the keeper any more */

#define with_lock(step) d_step { step }
#define am_keeper() (load(KEEPER) == 1 + me)

/* need = is there to be a keeper? */
inline needed() {
    load_seq_cst(k, NIDLE_PS);
    if
    :: k > 0 -> need = true
    :: k < PS -> need = false
    fi;
    k = 0
}

inline becomes_keeper() {
    needed();
    if
    :: need -> cas(ok, KEEPER, 0, 1 + me); ok = false
    :: else
    fi;
    need = false
}

inline resign() {
    needed();
    if
#ifdef WEAK_STORE
    :: !need -> store_relaxed(KEEPER, 0)
#else
    :: !need -> store_seq_cst(KEEPER, 0) /* K4 */
#endif
    :: else
    fi;
    need = false
}

inline keeps() {
    if
    :: am_keeper() ->
        resign();
#ifdef RESIGNS_BLINDLY
        blind = !am_keeper()
#endif
    :: else
    fi;
    if
    :: !am_keeper() && !blind -> becomes_keeper()
    :: else
    fi;
    blind = false
}

/* The keeper wakes when it likes, and may rise. */
inline sleep_once() {
    asleep[me] = true;
    if
    :: am_keeper() ->
end_poll:
        load(WAKE(me)) == 1 || !over;
        asleep[me] = false;
        if
        :: with_lock(idle[me] && mem[NIDLE_PS] > 0 -> idle[me] = false; mem[NIDLE_PS] = mem[NIDLE_PS] - 1; mem[WAKE(me)] = 1)
        :: true
        fi
    :: !am_keeper() ->
end_futex:
        load(WAKE(me)) == 1;
        asleep[me] = false
    fi
}

inline sleep_until_woken() {
    do
    :: load(WAKE(me)) == 1 -> break
    :: load(WAKE(me)) != 1 -> keeps(); sleep_once()
    od;
    if
    :: am_keeper() -> store_seq_cst(KEEPER, 0)
    :: else
    fi;
    store_relaxed(WAKE(me), 0)
}

inline go_idle() {
#ifdef ASKS_FIRST
    blind = load(KEEPER) != 0;
#endif
    fence();
    with_lock(mem[NIDLE_PS] = mem[NIDLE_PS] + 1); /* leave_p */
    fence();
    with_lock(idle[me] = true); /* stop_m */
    sleep_until_woken()
}

proctype m(byte me; bool sleeps) {
    byte k;
    bool ok, blind, need;
    if
    :: sleeps -> sleep_until_woken()
    :: else
    fi;
    do
    :: true -> go_idle()
    od
}

/* If no M is in the list yet a new thread would be made: one that is on its way is as good. */
inline make_work() {
    fence();
    with_lock(had = mem[NIDLE_PS] > 0; mem[NIDLE_PS] = (had -> mem[NIDLE_PS] - 1 : 0));
    if
    :: had ->
        if
        :: d_step { idle[M1] -> idle[M1] = false }; store_seq_cst(WAKE(M1), 1)
        :: d_step { idle[M2] -> idle[M2] = false }; store_seq_cst(WAKE(M2), 1)
        fi
    :: else
    fi;
    had = false
}

proctype thread(byte me) {
    bool had;
    make_work();
    make_work();
    over = true;
    timeout;
    assert(mem[NIDLE_PS] == PS && mem[KEEPER] != 0 && asleep[mem[KEEPER] - 1])
}

init {
    atomic {
        idle[M2] = true;
        mem[NIDLE_PS] = PS - 1;
        mem[KEEPER] = 1 + M2;
        run m(M1, false);
        run memory(M1);
        run m(M2, true);
        run memory(M2);
        run thread(THREAD);
        run memory(THREAD)
    }
}
