/* SPDX-License-Identifier: MIT */
/*
 * hash.c: a hasher: a goroutine that takes jobs, reads the file and answers with its SHA-256. As
 * many run as -j says, which is what bounds the open files and the memory for their blocks.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/evp.h>

#include "treesum.h"

struct hasher {
    const struct plan *p;
    EVP_MD_CTX *digest;
    unsigned char *block;
    uint64_t untold; /* bytes that the progress line does not know of */
};

/* The progress line may be busy: then it hears of these bytes next time. With ticks NULL, never. */
static void tell(struct hasher *h, uint64_t bytes) {
    h->untold += bytes;
    if (rn_try_send(h->p->ticks, h->untold) == 0) h->untold = 0;
}

static int digest_fd(struct hasher *h, int fd, struct result *r) {
    if (!EVP_DigestInit_ex2(h->digest, h->p->digest, NULL)) return ERR_DIGEST;
    for (;;) {
        if (stopped(h->p)) return -ECANCELED;
        long n = sys_read(fd, h->block, BLOCK_SIZE);
        if (n < 0) return (int)n;
        if (n == 0) break;
        if (!EVP_DigestUpdate(h->digest, h->block, (size_t)n)) return ERR_DIGEST;
        r->bytes += (uint64_t)n;
        tell(h, (uint64_t)n);
        rn_yield(); /* between the blocks of a big file, the others' turn */
    }
    return EVP_DigestFinal_ex(h->digest, r->sum, NULL) ? 0 : ERR_DIGEST;
}

static struct result hash_file(struct hasher *h, const struct job *j) {
    struct result r = {0};
    bool from_stdin = h->p->manifest && strcmp(j->path, "-") == 0;
    int fd = stopped(h->p) ? -ECANCELED : from_stdin ? 0 : sys_open_regular(j->path, j->follow);
    r.error = fd < 0 ? fd : digest_fd(h, fd, &r);
    sys_close(fd);
    return r;
}

void hash(const struct plan *p) {
    struct hasher h = {.p = p};
    h.digest = need(EVP_MD_CTX_new());
    h.block = need(malloc(BLOCK_SIZE));
    for (struct job *j; rn_recv_ok(p->work, &j);) {
        struct result r = hash_file(&h, j);
        rn_send(j->done, r); /* the job is the collector's now */
    }
    free(h.block);
    EVP_MD_CTX_free(h.digest);
    rn_send(p->gone, (struct nothing){});
}
