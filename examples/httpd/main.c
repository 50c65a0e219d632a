/* SPDX-License-Identifier: MIT */
/* httpd: a server of static files. httpd.h shows how its parts are joined. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <string.h>

#include "httpd.h"

const char program[] = "httpd";

struct httpd httpd = {
    .idle_timeout = 15 * RN_SEC,
    .head_timeout = 10 * RN_SEC,
    .write_timeout = 30 * RN_SEC,
    .drain = 10 * RN_SEC,
};

static const char help[] =
    "NAME\n"
    "    httpd - HTTP server for static files\n"
    "\n"
    "SYNOPSIS\n"
    "    httpd [OPTION...] LISTEN DIR\n"
    "\n"
    "DESCRIPTION\n"
    "    Serves the files below DIR over HTTP/1.1 on LISTEN (host:port, :port, or the path of a "
    "Unix\n"
    "    socket): GET and HEAD, keep-alive, ranges, conditional requests, index.html or a listing\n"
    "    for directories. Nothing outside of DIR is served, by \"..\" or by symbolic links.\n"
    "\n"
    "OPTIONS\n"
    "    -c, --connections=N       serve at most N connections at a time; others wait (10000)\n"
    "    -i, --idle-timeout=SEC    close a connection that sends no request for so long (15)\n"
    "    -r, --read-timeout=SEC    for a request to arrive whole (10)\n"
    "    -w, --write-timeout=SEC   for the client to take 1 MiB (30)\n"
    "    -d, --drain=SEC           after SIGTERM, let requests finish for so long (10)\n"
    "    -h, --help                print this text\n"
    "\n"
    "SIGNALS\n"
    "    SIGTERM, SIGINT   accept no more, finish the requests, end; a second one ends at once\n"
    "\n"
    "EXIT STATUS\n"
    "    0  drained\n"
    "    1  could not listen or open DIR; or requests were cut off at the end\n"
    "    2  wrong usage\n"
    "\n"
    "EXAMPLE\n"
    "    httpd 127.0.0.1:8000 /usr/share/doc\n";

static void option(int c) {
    switch (c) {
    case 'c': server_limit(count(optarg)); break;
    case 'i': httpd.idle_timeout = seconds(optarg, false); break;
    case 'r': httpd.head_timeout = seconds(optarg, false); break;
    case 'w': httpd.write_timeout = seconds(optarg, false); break;
    case 'd': httpd.drain = seconds(optarg, false); break;
    case 'h': print_help(help);
    default: usage("wrong option", NULL);
    }
}

static const struct option options[] = {
    {"connections", required_argument, NULL, 'c'},
    {"idle-timeout", required_argument, NULL, 'i'},
    {"read-timeout", required_argument, NULL, 'r'},
    {"write-timeout", required_argument, NULL, 'w'},
    {"drain", required_argument, NULL, 'd'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static int serve(void *arg) {
    rn_chan(int) signals = rn_make(int, 4);
    if (!signals || rn_notify(signals, SIGTERM, SIGINT) < 0) return 1;
    rn_conn listener = server_listen(arg, client_start);
    if (listener < 0) return 1;
    (void)rn_recv(signals);
    rn_conn_close(listener);
    __atomic_store_n(&httpd.draining, true, __ATOMIC_SEQ_CST);
    clients_end(true);
    if (server_drain(signals, httpd.drain, NULL)) return 0;
    clients_end(false);
    return 1;
}

int main(int argc, char **argv) {
    server_limit(10000);
    for (int c; (c = getopt_long(argc, argv, "c:i:r:w:d:h", options, NULL)) != -1;) option(c);
    if (argc - optind != 2) usage("LISTEN and DIR are needed", NULL);
    httpd.dir = open(argv[optind + 1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (httpd.dir < 0) {
        say("%s: %s", argv[optind + 1], strerror(errno));
        return 1;
    }
    return rn_run(serve, argv[optind]);
}
