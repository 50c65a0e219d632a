/* SPDX-License-Identifier: MIT */
/*
 * out.h: text for a report, gathered before it is written. No memory but its own, no stdio.
 */
#ifndef RN_INSPECT_OUT_H
#define RN_INSPECT_OUT_H

#include "base/attr.h"

struct rn__out {
    int fd; /* -1: nowhere */
    size_t n;
    void (*writing)(bool begins); /* told around each write(2), which may block; NULL: nobody */
    char buf[4096];
};

void rn__out_begin(struct rn__out *o, int fd);
void rn__out_text(struct rn__out *o, const char *s);
void rn__out_format(struct rn__out *o, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void rn__out_flush(struct rn__out *o);

#endif
