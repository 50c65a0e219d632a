/* SPDX-License-Identifier: MIT */
#include "os/pages.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

enum { BATCH = 64 };

size_t rn__page_size(void) {
    static size_t size;
    if (!size) size = (size_t)sysconf(_SC_PAGESIZE);
    return size;
}

void *rn__pages_reserve(size_t size) {
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
#ifdef MAP_STACK
    flags |= MAP_STACK; /* no transparent huge pages: a touched page costs a page */
#endif
    long p = syscall(SYS_mmap, NULL, size, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (p == -1 || p == 0) return NULL;
    madvise((void *)p, size, MADV_NOHUGEPAGE);
    return (void *)p;
}

void rn__pages_release(void *at, size_t size) { syscall(SYS_munmap, at, size); }

void rn__pages_dump(void *at, size_t size, bool dump) {
    madvise(at, size, dump ? MADV_DODUMP : MADV_DONTDUMP); /* best effort */
}

/*
 * Does MADV_GUARD_INSTALL make a guard here? qemu-user answers 0 without doing it, so ask the kernel to
 * read from the page: write(2) must say EFAULT.
 */
static bool guard_works(char *page) {
    if (syscall(SYS_madvise, page, rn__page_size(), MADV_GUARD_INSTALL) != 0) return false;
    int fd[2];
    if (pipe2(fd, O_CLOEXEC | O_NONBLOCK) != 0) return false;
    bool works = write(fd[1], page, 1) == -1 && errno == EFAULT;
    close(fd[0]);
    close(fd[1]);
    return works;
}

int rn__pages_guard(char *at, size_t stride, size_t n) {
    static enum { UNKNOWN, INSTALL, MPROTECT } how; /* under the caller's lock (stacks) */
    int saved = errno;
    int r = 0;
    if (how == UNKNOWN) how = guard_works(at) ? INSTALL : MPROTECT;
    for (size_t i = 0; i < n && r == 0; i++) {
        char *page = at + i * stride;
        if (how == INSTALL && syscall(SYS_madvise, page, rn__page_size(), MADV_GUARD_INSTALL) == 0)
            continue;
        if (syscall(SYS_mprotect, page, rn__page_size(), PROT_NONE) != 0) r = -ENOMEM;
    }
    errno = saved;
    return r;
}

static int self_pidfd(void) {
    static int fd = -2;
    static pid_t of;
    if (fd == -2 || of != getpid()) {
        of = getpid();
        fd = (int)syscall(SYS_pidfd_open, of, 0);
    }
    return fd;
}

void rn__pages_drop(void **at, size_t size, size_t n) {
    int saved = errno;
    struct iovec v[BATCH];
    for (size_t i = 0; i < n; i += BATCH) {
        size_t k = n - i < BATCH ? n - i : BATCH;
        for (size_t j = 0; j < k; j++) v[j] = (struct iovec){at[i + j], size};
        if (self_pidfd() >= 0 &&
            syscall(SYS_process_madvise, self_pidfd(), v, k, MADV_DONTNEED, 0) == (long)(k * size))
            continue;
        for (size_t j = 0; j < k; j++) syscall(SYS_madvise, at[i + j], size, MADV_DONTNEED);
    }
    errno = saved;
}
