/* SPDX-License-Identifier: MIT */
/*
 * rwmutex.pml: the word of a lock for readers and a writer, and those who wait for it.
 *
 *   of src/sync/rwmutex.c: enqueue wait_for hand_to_writer let_in pass_on rn__rwmutex_runlock_slow rn__rwmutex_unlock_slow
 *   of include/runnel/sync.h: rn_rwmutex_try_rlock rn_rwmutex_try_lock rn_rwmutex_runlock rn_rwmutex_unlock
 *
 * Two readers and two writers; one of each comes twice. A waiter's own record and its parking are sema.pml's: here it waits until it is
 * posted to.
 *
 * It shows: a writer is alone; readers see what writers wrote, and writers what readers did; nobody waits for ever; who waits is not overtaken
 * by who comes, nor by a second writer if it reads; and who has unlocked it for the last time does not look at it again, unless somebody waits.
 *
 *   twin WRITES_RELAXED: assertion violated       (RW1: what the writer wrote)
 *   twin READS_RELAXED: assertion violated        (RW2: what a reader did, for the next writer)
 *   twin OVERTAKES: assertion violated            (readers come in past a writer that waits)
 *   twin QUEUES_BLINDLY: invalid end state        (it sets QUEUED though nobody is inside by now)
 *   twin HANDS_OVER_EARLY: assertion violated     (a reader that is not the last hands over)
 *   twin FORGETS_THE_OTHERS: invalid end state    (who hands over clears QUEUED)
 *   twin WRITERS_FIRST: assertion violated        (a writer hands over to a writer while readers wait)
 *   twin LOOKS_AFTERWARDS: assertion violated     (who has unlocked it looks at the word)
 */
#define PROCS 4
#define VARS 4
#include "memory.pml"

#define WORD 0
#define QUEUE 1 /* its lock; 1: held */
#define DATA 2  /* written by writers */
#define READ 3  /* written by the first reader, while it is inside */

/* Processes: 0 and 1 write, 2 and 3 read. */
#define writes(p) ((p) < 2)

#define WRITER 1
#define QUEUED 2
#define READER 4

/* Under the queue's lock. */
bool in_queue[4];
bool first; /* of both writers: who came first */

bool posted[4]; /* a waiter's word */

/* Ghosts. */
byte users = 4, readers, writers, written, was_read, ended;

#define touch() assert(users > 0)
#define writer_waits (in_queue[0] || in_queue[1])
#define reader_waits (in_queue[2] || in_queue[3])

inline comes_in(p) {
    if
    :: writes(p) -> writers++
    :: else -> readers++
    fi;
    assert(writers + (readers > 0) <= 1)
}

/* ok = it is in */
inline try() {
    ok = false;
    do
    :: d_step { touch(); s = mem[WORD] };
        if
        :: writes(me) && s != 0 -> break
#ifdef OVERTAKES
        :: !writes(me) && (s & WRITER) -> break
#else
        :: !writes(me) && (s & (WRITER | QUEUED)) -> break
#endif
        :: else ->
            atomic {
                touch();
                if
                :: mem[WORD] == s -> /* RW1, RW2 */
                    mem[WORD] = s + (writes(me) -> WRITER : READER);
                    assert(!writer_waits && !reader_waits);
                    ok = true;
                    comes_in(me)
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

/* ok = it is in; else it is in the queue */
inline enqueue() {
    lock(QUEUE);
    do
    :: try();
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
            :: (s & QUEUED) || (s & (writes(me) -> WRITER | READER | 8 | 16 : WRITER)) -> /* and the compare and swap */
#endif
                mem[WORD] = s | QUEUED;
                first = (me == 0 && !in_queue[1] -> 0 : (me == 1 && !in_queue[0] -> 1 : first));
                in_queue[me] = true;
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

inline come_in() {
    try();
    if
    :: !ok -> enqueue();
        if
        :: !ok -> d_step { posted[me] -> posted[me] = false }
        :: else
        fi
    :: else
    fi;
    ok = false
}

#ifdef FORGETS_THE_OTHERS
#define queued 0
#else
#define queued (writer_waits || reader_waits -> QUEUED : 0)
#endif

/* What the word becomes is stored: nobody but us changes it. */
inline hand_to_writer() {
    assert(writer_waits);
    d_step {
        touch();
        w = first;
        first = !first;
        in_queue[w] = false;
        wakes = wakes | (1 << w);
        comes_in(w);
        s = WRITER | queued
    };
    store_release(WORD, s);
    s = 0;
    w = 0
}

inline let_in() {
    d_step {
        touch();
        n = in_queue[2] + in_queue[3];
#ifdef WRITERS_FIRST
        n = (writer_waits -> 0 : n);
#endif
        assert(n > 0 || !reader_waits)
    };
    if
    :: n > 0 ->
        d_step {
            wakes = wakes | (in_queue[2] -> 4 : 0) | (in_queue[3] -> 8 : 0);
            if
            :: in_queue[2] -> comes_in(2)
            :: else
            fi;
            if
            :: in_queue[3] -> comes_in(3)
            :: else
            fi;
            in_queue[2] = false;
            in_queue[3] = false;
            s = n * READER + queued
        };
        store_release(WORD, s)
    :: else -> hand_to_writer()
    fi;
    s = 0;
    n = 0
}

inline post() {
    d_step {
        drain(me); /* SW */
        posted[0] = posted[0] || (wakes & 1);
        posted[1] = posted[1] || (wakes & 2);
        posted[2] = posted[2] || (wakes & 4);
        posted[3] = posted[3] || (wakes & 8);
        wakes = 0
    }
}

inline go_out(last) {
    d_step {
        touch();
        if
        :: writes(me) ->
            writers--;
#ifndef WRITES_RELAXED
            drain(me); /* RW1 */
#endif
        :: else ->
            readers--;
#ifndef READS_RELAXED
            drain(me); /* RW2 */
#endif
        fi;
        s = mem[WORD];
        mem[WORD] = s - (writes(me) -> WRITER : READER);
        users = users - last
    };
#ifdef LOOKS_AFTERWARDS
    if
    :: s & QUEUED
    :: else -> touch()
    fi;
#endif
    if
    :: writes(me) && s != WRITER -> lock(QUEUE); let_in(); unlock(QUEUE); post()
#ifdef HANDS_OVER_EARLY
    :: !writes(me) && (s & QUEUED) ->
#else
    :: !writes(me) && s == (READER | QUEUED) ->
#endif
        lock(QUEUE);
        hand_to_writer();
        unlock(QUEUE);
        post()
    :: else
    fi;
    s = 0
}

proctype goroutine(byte me; byte rounds) {
    byte s, w, n, wakes;
    bool ok;
    do
    :: rounds > 0 ->
        come_in();
        rounds--;
        assert(load(DATA) == written);
        if
        :: writes(me) ->
            assert(load(READ) == was_read);
            d_step { written++ };
            store_relaxed(DATA, written)
        :: me == 2 ->
            d_step { was_read++ };
            store_relaxed(READ, was_read)
        :: else
        fi;
        go_out((rounds == 0))
    :: else -> break
    od;
    ended++
}

init {
    atomic {
        run goroutine(0, 2);
        run memory(0);
        run goroutine(1, 1);
        run memory(1);
        run goroutine(2, 2);
        run memory(2);
        run goroutine(3, 1);
        run memory(3)
    };
    ended == 4;
    assert(users == 0 && readers == 0 && writers == 0)
}
