/* SPDX-License-Identifier: MIT */
/* httpd: a server of static files. httpd.h shows how its parts are joined. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "httpd.h"

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

void say(const char *format, ...) {
    char line[512];
    va_list ap;
    va_start(ap, format);
    vsnprintf(line, sizeof line, format, ap);
    va_end(ap);
    fprintf(stderr, "httpd: %s\n", line);
}

static void usage(const char *what, const char *value) {
    fprintf(stderr, "httpd: %s%s%s\nTry 'httpd --help' for more information.\n", what,
            value ? ": " : "", value ? value : "");
    exit(2);
}

static rn_duration seconds(const char *s) {
    char *end;
    double d = strtod(s, &end);
    if (end == s || *end || !(d > 0 && d <= 1e9)) usage("not a number of seconds", s);
    return (rn_duration)(d * (double)RN_SEC);
}

static int64_t count(const char *s) {
    char *end;
    errno = 0;
    long long n = strtoll(s, &end, 10);
    if (errno || end == s || *end || n < 1 || n > 10000000) usage("not a number of connections", s);
    return n;
}

static void option(int c) {
    switch (c) {
    case 'c': rn_sem_init(&httpd.places, count(optarg)); break;
    case 'i': httpd.idle_timeout = seconds(optarg); break;
    case 'r': httpd.head_timeout = seconds(optarg); break;
    case 'w': httpd.write_timeout = seconds(optarg); break;
    case 'd': httpd.drain = seconds(optarg); break;
    case 'h': fputs(help, stdout); exit(fflush(stdout) ? 1 : 0);
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

static const char *network_of(const char *address) {
    return address[0] == '@' || strchr(address, '/') ? "unix" : "tcp";
}

/* A place comes first: who is not served yet waits in the kernel's queue. */
static void accept_all(rn_conn listener) {
    for (;;) {
        rn_sem_acquire(&httpd.places, 1);
        rn_conn c = rn_accept(listener);
        if (c == -EBADF) return;
        if (c > 0) {
            rn_wg_add(&httpd.running, 1);
            client_start(c);
            continue;
        }
        rn_sem_release(&httpd.places, 1);
        say("accept: %s", strerror((int)-c));
        rn_sleep(100 * RN_MS); /* no descriptors: connections have to end first */
    }
}

/* Counted as running, so that the drain does not miss whom it has just accepted. */
static void acceptor(rn_conn listener) {
    accept_all(listener);
    rn_wg_done(&httpd.running);
}

static void tell_when_done(rn_chan(char) done) {
    rn_wg_wait(&httpd.running);
    rn_close(done);
}

static int drain(rn_chan(int) signals) {
    rn_chan(char) done = rn_make(char, 0);
    say("draining");
    __atomic_store_n(&httpd.draining, true, __ATOMIC_SEQ_CST);
    clients_end(true);
    if (!done || rn_go(tell_when_done, done) < 0) return 1;
    int ended =
        rn_select(rn_on_recv(done, NULL), rn_on_recv(signals, NULL), rn_on_after(httpd.drain));
    if (ended == 0) {
        rn_unref(done);
        return 0;
    }
    say("cut off");
    clients_end(false);
    return 1;
}

struct job {
    const char *listen;
};

static int serve(void *arg) {
    const struct job *job = arg;
    char text[RN_ADDR_TEXT];
    rn_addr local;
    rn_chan(int) signals = rn_make(int, 4);
    if (!signals || rn_notify(signals, SIGTERM, SIGINT) < 0) return 1;
    rn_conn listener = rn_listen(network_of(job->listen), job->listen);
    if (listener < 0) {
        say("%s: %s", job->listen, strerror((int)-listener));
        return 1;
    }
    rn_conn_local(listener, &local);
    rn_addr_text(&local, text, sizeof text);
    rn_wg_add(&httpd.running, 1);
    if (rn_go(acceptor, listener) < 0) return 1;
    say("listening on %s", text);
    (void)rn_recv(signals);
    rn_conn_close(listener);
    return drain(signals);
}

int main(int argc, char **argv) {
    rn_sem_init(&httpd.places, 10000);
    for (int c; (c = getopt_long(argc, argv, "c:i:r:w:d:h", options, NULL)) != -1;) option(c);
    if (argc - optind != 2) usage("LISTEN and DIR are needed", NULL);
    struct job job = {argv[optind]};
    httpd.dir = open(argv[optind + 1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (httpd.dir < 0) {
        say("%s: %s", argv[optind + 1], strerror(errno));
        return 1;
    }
    return rn_run(serve, &job);
}
