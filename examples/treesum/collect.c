/* SPDX-License-Identifier: MIT */
/*
 * collect.c: the collector: the one place that writes, on stdout and on stderr, and that counts.
 *
 * It takes the jobs in order and waits for the result of each, taking ticks for the progress line meanwhile.
 * Lines go to stdout whole, many at once; when stdout is a terminal, as soon as there
 * is nothing else to do.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "treesum.h"

enum { FLUSH_SIZE = 1 << 16 };

struct collector {
    const struct plan *p;
    FILE *lines; /* memory: complete lines that are not on stdout yet */
    char *text;
    size_t size;
    bool terminal;    /* stdout is one */
    int output_error; /* of the first failed write on stdout; nothing is written after it */
    int status;
    uint64_t files, bytes, ticked;
    uint64_t good, bad, unreadable, malformed; /* -c */
    double started, shown;
    bool progress_line; /* there is one on the terminal now */
};

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* --- stderr --- */

static void clear_progress(struct collector *c) {
    if (c->progress_line) fputs("\r\033[K", stderr);
    c->progress_line = false;
}

static void print_amount(double n) {
    static const char unit[] = " kMGTPE";
    int i = 0;
    for (; n >= 1000 && unit[i + 1]; i++) n /= 1000;
    fprintf(stderr, i ? "%.1f %cB" : "%.0f B", n, unit[i]);
}

static void print_progress(struct collector *c, double now, uint64_t bytes) {
    double passed = now - c->started;
    clear_progress(c);
    fprintf(stderr, "%llu files, ", (unsigned long long)c->files);
    print_amount((double)bytes);
    fprintf(stderr, ", %.1f s, ", passed);
    print_amount(passed > 0 ? (double)bytes / passed : 0);
    fputs("/s", stderr);
    fflush(stderr);
    c->progress_line = true;
}

static void on_tick(struct collector *c, uint64_t bytes) {
    double now = seconds();
    c->ticked += bytes;
    if (now - c->shown < 0.1) return;
    c->shown = now;
    print_progress(c, now, c->ticked);
}

/* --- stdout --- */

static void begin_lines(struct collector *c) {
    c->text = NULL;
    c->lines = need(open_memstream(&c->text, &c->size));
}

static void flush_lines(struct collector *c) {
    long size = ftell(c->lines);
    if (fclose(c->lines) != 0) need(NULL);
    if (c->terminal && size > 0) {
        clear_progress(c);
        fflush(stderr);
    }
    if (c->output_error == 0) c->output_error = sys_write_all(STDOUT_FILENO, c->text, c->size);
    free(c->text);
    begin_lines(c);
    /* Nobody hears the rest: stop. If another request was first, that one stops us. */
    if (c->output_error != 0) rn_try_send(c->p->requests, 0);
}

static void end_line(struct collector *c) {
    putc('\n', c->lines);
    if (ftell(c->lines) >= FLUSH_SIZE) flush_lines(c);
}

/* A name on a terminal: nothing that moves the cursor. */
static void print_safely(const char *name) {
    for (; *name; name++) {
        unsigned char b = (unsigned char)*name;
        if (b < ' ' || b == 0x7f)
            fprintf(stderr, "\\%03o", b);
        else
            putc(b, stderr);
    }
}

static void __attribute__((format(printf, 3, 4)))
complain(struct collector *c, const char *name, const char *format, ...) {
    va_list args;
    va_start(args, format);
    if (c->terminal) flush_lines(c);
    clear_progress(c);
    fputs("treesum: ", stderr);
    if (name) {
        print_safely(name);
        fputs(": ", stderr);
    }
    vfprintf(stderr, format, args);
    putc('\n', stderr);
    fflush(stderr);
    va_end(args);
}

/* --- results --- */

static void put_sum(struct collector *c, const struct job *j, const struct result *r) {
    bool escape = name_needs_escape(j->path, "\\\n\r");
    if (escape) putc('\\', c->lines);
    hex_encode(c->lines, r->sum);
    fputs("  ", c->lines);
    if (escape)
        name_escape(c->lines, j->path);
    else
        fputs(j->path, c->lines);
    end_line(c);
}

static void report_sum(struct collector *c, const struct job *j, const struct result *r) {
    if (r->error == 0) {
        put_sum(c, j, r);
    } else {
        complain(c, j->path, "%s", error_text(r->error));
        c->status = 1;
    }
}

/* "NAME: VERDICT"; sha256sum escapes a name here only if it has a newline. */
static void put_verdict(struct collector *c, const char *name, const char *verdict) {
    if (c->p->status_only) return;
    if (name_needs_escape(name, "\n")) {
        putc('\\', c->lines);
        name_escape(c->lines, name);
    } else {
        fputs(name, c->lines);
    }
    fprintf(c->lines, ": %s", verdict);
    end_line(c);
}

static const char *manifest_name(const struct plan *p) {
    return strcmp(p->manifest, "-") == 0 ? "standard input" : p->manifest;
}

static void report_bad_line(struct collector *c, const struct job *j) {
    c->malformed++;
    if (c->p->warn)
        complain(c, manifest_name(c->p), "%zu: improperly formatted SHA256 checksum line", j->line);
}

static void report_check(struct collector *c, const struct job *j, const struct result *r) {
    if (r->error == ERR_BAD_LINE) {
        report_bad_line(c, j);
    } else if (j->line == 0) {
        complain(c, manifest_name(c->p), "%s", error_text(r->error));
        c->status = 1;
    } else if (r->error == -ENOENT && c->p->ignore_missing) {
        return;
    } else if (r->error != 0) {
        c->unreadable++;
        complain(c, j->path, "%s", error_text(r->error));
        put_verdict(c, j->path, "FAILED open or read");
    } else if (memcmp(r->sum, j->want, SUM_SIZE) != 0) {
        c->bad++;
        put_verdict(c, j->path, "FAILED");
    } else {
        c->good++;
        if (!c->p->quiet) put_verdict(c, j->path, "OK");
    }
}

static void report(struct collector *c, const struct job *j, const struct result *r) {
    if (r->error == -ECANCELED) return;
    if (r->error == 0) c->files++;
    c->bytes += r->bytes;
    if (c->p->manifest)
        report_check(c, j, r);
    else
        report_sum(c, j, r);
}

static void warn_count(struct collector *c, uint64_t n, const char *one, const char *many) {
    if (n > 0 && !c->p->status_only)
        complain(c, NULL, "WARNING: %llu %s", (unsigned long long)n, n == 1 ? one : many);
}

/* The end of -c, with sha256sum's words. */
static void conclude_check(struct collector *c, bool seen) {
    const char *name = manifest_name(c->p);
    if (c->status != 0) return; /* FILE itself could not be read */
    if (!seen) {
        complain(c, name, "no properly formatted checksum lines found");
        c->status = 1;
        return;
    }
    warn_count(c, c->malformed, "line is improperly formatted", "lines are improperly formatted");
    warn_count(c, c->unreadable, "listed file could not be read", "listed files could not be read");
    warn_count(c, c->bad, "computed checksum did NOT match", "computed checksums did NOT match");
    if (c->p->ignore_missing && !c->p->status_only && c->good == 0)
        complain(c, name, "no file was verified");
    if (c->good == 0 || c->bad || c->unreadable || (c->p->strict && c->malformed)) c->status = 1;
}

/* --- the loop --- */

static bool next_job(struct collector *c, struct job **j) {
    uint64_t n;
    bool ok;
    while (rn_select(rn_on_recv_ok(c->p->order, j, &ok), rn_on_recv(c->p->ticks, &n)) == 1)
        on_tick(c, n);
    return ok;
}

static struct result await(struct collector *c, const struct job *j) {
    struct result r;
    uint64_t n;
    if (c->terminal && rn_len(j->done) == 0) flush_lines(c);
    while (rn_select(rn_on_recv(j->done, &r), rn_on_recv(c->p->ticks, &n)) == 1) on_tick(c, n);
    return r;
}

static void finish(struct collector *c) {
    flush_lines(c);
    fclose(c->lines);
    free(c->text);
    int error = sys_close_output(STDOUT_FILENO);
    if (c->output_error == 0) c->output_error = error;
    if (c->p->ticks) {
        print_progress(c, seconds(), c->bytes);
        putc('\n', stderr);
        c->progress_line = false;
    }
    c->terminal = false; /* no lines to flush any more */
    if (c->output_error != 0) {
        complain(c, "standard output", "%s", error_text(c->output_error));
        c->status = 1;
    }
}

int collect(const struct plan *p) {
    struct collector c = {.p = p, .terminal = isatty(STDOUT_FILENO), .started = seconds()};
    bool seen = false; /* -c: a proper line */
    begin_lines(&c);
    for (struct job *j; next_job(&c, &j);) {
        struct result r = await(&c, j);
        seen |= j->line > 0 && r.error != ERR_BAD_LINE;
        report(&c, j, &r);
        job_free(j);
    }
    if (p->manifest && !stopped(p)) conclude_check(&c, seen);
    finish(&c);
    return c.status;
}
