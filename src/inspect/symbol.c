/* SPDX-License-Identifier: MIT */
/*
 * symbol.c: see symbol.h. No memory from malloc: a program that dies may have died in it. libbacktrace
 * takes its own from mmap; it takes the dynamic linker's lock once, when it lists the loaded objects. A report of a
 * dying program has a watchdog for that (report.c). The symbols of libbacktrace are weak: a program that is
 * linked without it works, as does the library.
 */
#include "inspect/symbol.h"

#include <dlfcn.h>
#include <link.h>
#include <string.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/die.h"

struct backtrace_state;
typedef void error_fn(void *data, const char *text, int err);
typedef int full_fn(void *data, uintptr_t pc, const char *file, int line, const char *fn);
typedef void sym_fn(void *data, uintptr_t pc, const char *name, uintptr_t start, uintptr_t size);

extern struct backtrace_state *backtrace_create_state(const char *file, int threaded, error_fn *e,
                                                      void *data) RN_WEAK;
extern int backtrace_pcinfo(struct backtrace_state *s, uintptr_t pc, full_fn *fn, error_fn *e,
                            void *data) RN_WEAK;
extern int backtrace_syminfo(struct backtrace_state *s, uintptr_t pc, sym_fn *fn, error_fn *e,
                             void *data) RN_WEAK;

static struct backtrace_state *state;
static bool given_up;

void rn__symbol_give_up(void) { rn__store_relaxed(&given_up, true); }

static void no_matter(void *data, const char *text, int err) { (void)data, (void)text, (void)err; }

static struct backtrace_state *libbacktrace(void) {
    if (!backtrace_create_state || !backtrace_pcinfo || !backtrace_syminfo) return NULL;
    if (rn__load_relaxed(&given_up)) return NULL;
    struct backtrace_state *s = rn__load_acquire(&state); /* A1: pairs with A2 */
    if (s) return s;
    s = backtrace_create_state(NULL, 1, no_matter, NULL);
    if (s) rn__store_release(&state, s); /* A2: two may have made one: the loser's is lost, once */
    return s;
}

/* Inlined ones come first, the function that contains them last. */
static int take_line(void *data, uintptr_t pc, const char *file, int line, const char *fn) {
    struct rn__symbol *s = data;
    (void)pc;
    if (!file && !fn) return 0;
    if (s->n == RN__INLINED) s->n--; /* rather lose one in the middle than the outermost */
    s->line[s->n++] = (struct rn__line){fn, file, line};
    return 0;
}

static void take_sym(void *data, uintptr_t pc, const char *name, uintptr_t start, uintptr_t size) {
    struct rn__symbol *s = data;
    (void)pc, (void)size;
    if (!name) return;
    s->start = start;
    if (s->n == 0) s->line[s->n++] = (struct rn__line){name, NULL, 0};
    if (!s->line[s->n - 1].fn) s->line[s->n - 1].fn = name;
}

/* ---- the object ---- */

struct object {
    const char *name;
    uintptr_t base;
    const char *fn; /* the dynamic symbol, where there is one */
    uintptr_t start;
};

static bool object_of(uintptr_t pc, struct object *o) {
    *o = (struct object){NULL, 0, NULL, 0};
#ifdef DLFO_STRUCT_HAS_EH_DBASE /* glibc 2.35: takes no lock */
    struct dl_find_object found;
    if (_dl_find_object((void *)pc, &found) != 0) return false;
    if (found.dlfo_link_map) {
        o->name = found.dlfo_link_map->l_name;
        o->base = found.dlfo_link_map->l_addr;
    }
    return true;
#else
    Dl_info info;
    struct link_map *map = NULL;
    if (dladdr1((void *)pc, &info, (void **)&map, RTLD_DL_LINKMAP) == 0) return false;
    o->name = info.dli_fname;
    o->base = map ? map->l_addr : 0;
    o->fn = info.dli_sname;
    o->start = (uintptr_t)info.dli_saddr;
    return true;
#endif
}

static void name_object(struct rn__symbol *s, const struct object *o) {
    if (o->name && *o->name) {
        rn__format(s->object, sizeof s->object, "%s", o->name);
        return;
    }
    ssize_t n = readlink("/proc/self/exe", s->object, sizeof s->object - 1); /* the program */
    s->object[n > 0 ? n : 0] = 0;
}

/* Are we in a shared library, and is pc in it, too? */
static bool in_ours(const struct object *o) {
    struct object us;
    return object_of((uintptr_t)in_ours, &us) && us.name && *us.name && o->name &&
           us.base == o->base && strcmp(us.name, o->name) == 0 && strstr(us.name, "librunnel");
}

static void find_object(uintptr_t pc, struct rn__symbol *s) {
    struct object o;
    if (!object_of(pc, &o)) return;
    name_object(s, &o);
    s->offset = pc - o.base;
    s->ours = in_ours(&o);
    if (s->n == 0 && o.fn) {
        s->line[s->n++] = (struct rn__line){o.fn, NULL, 0};
        s->start = o.start;
    }
}

void rn__symbol_find(uintptr_t pc, struct rn__symbol *s) {
    s->n = 0;
    s->start = s->offset = 0;
    s->object[0] = 0;
    s->ours = false;
    struct backtrace_state *b = libbacktrace();
    if (b) {
        backtrace_pcinfo(b, pc, take_line, no_matter, s);
        backtrace_syminfo(b, pc, take_sym, no_matter, s);
    }
    find_object(pc, s);
    if (s->n == 0) s->line[s->n++] = (struct rn__line){NULL, NULL, 0};
}
