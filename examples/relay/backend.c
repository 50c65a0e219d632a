/* SPDX-License-Identifier: MIT */
/* backend.c: choosing a backend, and finding out which are up. */
#include "relay.h"

#include <string.h>

/* Round robin begins after the last one chosen; least connections takes the least, the first of equals after it. */
static int choose(const bool tried[BACKENDS], bool want_up) {
    int best = -1;
    for (int k = 0; k < relay.nbackends; k++) {
        int i = (relay.next + k) % relay.nbackends;
        const struct backend *b = &relay.backends[i];
        if (tried[i] || (want_up && !b->up)) continue;
        if (relay.balance == ROUND_ROBIN) return i;
        if (best < 0 || b->active < relay.backends[best].active) best = i;
    }
    return best;
}

/* When none is up, one that is down may have come back. */
int backend_pick(const bool tried[BACKENDS]) {
    rn_mutex_lock(&relay.lock);
    int i = choose(tried, true);
    if (i < 0) i = choose(tried, false);
    if (i >= 0) {
        relay.next = (i + 1) % relay.nbackends;
        relay.backends[i].active++;
        relay.backends[i].total++;
    }
    rn_mutex_unlock(&relay.lock);
    return i;
}

static void set_up(int i, bool up, const char *why) {
    rn_mutex_lock(&relay.lock);
    struct backend *b = &relay.backends[i];
    bool changed = b->up != up;
    b->up = up;
    rn_mutex_unlock(&relay.lock);
    if (changed)
        say("%s is %s%s%s", b->address, up ? "up" : "down", why ? ": " : "", why ? why : "");
}

/* Without health checks nobody would find out that it is up again, so then it is not called down. */
void backend_failed(int i, int error) {
    rn_mutex_lock(&relay.lock);
    relay.backends[i].active--;
    relay.backends[i].failures++;
    rn_mutex_unlock(&relay.lock);
    if (relay.health_interval > 0) set_up(i, false, strerror(-error));
}

void backend_release(int i, int64_t in, int64_t out) {
    rn_mutex_lock(&relay.lock);
    struct backend *b = &relay.backends[i];
    b->active--;
    b->bytes_in += in;
    b->bytes_out += out;
    rn_mutex_unlock(&relay.lock);
}

static void check_one(int i) {
    struct backend *b = &relay.backends[i];
    rn_conn c = rn_dial_until(b->network, b->address, rn_now() + relay.connect_timeout);
    if (c > 0) rn_conn_close(c);
    set_up(i, c > 0, c > 0 ? NULL : strerror((int)-c));
}

/* One goroutine for each check, so that a backend that does not answer does not hold up the others. */
static void check_backend(int i, rn_wg *done) {
    check_one(i);
    rn_wg_done(done);
}

void look_after_backends(void) {
    rn_ticker *ticker = rn_ticker_new(relay.health_interval);
    if (!ticker) return say("no memory for health checks");
    for (;;) {
        rn_wg done = {0};
        for (int i = 0; i < relay.nbackends; i++) {
            rn_wg_add(&done, 1);
            if (rn_go(check_backend, i, &done) < 0) rn_wg_done(&done);
        }
        rn_wg_wait(&done);
        (void)rn_recv(rn_ticker_chan(ticker));
    }
}
