/* SPDX-License-Identifier: MIT */
#include "os/clock.h"

#include <errno.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "os/sanitizer.h"

rn_time rn__now(void) {
    struct timespec t;
    /* TSan would take our write for one of the caller's: who runs on this stack when is no business of its own */
    if (rn__tsan_on())
        syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &t);
    else
        clock_gettime(CLOCK_MONOTONIC, &t);
    return (rn_time)t.tv_sec * RN_SEC + t.tv_nsec;
}

void rn__nap(rn_duration d) {
    int saved = errno;
    struct timespec t = {d / RN_SEC, d % RN_SEC};
    nanosleep(&t, NULL);
    errno = saved;
}
