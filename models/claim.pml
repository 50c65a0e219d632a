/* SPDX-License-Identifier: MIT */
/*
 * claim.pml: the claim. A P's plain fields belong to the M that has it while that M is inside, or to who has claimed that M.
 *
 *   of src/sched/core.h: rn__enter rn__leave rn__section_open
 *   of src/sched/claim.c: rn__claim_p claimed_outside rn__unclaim_m rn__take_p regain_p wait_out_claim rn__enter_slow
 *   of src/sched/idle.c: rn__acquire_p
 *
 * M0 has P0 and runs a goroutine that comes inside now and then. A thief claims P0 to steal from it; sysmon claims it to
 * take it away, for M1. M0 finds that at its next entry and goes on with P1, which lies idle. Patience (how long a claimant waits for one
 * who is inside) is left to chance; sched.lock around the idle Ps is one step.
 *
 * It shows: a P is used by one at a time, who sees what the one before has written; and nobody waits for ever.
 *
 *   check FULL_FENCES
 *   check TAKEN_TWICE
 *   twin NO_HEAVY_FENCE: assertion violated     (B1)
 *   twin LEAVE_RELAXED: assertion violated      (I1, I2)
 *   twin UNCLAIM_RELAXED: assertion violated    (C1, C2)
 *   twin NO_SECOND_LOOK: assertion violated     (the P that M0 has is no longer the one that was to be claimed)
 */
#define PROCS 4
#define VARS 10
#include "memory.pml"

/* Processes, by `me`; words. */
#define M0 0
#define M1 1
#define THIEF 2
#define SYSMON 3

#define INSIDE(m) (m)     /* m->inside */
#define CLAIM(m) (2 + (m))
#define HAS(m) (4 + (m))  /* m->p */
#define OWNER0 6          /* P0's p->m */
#define RING(p) (7 + (p)) /* what a P holds, here a number */
#define NEXT1 9           /* M1's next_p, with its wake-up */

/* m->inside, m->claim, and a P or M or none */
#define OUTSIDE 0
#define OP 1
#define SCHED 2
#define FREE 0
#define CLAIMED 1
#define TAKEN 2
#ifdef TAKEN_TWICE
#define TAKES 2
#else
#define TAKES 1
#endif

#define P0 0
#define P1 1
#define NONE 7

bool idle[2]; /* the idle Ps */

/* Ghosts: who uses a P, and what its ring holds. */
bool used[2];
byte truth[2];

/* Use a P: read and write a plain field. */
inline use(p) {
    atomic {
        assert(!used[p]);
        used[p] = true;
        x = load(RING(p));
        assert(x == truth[p])
    }
    d_step {
        x = (x + 1) % 3;
        truth[p] = x;
        store_relaxed(RING(p), x);
        x = 0;
        used[p] = false
    }
}

#ifdef LEAVE_RELAXED
#define store_leave store_relaxed
#else
#define store_leave store_release
#endif
#ifdef UNCLAIM_RELAXED
#define store_unclaim store_relaxed
#else
#define store_unclaim store_release
#endif

/* ---- Ms ---- */

inline enter(m) {
    store_relaxed(INSIDE(m), OP);
    light(); /* B1 */
    do
    :: atomic { load(CLAIM(m)) == FREE -> break } /* C1 */
    :: load(CLAIM(m)) == CLAIMED -> wait_out_claim(m)
    :: load(CLAIM(m)) == TAKEN -> regain_p(m)
    od
}

inline section_open(m) {
    store_relaxed(INSIDE(m), OP);
    light() /* B2 */
}

inline leave(m) { store_leave(INSIDE(m), OUTSIDE) } /* I1 */

inline wait_out_claim(m) {
    leave(m);
    load(CLAIM(m)) != CLAIMED; /* C1 */
    section_open(m)
}

inline acquire_p(m, p) {
    store_relaxed(HAS(m), p);
    if
    :: p == P0 -> store_release(OWNER0, m) /* P1 */
    :: else /* nobody claims P1 here */
    fi
}

inline regain_p(m) {
    store_release(INSIDE(m), SCHED);
    store_relaxed(CLAIM(m), FREE);
    if /* rn__idle_p_get, or its goroutine queues for one */
    :: atomic { idle[P0] -> idle[P0] = false }; acquire_p(m, P0)
    :: atomic { idle[P1] -> idle[P1] = false }; acquire_p(m, P1)
    fi;
    section_open(m)
}

/* A goroutine on m. */
inline come_and_go(m, times) {
    n = 0;
    do
    :: n < times ->
        enter(m);
        if
        :: load(HAS(m)) == P0 -> use(P0)
        :: load(HAS(m)) == P1 -> use(P1)
        fi;
        leave(m);
        n++
    :: n == times -> break
    od
}

proctype m0(byte me) {
    byte n, x;
    come_and_go(M0, 2)
}

/* It slept; sysmon hands it P0. */
proctype m1(byte me) {
    byte n, x;
end:
    load(NEXT1) == P0;
    acquire_p(M1, P0);
    use(P0); /* SCHED: it looks for a goroutine there */
    leave(M1);
    come_and_go(M1, 1)
}

/* ---- claimants ---- */

/* claimed = have we got m, that has P0? */
inline claim_p0() {
    m = load(OWNER0); /* P1 */
    if
    :: m == NONE -> claimed = false
    :: else ->
        cas_acquire(claimed, CLAIM(m), FREE, CLAIMED);
        if
        :: claimed -> heavy(); /* B1 */ claimed_outside()
        :: else
        fi
    fi
}

inline claimed_outside() {
    do
    :: load(INSIDE(m)) == OUTSIDE -> /* I2 */
#ifndef NO_SECOND_LOOK
        claimed = load(HAS(m)) == P0;
#endif
        break
    :: load(INSIDE(m)) != OUTSIDE -> claimed = false; break /* out of patience */
    od;
    if
    :: !claimed -> unclaim()
    :: else
    fi
}

inline unclaim() { store_unclaim(CLAIM(m), FREE) } /* C2 */

proctype thief(byte me) {
    byte m, x;
    bool claimed;
    claim_p0();
    if
    :: claimed -> use(P0); unclaim()
    :: else
    fi
}

inline take_p() {
    store_release(OWNER0, NONE); /* P1 */
    store_relaxed(HAS(m), NONE);
    store_unclaim(CLAIM(m), TAKEN) /* C2 */
}

/* The first time M1 gets it, the second time it is idle. */
proctype sysmon(byte me) {
    byte m, x, n;
    bool claimed;
    do
    :: n < TAKES ->
        claim_p0();
        if
        :: claimed ->
            use(P0);
            take_p();
            if
            :: load(NEXT1) == NONE -> store_seq_cst(NEXT1, P0) /* rn__m_wake */
            :: else -> d_step { drain(me); idle[P0] = true } /* rn__idle_p_put */
            fi
        :: else
        fi;
        d_step { m = 0; claimed = false; n++ }
    :: n == TAKES -> break
    od
}

init {
    atomic {
        idle[P1] = true;
        mem[INSIDE(M1)] = SCHED;
        mem[HAS(M0)] = P0;
        mem[HAS(M1)] = NONE;
        mem[OWNER0] = M0;
        mem[NEXT1] = NONE;
        run m0(M0);
        run m1(M1);
#ifndef TAKEN_TWICE
        run thief(THIEF);
        run memory(THIEF);
#endif
        run sysmon(SYSMON);
        run memory(M0);
        run memory(M1);
        run memory(SYSMON)
    }
}
