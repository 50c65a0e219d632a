/* SPDX-License-Identifier: MIT */
/* conn.c: connections as such: making one of a descriptor, closing, deadlines, options, addresses. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/atomic.h"
#include "net/net.h"
#include "net/sys.h"

rn_conn rn__conn_new(int fd, uint8_t kind) {
    if (fd < 0) return fd;
    rn_conn c = rn__poll_open(fd, kind, false);
    if (c < 0) close(fd);
    return c;
}

/* A descriptor that is no socket is a stream. */
static int kind_of(int fd) {
    int type = 0, family = 0;
    socklen_t len = sizeof type;
    int r = rn__sys_getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len);
    if (r == -ENOTSOCK) return RN__STREAM;
    if (r < 0) return r;
    len = sizeof family;
    rn__sys_getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &len);
    bool tcp = type == SOCK_STREAM && (family == AF_INET || family == AF_INET6);
    return RN__SOCKET | (type == SOCK_STREAM ? RN__STREAM : 0) | (tcp ? RN__TCP : 0);
}

/* Works on the record of c for one moment. */
#define WITH(c, pd, result)                                                                        \
    __extension__({                                                                                \
        struct rn__pollfd *pd = rn__poll_get(c);                                                   \
        int r_ = -EBADF;                                                                           \
        if (pd) {                                                                                  \
            r_ = (result);                                                                         \
            rn__poll_put(pd);                                                                      \
        }                                                                                          \
        r_;                                                                                        \
    })

/* Who else has its descriptor may make something of it that does not give bytes as TCP does: kernel TLS, say. */
static int others_have(struct rn__pollfd *pd) {
    rn__poll_odd(pd);
    return pd->fd;
}

int rn_conn_fd(rn_conn c) { return WITH(c, pd, others_have(pd)); }

rn_conn rn_conn_of_fd(int fd) {
    int kind = kind_of(fd);
    if (kind < 0) return kind;
    int r = rn__sys_nonblock(fd);
    if (r < 0) return r;
    rn_conn c = rn__poll_open(fd, (uint8_t)kind, false);
    if (c > 0) (void)rn_conn_fd(c);
    return c;
}

static int two(const int fd[2], uint8_t kind, rn_conn c[2]) {
    c[0] = rn__conn_new(fd[0], kind);
    c[1] = rn__conn_new(fd[1], kind);
    if (c[0] > 0 && c[1] > 0) return 0;
    if (c[0] > 0) rn_conn_close(c[0]);
    if (c[1] > 0) rn_conn_close(c[1]);
    return -ENOMEM;
}

int rn_socketpair(int type, rn_conn c[2]) {
    int fd[2], r = rn__sys_socketpair(type, fd);
    return r < 0 ? r : two(fd, RN__SOCKET | (type == SOCK_STREAM ? RN__STREAM : 0), c);
}

int rn_pipe(rn_conn c[2]) {
    int fd[2], r = rn__sys_pipe(fd);
    return r < 0 ? r : two(fd, RN__STREAM, c);
}

/* A listener's file goes first, so that nobody finds it and is refused; then close(2). */
int rn_conn_close(rn_conn c) {
    struct rn__pollfd *pd = rn__poll_get(c);
    if (!pd) return -EBADF;
    const char *path = rn__exchange_acq_rel(&pd->path, NULL);
    if (path) unlink(path);
    free((void *)(uintptr_t)path);
    rn__poll_put(pd);
    return rn__poll_close(c);
}

int rn_conn_close_write(rn_conn c) { return WITH(c, pd, rn__sys_shutdown(pd->fd, SHUT_WR)); }

int rn_conn_close_read(rn_conn c) { return WITH(c, pd, rn__sys_shutdown(pd->fd, SHUT_RD)); }

int rn_conn_setopt(rn_conn c, int level, int name, const void *value, socklen_t len) {
    if (level == IPPROTO_TCP && name == TCP_ULP) (void)rn_conn_fd(c);
    return WITH(c, pd, rn__sys_setsockopt(pd->fd, level, name, value, len));
}

int rn_conn_getopt(rn_conn c, int level, int name, void *value, socklen_t *len) {
    return WITH(c, pd, rn__sys_getsockopt(pd->fd, level, name, value, len));
}

typedef int name_fn(int, struct sockaddr *, socklen_t *);

static int get_name(rn_conn c, rn_addr *a, name_fn *get) {
    a->len = sizeof a->sa;
    int r = WITH(c, pd, get(pd->fd, (struct sockaddr *)&a->sa, &a->len));
    if (r < 0) a->len = 0;
    return r;
}

int rn_conn_local(rn_conn c, rn_addr *a) { return get_name(c, a, rn__sys_getsockname); }

int rn_conn_peer(rn_conn c, rn_addr *a) { return get_name(c, a, rn__sys_getpeername); }

/* The kick comes after the store: who waits looks again (call.c). */
static int set_deadlines(struct rn__pollfd *pd, uint32_t dirs, rn_time t) {
    if (dirs & RN__POLL_READ) rn__store_relaxed(&pd->deadline[0], t);
    if (dirs & RN__POLL_WRITE) rn__store_relaxed(&pd->deadline[1], t);
    rn__poll_kick(pd, dirs & RN__POLL_WRITE ? dirs | RN__POLL_TURN : dirs);
    return 0;
}

int rn_conn_set_deadline(rn_conn c, rn_time t) {
    return WITH(c, pd, set_deadlines(pd, RN__POLL_READ | RN__POLL_WRITE, t));
}

int rn_conn_set_read_deadline(rn_conn c, rn_time t) {
    return WITH(c, pd, set_deadlines(pd, RN__POLL_READ, t));
}

int rn_conn_set_write_deadline(rn_conn c, rn_time t) {
    return WITH(c, pd, set_deadlines(pd, RN__POLL_WRITE, t));
}
