/* SPDX-License-Identifier: MIT */
#include "inspect/heap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "os/pages.h"

enum { MOST_RANGES = 1 << 17, LEAST_BLOCK = 32, HEADER = 16, BATCH = 512, LARGEST_PAGE = 65536 };

/* glibc's: a thread's heaps lie on multiples of this. */
static const uintptr_t heap_max = (uintptr_t)64 << 20;

/* In front of each block: the size of the one before (if that is free), its own size with three flags. */
struct header {
    size_t before, size;
};
enum { BEFORE_USED = 1, MAPPED = 2, FLAGS = 7 };

static const struct header *header_at(uintptr_t a) { return (const void *)a; }
static size_t size_at(uintptr_t a) { return header_at(a)->size & ~(size_t)FLAGS; }

/* ---- heaps ---- */

static void add_root(struct rn__memory *m, uintptr_t lo, uintptr_t hi) {
    if (lo < hi && m->nroots < MOST_RANGES) m->root[m->nroots++] = (struct rn__range){lo, hi};
}

/* Do the sizes from `at` add up to `end`? */
static bool adds_up(uintptr_t at, uintptr_t end) {
    while (at < end) {
        if (end - at < LEAST_BLOCK) return size_at(at) <= HEADER; /* fence posts */
        size_t size = size_at(at);
        if (size == HEADER && end - at <= 2 * LEAST_BLOCK) return true;
        if (size < LEAST_BLOCK || size % 16 || size > end - at) return false;
        if (header_at(at)->size & MAPPED) return false;
        at += size;
    }
    return true;
}

static bool is_free(const struct rn__memory *m, uintptr_t at, uintptr_t next, uintptr_t end) {
    if (next + HEADER > end) return true; /* the top */
    if (!(header_at(next)->size & BEFORE_USED)) return true;
    return m->freed && ((const uintptr_t *)(at + HEADER))[1] == m->freed;
}

static void add_block(struct rn__memory *m, uintptr_t at, bool unused) {
    m->mark[m->nblocks] = unused ? RN__UNUSED : 0;
    m->block[m->nblocks++] = at;
}

static void add_arena(struct rn__memory *m, uintptr_t lo, uintptr_t at, uintptr_t end) {
    struct rn__arena *a = &m->arena[m->narenas++];
    *a = (struct rn__arena){lo, end, m->nblocks, 0};
    while (end - at >= LEAST_BLOCK && size_at(at) >= LEAST_BLOCK) {
        uintptr_t next = at + size_at(at);
        add_block(m, at, is_free(m, at, next, end));
        at = next;
    }
    a->n = m->nblocks - a->first;
}

/* The heap of brk(2): blocks from its beginning to its end. */
static bool main_heap(struct rn__memory *m, uintptr_t lo, uintptr_t hi) {
    if (!adds_up(lo, hi)) return false;
    add_arena(m, lo, lo, hi);
    return true;
}

/* What a thread's heap begins with. */
struct heap_info {
    uintptr_t arena, prev;
    size_t size, usable;
};

/* How much of the range from `base` on is such a heap; 0: none. */
static size_t thread_heap(struct rn__memory *m, uintptr_t base, uintptr_t hi) {
    const struct heap_info *h = (const void *)base;
    if (h->size > hi - base || h->size % 4096 || h->size < 4096) return 0;
    if (h->usable < h->size || h->usable > heap_max || !h->arena) return 0;
    bool first = h->prev == 0;
    if (first && (h->arena <= base || h->arena > base + 256)) return 0;
    uintptr_t from = first ? h->arena + 2048 : base + 16; /* behind glibc's own record */
    for (uintptr_t at = (from + 15) & ~(uintptr_t)15; at < base + 8192 && at < base + h->size;
         at += 16) {
        if (!adds_up(at, base + h->size)) continue;
        add_arena(m, base, at, base + h->size);
        return h->usable < hi - base ? h->usable : hi - base;
    }
    return 0;
}

/* Large blocks have a mapping each; the kernel merges them. How much of [lo, hi) is such. */
static size_t mapped_blocks(struct rn__memory *m, uintptr_t lo, uintptr_t hi) {
    uintptr_t at = lo;
    while (at < hi) {
        const struct header *h = header_at(at);
        size_t size = size_at(at);
        if ((h->size & FLAGS) != MAPPED || h->before != 0) break;
        if (size == 0 || size % 4096 || size > hi - at) break;
        struct rn__arena *a = &m->arena[m->narenas++];
        *a = (struct rn__arena){at, at + size, m->nblocks, 1};
        add_block(m, at, false);
        at += size;
    }
    return at - lo;
}

static bool is_present(const struct rn__memory *m, uintptr_t page) {
    uint64_t bits = 0;
    off_t at = (off_t)(page / rn__page_size() * sizeof bits);
    return pread(m->pagemap, &bits, sizeof bits, at) == sizeof bits && bits >> 63 != 0;
}

/* The first of the ranges to leave out that ends behind lo; NULL: none. */
static const struct rn__range *without(const struct rn__memory *m, uintptr_t lo) {
    const struct rn__range *first = NULL;
    for (size_t i = 0; i < m->nwithout; i++) {
        const struct rn__range *r = &m->without[i];
        if (r->hi > lo && (!first || r->lo < first->lo)) first = r;
    }
    return first;
}

static void all_anonymous(struct rn__memory *m, uintptr_t lo, uintptr_t hi) {
    while (lo < hi) {
        uintptr_t base = (lo + heap_max - 1) & ~(heap_max - 1);
        uintptr_t end = base > lo && base < hi ? base : hi;
        size_t done = 0;
        if (is_present(m, lo)) {
            if (lo == base) done = thread_heap(m, lo, hi);
            if (done == 0) done = mapped_blocks(m, lo, end);
        }
        if (done == 0) {
            add_root(m, lo, end);
            done = end - lo;
        }
        lo += done;
    }
}

static void anonymous(struct rn__memory *m, uintptr_t lo, uintptr_t hi) {
    while (lo < hi) {
        const struct rn__range *r = without(m, lo);
        uintptr_t stop = r && r->lo < hi ? r->lo : hi;
        if (lo < stop) all_anonymous(m, lo, stop);
        lo = stop < hi ? r->hi : hi;
    }
}

/* ---- /proc/self/maps ---- */

struct lines {
    int fd;
    size_t n, at;
    char buf[8192];
};

/* The next line, without its end; NULL: no more. */
static char *next_line(struct lines *l) {
    for (;;) {
        char *start = l->buf + l->at, *end = memchr(start, '\n', l->n - l->at);
        if (end) {
            *end = 0;
            l->at = (size_t)(end + 1 - l->buf);
            return start;
        }
        memmove(l->buf, start, l->n - l->at);
        l->n -= l->at;
        l->at = 0;
        ssize_t k = read(l->fd, l->buf + l->n, sizeof l->buf - l->n);
        if (k <= 0) return NULL;
        l->n += (size_t)k;
    }
}

/* "LO-HI rw-p OFFSET DEVICE INODE   NAME" */
static void take_mapping(struct rn__memory *m, char *line) {
    char *s;
    uintptr_t lo = strtoul(line, &s, 16);
    if (*s != '-') return;
    uintptr_t hi = strtoul(s + 1, &s, 16);
    if (strncmp(s, " rw", 3) != 0) return;
    if ((uintptr_t)m->map < hi && lo < (uintptr_t)m->map + m->map_size) {
        /* our own memory is no root, but may have been merged with others */
        if (lo < (uintptr_t)m->map) anonymous(m, lo, (uintptr_t)m->map);
        if ((uintptr_t)m->map + m->map_size < hi) anonymous(m, (uintptr_t)m->map + m->map_size, hi);
        return;
    }
    const char *name = strrchr(s, ' ');
    bool unnamed = !strchr(s, '/') && (!strchr(s, '[') || strstr(s, "[anon:"));
    bool heap = name && strcmp(name + 1, "[heap]") == 0;
    if (heap && is_present(m, lo) && main_heap(m, lo, hi)) return;
    if (unnamed)
        anonymous(m, lo, hi);
    else
        add_root(m, lo, hi);
}

static int list_mappings(struct rn__memory *m) {
    static struct lines l; /* one at a time looks */
    l.n = l.at = 0;
    l.fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    if (l.fd < 0) return -ENOTSUP;
    char *line;
    while ((line = next_line(&l))) take_mapping(m, line);
    close(l.fd);
    return m->nroots == MOST_RANGES ? -ENOTSUP : 0;
}

/* ---- doors ---- */

uintptr_t rn__memory_freed_mark(void) {
    volatile uintptr_t *p = malloc(100);
    if (!p) return 0;
    uintptr_t address = (uintptr_t)p;
    p[1] = 0;
    free((void *)(uintptr_t)p);
    __asm__ volatile("" : "+r"(address));
    return ((volatile uintptr_t *)address)[1]; /* its second word: it lies in this thread's cache */
}

/* Room for as many blocks as can be; only what is used costs memory. */
static bool reserve(struct rn__memory *m) {
    enum { MOST_BLOCKS = 1 << 28 };
    size_t ranges = MOST_RANGES * sizeof *m->root, arenas = MOST_RANGES * sizeof *m->arena;
    size_t blocks = MOST_BLOCKS * sizeof *m->block;
    m->map_size = ranges + arenas + blocks + MOST_BLOCKS;
    m->map = mmap(NULL, m->map_size, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (m->map == MAP_FAILED) return false;
    char *at = m->map;
    m->root = (void *)at;
    m->arena = (void *)(at + ranges);
    m->block = (void *)(at + ranges + arenas);
    m->mark = (void *)(at + ranges + arenas + blocks);
    return true;
}

/* qemu-user tells about its own memory, and keeps our registers where we do not look. */
static bool emulated(void) {
    char name[5] = "";
    int fd = open("/proc/self/comm", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    ssize_t n = read(fd, name, sizeof name);
    close(fd);
    return n == sizeof name && memcmp(name, "qemu-", sizeof name) == 0;
}

int rn__memory_look(struct rn__memory *m, const struct rn__range *without, size_t n) {
    m->without = without;
    m->nwithout = n;
    m->nroots = m->narenas = m->nblocks = 0;
    if (emulated()) return -ENOTSUP;
    m->pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    if (m->pagemap < 0) return -ENOTSUP;
    if (!reserve(m)) {
        close(m->pagemap);
        return -ENOMEM;
    }
    int r = list_mappings(m);
    if (r != 0) {
        rn__memory_done(m);
        return r;
    }
    m->lo = m->narenas ? m->arena[0].lo : 0;
    m->hi = m->narenas ? m->arena[m->narenas - 1].hi : 0;
    return 0;
}

void rn__memory_done(struct rn__memory *m) {
    close(m->pagemap);
    munmap(m->map, m->map_size);
}

/* The last of n sorted ones that is not behind addr; n: none. */
static size_t last_upto(const uintptr_t *v, size_t n, uintptr_t addr) {
    size_t lo = 0, hi = n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (v[mid] <= addr)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo == 0 ? n : lo - 1;
}

static const struct rn__arena *arena_of(const struct rn__memory *m, uintptr_t addr) {
    size_t lo = 0, hi = m->narenas;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (m->arena[mid].hi <= addr)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < m->narenas && m->arena[lo].lo <= addr ? &m->arena[lo] : NULL;
}

ptrdiff_t rn__memory_find(const struct rn__memory *m, uintptr_t addr) {
    if (addr < m->lo || addr >= m->hi) return -1;
    const struct rn__arena *a = arena_of(m, addr);
    if (!a || addr < HEADER) return -1;
    /* a block's own begins behind its header, and goes on over the next one's first word */
    size_t i = last_upto(m->block + a->first, a->n, addr - HEADER);
    return i == a->n ? -1 : (ptrdiff_t)(a->first + i);
}

struct rn__range rn__memory_block(const struct rn__memory *m, size_t block) {
    uintptr_t at = m->block[block];
    size_t size = size_at(at);
    bool mapped = header_at(at)->size & MAPPED;
    return (struct rn__range){at + HEADER, at + size + (mapped ? 0 : sizeof(size_t))};
}

/* A page that is swapped out, or a guard: the kernel does not tell which, so let it read. */
static void swapped_out(uintptr_t from, uintptr_t to,
                        void (*fn)(uintptr_t lo, uintptr_t hi, void *arg), void *arg) {
    static uintptr_t copy[LARGEST_PAGE / sizeof(uintptr_t)];
    struct iovec there = {(void *)from, to - from}, here = {copy, to - from};
    if (to - from > sizeof copy) return;
    if (process_vm_readv(getpid(), &here, 1, &there, 1, 0) != (ssize_t)(to - from)) return;
    fn((uintptr_t)copy, (uintptr_t)copy + (to - from), arg);
}

static void present_page(uint64_t bits, uintptr_t from, uintptr_t to,
                         void (*fn)(uintptr_t lo, uintptr_t hi, void *arg), void *arg) {
    if (bits >> 63)
        fn(from, to, arg);
    else if (bits >> 62)
        swapped_out(from, to, fn, arg);
}

void rn__memory_present(const struct rn__memory *m, uintptr_t lo, uintptr_t hi,
                        void (*fn)(uintptr_t lo, uintptr_t hi, void *arg), void *arg) {
    uintptr_t page = rn__page_size();
    uint64_t bits[BATCH];
    for (uintptr_t at = lo & ~(page - 1); at < hi; at += BATCH * page) {
        ssize_t n = pread(m->pagemap, bits, sizeof bits, (off_t)(at / page * sizeof bits[0]));
        for (size_t i = 0; n > 0 && i < (size_t)n / sizeof bits[0]; i++) {
            uintptr_t from = at + i * page, to = from + page;
            if (from >= hi) break;
            present_page(bits[i], from < lo ? lo : from, to > hi ? hi : to, fn, arg);
        }
    }
}
