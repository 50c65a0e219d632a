/* SPDX-License-Identifier: MIT */
/*
 * trie.h: a set of nodes by a 64-bit hash, without memory of its own: the nodes lie wherever their owners do.
 *
 * A node stands on the path that the bits of its hash, lowest first, lead from the root, at some depth: so any leaf
 * below a node may take that node's place, and nothing is ever rotated. Hashes in one trie are distinct, and
 * well mixed if the depth is to be logarithmic. Callers lock.
 */
#ifndef RN_SYNC_TRIE_H
#define RN_SYNC_TRIE_H

#include "base/attr.h"

struct rn__trie {
    struct rn__trie *child[2];
    uint64_t hash;
};

/* A bijection that mixes (Stafford's variant 13 of the MurmurHash3 finalizer). */
RN_INLINE uint64_t rn__mix(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* Where the node with this hash hangs, or the empty place where it would. */
RN_INLINE struct rn__trie **rn__trie_find(struct rn__trie **at, uint64_t hash) {
    for (uint64_t bits = hash; *at && (*at)->hash != hash; bits >>= 1) at = &(*at)->child[bits & 1];
    return at;
}

/* Put a node, its hash set, into an empty place that find gave. */
RN_INLINE void rn__trie_put(struct rn__trie **at, struct rn__trie *n) {
    n->child[0] = n->child[1] = NULL;
    *at = n;
}

/* Put n in the place of a node of the same hash. */
RN_INLINE void rn__trie_replace(struct rn__trie **at, struct rn__trie *n) {
    *n = **at;
    *at = n;
}

static inline void rn__trie_remove(struct rn__trie **at) {
    struct rn__trie *gone = *at;
    struct rn__trie **leaf = at;
    while ((*leaf)->child[0] || (*leaf)->child[1]) leaf = &(*leaf)->child[!(*leaf)->child[0]];
    struct rn__trie *n = *leaf;
    *leaf = NULL;
    if (n == gone) return;
    n->child[0] = gone->child[0];
    n->child[1] = gone->child[1];
    *at = n;
}

#endif
