/* SPDX-License-Identifier: MIT */
/*
 * hiredis.c: a library that was written for event loops, hiredis' asynchronous interface, driven by rn_fd_wait: its callbacks become
 * goroutines that wait. hiredis_test.py runs this against a real redis-server, whose address is the environment's REDIS.
 *
 * hiredis tells what it waits for by hooks. Two goroutines wait for it: one until the socket can be read, one, when there is
 * something to write, until it can be written. hiredis knows nothing of threads: whoever calls it holds the link's lock. It may
 * close the socket at any time, and a descriptor has to stay open while it is waited for: so the two wait for
 * copies of it, and the hook that announces the end shuts the socket down, which wakes both.
 */
#include "test.h"

#include <hiredis/async.h>
#include <signal.h>

struct link {
    rn_mutex lock;
    redisAsyncContext *redis;
    bool writing, gone;
    int error; /* what hiredis gave as the reason of the end */
    rn_chan(char) write;
    rn_wg drivers;
};

/* ---- hiredis' hooks, called under the lock ---- */

static void add_write(void *arg) {
    struct link *l = arg;
    l->writing = true;
    rn_try_send(l->write, 0); /* it holds one: who is told already need not be told again */
}

static void del_write(void *arg) { ((struct link *)arg)->writing = false; }

static void at_end(void *arg) {
    struct link *l = arg;
    if (l->gone) return;
    l->gone = true;
    shutdown(l->redis->c.fd, SHUT_RDWR);
    rn_close(l->write);
}

static void on_disconnect(const redisAsyncContext *redis, int status) {
    ((struct link *)redis->data)->error = status == REDIS_OK ? 0 : redis->err;
}

static void on_connect(const redisAsyncContext *redis, int status) {
    if (status != REDIS_OK) FAIL("connect: %s", redis->errstr);
}

/* ---- the two who wait ---- */

static void wait_and_call(struct link *l, int fd, int event, void (*handle)(redisAsyncContext *)) {
    CHECK_EQ(rn_fd_wait(fd, event), event);
    rn_mutex_lock(&l->lock);
    if (!l->gone && (event == RN_READABLE || l->writing)) handle(l->redis);
    rn_mutex_unlock(&l->lock);
}

static bool is_over(struct link *l) {
    rn_mutex_lock(&l->lock);
    bool gone = l->gone;
    rn_mutex_unlock(&l->lock);
    return gone;
}

static void reader(struct link *l, int fd) {
    while (!is_over(l)) wait_and_call(l, fd, RN_READABLE, redisAsyncHandleRead);
    close(fd);
    rn_wg_done(&l->drivers);
}

static bool has_more(struct link *l) {
    rn_mutex_lock(&l->lock);
    bool more = l->writing && !l->gone;
    rn_mutex_unlock(&l->lock);
    return more;
}

static void writer(struct link *l, int fd) {
    while (rn_recv_ok(l->write, NULL))
        while (has_more(l)) wait_and_call(l, fd, RN_WRITABLE, redisAsyncHandleWrite);
    close(fd);
    rn_wg_done(&l->drivers);
}

/* ---- a connection ---- */

static redisAsyncContext *connect_to(const char *address) {
    char host[256];
    const char *colon = strrchr(address, ':');
    if (!colon) return redisAsyncConnectUnix(address);
    snprintf(host, sizeof host, "%.*s", (int)(colon - address), address);
    return redisAsyncConnect(host, atoi(colon + 1));
}

static void link_up(struct link *l) {
    const char *address = getenv("REDIS");
    CHECK(address);
    signal(SIGPIPE, SIG_IGN); /* hiredis writes without MSG_NOSIGNAL */
    memset(l, 0, sizeof *l);
    l->write = rn_make(char, 1);
    l->redis = connect_to(address);
    CHECK(l->redis && !l->redis->err);
    int fd = l->redis->c.fd, a = dup(fd), b = dup(fd);
    l->redis->data = l->redis->ev.data = l;
    l->redis->ev.addWrite = add_write;
    l->redis->ev.delWrite = del_write;
    l->redis->ev.cleanup = at_end;
    rn_wg_add(&l->drivers, 2);
    rn_mutex_lock(&l->lock); /* setting the callback asks to be told of the connection */
    redisAsyncSetConnectCallback(l->redis, on_connect);
    redisAsyncSetDisconnectCallback(l->redis, on_disconnect);
    rn_mutex_unlock(&l->lock);
    rn_go(reader, l, a);
    rn_go(writer, l, b);
}

/* hiredis waits for the answers that are due, then ends. */
static void link_down(struct link *l) {
    rn_mutex_lock(&l->lock);
    if (!l->gone) redisAsyncDisconnect(l->redis);
    rn_mutex_unlock(&l->lock);
    rn_wg_wait(&l->drivers);
    rn_unref(l->write);
}

/* ---- commands, as a goroutine wants them ---- */

struct answer {
    int type; /* of the reply; 0: the connection ended first */
    long long integer;
    char *text;
    size_t n;
};

/* A reply is hiredis' and gone after the callback. The channel has room: nobody waits under the lock. */
static void on_reply(redisAsyncContext *redis, void *reply, void *arg) {
    redisReply *r = reply;
    struct answer a = {0};
    (void)redis;
    if (r) {
        if (r->type == REDIS_REPLY_ARRAY) r = r->element[r->elements - 1];
        a = (struct answer){r->type, r->integer, NULL, r->len};
        if (r->str) a.text = memcpy(malloc(r->len + 1), r->str, r->len + 1);
    }
    CHECK_EQ(rn_try_send((rn_chan(struct answer))arg, a), 0);
}

static struct answer ask(struct link *l, int argc, const char *const argv[], const size_t len[]) {
    struct answer a;
    rn_chan(struct answer) answers = rn_make(struct answer, 1);
    rn_mutex_lock(&l->lock);
    int sent = l->gone ? REDIS_ERR
                       : redisAsyncCommandArgv(l->redis, on_reply, answers, argc,
                                               (const char **)(uintptr_t)argv, len);
    rn_mutex_unlock(&l->lock);
    a = sent == REDIS_OK ? rn_recv(answers) : (struct answer){0};
    rn_unref(answers);
    return a;
}

#define ASK(l, ...)                                                                                \
    ask(l, sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *), (const char *[]){__VA_ARGS__},  \
        NULL)

static void set_and_get(struct link *l, int id, long rounds, rn_wg *done) {
    char key[32], value[32];
    for (long i = 0; i < rounds; i++) {
        snprintf(key, sizeof key, "k%d", id);
        snprintf(value, sizeof value, "%d:%ld", id, i);
        CHECK_EQ(ASK(l, "SET", key, value).type, REDIS_REPLY_STATUS);
        struct answer a = ASK(l, "GET", key);
        CHECK_EQ(a.type, REDIS_REPLY_STRING);
        CHECK_STR(a.text, value);
        free(a.text);
        CHECK_EQ(ASK(l, "INCR", "all").type, REDIS_REPLY_INTEGER);
    }
    rn_wg_done(done);
}

TEST_GO(many_goroutines_share_a_connection) {
    enum { GOROUTINES = 50 };
    struct link l;
    rn_wg done = {0};
    char wanted[32];
    long rounds = scaled(100);
    link_up(&l);
    rn_wg_add(&done, GOROUTINES);
    for (int i = 0; i < GOROUTINES; i++) rn_go(set_and_get, &l, i, rounds, &done);
    rn_wg_wait(&done);
    struct answer a = ASK(&l, "GET", "all");
    snprintf(wanted, sizeof wanted, "%ld", GOROUTINES * rounds);
    CHECK_STR(a.text, wanted);
    free(a.text);
    link_down(&l);
    CHECK_EQ(l.error, 0);
}

/* More than the socket takes at a time, so that hiredis waits for room. */
TEST_GO(large_values_wait_for_room) {
    enum { N = 8 << 20 };
    struct link l;
    char *big = malloc(N);
    uint64_t seed = test_seed();
    for (size_t i = 0; i < N; i++) big[i] = (char)test_random(&seed);
    link_up(&l);
    const char *const set[] = {"SET", "big", big};
    struct answer a = ask(&l, 3, set, (const size_t[]){3, 3, N});
    CHECK_EQ(a.type, REDIS_REPLY_STATUS);
    free(a.text);
    a = ASK(&l, "GET", "big");
    CHECK_EQ(a.n, N);
    CHECK(memcmp(a.text, big, N) == 0);
    free(a.text);
    free(big);
    link_down(&l);
    CHECK_EQ(l.error, 0);
}

/* The answer to BLPOP comes when somebody else has pushed, over another connection. */
TEST_GO(an_answer_that_comes_when_others_have_acted) {
    struct link waits, pushes;
    rn_chan(struct answer) popped = rn_make(struct answer, 1);
    link_up(&waits);
    link_up(&pushes);
    for (int i = 0; i < 100; i++) {
        rn_mutex_lock(&waits.lock);
        CHECK_EQ(redisAsyncCommand(waits.redis, on_reply, popped, "BLPOP list 0"), REDIS_OK);
        rn_mutex_unlock(&waits.lock);
        struct answer clients = {0};
        do { /* redis says when it waits */
            free(clients.text);
            clients = ASK(&pushes, "INFO", "clients");
        } while (!strstr(clients.text, "blocked_clients:1"));
        free(clients.text);
        CHECK_EQ(rn_len(popped), 0);
        CHECK_EQ(ASK(&pushes, "LPUSH", "list", "it").integer, 1);
        struct answer a = rn_recv(popped);
        CHECK_STR(a.text, "it");
        free(a.text);
    }
    link_down(&waits);
    link_down(&pushes);
    rn_unref(popped);
}

/* The script kills the server when this says that it waits. */
TEST_GO(the_server_goes_away) {
    struct link l;
    link_up(&l);
    CHECK_EQ(ASK(&l, "SET", "a", "b").type, REDIS_REPLY_STATUS);
    rn_chan(struct answer) popped = rn_make(struct answer, 1);
    rn_mutex_lock(&l.lock);
    CHECK_EQ(redisAsyncCommand(l.redis, on_reply, popped, "BLPOP list 0"), REDIS_OK);
    rn_mutex_unlock(&l.lock);
    fprintf(stderr, "waiting\n");
    CHECK_EQ(rn_recv(popped).type, 0);
    rn_wg_wait(&l.drivers);
    CHECK(l.error == REDIS_ERR_EOF || l.error == REDIS_ERR_IO); /* the end, or a reset */
    CHECK_EQ(ASK(&l, "GET", "a").type, 0);
    rn_unref(popped);
    rn_unref(l.write);
}
