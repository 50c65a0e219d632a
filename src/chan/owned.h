/* SPDX-License-Identifier: MIT */
/*
 * owned.h: channels that belong to something: a timer's. What the time room needs of this one, beyond
 * what is public.
 *
 * An owned channel shows len and cap 0, though it has a buffer of one; and when its last reference goes,
 * its owner is told before it is freed. The owner is not counted as a reference.
 */
#ifndef RN_CHAN_OWNED_H
#define RN_CHAN_OWNED_H

#include <runnel/base.h>

#include "base/attr.h"

/* Embedded in the owner. `gone` is called outside, once, when nobody refers to the channel any more; it ends all use of it. */
struct rn__chan_owner {
    void (*gone)(struct rn__chan_owner *self);
};

/* A channel with a buffer of one and an owner; NULL on no memory. Outside. */
void *rn__chan_make_owned(size_t elem_size, struct rn__chan_owner *owner) RN_HIDDEN;

/* Send without waiting; dropped when the channel is full. Inside, or in a timer's function. */
void rn__chan_offer(void *c, const void *v) RN_HIDDEN;

/* Drop what is in the buffer; nothing is offered meanwhile. Returns whether there was something. Inside. */
bool rn__chan_drop(void *c) RN_HIDDEN;

#endif
