/* SPDX-License-Identifier: MIT */
/*
 * sem.pml: a semaphore's word, and those who wait for it.
 *
 *   of src/sync/sem.c: grant enqueue leave acquire_slowly rn__sem_release_slow
 *   of include/runnel/sync.h: rn_sem_try rn_sem_release
 *
 * Two units. One takes both, twice; another takes one, twice; a third takes one, once, and may give up while it waits. A waiter's own record and its
 * parking are sema.pml's: here it waits until it is posted to.
 *
 * It shows: no more is held than there is; who has both units sees what those before it wrote, and they what it wrote; nobody is
 * overtaken; nobody waits for ever, though one that held up others gives up; and who has given back for the last time does not look at the semaphore
 * again, unless somebody is found in the queue.
 *
 *   twin GIVES_BACK_RELAXED: assertion violated  (SE: what the one before wrote)
 *   twin OVERTAKES: assertion violated           (units are taken past those that wait)
 *   twin QUEUES_BLINDLY: invalid end state       (it sets QUEUED though there is room by now)
 *   twin LEAVES_AT_ONCE: invalid end state       (who gives up does not grant to those behind it)
 *   twin KEEPS_QUEUED: invalid end state         (the last one leaves the queue, and the bit stays)
 *   twin GRANTS_TOO_MUCH: assertion violated     (without a look at the room)
 *   twin LOOKS_AFTERWARDS: assertion violated    (who has given back looks at the word)
 */
#define PROCS 3
#define VARS 4
#include "memory.pml"

#define WORD 0
#define QUEUE 1 /* its lock; 1: held */
#define BOTH 2  /* written by who has both units */
#define ONE 3   /* written by the second, who has one */

#define SIZE 2
#define QUEUED 1
#define NOBODY 3

/* Under the queue's lock. */
bool in_queue[3];
byte came[3]; /* the order of the queue */
byte clock;

byte amount[3];
bool claimed[3], aborted[3], posted[3]; /* a waiter's word */

/* Ghosts. */
byte users = 3, held, written_by_both, written_by_one, ended;

#define touch() assert(users > 0)
#define before(a, b) (in_queue[a] && (!in_queue[b] || came[a] < came[b]))
#define waiting (in_queue[0] || in_queue[1] || in_queue[2])

inline first_of_queue() {
    d_step {
        if
        :: !waiting -> w = NOBODY
        :: waiting && before(0, 1) && before(0, 2) -> w = 0
        :: waiting && before(1, 0) && before(1, 2) -> w = 1
        :: waiting && before(2, 0) && before(2, 1) -> w = 2
        fi
    }
}

/* ok = taken */
inline try(n) {
    ok = false;
    do
    :: d_step { touch(); s = mem[WORD] };
        if
#ifdef OVERTAKES
        :: n > SIZE - (s >> 1) -> break
#else
        :: (s & QUEUED) || n > SIZE - (s >> 1) -> break
#endif
        :: else ->
            atomic {
                touch();
                if
                :: mem[WORD] == s -> /* SE */
                    mem[WORD] = s + 2 * n;
                    ok = true;
                    held = held + n;
                    assert(held <= SIZE && !waiting)
                :: else
                fi
            }
        fi;
        if
        :: ok -> break
        :: else
        fi
    od;
    s = 0
}

/* ok = taken; else we are in the queue */
inline enqueue(n) {
    lock(QUEUE);
    do
    :: try(n);
        if
        :: ok -> break
        :: else
        fi;
        atomic {
            touch();
            s = mem[WORD];
            if
#ifdef QUEUES_BLINDLY
            :: true ->
#else
            :: (s & QUEUED) || n > SIZE - (s >> 1) -> /* and the compare and swap, if it is not set */
#endif
                mem[WORD] = s | QUEUED;
                in_queue[me] = true;
                came[me] = clock;
                clock++;
                s = 0;
                break
#ifndef QUEUES_BLINDLY
            :: else -> s = 0
#endif
            fi
        }
    od;
    unlock(QUEUE)
}

/* wakes = those to be posted to */
inline grant() {
    do
    :: first_of_queue();
        if
        :: w == NOBODY ->
#ifndef KEEPS_QUEUED
            d_step { touch(); drain(me); mem[WORD] = mem[WORD] & ~QUEUED };
#endif
            break
        :: else
        fi;
#ifndef GRANTS_TOO_MUCH
        d_step { touch(); s = mem[WORD] };
        if
        :: amount[w] > SIZE - (s >> 1) -> break
        :: else
        fi;
#endif
        d_step {
            in_queue[w] = false;
            if
            :: !aborted[w] ->
                claimed[w] = true;
                wakes = wakes | (1 << w)
            :: else
            fi
        };
        if
        :: wakes & (1 << w) ->
            d_step {
                touch();
                drain(me);
                mem[WORD] = mem[WORD] + 2 * amount[w];
                held = held + amount[w];
                assert(held <= SIZE)
            }
        :: else
        fi
    od;
    w = 0;
    s = 0
}

inline post() {
    d_step {
        drain(me); /* SW */
        posted[0] = posted[0] || (wakes & 1);
        posted[1] = posted[1] || (wakes & 2);
        posted[2] = posted[2] || (wakes & 4);
        wakes = 0
    }
}

inline leave() {
    lock(QUEUE);
    if
    :: in_queue[me] -> in_queue[me] = false;
#ifndef LEAVES_AT_ONCE
        grant()
#endif
    :: else
    fi;
    unlock(QUEUE);
    post()
}

/* ok = taken; else it has given up */
inline acquire(n, may_give_up) {
    try(n);
    if
    :: !ok -> enqueue(n);
        if
        :: !ok ->
            if
            :: posted[me] -> d_step { posted[me] = false; claimed[me] = false; ok = true }
            :: atomic { may_give_up && !claimed[me] -> aborted[me] = true }; leave()
            fi
        :: else
        fi
    :: else
    fi
}

inline give_back(n, last) {
    d_step {
        touch();
        held = held - n;
#ifndef GIVES_BACK_RELAXED
        drain(me); /* SE */
#endif
        s = mem[WORD];
        mem[WORD] = s - 2 * n;
        users = users - last
    };
    if
    :: s & QUEUED -> s = 0;
#ifdef LOOKS_AFTERWARDS
        touch();
#endif
        lock(QUEUE);
        first_of_queue();
        if
        :: w != NOBODY -> grant()
        :: else -> w = 0
        fi;
        unlock(QUEUE);
        post()
    :: else -> s = 0
    fi
}

proctype goroutine(byte me; byte n; byte rounds; bool may_give_up) {
    byte s, w, wakes;
    bool ok;
    amount[me] = n;
    do
    :: rounds > 0 ->
        acquire(n, may_give_up);
        rounds--;
        if
        :: ok ->
            ok = false;
            assert(load(BOTH) == written_by_both);
            if
            :: n == SIZE ->
                assert(load(ONE) == written_by_one);
                d_step { written_by_both++ };
                store_relaxed(BOTH, written_by_both)
            :: n != SIZE && me == 1 ->
                d_step { written_by_one++ };
                store_relaxed(ONE, written_by_one)
            :: else
            fi;
            give_back(n, (rounds == 0))
        :: else -> users--
        fi
    :: else -> break
    od;
    ended++
}

init {
    atomic {
        run goroutine(0, 2, 2, false);
        run memory(0);
        run goroutine(1, 1, 2, false);
        run memory(1);
        run goroutine(2, 1, 1, true);
        run memory(2)
    };
    ended == 3;
    assert(users == 0 && held == 0)
}
