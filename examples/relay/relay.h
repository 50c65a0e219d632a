/* SPDX-License-Identifier: MIT */
/*
 * relay.h: how the parts of relay are joined.
 *
 *   main.c      options, signals, statistics; ../common/server.c accepts and drains
 *   session.c   a goroutine for each client: dials a backend, copies both ways (a second goroutine for one way)
 *   backend.c   which backend is next, which are up; a goroutine that looks after them
 *
 * `relay.lock` protects the counts of backends and the list of sessions; nobody does I/O under it.
 */
#ifndef RELAY_H
#define RELAY_H

#include <runnel.h>

#include "server.h"

enum { BACKENDS = 64 };

enum balance { ROUND_ROBIN, LEAST };

struct backend {
    const char *network, *address;
    bool up;
    int64_t active, total, failures;
    int64_t bytes_in, bytes_out; /* from clients, to clients */
};

struct session {
    struct session *next, *prev;
    rn_conn client, server; /* server: 0 until there is one */
    int64_t bytes[2]; /* atomic: from the client, from the server; each written by one goroutine */
    int64_t seen;     /* how many they were together when they were last looked at */
    rn_time last;     /* and when that was more than before; both with the lock */
    rn_wg copies;
    bool over; /* to be ended: no new server */
};

extern struct relay {
    enum balance balance;
    rn_duration connect_timeout, idle_timeout, health_interval, drain;
    struct backend backends[BACKENDS];
    int nbackends;
    rn_mutex lock;
    int next; /* of the round robin */
    struct session *sessions;
    int64_t active, accepted, refused; /* refused: no backend took it */
} relay;

/* The next backend that is not in `tried`, an active connection counted for it; -1: none is left. */
int backend_pick(const bool tried[BACKENDS]);
void backend_failed(int i, int error);
void backend_release(int i, int64_t in, int64_t out);
/* Two goroutines' bodies. */
void look_after_backends(void);
void look_after_sessions(void);

void session_start(rn_conn client);
void sessions_end(void); /* all of them, now */

#endif
