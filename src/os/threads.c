/* SPDX-License-Identifier: MIT */
#include "os/threads.h"

#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/die.h"

/* What getdents64(2) fills in: readdir(3) would allocate. */
struct entry {
    uint64_t ino, off;
    uint16_t size;
    uint8_t type;
    char name[];
};

/* Whoever blocks these blocks everything; a program that leaves its signals to one thread leaves out some. */
static bool blocks_everything(uint64_t mask) {
    static const int signals[] = {SIGINT,   SIGTERM, SIGUSR1, SIGUSR2, SIGCHLD,
                                  SIGWINCH, SIGURG,  SIGIO,   SIGPROF};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        if (!(mask >> (signals[i] - 1) & 1)) return false;
    return true;
}

struct call {
    void (*fn)(int tid, uint64_t blocked, char state, void *arg);
    void *arg;
    int but;
};

/* With nothing to say of one that is gone. */
static void tell_one(const struct call *c, const char *tid) {
    char path[64], text[2048];
    rn__format(path, sizeof path, "/proc/self/task/%s/status", tid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    if (n <= 0) return;
    text[n] = 0;
    const char *mask = strstr(text, "\nSigBlk:"), *state = strstr(text, "\nState:\t");
    c->fn(atoi(tid), mask ? strtoull(mask + 8, NULL, 16) : 0, state ? state[8] : '?', c->arg);
}

static void tell_some(const struct call *c, const char *buf, long n) {
    for (long at = 0; at < n;) {
        const struct entry *e = (const struct entry *)(const void *)(buf + at);
        if (e->name[0] != '.' && atoi(e->name) != c->but) tell_one(c, e->name);
        at += e->size;
    }
}

void rn__threads_each(int but, void (*fn)(int tid, uint64_t blocked, char state, void *arg),
                      void *arg) {
    _Alignas(struct entry) char buf[2048];
    const struct call c = {fn, arg, but};
    long n;
    int fd = open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return;
    while ((n = syscall(SYS_getdents64, fd, buf, sizeof buf)) > 0) tell_some(&c, buf, n);
    close(fd);
}

static void count_one(int tid, uint64_t blocked, char state, void *arg) {
    struct rn__threads *t = arg;
    (void)tid;
    t->all++;
    if (blocks_everything(blocked) && state == 'S') t->service++;
}

struct rn__threads rn__threads_count(int but) {
    struct rn__threads t = {0, 0};
    rn__threads_each(but, count_one, &t);
    return t;
}
