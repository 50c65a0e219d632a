/* SPDX-License-Identifier: MIT */
/*
 * treesum.h: what the goroutines of treesum say to each other.
 *
 *                        .-> order ---------------------------.
 *   walker (or reader) --|                                    +-> collector -> stdout, stderr
 *                        '-> work --> hasher 1..N -- done ----'
 *
 * The walker makes a job for each file and sends it down two channels: `order`, where the jobs are in the
 * order of the output, and `work`, where the next free hasher takes one. Each job carries a channel of its
 * own, `done`, for its result. The collector takes the jobs from `order` one by one and waits for the
 * result of each: so the output is sorted however the hashers finish, and as `order` is bounded, so is
 * what waits in memory.
 *
 * `stop` is closed to stop all: the walker then makes no more jobs and the hashers answer -ECANCELED, so
 * that everything drains the ordinary way and no job is lost.
 *
 * No data is shared: a job belongs to the walker until it is sent, then to the hasher, and to
 * the collector once it has the result. There is no mutex and no counter that two goroutines use.
 */
#ifndef TREESUM_H
#define TREESUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <runnel.h>

enum {
    SUM_SIZE = 32,        /* bytes of a SHA-256 */
    HEX_SIZE = 64,        /* the same in hexadecimal */
    ORDER_WINDOW = 4096,  /* jobs that may wait for their turn in the output */
    BLOCK_SIZE = 1 << 17, /* bytes read at a time */
};

/* Errors that have no errno, beside the negative errno values. */
enum { ERR_NOT_REGULAR = -10001, ERR_BAD_LINE = -10002, ERR_DIGEST = -10003 };

struct nothing {};

struct result {
    int error; /* 0, -errno or ERR_...; -ECANCELED: stopped before its end */
    uint64_t bytes;
    unsigned char sum[SUM_SIZE];
};

struct job {
    rn_chan(struct result) done;  /* capacity 1: the hasher never waits for the collector */
    unsigned char want[SUM_SIZE]; /* -c: what the manifest says */
    size_t line;                  /* -c: the line in the manifest */
    bool follow; /* symbolic links too: named by the user, not found by the walker */
    char path[];
};

/* Set up by main before the goroutines start, and only read by them. */
struct plan {
    rn_chan(struct job *) order;
    rn_chan(struct job *) work;
    rn_chan(uint64_t) ticks; /* bytes just hashed, for the progress line; NULL: none is shown */
    rn_chan(struct nothing) stop;
    rn_chan(int) requests;        /* to stop: a signal's number, or 0 */
    rn_chan(int) verdict;         /* the request that was granted, or 0 */
    rn_chan(struct nothing) gone; /* walker and hashers, at their end */
    const void *digest;           /* EVP_MD */
    char **roots;
    int root_count;
    int jobs;
    const char *manifest; /* -c FILE, or NULL */
    bool quiet, status_only, strict, warn, ignore_missing;
};

/* walk.c, manifest.c, hash.c: the goroutines. */
void walk(const struct plan *p);
void read_manifest(const struct plan *p);
void hash(const struct plan *p);
void moderate(const struct plan *p); /* stop.c */

/* collect.c: runs in the main goroutine; returns the exit status, but for signals. */
int collect(const struct plan *p);

/* job.c */
struct job *job_new(const char *path, size_t length);
void job_submit(const struct plan *p, struct job *j);
void job_fail(const struct plan *p, struct job *j, int error);
void job_free(struct job *j);
bool stopped(const struct plan *p);

/* stop.c: signals and requests to stop. */
void stop_on_signals(const struct plan *p);
int stop_end(const struct plan *p);

/* names.c */
bool name_needs_escape(const char *name, const char *special);
void name_escape(FILE *out, const char *name);
bool name_unescape(char *name);
const char *error_text(int error);
void hex_encode(FILE *out, const unsigned char *sum);
bool hex_decode(const char *hex, unsigned char *sum);
bool line_parse(char *line, size_t length, char **name, unsigned char *sum);

/*
 * sys.c: system calls that return -errno. They are functions that are never inlined, because a compiler
 * keeps errno's address across calls, and a goroutine that was parked may be on another thread then.
 */
#define ERRNO_APART __attribute__((noinline))
struct names {
    char **v; /* sorted; the name of a directory ends in '/' */
    size_t count, room;
};
ERRNO_APART int sys_open(const char *path, bool follow, bool directory);
ERRNO_APART int sys_open_regular(const char *path, bool follow);
ERRNO_APART int sys_list(const char *path, bool follow, struct names *out);
bool sys_is_directory(const char *path);
ERRNO_APART long sys_read(int fd, void *buf, size_t size);
void sys_close(int fd);
ERRNO_APART int sys_write_all(int fd, const char *buf, size_t size);
ERRNO_APART int sys_close_output(int fd);
ERRNO_APART int sys_open_manifest(const char *path);
void names_add(struct names *n, const char *name, bool directory);
void names_sort(struct names *n);
void names_free(struct names *n);

/* Memory, or the end of the program with a message. */
void *need(void *p);

#endif
