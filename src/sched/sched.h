/* SPDX-License-Identifier: MIT */
/*
 * sched.h: the doors of the scheduler, for the rooms above it (chan, sync, time, context, net).
 *
 * rn__in() ... rn__out() bracket all use of the doors and of struct rn__lock by a goroutine or thread:
 * between them the processor cannot be taken away, so that a lock is never held by somebody who
 * must first queue for a processor. rn__in may let others run first (if the processor was taken meanwhile), so it comes
 * before the first lock. They do not nest. The time between them is short, but for rn__park.
 */
#ifndef RN_SCHED_SCHED_H
#define RN_SCHED_SCHED_H

#include <runnel/base.h>

#include "base/attr.h"

struct rn__g;

/* Why somebody is parked, in the order of the texts in sched/reason.c. */
enum rn__reason {
    RN__WAIT_NONE,
    RN__WAIT_SEND,
    RN__WAIT_RECV,
    RN__WAIT_SEND_NIL,
    RN__WAIT_RECV_NIL,
    RN__WAIT_SELECT,
    RN__WAIT_SELECT_NONE,
    RN__WAIT_SLEEP,
    RN__WAIT_IO,
    RN__WAIT_SEMA,
    RN__WAIT_MUTEX,
    RN__WAIT_RLOCK,
    RN__WAIT_WLOCK,
    RN__WAIT_COND,
    RN__WAIT_GROUP,
    RN__WAIT_REASONS
};

/* Go's text for it, as in "goroutine 7 [chan receive]:". */
const char *rn__reason_text(enum rn__reason r);

void rn__in(void);
void rn__out(void);

/* The caller: its goroutine, or what stands for a plain thread. Inside or outside. */
struct rn__g *rn__self(void);

/*
 * Park the caller until somebody calls rn__ready for it. `unlock(arg)` (NULL: none) runs once the
 * goroutine is off its stack and can be made ready, usually to release the lock under which it enqueued
 * itself. `on` is the object waited for, shown in dumps. Inside; returns inside, perhaps on
 * another thread.
 */
void rn__park(enum rn__reason why, void *on, void (*unlock)(void *), void *arg);

/*
 * Make a parked one runnable; exactly once for each park. It runs next on this processor if there
 * is one, or on another at once, where those that run go on for long. Nothing that lies on its stack
 * may be touched afterwards. Inside, or in a timer's function.
 */
void rn__ready(struct rn__g *g);

/*
 * The same for who is about to park but may not be off its stack yet (a timer that is armed before
 * its owner parks): waits for that, a few instructions.
 */
void rn__ready_late(struct rn__g *g);

/*
 * Parked ones to be made ready together, in the order in which they come; plain threads on their own. To begin with,
 * all is zero. Inside.
 */
struct rn__glist {
    struct rn__g *head, *tail;
    struct rn__g *threads;
    uint32_t n;
};
void rn__glist_put(struct rn__glist *l, struct rn__g *g);
void rn__ready_list(struct rn__glist *l);
/* The same, but nobody is woken to run them: how many goroutines were queued, for the caller to see to. */
uint32_t rn__ready_quietly(struct rn__glist *l);

/*
 * Many parked ones that may all go on, and that are linked by what they wait with: they are queued as one, and each is touched when its
 * turn has almost come, once. To touch a million that sleep is most of what it takes to run them. It lies where the last of
 * them keeps it. Inside.
 */
struct rn__flock {
    /* The first n, or some of them at least, into `out`. With sched.lock. */
    uint32_t (*take)(struct rn__flock *f, struct rn__g **out, uint32_t n);
    void *rest;     /* NULL: none is left, and f will be gone as soon as sched.lock is */
    ptrdiff_t step; /* what else `take` needs: chan/chan.c */
};
void rn__ready_flock(struct rn__flock *f);

/*
 * The caller has met another, at a channel that others use or a word that it lost to them. A processor whose goroutines do little else keeps
 * them together (sysmon.c). `n` is how many such uses this one stands for. Inside or outside.
 */
void rn__meets(uint32_t n);
/* For each of a lock's users that finds it taken some find only its line elsewhere. */
enum { RN__LOST = 4 };

/*
 * If one was made ready here, and nobody else waits for this processor, let it run now, and come back behind it. False:
 * nothing was done. For who finds taken what was perhaps handed to that one: queueing for it, the two would hand it to each
 * other from then on, a switch each time. Inside; returns inside, perhaps on another thread.
 */
bool rn__let_next(void);

/*
 * If `next` was just made ready here, let it run now, but for a fair pick, and come back behind those that are in the ring: for who has
 * handed it what others wait for. Inside; returns inside, perhaps on another thread.
 */
void rn__let_run(const struct rn__g *next);

/* rn_go_call for those inside or in a timer's function. 0 or -ENOMEM. */
int rn__spawn_call(void (*fn)(void *), void *arg);

/* A panic of the caller with this text (sched/panic.c). Outside; also inside, which it then leaves. */
void rn__panic(const char *text) __attribute__((noreturn, cold));

/* Our handler of SIGQUIT, to those who chain handlers as good as none. Set by the observers at start; NULL: none. */
extern void (*rn__quit_handler)(int sig);

/* A uniform number below n (n > 0). Inside. */
uint32_t rn__random(uint32_t n);

#endif
