/* SPDX-License-Identifier: MIT */
/*
 * collect.c: see collect.h. All memory is one mapping, taken before anything is looked at; of the room for stacks only
 * what is used costs memory.
 *
 * Whose stack may be read. The world stands still: no M that has a P is inside the runtime, so no such M is in the
 * middle of a switch, and nobody who is parked or queued can begin to run. One case is left: a goroutine whose P was taken
 * comes into the runtime, marks itself runnable, and switches away to queue for a P. So we first note the states of all, then
 * wait until every M without a P is through with that (settle), then read: who was noted as runnable or waiting is
 * off its stack and stays so. Who was noted as running is not looked at, whatever it has become.
 */
#include "inspect/collect.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "chan/chan.h"
#include "os/clock.h"

/* All that looks at others' fields is RN_UNSEEN: TSan cannot know that they stand still. */

/* ---- memory ---- */

static bool reserve(struct rn__snapshot *s, uint32_t cap) {
    size_t slots = 1;
    while (slots < 2 * (size_t)cap) slots *= 2;
    size_t sizes[] = {cap * sizeof(struct rn__rec), cap * sizeof(struct rn__group),
                      slots * sizeof(uint32_t), cap * sizeof(uint32_t),
                      (size_t)cap * RN__FRAMES * sizeof(uintptr_t)};
    enum { PARTS = sizeof sizes / sizeof sizes[0] };
    char *part[PARTS];
    s->memory_size = 0;
    for (int i = 0; i < PARTS; i++) s->memory_size += (sizes[i] + 63) & ~(size_t)63;
    s->memory = mmap(NULL, s->memory_size, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (s->memory == MAP_FAILED) return false;
    char *at = s->memory;
    for (int i = 0; i < PARTS; i++) {
        part[i] = at;
        at += (sizes[i] + 63) & ~(size_t)63;
    }
    s->recs = (void *)part[0];
    s->groups = (void *)part[1];
    s->table = (void *)part[2];
    s->table_mask = (uint32_t)slots - 1;
    s->order = (void *)part[3];
    s->pcs = s->pcs_end = (void *)part[4];
    s->n = s->ngroups = 0;
    s->cap = cap;
    return true;
}

void rn__collect_free(struct rn__snapshot *s) { munmap(s->memory, s->memory_size); }

/* ---- the world ---- */

RN_UNSEEN void rn__freeze(void) {
    rn__store_seq_cst(&rn__sched.stopping, 1u); /* nobody takes an idle P any more */
    struct rn__m *self = rn__arch_tls_m();
    for (uint32_t i = 0; i < RN__MAX_PROCS; i++) {
        struct rn__p *p = rn__load_acquire(&rn__sched.ps[i]);
        if (!p) break;
        if (rn__load_relaxed(&p->m) != self) rn__claim_p(p, 200); /* for ever */
    }
}

/* It is not in the middle of a switch; see above. */
static RN_UNSEEN bool settled(struct rn__m *m) {
    if (rn__load_acquire(&m->inside) == RN__OUTSIDE) return true;
    if (rn__load_relaxed(&m->claim) == RN__FOREIGN) return true;
    struct rn__g *g = rn__load_relaxed(&m->g);
    return rn__load_relaxed(&m->p) != NULL || !g || (g->kind == RN__G0 && !m->after);
}

static RN_UNSEEN bool settle(void) {
    struct rn__m *self = rn__arch_tls_m();
    rn__barrier_heavy();
    for (struct rn__m *m = rn__load_acquire(&rn__sched.all_ms); m; m = m->all_next)
        for (int i = 0; m != self && !settled(m); i++) {
            if (i == 2000) return false;
            rn__nap(i < 20 ? 20 * RN_US : 500 * RN_US);
        }
    return true;
}

/* Does the thread sleep in the kernel? */
static bool in_kernel(int tid) {
    char path[64], text[256];
    rn__format(path, sizeof path, "/proc/self/task/%d/stat", tid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    if (n <= 0) return false;
    text[n] = 0;
    const char *paren = strrchr(text, ')'); /* "TID (NAME) STATE ..." */
    return paren && (paren[2] == 'S' || paren[2] == 'D');
}

/* ---- the goroutines ---- */

static RN_UNSEEN void note_name(struct rn__rec *r, const struct rn__g *g) {
    for (int i = 0; i < RN__NAME; i++) r->name[i] = g->name[i];
    r->name[RN__NAME - 1] = 0;
}

static RN_UNSEEN struct rn__rec *note(struct rn__snapshot *s, struct rn__g *g) {
    struct rn__rec *r = &s->recs[s->n++];
    r->g = g;
    r->id = g->id;
    r->state = rn__load_acquire(&g->state);
    r->reason = g->reason;
    r->on = g->on;
    r->since = g->since;
    r->creator = g->creator;
    r->fn = g->fn;
    r->thread = g->kind == RN__THREAD;
    r->locked = g->locked_m != NULL;
    r->is_main = !r->thread && rn__is_main(g);
    note_name(r, g);
    return r;
}

static RN_UNSEEN bool alive(struct rn__g *g) {
    uint32_t state = rn__load_relaxed(&g->state);
    return state == RN__RUNNABLE || state == RN__RUNNING || state == RN__WAITING;
}

static RN_UNSEEN bool count_one(struct rn__g *g, void *n) {
    if (alive(g)) ++*(uint32_t *)n;
    return true;
}

static RN_UNSEEN bool note_one(struct rn__g *g, void *arg) {
    struct rn__snapshot *s = arg;
    if (s->n == s->cap) return false;
    if (alive(g)) note(s, g);
    return true;
}

/* Plain threads that wait for something of ours; not those that wait for rn_run to return. */
static RN_UNSEEN void note_threads(struct rn__snapshot *s) {
    for (struct rn__m *m = rn__load_acquire(&rn__sched.all_ms); m; m = m->all_next) {
        if (m->claim != RN__FOREIGN || !m->blocked || m->self.reason == RN__WAIT_NONE) continue;
        if (s->n == s->cap) return;
        struct rn__rec *r = note(s, &m->self);
        r->id = (uint64_t)m->tid;
        r->state = RN__WAITING;
    }
}

/* fn(arg), which may look at what is not there any more, where nobody stopped the world. False: it did. */
static RN_UNSEEN bool done(const struct rn__collector *how, void (*fn)(void *), void *arg) {
    if (how) return how->guard(fn, arg);
    fn(arg);
    return true;
}

/* ---- what they wait for ---- */

static RN_UNSEEN void note_chan(struct rn__rec *r, struct rn__hchan *c) {
    if (r->nchans < RN__SHOWN_CHANS)
        r->chan[r->nchans] = (struct rn__chan_rec){c, c->qcount, c->dataqsiz, c->closed != 0};
    r->nchans++;
}

static RN_UNSEEN void note_chans(void *rec) {
    struct rn__rec *r = rec;
    r->nchans = 0;
    if (r->state != RN__WAITING || !r->on) return;
    if (r->reason == RN__WAIT_SEND || r->reason == RN__WAIT_RECV) note_chan(r, r->on);
    if (r->reason == RN__WAIT_SELECT)
        for (uint32_t i = 0; i < rn__select_nchans(r->on); i++)
            note_chan(r, rn__select_chan(r->on, i));
}

/* ---- stacks ---- */

static uint64_t mix(uint64_t h, uint64_t v) {
    h = (h ^ v) * UINT64_C(0x9e3779b97f4a7c15);
    return h ^ (h >> 29);
}

static uint64_t hash_of(const struct rn__group *key, const uintptr_t *pc) {
    uint64_t h = mix(key->creator_pc, (uint64_t)key->state << 32 | key->reason);
    h = mix(h, (uint64_t)key->elided << 32 | key->n << 1 | key->unreadable);
    for (uint32_t i = 0; i < key->n; i++) h = mix(h, pc[i]);
    return h;
}

static bool same(const struct rn__group *a, const struct rn__group *b, const uintptr_t *pc) {
    if (a->hash != b->hash || a->creator_pc != b->creator_pc || a->state != b->state) return false;
    if (a->reason != b->reason || a->n != b->n || a->elided != b->elided) return false;
    if (a->unreadable != b->unreadable) return false;
    return memcmp(a->pc, pc, a->n * sizeof *pc) == 0;
}

static uint32_t intern(struct rn__snapshot *s, struct rn__group *key, const uintptr_t *pc) {
    key->hash = hash_of(key, pc);
    uint32_t at = (uint32_t)key->hash & s->table_mask;
    for (; s->table[at]; at = (at + 1) & s->table_mask)
        if (same(&s->groups[s->table[at] - 1], key, pc)) return s->table[at] - 1;
    s->groups[s->ngroups] = *key;
    struct rn__group *g = &s->groups[s->ngroups];
    g->pc = s->pcs_end;
    for (uint32_t i = 0; i < key->n; i++) *s->pcs_end++ = pc[i];
    s->table[at] = ++s->ngroups;
    return s->ngroups - 1;
}

static void add_to_group(struct rn__snapshot *s, struct rn__rec *r, struct rn__group *key,
                         const uintptr_t *pc) {
    r->group = intern(s, key, pc);
    struct rn__group *g = &s->groups[r->group];
    if (g->count++ == 0) g->since_min = g->since_max = r->since;
    if (r->since < g->since_min) g->since_min = r->since;
    if (r->since > g->since_max) g->since_max = r->since;
}

struct reading {
    struct rn__ctx *ctx;
    struct rn__stack_pcs *out;
};

static void read_stack(void *arg) {
    struct reading *r = arg;
    rn__unwind(r->ctx, r->out);
}

static bool readable(struct rn__rec *r, bool is_settled) {
    if (r->thread || r->state == RN__WAITING) return true;
    return r->state == RN__RUNNABLE && is_settled;
}

static RN_UNSEEN void note_stack(struct rn__snapshot *s, struct rn__rec *r, struct rn__ctx *ctx,
                                 const struct rn__collector *how) {
    struct rn__stack_pcs pcs = {.n = 0};
    struct reading reading = {ctx, &pcs};
    bool ok = ctx && done(how, read_stack, &reading);
    if (!ok) pcs.n = pcs.elided = 0;
    if (ok && !r->thread && pcs.n == 1 && ctx->pc == (void *)(uintptr_t)rn__go_entry) {
        pcs.pc[0] = (uintptr_t)r->fn; /* it has not begun: show what it will do */
        pcs.exact[0] = 1;
    }
    struct rn__group key = {.creator_pc = (uintptr_t)r->g->creator_pc,
                            .state = r->state,
                            .reason = r->state == RN__WAITING ? r->reason : 0,
                            .unreadable = !ok,
                            .n = pcs.n,
                            .elided = pcs.elided,
                            .exact = {pcs.exact[0], pcs.exact[1]}};
    if (r->thread) key.creator_pc = 0;
    add_to_group(s, r, &key, pcs.pc);
}

/* ---- in order ---- */

static void sift(struct rn__snapshot *s, uint32_t at, uint32_t n) {
    for (uint32_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && s->recs[s->order[child]].id < s->recs[s->order[child + 1]].id) child++;
        if (s->recs[s->order[at]].id >= s->recs[s->order[child]].id) return;
        uint32_t t = s->order[at];
        s->order[at] = s->order[child];
        s->order[child] = t;
    }
}

static void sort(struct rn__snapshot *s) {
    for (uint32_t i = 0; i < s->n; i++) s->order[i] = i;
    for (uint32_t i = s->n / 2; i-- > 0;) sift(s, i, s->n);
    for (uint32_t n = s->n; n-- > 1;) {
        uint32_t t = s->order[0];
        s->order[0] = s->order[n];
        s->order[n] = t;
        sift(s, 0, n);
    }
}

/* ---- all of it ---- */

/* Drop the caller's own record. */
static RN_UNSEEN void leave_out(struct rn__snapshot *s, struct rn__g *g) {
    for (uint32_t i = 0; i < s->n; i++)
        if (s->recs[i].g == g) {
            s->recs[i] = s->recs[--s->n];
            return;
        }
}

static RN_UNSEEN void note_rest(struct rn__snapshot *s, struct rn__g *self, struct rn__ctx *own,
                                const struct rn__collector *how) {
    bool is_settled = settle();
    for (uint32_t i = 0; i < s->n; i++) {
        struct rn__rec *r = &s->recs[i];
        bool mine = r->g == self;
        if (!done(how, note_chans, r)) r->nchans = 0; /* of a flock, and its channel is gone */
        r->in_kernel = !mine && r->state == RN__RUNNING && r->g->m && in_kernel(r->g->m->tid);
        struct rn__ctx *ctx = mine ? own : readable(r, is_settled) ? &r->g->ctx : NULL;
        if (!mine && how && r->state == RN__RUNNING) ctx = how->running(r->g);
        note_stack(s, r, ctx, how);
    }
}

RN_UNSEEN bool rn__collect(struct rn__snapshot *s, struct rn__ctx *own,
                           const struct rn__collector *how) {
    struct rn__m *m = rn__arch_tls_m();
    struct rn__g *self = m->g && m->g->kind == RN__GOROUTINE ? m->g : NULL;
    uint32_t n = 64; /* for some more that plain threads start meanwhile, and for threads */
    rn__stack_each(count_one, &n);
    if (!reserve(s, n)) return false;
    if (!how) rn__global_unfold();
    s->when = rn__now();
    rn__stack_each(note_one, s);
    note_threads(s);
    if (self && !own) leave_out(s, self);
    note_rest(s, self, own, how);
    sort(s);
    return true;
}
