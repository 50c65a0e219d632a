/* SPDX-License-Identifier: MIT */
/*
 * bias.pml: a channel's lock, that can be biased to a P.
 *
 *   of src/chan/chan.h: rn__chan_lock rn__chan_unlock
 *   of src/chan/lock.c: rn__chan_lock_slow rn__chan_lock_shared revoke_bias consider_bias wants_bias
 *   of src/chan/select.c: lock_all all_ours unlock_all withdraw
 *   of src/sched/claim.c: rn__wait_section lock_waits
 *   of src/sched/core.h: rn__section_open rn__leave
 *
 * Two channels, two Ms with a P each (that it keeps: claim.pml), and a plain thread. Each comes inside once or twice and
 * uses one channel; both at once, as a select does; or one after the other, as a select's withdrawing does. Whether a P
 * wants a bias (bias_debt, the streak of 64) is left to chance.
 *
 * It shows: a channel is used by one at a time, who sees what the one before has written; and nobody waits for ever,
 * two who revoke from each other included.
 *
 *   check FULL_FENCES
 *   check PLAIN_THREAD
 *   twin NO_HEAVY_FENCE: assertion violated     (B2)
 *   twin NO_WAIT_SECTION: assertion violated    (who revokes does not wait)
 *   twin LEAVE_RELAXED: assertion violated      (I1, I3)
 *   twin WAITS_RELAXED: assertion violated      (I3: the store of SCHED in lock_waits)
 *   twin SECTION_NOT_OPENED: assertion violated (who is SCHED looks at a bias)
 *   twin REVOKES_IN_SECTION: invalid end state  (a revoker is not SCHED)
 *   twin WAITS_IN_SECTION: invalid end state    (who waits for a lock is not SCHED)
 */
#ifdef PLAIN_THREAD
#define PROCS 3
#else
#define PROCS 2
#endif
#define VARS 9
#include "memory.pml"

/* Processes, by `me`: M A that has P A, M B, a plain thread. Words: */
#define A 0
#define B 1
#define THREAD 2

#define INSIDE(m) (m)
#define BIAS(c) (3 + (c))
#define LOCK(c) (5 + (c))
#define DATA(c) (7 + (c)) /* what c holds, here a number */

/* m->inside */
#define OUTSIDE 0
#define OP 1
#define SCHED 2

/* c->bias: a P, or */
#define FRESH 6
#define SHARED 7

/* Ghosts: who uses a channel, and what it holds. */
bool used[2];
byte truth[2];

inline use(c) {
    atomic {
        assert(!used[c]);
        used[c] = true;
        x = load(DATA(c));
        assert(x == truth[c])
    }
    d_step {
        x = (x + 1) % 3;
        truth[c] = x;
        store_relaxed(DATA(c), x);
        x = 0;
        used[c] = false
    }
}

inline section_open() {
    store_relaxed(INSIDE(me), OP);
    light() /* B2 */
}

inline leave() {
#ifdef LEAVE_RELAXED
    store_relaxed(INSIDE(me), OUTSIDE)
#else
    store_release(INSIDE(me), OUTSIDE) /* I1 */
#endif
}

/* ---- claim.c ---- */

inline lock_waits() {
#ifndef WAITS_IN_SECTION
    if
    :: load(INSIDE(me)) == OP ->
#ifdef WAITS_RELAXED
        store_relaxed(INSIDE(me), SCHED)
#else
        store_release(INSIDE(me), SCHED) /* I3 */
#endif
    :: else
    fi
#else
    skip
#endif
}

inline lock_acquire(c) {
    if
    :: atomic { lock_free(LOCK(c)) -> mem[LOCK(c)] = 1 }
    :: !lock_free(LOCK(c)) -> lock_waits(); lock(LOCK(c))
    fi
}

inline wait_section(p) {
#ifndef NO_WAIT_SECTION
    load(INSIDE(p)) != OP /* I3 */
#else
    skip
#endif
}

/* ---- lock.c ---- */

inline revoke_bias(c, from) {
#ifndef REVOKES_IN_SECTION
    store_release(INSIDE(me), SCHED);
#endif
    store_seq_cst(BIAS(c), SHARED);
    if
    :: from == me /* our own: we are in its section */
    :: else ->
        heavy(); /* B2 */
        wait_section(from)
    fi
}

inline consider_bias(c) {
    if
    :: me != THREAD -> store_release(BIAS(c), me)
    :: true
    fi
}

inline lock_shared(c) {
    if
    :: load(BIAS(c)) == FRESH -> cas(ok, BIAS(c), FRESH, SHARED)
    :: else
    fi;
    lock_acquire(c);
    bias = load(BIAS(c));
    if
    :: bias == SHARED -> consider_bias(c)
    :: else -> revoke_bias(c, bias)
    fi;
    bias = 0
}

/* locked = has chan_unlock something to do? */
inline chan_lock(c) {
    bias = load(BIAS(c));
    ok = (bias == me); /* B2: the section orders it */
    if
    :: bias == FRESH && me != THREAD -> cas(ok, BIAS(c), FRESH, me)
    :: true
    fi;
    bias = 0;
    locked = !ok;
    if
    :: locked -> lock_shared(c)
    :: else
    fi;
    ok = false
}

inline chan_unlock(c) {
    if
    :: locked -> unlock(LOCK(c))
    :: else
    fi;
    locked = false
}

/* ---- operations ---- */

inline one(c) {
    chan_lock(c);
    use(c);
    chan_unlock(c)
}

/* ok = are both ours? */
inline all_ours() {
    ours(0);
    if
    :: ok -> ours(1)
    :: else
    fi
}
inline ours(c) {
    bias = load(BIAS(c));
    if
    :: bias == me -> ok = true
    :: bias == FRESH && me != THREAD -> cas(ok, BIAS(c), FRESH, me)
    :: bias != me -> ok = false
    fi;
    bias = 0
}

inline both_at_once() {
    all_ours();
    locked = !ok;
    ok = false;
    if
    :: locked -> lock_shared(0); lock_shared(1)
    :: else
    fi;
    use(0);
    use(1);
    if
    :: locked -> unlock(LOCK(0)); unlock(LOCK(1))
    :: else
    fi;
    locked = false
}

inline one_then_other(c, d) {
    one(c);
#ifndef SECTION_NOT_OPENED
    section_open();
#endif
    one(d)
}

proctype m(byte me; bool again) {
    byte x, bias;
    bool ok, locked;
    section_open(); /* rn__enter */
    if
    :: one(0)
    :: both_at_once()
    :: one_then_other(0, 1)
    :: one_then_other(1, 0)
    fi;
    leave();
    if
    :: again -> section_open(); one(0); leave()
    :: else
    fi
}

inline any_bias(c) {
    if
    :: mem[BIAS(c)] = FRESH
    :: mem[BIAS(c)] = A
    :: mem[BIAS(c)] = B
    fi
}

init {
    atomic {
        any_bias(0);
        any_bias(1);
        run m(A, true);
        run memory(A);
#ifdef PLAIN_THREAD
        run m(THREAD, false);
        run memory(THREAD)
#else
        run m(B, false);
        run memory(B)
#endif
    }
}
