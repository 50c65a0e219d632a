/* SPDX-License-Identifier: MIT */
/*
 * net_bench.c: connections over the loopback, server and clients in one process; go/net_rows.go does the same.
 *
 * A row of the load kind runs for RUNNEL_BENCH_MS (at least 100) after as long a warm-up, and reports per request: NAME in ns of
 * time, NAME_cpu in ns of CPU of the whole process (both sides and the kernel), NAME_p50 and NAME_p99 in us. Connections that are
 * idle beside the load have their other ends in a child process, so that neither process needs more descriptors than one end takes;
 * NAME/connection is what one of them costs the server, in KiB that are resident.
 */
#include "bench.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_SIZE = 16384, BUCKETS = 64 * 16 };

struct load {
    rn_conn listener;
    rn_addr at;
    char address[RN_ADDR_TEXT];
    size_t size;
    bool over, measured;        /* atomic */
    int64_t served;             /* atomic: connections that a goroutine has begun to serve */
    int64_t requests;           /* atomic */
    int64_t histogram[BUCKETS]; /* atomic */
    rn_wg clients, servers;
};

/* 16 buckets for each power of two. */
static int bucket(int64_t ns) {
    if (ns < 16) return ns < 0 ? 0 : (int)ns;
    int log = 63 - __builtin_clzll((unsigned long long)ns);
    return log * 16 + (int)(ns >> (log - 4) & 15);
}

static double bucket_us(int b) {
    int log = b / 16;
    return (log < 4 ? b : (double)(16 + b % 16) * (double)(1ll << (log - 4))) / 1e3;
}

static double quantile(const struct load *l, double q) {
    int64_t total = 0, seen = 0;
    for (int i = 0; i < BUCKETS; i++) total += l->histogram[i];
    for (int i = 0; i < BUCKETS; i++)
        if ((seen += l->histogram[i]) >= (int64_t)((double)total * q)) return bucket_us(i);
    return 0;
}

static double cpu_now(void) {
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1e9 +
           (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) * 1e3;
}

static void serve_one(struct load *l, rn_conn c) {
    char buf[MAX_SIZE];
    ssize_t n;
    __atomic_fetch_add(&l->served, 1, __ATOMIC_RELAXED);
    while ((n = rn_read(c, buf, sizeof buf)) > 0)
        if (rn_write(c, buf, (size_t)n) != n) bench_die("net: short echo");
    rn_conn_close(c);
    rn_wg_done(&l->servers);
}

static void serve(struct load *l) {
    rn_conn c;
    while ((c = rn_accept(l->listener)) > 0) GO(serve_one, l, c);
    if (c != -EBADF) bench_die("net: accept");
    rn_wg_done(&l->servers);
}

/* A request that began at t is done. */
static void count(struct load *l, int64_t t) {
    if (!__atomic_load_n(&l->measured, __ATOMIC_RELAXED)) return;
    __atomic_fetch_add(&l->histogram[bucket(bench_now() - t)], 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&l->requests, 1, __ATOMIC_RELAXED);
}

static void client(struct load *l, rn_conn c) {
    char buf[MAX_SIZE] = "";
    while (!__atomic_load_n(&l->over, __ATOMIC_RELAXED)) {
        int64_t t = bench_now();
        if (rn_write(c, buf, l->size) < 0 || rn_read_full(c, buf, l->size) != (ssize_t)l->size)
            bench_die("net: echo failed");
        count(l, t);
    }
    rn_conn_close(c);
    rn_wg_done(&l->clients);
}

static void listen_on(struct load *l) {
    l->listener = rn_listen("tcp", "127.0.0.1:0");
    if (l->listener < 0 || rn_conn_local(l->listener, &l->at) < 0) bench_die("net: listen");
    rn_addr_text(&l->at, l->address, sizeof l->address);
}

static rn_duration span(void) {
    const char *s = getenv("RUNNEL_BENCH_MS");
    long ms = s ? atol(s) : 100;
    return (bench_is_quick() ? 5 : ms < 100 ? 100 : ms) * RN_MS;
}

static void report_load(const char *row, const struct load *l, double ns, double cpu) {
    char name[64];
    double n = l->requests ? (double)l->requests : 1;
    bench_report(row, "ns/op", ns / n);
    snprintf(name, sizeof name, "%s_cpu", row);
    bench_report(name, "ns/op", cpu / n);
    snprintf(name, sizeof name, "%s_p50", row);
    bench_report(name, "us", quantile(l, 0.50));
    snprintf(name, sizeof name, "%s_p99", row);
    bench_report(name, "us", quantile(l, 0.99));
}

struct idle {
    pid_t pid;
    rn_conn child; /* says when all are connected; its end is the child's */
};

/* The child of a process with threads: nothing but system calls. 0 is its end of the pair. */
static void be_idle(const rn_addr *to, int64_t n, int end) {
    char b = 0;
    if (dup2(end, 0) < 0 || syscall(SYS_close_range, 1u, ~0u, 0) < 0) _exit(1);
    while (n-- > 0) {
        int c = socket(to->sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (c < 0 || connect(c, (const struct sockaddr *)&to->sa, to->len) < 0) _exit(1);
    }
    if (write(0, &b, 1) != 1 || read(0, &b, 1) != 0) _exit(1);
    _exit(0);
}

static void raise_descriptors(void) {
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) < 0) return;
    r.rlim_cur = r.rlim_max;
    setrlimit(RLIMIT_NOFILE, &r);
}

/* n connections that do nothing; returns when all are served. Their cost is reported. */
static struct idle start_idle(const char *row, struct load *l, int64_t n) {
    int pair[2];
    char b;
    double before = bench_resident();
    raise_descriptors();
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) bench_die("net: socketpair");
    pid_t pid = fork();
    if (pid < 0) bench_die("net: fork");
    if (pid == 0) be_idle(&l->at, n, pair[1]);
    close(pair[1]);
    struct idle idle = {pid, rn_conn_of_fd(pair[0])};
    if (idle.child < 0 || rn_read(idle.child, &b, 1) != 1)
        bench_die("net: idle connections (descriptors?)");
    while (__atomic_load_n(&l->served, __ATOMIC_RELAXED) < n) rn_sleep(RN_MS);
    bench_report_part(row, "connection", "KiB", (bench_resident() - before) / 1024 / (double)n);
    return idle;
}

static void end_idle(const struct idle *idle) {
    int status;
    rn_conn_close(idle->child);
    if (waitpid(idle->pid, &status, 0) != idle->pid || status) bench_die("net: the child failed");
}

/* From when the clients work to the end of the measured span. */
static void measure(const char *row, struct load *l) {
    rn_sleep(span());
    double cpu = cpu_now(), t = (double)bench_now();
    __atomic_store_n(&l->measured, true, __ATOMIC_RELAXED);
    rn_sleep(span());
    __atomic_store_n(&l->measured, false, __ATOMIC_RELAXED);
    cpu = cpu_now() - cpu;
    t = (double)bench_now() - t;
    __atomic_store_n(&l->over, true, __ATOMIC_RELAXED);
    rn_wg_wait(&l->clients);
    report_load(row, l, t, cpu);
}

/* `idle` more connections do nothing. */
static void load(const char *row, int64_t busy, size_t size, int64_t idle) {
    struct load *l = calloc(1, sizeof *l);
    struct idle quiet;
    l->size = size;
    listen_on(l);
    rn_wg_add(&l->clients, busy);
    rn_wg_add(&l->servers, busy + idle + 1);
    GO(serve, l);
    if (idle) quiet = start_idle(row, l, idle);
    for (int64_t i = 0; i < busy; i++) {
        rn_conn c = rn_dial("tcp", l->address);
        if (c < 0) bench_die("net: dial");
        GO(client, l, c);
    }
    measure(row, l);
    if (idle) end_idle(&quiet);
    rn_conn_close(l->listener);
    rn_wg_wait(&l->servers);
    free(l);
}

ROW_ONCE(net_echo_64x64) { load("net_echo_64x64", bench_size(64, 4), 64, 0); }
ROW_ONCE(net_echo_512x64) { load("net_echo_512x64", bench_size(512, 4), 64, 0); }
ROW_ONCE(net_echo_64x16k) { load("net_echo_64x16k", bench_size(64, 4), 16384, 0); }
ROW_ONCE(net_echo_200) { load("net_echo_200", bench_size(200, 4), 64, 0); }
ROW_ONCE(net_echo_200_idle) {
    load("net_echo_200_idle", bench_size(200, 4), 64, bench_size(15000, 8));
}

/* Connections made, accepted and closed on both sides, by 8 clients. */
static void drop(struct load *l) {
    rn_conn c;
    while ((c = rn_accept(l->listener)) > 0) rn_conn_close(c);
    rn_wg_done(&l->servers);
}

static void caller(struct load *l) {
    char end;
    while (!__atomic_load_n(&l->over, __ATOMIC_RELAXED)) {
        int64_t t = bench_now();
        rn_conn c = rn_dial("tcp", l->address);
        if (c < 0 || rn_read(c, &end, 1) != 0) bench_die("net: dial");
        rn_conn_close(c);
        count(l, t);
    }
    rn_wg_done(&l->clients);
}

ROW_ONCE(net_accept_close) {
    struct load *l = calloc(1, sizeof *l);
    int64_t callers = bench_size(8, 2);
    listen_on(l);
    rn_wg_add(&l->clients, callers);
    rn_wg_add(&l->servers, 1);
    GO(drop, l);
    for (int64_t i = 0; i < callers; i++) GO(caller, l);
    measure("net_accept_close", l);
    rn_conn_close(l->listener);
    rn_wg_wait(&l->servers);
    free(l);
}

/* Two bounds for net_echo_64x64, without goroutines and at procs 1. They take 64 connections of their own. */
enum { BARE = 64, BARE_SIZE = 64 };

struct bare {
    rn_conn listener, conn[2 * BARE]; /* clients, then servers */
    int fd[2 * BARE];
};

static void bare_open(struct bare *b) {
    struct load l;
    listen_on(&l);
    b->listener = l.listener;
    for (int i = 0; i < BARE; i++) {
        b->conn[i] = rn_dial("tcp", l.address);
        b->conn[BARE + i] = rn_accept(l.listener);
        if (b->conn[i] < 0 || b->conn[BARE + i] < 0) bench_die("net: dial");
    }
    for (int i = 0; i < 2 * BARE; i++) b->fd[i] = rn_conn_fd(b->conn[i]);
}

static void bare_close(struct bare *b) {
    for (int i = 0; i < 2 * BARE; i++) rn_conn_close(b->conn[i]);
    rn_conn_close(b->listener);
}

static void bare_send(int fd) {
    static const char buf[BARE_SIZE];
    if (send(fd, buf, BARE_SIZE, MSG_NOSIGNAL) != BARE_SIZE) bench_die("net: bare send");
}

static void bare_recv(int fd) {
    char buf[BARE_SIZE];
    if (recv(fd, buf, BARE_SIZE, 0) != BARE_SIZE) bench_die("net: bare recv");
}

/* Its four system calls, with nobody who waits. */
ROW(net_echo_floor) {
    struct bare b;
    bare_open(&b);
    bench_reset();
    for (int64_t i = 0; i < n; i += BARE) {
        for (int j = 0; j < BARE; j++) bare_send(b.fd[j]);
        for (int j = 0; j < BARE; j++) bare_recv(b.fd[BARE + j]);
        for (int j = 0; j < BARE; j++) bare_send(b.fd[BARE + j]);
        for (int j = 0; j < BARE; j++) bare_recv(b.fd[j]);
    }
    bench_stop();
    bare_close(&b);
}

/* What epoll(7) says next is read and answered: the loop that a callback server is. */
static int64_t bare_turn(const struct bare *b, int ep) {
    struct epoll_event ev[2 * BARE];
    int64_t done = 0;
    int n = epoll_wait(ep, ev, 2 * BARE, -1);
    for (int i = 0; i < n; i++) {
        uint32_t who = ev[i].data.u32;
        if (!(ev[i].events & EPOLLIN)) continue;
        bare_recv(b->fd[who]);
        bare_send(b->fd[who]);
        done += who < BARE;
    }
    return done;
}

/* And with a loop that waits by epoll(7). */
ROW(net_echo_loop) {
    struct bare b;
    int ep = epoll_create1(EPOLL_CLOEXEC);
    bare_open(&b);
    for (uint32_t i = 0; i < 2 * BARE; i++) {
        struct epoll_event e = {.events = EPOLLIN | EPOLLET, .data.u32 = i};
        if (epoll_ctl(ep, EPOLL_CTL_ADD, b.fd[i], &e) < 0) bench_die("net: epoll");
    }
    for (int i = 0; i < BARE; i++) bare_send(b.fd[i]);
    bench_reset();
    for (int64_t i = 0; i < n;) i += bare_turn(&b, ep);
    bench_stop();
    close(ep);
    bare_close(&b);
}

/* A round trip between two goroutines over a socket pair. */
static void bounce(rn_conn c) {
    char b;
    while (rn_read(c, &b, 1) == 1)
        if (rn_write(c, &b, 1) != 1) break;
    rn_conn_close(c);
}

ROW(net_pingpong) {
    rn_conn c[2];
    char b = 0;
    if (rn_socketpair(SOCK_STREAM, c) < 0) bench_die("net: socketpair");
    GO(bounce, c[1]);
    bench_reset();
    for (int64_t i = 0; i < n; i++)
        if (rn_write(c[0], &b, 1) != 1 || rn_read(c[0], &b, 1) != 1) bench_die("net: ping");
    bench_stop();
    rn_conn_close(c[0]);
}
