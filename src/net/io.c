/* SPDX-License-Identifier: MIT */
/*
 * io.c: reading, writing, accepting, datagrams.
 *
 * A write of a stream may be cut in many; so writers take turns (sched/poll.h), for the whole of a
 * rn_write. Reads take no turn: each is one system call.
 */
#include <errno.h>
#include <string.h>

#include "net/net.h"
#include "net/sys.h"

enum { PART = 64 }; /* iovecs at a time */

struct vector {
    const struct iovec *iov;
    int n;
    int flags; /* of sendmsg(2) */
};

/* What a write writes: all, what there is room for, or all and the caller has more. */
enum how { ALL, SOME, MORE };

static int flags_of(const struct rn__pollfd *pd, enum how how) {
    return how == MORE && pd->kind & RN__STREAM ? MSG_MORE : 0;
}

/* ---- reading ---- */

/* recv(2) is the shorter way through the kernel. */
static ssize_t read_now(const struct rn__pollfd *pd, const struct iovec *iov, int n) {
    bool plain = n == 1 && iov->iov_len > 0 && pd->kind & RN__SOCKET;
    return plain ? rn__sys_recv(pd->fd, iov->iov_base, iov->iov_len)
                 : rn__sys_readv(pd->fd, iov, n);
}

/* A TCP connection that gives less than is asked for is empty. (Others may stop at a boundary in between.) */
int64_t rn__read_try(struct rn__pollfd *pd, const struct iovec *iov, int n) {
    uint32_t seq = rn__poll_seq(pd, RN__POLL_READ);
    int64_t r = read_now(pd, iov, n);
    if (n == 1 && r > 0 && (size_t)r < iov->iov_len && pd->kind & RN__TCP)
        rn__poll_read_short(pd, seq);
    return r;
}

static int64_t try_readv(struct rn__pollfd *pd, void *op) {
    const struct vector *v = op;
    return rn__read_try(pd, v->iov, v->n);
}

static ssize_t read_vector(rn_conn c, const struct iovec *iov, int n, struct rn__call *k) {
    struct vector v = {iov, n, 0};
    return n < 0 ? -EINVAL : rn__io(c, RN__POLL_READ, try_readv, &v, k);
}

static ssize_t read_one(rn_conn c, void *buf, size_t n, struct rn__call *k) {
    struct iovec iov = {buf, n};
    return read_vector(c, &iov, 1, k);
}

static ssize_t read_full(rn_conn c, void *buf, size_t n, struct rn__call *k) {
    size_t got = 0;
    while (got < n) {
        ssize_t r = read_one(c, (char *)buf + got, n - got, k);
        if (r < 0) return r;
        if (r == 0) break;
        got += (size_t)r;
    }
    return (ssize_t)got;
}

/* ---- writing ---- */

static int64_t try_writev(struct rn__pollfd *pd, void *op) {
    const struct vector *v = op;
    struct msghdr m = {.msg_iov = (struct iovec *)(uintptr_t)v->iov, .msg_iovlen = (size_t)v->n};
    if (pd->kind & RN__SOCKET) return rn__sys_sendmsg(pd->fd, &m, v->flags);
    return rn__sys_writev(pd->fd, v->iov, v->n);
}

/* Go on `by` bytes in v, whose iovecs are our copies. */
static void advance(struct iovec **iov, int *n, size_t by) {
    while (*n > 0 && by >= (*iov)->iov_len) {
        by -= (*iov)->iov_len;
        ++*iov;
        --*n;
    }
    if (*n == 0) return;
    (*iov)->iov_base = (char *)(*iov)->iov_base + by;
    (*iov)->iov_len -= by;
}

/* All of at most PART iovecs of a stream. */
static ssize_t write_part(struct rn__pollfd *pd, const struct iovec *iov, int n,
                          struct rn__call *k) {
    struct iovec copy[PART], *at = copy;
    ssize_t done = 0;
    memcpy(copy, iov, (size_t)n * sizeof *iov);
    advance(&at, &n, 0);
    while (n > 0) {
        struct vector v = {at, n, 0};
        int64_t r = rn__io_on(pd, RN__POLL_WRITE, try_writev, &v, k);
        if (r < 0) return r;
        done += r;
        advance(&at, &n, (size_t)r);
    }
    return done;
}

static ssize_t write_parts(struct rn__pollfd *pd, const struct iovec *iov, int n,
                           struct rn__call *k) {
    ssize_t done = 0;
    for (int i = 0; i < n; i += PART) {
        ssize_t r = write_part(pd, iov + i, n - i < PART ? n - i : PART, k);
        if (r < 0) return r;
        done += r;
    }
    return done;
}

/* The usual write, of one buffer that there is room for, needs no copies. */
static ssize_t write_stream(struct rn__pollfd *pd, const struct iovec *iov, int n, enum how how,
                            struct rn__call *k) {
    if (n != 1) return write_parts(pd, iov, n, k);
    struct iovec rest = *iov;
    struct vector v = {&rest, 1, flags_of(pd, how)};
    while (rest.iov_len > 0) {
        int64_t r = rn__io_on(pd, RN__POLL_WRITE, try_writev, &v, k);
        if (r < 0) return r;
        rest.iov_base = (char *)rest.iov_base + r;
        rest.iov_len -= (size_t)r;
    }
    return (ssize_t)iov->iov_len;
}

static ssize_t write_turn(struct rn__pollfd *pd, const struct iovec *iov, int n, enum how how,
                          struct rn__call *k) {
    struct vector v = {iov, n, 0};
    if (how == SOME || !(pd->kind & RN__STREAM))
        return rn__io_on(pd, RN__POLL_WRITE, try_writev, &v, k);
    return write_stream(pd, iov, n, how, k);
}

static ssize_t write_vector(rn_conn c, const struct iovec *iov, int n, enum how how,
                            struct rn__call *k) {
    struct rn__pollfd *pd = n < 0 ? NULL : rn__poll_get(c);
    if (!pd) return n < 0 ? -EINVAL : -EBADF;
    ssize_t r = rn__turn(pd, k);
    if (r == 0) {
        r = write_turn(pd, iov, n, how, k);
        rn__poll_give_turn(pd);
    }
    rn__poll_put(pd);
    rn__call_end(k);
    return r;
}

static ssize_t write_one(rn_conn c, const void *buf, size_t n, enum how how, struct rn__call *k) {
    struct iovec iov = {(void *)(uintptr_t)buf, n};
    return write_vector(c, &iov, 1, how, k);
}

/* ---- datagrams ---- */

struct datagram {
    struct iovec iov;
    rn_addr *from;
    const rn_addr *to;
};

static int64_t try_recv(struct rn__pollfd *pd, void *op) {
    struct datagram *d = op;
    struct msghdr m = {.msg_iov = &d->iov, .msg_iovlen = 1};
    if (d->from) {
        m.msg_name = &d->from->sa;
        m.msg_namelen = sizeof d->from->sa;
    }
    ssize_t r = rn__sys_recvmsg(pd->fd, &m, 0);
    if (d->from && r >= 0) d->from->len = m.msg_namelen;
    return r;
}

static int64_t try_send(struct rn__pollfd *pd, void *op) {
    struct datagram *d = op;
    struct msghdr m = {.msg_iov = &d->iov, .msg_iovlen = 1};
    if (d->to) {
        m.msg_name = (void *)(uintptr_t)&d->to->sa;
        m.msg_namelen = d->to->len;
    }
    return rn__sys_sendmsg(pd->fd, &m, 0);
}

static ssize_t recv_from(rn_conn c, void *buf, size_t n, rn_addr *from, struct rn__call *k) {
    struct datagram d = {{buf, n}, from, NULL};
    return rn__io(c, RN__POLL_READ, try_recv, &d, k);
}

static ssize_t send_to(rn_conn c, const void *buf, size_t n, const rn_addr *to,
                       struct rn__call *k) {
    struct datagram d = {{(void *)(uintptr_t)buf, n}, NULL, to};
    return rn__io(c, RN__POLL_WRITE, try_send, &d, k);
}

/* ---- accepting ---- */

/* Errors of a connection that broke before it was taken (accept(2)): the next one, please. */
static bool broken(int r) {
    switch (r) {
    case -ECONNABORTED:
    case -EPROTO:
    case -ENETDOWN:
    case -ENOPROTOOPT:
    case -EHOSTDOWN:
    case -ENONET:
    case -EHOSTUNREACH:
    case -ENETUNREACH: return true;
    default: return false;
    }
}

static int64_t try_accept(struct rn__pollfd *pd, void *op) {
    int fd;
    (void)op;
    do {
        fd = rn__sys_accept(pd->fd);
    } while (broken(fd));
    return rn__conn_new(fd, pd->kind);
}

static rn_conn accept_conn(rn_conn l, struct rn__call *k) {
    return rn__io(l, RN__POLL_READ, try_accept, NULL, k);
}

/* ---- the public forms ---- */

rn_conn rn_accept(rn_conn l) { return accept_conn(l, RN__FOREVER); }
rn_conn rn_accept_until(rn_conn l, rn_time t) { return accept_conn(l, RN__UNTIL(t)); }
rn_conn rn_accept_ctx(struct rn_ctx *ctx, rn_conn l) { return accept_conn(l, RN__CTX(ctx)); }

ssize_t rn_read(rn_conn c, void *buf, size_t n) { return read_one(c, buf, n, RN__FOREVER); }
ssize_t rn_read_until(rn_conn c, void *buf, size_t n, rn_time t) {
    return read_one(c, buf, n, RN__UNTIL(t));
}
ssize_t rn_read_ctx(struct rn_ctx *ctx, rn_conn c, void *buf, size_t n) {
    return read_one(c, buf, n, RN__CTX(ctx));
}

ssize_t rn_readv(rn_conn c, const struct iovec *iov, int n) {
    return read_vector(c, iov, n, RN__FOREVER);
}
ssize_t rn_readv_until(rn_conn c, const struct iovec *iov, int n, rn_time t) {
    return read_vector(c, iov, n, RN__UNTIL(t));
}
ssize_t rn_readv_ctx(struct rn_ctx *ctx, rn_conn c, const struct iovec *iov, int n) {
    return read_vector(c, iov, n, RN__CTX(ctx));
}

ssize_t rn_read_full(rn_conn c, void *buf, size_t n) { return read_full(c, buf, n, RN__FOREVER); }
ssize_t rn_read_full_until(rn_conn c, void *buf, size_t n, rn_time t) {
    return read_full(c, buf, n, RN__UNTIL(t));
}
ssize_t rn_read_full_ctx(struct rn_ctx *ctx, rn_conn c, void *buf, size_t n) {
    return read_full(c, buf, n, RN__CTX(ctx));
}

ssize_t rn_write(rn_conn c, const void *buf, size_t n) {
    return write_one(c, buf, n, ALL, RN__FOREVER);
}
ssize_t rn_write_until(rn_conn c, const void *buf, size_t n, rn_time t) {
    return write_one(c, buf, n, ALL, RN__UNTIL(t));
}
ssize_t rn_write_ctx(struct rn_ctx *ctx, rn_conn c, const void *buf, size_t n) {
    return write_one(c, buf, n, ALL, RN__CTX(ctx));
}

ssize_t rn_writev(rn_conn c, const struct iovec *iov, int n) {
    return write_vector(c, iov, n, ALL, RN__FOREVER);
}
ssize_t rn_writev_until(rn_conn c, const struct iovec *iov, int n, rn_time t) {
    return write_vector(c, iov, n, ALL, RN__UNTIL(t));
}
ssize_t rn_writev_ctx(struct rn_ctx *ctx, rn_conn c, const struct iovec *iov, int n) {
    return write_vector(c, iov, n, ALL, RN__CTX(ctx));
}

ssize_t rn_write_some(rn_conn c, const void *buf, size_t n) {
    return write_one(c, buf, n, SOME, RN__FOREVER);
}
ssize_t rn_write_some_until(rn_conn c, const void *buf, size_t n, rn_time t) {
    return write_one(c, buf, n, SOME, RN__UNTIL(t));
}
ssize_t rn_write_some_ctx(struct rn_ctx *ctx, rn_conn c, const void *buf, size_t n) {
    return write_one(c, buf, n, SOME, RN__CTX(ctx));
}

ssize_t rn_write_more(rn_conn c, const void *buf, size_t n) {
    return write_one(c, buf, n, MORE, RN__FOREVER);
}
ssize_t rn_write_more_until(rn_conn c, const void *buf, size_t n, rn_time t) {
    return write_one(c, buf, n, MORE, RN__UNTIL(t));
}
ssize_t rn_write_more_ctx(struct rn_ctx *ctx, rn_conn c, const void *buf, size_t n) {
    return write_one(c, buf, n, MORE, RN__CTX(ctx));
}

ssize_t rn_recv_from(rn_conn c, void *buf, size_t n, rn_addr *from) {
    return recv_from(c, buf, n, from, RN__FOREVER);
}
ssize_t rn_recv_from_until(rn_conn c, void *buf, size_t n, rn_addr *from, rn_time t) {
    return recv_from(c, buf, n, from, RN__UNTIL(t));
}
ssize_t rn_recv_from_ctx(struct rn_ctx *ctx, rn_conn c, void *buf, size_t n, rn_addr *from) {
    return recv_from(c, buf, n, from, RN__CTX(ctx));
}

ssize_t rn_send_to(rn_conn c, const void *buf, size_t n, const rn_addr *to) {
    return send_to(c, buf, n, to, RN__FOREVER);
}
ssize_t rn_send_to_until(rn_conn c, const void *buf, size_t n, const rn_addr *to, rn_time t) {
    return send_to(c, buf, n, to, RN__UNTIL(t));
}
ssize_t rn_send_to_ctx(struct rn_ctx *ctx, rn_conn c, const void *buf, size_t n,
                       const rn_addr *to) {
    return send_to(c, buf, n, to, RN__CTX(ctx));
}
