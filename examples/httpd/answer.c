/* SPDX-License-Identifier: MIT */
/*
 * answer.c: answers: files whole or in part, "not modified", directories, errors.
 *
 * Files are opened below DIR by openat2(2) with RESOLVE_BENEATH: neither ".." nor a symbolic link leads out, whatever path.c
 * lets through. Functions that look at errno are not inlined: the goroutine may change threads between two of them.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "httpd.h"

enum { ENTRIES_MAX = 10000, ETAG = 64, DATE = 32, SEND = 1 << 20 };

/* ---- writing ---- */

struct out {
    char text[HEADER_MAX + SMALL_FILE];
    size_t len;
};

static __attribute__((format(printf, 2, 3))) void add(struct out *o, const char *format, ...) {
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(o->text + o->len, HEADER_MAX - o->len, format, ap);
    va_end(ap);
    if (n > 0) o->len += (size_t)n < HEADER_MAX - o->len ? (size_t)n : HEADER_MAX - o->len - 1;
}

static bool write_out(struct client *c, const char *bytes, size_t n) {
    return rn_write_until(c->conn, bytes, n, rn_now() + httpd.write_timeout) == (ssize_t)n;
}

/* A body follows at once. */
static bool write_head(struct client *c, const struct out *o) {
    return rn_write_more_until(c->conn, o->text, o->len, rn_now() + httpd.write_timeout) ==
           (ssize_t)o->len;
}

static const char *reason(int status) {
    switch (status) {
    case 200: return "OK";
    case 206: return "Partial Content";
    case 301: return "Moved Permanently";
    case 304: return "Not Modified";
    case 400: return "Bad Request";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 408: return "Request Timeout";
    case 414: return "URI Too Long";
    case 416: return "Range Not Satisfiable";
    case 431: return "Request Header Fields Too Large";
    case 503: return "Service Unavailable";
    case 505: return "HTTP Version Not Supported";
    default: return "Internal Server Error";
    }
}

static void format_date(char date[DATE], time_t t) {
    struct tm tm;
    gmtime_r(&t, &tm);
    strftime(date, DATE, "%a, %d %b %Y %H:%M:%S GMT",
             &tm); /* in the C locale, which we never leave */
}

static void begin(struct out *o, int status, bool keep) {
    char date[DATE];
    o->len = 0;
    format_date(date, time(NULL));
    add(o, "HTTP/1.1 %d %s\r\nServer: runnel-httpd\r\nDate: %s\r\nConnection: %s\r\n", status,
        reason(status), date, keep ? "keep-alive" : "close");
}

/* A whole answer with a short text. `more`: another header, or "". */
static bool answer_text(struct client *c, int status, bool keep, const char *more) {
    struct out *o = malloc(sizeof *o);
    char text[64];
    bool head = c->request.parser.method == HTTP_HEAD;
    if (!o) return false;
    int n = snprintf(text, sizeof text, "%d %s\n", status, reason(status));
    begin(o, status, keep);
    add(o, "%sContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n\r\n%s", more, n,
        head ? "" : text);
    bool ok = write_out(c, o->text, o->len);
    free(o);
    return ok && keep;
}

bool answer_status(struct client *c, int status, bool keep) {
    return answer_text(c, status, keep, status == 405 ? "Allow: GET, HEAD\r\n" : "");
}

/* ---- opening ---- */

static __attribute__((noinline)) int open_below(const char *path) {
    struct open_how how = {
        .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    };
    long fd = syscall(SYS_openat2, httpd.dir, path, &how, sizeof how);
    if (fd < 0 && errno == ENOSYS) fd = openat(httpd.dir, path, (int)how.flags | O_NOFOLLOW);
    return fd < 0 ? -errno : (int)fd;
}

static int status_of(int error) {
    switch (-error) {
    case ENOENT:
    case ENOTDIR:
    case ENAMETOOLONG: return 404;
    case EACCES:
    case EPERM:
    case ELOOP:
    case EXDEV:
    case ENXIO: return 403;
    case EMFILE:
    case ENFILE:
    case ENOMEM: return 503;
    default: return 500;
    }
}

/* ---- files ---- */

struct part {
    int64_t from, n;
};

static void make_etag(char etag[ETAG], const struct stat *st) {
    snprintf(etag, ETAG, "\"%llx-%llx-%llx\"", (unsigned long long)st->st_mtim.tv_sec,
             (unsigned long long)st->st_mtim.tv_nsec, (unsigned long long)st->st_size);
}

static bool not_modified(const struct request *r, const char *etag, const struct stat *st) {
    const char *match = r->value[H_IF_NONE_MATCH], *since = r->value[H_IF_MODIFIED_SINCE];
    struct tm tm = {0};
    if (match[0]) return strcmp(match, "*") == 0 || strstr(match, etag) != NULL;
    if (!since[0] || !strptime(since, "%a, %d %b %Y %H:%M:%S GMT", &tm)) return false;
    return st->st_mtim.tv_sec <= timegm(&tm);
}

/* A decimal number; -1: none, or too large. */
static int64_t number(const char **s) {
    int64_t n = 0;
    const char *p = *s;
    for (; *p >= '0' && *p <= '9'; p++) {
        if (n > (INT64_MAX - 9) / 10) return -1;
        n = n * 10 + (*p - '0');
    }
    if (p == *s) return -1;
    *s = p;
    return n;
}

/*
 * One range of bytes of a file of `size`. 206: *part is it; 416: it lies outside; 200: there is none, or it is something else, like
 * several ranges, that a server may ignore.
 */
static int parse_range(const char *s, int64_t size, struct part *part) {
    if (strncmp(s, "bytes=", 6) != 0) return 200;
    s += 6;
    int64_t from = number(&s);
    if (*s++ != '-') return 200;
    int64_t to = number(&s);
    if (*s || (from < 0 && to < 0) || (from >= 0 && to >= 0 && to < from)) return 200;
    if (from < 0) { /* the last `to` bytes */
        if (to == 0 || size == 0) return 416;
        from = to < size ? size - to : 0;
        to = size - 1;
    }
    if (from >= size) return 416;
    if (to < 0 || to >= size) to = size - 1;
    *part = (struct part){from, to - from + 1};
    return 206;
}

static int wanted_part(const struct request *r, const char *etag, const char *modified,
                       int64_t size, struct part *part) {
    const char *range = r->value[H_RANGE], *if_range = r->value[H_IF_RANGE];
    *part = (struct part){0, size};
    if (!range[0] || r->parser.method != HTTP_GET) return 200;
    if (if_range[0] && strcmp(if_range, etag) != 0 && strcmp(if_range, modified) != 0) return 200;
    return parse_range(range, size, part);
}

/* A small file goes with its header. A file that has shrunk cannot be answered for any more: close. */
static bool send_part(struct client *c, struct out *o, int fd, struct part part) {
    if (part.n <= SMALL_FILE) {
        ssize_t n = part.n ? rn_pread(fd, o->text + o->len, (size_t)part.n, part.from) : 0;
        return n == part.n && write_out(c, o->text, o->len + (size_t)part.n);
    }
    if (!write_head(c, o)) return false;
    while (part.n > 0) {
        size_t want = part.n < SEND ? (size_t)part.n : SEND;
        int64_t n = rn_sendfile_until(c->conn, fd, part.from, want, rn_now() + httpd.write_timeout);
        if (n != (int64_t)want) return false;
        part.from += n;
        part.n -= n;
    }
    return true;
}

static bool send_file(struct client *c, struct out *o, int fd, const struct stat *st,
                      const char *path, bool keep) {
    const struct request *r = &c->request;
    char etag[ETAG], modified[DATE];
    struct part part;
    make_etag(etag, st);
    format_date(modified, st->st_mtim.tv_sec);
    int status =
        not_modified(r, etag, st) ? 304 : wanted_part(r, etag, modified, st->st_size, &part);
    begin(o, status, keep);
    add(o, "Last-Modified: %s\r\nETag: %s\r\nAccept-Ranges: bytes\r\n", modified, etag);
    if (status == 304 || status == 416) part = (struct part){0, 0};
    if (status == 416) add(o, "Content-Range: bytes */%lld\r\n", (long long)st->st_size);
    if (status == 206)
        add(o, "Content-Range: bytes %lld-%lld/%lld\r\n", (long long)part.from,
            (long long)(part.from + part.n - 1), (long long)st->st_size);
    if (status != 304)
        add(o, "Content-Type: %s\r\nContent-Length: %lld\r\n", type_of(path), (long long)part.n);
    add(o, "\r\n");
    if (r->parser.method == HTTP_HEAD) part.n = 0;
    return send_part(c, o, fd, part) && keep;
}

/* ---- directories ---- */

struct listing {
    char *names[ENTRIES_MAX];
    size_t n;
};

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names that begin with a dot are not shown. Takes fd. */
static void read_names(struct listing *l, int fd) {
    DIR *d = fdopendir(fd);
    if (!d) {
        close(fd);
        return;
    }
    for (struct dirent *e; l->n < ENTRIES_MAX && (e = readdir(d));) {
        if (e->d_name[0] == '.') continue;
        char *name = malloc(strlen(e->d_name) + 2);
        if (!name) break;
        sprintf(name, "%s%s", e->d_name, e->d_type == DT_DIR ? "/" : "");
        l->names[l->n++] = name;
    }
    closedir(d);
    qsort(l->names, l->n, sizeof *l->names, by_name);
}

static void print_listing(FILE *f, const struct listing *l, const char *path) {
    char html[6 * 256 + 8], url[3 * 256 + 8], title[HEADER_MAX];
    html_encode(strcmp(path, ".") == 0 ? "" : path, title, sizeof title);
    fprintf(f,
            "<!DOCTYPE html>\n<meta charset=\"utf-8\">\n<title>/%s</title>\n<h1>/%s</h1>\n<ul>\n",
            title, title);
    if (strcmp(path, ".") != 0) fputs("<li><a href=\"../\">../</a>\n", f);
    for (size_t i = 0; i < l->n; i++) {
        html_encode(l->names[i], html, sizeof html);
        url_encode(l->names[i], url, sizeof url);
        fprintf(f, "<li><a href=\"./%s\">%s</a>\n", url, html);
    }
    fputs("</ul>\n", f);
}

static bool send_listing(struct client *c, struct out *o, int fd, const char *path, bool keep) {
    struct listing *l = calloc(1, sizeof *l);
    char *text = NULL;
    size_t n = 0;
    FILE *f = l ? open_memstream(&text, &n) : NULL;
    if (f) {
        read_names(l, fd);
        print_listing(f, l, path);
    } else {
        close(fd);
    }
    bool ok = f && fclose(f) == 0;
    for (size_t i = 0; l && i < l->n; i++) free(l->names[i]);
    free(l);
    if (ok) {
        begin(o, 200, keep);
        add(o, "Content-Type: text/html; charset=utf-8\r\nContent-Length: %zu\r\n\r\n", n);
        if (c->request.parser.method == HTTP_HEAD)
            ok = write_out(c, o->text, o->len);
        else
            ok = write_head(c, o) && write_out(c, text, n);
    }
    free(text);
    return ok && keep;
}

static bool redirect(struct client *c, const char *path, bool keep) {
    char url[HEADER_MAX / 2 - 16], more[HEADER_MAX / 2];
    if (3 * strlen(path) >= sizeof url) return answer_status(c, 414, keep);
    url_encode(path, url, sizeof url);
    snprintf(more, sizeof more, "Location: /%s/\r\n", url);
    return answer_text(c, 301, keep, more);
}

/* Its index.html if there is one. Takes fd. */
static bool send_directory(struct client *c, struct out *o, int fd, const char *path, bool keep) {
    char index[TARGET_MAX + 16];
    struct stat st;
    size_t n = strlen(path);
    if (strcmp(path, ".") != 0 && path[n - 1] != '/') {
        close(fd);
        return redirect(c, path, keep);
    }
    snprintf(index, sizeof index, "%s/index.html", path);
    int file = open_below(index);
    if (file < 0 || fstat(file, &st) < 0 || !S_ISREG(st.st_mode)) {
        if (file >= 0) close(file);
        return send_listing(c, o, fd, path, keep);
    }
    close(fd);
    bool ok = send_file(c, o, file, &st, index, keep);
    close(file);
    return ok;
}

/* ---- */

static bool answer_path(struct client *c, struct out *o, const char *path, bool keep) {
    struct stat st;
    int fd = open_below(path);
    if (fd < 0) return answer_status(c, status_of(fd), keep);
    bool there = fstat(fd, &st) == 0;
    if (there && S_ISDIR(st.st_mode)) return send_directory(c, o, fd, path, keep);
    bool ok;
    if (there && S_ISREG(st.st_mode))
        ok = send_file(c, o, fd, &st, path, keep);
    else
        ok = answer_status(c, there ? 403 : 500, keep);
    close(fd);
    return ok;
}

/* What is wrong with a request that could be read. */
static int complaint(const struct request *r) {
    if (r->parser.http_major != 1) return 505;
    if (r->hosts_too_many || (r->parser.http_minor >= 1 && !r->value[H_HOST][0])) return 400;
    if (r->parser.method != HTTP_GET && r->parser.method != HTTP_HEAD) return 405;
    return 0;
}

bool answer(struct client *c) {
    struct request *r = &c->request;
    char path[TARGET_MAX + 1];
    bool keep = http_should_keep_alive(&r->parser) && !r->body &&
                !__atomic_load_n(&httpd.draining, __ATOMIC_RELAXED);
    int status = complaint(r);
    if (status == 505) keep = false; /* whatever else that version means */
    if (status == 0) status = path_of_target(r, path, sizeof path);
    if (status) return answer_status(c, status, keep);
    struct out *o = malloc(sizeof *o);
    if (!o) return answer_status(c, 503, false);
    bool ok = answer_path(c, o, path, keep);
    free(o);
    return ok;
}
