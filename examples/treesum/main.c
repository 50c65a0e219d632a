/* SPDX-License-Identifier: MIT */
/*
 * treesum: SHA-256 of every file in directory trees, in parallel. A program of goroutines and channels
 * only; treesum.h shows how they are joined, docs/treesum.md tells why.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <openssl/evp.h>

#include "treesum.h"

enum { STATUS_USAGE = 2, JOBS_MAX = 4096 };

static const char help[] =
    "NAME\n"
    "    treesum - SHA-256 checksums of directory trees, in parallel\n"
    "\n"
    "SYNOPSIS\n"
    "    treesum [-j N] DIR...\n"
    "    treesum [-j N] [-qw] [--status] [--strict] [--ignore-missing] -c FILE\n"
    "\n"
    "DESCRIPTION\n"
    "    Walks each DIR and prints the SHA-256 of every regular file in it, one line a file,\n"
    "    sorted by path, in the format of sha256sum(1). A DIR may be a file too. Symbolic links\n"
    "    are followed only where they are a DIR; FIFOs, sockets and devices are passed over. What\n"
    "    cannot be read is reported on the standard error; the rest is done.\n"
    "\n"
    "    While the standard error is a terminal, it shows files, bytes and rate. An interrupt "
    "stops\n"
    "    cleanly: what was computed is printed; a second one ends the program at once.\n"
    "\n"
    "OPTIONS\n"
    "    -j, --jobs=N       hash at most N files at a time (default: two for each processor)\n"
    "    -c, --check=FILE   read checksums from FILE (- is the standard input) and verify them\n"
    "    -h, --help         print this text\n"
    "\n"
    "    With -c, as in sha256sum:\n"
    "    -q, --quiet            do not print OK for each file verified\n"
    "    -w, --warn             warn about each improperly formatted line\n"
    "        --status           print nothing, the exit status tells\n"
    "        --strict           fail for improperly formatted lines too\n"
    "        --ignore-missing   do not fail for files that do not exist\n"
    "\n"
    "EXIT STATUS\n"
    "    0  all went well\n"
    "    1  a file could not be read or was not as FILE says, or the output could not be written\n"
    "    2  wrong usage\n"
    "    130  interrupted (128 and the number of the signal)\n"
    "\n"
    "EXAMPLE\n"
    "    treesum /usr/include > headers.sha256\n"
    "    treesum -q -c headers.sha256\n";

static void usage(const char *what, const char *value) {
    fprintf(stderr, "treesum: %s%s%s%s\nTry 'treesum --help' for more information.\n", what,
            value ? " '" : "", value ? value : "", value ? "'" : "");
    exit(STATUS_USAGE);
}

static int parse_jobs(const char *text) {
    char *end;
    errno = 0;
    long n = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end || n < 1 || n > JOBS_MAX)
        usage("the number of jobs must be 1 to 4096, not", text);
    return (int)n;
}

static void print_help(void) {
    if (fputs(help, stdout) != EOF && fflush(stdout) == 0) exit(0);
    fprintf(stderr, "treesum: standard output: %s\n", strerror(errno));
    exit(1);
}

/* Of -q, -w and --status the last one counts, as in sha256sum. */
static void choose(struct plan *p, bool *option) {
    p->quiet = p->warn = p->status_only = false;
    *option = true;
}

static void parse_options(struct plan *p, int argc, char **argv) {
    enum { STATUS = 256, STRICT, IGNORE_MISSING };
    static const struct option longs[] = {
        {"jobs", required_argument, NULL, 'j'},
        {"check", required_argument, NULL, 'c'},
        {"quiet", no_argument, NULL, 'q'},
        {"warn", no_argument, NULL, 'w'},
        {"status", no_argument, NULL, STATUS},
        {"strict", no_argument, NULL, STRICT},
        {"help", no_argument, NULL, 'h'},
        {"ignore-missing", no_argument, NULL, IGNORE_MISSING},
        {NULL, 0, NULL, 0},
    };
    bool only_check = false;
    for (int o; (o = getopt_long(argc, argv, "j:c:qwh", longs, NULL)) != -1;) {
        switch (o) {
        case 'j': p->jobs = parse_jobs(optarg); break;
        case 'c': p->manifest = optarg; break;
        case 'h': print_help(); break;
        case 'q': choose(p, &p->quiet); break;
        case 'w': choose(p, &p->warn); break;
        case STATUS: choose(p, &p->status_only); break;
        case STRICT: p->strict = only_check = true; break;
        case IGNORE_MISSING: p->ignore_missing = only_check = true; break;
        default: usage("wrong options", NULL);
        }
    }
    p->roots = argv + optind;
    p->root_count = argc - optind;
    if (p->manifest && p->root_count > 0) usage("-c takes no operand:", p->roots[0]);
    only_check |= p->quiet || p->warn || p->status_only;
    if (!p->manifest && only_check)
        usage("-q, -w, --status, --strict and --ignore-missing need -c", NULL);
    if (!p->manifest && p->root_count == 0) usage("missing operand", NULL);
}

/* A closed standard stream must not become a file that we open: a write to stdout then fails as it should. */
static void fill_standard_streams(void) {
    for (int fd = 0; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) >= 0) continue;
        if (open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd) _exit(1);
    }
}

static void make_channels(struct plan *p) {
    p->order = need(rn_make(struct job *, ORDER_WINDOW));
    p->work = need(rn_make(struct job *, p->jobs));
    p->stop = need(rn_make(struct nothing, 0));
    p->requests = need(rn_make(int, 1));
    p->verdict = need(rn_make(int, 1));
    p->gone = need(rn_make(struct nothing, 0));
    if (isatty(STDERR_FILENO)) p->ticks = need(rn_make(uint64_t, p->jobs));
}

static void free_channels(struct plan *p) {
    rn_unref(p->order);
    rn_unref(p->work);
    rn_unref(p->ticks);
    rn_unref(p->stop);
    rn_unref(p->requests);
    rn_unref(p->verdict);
    rn_unref(p->gone);
}

static void start(const rn_go_opts *opts, void (*fn)(const struct plan *), const struct plan *p) {
    if (rn_go_opt(opts, fn, p) != 0) need(NULL);
}

/* The main goroutine. */
static int run(void *arg) {
    struct plan *p = arg;
    make_channels(p);
    stop_on_signals(p);
    start(&(rn_go_opts){.name = "moderator"}, moderate, p);
    if (p->manifest)
        start(&(rn_go_opts){.name = "reader"}, read_manifest, p);
    else
        start(&(rn_go_opts){.name = "walker"}, walk, p);
    for (int i = 0; i < p->jobs; i++) start(&(rn_go_opts){.name = "hasher"}, hash, p);

    int status = collect(p);
    for (int i = 0; i < p->jobs + 1; i++) rn_recv_ok(p->gone, NULL);
    int signal_number = stop_end(p);
    free_channels(p);
    return signal_number ? 128 + signal_number : status;
}

int main(int argc, char **argv) {
    struct plan p = {0};
    fill_standard_streams();
    parse_options(&p, argc, argv);
    if (p.jobs == 0) p.jobs = 2 * rn_procs(0);
    EVP_MD *digest = EVP_MD_fetch(NULL, "SHA256", NULL);
    if (!digest) {
        fputs("treesum: libcrypto has no SHA-256\n", stderr);
        return 1;
    }
    p.digest = digest;
    int status = rn_run(run, &p);
    EVP_MD_free(digest);
    return status;
}
