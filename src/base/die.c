/* SPDX-License-Identifier: MIT */
#include "base/die.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void (*rn__report_hook)(int fd, bool all);

void rn__report(int fd, bool all) {
    if (rn__report_hook) rn__report_hook(fd, all);
}

size_t rn__format(char *to, size_t size, const char *format, ...) {
    va_list ap;
    va_start(ap, format);
    /* glibc's vsnprintf neither allocates nor locks for the forms that we use. */
    int n = vsnprintf(to, size, format, ap);
    va_end(ap);
    if (n < 0) n = 0;
    return (size_t)n < size ? (size_t)n : size - 1;
}

void rn__write(int fd, const char *s, size_t n) {
    while (n > 0) {
        ssize_t k = write(fd, s, n);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) return;
        s += k;
        n -= (size_t)k;
    }
}

void rn__print(int fd, const char *format, ...) {
    char buf[512];
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(buf, sizeof buf, format, ap);
    va_end(ap);
    if (n < 0) return;
    rn__write(fd, buf, (size_t)n < sizeof buf ? (size_t)n : sizeof buf - 1);
}

void rn__fatal(const char *text) {
    rn__print(STDERR_FILENO, "fatal error: %s\n", text);
    rn__report(STDERR_FILENO, false);
    abort();
}
