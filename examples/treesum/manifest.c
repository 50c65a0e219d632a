/* SPDX-License-Identifier: MIT */
/*
 * manifest.c: two goroutines that make a job for each line of a manifest (-c).
 *
 * The first reads lines. It may wait for ever for a pipe or a terminal, in the kernel, where nothing reaches it; so it
 * has references of its own and nobody waits for its end. The second makes the jobs; it can always be stopped.
 */
#include <stdlib.h>
#include <string.h>

#include "treesum.h"

struct line {
    char *text;    /* malloc'ed; the receiver's */
    size_t length; /* without the line's end */
    int error;     /* of the manifest; no more lines come */
};

struct reader {
    int fd;
    char *buf;
    size_t used, room;
};

/* Reads more behind what is there. What sys_read says. */
static long fill(struct reader *r) {
    if (r->room - r->used < BLOCK_SIZE) {
        r->room = 2 * r->room + BLOCK_SIZE;
        r->buf = need(realloc(r->buf, r->room));
    }
    long n = sys_read(r->fd, r->buf + r->used, r->room - r->used);
    if (n > 0) r->used += (size_t)n;
    return n;
}

/* A copy of `length` bytes without their end as sha256sum cuts it: "\n", "\r\n" or nothing. */
static struct line copy_line(const char *bytes, size_t length) {
    if (length > 0 && bytes[length - 1] == '\n') length--;
    if (length > 0 && bytes[length - 1] == '\r') length--;
    struct line l = {need(calloc(1, length + 1)), length, 0};
    memcpy(l.text, bytes, length);
    return l;
}

/* False: stopped. */
static bool give(struct line l, rn_send_chan(struct line) out, rn_recv_chan(struct nothing) stop) {
    if (rn_select(rn_on_send(out, l), rn_on_recv(stop, NULL)) == 0) return true;
    free(l.text);
    return false;
}

/* Gives the complete lines of the buffer and keeps the rest. */
static bool give_lines(struct reader *r, rn_send_chan(struct line) out,
                       rn_recv_chan(struct nothing) stop) {
    char *from = r->buf, *end = r->buf + r->used, *newline;
    while ((newline = memchr(from, '\n', (size_t)(end - from)))) {
        if (!give(copy_line(from, (size_t)(newline + 1 - from)), out, stop)) return false;
        from = newline + 1;
    }
    r->used = (size_t)(end - from);
    memmove(r->buf, from, r->used);
    return true;
}

static void read_lines(const char *path, rn_send_chan(struct line) out,
                       rn_recv_chan(struct nothing) stop) {
    struct reader r = {.fd = sys_open_manifest(path)};
    long n = r.fd;
    bool go_on = true;
    if (r.fd >= 0) {
        while (go_on && (n = fill(&r)) > 0) go_on = give_lines(&r, out, stop);
        if (go_on && r.used > 0) go_on = give(copy_line(r.buf, r.used), out, stop);
    }
    if (go_on && n < 0) give((struct line){.error = (int)n}, out, stop);
    sys_close(r.fd);
    free(r.buf);
    rn_close(out);
    rn_unref(out);
    rn_unref(stop);
}

static void submit_line(const struct plan *p, const struct line *l, size_t number) {
    char *name = NULL;
    unsigned char sum[SUM_SIZE];
    bool from_stdin = strcmp(p->manifest, "-") == 0;
    bool ok = line_parse(l->text, l->length, &name, sum) && !(from_stdin && strcmp(name, "-") == 0);
    struct job *j = ok ? job_new(name, strlen(name)) : job_new("", 0);
    j->line = number;
    j->follow = true;
    if (!ok) {
        job_fail(p, j, ERR_BAD_LINE);
        return;
    }
    memcpy(j->want, sum, SUM_SIZE);
    job_submit(p, j);
}

void read_manifest(const struct plan *p) {
    rn_chan(struct line) lines = need(rn_make(struct line, 64));
    struct line l;
    bool ok;
    if (rn_go(read_lines, p->manifest, rn_ref(lines), rn_ref(p->stop)) != 0) need(NULL);
    for (size_t number = 1;; number++) {
        if (rn_select(rn_on_recv_ok(lines, &l, &ok), rn_on_recv(p->stop, NULL)) == 1 || !ok) break;
        if (l.error != 0)
            job_fail(p, job_new("", 0), l.error); /* line 0: the manifest */
        else if (l.length > 0 && l.text[0] != '#')
            submit_line(p, &l, number);
        free(l.text);
    }
    rn_unref(lines);
    rn_close(p->order);
    rn_close(p->work);
    rn_send(p->gone, (struct nothing){});
}
