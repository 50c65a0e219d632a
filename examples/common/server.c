/* SPDX-License-Identifier: MIT */
/* server.c: see server.h. */
#include "server.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static rn_sem places;
static rn_wg running; /* clients, and the acceptor */

/* ---- words and options ---- */

void say(const char *format, ...) {
    char line[512];
    va_list ap;
    va_start(ap, format);
    vsnprintf(line, sizeof line, format, ap);
    va_end(ap);
    fprintf(stderr, "%s: %s\n", program, line);
}

void usage(const char *what, const char *value) {
    fprintf(stderr, "%s: %s%s%s\nTry '%s --help' for more information.\n", program, what,
            value ? ": " : "", value ? value : "", program);
    exit(2);
}

void print_help(const char *help) {
    fputs(help, stdout);
    exit(fflush(stdout) ? 1 : 0);
}

rn_duration seconds(const char *s, bool may_be_zero) {
    char *end;
    double d = strtod(s, &end);
    bool good = may_be_zero ? d >= 0 : d > 0;
    if (end == s || *end || !good || d > 1e9) usage("not a number of seconds", s);
    return (rn_duration)(d * (double)RN_SEC);
}

int64_t count(const char *s) {
    char *end;
    errno = 0;
    long long n = strtoll(s, &end, 10);
    if (errno || end == s || *end || n < 1 || n > 10000000) usage("not a number of connections", s);
    return n;
}

const char *network_of(const char *address) {
    return address[0] == '@' || strchr(address, '/') ? "unix" : "tcp";
}

/* ---- clients ---- */

void server_limit(int64_t n) { rn_sem_init(&places, n); }

void server_left(void) {
    rn_sem_release(&places, 1);
    rn_wg_done(&running);
}

/* A place comes first: who is not served yet waits in the kernel's queue. */
static void accept_all(rn_conn listener, void (*start)(rn_conn)) {
    for (;;) {
        rn_sem_acquire(&places, 1);
        rn_conn c = rn_accept(listener);
        if (c == -EBADF) return;
        if (c > 0) {
            rn_wg_add(&running, 1);
            start(c);
            continue;
        }
        rn_sem_release(&places, 1);
        say("accept: %s", strerror((int)-c));
        rn_sleep(100 * RN_MS); /* no descriptors: clients have to leave first */
    }
}

/* Counted as running, so that the drain does not miss whom it has just accepted. */
static void acceptor(rn_conn listener, void (*start)(rn_conn)) {
    accept_all(listener, start);
    rn_wg_done(&running);
}

rn_conn server_listen(const char *address, void (*start)(rn_conn client)) {
    char text[RN_ADDR_TEXT];
    rn_addr local;
    rn_conn listener = rn_listen(network_of(address), address);
    if (listener < 0) {
        say("%s: %s", address, strerror((int)-listener));
        return listener;
    }
    rn_conn_local(listener, &local);
    rn_addr_text(&local, text, sizeof text);
    rn_wg_add(&running, 1);
    if (rn_go(acceptor, listener, start) < 0) {
        say("no memory");
        return -ENOMEM;
    }
    say("listening on %s", text);
    return listener;
}

/* ---- the end ---- */

static void tell_when_done(rn_chan(char) done) {
    rn_wg_wait(&running);
    rn_close(done);
}

bool server_drain(rn_chan(int) signals, rn_duration most, void (*tell)(void)) {
    rn_chan(char) done = rn_make(char, 0);
    rn_time until = rn_now() + most;
    int sig = 0;
    say("draining");
    if (!done || rn_go(tell_when_done, done) < 0) return false;
    do {
        switch (rn_select(rn_on_recv(done, NULL), rn_on_recv(signals, &sig), rn_on_until(until))) {
        case 0: rn_unref(done); return true;
        case 2: sig = SIGTERM; break;
        }
        if (sig == SIGUSR1) tell();
    } while (sig == SIGUSR1);
    say("cut off");
    return false;
}
