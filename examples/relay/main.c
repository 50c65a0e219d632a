/* SPDX-License-Identifier: MIT */
/* relay: a load balancer for TCP and Unix sockets. relay.h shows how its parts are joined. */
#include "relay.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct relay relay = {
    .connect_timeout = 5 * RN_SEC,
    .idle_timeout = 300 * RN_SEC,
    .health_interval = 2 * RN_SEC,
    .drain = 30 * RN_SEC,
};

static const char help[] =
    "NAME\n"
    "    relay - load balancer for TCP and Unix sockets\n"
    "\n"
    "SYNOPSIS\n"
    "    relay [OPTION...] LISTEN BACKEND...\n"
    "\n"
    "DESCRIPTION\n"
    "    Accepts connections on LISTEN and passes each one on to one of the BACKENDs, both ways, "
    "until\n"
    "    both sides have closed. An address is host:port, :port, [v6]:port, the path of a Unix\n"
    "    socket, or @name for an abstract one.\n"
    "\n"
    "    A backend that does not take a connection is called down and the next one is tried; "
    "health\n"
    "    checks, which connect and close, find out when it is up again. A client that no backend "
    "takes is\n"
    "    closed.\n"
    "\n"
    "OPTIONS\n"
    "    -b, --balance=HOW            round-robin (default), or least: fewest connections\n"
    "    -c, --connections=N          serve at most N clients at a time; others wait (10000)\n"
    "    -t, --connect-timeout=SEC    for one backend to take a connection (5)\n"
    "    -i, --idle-timeout=SEC       close a connection on which nothing moved for so long; 0: "
    "never (300)\n"
    "    -e, --health-interval=SEC    between two checks of a backend; 0: no checks (2)\n"
    "    -d, --drain=SEC              after SIGTERM, let clients finish for so long (30)\n"
    "    -h, --help                   print this text\n"
    "\n"
    "SIGNALS\n"
    "    SIGTERM, SIGINT   accept no more, let the clients finish, end; a second one ends at once\n"
    "    SIGUSR1           print statistics on the standard error\n"
    "\n"
    "EXIT STATUS\n"
    "    0  drained\n"
    "    1  could not listen; or clients were cut off at the end\n"
    "    2  wrong usage\n"
    "\n"
    "EXAMPLE\n"
    "    relay --balance=least :6380 127.0.0.1:6379 /run/redis/second.sock\n";

void say(const char *format, ...) {
    char line[512];
    va_list ap;
    va_start(ap, format);
    vsnprintf(line, sizeof line, format, ap);
    va_end(ap);
    fprintf(stderr, "relay: %s\n", line);
}

static void usage(const char *what, const char *value) {
    fprintf(stderr, "relay: %s%s%s\nTry 'relay --help' for more information.\n", what,
            value ? ": " : "", value ? value : "");
    exit(2);
}

static rn_duration seconds(const char *s) {
    char *end;
    double d = strtod(s, &end);
    if (end == s || *end || !(d >= 0 && d <= 1e9)) usage("not a number of seconds", s);
    return (rn_duration)(d * (double)RN_SEC);
}

static int64_t count(const char *s) {
    char *end;
    errno = 0;
    long long n = strtoll(s, &end, 10);
    if (errno || end == s || *end || n < 1 || n > 10000000) usage("not a number of connections", s);
    return n;
}

static enum balance balance(const char *s) {
    if (strcmp(s, "least") == 0) return LEAST;
    if (strcmp(s, "round-robin") != 0) usage("neither round-robin nor least", s);
    return ROUND_ROBIN;
}

static void option(int c) {
    switch (c) {
    case 'b': relay.balance = balance(optarg); break;
    case 'c': rn_sem_init(&relay.places, count(optarg)); break;
    case 't': relay.connect_timeout = seconds(optarg); break;
    case 'i': relay.idle_timeout = seconds(optarg); break;
    case 'e': relay.health_interval = seconds(optarg); break;
    case 'd': relay.drain = seconds(optarg); break;
    case 'h': fputs(help, stdout); exit(fflush(stdout) ? 1 : 0);
    default: usage("wrong option", NULL);
    }
}

static const struct option options[] = {
    {"balance", required_argument, NULL, 'b'},
    {"connections", required_argument, NULL, 'c'},
    {"connect-timeout", required_argument, NULL, 't'},
    {"idle-timeout", required_argument, NULL, 'i'},
    {"health-interval", required_argument, NULL, 'e'},
    {"drain", required_argument, NULL, 'd'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

/* What LISTEN is; the backends are in `relay`. */
static const char *arguments(int argc, char **argv) {
    rn_sem_init(&relay.places, 10000);
    for (int c; (c = getopt_long(argc, argv, "b:c:t:i:e:d:h", options, NULL)) != -1;) option(c);
    if (argc - optind < 2) usage("LISTEN and a BACKEND are needed", NULL);
    const char *address = argv[optind++];
    for (; optind < argc; optind++) {
        if (relay.nbackends == BACKENDS) usage("more than 64 backends", NULL);
        const char *a = argv[optind];
        relay.backends[relay.nbackends++] = (struct backend){network_of(a), a, .up = true};
    }
    return address;
}

static void statistics(void) {
    rn_mutex_lock(&relay.lock);
    struct relay r = {.active = relay.active, .accepted = relay.accepted, .refused = relay.refused};
    memcpy(r.backends, relay.backends, sizeof r.backends);
    rn_mutex_unlock(&relay.lock);
    say("clients: %lld active, %lld accepted, %lld refused", (long long)r.active,
        (long long)r.accepted, (long long)r.refused);
    for (int i = 0; i < relay.nbackends; i++) {
        const struct backend *b = &r.backends[i];
        say("%s: %s, %lld active, %lld total, %lld failed, %lld bytes in, %lld out", b->address,
            b->up ? "up" : "down", (long long)b->active, (long long)b->total,
            (long long)b->failures, (long long)b->bytes_in, (long long)b->bytes_out);
    }
}

/* A place comes first: who is not served yet waits in the kernel's queue. */
static void accept_all(rn_conn listener) {
    for (;;) {
        rn_sem_acquire(&relay.places, 1);
        rn_conn c = rn_accept(listener);
        if (c == -EBADF) return;
        if (c > 0) {
            rn_wg_add(&relay.running, 1);
            session_start(c);
            continue;
        }
        rn_sem_release(&relay.places, 1);
        say("accept: %s", strerror((int)-c));
        rn_sleep(100 * RN_MS); /* no descriptors: sessions have to end first */
    }
}

static void tell_when_done(rn_chan(char) done) {
    rn_wg_wait(&relay.running);
    rn_close(done);
}

/* 0: all clients were done. */
static int drain(rn_chan(int) signals) {
    rn_chan(char) done = rn_make(char, 0);
    int sig = 0;
    say("draining");
    if (!done || rn_go(tell_when_done, done) < 0) return 1;
    rn_time until = rn_now() + relay.drain;
    do {
        switch (rn_select(rn_on_recv(done, NULL), rn_on_recv(signals, &sig), rn_on_until(until))) {
        case 0: rn_unref(done); return 0;
        case 2: sig = SIGTERM; break;
        }
        if (sig == SIGUSR1) statistics();
    } while (sig == SIGUSR1);
    say("cut off");
    sessions_end();
    return 1;
}

/* Counted as running, so that the drain does not miss whom it has just accepted. */
static void acceptor(rn_conn listener) {
    accept_all(listener);
    rn_wg_done(&relay.running);
}

static int serve(void *arg) {
    const char *address = arg;
    char text[RN_ADDR_TEXT];
    rn_addr local;
    rn_chan(int) signals = rn_make(int, 4);
    if (!signals || rn_notify(signals, SIGTERM, SIGINT, SIGUSR1) < 0) return 1;
    rn_conn listener = rn_listen(network_of(address), address);
    if (listener < 0) {
        say("%s: %s", address, strerror((int)-listener));
        return 1;
    }
    rn_conn_local(listener, &local);
    rn_addr_text(&local, text, sizeof text);
    rn_wg_add(&relay.running, 1);
    if (rn_go(acceptor, listener) < 0) return 1;
    say("listening on %s", text);
    if (relay.health_interval > 0) rn_go(look_after_backends);
    if (relay.idle_timeout > 0) rn_go(look_after_sessions);
    while (rn_recv(signals) == SIGUSR1) statistics();
    rn_conn_close(listener);
    return drain(signals);
}

int main(int argc, char **argv) {
    const char *address = arguments(argc, argv);
    return rn_run(serve, (void *)(uintptr_t)address);
}
