/* SPDX-License-Identifier: MIT */
/*
 * resign.pml: while a P is idle somebody keeps watch, though the keeper resigns when all Ps are busy.
 *
 *   of src/sched/idle.c: becomes_keeper resign keeps sleep_until_woken stop_m go_idle rn__idle_p_get rn__m_start
 *
 * One P and two Ms: one has the P, the other is the keeper. Who has the P goes idle, any time; the keeper wakes any time, as for an
 * event that it gives to those that run, and asks itself whether to stay. A plain thread makes work, twice, for which it wakes one of the
 * idle Ms, whichever. In the end all sleep, the P is idle, and somebody must be there to see what happens.
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

#define WAKE(m) (m) /* m->wake; 1: woken, with the P */
#define KEEPER 2    /* 0: nobody; else 1 + who */
#define NIDLE_PS 3

bool idle[2];   /* in the list of idle Ms; under sched.lock, which makes a step of what is done with it */
bool asleep[2]; /* ghost: on its futex, or in the poller */
bool over;      /* ghost: nothing wakes the keeper any more */

#define with_lock(step) d_step { drain(me); step }
#define am_keeper() (load(KEEPER) == 1 + me)

inline becomes_keeper() {
    load_seq_cst(k, NIDLE_PS);
    if
    :: k != 0 -> cas(ok, KEEPER, 0, 1 + me); ok = false
    :: else
    fi;
    k = 0
}

inline resign() {
    load_seq_cst(k, NIDLE_PS);
    if
#ifdef WEAK_STORE
    :: k == 0 -> store_relaxed(KEEPER, 0)
#else
    :: k == 0 -> store_seq_cst(KEEPER, 0) /* K4 */
#endif
    :: else
    fi;
    k = 0
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

/* The keeper wakes when it likes. */
inline sleep_once() {
    asleep[me] = true;
    if
    :: am_keeper() ->
end_poll:
        load(WAKE(me)) == 1 || !over
    :: !am_keeper() ->
end_futex:
        load(WAKE(me)) == 1
    fi;
    asleep[me] = false
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
    with_lock(mem[NIDLE_PS] = 1);
    heavy();                      /* W2 */
    with_lock(idle[me] = true);   /* stop_m */
    sleep_until_woken()
}

proctype m(byte me) {
    byte k;
    bool ok, blind;
    if
    :: idle[me] -> sleep_until_woken()
    :: else
    fi;
    do
    :: true -> go_idle()
    od
}

/* If no M is in the list yet a new thread would be made: one that is on its way is as good. */
inline make_work() {
    with_lock(had = (mem[NIDLE_PS] == 1); mem[NIDLE_PS] = 0);
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
    assert(mem[NIDLE_PS] == 1 && mem[KEEPER] != 0 && asleep[mem[KEEPER] - 1])
}

init {
    atomic {
        idle[M2] = true;
        mem[KEEPER] = 1 + M2;
        run m(M1);
        run memory(M1);
        run m(M2);
        run memory(M2);
        run thread(THREAD);
        run memory(THREAD)
    }
}
