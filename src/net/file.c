/* SPDX-License-Identifier: MIT */
/*
 * file.c: descriptors that are not connections: waiting for one, and files.
 *
 * A foreign descriptor gets a record for the time of one wait. Its owner, or a second waiter, may have it in
 * the poller already, and the poller takes a descriptor once: so it is a duplicate that is waited for. It
 * also holds what it names open: when the owner closes its number meanwhile, we do not wait on somebody else's.
 */
#include <errno.h>
#include <poll.h>
#include <runnel/go.h>
#include <unistd.h>

#include "net/net.h"
#include "net/sys.h"

_Static_assert((int)RN_READABLE == (int)RN__POLL_READ && (int)RN_WRITABLE == (int)RN__POLL_WRITE,
               "one set of bits");

static int translate(int events, short revents) {
    int r = 0;
    if (revents & (POLLIN | POLLPRI | POLLRDHUP)) r |= RN_READABLE;
    if (revents & POLLOUT) r |= RN_WRITABLE;
    if (revents & (POLLERR | POLLHUP)) r |= RN_READABLE | RN_WRITABLE;
    return r & events;
}

static int look(int fd, int events) {
    short ask = (events & RN_READABLE ? POLLIN : 0) | (events & RN_WRITABLE ? POLLOUT : 0);
    int r = rn__sys_poll(fd, ask);
    if (r < 0) return r;
    if (r & POLLNVAL) return -EBADF;
    r = translate(events, (short)r);
    return r ? r : -EAGAIN;
}

static int64_t try_look(struct rn__pollfd *pd, void *op) { return look(pd->fd, *(int *)op); }

static int fd_wait(int fd, int events, struct rn__call *k) {
    if (!(events & (RN_READABLE | RN_WRITABLE))) return -EINVAL;
    int r = look(fd, events);
    if (r != -EAGAIN) return r;
    int copy = rn__sys_dup(fd);
    rn_conn c = rn__conn_new(copy, 0);
    if (c < 0) return (int)c;
    struct rn__pollfd *pd = rn__poll_get(c);
    uint32_t dirs = (uint32_t)events & (RN__POLL_READ | RN__POLL_WRITE);
    r = pd ? (int)rn__io_on(pd, dirs, try_look, &events, k) : -EBADF;
    if (pd) rn__poll_put(pd);
    rn__call_end(k);
    rn_conn_close(c);
    return r;
}

int rn_fd_wait(int fd, int events) { return fd_wait(fd, events, RN__FOREVER); }
int rn_fd_wait_until(int fd, int events, rn_time t) { return fd_wait(fd, events, RN__UNTIL(t)); }
int rn_fd_wait_ctx(struct rn_ctx *ctx, int fd, int events) {
    return fd_wait(fd, events, RN__CTX(ctx));
}

/* ---- files ---- */

#ifndef RWF_NOWAIT
#define RWF_NOWAIT 8
#endif

struct transfer {
    int fd;
    void *buf;
    size_t n;
    off_t off;
};

static intptr_t blocking_read(void *arg) {
    struct transfer *t = arg;
    return rn__sys_pread(t->fd, t->buf, t->n, t->off, 0);
}

static intptr_t blocking_write(void *arg) {
    struct transfer *t = arg;
    return rn__sys_pwrite(t->fd, t->buf, t->n, t->off, 0);
}

/* 0 from a RWF_NOWAIT read is the end of the file; what is cached of a longer one comes as a short read. */
ssize_t rn_pread(int fd, void *buf, size_t n, off_t off) {
    struct transfer t = {fd, buf, n, off};
    ssize_t r = rn__sys_pread(fd, buf, n, off, RWF_NOWAIT);
    if (r != -EAGAIN && r != -EOPNOTSUPP && r != -ENOSYS && r != -EINVAL) return r;
    return rn_blocking(blocking_read, &t);
}

ssize_t rn_pwrite(int fd, const void *buf, size_t n, off_t off) {
    struct transfer t = {fd, (void *)(uintptr_t)buf, n, off};
    ssize_t r = rn__sys_pwrite(fd, buf, n, off, RWF_NOWAIT);
    if (r != -EAGAIN && r != -EOPNOTSUPP && r != -ENOSYS && r != -EINVAL) return r;
    return rn_blocking(blocking_write, &t);
}
