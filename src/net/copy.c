/* SPDX-License-Identifier: MIT */
/*
 * copy.c: moving bytes without looking at them: from a connection to a connection, from a file to a connection (sendfile(2)).
 *
 * Between connections few bytes at a time go through a buffer, as that is cheaper, and many through a pipe (splice(2)): when the buffer was
 * filled a pipe is tried next, when little came through the pipe the buffer is. What was taken is given on before more is taken; so -EAGAIN
 * from taking means that there is nothing to read, and from giving that there is no room to write: each is waited for on the right connection.
 */
#include <errno.h>

#include "base/atomic.h"
#include "net/net.h"
#include "net/sys.h"

enum {
    FEW = 16 * 1024, /* from here on the pipe is worth its system calls */
    SENDFILE_MAX = 1 << 30
};

struct copy {
    rn_conn dst, src; /* only the one that is waited for is used, so that the other can be closed */
    int64_t *count;   /* atomic; the caller's, may be NULL */
    char *buf;        /* while something is in it */
    int pipe[2];      /* the same */
    bool many;        /* through a pipe */
    bool no_pipe;     /* the kernel cannot */
    size_t n;         /* asked for, by a try */
    size_t at;        /* in buf */
};

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

/* ---- the four tries ---- */

/* Who waits for something to come has neither. -ENOBUFS: there is no pipe now. -EINVAL: the kernel cannot. */
static int64_t try_fill(struct rn__pollfd *pd, void *op) {
    struct copy *c = op;
    if (rn__transit_pipe(c->pipe) < 0) return -ENOBUFS;
    int64_t r = rn__sys_fill(pd->fd, c->pipe[1], c->n);
    if (r <= 0) rn__transit_pipe_give(c->pipe);
    return r;
}

static int64_t try_drain(struct rn__pollfd *pd, void *op) {
    struct copy *c = op;
    return rn__sys_drain(c->pipe[0], pd->fd, c->n);
}

static int64_t try_read(struct rn__pollfd *pd, void *op) {
    struct copy *c = op;
    c->buf = rn__transit_buf();
    if (!c->buf) return -ENOMEM;
    int64_t r = rn__read_try(pd, &(struct iovec){c->buf, c->n}, 1);
    if (r <= 0) rn__transit_buf_give(c->buf);
    return r;
}

static int64_t try_write(struct rn__pollfd *pd, void *op) {
    struct copy *c = op;
    struct iovec v = {c->buf + c->at, c->n};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
    if (pd->kind & RN__SOCKET) return rn__sys_sendmsg(pd->fd, &m, 0);
    return rn__sys_writev(pd->fd, &v, 1);
}

/* ---- one chunk ---- */

/* A watch of the context kicks one connection: we wait for two, one after the other. */
static int64_t take(struct copy *c, rn__try *try, size_t n, struct rn__call *k) {
    c->n = n;
    return rn__io(c->src, RN__POLL_READ, try, c, k);
}

/* The caller has the turn. */
static int64_t give_all(struct copy *c, struct rn__pollfd *dst, rn__try *try, size_t n,
                        struct rn__call *k) {
    c->at = 0;
    for (c->n = n; c->n > 0;) {
        int64_t r = rn__io_on(dst, RN__POLL_WRITE, try, c, k);
        if (r < 0) return r;
        c->n -= (size_t)r;
        c->at += (size_t)r;
        if (c->count) rn__add_relaxed(c->count, r);
    }
    return (int64_t)n;
}

static int64_t give(struct copy *c, rn__try *try, size_t n, struct rn__call *k) {
    struct rn__pollfd *dst = rn__poll_get(c->dst);
    if (!dst) return -EBADF;
    int64_t r = rn__turn(dst, k);
    if (r == 0) {
        r = give_all(c, dst, try, n, k);
        rn__poll_give_turn(dst);
    }
    rn__poll_put(dst);
    rn__call_end(k);
    return r;
}

static int64_t through_buffer(struct copy *c, size_t n, struct rn__call *k) {
    int64_t r = take(c, try_read, least(n, RN__TRANSIT_BUF), k);
    c->many = r == RN__TRANSIT_BUF;
    if (r <= 0) return r;
    r = give(c, try_write, (size_t)r, k);
    rn__transit_buf_give(c->buf);
    return r;
}

/* What is in the pipe cannot be spliced out: take it from there into a buffer, and go on with that. */
static int64_t rescue(struct copy *c, size_t left, struct rn__call *k) {
    int64_t r = 0;
    c->no_pipe = true;
    c->buf = rn__transit_buf();
    if (!c->buf) return -ENOMEM;
    for (; left > 0; left -= (size_t)r) {
        struct iovec v = {c->buf, least(left, RN__TRANSIT_BUF)};
        r = rn__sys_readv(c->pipe[0], &v, 1);
        if (r > 0) r = give(c, try_write, (size_t)r, k);
        if (r < 0) break;
    }
    rn__transit_buf_give(c->buf);
    return r;
}

static int64_t through_pipe(struct copy *c, size_t n, struct rn__call *k) {
    int64_t got = take(c, try_fill, least(n, RN__TRANSIT_PIPE), k);
    c->many = got >= FEW;
    if (got == -EINVAL || got == -ENOBUFS) {
        c->no_pipe = got == -EINVAL;
        return through_buffer(c, n, k);
    }
    if (got <= 0) return got;
    int64_t r = give(c, try_drain, (size_t)got, k);
    if (r == -EINVAL) r = rescue(c, c->n, k);
    if (r >= 0)
        rn__transit_pipe_give(c->pipe);
    else
        rn__transit_pipe_drop(c->pipe);
    return r < 0 ? r : got;
}

static int64_t copy_some(struct copy *c, size_t n, struct rn__call *k) {
    return c->many && !c->no_pipe ? through_pipe(c, n, k) : through_buffer(c, n, k);
}

static int64_t copy_all(struct copy *c, size_t n, struct rn__call *k) {
    size_t done = 0;
    while (done < n) {
        int64_t r = copy_some(c, n - done, k);
        if (r < 0) return r;
        if (r == 0) break;
        done += (size_t)r;
    }
    return (int64_t)done;
}

static int64_t copy(rn_conn dst, rn_conn src, size_t n, int64_t *count, struct rn__call *k) {
    struct copy c = {.dst = dst, .src = src, .count = count};
    return copy_all(&c, n, k);
}

/* ---- from a file ---- */

struct file {
    int fd;
    off_t off;
    size_t n;
};

static int64_t try_sendfile(struct rn__pollfd *pd, void *op) {
    struct file *f = op;
    return rn__sys_sendfile(pd->fd, f->fd, &f->off, least(f->n, SENDFILE_MAX));
}

static int64_t send_file(rn_conn c, int fd, off_t off, size_t n, struct rn__call *k) {
    struct file f = {fd, off, n};
    struct rn__pollfd *pd = rn__poll_get(c);
    if (!pd) return -EBADF;
    int64_t r = rn__turn(pd, k);
    if (r == 0) {
        while (f.n > 0 && (r = rn__io_on(pd, RN__POLL_WRITE, try_sendfile, &f, k)) > 0)
            f.n -= (size_t)r;
        rn__poll_give_turn(pd);
    }
    rn__poll_put(pd);
    rn__call_end(k);
    return r < 0 ? r : (int64_t)(f.off - off);
}

int64_t rn_copy(rn_conn dst, rn_conn src, size_t n) { return copy(dst, src, n, NULL, RN__FOREVER); }
int64_t rn_copy_until(rn_conn dst, rn_conn src, size_t n, rn_time t) {
    return copy(dst, src, n, NULL, RN__UNTIL(t));
}
int64_t rn_copy_ctx(struct rn_ctx *ctx, rn_conn dst, rn_conn src, size_t n) {
    return copy(dst, src, n, NULL, RN__CTX(ctx));
}
int64_t rn_copy_counted(rn_conn dst, rn_conn src, size_t n, int64_t *count) {
    return copy(dst, src, n, count, RN__FOREVER);
}

int64_t rn_sendfile(rn_conn c, int fd, off_t off, size_t n) {
    return send_file(c, fd, off, n, RN__FOREVER);
}
int64_t rn_sendfile_until(rn_conn c, int fd, off_t off, size_t n, rn_time t) {
    return send_file(c, fd, off, n, RN__UNTIL(t));
}
int64_t rn_sendfile_ctx(struct rn_ctx *ctx, rn_conn c, int fd, off_t off, size_t n) {
    return send_file(c, fd, off, n, RN__CTX(ctx));
}
