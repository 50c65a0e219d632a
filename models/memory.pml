/* SPDX-License-Identifier: MIT */
/*
 * memory.pml: the memory that the models run on, weaker than Spin's own. Included by each, after it has said PROCS (processes with
 * stores of their own) and VARS (shared words, of 0 to 14); a process knows itself by `me`, 0 to PROCS - 1.
 *
 * Each process has a store buffer with a place for each word. A store goes there, and from there to memory some time later. So a later
 * load may overtake an earlier store, as on x86; and later stores may overtake earlier ones, as on Arm and RISC-V, but for what the
 * orders of src/base/atomic.h forbid:
 *   store_relaxed    not before stores that came before an earlier release
 *   store_release    after all earlier stores
 *   store_seq_cst    the same, and before the process's next load_seq_cst
 *   cas              in memory at once, after all earlier stores
 *   cas_acquire      in memory at once; earlier stores to other words may still be under way
 *   light, heavy     os/barrier.h. light: nothing; heavy: empties the process's own buffer, then those of all, one after the other, as
 *                    membarrier(2) does. With FULL_FENCES (a kernel that has no membarrier) each empties its own process's.
 * NO_HEAVY_FENCE leaves heavy as a full fence of its own process alone: the broken twin of every protocol with a light side.
 *
 * What this memory does not show: loads that overtake earlier loads, so an acquire is as good as relaxed here; for these the pairs of
 * labels in C and TSan stand. And a read-modify-write is in memory before the next load, as on x86.
 *
 * Ghosts are plain variables of Spin's, which all see at once; they hold what is true, for assertions.
 *
 * A place in a buffer: the value; an epoch, as only those of epoch 0 may go; and whether the store is seq_cst. A release begins an epoch.
 */
#define EMPTY 255
#define SC 128
#define EPOCH 16

byte mem[VARS];
byte buf[PROCS * VARS] = EMPTY;
hidden byte v_, e_, n_;

#define slot(p, v) buf[(p) * VARS + (v)]
#define value(x) ((x) & 15)
#define epoch(x) (((x) / EPOCH) & 7)
#define load(v) (slot(me, v) == EMPTY -> mem[v] : value(slot(me, v)))

inline put_to_memory(p, v) { mem[v] = value(slot(p, v)); slot(p, v) = EMPTY }

/* e_: the last epoch, n_: how many are under way */
inline last_epoch(p) {
    e_ = 0;
    n_ = 0;
    v_ = 0;
    do
    :: v_ < VARS ->
        if
        :: slot(p, v_) != EMPTY -> n_++; e_ = (epoch(slot(p, v_)) > e_ -> epoch(slot(p, v_)) : e_)
        :: else
        fi;
        v_++
    :: else -> break
    od;
    v_ = 0
}

/* All that are under way from p and for which `which` (of v_) holds. */
inline drain_those(p, which) {
    v_ = 0;
    do
    :: v_ < VARS ->
        if
        :: slot(p, v_) != EMPTY && (which) -> put_to_memory(p, v_)
        :: else
        fi;
        v_++
    :: else -> break
    od;
    v_ = 0
}

/* Epochs begin at 0 again. */
inline settle(p) {
    e_ = 7;
    v_ = 0;
    do
    :: v_ < VARS ->
        e_ = (slot(p, v_) != EMPTY && epoch(slot(p, v_)) < e_ -> epoch(slot(p, v_)) : e_);
        v_++
    :: else -> break
    od;
    v_ = 0;
    do
    :: v_ < VARS ->
        slot(p, v_) = (slot(p, v_) != EMPTY -> slot(p, v_) - e_ * EPOCH : EMPTY);
        v_++
    :: else -> break
    od;
    v_ = 0;
    e_ = 0
}

/* A store to a word that has one of an earlier epoch under way: that one goes first. */
inline make_place(v) {
    last_epoch(me);
    if
    :: slot(me, v) != EMPTY && epoch(slot(me, v)) < e_ ->
        e_ = epoch(slot(me, v));
        drain_those(me, epoch(slot(me, v_)) <= e_);
        settle(me);
        last_epoch(me)
    :: else
    fi
}
inline release(v, x) {
    make_place(v);
    if
    :: slot(me, v) != EMPTY -> drain_those(me, epoch(slot(me, v_)) <= e_); n_ = 0; e_ = 0
    :: else
    fi;
    e_ = (n_ > 0 -> e_ + 1 : 0);
    assert(e_ < 7);
    slot(me, v) = (x) + EPOCH * e_;
    e_ = 0;
    n_ = 0
}

inline store_relaxed(v, x) { d_step { make_place(v); slot(me, v) = (x) + EPOCH * e_; e_ = 0; n_ = 0 } }
inline store_release(v, x) { d_step { release(v, x) } }
inline store_seq_cst(v, x) { d_step { release(v, x); slot(me, v) = slot(me, v) + SC } }

inline load_seq_cst(x, v) {
    d_step {
        e_ = 0;
        n_ = 0;
        do
        :: n_ < VARS ->
            e_ = (slot(me, n_) != EMPTY && slot(me, n_) >= SC && epoch(slot(me, n_)) > e_ -> epoch(slot(me, n_)) : e_);
            n_++
        :: else -> break
        od;
        n_ = 0;
        drain_those(me, epoch(slot(me, v_)) < e_ || slot(me, v_) >= SC);
        settle(me);
        x = load(v)
    }
}

inline drain(p) { drain_those(p, true) }
inline fence() { d_step { drain(me) } }

inline light() {
#ifdef FULL_FENCES
    fence()
#else
    skip
#endif
}

inline heavy() {
    fence()
#if !defined(FULL_FENCES) && !defined(NO_HEAVY_FENCE)
    ;
    heavy_of(0);
    heavy_of(1)
#if PROCS > 2
    ;
    heavy_of(2)
#endif
#if PROCS > 3
    ;
    heavy_of(3)
#endif
#if PROCS > 4
    ;
    heavy_of(4)
#endif
#if PROCS > 5
#error "memory.pml: more processes than heavy knows"
#endif
#endif
}
inline heavy_of(p) { d_step { drain(p) } }

/* ok = compare and swap. acquire: the earlier stores to other words may still be under way. */
inline cas_acquire(ok, v, from, to) {
    atomic {
        slot(me, v) == EMPTY;
        if
        :: mem[v] == from -> mem[v] = to; ok = true
        :: else -> ok = false
        fi
    }
}
inline cas(ok, v, from, to) {
    d_step {
        drain(me);
        if
        :: mem[v] == from -> mem[v] = to; ok = true
        :: else -> ok = false
        fi
    }
}

/* os/lock.h: L1, L2 */
#define lock_free(v) (slot(me, v) == EMPTY && mem[v] == 0)
inline lock(v) { atomic { lock_free(v); mem[v] = 1 } }
inline unlock(v) { store_release(v, 0) }

/* One for each process: what it has stored comes to memory. */
#define DRAIN(v) :: d_step { slot(p, v) != EMPTY && epoch(slot(p, v)) == 0 -> put_to_memory(p, v); settle(p) }
proctype memory(byte p) {
end:
    do
    DRAIN(0)
    DRAIN(1)
#if VARS > 2
    DRAIN(2)
#endif
#if VARS > 3
    DRAIN(3)
#endif
#if VARS > 4
    DRAIN(4)
#endif
#if VARS > 5
    DRAIN(5)
#endif
#if VARS > 6
    DRAIN(6)
#endif
#if VARS > 7
    DRAIN(7)
#endif
#if VARS > 8
    DRAIN(8)
#endif
#if VARS > 9
    DRAIN(9)
#endif
#if VARS > 10
#error "memory.pml: more words than memory drains"
#endif
    od
}
