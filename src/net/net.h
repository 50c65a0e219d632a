/* SPDX-License-Identifier: MIT */
/*
 * net.h: what the files of the net room share.
 *
 * A connection is a record of the poll room (sched/poll.h): rn_conn is its handle. Every call that may wait is made of
 * three things: a *try*, one system call that never blocks and returns -EAGAIN when it would; a *call*, which says how long
 * to wait; and rn__io, which puts them together. A try is called again and again, on whichever thread the
 * goroutine is by then, so errno is only looked at in sys.c.
 */
#ifndef RN_NET_NET_H
#define RN_NET_NET_H

#include <runnel/net.h>

#include "sched/poll.h"

/* What a record's `kind` says. */
enum {
    RN__SOCKET = 1,
    RN__STREAM = 2, /* bytes, not messages: a write may be cut in two */
    RN__TCP = 4,
};

/* How long a call may wait. On the stack of who makes it, who calls rn__call_end after the last wait. */
struct rn__call {
    rn_time until;
    struct rn_ctx *ctx;
    struct rn__watch *watch; /* kicks the connection when ctx is done; made at the first wait */
};

#define RN__FOREVER (&(struct rn__call){RN_TIME_MAX, NULL, NULL})
#define RN__UNTIL(t) (&(struct rn__call){(t), NULL, NULL})
#define RN__CTX(ctx) (&(struct rn__call){RN_TIME_MAX, (ctx), NULL})

typedef int64_t rn__try(struct rn__pollfd *pd, void *op);

/* Try until it is not -EAGAIN, waiting in direction dir in between. The first ends the call, the second leaves it to the caller. */
int64_t rn__io(rn_conn c, uint32_t dir, rn__try *try, void *op, struct rn__call *k);
int64_t rn__io_on(struct rn__pollfd *pd, uint32_t dir, rn__try *try, void *op, struct rn__call *k);

/* readv(2), as a try. */
int64_t rn__read_try(struct rn__pollfd *pd, const struct iovec *iov, int n);

/*
 * What bytes are in on their way (transit.c). A buffer, of RN__TRANSIT_BUF, or NULL: no memory. An empty pipe, of RN__TRANSIT_PIPE if the
 * kernel allows, at least 64 KiB: both ends, or -errno; it is given back empty, or dropped.
 */
enum { RN__TRANSIT_BUF = 32 * 1024, RN__TRANSIT_PIPE = 256 * 1024 };
char *rn__transit_buf(void);
void rn__transit_buf_give(char *buf);
int rn__transit_pipe(int ends[2]);
void rn__transit_pipe_give(const int ends[2]);
void rn__transit_pipe_drop(const int ends[2]);

/* The turn to write, within the call's and the connection's limits. 0, then rn__poll_give_turn; or -errno. */
int rn__turn(struct rn__pollfd *pd, struct rn__call *k);
void rn__call_end(struct rn__call *k);

/* 0, or why the call must not go on: -ECANCELED, -ETIMEDOUT. Looks at the context only. */
int rn__call_error(const struct rn__call *k);

/* A record for fd, which is closed if there is no memory for it. `fd` may be -errno: returned. */
rn_conn rn__conn_new(int fd, uint8_t kind);

/* A network's name. */
struct rn__network {
    const char *name;
    int family; /* AF_UNSPEC: both */
    int type;
    uint8_t kind;
};
const struct rn__network *rn__network(const char *name);

/* rn_lookup's inside; `passive`: for listening. */
int rn__lookup(const struct rn__network *n, const char *address, bool passive, rn_addr *addrs,
               int max, struct rn__call *k);

/* The waiting of those who wait for a channel: rn_recv_until and rn_recv_ctx in one. c: a channel of int. */
int rn__recv_call(void *c, int *v, rn_time until, const struct rn__call *k);

#endif
