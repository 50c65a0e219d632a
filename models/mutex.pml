/* SPDX-License-Identifier: MIT */
/*
 * mutex.pml: a mutex's word, and those who wait for it.
 *
 *   of src/sync/mutex.c: take enqueue wait_for choose pass_on rn__mutex_lock_slow rn__mutex_unlock_slow
 *   of include/runnel/sync.h: rn_mutex_lock rn_mutex_unlock
 *
 * Three lock and unlock it, the first two of them twice. Whether a waiter has waited for a millisecond is up to chance. Its own record and
 * its parking are sema.pml's: here it waits until it is posted to.
 *
 * It shows: one holds it at a time, and sees what the one before wrote; nobody waits for ever; who was promised it next (STARVING) has it
 * next; and who has unlocked it for the last time does not look at it again, unless somebody is found in the queue.
 *
 *   twin UNLOCKS_RELAXED: assertion violated    (MX: what the one before wrote)
 *   twin TAKES_WHILE_STARVING: assertion violated    (somebody barges in after the promise)
 *   twin QUEUES_BLINDLY: invalid end state      (it sets QUEUED though the mutex is free by now)
 *   twin KEEPS_WOKEN: invalid end state         (who was woken and lost queues again, and leaves WOKEN)
 *   twin HANDS_OVER_UNLOCKED: assertion violated     (it is the waiter's, and is not LOCKED)
 *   twin FORGETS_THE_OTHERS: invalid end state  (who takes one out of the queue clears QUEUED)
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
#define WOKEN 4
#define STARVING 8
#ifdef TAKES_WHILE_STARVING
#define TAKEN LOCKED
#else
#define TAKEN (LOCKED | STARVING)
#endif

#define NOBODY 3

/* Under the queue's lock. */
bool in_queue[3];
byte since[3]; /* when it came first: the order of the queue */

/* Records of waiters, between one in the queue and the one who takes it out. */
bool owner[3], posted[3];

/* Ghosts. */
byte clock, starved; /* those that came before that have waited for a millisecond */
byte written; /* to DATA */
byte users = 3;
bool inside, promised;
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

/* What becomes true with a compare and swap. */
#define TAKES 0
#define QUEUES 1
#define CHOOSES 2
#define PROMISES 3

/* ok = compare and swap of the word, acquire */
inline cas_word(from, new, what) {
    atomic {
        touch();
        if
        :: mem[WORD] == from ->
            mem[WORD] = new;
            ok = true;
            assert(!promised || what != TAKES && (what != CHOOSES || own));
            in_queue[me] = (what == QUEUES -> true : in_queue[me]);
            promised = (what == PROMISES -> true : (what == CHOOSES -> false : promised))
        :: else -> ok = false
        fi
    }
}

/* ok = it is ours now */
inline take(woken_bit) {
    ok = false;
    do
    :: d_step { touch(); s = mem[WORD] };
        if
        :: s & TAKEN -> break
        :: else -> cas_word(s, (s | LOCKED) & ~woken_bit, TAKES)
        fi;
        if
        :: ok -> break
        :: else
        fi
    od;
    s = 0
}

/* ok = it is ours now; else we are in the queue */
inline enqueue() {
    lock(QUEUE);
    do
    :: take(woken);
        if
        :: ok -> break
        :: else
        fi;
        d_step { touch(); s = mem[WORD] };
        if
#ifdef QUEUES_BLINDLY
        :: true -> d_step { mem[WORD] = (mem[WORD] | QUEUED) & ~woken; in_queue[me] = true }; break
#else
        :: s & TAKEN ->
#ifdef KEEPS_WOKEN
            cas_word(s, s | QUEUED, QUEUES);
#else
            cas_word(s, (s | QUEUED) & ~woken, QUEUES);
#endif
            if
            :: ok -> ok = false; break
            :: else
            fi
        :: else
#endif
        fi
    od;
    s = 0;
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
        take(WOKEN);
        if
        :: ok -> break
        :: else
        fi;
        woken = WOKEN
    od;
    woken = 0;
    ok = false
}

inline mutex_lock() {
    cas_word(0, LOCKED, TAKES); /* in line */
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

/* ok = w is to be taken out */
inline choose() {
    if
    :: since[w] < starved -> own = true
    :: since[w] >= starved -> d_step { own = true; starved = since[w] + 1 }
    :: since[w] >= starved -> own = false
    fi;
#ifdef FORGETS_THE_OTHERS
    more = 0;
#else
    more = (n > 1 -> QUEUED : 0);
#endif
#ifdef HANDS_OVER_UNLOCKED
    to = more;
#else
    to = (own -> more | LOCKED : (more -> more | WOKEN : 0));
#endif
    do
    :: d_step { touch(); s = mem[WORD] };
        if
        :: s & WOKEN -> ok = false; break
        :: !(s & (WOKEN | LOCKED)) ->
            cas_word(s, to, CHOOSES);
            if
            :: ok -> break
            :: else
            fi
        :: (s & LOCKED) && !(s & WOKEN) && !own -> ok = false; break
        :: (s & LOCKED) && !(s & WOKEN) && own ->
            cas_word(s, s | STARVING, PROMISES);
            if
            :: ok -> ok = false; break
            :: else
            fi
        fi
    od;
    s = 0;
    more = 0;
    to = 0
}

inline pass_on() {
    lock(QUEUE);
    first_of_queue(w, n);
    if
    :: w != NOBODY ->
        choose();
        if
        :: ok ->
            d_step { in_queue[w] = false; owner[w] = own }
        :: else
        fi
    :: else -> ok = false
    fi;
    unlock(QUEUE);
    if
    :: ok -> d_step { drain(me); posted[w] = true } /* SW */
    :: else
    fi;
    d_step { ok = false; own = false; w = 0; n = 0 }
}

inline mutex_unlock(last) {
    d_step {
        touch();
#ifndef UNLOCKS_RELAXED
        drain(me); /* MX */
#endif
        s = mem[WORD];
        mem[WORD] = s - LOCKED;
        users = users - last
    };
    assert(s & LOCKED);
    if
    :: (s & QUEUED) && !(s & WOKEN) -> s = 0;
#ifdef LOOKS_AFTERWARDS
        touch();
#endif
        pass_on()
    :: else -> s = 0
    fi
}

proctype goroutine(byte me; byte rounds) {
    byte s, woken, w, n, more, to;
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
