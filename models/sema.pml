/* SPDX-License-Identifier: MIT */
/*
 * sema.pml: a waiter's word, in sync: it is woken once, and not touched afterwards.
 *
 *   of src/sync/sema.c: claim rn__sema_claim rn__sema_take post rn__sema_abort time_out off_stack rn__sema_wait
 *
 * A primitive of two units that two wakers bring; each gives its unit to the waiter if that is queued and can be claimed, else it puts it
 * into the state. A timer's function and a context's cancel may abort the wait; each runs under a lock that the waiter
 * takes before its record goes. The queue's lock makes one step of what is done under it.
 *
 * It shows: the waiter is made ready once, when it is off its stack, or not at all if it did not park; no unit is lost; it sees what the
 * waker wrote; nobody touches its record once it is gone; and it does not wait for ever.
 *
 *   check NOT_ABORTABLE
 *   twin OFF_STACK_BLINDLY: invalid end state        (SW: it parks without a look at POSTED)
 *   twin POSTS_BLINDLY: invalid end state            (SW: who posts does not look at PARKED)
 *   twin POST_RELAXED: assertion violated            (SW: what the waker wrote)
 *   twin CLAIMS_PLAINLY: assertion violated          (an abortable waiter is claimed without its word)
 *   twin ABORTS_CLAIMED: assertion violated          (an abort does not look at CLAIMED)
 *   twin ABORTED_NOT_POSTED: invalid end state       (ABORTED and POSTED come in two steps, the second is forgotten)
 *   twin TOUCHED_AFTERWARDS: assertion violated      (who has posted looks at the record again)
 *   twin NOT_DISARMED: assertion violated            (the record goes while an abort may come)
 */
#define PROCS 5
#define VARS 3
#include "memory.pml"

/* Processes, by `me`; words. */
#define WAITER 0
#define WAKER1 1
#define WAKER2 2
#define TIMER 3
#define CANCEL 4

#define WORD 0
#define RESULT 1 /* w->result */
#define QUEUE 2  /* its lock; 1: held */

#define CLAIMED 1
#define ABORTED 2
#define POSTED 4
#define PARKED 8

bool queued = true; /* rn__sema_push has been; under the queue's lock */
byte units;  /* in the state; the same */
bool lock_of[2]; /* of the timer's heap; of the context */

/* Ghosts. */
bool gone;          /* the waiter's record */
bool off;           /* the waiter is off its stack and waits to be made ready */
byte readied, given, ended;

#define touch() assert(!gone)

/* old = the word before */
inline or_word(bits) { d_step { touch(); drain(me); old = mem[WORD]; mem[WORD] = mem[WORD] | bits } }
inline cas_word(from, to) { touch(); cas(ok, WORD, from, to) }

inline ready() {
    atomic {
        assert(off && readied == 0);
        readied++
    }
}

/* ---- the waiter ---- */

/* Runs on the far side of the switch, so the waiter may go on meanwhile; `me` is still its M. */
inline off_stack() {
    off = true;
    or_word(PARKED); /* SW */
#ifndef OFF_STACK_BLINDLY
    if
    :: old & POSTED -> ready()
    :: else
    fi;
#endif
    old = 0
}

proctype waiter(byte me) {
    byte old;
    if
    :: load(WORD) & POSTED /* SW */
    :: else ->
        off_stack();
        readied == 1 /* parked */
    fi;
#ifndef NOT_DISARMED
    d_step { !lock_of[0] -> lock_of[0] = true }; /* rn__timer_disarm: none begins after this */
    d_step { !lock_of[1] -> lock_of[1] = true };
#endif
    if
    :: load(WORD) & ABORTED -> /* SW */
        atomic { mem[QUEUE] == 0 -> queued = false } /* it takes itself out */
    :: else ->
        assert(load(RESULT) == 1);
        given++
    fi;
    gone = true;
    ended++
}

/* ---- wakers ---- */

/* ok = it is ours */
inline claim() {
#if defined(CLAIMS_PLAINLY) || defined(NOT_ABORTABLE)
    ok = true
#else
    cas_word(0, CLAIMED);
    if
    :: !ok -> cas_word(PARKED, PARKED | CLAIMED)
    :: else
    fi
#endif
}

inline post() {
#ifdef POST_RELAXED
    d_step { touch(); old = mem[WORD]; mem[WORD] = mem[WORD] | POSTED };
#else
    or_word(POSTED); /* SW */
#endif
    if
#ifdef POSTS_BLINDLY
    :: false
#else
    :: old & PARKED -> ready()
#endif
    :: else
    fi;
#ifdef TOUCHED_AFTERWARDS
    touch();
#endif
    old = 0
}

proctype waker(byte me) {
    byte old;
    bool ok;
    lock(QUEUE);
    if
    :: queued -> touch(); queued = false; claim() /* rn__sema_take */
    :: else
    fi;
    if
    :: !ok -> units++
    :: else -> store_relaxed(RESULT, 1)
    fi;
    unlock(QUEUE);
    if
    :: ok -> post()
    :: else
    fi;
    ended++
}

/* ---- aborters ---- */

inline sema_abort() {
    touch();
    old = load(WORD);
    do
    :: d_step { old & (CLAIMED | ABORTED) -> old = 0 }; break
#ifdef ABORTS_CLAIMED
    :: true ->
#else
    :: !(old & (CLAIMED | ABORTED)) ->
#endif
#ifdef ABORTED_NOT_POSTED
        cas_word(old, old | ABORTED);
#else
        cas_word(old, old | ABORTED | POSTED); /* SW */
#endif
        if
        :: ok && (old & PARKED) -> ready(); break
        :: ok && !(old & PARKED) -> break
        :: else -> touch(); old = load(WORD)
        fi
    od
}

proctype aborter(byte me; byte l) {
    byte old;
    bool ok;
    if
    :: atomic { !lock_of[l] -> lock_of[l] = true };
        sema_abort();
        lock_of[l] = false
    :: true /* not this time */
    fi
}

init {
    atomic {
        run waiter(WAITER);
        run memory(WAITER);
        run waker(WAKER1);
        run memory(WAKER1);
        run waker(WAKER2);
        run memory(WAKER2);
#ifndef NOT_ABORTABLE
        run aborter(TIMER, 0);
        run aborter(CANCEL, 1)
#endif
    };
    ended == 3;
    assert(units + given == 2)
}
