/* SPDX-License-Identifier: MIT */
/*
 * heap.h: the memory of the process, for the leak finder: which ranges there are, and where in malloc's the blocks begin.
 * It walks glibc's heaps by the sizes in front of the blocks, checking that they add up; a heap where they do not (another malloc,
 * one changed just now) is as any other memory: all of it counts as reachable.
 */
#ifndef RN_INSPECT_HEAP_H
#define RN_INSPECT_HEAP_H

#include "base/attr.h"

struct rn__range {
    uintptr_t lo, hi;
};

/* A heap whose blocks are known. */
struct rn__arena {
    uintptr_t lo, hi;
    size_t first, n; /* in rn__memory.block */
};

struct rn__memory {
    struct rn__range *root; /* memory that counts as reachable */
    size_t nroots;
    struct rn__arena *arena; /* by address */
    size_t narenas;
    uintptr_t *block; /* where each begins: its header */
    uint8_t *mark;    /* of each block: below */
    size_t nblocks;
    uintptr_t lo, hi; /* of all arenas */
    uintptr_t freed;  /* what free(3) writes into a block; 0: not known */
    int pagemap;      /* a descriptor */
    const struct rn__range *without;
    size_t nwithout;
    void *map;
    size_t map_size;
};

enum { RN__REACHED = 1, RN__UNUSED = 2 };

/*
 * With the process's other threads standing still. Goroutines' stacks are left out: they lie in the ranges `without`.
 * 0, -ENOMEM, -ENOTSUP.
 */
int rn__memory_look(struct rn__memory *m, const struct rn__range *without, size_t n);
void rn__memory_done(struct rn__memory *m);

/* Before it, as it calls malloc: to be called while all run. */
uintptr_t rn__memory_freed_mark(void);

/* The block around addr, or -1. */
ptrdiff_t rn__memory_find(const struct rn__memory *m, uintptr_t addr);
struct rn__range rn__memory_block(const struct rn__memory *m, size_t block);

/* Call fn for the parts of [lo, hi) that hold something (or a copy): pages never touched, and guards, do not. */
void rn__memory_present(const struct rn__memory *m, uintptr_t lo, uintptr_t hi,
                        void (*fn)(uintptr_t lo, uintptr_t hi, void *arg), void *arg);

#endif
