/* SPDX-License-Identifier: MIT */
/*
 * stack.c: goroutines' stacks. One reserved range of addresses per size (a power of two), cut into slots:
 *
 *   | guard page |      stack, growing down      | struct rn__g |
 *
 * The G lies in the page that the first frames touch anyhow: a parked goroutine costs one page and its page
 * table entry. Free stacks are reused last in first out, warm, from a list on the P; lists that grow
 * too long go to the class's warm list, and what is idle there beyond a bound is trimmed by sysmon: its pages
 * are given back, many with one system call, and the slot goes to the cold array, which is kept outside the
 * slots as they hold nothing any more. Guards stay. The number of mappings does not depend on the number
 * of stacks where guards are made by MADV_GUARD_INSTALL.
 *
 * class.lock (the lowest rank) protects all fields of a class but `chunk`, whose entries are only added;
 * `nchunks` and `made` are read without it by rn__stack_find, in signal handlers.
 */
#include <stdlib.h>
#include <string.h>

#include "os/pages.h"
#include "os/valgrind.h"
#include "sched/core.h"

enum {
    MIN_CLASS = 14,
    MAX_CLASS = 30,
    CHUNKS = 24,
    CARVE = 16, /* slots made at once */
    COLOURS = 16,
    P_FREE = 256,     /* free stacks that a P keeps; twice that before it gives half away */
    WARM = 1024,      /* free stacks that keep their memory, for each class */
    TRIM = 256,       /* stacks trimmed in one go */
    DUMP_STEP = 1024, /* slots that become part of core dumps at once */
};

struct chunk {
    char *base;
    size_t slots;
    size_t made;   /* slots that have a guard and a G; atomic */
    size_t dumped; /* slots that core dumps contain */
};

struct class {
    struct rn__lock lock;
    uint32_t nchunks; /* atomic */
    struct chunk chunk[CHUNKS];
    struct rn__g *warm;
    size_t nwarm;
    size_t low;  /* the least of nwarm since the last trim: so many were idle all the time */
    char **cold; /* the slots' bases */
    size_t ncold, cold_cap;
};

static struct class classes[MAX_CLASS + 1];
static uint32_t default_class = 18;

/*
 * How much to reserve for a size: a first chunk that lasts for most programs (an emulator spends
 * seconds on the page tables of a terabyte), then large ones, less where that is not to be had.
 */
#define FIRST_BYTES (sizeof(void *) == 8 ? (size_t)1 << 34 : (size_t)1 << 28)
static size_t reserve_bytes = sizeof(void *) == 8 ? (size_t)1 << 40 : (size_t)1 << 28;

static uint32_t class_of(size_t size) {
    uint32_t c = MIN_CLASS;
    while (((size_t)1 << c) < size) c++;
    return c;
}

void rn__stack_init(void) {
    const char *s = getenv("RUNNEL_STACK");
    char *end;
    for (uint32_t c = MIN_CLASS; c <= MAX_CLASS; c++)
        rn__lock_rank(&classes[c].lock, RN__RANK_STACKS);
    if (rn__sanitized) {
        reserve_bytes =
            (size_t)1 << 34; /* their shadow maps leave less room, and frames are larger */
        default_class = 19;
    }
    /* Memcheck keeps a state of each byte mapped, touched or not: a terabyte takes it minutes */
    if (rn__valgrind_on()) reserve_bytes = (size_t)1 << 28;
    if (s && *s) {
        unsigned long long n = strtoull(s, &end, 0);
        if (*end == 'K' || *end == 'k')
            n <<= 10, end++;
        else if (*end == 'M' || *end == 'm')
            n <<= 20, end++;
        if (*end || n == 0 || n > RN__MAX_STACK) {
            rn__print(
                2, "runnel: RUNNEL_STACK=%s: not a size up to 1 GiB (bytes, or with K or M)\n", s);
            rn__fatal("bad RUNNEL_STACK");
        }
        default_class = class_of((size_t)n);
    }
}

/*
 * Not a power of two: the pages that are in use, the last one of each slot, would share a 64th of a TLB's sets where that goes by
 * the lowest bits of a page's number, and their page table entries an 8th of a cache's.
 */
static size_t slot_size(uint32_t c) { return ((size_t)1 << c) + rn__page_size(); }

/*
 * Gs at the same place in each slot would share a 64th of every cache's sets. So neighbours lie a line apart, as far as a page
 * allows that also holds the first frames.
 */
static struct rn__g *slot_g(char *slot, uint32_t c) {
    size_t g_size = (sizeof(struct rn__g) + RN_CACHE_LINE - 1) / RN_CACHE_LINE * RN_CACHE_LINE;
    size_t colour = (uintptr_t)slot / slot_size(c) % COLOURS * RN_CACHE_LINE;
    return (struct rn__g *)(void *)(slot + slot_size(c) - colour - g_size);
}

static struct rn__g *slot_init(char *slot, uint32_t c) {
    struct rn__g *g = slot_g(slot, c);
    g->lo = slot + rn__page_size();
    g->hi = (char *)g;
    g->stack_class = c;
    g->kind = RN__GOROUTINE;
    return g;
}

size_t rn__stack_size(const struct rn__g *g) { return (size_t)1 << g->stack_class; }

/* ---- making ---- */

static bool add_chunk(struct class *k, uint32_t c) {
    if (k->nchunks == CHUNKS) return false;
    size_t least = slot_size(c) * (c <= 20 ? CARVE : 1);
    size_t most = reserve_bytes > FIRST_BYTES && !k->nchunks ? FIRST_BYTES : reserve_bytes;
    for (size_t size = most; size >= least; size /= 2) {
        char *base = rn__pages_reserve(size);
        if (!base) continue;
        rn__pages_dump(base, size, false);
        k->chunk[k->nchunks] = (struct chunk){base, size / slot_size(c), 0, 0};
        rn__store_release(&k->nchunks, k->nchunks + 1);
        return true;
    }
    return false;
}

static struct chunk *room(struct class *k, uint32_t c) {
    struct chunk *last = k->nchunks ? &k->chunk[k->nchunks - 1] : NULL;
    if (last && last->made < last->slots) return last;
    return add_chunk(k, c) ? &k->chunk[k->nchunks - 1] : NULL;
}

static void warm_put(struct class *k, struct rn__g *g) {
    g->next = k->warm;
    k->warm = g;
    rn__store_relaxed(&k->nwarm, k->nwarm + 1);
}

static void include_in_dumps(struct chunk *ch, uint32_t c, size_t upto) {
    while (ch->dumped < upto) {
        size_t n = ch->slots - ch->dumped < DUMP_STEP ? ch->slots - ch->dumped : DUMP_STEP;
        rn__pages_dump(ch->base + ch->dumped * slot_size(c), n * slot_size(c), true);
        ch->dumped += n;
    }
}

/* Some new stacks onto the warm list. With the lock. */
static bool carve(struct class *k, uint32_t c) {
    struct chunk *ch = room(k, c);
    if (!ch) return false;
    size_t n = c <= 20 ? CARVE : 1;
    if (n > ch->slots - ch->made) n = ch->slots - ch->made;
    char *slot = ch->base + ch->made * slot_size(c);
    if (rn__pages_guard(slot, slot_size(c), n) != 0) {
        n = 1; /* perhaps one more mapping is to be had */
        if (rn__pages_guard(slot, slot_size(c), n) != 0) return false;
    }
    include_in_dumps(ch, c, ch->made + n);
    for (size_t i = n; i-- > 0;) {
        struct rn__g *g = slot_init(slot + i * slot_size(c), c);
        rn__valgrind_stack(g->lo, g->hi);
        warm_put(k, g);
    }
    rn__store_release(&ch->made, ch->made + n);
    return true;
}

static struct rn__g *class_get(struct class *k, uint32_t c) {
    if (!k->warm && k->ncold) return slot_init(k->cold[--k->ncold], c);
    if (!k->warm && !carve(k, c)) return NULL;
    struct rn__g *g = k->warm;
    k->warm = g->next;
    rn__store_relaxed(&k->nwarm, k->nwarm - 1);
    if (k->nwarm < k->low) k->low = k->nwarm;
    return g;
}

/* ---- the doors ---- */

static RN_NOINLINE struct rn__g *get_slowly(struct rn__p *p, uint32_t c) {
    struct class *k = &classes[c];
    rn__lock_acquire(&k->lock);
    struct rn__g *g = class_get(k, c);
    /* The P takes some more along, as its list is empty. */
    for (int i = 1; p && c == default_class && k->warm && i < CARVE; i++) {
        struct rn__g *more = class_get(k, c);
        more->next = p->free;
        p->free = more;
        p->nfree++;
    }
    rn__lock_release(&k->lock);
    return g;
}

/* size 0: the default. NULL: no memory. */
struct rn__g *rn__stack_get(struct rn__p *p, size_t size) {
    uint32_t c = size == 0 ? default_class : class_of(size);
    if (unlikely(!p || c != default_class || !p->free)) return get_slowly(p, c);
    struct rn__g *g = p->free;
    p->free = g->next;
    p->nfree--;
    return g;
}

static RN_NOINLINE void give_half_away(struct rn__p *p) {
    struct class *k = &classes[default_class];
    rn__lock_acquire(&k->lock);
    for (; p->nfree > P_FREE; p->nfree--) {
        struct rn__g *g = p->free;
        p->free = g->next;
        warm_put(k, g);
    }
    rn__lock_release(&k->lock);
}

void rn__stack_put(struct rn__p *p, struct rn__g *g) {
    g->state = RN__IDLE;
    if (unlikely(g->stack_class != default_class)) {
        struct class *k = &classes[g->stack_class];
        rn__lock_acquire(&k->lock);
        warm_put(k, g);
        rn__lock_release(&k->lock);
        return;
    }
    g->next = p->free;
    p->free = g;
    if (unlikely(++p->nfree > 2 * P_FREE)) give_half_away(p);
}

/* ---- trimming ---- */

static bool cold_room(struct class *k) {
    if (k->ncold + TRIM <= k->cold_cap) return true;
    size_t cap = (k->cold_cap + TRIM) * 2;
    char **more = realloc(k->cold, cap * sizeof *more);
    if (!more) return false;
    k->cold = more;
    k->cold_cap = cap;
    return true;
}

/* Up to TRIM stacks of a class, of those that were idle since the last trim. Nobody can get them meanwhile. */
static size_t take_surplus(struct class *k, struct rn__g **surplus) {
    size_t n = 0;
    rn__lock_acquire(&k->lock);
    for (; n < TRIM && k->low > WARM; k->low--) {
        surplus[n++] = k->warm;
        k->warm = k->warm->next;
        rn__store_relaxed(&k->nwarm, k->nwarm - 1);
    }
    if (n < TRIM) k->low = k->nwarm; /* a new round begins */
    rn__lock_release(&k->lock);
    return n;
}

static bool trim_class(uint32_t c) {
    struct class *k = &classes[c];
    struct rn__g *surplus[TRIM];
    void *lo[TRIM];
    size_t n = take_surplus(k, surplus);
    if (n == 0) return false;
    for (size_t i = 0; i < n; i++) lo[i] = surplus[i]->lo;
    rn__pages_drop(lo, slot_size(c) - rn__page_size(), n);
    rn__lock_acquire(&k->lock);
    bool ok = cold_room(k);
    for (size_t i = 0; i < n; i++) {
        char *slot = (char *)lo[i] - rn__page_size();
        if (ok)
            k->cold[k->ncold++] = slot;
        else
            warm_put(k, slot_init(slot, c));
    }
    rn__lock_release(&k->lock);
    return ok && n == TRIM;
}

/*
 * Give back the memory of stacks that were not needed since the last call, but for some of each class. Called by
 * sysmon now and then.
 */
void rn__stack_trim(void) {
    for (uint32_t c = MIN_CLASS; c <= MAX_CLASS; c++)
        while (trim_class(c)) {
        }
}

/* Will a later rn__stack_trim have something to do? A glance. */
bool rn__stack_surplus(void) {
    for (uint32_t c = MIN_CLASS; c <= MAX_CLASS; c++)
        if (rn__load_relaxed(&classes[c].nwarm) > WARM) return true;
    return false;
}

/* ---- looking ---- */

void rn__stack_each(bool (*fn)(struct rn__g *, void *), void *arg) {
    for (uint32_t c = MIN_CLASS; c <= MAX_CLASS; c++) {
        struct class *k = &classes[c];
        uint32_t n = rn__load_acquire(&k->nchunks);
        for (uint32_t i = 0; i < n; i++) {
            size_t made = rn__load_acquire(&k->chunk[i].made);
            for (size_t s = 0; s < made; s++)
                if (!fn(slot_g(k->chunk[i].base + s * slot_size(c), c), arg)) return;
        }
    }
}

void rn__stack_ranges(void (*fn)(char *lo, char *hi, void *arg), void *arg) {
    for (uint32_t c = MIN_CLASS; c <= MAX_CLASS; c++) {
        struct class *k = &classes[c];
        uint32_t n = rn__load_acquire(&k->nchunks);
        for (uint32_t i = 0; i < n; i++)
            fn(k->chunk[i].base, k->chunk[i].base + k->chunk[i].slots * slot_size(c), arg);
    }
}

struct rn__g *rn__stack_find(const void *addr, bool *in_guard) {
    const char *a = addr;
    for (uint32_t c = MIN_CLASS; c <= MAX_CLASS; c++) {
        struct class *k = &classes[c];
        uint32_t n = rn__load_acquire(&k->nchunks);
        for (uint32_t i = 0; i < n; i++) {
            struct chunk *ch = &k->chunk[i];
            size_t off = (size_t)(a - ch->base);
            if (a < ch->base || off >= rn__load_acquire(&ch->made) * slot_size(c)) continue;
            *in_guard = off % slot_size(c) < rn__page_size();
            return slot_g(ch->base + off / slot_size(c) * slot_size(c), c);
        }
    }
    return NULL;
}
