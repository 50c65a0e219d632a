/* SPDX-License-Identifier: MIT */
#include "base/debug.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/die.h"

enum { GROUP = 1000, MOST = 1000000000 };

struct rn__debug rn__debug = {.group = GROUP};

static const struct key {
    const char *name;
    int *value;
} keys[] = {
    {"all", &rn__debug.all},
    {"frames", &rn__debug.frames},
    {"group", &rn__debug.group},
    {"leaks", &rn__debug.leaks},
    {"nosigquit", &rn__debug.nosigquit},
    {"schedtrace", &rn__debug.schedtrace},
};
enum { KEYS = sizeof keys / sizeof keys[0] };

static const struct key *find(const char *s, size_t n) {
    for (size_t i = 0; i < KEYS; i++)
        if (strlen(keys[i].name) == n && memcmp(keys[i].name, s, n) == 0) return &keys[i];
    return NULL;
}

static void complain(const char *s, size_t n, const char *why) {
    char known[256];
    size_t at = 0;
    for (size_t i = 0; i < KEYS; i++)
        at += rn__format(known + at, sizeof known - at, " %s", keys[i].name);
    rn__print(STDERR_FILENO, "runnel: RUNNEL_DEBUG: %.*s: %s; ignored (known:%s)\n", (int)n, s, why,
              known);
}

/* One setting: s up to s + n. A key without a number is 1. */
static void set(const char *s, size_t n) {
    const char *eq = memchr(s, '=', n);
    const struct key *k = find(s, eq ? (size_t)(eq - s) : n);
    if (!k) {
        complain(s, n, "no such setting");
        return;
    }
    if (!eq) {
        *k->value = 1;
        return;
    }
    char *end;
    long v = strtol(eq + 1, &end, 10);
    if (end == eq + 1 || end != s + n || v < 0 || v > MOST)
        complain(s, n, "not a number");
    else
        *k->value = (int)v;
}

void rn__debug_init(void) {
    const char *s = getenv("RUNNEL_DEBUG");
    while (s && *s) {
        size_t n = strcspn(s, ",");
        if (n > 0) set(s, n);
        s += n + (s[n] == ',');
    }
}
