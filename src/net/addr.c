/* SPDX-License-Identifier: MIT */
/*
 * addr.c: networks, addresses and names.
 *
 * Numeric addresses and Unix paths are read in place. Names go to getaddrinfo(3), which blocks and cannot be
 * interrupted: a goroutine of its own makes the call, off its processor, on a stack that is large enough for any
 * name service module. Who asked waits for its answer, or leaves it behind: the question belongs to both, the last
 * one frees it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <runnel/context.h>
#include <runnel/go.h>
#include <runnel/select.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "base/atomic.h"
#include "net/net.h"

enum { HOST = 256, PORT = 64, RESOLVER_STACK = 512 * 1024 };

static const struct rn__network networks[] = {
    {"tcp", AF_UNSPEC, SOCK_STREAM, RN__SOCKET | RN__STREAM | RN__TCP},
    {"tcp4", AF_INET, SOCK_STREAM, RN__SOCKET | RN__STREAM | RN__TCP},
    {"tcp6", AF_INET6, SOCK_STREAM, RN__SOCKET | RN__STREAM | RN__TCP},
    {"udp", AF_UNSPEC, SOCK_DGRAM, RN__SOCKET},
    {"udp4", AF_INET, SOCK_DGRAM, RN__SOCKET},
    {"udp6", AF_INET6, SOCK_DGRAM, RN__SOCKET},
    {"unix", AF_UNIX, SOCK_STREAM, RN__SOCKET | RN__STREAM},
    {"unixgram", AF_UNIX, SOCK_DGRAM, RN__SOCKET},
    {"unixpacket", AF_UNIX, SOCK_SEQPACKET, RN__SOCKET},
};

const struct rn__network *rn__network(const char *name) {
    for (size_t i = 0; i < sizeof networks / sizeof *networks; i++)
        if (name && strcmp(networks[i].name, name) == 0) return &networks[i];
    return NULL;
}

/* ---- Unix addresses ---- */

static int unix_address(const char *path, rn_addr *a) {
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    size_t n = strlen(path), head = offsetof(struct sockaddr_un, sun_path);
    bool abstract = path[0] == '@';
    if (n == 0 || n + !abstract > sizeof un.sun_path) return -EINVAL;
    memcpy(un.sun_path, path, n);
    if (abstract) un.sun_path[0] = 0;
    memset(a, 0, sizeof *a);
    memcpy(&a->sa, &un, sizeof un);
    a->len = (socklen_t)(head + n + !abstract);
    return 1;
}

/* ---- host and port ---- */

struct place {
    char host[HOST]; /* "": none */
    char port[PORT];
};

static int cut(char *to, size_t size, const char *from, size_t n) {
    if (n >= size) return -EINVAL;
    memcpy(to, from, n);
    to[n] = 0;
    return 0;
}

/* "host:port", "[v6]:port", ":port". A host with a colon needs the brackets. */
static int split(const char *s, struct place *p) {
    const char *colon = strrchr(s, ':'), *end = colon;
    if (!colon || !colon[1]) return -EINVAL;
    if (*s == '[') {
        end = strchr(++s, ']');
        if (!end || end + 1 != colon) return -EINVAL;
    } else if (memchr(s, ':', (size_t)(colon - s))) {
        return -EINVAL;
    }
    int r = cut(p->host, sizeof p->host, s, (size_t)(end - s));
    return r ? r : cut(p->port, sizeof p->port, colon + 1, strlen(colon + 1));
}

/* -1: not a number; -2: a number that is no port. */
static int port_number(const char *s) {
    long n = 0;
    for (const char *p = s; *p; p++) {
        if (*p < '0' || *p > '9') return -1;
        n = n * 10 + (*p - '0');
        if (n > 65535) return -2;
    }
    return (int)n;
}

static void put_v4(rn_addr *a, struct in_addr ip, int port) {
    struct sockaddr_in in = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = ip};
    memset(a, 0, sizeof *a);
    memcpy(&a->sa, &in, sizeof in);
    a->len = sizeof in;
}

static void put_v6(rn_addr *a, struct in6_addr ip, int port) {
    struct sockaddr_in6 in = {
        .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port), .sin6_addr = ip};
    memset(a, 0, sizeof *a);
    memcpy(&a->sa, &in, sizeof in);
    a->len = sizeof in;
}

/* No host: listening, everywhere; dialling, this machine. IPv6 first: a listener there takes IPv4 as well. */
static int no_host(int family, bool passive, int port, rn_addr *a, int max) {
    int n = 0;
    struct in_addr v4 = {htonl(passive ? INADDR_ANY : INADDR_LOOPBACK)};
    bool v6_first = passive || family == AF_INET6;
    if (v6_first && family != AF_INET && n < max)
        put_v6(&a[n++], passive ? in6addr_any : in6addr_loopback, port);
    if (family != AF_INET6 && n < max) put_v4(&a[n++], v4, port);
    if (!v6_first && family == AF_UNSPEC && n < max) put_v6(&a[n++], in6addr_loopback, port);
    return n;
}

/* 1; 0: not a number; -EINVAL: of the other family. */
static int numeric(int family, const char *host, int port, rn_addr *a) {
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, host, &v4) == 1) {
        if (family == AF_INET6) return -EINVAL;
        put_v4(a, v4, port);
        return 1;
    }
    if (inet_pton(AF_INET6, host, &v6) == 1) {
        if (family == AF_INET) return -EINVAL;
        put_v6(a, v6, port);
        return 1;
    }
    return 0;
}

/* ---- names ---- */

struct question {
    uint32_t users; /* atomic */
    int family, type;
    bool passive;
    struct place place;
    struct addrinfo *answer;
    rn_chan(int) done;
};

static void question_unref(struct question *q) {
    if (rn__sub_acq_rel(&q->users, 1u) != 1) return;
    if (q->answer) freeaddrinfo(q->answer);
    rn_unref(q->done);
    free(q);
}

static __attribute__((noinline)) int os_error(void) { return errno ? -errno : -EIO; }

static int name_error(int r) {
    switch (r) {
    case 0: return 0;
    case EAI_NONAME:
    case EAI_SERVICE:
#ifdef EAI_NODATA
    case EAI_NODATA:
    case EAI_ADDRFAMILY:
#endif
        return -ENOENT;
    case EAI_AGAIN:
    case EAI_FAIL: return -EHOSTUNREACH;
    case EAI_MEMORY: return -ENOMEM;
    case EAI_SYSTEM: return os_error();
    default: return -EINVAL;
    }
}

static intptr_t ask(void *arg) {
    struct question *q = arg;
    struct addrinfo hints = {
        .ai_family = q->family,
        .ai_socktype = q->type,
        .ai_flags = q->passive ? AI_PASSIVE : AI_ADDRCONFIG,
    };
    const char *host = q->place.host[0] ? q->place.host : NULL;
    return name_error(getaddrinfo(host, q->place.port, &hints, &q->answer));
}

static void resolver(struct question *q) {
    int r = (int)rn_blocking(ask, q);
    rn_send(q->done, r);
    question_unref(q);
}

static struct question *question_new(const struct rn__network *n, const struct place *p,
                                     bool passive) {
    struct question *q = calloc(1, sizeof *q);
    if (!q) return NULL;
    q->users = 2;
    q->family = n->family;
    q->type = n->type;
    q->passive = passive;
    q->place = *p;
    q->done = rn_make(int, 1);
    if (q->done) return q;
    free(q);
    return NULL;
}

/* Families take turns, beginning with the first (RFC 8305, 4). */
static int copy_answer(const struct addrinfo *list, rn_addr *a, int max) {
    const struct addrinfo *first = list, *second = list;
    int n = 0, family = list ? list->ai_family : 0;
    for (bool odd = false; n < max && (first || second); odd = !odd) {
        const struct addrinfo **at = odd ? &second : &first;
        while (*at && ((*at)->ai_family == family) == odd) *at = (*at)->ai_next;
        if (!*at) continue;
        memset(&a[n], 0, sizeof a[n]);
        memcpy(&a[n].sa, (*at)->ai_addr, (*at)->ai_addrlen);
        a[n++].len = (*at)->ai_addrlen;
        *at = (*at)->ai_next;
    }
    return n;
}

int rn__recv_call(void *c, int *v, rn_time until, const struct rn__call *k) {
    int when[3] = {0, -ETIMEDOUT, -ECANCELED}, n = 1;
    rn_case cases[3] = {{.chan = c, .v = v, .kind = RN_CASE_RECV}};
    if (k->until < until) until = k->until;
    if (until != RN_TIME_MAX) cases[n++] = rn_on_until(until);
    if (k->ctx) {
        when[n] = -ECANCELED;
        cases[n++] = rn_on_done(k->ctx);
    }
    int r = when[rn_select_n(cases, (size_t)n, RN_INORDER)];
    return r == -ECANCELED ? rn_ctx_err(k->ctx) : r;
}

static int resolve(const struct rn__network *n, const struct place *p, bool passive, rn_addr *addrs,
                   int max, struct rn__call *k) {
    static const rn_go_opts opts = {.name = "resolver", .stack_size = RESOLVER_STACK};
    int answer, r = rn__call_error(k);
    struct question *q = r ? NULL : question_new(n, p, passive);
    if (!q) return r ? r : -ENOMEM;
    r = rn_go_opt(&opts, resolver, q);
    if (r == 0)
        r = rn__recv_call(q->done, &answer, RN_TIME_MAX, k);
    else
        question_unref(q);
    if (r == 0) r = answer;
    if (r == 0) r = copy_answer(q->answer, addrs, max);
    question_unref(q);
    return r;
}

int rn__lookup(const struct rn__network *n, const char *address, bool passive, rn_addr *addrs,
               int max, struct rn__call *k) {
    struct place p;
    if (!n || !address || max < 1) return -EINVAL;
    if (n->family == AF_UNIX) return unix_address(address, addrs);
    int r = split(address, &p);
    if (r) return r;
    int port = port_number(p.port);
    if (port == -2) return -EINVAL;
    if (port >= 0) {
        if (!p.host[0]) return no_host(n->family, passive, port, addrs, max);
        r = numeric(n->family, p.host, port, addrs);
        if (r) return r;
    }
    return resolve(n, &p, passive, addrs, max, k);
}

int rn_lookup(const char *network, const char *address, rn_addr *addrs, int max) {
    return rn__lookup(rn__network(network), address, false, addrs, max, RN__FOREVER);
}
int rn_lookup_until(const char *network, const char *address, rn_addr *addrs, int max, rn_time t) {
    return rn__lookup(rn__network(network), address, false, addrs, max, RN__UNTIL(t));
}
int rn_lookup_ctx(struct rn_ctx *ctx, const char *network, const char *address, rn_addr *addrs,
                  int max) {
    return rn__lookup(rn__network(network), address, false, addrs, max, RN__CTX(ctx));
}

/* ---- as text ---- */

static int fits(int n, size_t size) { return n < 0 || (size_t)n >= size ? -ENOSPC : n; }

/* A Unix socket without a name is "". The path may lack its zero. */
static int unix_text(const rn_addr *a, char *text, size_t size) {
    struct sockaddr_un un;
    size_t head = offsetof(struct sockaddr_un, sun_path), n = a->len > head ? a->len - head : 0;
    memcpy(&un, &a->sa, sizeof un);
    if (n > sizeof un.sun_path) n = sizeof un.sun_path;
    if (n == 0) return fits(snprintf(text, size, "%s", ""), size);
    if (un.sun_path[0]) return fits(snprintf(text, size, "%.*s", (int)n, un.sun_path), size);
    if (n >= size) return -ENOSPC;
    memcpy(text, un.sun_path, n);
    text[0] = '@';
    text[n] = 0;
    return (int)n;
}

int rn_addr_text(const rn_addr *a, char *text, size_t size) {
    char ip[INET6_ADDRSTRLEN];
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    switch (a->len ? a->sa.ss_family : AF_UNIX) {
    case AF_UNIX: return unix_text(a, text, size);
    case AF_INET:
        memcpy(&v4, &a->sa, sizeof v4);
        inet_ntop(AF_INET, &v4.sin_addr, ip, sizeof ip);
        return fits(snprintf(text, size, "%s:%d", ip, ntohs(v4.sin_port)), size);
    case AF_INET6:
        memcpy(&v6, &a->sa, sizeof v6);
        inet_ntop(AF_INET6, &v6.sin6_addr, ip, sizeof ip);
        return fits(snprintf(text, size, "[%s]:%d", ip, ntohs(v6.sin6_port)), size);
    default: return -EAFNOSUPPORT;
    }
}
