/* SPDX-License-Identifier: MIT */
/*
 * mutex.pml: a mutex's word, and those who wait for it.
 *
 *   of src/sync/mutex.c: take mark enqueue wait_for choose pass_on rn__mutex_lock_slow rn__mutex_unlock_slow
 *   of include/runnel/sync.h: rn_mutex_lock rn_mutex_unlock
 *
 * Three lock and unlock it, the first two of them twice. Whether a waiter has waited for a millisecond is up to chance. Its own record and
 * its parking are sema.pml's: here it waits until it is posted to.
 *
 * It shows: one holds it at a time, and sees what the one before wrote; nobody waits for ever; who has it handed is the next that has it;
 * and who has unlocked it for the last time does not look at it again.
 *
 *   twin UNLOCKS_RELAXED: assertion violated    (MX: what the one before wrote)
 *   twin PASSES_ON_RELAXED: assertion violated  (the same, where somebody waits)
 *   twin QUEUES_BLINDLY: invalid end state      (it sets QUEUED though the mutex is free by now)
 *   twin LETS_GO_FIRST: assertion violated      (and then looks who waits: it is another's by then, or gone)
 *   twin HANDS_OVER_UNLOCKED: assertion violated     (it is the waiter's, and is not LOCKED)
 *   twin FORGETS_THE_OTHERS: invalid end state  (who is taken out of the queue is not told that there are more)
 *   twin FORGETS_WHEN_TAKING: invalid end state (it was told, and does not set QUEUED)
 *   twin LOOKS_AFTERWARDS: assertion violated   (who has unlocked it looks at the word)
 */
#define PROCS 3
#define VARS 3
#include "memory.pml"

#define WORD 0
#define DATA 1  /* what the mutex protects */
#define QUEUE 2 /* its lock; 1: held */

#define LOCKED 1
#define QUEUED 2

#define NOBODY 3

/* Under the queue's lock. */
bool in_queue[3];
byte since[3]; /* when it came first: the order of the queue */

/* Records of waiters, between one in the queue and the one who takes it out. */
bool owner[3], posted[3];
byte more[3];

/* Ghosts. */
byte clock, starved; /* those that came before that have waited for a millisecond */
byte written; /* to DATA */
byte users = 3;
bool inside;
byte ended;

#define touch() assert(users > 0)
#define before(a, b) (in_queue[a] && (!in_queue[b] || since[a] < since[b]))

inline first_of_queue(w, n) {
    d_step {
        n = in_queue[0] + in_queue[1] + in_queue[2];
        if
        :: n == 0 -> w = NOBODY
        :: n > 0 && before(0, 1) && before(0, 2) -> w = 0
        :: n > 0 && before(1, 0) && before(1, 2) -> w = 1
        :: n > 0 && before(2, 0) && before(2, 1) -> w = 2
        fi
    }
}

/* ok = compare and swap of the word */
inline cas_word(from, new) {
    d_step {
        touch();
        ok = (mem[WORD] == from);
        mem[WORD] = (ok -> new : mem[WORD])
    }
}

/* ok = it is ours now */
inline take(bits) {
    d_step { touch(); s = mem[WORD] };
    if
#ifdef FORGETS_WHEN_TAKING
    :: s == 0 -> cas_word(0, LOCKED)
#else
    :: s == 0 -> cas_word(0, LOCKED | bits)
#endif
    :: else -> ok = false
    fi;
    s = 0
}

/* ok = QUEUED is set, and we are in the queue: others look there under its lock */
inline mark() {
    d_step { touch(); s = mem[WORD] };
    if
    :: s & QUEUED -> ok = true
#ifdef QUEUES_BLINDLY
    :: !(s & QUEUED) -> cas_word(s, s | QUEUED)
#else
    :: s == LOCKED -> cas_word(s, s | QUEUED)
    :: s == 0 -> ok = false
#endif
    fi;
    d_step { in_queue[me] = ok; s = 0 }
}

/* ok = it is ours now; else we are in the queue */
inline enqueue() {
    lock(QUEUE);
    do
    :: take(more[me]);
        if
        :: ok -> break
        :: else
        fi;
        mark();
        if
        :: ok -> ok = false; break
        :: else
        fi
    od;
    unlock(QUEUE)
}

inline wait_for() {
    d_step { since[me] = clock; clock++ };
    do
    :: enqueue();
        if
        :: ok -> break
        :: else
        fi;
        posted[me];
        d_step { posted[me] = false; ok = owner[me]; owner[me] = false };
        if
        :: ok -> break
        :: else
        fi;
        take(more[me]);
        if
        :: ok -> break
        :: else
        fi
    od;
    more[me] = 0
}

inline mutex_lock() {
    d_step { touch(); ok = !(mem[WORD] & LOCKED); mem[WORD] = mem[WORD] | LOCKED }; /* in line */
    if
    :: !ok ->
        take(0);
        if
        :: !ok -> wait_for()
        :: else
        fi
    :: else
    fi;
    ok = false
}

/* to = what the word becomes */
inline choose() {
    if
    :: since[w] < starved -> own = true
    :: since[w] >= starved -> d_step { own = true; starved = since[w] + 1 }
    :: since[w] >= starved -> own = false
    fi;
#ifndef FORGETS_THE_OTHERS
    more[w] = (n > 1 -> QUEUED : 0);
#endif
#ifndef HANDS_OVER_UNLOCKED
    to = (own -> LOCKED | more[w] : 0)
#endif
}

/* The word is in memory at once: others who write to it before, write what it is already. */
inline pass_on(last) {
    lock(QUEUE);
    first_of_queue(w, n);
    if
    :: w != NOBODY -> choose(); d_step { in_queue[w] = false; owner[w] = own }
    :: else
    fi;
    d_step {
        touch();
#ifndef PASSES_ON_RELAXED
        drain(me); /* MX */
#endif
        mem[WORD] = to;
        users = users - last
    };
    unlock(QUEUE);
    if
    :: w != NOBODY -> d_step { drain(me); posted[w] = true } /* SW */
    :: else
    fi;
    d_step { own = false; w = 0; n = 0; to = 0 }
}

inline mutex_unlock(last) {
    d_step {
        touch();
        ok = (mem[WORD] == LOCKED);
#ifndef UNLOCKS_RELAXED
        if
        :: ok -> drain(me) /* MX */
        :: else
        fi;
#endif
        assert(mem[WORD] & LOCKED);
#ifdef LETS_GO_FIRST
        mem[WORD] = mem[WORD] - LOCKED;
#else
        mem[WORD] = (ok -> 0 : mem[WORD]);
#endif
        users = users - (ok -> last : 0)
    };
    if
    :: !ok -> pass_on(last)
    :: else
    fi;
    ok = false;
#ifdef LOOKS_AFTERWARDS
    touch()
#endif
}

proctype goroutine(byte me; byte rounds) {
    byte s, w, n, to;
    bool ok, own;
    do
    :: rounds > 0 ->
        mutex_lock();
        atomic { assert(!inside); inside = true };
        assert(load(DATA) == written);
        d_step { written = (written + 1) % 8 };
        store_relaxed(DATA, written);
        inside = false;
        rounds--;
        mutex_unlock((rounds == 0))
    :: else -> break
    od;
    ended++
}

init {
    atomic {
        run goroutine(0, 2);
        run memory(0);
        run goroutine(1, 2);
        run memory(1);
        run goroutine(2, 1);
        run memory(2)
    };
    ended == 3;
    assert(users == 0)
}
