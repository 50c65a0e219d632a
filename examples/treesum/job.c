/* SPDX-License-Identifier: MIT */
/* job.c: making jobs and sending them on their way, for the walker and the reader of manifests. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "treesum.h"

struct job *job_new(const char *path, size_t length) {
    struct job *j = need(calloc(1, sizeof(*j) + length + 1));
    memcpy(j->path, path, length);
    j->done = need(rn_make(struct result, 1));
    return j;
}

/* First into the order, then to the hashers: the collector is never asked to wait for what nobody computes. */
void job_submit(const struct plan *p, struct job *j) {
    rn_send(p->order, j);
    rn_send(p->work, j);
}

/* What failed before it could be hashed keeps its place in the output. */
void job_fail(const struct plan *p, struct job *j, int error) {
    rn_send(j->done, (struct result){.error = error});
    rn_send(p->order, j);
}

void job_free(struct job *j) {
    rn_unref(j->done);
    free(j);
}

bool stopped(const struct plan *p) { return rn_try_recv(p->stop, NULL) != -EAGAIN; }
