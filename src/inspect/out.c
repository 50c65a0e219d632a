/* SPDX-License-Identifier: MIT */
#include "inspect/out.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/die.h"

enum { LONGEST = 1024 }; /* of one rn__out_format; longer is cut */

void rn__out_begin(struct rn__out *o, int fd) {
    o->fd = fd;
    o->n = 0;
    o->writing = NULL;
}

void rn__out_flush(struct rn__out *o) {
    if (o->fd >= 0 && o->n > 0) {
        if (o->writing) o->writing(true);
        rn__write(o->fd, o->buf, o->n);
        if (o->writing) o->writing(false);
    }
    o->n = 0;
}

void rn__out_text(struct rn__out *o, const char *s) {
    for (; *s; s++) {
        if (o->n == sizeof o->buf) rn__out_flush(o);
        o->buf[o->n++] = *s;
    }
}

void rn__out_format(struct rn__out *o, const char *format, ...) {
    if (sizeof o->buf - o->n < LONGEST) rn__out_flush(o);
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(o->buf + o->n, LONGEST, format, ap);
    va_end(ap);
    if (n > 0) o->n += n < LONGEST ? (size_t)n : LONGEST - 1;
}
