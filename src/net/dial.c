/* SPDX-License-Identifier: MIT */
/*
 * dial.c: listening and connecting.
 *
 * Connecting to a name with addresses of two families is a race (RFC 8305): one goroutine tries the addresses of the first
 * family one after the other, a second one, 300 ms later or when the first has failed, those of the other. The race is
 * counted, by the dialler and its runners, so that nobody waits for a slow loser:
 *   winner   0 -> a connection, by the first runner that has one; 0 -> -1 by the dialler that gives up. A runner that comes second
 *            closes what it has.
 *   current  what a runner is connecting now. The dialler, leaving, closes it and the runner sees -EBADF; handles are never
 *            used again, so it does not matter if the runner is past it.
 *   over     set before the dialler looks at current; a runner looks at it after it has set current (D1: one of them sees the other).
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <runnel/chan.h>
#include <runnel/go.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/atomic.h"
#include "net/net.h"
#include "net/sys.h"
#include "os/clock.h"

enum {
    BACKLOG = 4096,
    ADDRS = 16,        /* tried at most */
    KEEPALIVE = 15,    /* seconds, as in Go */
    SELF_CONNECTS = 3, /* see self_connected */
};

#define FALLBACK (300 * RN_MS)
#define SHARE_AT_LEAST (2 * RN_SEC)
#define BACKLOG_NAP_MAX (50 * RN_MS)

static void set_int(int fd, int level, int name, int value) {
    (void)rn__sys_setsockopt(fd, level, name, &value, sizeof value);
}

/* On a listener they are inherited by what it accepts, which saves four system calls each. */
static void tcp_options(int fd) {
    set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE);
    set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE);
}

/* ---- listening ---- */

static int bound_socket(const struct rn__network *n, const rn_addr *a) {
    int fd = rn__sys_socket(a->sa.ss_family, n->type);
    if (fd < 0) return fd;
    if (n->kind & RN__TCP) {
        set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
        tcp_options(fd);
    }
    if (a->sa.ss_family == AF_INET6) set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, n->family == AF_INET6);
    int r = rn__sys_bind(fd, (const struct sockaddr *)&a->sa, a->len);
    if (r == 0 && n->type != SOCK_DGRAM) r = rn__sys_listen(fd, BACKLOG);
    if (r == 0) return fd;
    close(fd);
    return r;
}

/* Remember the file to remove. */
static rn_conn with_path(rn_conn c, const struct rn__network *n, const char *address) {
    if (c < 0 || n->family != AF_UNIX || address[0] == '@') return c;
    struct rn__pollfd *pd = rn__poll_get(c);
    char *path = strdup(address);
    if (pd) rn__store_release(&pd->path, path);
    if (pd) rn__poll_put(pd);
    if (path) return c;
    unlink(address);
    rn_conn_close(c);
    return -ENOMEM;
}

/* The first address that works: a machine without IPv6 listens on IPv4. */
rn_conn rn_listen(const char *network, const char *address) {
    const struct rn__network *n = rn__network(network);
    rn_addr a[ADDRS];
    int count = rn__lookup(n, address, true, a, ADDRS, RN__FOREVER);
    if (count < 0) return count;
    int fd = -ENOENT, first = 0;
    for (int i = 0; i < count && fd < 0; i++) {
        fd = bound_socket(n, &a[i]);
        if (i == 0) first = fd;
    }
    if (fd < 0 && first != -EAFNOSUPPORT && first != -EADDRNOTAVAIL && first < 0) fd = first;
    return with_path(rn__conn_new(fd, n->kind), n, address);
}

/* ---- one address ---- */

/* Connected, when the socket says that it can be written and has no error. A spurious wake-up finds no peer yet. */
static int64_t try_connected(struct rn__pollfd *pd, void *op) {
    bool *started = op;
    int error = 0;
    socklen_t len = sizeof error;
    rn_addr peer = {.len = sizeof peer.sa};
    if (!*started) {
        *started = true;
        return -EAGAIN;
    }
    int r = rn__sys_getsockopt(pd->fd, SOL_SOCKET, SO_ERROR, &error, &len);
    if (r < 0 || error) return r < 0 ? r : -error;
    r = rn__sys_getpeername(pd->fd, (struct sockaddr *)&peer.sa, &peer.len);
    return r == -ENOTCONN ? -EAGAIN : r;
}

/* Waits once. */
static int64_t try_nap(struct rn__pollfd *pd, void *op) {
    bool *waited = op, before = *waited;
    (void)pd;
    *waited = true;
    return before ? 0 : -EAGAIN;
}

/*
 * A Unix listener's backlog is full: no event tells when there is room again, so ask now and then. The nap is a wait for an
 * edge that need not come, so that closing and the context end it.
 */
static int64_t connect_unix(struct rn__pollfd *pd, const rn_addr *a, struct rn__call *k) {
    for (rn_duration nap = RN_MS;; nap = nap < BACKLOG_NAP_MAX ? nap * 2 : nap) {
        int64_t r = rn__sys_connect(pd->fd, (const struct sockaddr *)&a->sa, a->len);
        if (r != -EAGAIN) return r;
        bool waited = false;
        rn_time until = rn__now() + nap;
        struct rn__call part = {until < k->until ? until : k->until, k->ctx, NULL};
        r = rn__io_on(pd, RN__POLL_READ, try_nap, &waited, &part);
        rn__call_end(&part);
        if (r < 0 && r != -ETIMEDOUT) return r;
        r = rn__call_error(k);
        if (r == 0 && k->until <= rn__now()) r = -ETIMEDOUT;
        if (r) return r;
    }
}

static int64_t connect_record(struct rn__pollfd *pd, const rn_addr *a, struct rn__call *k) {
    bool started = false;
    if (a->sa.ss_family == AF_UNIX) return connect_unix(pd, a, k);
    int r = rn__sys_connect(pd->fd, (const struct sockaddr *)&a->sa, a->len);
    if (r != -EINPROGRESS) return r;
    return rn__io_on(pd, RN__POLL_WRITE, try_connected, &started, k);
}

/*
 * A TCP socket that connects to a free port of its own machine's ephemeral range may get that very port and connect to
 * itself. That is no connection: nobody listens.
 */
static bool self_connected(struct rn__pollfd *pd) {
    rn_addr us = {.len = sizeof us.sa}, peer = {.len = sizeof peer.sa};
    if (!(pd->kind & RN__TCP)) return false;
    if (rn__sys_getsockname(pd->fd, (struct sockaddr *)&us.sa, &us.len) < 0) return false;
    if (rn__sys_getpeername(pd->fd, (struct sockaddr *)&peer.sa, &peer.len) < 0) return false;
    return us.len == peer.len && memcmp(&us.sa, &peer.sa, us.len) == 0;
}

/* The connection made for an attempt is told to others in *current (NULL: nobody) before it is waited on. */
static rn_conn attempt(const struct rn__network *n, const rn_addr *a, rn_conn *current,
                       const bool *over, struct rn__call *k) {
    int fd = rn__sys_socket(a->sa.ss_family, n->type);
    if (fd >= 0 && n->kind & RN__TCP) tcp_options(fd);
    rn_conn c = rn__conn_new(fd, n->kind);
    struct rn__pollfd *pd = rn__poll_get(c);
    if (!pd) return c < 0 ? c : -EBADF;
    if (current) rn__store_seq_cst(current, c);                                     /* D1 */
    int64_t r = over && rn__load_seq_cst(over) ? -EBADF : connect_record(pd, a, k); /* D1 */
    if (r == 0 && self_connected(pd)) r = -EAGAIN;
    rn__poll_put(pd);
    rn__call_end(k);
    if (r == 0) return c;
    rn_conn_close(c);
    return r;
}

static rn_conn dial_one(const struct rn__network *n, const rn_addr *a, rn_conn *current,
                        const bool *over, struct rn__call *k) {
    rn_conn c = -EAGAIN;
    for (int i = 0; c == -EAGAIN && i < SELF_CONNECTS; i++) c = attempt(n, a, current, over, k);
    return c == -EAGAIN ? -ECONNREFUSED : c;
}

/* ---- several addresses ---- */

/* This address's part of the time that is left for `left` of them, but not less than 2 s if there are that many. */
static rn_time share(rn_time until, int left) {
    if (until == RN_TIME_MAX) return until;
    rn_time now = rn__now();
    rn_duration rest = until - now, part = rest / left;
    if (part < SHARE_AT_LEAST) part = rest < SHARE_AT_LEAST ? rest : SHARE_AT_LEAST;
    return now + part;
}

/* One after the other. The first one's error is the error, but for one that comes of our own end. */
static rn_conn dial_serial(const struct rn__network *n, const rn_addr *a, int count,
                           rn_conn *current, const bool *over, struct rn__call *k) {
    rn_conn first = -EINVAL;
    for (int i = 0; i < count; i++) {
        struct rn__call part = {share(k->until, count - i), k->ctx, NULL};
        rn_conn c = dial_one(n, &a[i], current, over, &part);
        if (c > 0) return c;
        if (i == 0) first = c;
        int ended = rn__call_error(k);
        if (ended) return ended;
        if (over && rn__load_seq_cst(over)) return -EBADF;
    }
    return first;
}

/* ---- the race ---- */

struct race {
    uint32_t users;     /* atomic */
    bool over;          /* atomic */
    rn_conn winner;     /* atomic */
    rn_conn current[2]; /* atomic */
    const struct rn__network *network;
    rn_addr addrs[2][ADDRS];
    int count[2];
    rn_time until;
    rn_chan(int) results; /* 0 or -errno of each runner; never full */
};

static void race_unref(struct race *r) {
    if (rn__sub_acq_rel(&r->users, 1u) != 1) return;
    rn_unref(r->results);
    free(r);
}

static void runner(struct race *r, int i) {
    struct rn__call k = {r->until, NULL, NULL};
    rn_conn c = dial_serial(r->network, r->addrs[i], r->count[i], &r->current[i], &r->over, &k);
    int result = c < 0 ? (int)c : 0;
    if (c > 0) {
        rn__store_seq_cst(&r->current[i],
                          (rn_conn)0); /* it is not the dialler's to close any more */
        if (!rn__cas_seq_cst(&r->winner, (rn_conn)0, c)) rn_conn_close(c);
    }
    rn_send(r->results, result);
    race_unref(r);
}

static int start(struct race *r, int i) {
    rn__add_relaxed(&r->users, 1u);
    int e = rn_go(runner, r, i);
    if (e < 0) race_unref(r);
    return e;
}

/* Until one has won or both have failed: 0, or the first one's error. */
static int watch_race(struct race *r, struct rn__call *k) {
    int result = 0, error = start(r, 0), running = error == 0;
    bool both = false;
    if (running) {
        error = rn__recv_call(r->results, &result, rn__now() + FALLBACK, k);
        if (error == 0) running--;
        if (error == 0 && result == 0) return 0;
        if (error == 0)
            error = result;
        else if (error != -ETIMEDOUT || rn__call_error(k) || k->until <= rn__now())
            return error;
    }
    both = start(r, 1) == 0;
    running += both;
    while (running > 0) {
        int e = rn__recv_call(r->results, &result, RN_TIME_MAX, k);
        if (e) return e;
        running--;
        if (result == 0) return 0;
        if (error == 0 || error == -ETIMEDOUT) error = result;
    }
    return error;
}

static rn_conn finish_race(struct race *r, int error) {
    rn_conn won = 0;
    if (error && rn__cas_seq_cst(&r->winner, (rn_conn)0, (rn_conn)-1))
        won = error;
    else
        won = rn__load_seq_cst(&r->winner);
    rn__store_seq_cst(&r->over, true); /* D1 */
    for (int i = 0; i < 2; i++) {
        rn_conn c = rn__load_seq_cst(&r->current[i]);
        if (c > 0 && c != won) rn_conn_close(c);
    }
    return won;
}

/* Those of the first one's family are the first runner's. */
static rn_conn dial_race(const struct rn__network *n, const rn_addr *a, int count,
                         struct rn__call *k) {
    struct race *r = calloc(1, sizeof *r);
    if (!r) return -ENOMEM;
    r->users = 1;
    r->network = n;
    r->until = k->until;
    r->results = rn_make(int, 2);
    if (!r->results) {
        free(r);
        return -ENOMEM;
    }
    for (int i = 0; i < count; i++) {
        int f = a[i].sa.ss_family != a[0].sa.ss_family;
        r->addrs[f][r->count[f]++] = a[i];
    }
    rn_conn c = finish_race(r, watch_race(r, k));
    race_unref(r);
    return c;
}

static rn_conn dial(const char *network, const char *address, struct rn__call *k) {
    const struct rn__network *n = rn__network(network);
    rn_addr a[ADDRS];
    int ended = rn__call_error(k);
    int count = ended ? ended : rn__lookup(n, address, false, a, ADDRS, k);
    if (count <= 0) return count ? count : -ENOENT;
    for (int i = 1; i < count && n->type != SOCK_DGRAM; i++)
        if (a[i].sa.ss_family != a[0].sa.ss_family) return dial_race(n, a, count, k);
    return dial_serial(n, a, count, NULL, NULL, k);
}

rn_conn rn_dial(const char *network, const char *address) {
    return dial(network, address, RN__FOREVER);
}
rn_conn rn_dial_until(const char *network, const char *address, rn_time t) {
    return dial(network, address, RN__UNTIL(t));
}
rn_conn rn_dial_ctx(struct rn_ctx *ctx, const char *network, const char *address) {
    return dial(network, address, RN__CTX(ctx));
}
