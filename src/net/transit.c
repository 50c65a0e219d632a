/* SPDX-License-Identifier: MIT */
/*
 * transit.c: what bytes are in while rn_copy moves them: buffers, and pipes to splice through. Between two moves both are empty, and
 * no matter whose: so they belong to a move, not to a copy. Connections that wait for bytes have none, and the few that are used are in
 * the cache.
 *
 * Those at hand are stacks under a lock that nobody waits for: who finds it held makes one, or lets his go.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "net/net.h"
#include "net/sys.h"
#include "os/lock.h"
#include "os/sanitizer.h"

enum {
    KEPT = 32, /* of each */
    LEAST_ROOM =
        64 * 1024, /* of a pipe; what the user may have can be used up (pipe-user-pages-soft) */
};

union thing {
    int ends[2];
    char *buf;
};

struct stack {
    struct rn__lock lock;
    int n;
    union thing thing[KEPT];
};

static struct stack pipes, bufs;

/* A sanitizer is to see memory and descriptors of each one's own: it does not see our lock. */
static bool pop(struct stack *s, union thing *t) {
    if (rn__sanitized || !rn__lock_try(&s->lock)) return false;
    bool any = s->n > 0;
    if (any) *t = s->thing[--s->n];
    rn__lock_release(&s->lock);
    return any;
}

static bool push(struct stack *s, const union thing *t) {
    if (rn__sanitized || !rn__lock_try(&s->lock)) return false;
    bool room = s->n < KEPT;
    if (room) s->thing[s->n++] = *t;
    rn__lock_release(&s->lock);
    return room;
}

char *rn__transit_buf(void) {
    union thing t;
    return pop(&bufs, &t) ? t.buf : malloc(RN__TRANSIT_BUF);
}

void rn__transit_buf_give(char *buf) {
    if (!push(&bufs, &(union thing){.buf = buf})) free(buf);
}

int rn__transit_pipe(int ends[2]) {
    union thing t;
    int r = 0;
    if (!pop(&pipes, &t)) {
        r = rn__sys_pipe(t.ends);
        if (r < 0) return r;
        if (rn__sys_pipe_room(t.ends[1], RN__TRANSIT_PIPE) < LEAST_ROOM) {
            rn__transit_pipe_drop(t.ends);
            return -ENOMEM;
        }
    }
    ends[0] = t.ends[0];
    ends[1] = t.ends[1];
    return r;
}

void rn__transit_pipe_give(const int ends[2]) {
    if (!push(&pipes, &(union thing){.ends = {ends[0], ends[1]}})) rn__transit_pipe_drop(ends);
}

void rn__transit_pipe_drop(const int ends[2]) {
    close(ends[0]);
    close(ends[1]);
}
