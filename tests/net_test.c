/* SPDX-License-Identifier: MIT */
/*
 * net_test.c: sockets, pipes, files and children, all real ones. No case waits for a time to pass but those that show a
 * time-out, and these only check that it did not come too early. "is waiting" is seen in the poll room's own count.
 */
#define _GNU_SOURCE
#include "test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <runnel/net.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "sched/poll.h"

#define HOUR (3600 * RN_SEC)

static rn_time soon(void) { return rn_now() + 2 * RN_MS; }
static rn_time later(void) { return rn_now() + HOUR; }

/* n goroutines or threads wait for a descriptor. */
static void until_waiting(uint32_t n) {
    while (rn__poll_waiting() < n) rn_yield();
}

static void text_of(rn_conn c, char text[RN_ADDR_TEXT]) {
    rn_addr a;
    CHECK_EQ(rn_conn_local(c, &a), 0);
    CHECK_GT(rn_addr_text(&a, text, RN_ADDR_TEXT), 0);
}

struct pair {
    rn_conn listener, a, b;
    char address[RN_ADDR_TEXT];
};

static struct pair connected(const char *network, const char *address) {
    struct pair p;
    p.listener = rn_listen(network, address);
    CHECK_GT(p.listener, 0);
    text_of(p.listener, p.address);
    p.a = rn_dial(network, p.address);
    CHECK_GT(p.a, 0);
    p.b = rn_accept(p.listener);
    CHECK_GT(p.b, 0);
    return p;
}

static struct pair tcp_pair(void) { return connected("tcp", "127.0.0.1:0"); }

static void close_pair(struct pair *p) {
    CHECK_EQ(rn_conn_close(p->a), 0);
    CHECK_EQ(rn_conn_close(p->b), 0);
    CHECK_EQ(rn_conn_close(p->listener), 0);
}

static void both_ways(rn_conn a, rn_conn b) {
    char buf[16] = "";
    CHECK_EQ(rn_write(a, "hello", 5), 5);
    CHECK_EQ(rn_read(b, buf, sizeof buf), 5);
    CHECK_STR(buf, "hello");
    CHECK_EQ(rn_write(b, "hi", 3), 3);
    CHECK_EQ(rn_read(a, buf, sizeof buf), 3);
    CHECK_STR(buf, "hi");
}

static int fds_open(void) {
    DIR *d = opendir("/proc/self/fd");
    CHECK(d);
    int n = 0;
    while (readdir(d)) n++;
    closedir(d);
    return n;
}

/* ---- the networks ---- */

TEST_GO(tcp_connects_and_carries_both_ways) {
    struct pair p = tcp_pair();
    both_ways(p.a, p.b);
    close_pair(&p);
}

TEST_GO(tcp_over_ipv6) {
    rn_conn l = rn_listen("tcp6", "[::1]:0");
    if (l == -EADDRNOTAVAIL || l == -EAFNOSUPPORT) SKIP("no IPv6");
    CHECK_GT(l, 0);
    rn_conn_close(l);
    struct pair p = connected("tcp6", "[::1]:0");
    CHECK(strncmp(p.address, "[::1]:", 6) == 0);
    both_ways(p.a, p.b);
    close_pair(&p);
}

TEST_GO(tcp_without_a_host_takes_ipv4) {
    rn_conn l = rn_listen("tcp", ":0");
    CHECK_GT(l, 0);
    char text[RN_ADDR_TEXT], to[RN_ADDR_TEXT];
    text_of(l, text);
    snprintf(to, sizeof to, "127.0.0.1%s", strrchr(text, ':'));
    rn_conn a = rn_dial("tcp4", to), b = rn_accept(l);
    CHECK_GT(a, 0);
    CHECK_GT(b, 0);
    both_ways(a, b);
    rn_conn_close(a);
    rn_conn_close(b);
    rn_conn_close(l);
}

static void temp_path(char path[64]) {
    snprintf(path, 64, "/tmp/runnel-net-%d.sock", (int)getpid());
    unlink(path);
}

TEST_GO(unix_stream_and_its_file_is_removed) {
    char path[64];
    temp_path(path);
    struct pair p = connected("unix", path);
    CHECK_STR(p.address, path);
    CHECK_EQ(rn_listen("unix", path), -EADDRINUSE);
    both_ways(p.a, p.b);
    close_pair(&p);
    CHECK_EQ(access(path, F_OK), -1);
    CHECK_EQ(rn_dial("unix", path), -ENOENT);
}

TEST_GO(unix_abstract_name) {
    char name[64];
    snprintf(name, sizeof name, "@runnel-net-%d", (int)getpid());
    struct pair p = connected("unix", name);
    CHECK_STR(p.address, name);
    both_ways(p.a, p.b);
    close_pair(&p);
    CHECK_EQ(rn_dial("unix", name), -ECONNREFUSED);
}

TEST_GO(seqpacket_keeps_messages_apart) {
    char name[64], buf[16];
    snprintf(name, sizeof name, "@runnel-net-%d", (int)getpid());
    struct pair p = connected("unixpacket", name);
    CHECK_EQ(rn_write(p.a, "one", 3), 3);
    CHECK_EQ(rn_write(p.a, "three", 5), 5);
    CHECK_EQ(rn_read(p.b, buf, sizeof buf), 3);
    CHECK_EQ(rn_read(p.b, buf, sizeof buf), 5);
    close_pair(&p);
}

static void receive_one(rn_conn c, rn_chan(int) done) {
    char buf[16];
    rn_addr from;
    CHECK_EQ(rn_recv_from(c, buf, sizeof buf, &from), 4);
    CHECK_GT(from.len, 0);
    CHECK_EQ(rn_send_to(c, "pong!", 5, &from), 5);
    rn_send(done, 1);
}

TEST_GO(udp_datagrams_and_answers) {
    char text[RN_ADDR_TEXT], buf[16];
    rn_conn s = rn_listen("udp", "127.0.0.1:0");
    CHECK_GT(s, 0);
    text_of(s, text);
    rn_chan(int) done = rn_make(int, 1);
    rn_go(receive_one, s, done);
    rn_conn c = rn_dial("udp", text);
    CHECK_GT(c, 0);
    CHECK_EQ(rn_write(c, "ping", 4), 4);
    CHECK_EQ(rn_read(c, buf, sizeof buf), 5);
    rn_recv(done);
    rn_conn_close(c);
    rn_conn_close(s);
    rn_unref(done);
}

TEST_GO(unix_datagrams) {
    rn_conn c[2];
    char buf[8];
    CHECK_EQ(rn_socketpair(SOCK_DGRAM, c), 0);
    CHECK_EQ(rn_write(c[0], "", 0), 0);
    CHECK_EQ(rn_write(c[0], "ab", 2), 2);
    CHECK_EQ(rn_read(c[1], buf, sizeof buf), 0);
    CHECK_EQ(rn_read(c[1], buf, sizeof buf), 2);
    static char big[1 << 20];
    CHECK_EQ(rn_write(c[0], big, sizeof big), -EMSGSIZE);
    rn_conn_close(c[0]);
    rn_conn_close(c[1]);
}

/* ---- errors ---- */

TEST_GO(bad_networks_and_addresses_are_einval) {
    CHECK_EQ(rn_listen("sctp", ":1"), -EINVAL);
    CHECK_EQ(rn_listen(NULL, ":1"), -EINVAL);
    CHECK_EQ(rn_dial("tcp", "127.0.0.1"), -EINVAL);
    CHECK_EQ(rn_dial("tcp", "127.0.0.1:"), -EINVAL);
    CHECK_EQ(rn_dial("tcp", "127.0.0.1:65536"), -EINVAL);
    CHECK_EQ(rn_dial("tcp", "::1:80"), -EINVAL);
    CHECK_EQ(rn_dial("tcp", "[::1:80"), -EINVAL);
    CHECK_EQ(rn_dial("tcp6", "127.0.0.1:80"), -EINVAL);
    CHECK_EQ(rn_dial("unix", ""), -EINVAL);
}

/* A port that is bound and not listened on refuses, and nobody else can take it. */
static int bound_only(char text[RN_ADDR_TEXT]) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof in;
    CHECK_EQ(bind(fd, (struct sockaddr *)&in, len), 0);
    CHECK_EQ(getsockname(fd, (struct sockaddr *)&in, &len), 0);
    snprintf(text, RN_ADDR_TEXT, "127.0.0.1:%d", ntohs(in.sin_port));
    return fd;
}

TEST_GO(dial_is_refused) {
    char text[RN_ADDR_TEXT];
    int fd = bound_only(text);
    CHECK_EQ(rn_dial("tcp", text), -ECONNREFUSED);
    close(fd);
}

TEST_GO(listen_on_a_used_port) {
    char text[RN_ADDR_TEXT];
    rn_conn l = rn_listen("tcp", "127.0.0.1:0");
    text_of(l, text);
    CHECK_EQ(rn_listen("tcp", text), -EADDRINUSE);
    rn_conn_close(l);
}

static int dial_nowhere(void *arg) {
    (void)arg;
    CHECK_EQ(rn_dial("tcp", "192.0.2.1:80"), -ENETUNREACH);
    return 0;
}

/* A network of our own that leads nowhere. */
TEST(dial_without_a_route) {
    if (unshare(CLONE_NEWNET) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0)
        SKIP("no network namespaces");
    CHECK_EQ(rn_run(dial_nowhere, NULL), 0);
}

TEST_GO(peer_resets) {
    struct pair p = tcp_pair();
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    char buf[8];
    CHECK_EQ(rn_conn_setopt(p.b, SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
    CHECK_EQ(rn_conn_close(p.b), 0);
    CHECK_EQ(rn_read(p.a, buf, sizeof buf), -ECONNRESET);
    rn_conn_close(p.a);
    rn_conn_close(p.listener);
}

TEST_GO(write_to_a_closed_peer_is_epipe) {
    rn_conn c[2];
    CHECK_EQ(rn_socketpair(SOCK_STREAM, c), 0);
    rn_conn_close(c[1]);
    CHECK_EQ(rn_write(c[0], "x", 1), -EPIPE);
    rn_conn_close(c[0]);
}

TEST_GO(write_to_a_pipe_without_a_reader_is_epipe_and_no_signal) {
    rn_conn c[2];
    CHECK_EQ(rn_pipe(c), 0);
    rn_conn_close(c[0]);
    CHECK_EQ(rn_write(c[1], "x", 1), -EPIPE);
    CHECK_EQ(rn_write(c[1], "x", 1), -EPIPE);
    rn_conn_close(c[1]);
}

TEST_GO(half_close_ends_one_direction) {
    struct pair p = tcp_pair();
    char buf[8];
    CHECK_EQ(rn_conn_close_write(p.a), 0);
    CHECK_EQ(rn_read(p.b, buf, sizeof buf), 0);
    CHECK_EQ(rn_write(p.b, "still", 5), 5);
    CHECK_EQ(rn_read_full(p.a, buf, 5), 5);
    CHECK_EQ(rn_write(p.a, "x", 1), -EPIPE);
    CHECK_EQ(rn_conn_close_read(p.b), 0);
    CHECK_EQ(rn_read(p.b, buf, sizeof buf), 0);
    close_pair(&p);
}

TEST_GO(accept_on_no_listener) {
    rn_conn c[2];
    CHECK_EQ(rn_socketpair(SOCK_STREAM, c), 0);
    CHECK_EQ(rn_accept(c[0]), -EINVAL);
    rn_conn_close(c[0]);
    rn_conn_close(c[1]);
}

TEST_GO(closed_and_never_opened_are_ebadf) {
    rn_conn c[2], d[2];
    char buf[8];
    CHECK_EQ(rn_socketpair(SOCK_STREAM, c), 0);
    CHECK_EQ(rn_conn_close(c[0]), 0);
    CHECK_EQ(rn_socketpair(SOCK_STREAM, d), 0); /* uses the record and the number again */
    CHECK_EQ(rn_conn_close(c[0]), -EBADF);
    CHECK_EQ(rn_read(c[0], buf, 1), -EBADF);
    CHECK_EQ(rn_write(c[0], buf, 1), -EBADF);
    CHECK_EQ(rn_conn_fd(c[0]), -EBADF);
    CHECK_EQ(rn_conn_set_deadline(c[0], 1), -EBADF);
    CHECK_EQ(rn_read(0, buf, 1), -EBADF);
    CHECK_EQ(rn_read(-EMFILE, buf, 1), -EBADF);
    CHECK_EQ(rn_read(INT64_MAX, buf, 1), -EBADF);
    CHECK_EQ(rn_conn_of_fd(-1), -EBADF);
    both_ways(d[0], d[1]);
    rn_conn_close(c[1]);
    rn_conn_close(d[0]);
    rn_conn_close(d[1]);
}

TEST_GO(no_descriptors_left_is_emfile_and_then_goes_on) {
    struct rlimit old, few;
    char text[RN_ADDR_TEXT];
    int filler[64], n = 0;
    rn_conn l = rn_listen("tcp", "127.0.0.1:0"), extra = rn_listen("tcp", "127.0.0.1:0");
    text_of(l, text);
    rn_conn a = rn_dial("tcp", text);
    CHECK_GT(a, 0);
    CHECK_EQ(rn_accept_until(extra, soon()), -ETIMEDOUT); /* the poller is open now */
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &old), 0);
    few = old;
    few.rlim_cur = (rlim_t)fds_open() + 16;
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
    while (n < 64 && (filler[n] = dup(2)) >= 0) n++;
    CHECK_EQ(rn_accept(l), -EMFILE);
    CHECK_EQ(rn_dial("tcp", text), -EMFILE);
    CHECK_EQ(rn_listen("tcp", "127.0.0.1:0"), -EMFILE);
    rn_conn_close(extra);
    rn_conn b = rn_accept(l);
    CHECK_GT(b, 0);
    both_ways(a, b);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &old), 0);
    while (n > 0) close(filler[--n]);
    rn_conn_close(a);
    rn_conn_close(b);
    rn_conn_close(l);
}

TEST_GO(a_name_that_does_not_exist) {
    rn_time t = rn_now() + 5 * RN_SEC;
    rn_conn c = rn_dial_until("tcp", "no-such-host.invalid:80", t);
    if (c == -ETIMEDOUT)
        CHECK_GE(rn_now(), t);
    else
        CHECK(c == -ENOENT || c == -EHOSTUNREACH);
    CHECK(rn_listen("tcp", "127.0.0.1:no-such-service") < 0);
}

/* localhost has both families on most machines, and the listener only one: the race. */
TEST_GO(dial_of_a_name_tries_both_families) {
    char text[RN_ADDR_TEXT], to[RN_ADDR_TEXT];
    rn_addr a[8];
    if (rn_lookup("tcp", "localhost:1", a, 8) <= 0) SKIP("localhost has no address");
    rn_conn l = rn_listen("tcp", "127.0.0.1:0");
    text_of(l, text);
    snprintf(to, sizeof to, "localhost%s", strrchr(text, ':'));
    for (int i = 0; i < 20; i++) {
        rn_conn c = rn_dial("tcp", to), d = rn_accept(l);
        CHECK_GT(c, 0);
        both_ways(c, d);
        rn_conn_close(c);
        rn_conn_close(d);
    }
    rn_conn_close(l);
}

/* ---- waiting ---- */

static void echo(rn_conn c) {
    char buf[512];
    ssize_t n;
    while ((n = rn_read(c, buf, sizeof buf)) > 0) CHECK_EQ(rn_write(c, buf, (size_t)n), n);
    rn_conn_close(c);
}

static void ping(rn_conn c, long rounds, rn_chan(int) done) {
    for (long i = 0; i < rounds; i++) {
        long got = -1;
        CHECK_EQ(rn_write(c, &i, sizeof i), sizeof i);
        CHECK_EQ(rn_read_full(c, &got, sizeof got), sizeof got);
        CHECK_EQ(got, i);
    }
    rn_conn_close(c);
    rn_send(done, 1);
}

/* A lost wake-up would hang it. RUNNEL_TEST_SCALE=5000 makes it 10 million. */
TEST_GO(ping_pong_over_a_socket_pair) {
    rn_conn c[2];
    rn_chan(int) done = rn_make(int, 1);
    CHECK_EQ(rn_socketpair(SOCK_STREAM, c), 0);
    rn_go(echo, c[1]);
    rn_go(ping, c[0], scaled(200000), done);
    rn_recv(done);
    rn_unref(done);
}

static void serve(rn_conn l) {
    rn_conn c;
    while ((c = rn_accept(l)) > 0) rn_go(echo, c);
    CHECK_EQ(c, -EBADF);
}

/* Many that ask each other as fast as they can, and how often all the others together were served so often that one was left behind. */
struct crowd {
    int64_t trips,
        late; /* atomic: round trips made; those in whose time each of the others made LATE */
    rn_wg all;
};

enum { MANY = 400, TRIPS = 200, LATE = 8 };

static void one_of_many(struct crowd *c, rn_conn conn) {
    char b[64] = "";
    for (int i = 0; i < TRIPS; i++) {
        int64_t begun = __atomic_load_n(&c->trips, __ATOMIC_RELAXED);
        CHECK_EQ(rn_write(conn, b, sizeof b), sizeof b);
        CHECK_EQ(rn_read_full(conn, b, sizeof b), sizeof b);
        int64_t now = __atomic_add_fetch(&c->trips, 1, __ATOMIC_RELAXED);
        if (now - begun > LATE * MANY) __atomic_add_fetch(&c->late, 1, __ATOMIC_RELAXED);
    }
    rn_conn_close(conn);
    rn_wg_done(&c->all);
}

/* More of them than a ring has room for. At one P: the kernel, too, leaves threads behind. */
TEST_GO_ONCE(none_of_many_connections_is_left_behind) {
    struct crowd c = {0};
    rn_procs(1);
    rn_wg_add(&c.all, MANY);
    for (int i = 0; i < MANY; i++) {
        rn_conn p[2];
        CHECK_EQ(rn_socketpair(SOCK_STREAM, p), 0);
        rn_go(echo, p[1]);
        rn_go(one_of_many, &c, p[0]);
    }
    rn_wg_wait(&c.all);
    CHECK_LE(c.late, MANY * TRIPS / 1000);
}

/* ---- those that wait while others compute ---- */

static uint32_t served; /* atomic */

static void until_served(uint32_t n) {
    while (__atomic_load_n(&served, __ATOMIC_RELAXED) < n) continue;
}

static void compute_until_served(rn_conn c, uint32_t n, rn_wg *all) {
    char b;
    while (rn_read(c, &b, 1) == 1) {
        uint32_t before = __atomic_fetch_add(&served, 1, __ATOMIC_RELAXED);
        until_served(before / n * n + n);
        rn_wg_done(all);
    }
    rn_conn_close(c);
}

/* All are polled at once, by one who runs them in turn, and each computes until all have run. */
TEST_GO(polled_with_those_that_compute) {
    enum { N = 3 };
    rn_conn c[N][2];
    rn_wg all = {0};
    for (int i = 0; i < N; i++) {
        CHECK_EQ(rn_socketpair(SOCK_STREAM, c[i]), 0);
        rn_go(compute_until_served, c[i][1], N, &all);
    }
    for (long round = scaled(10); round > 0; round--) {
        until_waiting(N);
        rn_wg_add(&all, N);
        for (int i = 0; i < N; i++) CHECK_EQ(rn_write(c[i][0], "x", 1), 1);
        rn_wg_wait(&all);
    }
    for (int i = 0; i < N; i++) rn_conn_close(c[i][0]);
}

static uint32_t wanted; /* atomic: so often the thread has been asked to write */

static void *write_when_wanted(void *arg) {
    rn_conn c = *(rn_conn *)arg;
    uint32_t last = (uint32_t)scaled(10);
    for (uint32_t i = 1; i <= last; i++) {
        while (__atomic_load_n(&wanted, __ATOMIC_RELAXED) < i) sched_yield();
        CHECK_EQ(send(rn_conn_fd(c), "x", 1, MSG_NOSIGNAL), 1);
    }
    return NULL;
}

static void count_served(rn_conn c) {
    char b;
    while (rn_read(c, &b, 1) == 1) __atomic_fetch_add(&served, 1, __ATOMIC_RELAXED);
    rn_conn_close(c);
}

/* Those that run have polled all the time, and nobody else waits in the poller; then they compute until something comes. */
TEST_GO(what_comes_when_those_that_polled_compute) {
    rn_conn busy[2], c[2];
    rn_chan(int) done = rn_make(int, 1);
    pthread_t writer;
    CHECK_EQ(rn_socketpair(SOCK_STREAM, c), 0);
    rn_go(count_served, c[1]);
    CHECK_EQ(pthread_create(&writer, NULL, write_when_wanted, &c[0]), 0);
    for (uint32_t i = 1; i <= (uint32_t)scaled(10); i++) {
        CHECK_EQ(rn_socketpair(SOCK_STREAM, busy), 0);
        rn_go(echo, busy[1]);
        ping(busy[0], 500, done);
        rn_recv(done);
        __atomic_store_n(&wanted, i, __ATOMIC_RELAXED);
        until_served(i);
    }
    pthread_join(writer, NULL);
    rn_conn_close(c[0]);
    rn_unref(done);
}

static void client(const char *address, long rounds, rn_chan(int) done) {
    rn_conn c = rn_dial("tcp", address);
    CHECK_GT(c, 0);
    ping(c, rounds, done);
}

TEST_GO(many_clients_of_one_server) {
    char text[RN_ADDR_TEXT];
    rn_conn l = rn_listen("tcp", "127.0.0.1:0");
    rn_chan(int) done = rn_make(int, 0);
    int n = (int)scaled(100);
    text_of(l, text);
    rn_go(serve, l);
    for (int i = 0; i < n; i++) rn_go(client, text, 20, done);
    for (int i = 0; i < n; i++) rn_recv(done);
    rn_conn_close(l);
    rn_unref(done);
}

enum { RUSHING = 16 };

struct rush {
    rn_conn c[RUSHING];
    rn_send_chan(int) done;
};

static void rush(rn_conn c, rn_time until, rn_chan(int) done) {
    char b = 1;
    while (rn_now() < until) {
        CHECK_EQ(rn_write(c, &b, 1), 1);
        CHECK_EQ(rn_read(c, &b, 1), 1);
    }
    rn_send(done, 1);
}

/* A plain thread, and all goroutines wait: nobody looks for events but who sleeps in the poller. */
static void *ask_quietly(void *arg) {
    struct rush *r = arg;
    char b = 1;
    for (int i = 0; i < RUSHING; i++) {
        struct pollfd p = {rn_conn_fd(r->c[i]), POLLIN, 0};
        usleep(3000);
        CHECK_EQ(send(p.fd, &b, 1, MSG_NOSIGNAL), 1);
        CHECK_EQ(poll(&p, 1, -1), 1);
        CHECK_EQ(recv(p.fd, &b, 1, 0), 1);
    }
    rn_send(r->done, 1);
    return NULL;
}

static void compute_until(rn_time end) {
    while (rn_now() < end) continue;
}

/*
 * While all are busy each connection comes to one processor's own (poll.h). They are looked after, too, when all sleep, and
 * when one processor computes.
 */
TEST_GO(connections_are_answered_when_it_gets_quiet_after_a_rush) {
    char text[RN_ADDR_TEXT];
    rn_conn l = rn_listen("tcp", "127.0.0.1:0");
    rn_chan(int) done = rn_make(int, RUSHING);
    struct rush r = {.done = done};
    text_of(l, text);
    rn_go(serve, l);
    for (int i = 0; i < RUSHING; i++) r.c[i] = rn_dial("tcp", text);
    for (int round = 0; round < 4; round++) {
        pthread_t t;
        rn_time until = rn_now() + 60 * RN_MS;
        for (int i = 0; i < RUSHING; i++) rn_go(rush, r.c[i], until, done);
        for (int i = 0; i < RUSHING; i++) rn_recv(done);
        if (round % 2 == 1) rn_go(compute_until, rn_now() + 50 * RN_MS);
        CHECK_EQ(pthread_create(&t, NULL, ask_quietly, &r), 0);
        rn_recv(done);
        pthread_join(t, NULL);
    }
    for (int i = 0; i < RUSHING; i++) CHECK_EQ(rn_conn_close(r.c[i]), 0);
    rn_conn_close(l);
    rn_unref(done);
}

/* Without the runtime: the poller's contract. */
static void *sleep_in_poller(void *taken) {
    struct rn__poll_event e;
    while (*(int *)taken == 0) {
        int in_set_0 = rn__poller_wait(&e, 1, -1); /* until it is in another, or we are woken */
        CHECK_EQ(in_set_0, 0);
        *(int *)taken = rn__poller_take(&e, 1, 1);
    }
    CHECK_EQ(e.cookie, 77);
    return NULL;
}

TEST_ONCE(who_sleeps_in_the_poller_is_told_of_the_first_in_another_set) {
    int p[2], taken = 0;
    pthread_t t;
    CHECK_EQ(rn__poller_open(2), 2);
    CHECK_EQ(pipe(p), 0);
    CHECK_EQ(write(p[1], "x", 1), 1);
    CHECK_EQ(pthread_create(&t, NULL, sleep_in_poller, &taken), 0);
    usleep(20000); /* it is asleep by then; if not, that is no failure */
    CHECK_EQ(rn__poller_members(1), 0);
    CHECK_EQ(rn__poller_add(p[0], 77, 1), 0);
    CHECK_EQ(rn__poller_members(1), 1);
    pthread_join(t, NULL);
    rn__poller_del(p[0], 1);
    CHECK_EQ(rn__poller_members(1), 0);
}

TEST_ONCE(the_poller_leaves_the_last_descriptors_to_the_program) {
    int first = dup(0), more;
    while (first < 64) first = dup(0); /* no gaps */
    struct rlimit few = {(rlim_t)first + 6, (rlim_t)first + 6};
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
    CHECK_EQ(rn__poller_open(16), 1);
    for (int i = 0; i < 3; i++) {
        more = dup(0);
        CHECK_GT(more, first);
    }
    CHECK_EQ(dup(0), -1);
}

/* Byte i of what is sent is a function of i, so that a byte lost, doubled or moved shows. */
static unsigned char pattern(size_t i) { return (unsigned char)(i * 31 + (i >> 8)); }

static void read_pattern(rn_conn c, size_t n, rn_chan(int) done) {
    unsigned char buf[1000];
    for (size_t i = 0; i < n;) {
        ssize_t r = rn_read(c, buf, sizeof buf);
        CHECK_GT(r, 0);
        for (ssize_t j = 0; j < r; j++) CHECK_EQ(buf[j], pattern(i + (size_t)j));
        i += (size_t)r;
    }
    rn_send(done, 1);
}

TEST_GO(a_write_is_whole_however_small_the_buffers) {
    size_t n = (size_t)scaled(4 << 20);
    unsigned char *data = malloc(n);
    for (size_t i = 0; i < n; i++) data[i] = pattern(i);
    struct pair p = tcp_pair();
    int small = 4096;
    rn_chan(int) done = rn_make(int, 1);
    rn_conn_setopt(p.a, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    rn_go(read_pattern, p.b, n, done);
    CHECK_EQ(rn_write(p.a, data, n), n);
    rn_recv(done);
    close_pair(&p);
    rn_unref(done);
    free(data);
}

TEST_GO(writev_is_whole_over_many_parts) {
    enum { PARTS = 1000 };
    static unsigned char data[PARTS * 300];
    static struct iovec iov[PARTS];
    size_t n = 0;
    for (int i = 0; i < PARTS; i++) {
        iov[i].iov_base = data + n;
        iov[i].iov_len = (size_t)(i % 300);
        n += iov[i].iov_len;
    }
    for (size_t i = 0; i < n; i++) data[i] = pattern(i);
    rn_conn c[2];
    rn_chan(int) done = rn_make(int, 1);
    CHECK_EQ(rn_socketpair(SOCK_STREAM, c), 0);
    rn_go(read_pattern, c[1], n, done);
    CHECK_EQ(rn_writev(c[0], iov, PARTS), n);
    rn_recv(done);
    rn_conn_close(c[0]);
    rn_conn_close(c[1]);
    rn_unref(done);
}

TEST_GO(readv_scatters) {
    rn_conn c[2];
    char a[2], b[8];
    struct iovec iov[2] = {{a, sizeof a}, {b, sizeof b}};
    CHECK_EQ(rn_socketpair(SOCK_STREAM, c), 0);
    CHECK_EQ(rn_write(c[0], "abcde", 5), 5);
    CHECK_EQ(rn_readv(c[1], iov, 2), 5);
    CHECK_EQ(a[1], 'b');
    CHECK_EQ(b[2], 'e');
    rn_conn_close(c[0]);
    rn_conn_close(c[1]);
}

/* A reader that takes a part must not leave the other asleep beside the rest. */
static void read_byte(rn_conn c, rn_chan(int) done) {
    char b = 0;
    CHECK_EQ(rn_read(c, &b, 1), 1);
    rn_send(done, (int)b);
}

TEST_GO(several_readers_are_all_served) {
    rn_conn c[2];
    rn_chan(int) done = rn_make(int, 0);
    CHECK_EQ(rn_socketpair(SOCK_STREAM, c), 0);
    for (long i = scaled(200); i > 0; i--) {
        for (int j = 0; j < 4; j++) rn_go(read_byte, c[1], done);
        if (i & 1) until_waiting(4);
        CHECK_EQ(rn_write(c[0], "\1\2\3\4", 4), 4);
        int sum = 0;
        for (int j = 0; j < 4; j++) sum += rn_recv(done);
        CHECK_EQ(sum, 10);
    }
    rn_conn_close(c[0]);
    rn_conn_close(c[1]);
    rn_unref(done);
}

enum { RECORD = 20000 };

static void write_records(rn_conn c, int mark, long n, rn_chan(int) done) {
    char *record = malloc(RECORD);
    memset(record, mark, RECORD);
    for (; n > 0; n--) CHECK_EQ(rn_write(c, record, RECORD), RECORD);
    free(record);
    rn_send(done, 1);
}

TEST_GO(two_writers_do_not_mix) {
    struct pair p = tcp_pair();
    int small = 4096, seen[2] = {0, 0};
    long n = scaled(50);
    rn_chan(int) done = rn_make(int, 2);
    char *record = malloc(RECORD);
    rn_conn_setopt(p.a, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    rn_go(write_records, p.a, 0, n, done);
    rn_go(write_records, p.a, 1, n, done);
    for (long i = 0; i < 2 * n; i++) {
        CHECK_EQ(rn_read_full(p.b, record, RECORD), RECORD);
        CHECK(record[0] == 0 || record[0] == 1);
        for (int j = 1; j < RECORD; j++) CHECK_EQ(record[j], record[0]);
        seen[(int)record[0]]++;
    }
    CHECK_EQ(seen[0], n);
    CHECK_EQ(seen[1], n);
    rn_recv(done);
    rn_recv(done);
    close_pair(&p);
    free(record);
    rn_unref(done);
}

static void on_signal(int s) { (void)s; }

TEST_GO(signals_do_not_show) {
    struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};
    struct itimerval often = {{0, 500}, {0, 500}}, never = {{0, 0}, {0, 0}};
    rn_conn c[2];
    rn_chan(int) done = rn_make(int, 1);
    CHECK_EQ(sigaction(SIGALRM, &sa, NULL), 0);
    CHECK_EQ(setitimer(ITIMER_REAL, &often, NULL), 0);
    CHECK_EQ(rn_socketpair(SOCK_STREAM, c), 0);
    rn_go(echo, c[1]);
    rn_go(ping, c[0], scaled(3000), done);
    rn_recv(done);
    CHECK_EQ(setitimer(ITIMER_REAL, &never, NULL), 0);
    rn_unref(done);
}

/* ---- deadlines ---- */

TEST_GO(until_a_time_that_passes) {
    rn_conn c[2];
    char b;
    CHECK_EQ(rn_socketpair(SOCK_STREAM, c), 0);
    rn_time t = soon();
    CHECK_EQ(rn_read_until(c[0], &b, 1, t), -ETIMEDOUT);
    CHECK_GE(rn_now(), t);
    CHECK_EQ(rn_read_until(c[0], &b, 1, 0), -ETIMEDOUT);
    CHECK_EQ(rn_write(c[1], "x", 1), 1);
    CHECK_EQ(rn_read_until(c[0], &b, 1, 0), 1); /* what is there is had */
    rn_conn l = rn_listen("tcp", "127.0.0.1:0");
    CHECK_EQ(rn_accept_until(l, soon()), -ETIMEDOUT);
    rn_conn_close(l);
    rn_conn_close(c[0]);
    rn_conn_close(c[1]);
}

static void fill(rn_conn c) {
    static char zeros[65536];
    while (rn_write_some_until(c, zeros, sizeof zeros, 0) > 0) continue;
}

TEST_GO(write_until_a_time_that_passes) {
    rn_conn c[2];
    CHECK_EQ(rn_socketpair(SOCK_STREAM, c), 0);
    fill(c[0]);
    rn_time t = soon();
    CHECK_EQ(rn_write_until(c[0], "x", 1, t), -ETIMEDOUT);
    CHECK_GE(rn_now(), t);
    rn_conn_close(c[0]);
    rn_conn_close(c[1]);
}

TEST_GO(a_deadline_in_the_past_fails_even_what_is_ready) {
    rn_conn c[2];
    char b;
    CHECK_EQ(rn_socketpair(SOCK_STREAM, c), 0);
    CHECK_EQ(rn_write(c[1], "x", 1), 1);
    CHECK_EQ(rn_conn_set_deadline(c[0], rn_now()), 0);
    CHECK_EQ(rn_read(c[0], &b, 1), -ETIMEDOUT);
    CHECK_EQ(rn_write(c[0], &b, 1), -ETIMEDOUT);
    CHECK_EQ(rn_conn_set_read_deadline(c[0], RN_TIME_MAX), 0);
    CHECK_EQ(rn_read(c[0], &b, 1), 1);
    CHECK_EQ(rn_write(c[0], &b, 1), -ETIMEDOUT);
    CHECK_EQ(rn_conn_set_write_deadline(c[0], later()), 0);
    CHECK_EQ(rn_write(c[0], &b, 1), 1);
    rn_conn_close(c[0]);
    rn_conn_close(c[1]);
}

TEST_GO(a_deadline_in_the_future_ends_the_wait) {
    rn_conn c[2];
    char b;
    CHECK_EQ(rn_socketpair(SOCK_STREAM, c), 0);
    rn_time t = soon();
    CHECK_EQ(rn_conn_set_deadline(c[0], t), 0);
    CHECK_EQ(rn_read(c[0], &b, 1), -ETIMEDOUT);
    CHECK_GE(rn_now(), t);
    rn_conn_close(c[0]);
    rn_conn_close(c[1]);
}

enum what { READ, WRITE, ACCEPT, TURN };

static void blocked(rn_conn c, int what, rn_chan(int) result) {
    char b = 0;
    rn_conn r = what == READ     ? rn_read(c, &b, 1)
                : what == ACCEPT ? rn_accept(c)
                                 : rn_write(c, &b, 1);
    rn_send(result, (int)r);
}

TEST_GO(a_deadline_moved_while_they_wait) {
    rn_conn c[2];
    rn_chan(int) result = rn_make(int, 4);
    CHECK_EQ(rn_socketpair(SOCK_STREAM, c), 0);
    CHECK_EQ(rn_conn_set_deadline(c[0], later()), 0);
    fill(c[0]);
    rn_go(blocked, c[0], READ, result);
    rn_go(blocked, c[0], READ, result);
    rn_go(blocked, c[0], WRITE, result);
    until_waiting(3);
    rn_go(blocked, c[0], TURN, result); /* queues behind the writer */
    CHECK_EQ(rn_conn_set_deadline(c[0], later() + HOUR), 0);
    until_waiting(3);
    CHECK_EQ(rn_len(result), 0);
    CHECK_EQ(rn_conn_set_deadline(c[0], rn_now()), 0);
    for (int i = 0; i < 4; i++) CHECK_EQ(rn_recv(result), -ETIMEDOUT);
    rn_conn_close(c[0]);
    rn_conn_close(c[1]);
    rn_unref(result);
}

/* ---- contexts ---- */

enum ctx_call { CTX_READ, CTX_WRITE, CTX_TURN, CTX_ACCEPT, CTX_CALLS };

static void blocked_ctx(rn_ctx *ctx, rn_conn c, int what, rn_chan(int) result) {
    char b = 0;
    rn_conn r = what == CTX_READ     ? rn_read_ctx(ctx, c, &b, 1)
                : what == CTX_ACCEPT ? rn_accept_ctx(ctx, c)
                                     : rn_write_ctx(ctx, c, &b, 1);
    rn_send(result, (int)r);
}

TEST_GO(a_cancelled_context_ends_every_wait) {
    for (long i = scaled(20); i > 0; i--) {
        rn_conn c[2], l = rn_listen("tcp", "127.0.0.1:0");
        rn_ctx *ctx = rn_ctx_with_cancel(rn_ctx_background());
        rn_chan(int) result = rn_make(int, CTX_CALLS);
        CHECK_EQ(rn_socketpair(SOCK_STREAM, c), 0);
        fill(c[0]);
        rn_go(blocked_ctx, ctx, c[0], CTX_READ, result);
        rn_go(blocked_ctx, ctx, c[0], CTX_WRITE, result);
        rn_go(blocked_ctx, ctx, c[0], CTX_TURN, result);
        rn_go(blocked_ctx, ctx, l, CTX_ACCEPT, result);
        if (i & 1) until_waiting(3);
        rn_ctx_cancel(ctx);
        for (int j = 0; j < CTX_CALLS; j++) CHECK_EQ(rn_recv(result), -ECANCELED);
        rn_ctx_unref(ctx);
        rn_conn_close(c[0]);
        rn_conn_close(c[1]);
        rn_conn_close(l);
        rn_unref(result);
    }
}

TEST_GO(a_context_s_deadline_is_a_time_out) {
    rn_conn c[2];
    char b;
    rn_time t = soon();
    rn_ctx *ctx = rn_ctx_with_deadline(rn_ctx_background(), t);
    CHECK_EQ(rn_socketpair(SOCK_STREAM, c), 0);
    CHECK_EQ(rn_read_ctx(ctx, c[0], &b, 1), -ETIMEDOUT);
    CHECK_GE(rn_now(), t);
    CHECK_EQ(rn_fd_wait_ctx(ctx, rn_conn_fd(c[0]), RN_READABLE), -ETIMEDOUT);
    CHECK_EQ(rn_write(c[1], "xy", 2), 2);
    CHECK_EQ(rn_read_ctx(ctx, c[0], &b, 1), 1); /* what is there is had */
    CHECK_EQ(rn_read_ctx(NULL, c[0], &b, 1), 1);
    rn_ctx_unref(ctx);
    rn_conn_close(c[0]);
    rn_conn_close(c[1]);
}

/* The reference is ours. */
static void cancel_when(rn_ctx *ctx, uint32_t n) {
    until_waiting(n);
    rn_ctx_cancel(ctx);
    rn_ctx_unref(ctx);
}

TEST_GO(a_cancelled_context_ends_dials_and_children) {
    const char *const argv[] = {"sleep", "1000", NULL};
    rn_proc p;
    int status;
    rn_ctx *ctx = rn_ctx_with_cancel(rn_ctx_background());
    CHECK_EQ(rn_exec(&p, argv, NULL), 0);
    rn_go(cancel_when, rn_ctx_ref(ctx), 1);
    CHECK_EQ(rn_proc_wait_ctx(ctx, &p, &status), -ECANCELED);
    CHECK_EQ(rn_proc_kill(&p, SIGKILL), 0);
    CHECK_EQ(rn_proc_wait(&p, &status), 0);
    CHECK_EQ(rn_dial_ctx(ctx, "tcp", "127.0.0.1:1"), -ECANCELED);
    CHECK_EQ(rn_dial_ctx(ctx, "tcp", "localhost:http"), -ECANCELED);
    rn_addr a;
    CHECK_EQ(rn_lookup_ctx(ctx, "tcp", "localhost:http", &a, 1), -ECANCELED);
    rn_ctx_unref(ctx);
}

/* ---- closing ---- */

TEST_GO(close_wakes_who_reads_and_writes) {
    for (long i = scaled(50); i > 0; i--) {
        rn_conn c[2];
        rn_chan(int) result = rn_make(int, 4);
        CHECK_EQ(rn_socketpair(SOCK_STREAM, c), 0);
        fill(c[0]);
        rn_go(blocked, c[0], READ, result);
        rn_go(blocked, c[0], READ, result);
        rn_go(blocked, c[0], WRITE, result);
        rn_go(blocked, c[0], TURN, result);
        if (i & 1) until_waiting(3);
        CHECK_EQ(rn_conn_close(c[0]), 0);
        for (int j = 0; j < 4; j++) CHECK_EQ(rn_recv(result), -EBADF);
        rn_conn_close(c[1]);
        rn_unref(result);
    }
}

TEST_GO(close_wakes_who_accepts) {
    for (long i = scaled(50); i > 0; i--) {
        rn_chan(int) result = rn_make(int, 2);
        rn_conn l = rn_listen("tcp", "127.0.0.1:0");
        rn_go(blocked, l, ACCEPT, result);
        rn_go(blocked, l, ACCEPT, result);
        if (i & 1) until_waiting(2);
        CHECK_EQ(rn_conn_close(l), 0);
        CHECK_EQ(rn_recv(result), -EBADF);
        CHECK_EQ(rn_recv(result), -EBADF);
        rn_unref(result);
    }
}

static void dial_unix(const char *name, rn_time t, rn_chan(int) result) {
    rn_conn c = rn_dial_until("unix", name, t);
    if (c > 0) rn_conn_close(c);
    rn_send(result, c > 0 ? 0 : (int)c);
}

/* A Unix listener that takes one, and has its hands full. */
TEST_GO(dial_waits_for_room_and_sees_the_listener_go) {
    char name[64];
    snprintf(name, sizeof name, "@runnel-net-%d", (int)getpid());
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
    memcpy(un.sun_path + 1, name + 1, strlen(name) - 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_EQ(bind(fd, (struct sockaddr *)&un, len), 0);
    CHECK_EQ(listen(fd, 0), 0);
    rn_conn l = rn_conn_of_fd(fd), full = rn_dial("unix", name);
    CHECK_GT(l, 0);
    CHECK_GT(full, 0);
    rn_chan(int) result = rn_make(int, 2);
    CHECK_EQ(rn_dial_until("unix", name, soon()), -ETIMEDOUT);
    rn_go(dial_unix, (const char *)name, later(), result);
    until_waiting(1);
    rn_conn a = rn_accept(l);
    CHECK_GT(a, 0);
    CHECK_EQ(rn_recv(result), 0); /* there was room again */
    rn_ctx *ctx = rn_ctx_with_cancel(rn_ctx_background());
    rn_go(cancel_when, rn_ctx_ref(ctx), 1);
    CHECK_EQ(rn_dial_ctx(ctx, "unix", name), -ECANCELED);
    rn_ctx_unref(ctx);
    rn_go(dial_unix, (const char *)name, later(), result);
    until_waiting(1);
    CHECK_EQ(rn_conn_close(l), 0);
    CHECK_EQ(rn_recv(result), -ECONNREFUSED);
    rn_conn_close(a);
    rn_conn_close(full);
    rn_unref(result);
}

/* Calls, deadlines and a close against each other, none of which may hang or hit another descriptor. */
static void hammer(rn_conn c, uint64_t seed, rn_chan(int) result) {
    int r = 0;
    char buf[64];
    while (r != -EBADF) {
        switch (test_random(&seed) % 5) {
        case 0: r = (int)rn_read_until(c, buf, sizeof buf, rn_now() + 100 * RN_US); break;
        case 1: r = (int)rn_write_until(c, buf, sizeof buf, rn_now() + 100 * RN_US); break;
        case 2:
            r = rn_conn_set_deadline(c, rn_now() + (rn_duration)(test_random(&seed) % 200) * RN_US);
            break;
        case 3: r = rn_conn_set_deadline(c, RN_TIME_MAX); break;
        case 4: r = (int)rn_read(c, buf, test_random(&seed) % 2); break;
        }
        CHECK(r >= 0 || r == -EBADF || r == -ETIMEDOUT || r == -EPIPE || r == -ECONNRESET);
    }
    rn_send(result, 1);
}

TEST_GO(calls_deadlines_and_close_together) {
    uint64_t seed = test_seed();
    for (long i = scaled(20); i > 0; i--) {
        rn_conn c[2];
        rn_chan(int) result = rn_make(int, 8);
        CHECK_EQ(rn_socketpair(SOCK_STREAM, c), 0);
        for (int j = 0; j < 8; j++) rn_go(hammer, c[j & 1], test_random(&seed), result);
        for (int n = (int)(test_random(&seed) % 200); n > 0; n--) rn_yield();
        CHECK_EQ(rn_conn_close(c[0]), 0);
        CHECK_EQ(rn_conn_close(c[1]), 0);
        for (int j = 0; j < 8; j++) rn_recv(result);
        rn_unref(result);
    }
}

TEST_GO(no_descriptor_is_left_behind) {
    char text[RN_ADDR_TEXT], none[RN_ADDR_TEXT];
    int bound = bound_only(none), before = 0;
    for (int i = 0; i < 5; i++) {
        struct pair p = tcp_pair();
        rn_conn c[2];
        both_ways(p.a, p.b);
        text_of(p.listener, text);
        CHECK_EQ(rn_dial("tcp", none), -ECONNREFUSED);
        CHECK_EQ(rn_listen("tcp", text), -EADDRINUSE);
        CHECK_EQ(rn_accept_until(p.listener, soon()), -ETIMEDOUT);
        CHECK_EQ(rn_pipe(c), 0);
        CHECK_EQ(rn_fd_wait_until(rn_conn_fd(c[0]), RN_READABLE, soon()), -ETIMEDOUT);
        CHECK_EQ(rn_write(c[1], "abc", 3), 3);
        CHECK_EQ(rn_copy(p.a, c[0], 3), 3);
        rn_conn_close(c[0]);
        rn_conn_close(c[1]);
        close_pair(&p);
        if (i == 0) before = fds_open(); /* the poller is open by now */
    }
    CHECK_EQ(fds_open(), before);
    close(bound);
}

/* ---- reads that came back short ---- */

static void write_and_leave(rn_conn c, uint64_t seed) {
    for (int i = 1 + (int)(test_random(&seed) % 3); i > 0; i--) {
        CHECK_EQ(rn_write(c, "abc", 3), 3);
        for (int n = (int)(test_random(&seed) % 4); n > 0; n--) rn_yield();
    }
    rn_conn_close(c);
}

/* Whether the end comes with the data or after it, and whether the reader waits by then: it sees the end. */
TEST_GO(the_end_after_a_short_read) {
    uint64_t seed = test_seed();
    struct pair p = tcp_pair();
    for (long i = scaled(1000); i > 0; i--) {
        char buf[64];
        ssize_t n;
        rn_conn a = rn_dial("tcp", p.address), b = rn_accept(p.listener);
        CHECK_GT(a, 0);
        CHECK_GT(b, 0);
        rn_go(write_and_leave, a, test_random(&seed));
        do {
            for (int y = (int)(test_random(&seed) % 4); y > 0; y--) rn_yield();
        } while ((n = rn_read(b, buf, sizeof buf)) > 0);
        CHECK_EQ(n, 0);
        rn_conn_close(b);
    }
    close_pair(&p);
}

/* A read that stops at urgent data is short, too, and more is behind it. */
TEST_GO(urgent_data_after_a_short_read) {
    struct pair p = tcp_pair();
    int a = rn_conn_fd(p.a);
    for (int i = 0; i < 100; i++) {
        char got[8] = "";
        CHECK_EQ(send(a, "abc", 3, 0), 3);
        CHECK_EQ(send(a, "!", 1, MSG_OOB), 1);
        CHECK_EQ(send(a, "def", 3, 0), 3);
        for (size_t n = 0; n < 6;) {
            ssize_t r = rn_read(p.b, got + n, sizeof got - n);
            CHECK_GT(r, 0);
            n += (size_t)r;
        }
        CHECK_STR(got, "abcdef");
    }
    close_pair(&p);
}

/* Who does not want to wait gets what has come, though nobody has polled. */
TEST_GO(what_has_come_is_read_without_waiting) {
    struct pair p = tcp_pair();
    char b[8];
    CHECK_EQ(rn_write(p.a, "x", 1), 1);
    CHECK_EQ(rn_read(p.b, b, 8), 1);
    for (int i = 0; i < 1000; i++) {
        CHECK_EQ(rn_write(p.a, "x", 1), 1);
        CHECK_EQ(rn_read_until(p.b, b, 8, 0), 1);
    }
    CHECK_EQ(rn_read_until(p.b, b, 8, 0), -ETIMEDOUT);
    close_pair(&p);
}

/* ---- copying ---- */

static void send_pattern(rn_conn c, size_t n) {
    unsigned char buf[777];
    for (size_t i = 0; i < n;) {
        size_t m = n - i < sizeof buf ? n - i : sizeof buf;
        for (size_t j = 0; j < m; j++) buf[j] = pattern(i + j);
        CHECK_EQ(rn_write(c, buf, m), m);
        i += m;
    }
    CHECK_EQ(rn_conn_close_write(c), 0);
}

TEST_GO(copy_from_connection_to_connection) {
    struct pair p = tcp_pair(), q = tcp_pair();
    size_t n = (size_t)scaled(1 << 20);
    rn_chan(int) done = rn_make(int, 1);
    rn_go(send_pattern, p.a, n);
    rn_go(read_pattern, q.b, n, done);
    CHECK_EQ(rn_copy(q.a, p.b, SIZE_MAX), n);
    rn_recv(done);
    close_pair(&p);
    close_pair(&q);
    rn_unref(done);
}

TEST_GO(copy_stops_at_n) {
    rn_conn a[2], b[2];
    char buf[8];
    CHECK_EQ(rn_pipe(a), 0);
    CHECK_EQ(rn_socketpair(SOCK_STREAM, b), 0);
    CHECK_EQ(rn_write(a[1], "abcdef", 6), 6);
    CHECK_EQ(rn_copy(b[0], a[0], 4), 4);
    CHECK_EQ(rn_read(b[1], buf, 8), 4);
    CHECK_EQ(rn_read(a[0], buf, 8), 2);
    CHECK_EQ(rn_copy_until(b[0], a[0], 1, soon()), -ETIMEDOUT);
    for (int i = 0; i < 2; i++) {
        rn_conn_close(a[i]);
        rn_conn_close(b[i]);
    }
}

static void copy_all(rn_conn dst, rn_conn src, rn_chan(int) result) {
    rn_send(result, (int)rn_copy(dst, src, SIZE_MAX));
}

/* Who copies waits for one of the two at a time; the other can be closed meanwhile, and that is seen when its turn comes. */
TEST_GO(copy_lets_go_of_what_it_does_not_wait_for) {
    rn_conn a[2], b[2];
    rn_chan(int) result = rn_make(int, 1);
    CHECK_EQ(rn_socketpair(SOCK_STREAM, a), 0);
    CHECK_EQ(rn_socketpair(SOCK_STREAM, b), 0);
    rn_go(copy_all, b[0], a[0], result);
    until_waiting(1);
    CHECK_EQ(rn_conn_close(b[0]), 0);
    CHECK_EQ(rn_write(a[1], "x", 1), 1);
    CHECK_EQ(rn_recv(result), -EBADF);
    CHECK_EQ(rn_copy(a[0], b[0], 1), -EBADF);
    rn_conn_close(a[0]);
    rn_conn_close(a[1]);
    rn_conn_close(b[1]);
    rn_unref(result);
}

/* n bytes are written at one end and come out at the other. */
static void carry(rn_conn from, rn_conn to, size_t n) {
    rn_chan(int) done = rn_make(int, 1);
    unsigned char *data = malloc(n);
    for (size_t i = 0; i < n; i++) data[i] = pattern(i);
    rn_go(read_pattern, to, n, done);
    CHECK_EQ(rn_write(from, data, n), n);
    rn_recv(done);
    free(data);
    rn_unref(done);
}

/* Few bytes, many, few again: by the buffer and by the pipe. */
static void copy_through(rn_conn from, rn_conn to, int64_t *count, rn_chan(int) result) {
    rn_send(result, (int)rn_copy_counted(to, from, SIZE_MAX, count));
}

TEST_GO(copy_counts_as_it_goes) {
    struct pair p = tcp_pair(), q = tcp_pair();
    rn_chan(int) result = rn_make(int, 1);
    int64_t count = 0;
    rn_go(copy_through, p.b, q.a, &count, result);
    for (int i = 0; i < 8; i++) {
        size_t n = i % 2 ? 300000 : 3;
        int64_t before = __atomic_load_n(&count, __ATOMIC_RELAXED);
        carry(p.a, q.b, n);
        while (__atomic_load_n(&count, __ATOMIC_RELAXED) - before < (int64_t)n) rn_yield();
        CHECK_EQ(count - before, n);
    }
    CHECK_EQ(rn_conn_close_write(p.a), 0);
    CHECK_EQ(rn_recv(result), count);
    close_pair(&p);
    close_pair(&q);
    rn_unref(result);
}

struct stream {
    struct pair in, out; /* copied from in.b to out.a */
    rn_chan(int) result;
};

static struct stream stream_new(void) {
    struct stream s = {tcp_pair(), tcp_pair(), rn_make(int, 1)};
    rn_go(copy_all, s.out.a, s.in.b, s.result);
    return s;
}

static void stream_end(struct stream *s) {
    CHECK_EQ(rn_conn_close_write(s->in.a), 0);
    rn_recv(s->result);
    close_pair(&s->in);
    close_pair(&s->out);
    rn_unref(s->result);
}

/* One that moves something has a pipe, and hands it on. */
TEST_GO(copies_that_wait_have_no_pipe) {
    enum { N = 8 };
    struct stream s[N];
    for (int i = 0; i < N; i++) s[i] = stream_new();
    until_waiting(N);
    int before = fds_open();
    for (int i = 0; i < N; i++) {
        carry(s[i].in.a, s[i].out.b, 1 << 20);
        until_waiting(N);
    }
    CHECK_LE(fds_open(), before + 2);
    for (int i = 0; i < N; i++) stream_end(&s[i]);
}

/* What one could not give on is in a pipe; nobody else gets it. */
TEST_GO(what_a_copy_leaves_in_a_pipe_is_gone) {
    for (int i = 0; i < 8; i++) {
        struct stream s = stream_new();
        int64_t n = 0;
        unsigned char *data = calloc(1, 1 << 20);
        rn_time far = rn_now() + RN_SEC / 20;
        for (ssize_t r; (r = rn_write_some_until(s.in.a, data, 1 << 20, far)) > 0;) n += r;
        CHECK_EQ(rn_conn_close(s.out.a), 0);
        CHECK_EQ(rn_recv(s.result), -EBADF);
        CHECK_GT(n, 1 << 20);
        free(data);
        rn_conn_close(s.out.b);
        rn_conn_close(s.out.listener);
        close_pair(&s.in);
        rn_unref(s.result);
        struct stream t = stream_new();
        carry(t.in.a, t.out.b, 1 << 20);
        stream_end(&t);
    }
}

static int temp_file(void) {
    char name[] = "/tmp/runnel-net-XXXXXX";
    int fd = mkostemp(name, O_CLOEXEC);
    CHECK_GE(fd, 0);
    unlink(name);
    return fd;
}

/* splice(2) does not write to what was opened with O_APPEND: what is in the pipe by then is not lost. */
TEST_GO(copy_to_what_cannot_be_spliced_to) {
    enum { N = 400000 };
    struct pair p = tcp_pair();
    unsigned char *got = malloc(N);
    int fd = temp_file();
    CHECK_EQ(fcntl(fd, F_SETFL, O_APPEND), 0);
    rn_conn file = rn_conn_of_fd(dup(fd));
    CHECK_GT(file, 0);
    rn_go(send_pattern, p.a, N);
    CHECK_EQ(rn_copy(file, p.b, SIZE_MAX), N);
    CHECK_EQ(rn_pread(fd, got, N, 0), N);
    for (size_t i = 0; i < N; i++) CHECK_EQ(got[i], pattern(i));
    rn_conn_close(file);
    close(fd);
    close_pair(&p);
    free(got);
}

TEST_GO(sendfile_sends_a_file) {
    size_t n = (size_t)scaled(1 << 20);
    unsigned char *data = malloc(n);
    for (size_t i = 0; i < n; i++) data[i] = pattern(i - 10);
    int fd = temp_file();
    CHECK_EQ(rn_pwrite(fd, data, n, 0), n);
    struct pair p = tcp_pair();
    rn_chan(int) done = rn_make(int, 1);
    rn_go(read_pattern, p.b, n - 10, done);
    CHECK_EQ(rn_sendfile(p.a, fd, 10, SIZE_MAX), n - 10);
    rn_recv(done);
    CHECK_EQ(rn_sendfile(p.a, fd, 0, 5), 5);
    CHECK_EQ(rn_sendfile(p.a, fd, (off_t)n, 5), 0);
    close_pair(&p);
    close(fd);
    free(data);
    rn_unref(done);
}

static uint32_t data_segments(rn_conn c) {
    struct tcp_info info = {0};
    socklen_t n = sizeof info;
    CHECK_EQ(rn_conn_getopt(c, IPPROTO_TCP, TCP_INFO, &info, &n), 0);
    CHECK_GE(n, (socklen_t)(offsetof(struct tcp_info, tcpi_data_segs_out) + 4));
    return info.tcpi_data_segs_out;
}

/* A header and the file that follows it are one segment; two writes are two. */
TEST_GO(write_more_waits_for_what_follows) {
    if (getenv("RUNNEL_EMULATED")) SKIP("qemu-user knows no TCP_INFO");
    struct pair p = tcp_pair();
    char got[64] = "";
    int fd = temp_file();
    CHECK_EQ(write(fd, "world", 5), 5);
    CHECK_EQ(rn_write(p.a, "hello ", 6), 6);
    CHECK_EQ(rn_sendfile(p.a, fd, 0, SIZE_MAX), 5);
    CHECK_EQ(data_segments(p.a), 2);
    CHECK_EQ(rn_write_more(p.a, "hello ", 6), 6);
    CHECK_EQ(rn_sendfile(p.a, fd, 0, SIZE_MAX), 5);
    CHECK_EQ(data_segments(p.a), 3);
    CHECK_EQ(rn_write_more_until(p.a, "h", 1, later()), 1);
    CHECK_EQ(rn_write_more_ctx(rn_ctx_background(), p.a, "o", 1), 1);
    CHECK_EQ(rn_write(p.a, "w", 1), 1);
    CHECK_EQ(data_segments(p.a), 4);
    CHECK_EQ(rn_read_full(p.b, got, 25), 25);
    CHECK_STR(got, "hello worldhello worldhow");
    close(fd);
    close_pair(&p);
}

/* And what has no segments: a pipe, datagrams. */
TEST_GO(write_more_without_segments) {
    rn_conn c[2];
    char got[8] = "";
    CHECK_EQ(rn_pipe(c), 0);
    CHECK_EQ(rn_write_more(c[1], "a", 1), 1);
    CHECK_EQ(rn_read(c[0], got, 8), 1);
    rn_conn_close(c[0]);
    rn_conn_close(c[1]);
    CHECK_EQ(rn_socketpair(SOCK_SEQPACKET, c), 0);
    CHECK_EQ(rn_write_more(c[0], "a", 1), 1);
    CHECK_EQ(rn_read(c[1], got, 8), 1);
    rn_conn_close(c[0]);
    rn_conn_close(c[1]);
}

struct leaver {
    int fd;
    size_t takes;
};

static void *take_some_and_leave(void *arg) {
    struct leaver *l = arg;
    char buf[4096];
    for (size_t got = 0; got < l->takes; got += sizeof buf)
        if (read(l->fd, buf, sizeof buf) <= 0) break;
    close(l->fd);
    return NULL;
}

/*
 * The kernel may have sent a part when the peer is gone: then it returns that, and raises SIGPIPE all the same. A Unix
 * socket tells once that its peer left with data unread (ECONNRESET), if we come between the mark and the shutdown.
 */
TEST_GO(sendfile_to_one_who_leaves_in_the_middle) {
    enum { SIZE = 1 << 20 };
    int fd = temp_file();
    uint64_t seed = test_seed();
    CHECK_EQ(ftruncate(fd, SIZE), 0);
    for (long i = 0, n = scaled(2000); i < n; i++) {
        int ends[2];
        pthread_t t;
        CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
        struct leaver l = {ends[1], test_random(&seed) % (SIZE / 2)};
        CHECK_EQ(pthread_create(&t, NULL, take_some_and_leave, &l), 0);
        rn_conn c = rn_conn_of_fd(ends[0]);
        ssize_t r = rn_sendfile(c, fd, 0, SIZE);
        if (r != -ECONNRESET) CHECK_EQ(r, -EPIPE);
        CHECK_EQ(rn_conn_close(c), 0);
        pthread_join(t, NULL);
    }
    close(fd);
}

/* ---- other descriptors ---- */

static void wait_fd(int fd, int events, rn_chan(int) result) {
    rn_send(result, rn_fd_wait(fd, events));
}

TEST_GO(fd_wait_by_several_on_one_descriptor) {
    int fd[2];
    rn_chan(int) result = rn_make(int, 4);
    CHECK_EQ(pipe2(fd, O_CLOEXEC), 0); /* blocking ones, even */
    CHECK_EQ(rn_fd_wait(fd[1], RN_READABLE | RN_WRITABLE), RN_WRITABLE);
    CHECK_EQ(rn_fd_wait_until(fd[0], RN_READABLE, soon()), -ETIMEDOUT);
    for (int i = 0; i < 3; i++) rn_go(wait_fd, fd[0], RN_READABLE, result);
    until_waiting(3);
    CHECK_EQ(write(fd[1], "x", 1), 1);
    for (int i = 0; i < 3; i++) CHECK_EQ(rn_recv(result), RN_READABLE);
    CHECK_EQ(rn_fd_wait(-1, RN_READABLE), -EBADF);
    CHECK_EQ(rn_fd_wait(fd[0], 0), -EINVAL);
    close(fd[0]);
    close(fd[1]);
    rn_unref(result);
}

TEST_GO(fd_wait_for_either_direction) {
    int fd[2];
    rn_chan(int) result = rn_make(int, 1);
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd), 0);
    static char zeros[65536];
    while (write(fd[0], zeros, sizeof zeros) > 0) continue;
    rn_go(wait_fd, fd[0], RN_READABLE | RN_WRITABLE, result);
    until_waiting(1);
    CHECK_EQ(write(fd[1], "x", 1), 1);
    CHECK_EQ(rn_recv(result), RN_READABLE);
    close(fd[0]);
    close(fd[1]);
    rn_unref(result);
}

TEST_GO(fd_wait_for_a_timerfd) {
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    struct itimerspec in = {.it_value = {.tv_nsec = 2000000}};
    uint64_t n = 0;
    CHECK_EQ(timerfd_settime(fd, 0, &in, NULL), 0);
    CHECK_EQ(rn_fd_wait(fd, RN_READABLE), RN_READABLE);
    CHECK_EQ(read(fd, &n, sizeof n), sizeof n);
    CHECK_EQ(n, 1);
    close(fd);
}

TEST_GO(files_are_read_and_written) {
    char buf[16] = "";
    int fd = temp_file();
    CHECK_EQ(rn_pwrite(fd, "hello", 5, 3), 5);
    CHECK_EQ(rn_pread(fd, buf, 5, 3), 5);
    CHECK_STR(buf, "hello");
    CHECK_EQ(rn_pread(fd, buf, 5, 100), 0);
    CHECK_EQ(rn_pread(-1, buf, 5, 0), -EBADF);
    close(fd);
}

/* ---- children ---- */

TEST_GO(a_child_s_status) {
    const char *const three[] = {"sh", "-c", "exit 3", NULL}, *const none[] = {"/no/such/program",
                                                                               NULL};
    rn_proc p;
    int status = 0;
    CHECK_EQ(rn_exec(&p, three, NULL), 0);
    CHECK_EQ(rn_proc_wait(&p, &status), 0);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), 3);
    /* Under qemu-user, whose vfork(2) is a fork, posix_spawn(3) cannot see it: then the child tells by 127. */
    int r = rn_exec(&p, none, NULL);
    if (r == 0) CHECK_EQ(rn_proc_wait(&p, &status), 0);
    if (r == 0)
        CHECK_EQ(WEXITSTATUS(status), 127);
    else
        CHECK_EQ(r, -ENOENT);
}

TEST_GO(a_child_is_waited_for_in_vain_and_killed) {
    const char *const argv[] = {"sleep", "1000", NULL};
    rn_proc p;
    int status = 0;
    CHECK_EQ(rn_exec(&p, argv, NULL), 0);
    CHECK_EQ(rn_proc_wait_until(&p, &status, soon()), -ETIMEDOUT);
    CHECK_EQ(rn_proc_kill(&p, SIGTERM), 0);
    CHECK_EQ(rn_proc_wait(&p, &status), 0);
    CHECK(WIFSIGNALED(status));
    CHECK_EQ(WTERMSIG(status), SIGTERM);
}

TEST_GO(a_child_s_pipes) {
    const char *const argv[] = {"cat", NULL};
    rn_exec_opts o = {.std = {RN_EXEC_PIPE, RN_EXEC_PIPE, RN_EXEC_NULL}, .dir = "/"};
    rn_proc p;
    char buf[8] = "";
    int status = 1;
    CHECK_EQ(rn_exec(&p, argv, &o), 0);
    CHECK_EQ(rn_write(p.std[0], "meow", 4), 4);
    CHECK_EQ(rn_read_full(p.std[1], buf, 4), 4);
    CHECK_STR(buf, "meow");
    CHECK_EQ(p.std[2], 0);
    CHECK_EQ(rn_conn_close(p.std[0]), 0);
    CHECK_EQ(rn_read(p.std[1], buf, 1), 0);
    CHECK_EQ(rn_conn_close(p.std[1]), 0);
    CHECK_EQ(rn_proc_wait(&p, &status), 0);
    CHECK_EQ(status, 0);
}

/* ---- plain threads ---- */

static void *thread_echo(void *arg) {
    echo(*(rn_conn *)arg);
    return NULL;
}

TEST(plain_threads_wait_too) {
    pthread_t t;
    rn_conn c[2];
    char b;
    CHECK_EQ(rn_socketpair(SOCK_STREAM, c), 0);
    CHECK_EQ(pthread_create(&t, NULL, thread_echo, &c[1]), 0);
    for (long i = 0; i < scaled(500); i++) {
        long got = -1;
        CHECK_EQ(rn_write(c[0], &i, sizeof i), sizeof i);
        CHECK_EQ(rn_read_full(c[0], &got, sizeof got), sizeof got);
        CHECK_EQ(got, i);
    }
    CHECK_EQ(rn_read_until(c[0], &b, 1, soon()), -ETIMEDOUT);
    rn_conn_close(c[0]);
    CHECK_EQ(pthread_join(t, NULL), 0);
}

TEST(a_thread_and_a_goroutine_on_one_connection) {
    rn_conn c[2];
    CHECK_EQ(rn_socketpair(SOCK_STREAM, c), 0);
    rn_go(echo, c[1]);
    both_ways(c[0], c[0]);
    rn_conn_close(c[0]);
}
