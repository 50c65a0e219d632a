/* SPDX-License-Identifier: MIT */
/*
 * client.c: a connection's life: requests one after the other, each with its time-outs, and a proper end.
 *
 * The drain closes connections that are between two requests. A client that goes idle says so first and looks at
 * `draining` then; the drain sets it first and looks at who is idle then: one of them sees the other. (D1)
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "httpd.h"

enum { LINGER_MAX = 256 * 1024 };
#define LINGER RN_SEC

/* Bytes into the empty input. As rn_read. */
static ssize_t fill(struct client *c, rn_time until) {
    c->at = c->end = 0;
    ssize_t n = rn_read_until(c->conn, c->input, sizeof c->input, until);
    if (n > 0) c->end = (size_t)n;
    return n;
}

/* Wait for the first byte of a request. False: there will be none. */
static bool wait_idle(struct client *c) {
    if (c->at < c->end) return true;
    __atomic_store_n(&c->idle, true, __ATOMIC_SEQ_CST); /* D1 */
    bool more = !__atomic_load_n(&httpd.draining, __ATOMIC_SEQ_CST) &&
                fill(c, rn_now() + httpd.idle_timeout) > 0;
    __atomic_store_n(&c->idle, false, __ATOMIC_SEQ_CST);
    return more;
}

/* The rest of a request's head. 0; a status; -errno: the connection is no good. */
static int read_head(struct client *c) {
    struct request *r = &c->request;
    rn_time until = rn_now() + httpd.head_timeout;
    size_t taken = 0;
    request_begin(r);
    for (;;) {
        size_t n = request_take(r, c->input + c->at, c->end - c->at);
        c->at += n;
        taken += n;
        if (r->error) return r->error;
        if (r->done) return 0;
        if (taken > HEAD_MAX) return 431;
        ssize_t got = fill(c, until);
        if (got == -ETIMEDOUT) return 408;
        if (got <= 0) return got < 0 ? (int)got : -ECONNRESET;
    }
}

/* What the client still sends would make the kernel throw away our answer: read it, but not for ever. */
static void linger(struct client *c) {
    rn_time until = rn_now() + LINGER;
    ssize_t n = 1;
    if (rn_conn_close_write(c->conn) < 0) return;
    for (size_t total = 0; n > 0 && total < LINGER_MAX; total += (size_t)n) {
        n = fill(c, until);
        if (n < 0) break;
    }
}

static void serve(struct client *c) {
    while (wait_idle(c)) {
        int status = read_head(c);
        if (status < 0) return;
        if (status > 0) {
            answer_status(c, status, false);
            linger(c);
            return;
        }
        if (!answer(c)) {
            linger(c);
            return;
        }
    }
}

static void link_client(struct client *c) {
    rn_mutex_lock(&httpd.lock);
    c->next = httpd.clients;
    if (c->next) c->next->prev = c;
    httpd.clients = c;
    rn_mutex_unlock(&httpd.lock);
}

static void unlink_client(struct client *c) {
    rn_mutex_lock(&httpd.lock);
    if (c->prev)
        c->prev->next = c->next;
    else
        httpd.clients = c->next;
    if (c->next) c->next->prev = c->prev;
    rn_mutex_unlock(&httpd.lock);
}

static void client(struct client *c) {
    serve(c);
    unlink_client(c);
    rn_conn_close(c->conn);
    free(c);
    server_left();
}

void client_start(rn_conn conn) {
    struct client *c = calloc(1, sizeof *c);
    if (c) {
        c->conn = conn;
        link_client(c);
        if (rn_go(client, c) == 0) return;
        unlink_client(c);
        free(c);
    }
    say("no memory for a client");
    rn_conn_close(conn);
    server_left();
}

/* Closing waits for those that use a connection, so it is done without the lock. */
void clients_end(bool idle_only) {
    size_t n = 0, room = 0;
    rn_mutex_lock(&httpd.lock);
    for (struct client *c = httpd.clients; c; c = c->next) room++;
    rn_conn *conns = malloc(room * sizeof *conns + 1);
    for (struct client *c = httpd.clients; c && conns; c = c->next)
        if (!idle_only || __atomic_load_n(&c->idle, __ATOMIC_SEQ_CST))
            conns[n++] = c->conn; /* D1 */
    rn_mutex_unlock(&httpd.lock);
    for (size_t i = 0; i < n; i++) rn_conn_close(conns[i]);
    free(conns);
}
