/* SPDX-License-Identifier: MIT */
/*
 * fuzz.c: libFuzzer on all that httpd does with what a client sends: client.c, request.c, path.c and answer.c as they
 * are, on a connection that is a string. Its first byte says in what pieces it comes and how it ends, the second when
 * writing begins to fail. What must hold, whatever comes:
 *
 *   - A file or directory outside of DIR is neither opened for sending nor shown, though links lead there.
 *   - A path has no part "..", does not begin with a slash and fits.
 *   - Each answer is one HTTP message, whole, with nothing behind it, and says "close" just when httpd closes. Where more was announced
 *     it follows.
 *   - No more than MEMORY_MAX is allocated at a time; afterwards nothing is, and no descriptor is open.
 *
 * No goroutine runs: the calls of runnel that would wait are given here (see the macros below and in CMakeLists.txt).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sanitizer/allocator_interface.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "httpd.h"

enum { MEMORY_MAX = 256 * 1024, FILES_MAX = 32 };

/* In the name and the content of what lies outside. Nothing compares with it where libFuzzer sees it. */
static const char marker[] = "2f8a61c04be7d935";

struct httpd httpd = {.idle_timeout = 1, .head_timeout = 1, .write_timeout = 1};

static struct {
    const uint8_t *data;
    size_t n, piece;
    ssize_t end;     /* what the last read returns */
    int writes_left; /* before they fail; negative: they do not */
    char *output;
    size_t length, room;
    size_t announced; /* where the last write ended that promised more */
} line;

static struct {
    struct {
        dev_t dev;
        ino_t ino;
    } inside[FILES_MAX];
    int ninside;
} files;

/* Of this thread: libFuzzer has one of its own, which allocates and frees when it likes. */
static __thread struct {
    bool on;
    int64_t now, most;
} memory;

#define FAIL(...) (fprintf(stderr, "httpd_fuzz: " __VA_ARGS__), fputc('\n', stderr), abort())

void say(const char *format, ...) { FAIL("say: %s", format); }
void server_left(void) { FAIL("a client that was not accepted has left"); }

/* ---- the connection ---- */

ssize_t fuzz_read_until(rn_conn c, void *buf, size_t n, rn_time t) {
    (void)c, (void)t;
    if (n > line.piece) n = line.piece;
    if (n > line.n) n = line.n;
    if (n == 0) return line.end;
    memcpy(buf, line.data, n);
    line.data += n;
    line.n -= n;
    return (ssize_t)n;
}

static bool may_write(void) {
    if (line.writes_left == 0) return false;
    if (line.writes_left > 0) line.writes_left--;
    return true;
}

/* Room for n more bytes of output. It is kept from one run to the next and does not count as httpd's memory. */
static char *grow(size_t n) {
    if (line.length + n > line.room) {
        bool on = memory.on;
        memory.on = false;
        line.room = 2 * (line.length + n);
        line.output = realloc(line.output, line.room);
        memory.on = on;
        if (!line.output) FAIL("no memory");
    }
    line.length += n;
    return line.output + line.length - n;
}

ssize_t fuzz_write_until(rn_conn c, const void *buf, size_t n, rn_time t) {
    (void)c, (void)t;
    if (!may_write()) return -EPIPE;
    memcpy(grow(n), buf, n);
    return (ssize_t)n;
}

ssize_t fuzz_write_more_until(rn_conn c, const void *buf, size_t n, rn_time t) {
    ssize_t r = fuzz_write_until(c, buf, n, t);
    line.announced = line.length;
    return r;
}

static void check_inside(int fd) {
    struct stat st;
    if (fstat(fd, &st) < 0) FAIL("a file that is not open");
    for (int i = 0; i < files.ninside; i++)
        if (files.inside[i].dev == st.st_dev && files.inside[i].ino == st.st_ino) return;
    FAIL("a file outside of DIR");
}

ssize_t fuzz_pread(int fd, void *buf, size_t n, off_t off) {
    check_inside(fd);
    return pread(fd, buf, n, off);
}

int64_t fuzz_sendfile_until(rn_conn c, int fd, off_t off, size_t n, rn_time t) {
    (void)c, (void)t;
    check_inside(fd);
    if (!may_write()) return -EPIPE;
    return pread(fd, grow(n), n, off);
}

int fuzz_conn_close_write(rn_conn c) {
    (void)c;
    return 0;
}

/* ---- what must hold ---- */

int fuzz_path_of_target(const struct request *r, char *path, size_t size) {
    int status = path_of_target(r, path, size);
    if (status) return status;
    if (strnlen(path, size) == size || path[0] == '/' || !path[0]) FAIL("path \"%.99s\"", path);
    for (const char *p = path; (p = strstr(p, "..")); p++)
        if ((p == path || p[-1] == '/') && (p[2] == '/' || !p[2])) FAIL("path \"%.99s\"", path);
    return 0;
}

static int without_body(http_parser *p) { return *(const bool *)p->data || p->status_code == 304; }

static int ended;
static int on_end(http_parser *p) {
    (void)p;
    ended++;
    return 0;
}

/* The output from `from` on is one answer, to HEAD or not. */
static void check_answer(size_t from, bool head, bool kept) {
    static const http_parser_settings settings = {.on_headers_complete = without_body,
                                                  .on_message_complete = on_end};
    http_parser p;
    size_t n = line.length - from;
    if (line.writes_left == 0) return; /* it was cut off */
    if (line.announced == line.length) FAIL("nothing follows what was to be followed");
    http_parser_init(&p, HTTP_RESPONSE);
    p.data = &head;
    ended = 0;
    size_t used = http_parser_execute(&p, &settings, line.output + from, n);
    if (used != n || HTTP_PARSER_ERRNO(&p) != HPE_OK || ended != 1)
        FAIL("%zu of %zu bytes, %d answers: %.*s", used, n, ended, (int)n, line.output + from);
    if (http_should_keep_alive(&p) != kept) FAIL("kept is %d: %.300s", kept, line.output + from);
}

static bool checked_answer(struct client *c) {
    size_t from = line.length;
    bool kept = answer(c);
    check_answer(from, c->request.parser.method == HTTP_HEAD, kept);
    return kept;
}

static bool checked_answer_status(struct client *c, int status, bool keep) {
    size_t from = line.length;
    bool kept = answer_status(c, status, keep);
    check_answer(from, c->request.parser.method == HTTP_HEAD, kept);
    return kept;
}

static __attribute__((no_sanitize("coverage"))) void check_nothing_from_outside(void) {
    const char *p = line.output, *end = p + line.length;
    while (p && (p = memchr(p, marker[0], (size_t)(end - p)))) {
        size_t i = 0;
        while (i < sizeof marker - 1 && p + i < end && p[i] == marker[i]) i++;
        if (i == sizeof marker - 1) FAIL("shown: %.*s", (int)line.length, line.output);
        p++;
    }
}

static void on_malloc(const volatile void *p, size_t n) {
    (void)p;
    if (!memory.on) return;
    memory.now += (int64_t)n;
    if (memory.now > memory.most) memory.most = memory.now;
}

static void on_free(const volatile void *p) {
    if (memory.on && p) memory.now -= (int64_t)__sanitizer_get_allocated_size((const void *)p);
}

static int lowest_descriptor(void) {
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    close(fd);
    return fd;
}

/* ---- httpd's client.c on that connection ---- */

#define rn_read_until fuzz_read_until
#define rn_conn_close_write fuzz_conn_close_write
#define answer checked_answer
#define answer_status checked_answer_status
#include "client.c"

/* ---- DIR ---- */

static void inside(const char *path) {
    struct stat st;
    if (stat(path, &st) < 0 || files.ninside == FILES_MAX) FAIL("%s?", path);
    files.inside[files.ninside].dev = st.st_dev;
    files.inside[files.ninside++].ino = st.st_ino;
}

static void make_file(const char *path, const char *text, size_t n) {
    FILE *f = fopen(path, "w");
    for (size_t i = 0; f && i < n; i++) fputs(text, f);
    if (!f || fclose(f)) FAIL("%s: %s", path, strerror(errno));
    struct timespec always = {.tv_sec = 1000000000}; /* it is in tags, which libFuzzer learns */
    if (utimensat(AT_FDCWD, path, (struct timespec[]){always, always}, 0) < 0) FAIL("%s", path);
}

static void make_dir(const char *path) {
    if (mkdir(path, 0777) < 0) FAIL("%s: %s", path, strerror(errno));
}

static void make_link(const char *to, const char *path) {
    if (symlink(to, path) < 0) FAIL("%s: %s", path, strerror(errno));
}

/* In the current folder, which is to be empty. Links lead out of it in all ways there are. */
int LLVMFuzzerInitialize(int *argc, char ***argv) {
    static const char *const names[] = {"www/a.txt", "www/empty",        "www/big",
                                        "www/c <&>", "www/d/index.html", "www/e/f.css"};
    char path[4096], here[2048];
    (void)argc, (void)argv;
    if (!getcwd(here, sizeof here)) FAIL("no current folder");
    make_dir("www"), make_dir("www/d"), make_dir("www/e"), make_dir("outside");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        make_file(names[i], "hello\n", strcmp(names[i], "www/big") ? i != 1 : SMALL_FILE);
        inside(names[i]);
    }
    snprintf(path, sizeof path, "outside/%s", marker);
    make_file(path, marker, 1);
    make_file("secret", marker, 1);
    snprintf(path, sizeof path, "%s/secret", here);
    make_link(path, "www/s");
    make_link("../secret", "www/l");
    make_link("..", "www/u");
    make_link("../outside", "www/o");
    make_link("a.txt", "www/i");
    make_link("/", "www/r");
    make_link("m", "www/m");
    if (mkfifo("www/p", 0666) < 0) FAIL("fifo");
    httpd.dir = open("www", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (httpd.dir < 0) FAIL("www");
    tzset(); /* libc keeps what it allocates for that */
    __sanitizer_install_malloc_and_free_hooks(on_malloc, on_free);
    return 0;
}

static void begin(const uint8_t *data, size_t n) {
    line.piece = data[0] < 64 ? 1 + data[0] / 2u : SIZE_MAX;
    line.end = data[0] % 2 ? -ETIMEDOUT : 0;
    line.writes_left = data[1] < 64 ? data[1] : -1;
    line.data = data + 2;
    line.n = n - 2;
    line.length = line.announced = 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    static struct client c;
    int lowest = lowest_descriptor();
    if (n < 2) return -1;
    begin(data, n);
    memset(&c, 0xa5, sizeof c); /* as from a malloc: a request is to begin by itself */
    c.at = c.end = 0;
    memory.now = memory.most = 0;
    memory.on = true;
    serve(&c);
    memory.on = false;
    if (memory.most > MEMORY_MAX) FAIL("%lld bytes", (long long)memory.most);
    if (memory.now) FAIL("%lld bytes are left", (long long)memory.now);
    if (lowest_descriptor() != lowest) FAIL("a descriptor is left");
    check_nothing_from_outside();
    return 0;
}
