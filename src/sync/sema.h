/* SPDX-License-Identifier: MIT */
/*
 * sema.h: the one place where goroutines and threads wait for the primitives of this room.
 *
 * A primitive is a word of state. Those who wait for it stand in a queue that lies outside of it, in a
 * table by address (Go's sema.go, WebKit's ParkingLot): so primitives are small, cost nothing when
 * nobody waits, and can be freed by their last user, as nobody looks at them after letting somebody through.
 *
 * The pattern that all primitives follow:
 *   - Inline paths change the state word alone, by one atomic instruction. They come in only while its "queued"
 *     bit is clear. They leave by a subtraction, whatever it says, and come to the queue if the bit was set; the primitive is
 *     theirs no more then, so it may be gone, unless somebody is found in the queue. The mutex leaves, and tells who waits, in its own way: mutex.c.
 *   - Everything else happens under the lock of the queue: the state and the queue change together, and the bit
 *     always says whether the queue is empty. Setting it is a compare-and-swap against the inline paths; whoever sets it has
 *     seen that waiting is needed, and whoever lets somebody through from then on must come here.
 *   - A waker takes waiters out and changes the state, under the lock; after that it may not touch the
 *     primitive. It lets go the lock, then posts to the waiters. What a waiter was given (a lock,
 *     units) is already accounted for in the state when it wakes.
 *
 * A waiter's record lies on its own stack. Its word decides who ends the wait:
 *   CLAIMED  a waker has taken it out of the queue (set under the queue's lock)
 *   ABORTED  a time-out or a cancel came first. The waiter is still in the queue and takes itself out.
 *   POSTED   the wait is over; the record is the waiter's again, nobody else touches it
 *   PARKED   the waiter is off its stack: whoever posts must make it ready
 * CLAIMED and ABORTED exclude each other; ABORTED and POSTED come in one step. Who of POSTED and PARKED comes
 * second makes the waiter ready, so it may do things (unlock the user's mutex, arm a timer) between enqueueing
 * itself and parking.
 *
 * models/sema.pml is this word for Spin.
 *
 * All but rn__sema_init is called between rn__in and rn__out. Rank of the queues' locks: sema, in os/lock.h; one at a
 * time.
 */
#ifndef RN_SYNC_SEMA_H
#define RN_SYNC_SEMA_H

#include "base/atomic.h"
#include "os/clock.h"
#include "os/lock.h"
#include "sched/sched.h"
#include "sched/timer.h"
#include "sync/trie.h"

/* Queues that share a lock. */
struct rn__sema {
    struct rn__lock lock;
    struct rn__trie *queues; /* by key: the first waiter of each; under the lock */
} RN_ALIGNED_LINE;

struct rn__waiter {
    struct rn__trie node; /* the first of a queue: the queue's place */
    struct rn__waiter *next;
    struct rn__waiter *prev; /* the first's is the last */
    struct rn__g *g;
    const void *key;
    int64_t since;  /* when it came; rn__sema_push_since keeps the queue in this order */
    int64_t amount; /* units it wants; the primitive's */
    void *result;   /* the primitive's */
    uint32_t word;  /* above; atomic */
    bool queued;    /* in the queue; under its lock */
    bool abortable; /* constant once it is queued: false saves claims an atomic instruction */
    bool owner;     /* the waker has given it the mutex; written before POSTED */
    uint32_t more;  /* and what it is to set in its word: mutex.c; the same */
    struct rn__timer timer;
};

/* Those claimed, to be posted once the lock is gone. */
struct rn__wakes {
    struct rn__waiter *first, *last;
};

/*
 * A primitive's queues are under one lock; primitives are 4-byte aligned. Semaphores have a key of their own, as one who gives back
 * comes by the address alone, and must not find those who wait for something else that has come to lie there.
 */
#define rn__sema_key(primitive, x) ((const void *)((const char *)(primitive) + (x)))
enum { RN__KEY, RN__KEY_READERS, RN__KEY_SEM };

/* Lock the queues of the primitive that key belongs to. */
struct rn__sema *rn__sema_lock(const void *key);
RN_INLINE void rn__sema_unlock(struct rn__sema *q) { rn__lock_release(&q->lock); }

/* Prepare w, of the caller, for a wait in the queue of key; abortable if the wait can end but by a waker. */
void rn__waiter_init(struct rn__waiter *w, const void *key, bool abortable);
/* For another wait of the same kind. */
RN_INLINE void rn__waiter_again(struct rn__waiter *w) {
    rn__store_relaxed(&w->word, 0u); /* nobody else has it */
}

/* Under the lock. Append; put in the order of `since`; the first, or NULL; take out from anywhere. */
void rn__sema_push(struct rn__sema *q, struct rn__waiter *w);
void rn__sema_push_since(struct rn__sema *q, struct rn__waiter *w);
struct rn__waiter *rn__sema_first(struct rn__sema *q, const void *key);
void rn__sema_remove(struct rn__sema *q, struct rn__waiter *w);

/*
 * Under the lock. Take w out of its queue, claim it and chain it to the wakes. False: its wait was aborted, it is only
 * taken out.
 */
bool rn__sema_claim(struct rn__sema *q, struct rn__waiter *w, struct rn__wakes *wakes);

/* The same with the first of a queue whose wait was not aborted. NULL: there is none, the queue is empty. */
struct rn__waiter *rn__sema_take(struct rn__sema *q, const void *key, struct rn__wakes *wakes);

/* Without the lock. End the wait of each, in order. They and what they waited for may be gone when it returns. */
void rn__sema_post(struct rn__wakes *wakes);

/*
 * Without the lock, having enqueued w: wait until posted or aborted, or until `until` if that is not RN_TIME_MAX (w
 * must be abortable). 0; -ETIMEDOUT: w was aborted, and may still be queued. `on` is for the dumps.
 */
int rn__sema_wait(struct rn__waiter *w, enum rn__reason why, const void *on, rn_time until);

/* From anywhere, a timer's function included: end the wait of an abortable waiter unless it is claimed. w must live. */
void rn__sema_abort(struct rn__waiter *w);

/* Where the table lies, for the leak finder: that somebody waits in it does not mean that anybody will come for him. */
void rn__sema_memory(char **lo, char **hi);

#endif
