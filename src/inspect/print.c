/* SPDX-License-Identifier: MIT */
#include "inspect/print.h"

#include <string.h>

#include "base/debug.h"
#include "inspect/symbol.h"

enum { IDS_SHOWN = 8, SIGNAL_DEPTH = 12 };

/* ---- frames ---- */

/* The folder of our sources, as the compiler was told it: "/somewhere/src/". */
static const char this_file[] = __FILE__;
enum { ROOT = sizeof this_file - sizeof "inspect/print.c" };

static bool in_our_sources(const char *file) {
    if (!file || ROOT <= 0) return false;
    if (this_file[0] == '/') return strncmp(file, this_file, ROOT) == 0;
    for (const char *at = file; (at = strstr(at, "src/")); at++)
        if (strncmp(at, this_file, ROOT) == 0) return true;
    return false;
}

/* The library's own, by its name, its source file or, in librunnel.so, its place. */
static bool is_ours(const struct rn__symbol *sym, uint32_t k) {
    const struct rn__line *l = &sym->line[k];
    return sym->ours || (l->fn && strncmp(l->fn, "rn_", 3) == 0) || in_our_sources(l->file);
}

/* A place in a stack: a frame, and a line (an inlined function) of it. */
struct place {
    uint32_t frame, line;
};

/* The innermost after what a signal handler did, and after our own. {n, 0}: there is none. */
static struct place inner_end(const struct rn__stack_pcs *s) {
    uint32_t first = 0;
    for (uint32_t i = 0; i < s->n && i < SIGNAL_DEPTH; i++)
        if (rn__pc_exact(s, i)) first = i;
    for (uint32_t i = first; i < s->n; i++) {
        struct rn__symbol sym;
        rn__symbol_find(rn__pc_lookup(s, i), &sym);
        for (uint32_t k = 0; k < sym.n; k++)
            if (!is_ours(&sym, k)) return (struct place){i, k};
    }
    return (struct place){s->n, 0};
}

/* Behind the outermost frame that is not wholly our own. */
static uint32_t outer_end(const struct rn__stack_pcs *s) {
    for (uint32_t i = s->n; i-- > 0;) {
        struct rn__symbol sym;
        rn__symbol_find(rn__pc_lookup(s, i), &sym);
        if (!is_ours(&sym, sym.n - 1)) return i + 1;
    }
    return 0;
}

static void print_line(struct rn__out *o, const struct rn__line *l, const struct rn__symbol *sym,
                       uintptr_t pc) {
    rn__out_format(o, "%s(...)\n", l->fn ? l->fn : "?");
    if (l->file)
        rn__out_format(o, "\t%s:%d", l->file, l->line);
    else if (sym->object[0])
        rn__out_format(o, "\t%s(+%#zx)", sym->object, (size_t)sym->offset);
    else
        rn__out_format(o, "\t%#zx", (size_t)pc);
    if (sym->start && sym->start <= pc) rn__out_format(o, " +%#zx", (size_t)(pc - sym->start));
    rn__out_text(o, "\n");
}

static void print_frame(struct rn__out *o, const struct rn__stack_pcs *s, struct place at) {
    struct rn__symbol sym;
    rn__symbol_find(rn__pc_lookup(s, at.frame), &sym);
    for (uint32_t k = at.line; k < sym.n; k++) print_line(o, &sym.line[k], &sym, s->pc[at.frame]);
}

void rn__print_stack(struct rn__out *o, const struct rn__stack_pcs *s) {
    struct place from = {0, 0};
    uint32_t to = s->n;
    if (!rn__debug.frames && outer_end(s) > 0) { /* else there is nothing but our own: show that */
        from = inner_end(s);
        to = outer_end(s);
    }
    for (uint32_t i = from.frame; i < to; i++) {
        if (i == RN__FRAMES / 2 && s->elided)
            rn__out_format(o, "...%u frames elided...\n", s->elided);
        print_frame(o, s, (struct place){i, i == from.frame ? from.line : 0});
    }
}

void rn__print_creator(struct rn__out *o, uintptr_t pc, uint64_t creator) {
    if (!pc) return;
    struct rn__symbol sym;
    rn__symbol_find(pc - 1, &sym);
    const struct rn__line *l = &sym.line[0];
    rn__out_format(o, "created by %s", l->fn ? l->fn : "?");
    if (creator) rn__out_format(o, " in goroutine %llu", (unsigned long long)creator);
    if (l->file)
        rn__out_format(o, "\n\t%s:%d", l->file, l->line);
    else
        rn__out_format(o, "\n\t%s(+%#zx)", sym.object, (size_t)sym.offset);
    if (sym.start && sym.start <= pc) rn__out_format(o, " +%#zx", (size_t)(pc - sym.start));
    rn__out_text(o, "\n");
}

/* ---- goroutines ---- */

static const char *status(const struct rn__rec *r) {
    if (r->state == RN__WAITING) return rn__reason_text((enum rn__reason)r->reason);
    if (r->state == RN__RUNNABLE) return "runnable";
    return r->in_kernel ? "syscall" : "running";
}

static int64_t minutes(const struct rn__snapshot *s, rn_time since) {
    return (s->when - since) / (60 * RN_SEC);
}

static void print_brackets(struct rn__out *o, const struct rn__snapshot *s, const struct rn__rec *r,
                           rn_time oldest, rn_time youngest) {
    rn__out_format(o, " [%s", status(r));
    if (r->state == RN__WAITING && minutes(s, oldest) > 0) {
        if (minutes(s, youngest) != minutes(s, oldest))
            rn__out_format(o, ", %lld-%lld minutes", (long long)minutes(s, youngest),
                           (long long)minutes(s, oldest));
        else
            rn__out_format(o, ", %lld minutes", (long long)minutes(s, oldest));
    }
    if (r->locked) rn__out_text(o, ", locked to thread");
    rn__out_text(o, "]");
    if (r->name[0]) rn__out_format(o, " {\"name\": \"%s\"}", r->name);
    rn__out_text(o, ":\n");
}

static void print_chans(struct rn__out *o, const struct rn__rec *r) {
    for (uint32_t i = 0; i < r->nchans && i < RN__SHOWN_CHANS; i++)
        rn__out_format(o, "waiting on channel %p: len %zu, cap %zu%s\n", r->chan[i].c,
                       r->chan[i].len, r->chan[i].cap, r->chan[i].closed ? ", closed" : "");
    if (r->nchans > RN__SHOWN_CHANS)
        rn__out_format(o, "... and %u more\n", r->nchans - RN__SHOWN_CHANS);
    if (r->state == RN__WAITING && r->nchans == 0 && r->on && r->reason >= RN__WAIT_SEMA)
        rn__out_format(o, "waiting on %p\n", r->on);
}

static void print_group_stack(struct rn__out *o, const struct rn__group *g) {
    if (g->unreadable) {
        rn__out_text(o, "\tgoroutine running on other thread; stack unavailable\n");
        return;
    }
    struct rn__stack_pcs pcs = {
        .n = g->n, .elided = g->elided, .exact = {g->exact[0], g->exact[1]}};
    memcpy(pcs.pc, g->pc, g->n * sizeof *g->pc);
    rn__print_stack(o, &pcs);
}

void rn__print_one(struct rn__out *o, struct rn__snapshot *s, const struct rn__rec *r) {
    struct rn__group *g = &s->groups[r->group];
    rn__out_format(o, "\n%s %llu", r->thread ? "thread" : "goroutine", (unsigned long long)r->id);
    print_brackets(o, s, r, r->since, r->since);
    print_group_stack(o, g);
    if (!r->is_main) rn__print_creator(o, g->creator_pc, r->creator);
    print_chans(o, r);
}

/* ---- many ---- */

static void print_ids(struct rn__out *o, struct rn__snapshot *s, uint32_t first) {
    const struct rn__rec *r = &s->recs[s->order[first]];
    uint32_t shown = 0;
    rn__out_text(o, "\ngoroutines ");
    for (uint32_t i = first; i < s->n && shown < IDS_SHOWN; i++) {
        const struct rn__rec *other = &s->recs[s->order[i]];
        if (other->group != r->group) continue;
        rn__out_format(o, "%s%llu", shown ? ", " : "", (unsigned long long)other->id);
        shown++;
    }
    uint32_t count = s->groups[r->group].count;
    if (count > shown) rn__out_format(o, ", ... (%u in all)", count);
}

static void print_group(struct rn__out *o, struct rn__snapshot *s, uint32_t first) {
    struct rn__rec r = s->recs[s->order[first]];
    struct rn__group *g = &s->groups[r.group];
    print_ids(o, s, first);
    r.name[0] = 0;
    print_brackets(o, s, &r, g->since_min, g->since_max);
    print_group_stack(o, g);
    if (!r.is_main) rn__print_creator(o, g->creator_pc, 0);
}

/* Equal ones together if there are many. A group may have members that are not to be shown: then it is not shown as one. */
static void print_some(struct rn__out *o, struct rn__snapshot *s, bool only_stuck) {
    bool grouping = !only_stuck && rn__debug.group > 0 && s->n > (uint32_t)rn__debug.group;
    for (uint32_t i = 0; i < s->n; i++) {
        const struct rn__rec *r = &s->recs[s->order[i]];
        struct rn__group *g = &s->groups[r->group];
        if (g->printed || (only_stuck && !r->stuck)) continue;
        if (grouping && g->count > 1) {
            g->printed = true;
            print_group(o, s, i);
        } else {
            rn__print_one(o, s, r);
        }
    }
}

void rn__print_snapshot(struct rn__out *o, struct rn__snapshot *s) { print_some(o, s, false); }

void rn__print_stuck(struct rn__out *o, struct rn__snapshot *s) { print_some(o, s, true); }
