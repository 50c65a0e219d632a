/* SPDX-License-Identifier: MIT */
/*
 * alarm.pml: the alarm of a select with a time, that may ring before the select has parked, and a sender.
 *
 *   of src/chan/select.c: ring unlock_parked wait withdraw conclude wait_timed
 *   of src/sched/proc.c: rn__ready_late rn__parked rn__ready_on rn__park_late
 *
 * One channel, under its lock; one select that found nothing at its first look and has armed its alarm; the alarm, which rings at any
 * time, with the heap's lock; a sender that may come before it, in between, or never. A sender that finds no waiter is gone: the select
 * would have seen its value at its look. What the far side of the switch does is the select's, as in C.
 *
 * It shows: the select is woken once, when it is off its stack, by one of the two; it does not wait for ever; nobody
 * touches it afterwards; and its state is not written over once it is ready.
 *
 *   twin NO_LOOK: invalid end state                  (the select does not look at rang)
 *   twin STORES_RELAXED: invalid end state           (select_done = 0 may come late, and the look at rang early)
 *   twin READY_AT_ONCE: assertion violated           (G1, G2: the alarm does not wait until it is off its stack)
 *   twin PARKED_AFTER_UNLOCK: assertion violated     (the channel is unlocked before the state is stored)
 *   twin NOT_DISARMED: assertion violated            (the select's record goes while the alarm may ring)
 */
#define PROCS 3
#define VARS 5
#include "memory.pml"

/* Processes, by `me`; words. */
#define SELECT 0
#define ALARM 1
#define SENDER 2

#define DONE 0  /* g->select_done */
#define RANG 1  /* s->rang */
#define STATE 2 /* g->state */
#define CHAN 3  /* the channel's lock */
#define HEAP 4  /* the heap's */

#define RUNNING 0
#define WAITING 1
#define RUNNABLE 2

bool armed = true; /* under the heap's lock */
bool queued;       /* the select's waiter; under the channel's lock */

/* Ghosts. */
bool gone;    /* the select's record */
byte readied, by_alarm, by_sender;

#define touch() assert(!gone)

/* rn__ready_on */
inline ready() {
    assert(load(STATE) == WAITING);
    store_relaxed(STATE, RUNNABLE);
    fence(); /* into a queue, from where its lock or the claim brings it to who runs it */
    readied++
}

/* ---- the select ---- */

inline unlock_parked() {
#ifdef PARKED_AFTER_UNLOCK
    unlock(CHAN);
    store_release(STATE, WAITING)
#else
    store_release(STATE, WAITING); /* G2 */
    unlock(CHAN)
#endif
}

inline withdraw() {
    lock(CHAN);
    queued = false;
    unlock(CHAN)
}

proctype select_(byte me) {
    byte x;
    bool ok;
    lock(CHAN);
    queued = true;
#ifdef STORES_RELAXED
    store_relaxed(DONE, 0);
    x = load(RANG);
#else
    store_seq_cst(DONE, 0);
#ifndef NO_LOOK
    load_seq_cst(x, RANG);
#endif
#endif
    if
    :: x == 1 -> cas(ok, DONE, 0, 1)
    :: else
    fi;
    if
    :: ok -> unlock(CHAN); by_alarm++
    :: else ->
        unlock_parked();
        readied == 1; /* parked */
        assert(mem[STATE] == RUNNABLE && slot(SELECT, STATE) == EMPTY);
        store_relaxed(STATE, RUNNING)
    fi;
    if
    :: by_sender == 0 -> withdraw() /* the channel that served it is not touched */
    :: else
    fi;
#ifndef NOT_DISARMED
    lock(HEAP);
    armed = false;
    unlock(HEAP);
#endif
    gone = true;
    assert(readied <= 1 && by_alarm + by_sender == 1 && !queued)
}

/* ---- the alarm ---- */

proctype alarm(byte me) {
    byte x;
    bool ok;
    lock(HEAP);
    if
    :: armed ->
        armed = false;
        touch();
        store_seq_cst(RANG, 1);
        touch();
        cas(ok, DONE, 0, 1);
        if
        :: ok ->
            by_alarm++;
#ifndef READY_AT_ONCE
            load(STATE) == WAITING; /* rn__ready_late. G1 */
#endif
            ready()
        :: else
        fi
    :: else
    fi;
    unlock(HEAP)
}

/* ---- a sender ---- */

proctype sender(byte me) {
    bool ok;
    lock(CHAN);
    if
    :: queued ->
        queued = false;
        cas(ok, DONE, 0, 1)
    :: else
    fi;
    if
    :: ok -> by_sender++
    :: else
    fi;
    unlock(CHAN);
    if
    :: ok -> ready()
    :: else
    fi
}

init {
    atomic {
        mem[DONE] = 1;
        run select_(SELECT);
        run memory(SELECT);
        run alarm(ALARM);
        run memory(ALARM);
        if
        :: run sender(SENDER); run memory(SENDER)
        :: true
        fi
    }
}
