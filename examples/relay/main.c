/* SPDX-License-Identifier: MIT */
/* relay: a load balancer for TCP and Unix sockets. relay.h shows how its parts are joined. */
#include "relay.h"

#include <getopt.h>
#include <signal.h>
#include <string.h>

const char program[] = "relay";

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

static enum balance balance(const char *s) {
    if (strcmp(s, "least") == 0) return LEAST;
    if (strcmp(s, "round-robin") != 0) usage("neither round-robin nor least", s);
    return ROUND_ROBIN;
}

static void option(int c) {
    switch (c) {
    case 'b': relay.balance = balance(optarg); break;
    case 'c': server_limit(count(optarg)); break;
    case 't': relay.connect_timeout = seconds(optarg, true); break;
    case 'i': relay.idle_timeout = seconds(optarg, true); break;
    case 'e': relay.health_interval = seconds(optarg, true); break;
    case 'd': relay.drain = seconds(optarg, true); break;
    case 'h': print_help(help);
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
    server_limit(10000);
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

static int serve(void *arg) {
    rn_chan(int) signals = rn_make(int, 4);
    if (!signals || rn_notify(signals, SIGTERM, SIGINT, SIGUSR1) < 0) return 1;
    rn_conn listener = server_listen(arg, session_start);
    if (listener < 0) return 1;
    if (relay.health_interval > 0) rn_go(look_after_backends);
    if (relay.idle_timeout > 0) rn_go(look_after_sessions);
    while (rn_recv(signals) == SIGUSR1) statistics();
    rn_conn_close(listener);
    if (server_drain(signals, relay.drain, statistics)) return 0;
    sessions_end();
    return 1;
}

int main(int argc, char **argv) {
    const char *address = arguments(argc, argv);
    return rn_run(serve, (void *)(uintptr_t)address);
}
