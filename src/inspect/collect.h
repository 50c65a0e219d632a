/* SPDX-License-Identifier: MIT */
/*
 * collect.h: a picture of all goroutines at one moment, taken while the world stands still and printed afterwards.
 */
#ifndef RN_INSPECT_COLLECT_H
#define RN_INSPECT_COLLECT_H

#include "inspect/unwind.h"
#include "sched/core.h"

enum { RN__SHOWN_CHANS = 4 };

struct rn__chan_rec {
    void *c;
    size_t len, cap;
    bool closed;
};

/* One goroutine, or a plain thread that is blocked in the runtime (id: its kernel's number). */
struct rn__rec {
    struct rn__g *g; /* only compared, once the world moves again */
    uint64_t id, creator;
    void *on;
    void (*fn)(void); /* what it runs */
    rn_time since;
    uint32_t state, reason;
    uint32_t group; /* its place in snapshot.groups */
    bool thread, locked, is_main, in_kernel;
    bool stuck;      /* the leak finder's */
    uint32_t nchans; /* waited for: all of them; the first few are in chan */
    struct rn__chan_rec chan[RN__SHOWN_CHANS];
    char name[RN__NAME];
};

/* What has the same stack, state, reason and place of creation. */
struct rn__group {
    uint64_t hash;
    uintptr_t creator_pc;
    uint32_t state, reason;
    uint32_t count;
    rn_time since_min, since_max;
    bool unreadable; /* its stack cannot be had: it runs */
    uint32_t n, elided;
    uint64_t exact[2];
    uintptr_t *pc; /* n */
    bool printed;  /* the printer's */
};

struct rn__snapshot {
    rn_time when;
    struct rn__rec *recs; /* n, by id */
    uint32_t n, cap;
    struct rn__group *groups;
    uint32_t ngroups;
    uint32_t *table; /* open addressing: group + 1 */
    uint32_t table_mask;
    uintptr_t *pcs, *pcs_end;
    uint32_t *order; /* recs, sorted by id */
    void *memory;
    size_t memory_size;
};

/*
 * What a dying program can do that others cannot. guard(fn, arg) calls fn(arg), which reads a stack or a channel that may be gone: false if it
 * faulted. running(g): stop the thread that runs g, and say where it stands; NULL: it did not stop.
 */
struct rn__collector {
    bool (*guard)(void (*fn)(void *), void *arg);
    struct rn__ctx *(*running)(struct rn__g *g);
};

/*
 * Take it. The world stands still, or the program is about to die (`how`) and all was done to keep the others where they
 * are. `own`: where the caller's goroutine stands; NULL: leave the caller out. False: no memory.
 */
bool rn__collect(struct rn__snapshot *s, struct rn__ctx *own, const struct rn__collector *how);
void rn__collect_free(struct rn__snapshot *s);

/* For a dying program: keep the others from running goroutines, with bounded patience. */
void rn__freeze(void);

#endif
