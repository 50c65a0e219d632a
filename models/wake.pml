/* SPDX-License-Identifier: MIT */
/*
 * wake.pml: no wake-up is lost: who makes work visible, who searches, and who goes to sleep.
 *
 *   of src/sched/core.h: rn__wake_others rn__all_idle
 *   of src/sched/proc.c: run_next
 *   of src/sched/runq.c: rn__runq_put rn__global_put rn__global_get rn__steal
 *   of src/sched/idle.c: rn__wake_p rn__m_start idle_p_get leave_p go_idle any_work stop_m stop_spinning may_spin find
 *   of src/sched/sysmon.c: help
 *
 * Three Ps. M0 has one, puts a goroutine into its ring, and then runs one that never comes back, so that another M must steal it.
 * A plain thread puts one into the global queue. Two Ms with the other Ps between them search, run what they find, and sleep; what they
 * find may never come back either. How often a searcher looks is left to chance. The list of idle Ms is one step for who pushes or pops. A
 * steal is the claim of claim.pml: it empties M0's buffer. TWO_PS: M0 may come back, and is as the others then, of whom there is
 * one; so all Ps may be idle.
 *
 * It shows: both goroutines get to run. One wake-up is left to sysmon: who stops searching looks once more without a heavy fence, as
 * that would cost a membarrier for each goroutine that was searched for; a put whose store is under way just then is seen by sysmon
 * at its next look. Sysmon helps here in that case only (ghost: owed).
 *
 *   check TWO_PS
 *   check FULL_FENCES NO_SYSMON
 *   check FULL_FENCES NO_SYSMON TWO_PS
 *   twin NO_HEAVY_FENCE: invalid end state   (W1, W2)
 *   twin NO_FENCE: invalid end state         (W1: of who has put into the global queue)
 *   twin NO_LAST_LOOK: invalid end state     (W2: who goes idle does not look once more)
 *   twin COUNTS_LATE TWO_PS: invalid end state      (W2: who goes idle is a searcher until it has let go the lock)
 *   twin GIVES_UP_LATE TWO_PS: invalid end state (and who was to wake one that searches, and got no P)
 *   twin STOPS_BLINDLY: invalid end state    (nor who stops searching)
 *   twin NOBODY_WOKEN: invalid end state     (W1)
 *   twin NO_SYSMON: invalid end state
 */
#define PROCS 5
#define VARS 8
#include "memory.pml"

/* Processes, by `me`; words. */
#define M1 0
#define M2 1
#define M0 2
#define THREAD 3
#define SYSMON 4

#define WAKE(m) (m) /* m->wake; 1: woken, with a P */
#define RING 3      /* how many are in the ring of M0's P */
#define NGLOBAL 4
#define NIDLE_PS 5
#define NSPINNING 6
#define SCHED_LOCK 7

#ifdef TWO_PS
#define PS 2
#else
#define PS 3
#endif

bool spins[3], idle[3]; /* m->spinning; in the idle list */
bool m0_inside;

/* Ghosts: how many have run; sysmon is to help. */
byte done;
bool owed;

/* ---- waking ---- */

inline add_spinning(n) { d_step { drain(me); mem[NSPINNING] = mem[NSPINNING] + n } }

/* ok = there was one */
inline idle_p_get(spinning) {
    lock(SCHED_LOCK);
    n = load(NIDLE_PS);
    ok = n > 0;
    if
    :: ok -> n--; store_seq_cst(NIDLE_PS, n)
    :: else ->
#ifndef GIVES_UP_LATE
        add_spinning(-spinning)
#else
        skip
#endif
    fi;
    n = 0;
    unlock(SCHED_LOCK);
#ifdef GIVES_UP_LATE
    if
    :: !ok -> add_spinning(-spinning)
    :: else
    fi
#endif
}

/* If no M sleeps a new thread is made: one that is on its way to sleep is as good. */
inline m_start() {
    if
    :: d_step { idle[M1] -> idle[M1] = false; spins[M1] = true }; store_seq_cst(WAKE(M1), 1)
    :: d_step { idle[M2] -> idle[M2] = false; spins[M2] = true }; store_seq_cst(WAKE(M2), 1)
    :: d_step { idle[M0] -> idle[M0] = false; spins[M0] = true }; store_seq_cst(WAKE(M0), 1)
    :: done == 2
    fi
}

inline wake_p() {
#ifndef NO_FENCE
    fence(); /* W1 */
#endif
    load_seq_cst(n, NIDLE_PS);
    if
    :: n != 0 ->
        load_seq_cst(n, NSPINNING);
        if
        :: n == 0 ->
            cas(ok, NSPINNING, 0, 1);
            if
            :: ok ->
                idle_p_get(1);
                if
                :: ok -> m_start()
                :: else
                fi
            :: else
            fi
        :: else
        fi
    :: else
    fi;
    ok = false;
    n = 0
}

inline wake_others() {
#ifndef NOBODY_WOKEN
    light(); /* W1 */
    if
    :: load(NIDLE_PS) != 0 && load(NSPINNING) == 0 -> wake_p()
    :: else
    fi
#else
    skip
#endif
}

/* ---- who makes work, beside M0 ---- */

proctype thread(byte me) {
    byte n;
    bool ok;
    lock(SCHED_LOCK); /* rn__global_put */
    store_relaxed(NGLOBAL, 1);
    unlock(SCHED_LOCK);
    wake_p()
}

/* ---- who looks for it ---- */

/* got = one from the global queue, or stolen */
inline look() {
    if
    :: load(NGLOBAL) != 0 ->
        lock(SCHED_LOCK);
        n = load(NGLOBAL);
        got = n > 0;
        if
        :: got -> n--; store_relaxed(NGLOBAL, n)
        :: else
        fi;
        n = 0;
        unlock(SCHED_LOCK)
    :: else ->
        if
        :: load(RING) != 0 ->
            d_step {
                drain(M0);
                got = !m0_inside && mem[RING] > 0;
                mem[RING] = (got -> mem[RING] - 1 : mem[RING])
            }
        :: else
        fi
    fi
}

#define any_work() (load(NGLOBAL) != 0 || load(RING) != 0)

inline search() {
    look();
    if
    :: !got && !spins[me] ->
        if
        :: 2 * load(NSPINNING) < PS - load(NIDLE_PS) -> spins[me] = true; add_spinning(1); look() /* may_spin */
        :: else
        fi
    :: !got && spins[me] -> look()
    :: got
    fi
}

inline go_idle() {
    lock(SCHED_LOCK);
    if
    :: load(NGLOBAL) != 0 -> unlock(SCHED_LOCK)
    :: else ->
        n = load(NIDLE_PS) + 1;
        store_seq_cst(NIDLE_PS, n);
        n = 0;
#ifdef COUNTS_LATE
        unlock(SCHED_LOCK);
#endif
        if
        :: spins[me] -> spins[me] = false; add_spinning(-1)
        :: else
        fi;
#ifndef COUNTS_LATE
        unlock(SCHED_LOCK);
#endif
        ok = false;
        load_seq_cst(n, NIDLE_PS);
        if
        :: n < PS ->
            n = 0;
            heavy(); /* W2 */
#ifndef NO_LAST_LOOK
            if
            :: any_work() -> idle_p_get(0)
            :: else
            fi
#endif
        :: else -> n = 0
        fi;
        if
        :: ok -> ok = false; spins[me] = true; add_spinning(1)
        :: else -> stop_m()
        fi
    fi
}

inline stop_m() {
    d_step { drain(me); idle[me] = true };
    load(WAKE(me)) == 1 || done == 2;
    if
    :: done == 2 -> break
    :: else -> store_relaxed(WAKE(me), 0)
    fi
}

inline stop_spinning() {
    if
    :: spins[me] ->
        spins[me] = false;
        d_step { drain(me); mem[NSPINNING] = mem[NSPINNING] - 1; n = mem[NSPINNING] };
        if
        :: n == 0 ->
#ifndef STOPS_BLINDLY
            load_seq_cst(n, NIDLE_PS);
            if
            :: n != 0 ->
                if
                :: any_work() -> wake_p()
                :: d_step { !any_work() -> owed = slot(M0, RING) != EMPTY }
                fi
            :: else
            fi
#else
            skip
#endif
        :: else
        fi;
        n = 0
    :: else
    fi
}

inline run_m() {
    do
    :: done == 2 -> break
    :: !has_p -> has_p = true; stop_m()
    :: has_p && done != 2 ->
        search();
        if
        :: got ->
            got = false;
            stop_spinning();
            done++;
            if
            :: true /* it ends */
            :: break /* it never comes back */
            fi
        :: !got && me == M0 && load(RING) != 0 /* its own: it does not overlook that */
        :: !got && !(me == M0 && load(RING) != 0) -> go_idle()
        fi
    od
}

proctype m(byte me; bool has_p) {
    byte n;
    bool ok, got;
    run_m()
}

proctype m0(byte me) {
    byte n;
    bool ok, got, has_p = true;
    store_relaxed(RING, 1); /* rn__runq_put */
    wake_others();
    m0_inside = false;
    if
    :: true /* what it runs never comes back */
#ifdef TWO_PS
    :: run_m()
#endif
    fi
}

proctype sysmon(byte me) {
    byte n;
    bool ok;
end:
    do
    :: owed && !m0_inside && mem[RING] != 0 -> wake_p(); owed = false
    od
}

init {
    atomic {
        m0_inside = true;
        mem[NIDLE_PS] = PS - 2;
        run m(M1, true);
        run memory(M1);
#ifndef TWO_PS
        run m(M2, false);
        run memory(M2);
#endif
        run m0(M0);
        run memory(M0);
        run thread(THREAD);
        run memory(THREAD);
#ifndef NO_SYSMON
        run sysmon(SYSMON);
        run memory(SYSMON)
#endif
    }
}
