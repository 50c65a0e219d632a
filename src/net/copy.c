/* SPDX-License-Identifier: MIT */
/*
 * copy.c: moving bytes without looking at them: from a connection to a connection by way of a pipe (splice(2)), from a file
 * to a connection (sendfile(2)). Where the kernel cannot, a buffer does.
 *
 * The pipe is emptied before more is taken, so -EAGAIN from filling it means that there is nothing to read, and from emptying
 * it that there is no room to write: each is waited for on the right connection.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "net/net.h"
#include "net/sys.h"

enum { CHUNK = 64 * 1024, SENDFILE_MAX = 1 << 30 };

struct copy {
    struct rn__pollfd *dst, *src;
    int pipe[2];
    char *buf; /* instead of the pipe */
    size_t n;  /* asked for, by a try */
    size_t at; /* in buf */
};

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

/* ---- the four tries ---- */

static int64_t try_fill(struct rn__pollfd *pd, void *op) {
    struct copy *c = op;
    return rn__sys_splice(pd->fd, c->pipe[1], c->n);
}

static int64_t try_drain(struct rn__pollfd *pd, void *op) {
    struct copy *c = op;
    return rn__sys_splice(c->pipe[0], pd->fd, c->n);
}

static int64_t try_read(struct rn__pollfd *pd, void *op) {
    struct copy *c = op;
    struct iovec v = {c->buf, c->n};
    return rn__sys_readv(pd->fd, &v, 1);
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
static int64_t fill(struct copy *c, struct rn__call *k) {
    int64_t r = rn__io_on(c->src, RN__POLL_READ, c->buf ? try_read : try_fill, c, k);
    rn__call_end(k);
    return r;
}

static int64_t drain(struct copy *c, size_t n, struct rn__call *k) {
    int64_t r = rn__turn(c->dst, k);
    if (r) return r;
    c->at = 0;
    for (c->n = n; c->n > 0; c->n -= (size_t)r, c->at += (size_t)r) {
        r = rn__io_on(c->dst, RN__POLL_WRITE, c->buf ? try_write : try_drain, c, k);
        if (r < 0) break;
    }
    rn__poll_give_turn(c->dst);
    rn__call_end(k);
    return r < 0 ? r : (int64_t)n;
}

/* What was spliced into the pipe cannot be spliced out: take it from there into the buffer, and go on with that. */
static int64_t rescue(struct copy *c, size_t n, struct rn__call *k) {
    struct iovec v = {NULL, n};
    c->buf = malloc(CHUNK);
    if (!c->buf) return -ENOMEM;
    v.iov_base = c->buf;
    ssize_t r = rn__sys_readv(c->pipe[0], &v, 1);
    if (r < 0) return r;
    return drain(c, (size_t)r, k);
}

static int64_t copy_all(struct copy *c, size_t n, struct rn__call *k) {
    size_t done = 0;
    while (done < n) {
        c->n = least(n - done, CHUNK);
        int64_t got = fill(c, k);
        if (got == -EINVAL && !c->buf) {
            c->buf = malloc(CHUNK);
            if (!c->buf) return -ENOMEM;
            continue;
        }
        if (got <= 0) return got < 0 ? got : (int64_t)done;
        int64_t r = drain(c, (size_t)got, k);
        if (r == -EINVAL && !c->buf) r = rescue(c, (size_t)got, k);
        if (r < 0) return r;
        done += (size_t)got;
    }
    return (int64_t)done;
}

static int64_t copy_with(struct copy *c, size_t n, struct rn__call *k) {
    int r = rn__sys_pipe(c->pipe);
    if (r < 0 && r != -EMFILE && r != -ENFILE) return r;
    if (r < 0) { /* no descriptors left: the buffer needs none */
        c->pipe[0] = c->pipe[1] = -1;
        c->buf = malloc(CHUNK);
        if (!c->buf) return -ENOMEM;
    }
    int64_t done = copy_all(c, n, k);
    free(c->buf);
    if (r == 0) {
        close(c->pipe[0]);
        close(c->pipe[1]);
    }
    return done;
}

static int64_t copy(rn_conn dst, rn_conn src, size_t n, struct rn__call *k) {
    struct copy c = {.dst = rn__poll_get(dst), .src = rn__poll_get(src)};
    int64_t r = c.dst && c.src ? copy_with(&c, n, k) : -EBADF;
    if (c.dst) rn__poll_put(c.dst);
    if (c.src) rn__poll_put(c.src);
    return r;
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

int64_t rn_copy(rn_conn dst, rn_conn src, size_t n) { return copy(dst, src, n, RN__FOREVER); }
int64_t rn_copy_until(rn_conn dst, rn_conn src, size_t n, rn_time t) {
    return copy(dst, src, n, RN__UNTIL(t));
}
int64_t rn_copy_ctx(struct rn_ctx *ctx, rn_conn dst, rn_conn src, size_t n) {
    return copy(dst, src, n, RN__CTX(ctx));
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
