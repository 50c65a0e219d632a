/* SPDX-License-Identifier: MIT */
#include "os/futex.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "os/sanitizer.h"

/*
 * TSan puts a signal handler off until the thread makes a call that it intercepts, which syscall(2) is
 * not: under TSan no wait is long, and usleep, which it knows, follows each.
 */
enum { TSAN_NAP_MS = 20 };

void rn__futex_wait(uint32_t *word, uint32_t value, int64_t timeout) {
    int saved = errno;
    int64_t nap = TSAN_NAP_MS * INT64_C(1000000);
    bool short_naps = rn__tsan_on();
    if (short_naps && (timeout < 0 || timeout > nap)) timeout = nap;
    struct timespec t = {timeout / 1000000000, timeout % 1000000000};
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, timeout < 0 ? NULL : &t, NULL, 0);
    if (short_naps) usleep(0);
    errno = saved;
}

void rn__futex_wake(uint32_t *word, int n) {
    int saved = errno;
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, n, NULL, NULL, 0);
    errno = saved;
}
