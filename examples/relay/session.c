/* SPDX-License-Identifier: MIT */
/*
 * session.c: one client and its backend. Two goroutines copy, one for each direction. The end of one direction is passed on
 * as a half close; an error ends both, by closing both connections. Whoever wants a session to end (idle time-out,
 * the drain's end) does just that: a connection's number is never used again, so closing it twice does no harm.
 */
#include "relay.h"

#include <stdlib.h>
#include <string.h>

static void end(struct session *s) {
    rn_conn_close(s->client);
    if (s->server > 0) rn_conn_close(s->server);
}

/* The client's bytes are direction 0. */
static void copy(struct session *s, int direction) {
    rn_conn from = direction == 0 ? s->client : s->server;
    rn_conn to = direction == 0 ? s->server : s->client;
    if (rn_copy_counted(to, from, SIZE_MAX, &s->bytes[direction]) >= 0)
        rn_conn_close_write(to);
    else
        end(s);
    rn_wg_done(&s->copies);
}

/* False: the session is to end, the server's connection is not wanted any more. */
static bool set_server(struct session *s, rn_conn server) {
    rn_mutex_lock(&relay.lock);
    bool wanted = !s->over;
    if (wanted) s->server = server;
    rn_mutex_unlock(&relay.lock);
    if (!wanted) rn_conn_close(server);
    return wanted;
}

/* The backend that took the connection, or -1. */
static int connect_backend(struct session *s) {
    bool tried[BACKENDS] = {false};
    for (int i; (i = backend_pick(tried)) >= 0; tried[i] = true) {
        struct backend *b = &relay.backends[i];
        rn_conn c = rn_dial_until(b->network, b->address, rn_now() + relay.connect_timeout);
        if (c > 0 && set_server(s, c)) return i;
        if (c > 0) {
            backend_release(i, 0, 0);
            return -1;
        }
        backend_failed(i, (int)c);
    }
    rn_mutex_lock(&relay.lock);
    relay.refused++;
    rn_mutex_unlock(&relay.lock);
    return -1;
}

static void relay_both(struct session *s, int backend) {
    rn_wg_add(&s->copies, 2);
    if (rn_go(copy, s, 1) < 0) {
        end(s);
        rn_wg_done(&s->copies);
    }
    copy(s, 0);
    rn_wg_wait(&s->copies);
    backend_release(backend, s->bytes[0], s->bytes[1]);
}

static void link_session(struct session *s) {
    rn_mutex_lock(&relay.lock);
    s->next = relay.sessions;
    if (s->next) s->next->prev = s;
    relay.sessions = s;
    relay.active++;
    relay.accepted++;
    rn_mutex_unlock(&relay.lock);
}

static void unlink_session(struct session *s) {
    rn_mutex_lock(&relay.lock);
    if (s->prev)
        s->prev->next = s->next;
    else
        relay.sessions = s->next;
    if (s->next) s->next->prev = s->prev;
    relay.active--;
    rn_mutex_unlock(&relay.lock);
}

static void session(struct session *s) {
    int backend = connect_backend(s);
    if (backend >= 0) relay_both(s, backend);
    unlink_session(s);
    end(s);
    free(s);
    server_left();
}

void session_start(rn_conn client) {
    struct session *s = calloc(1, sizeof *s);
    if (s) {
        s->client = client;
        s->last = rn_now();
        link_session(s);
        if (rn_go(session, s) == 0) return;
        unlink_session(s);
        free(s);
    }
    say("no memory for a client");
    rn_conn_close(client);
    server_left();
}

/* ---- ending them from outside ---- */

struct victims {
    rn_conn *conns;
    size_t n, room;
};

static void add_victim(struct victims *v, rn_conn c) {
    if (c > 0 && v->n < v->room) v->conns[v->n++] = c;
}

/* When bytes last came, as far as we have looked. */
static rn_time last(struct session *s, rn_time now) {
    int64_t sum = __atomic_load_n(&s->bytes[0], __ATOMIC_RELAXED) +
                  __atomic_load_n(&s->bytes[1], __ATOMIC_RELAXED);
    if (sum != s->seen) s->last = now;
    s->seen = sum;
    return s->last;
}

/* Closing waits for those that use a connection, so it is done without the lock. */
static void end_older_than(rn_time t) {
    rn_time now = rn_now();
    rn_mutex_lock(&relay.lock);
    struct victims v = {.room = 2 * (size_t)relay.active};
    v.conns = malloc(v.room * sizeof *v.conns + 1);
    for (struct session *s = relay.sessions; s && v.conns; s = s->next) {
        if (last(s, now) > t) continue;
        s->over = true;
        add_victim(&v, s->client);
        add_victim(&v, s->server);
    }
    rn_mutex_unlock(&relay.lock);
    for (size_t i = 0; i < v.n; i++) rn_conn_close(v.conns[i]);
    free(v.conns);
}

void sessions_end(void) { end_older_than(RN_TIME_MAX); }

void look_after_sessions(void) {
    rn_duration tick = relay.idle_timeout / 8;
    rn_ticker *ticker = rn_ticker_new(tick > 0 ? tick : 1);
    if (!ticker) return say("no memory for the idle time-out");
    for (;;) {
        (void)rn_recv(rn_ticker_chan(ticker));
        end_older_than(rn_now() - relay.idle_timeout);
    }
}
