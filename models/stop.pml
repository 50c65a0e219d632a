/* SPDX-License-Identifier: MIT */
/*
 * stop.pml: plain threads, while the world stands still.
 *
 *   of src/sched/start.c: roams anybody_roams keep_threads_out rn__world_stop rn__world_start
 *   of src/sched/claim.c: wait_out_stop enter_foreign
 *   of src/sched/thread.c: blocked rn__thread_park rn__thread_ready
 *
 * Two threads come inside now and then, and use a channel under its lock. The first may sleep there, and uses the channel once more when it
 * is awake, as a select does; the second makes it ready. A third stops the world twice, and looks at the channel without its lock.
 * How long it waits for one who is inside is left out: it waits for ever.
 *
 * It shows: while the world stands nobody uses the channel, and who made it stand sees what was done before; and nobody waits for ever, but
 * who sleeps and is not made ready.
 *
 *   check FULL_FENCES
 *   twin NO_HEAVY_FENCE: assertion violated     (WS: it enters, and is seen outside)
 *   twin ONE_BY_ONE: assertion violated         (who was asleep when it was looked at is woken by who was still inside)
 *   twin ASLEEP_IS_OUT: assertion violated      (the same: it was asleep, and is not looked at again)
 *   twin NO_SECOND_LOOK: assertion violated     (it waited for the end of one stop, and enters during the next)
 */
#define PROCS 3
#define VARS 6
#include "memory.pml"

/* Processes, by `me`; words. */
#define STOPPING 2

#define INSIDE(m) (m) /* m->inside: OUTSIDE or OP */
#define STOPPER 2
#define SCHED 3 /* sched.lock */
#define LOCK 4  /* the channel's */
#define CHAN 5

#define OUTSIDE 0
#define OP 1

/* Under sched.lock. */
bool asleep[2];

/* The stopper's own. */
bool kept_out[2];

/* Ghosts. */
bool stands;
byte truth; /* of CHAN */

inline use() {
    lock(LOCK);
    atomic { assert(!stands); assert(load(CHAN) == truth); x = (truth + 1) % 3; truth = x; store_relaxed(CHAN, x); x = 0 }
    unlock(LOCK)
}

/* ---- threads ---- */

inline section_open() {
    store_relaxed(INSIDE(me), OP);
    light() /* WS */
}

inline leave() { store_release(INSIDE(me), OUTSIDE) } /* WS */

inline enter() {
    section_open();
    do
    :: load_seq_cst(x, STOPPER);
        if
        :: x == 0 -> break
        :: else ->
            x = 0;
            leave();
            load(STOPPER) == 0;
            section_open()
#ifdef NO_SECOND_LOOK
            ;
            break
#endif
        fi
    od
}

inline sleep() {
    lock(SCHED);
    asleep[me] = true;
    unlock(SCHED);
end_asleep:
    !asleep[me]
}

inline wake(other) {
    lock(SCHED);
    asleep[other] = false;
    unlock(SCHED)
}

proctype sleeper(byte me) {
    byte x;
    byte rounds = 2;
    do
    :: rounds > 0 ->
        enter();
        use();
        if
        :: sleep(); use()
        :: true
        fi;
        leave();
        rounds--
    :: else -> break
    od
}

proctype waker(byte me) {
    byte x;
    byte rounds = 2;
    do
    :: rounds > 0 ->
        enter();
        use();
        if
        :: wake(0)
        :: true
        fi;
        leave();
        rounds--
    :: else -> break
    od
}

/* ---- who stops the world ---- */

inline look(m) {
    if
    :: !kept_out[m] && load(INSIDE(m)) == OUTSIDE -> kept_out[m] = true
    :: !kept_out[m] && load(INSIDE(m)) != OUTSIDE ->
#ifdef ASLEEP_IS_OUT
        kept_out[m] = asleep[m];
#endif
        roaming = roaming || !asleep[m]
    :: kept_out[m]
    fi
}

inline one_by_one(m) {
    do
    :: roaming = false; lock(SCHED); look(m); unlock(SCHED);
        if
        :: !roaming -> break
        :: else
        fi
    od
}

inline keep_threads_out() {
    d_step { kept_out[0] = false; kept_out[1] = false };
    store_seq_cst(STOPPER, 1);
    heavy(); /* WS */
#ifdef ONE_BY_ONE
    one_by_one(0);
    one_by_one(1)
#else
    do
    :: roaming = false;
        lock(SCHED);
        look(0);
        look(1);
        unlock(SCHED);
        if
        :: !roaming -> break
        :: else
        fi
    od
#endif
}

proctype stopper(byte me) {
    bool roaming;
    byte stops = 2;
    do
    :: stops > 0 ->
        keep_threads_out();
        stands = true;
        assert(load(CHAN) == truth);
        stands = false;
        store_seq_cst(STOPPER, 0);
        stops--
    :: else -> break
    od
}

init {
    atomic {
        run sleeper(0);
        run memory(0);
        run waker(1);
        run memory(1);
        run stopper(2);
        run memory(2)
    }
}
