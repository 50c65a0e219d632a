/* SPDX-License-Identifier: MIT */
#include "os/cpus.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

int rn__cpu(void) { return sched_getcpu(); }

/* Without those of set that are taken; false: none is left. */
static bool free_ones(cpu_set_t *set, bool (*taken)(int cpu)) {
    for (int i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, set) && taken(i)) CPU_CLR(i, set);
    return CPU_COUNT(set) != 0;
}

/* What it might use has changed meanwhile: all that it may now. */
static void widen(void) {
    cpu_set_t all;
    memset(&all, 0xff, sizeof all);
    sched_setaffinity(0, sizeof all, &all);
}

bool rn__cpu_leave(bool (*taken)(int cpu)) {
    cpu_set_t may, to;
    int saved = errno;
    bool moved = false;
    if (sched_getaffinity(0, sizeof may, &may) == 0) {
        to = may;
        moved = free_ones(&to, taken) && sched_setaffinity(0, sizeof to, &to) == 0;
        if (moved && sched_setaffinity(0, sizeof may, &may) != 0) widen();
    }
    errno = saved;
    return moved;
}
