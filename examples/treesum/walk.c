/* SPDX-License-Identifier: MIT */
/*
 * walk.c: the walker: a goroutine that makes a job for each regular file below the roots.
 *
 * It goes depth first with the names of each directory sorted, so that jobs are made in the order of
 * their full paths. In memory are the names of the directories on the way down, on the heap: a goroutine's
 * stack is small, and trees may be deep. Symbolic links are not followed, but for the roots themselves;
 * FIFOs, sockets and devices are passed over.
 */
#include <stdlib.h>
#include <string.h>

#include "treesum.h"

struct level {
    struct names names;
    size_t next; /* the first name not yet visited */
    size_t base; /* length of the path that the names go behind, with its slash */
};

struct walker {
    const struct plan *p;
    char *path;
    size_t length, room;
    struct level *levels;
    size_t depth, level_room;
};

static void path_cut_and_add(struct walker *w, size_t base, const char *name) {
    size_t length = strlen(name);
    if (base + length + 2 > w->room) {
        w->room = 2 * (base + length + 2);
        w->path = need(realloc(w->path, w->room));
    }
    memcpy(w->path + base, name, length + 1);
    w->length = base + length;
}

static struct level *push(struct walker *w, size_t base) {
    if (w->depth == w->level_room) {
        w->level_room = w->level_room ? 2 * w->level_room : 16;
        w->levels = need(realloc(w->levels, w->level_room * sizeof(*w->levels)));
    }
    struct level *l = &w->levels[w->depth++];
    *l = (struct level){.base = base};
    return l;
}

static void pop(struct walker *w) { names_free(&w->levels[--w->depth].names); }

/* The path is a directory's, with a slash at its end. */
static void enter(struct walker *w) {
    bool root = w->depth == 1;
    struct level *l = push(w, w->length);
    bool strip = w->length > 1;
    if (strip) w->path[w->length - 1] = '\0';
    int error = sys_list(w->path, root, &l->names);
    if (error != 0) job_fail(w->p, job_new(w->path, strlen(w->path)), error);
    if (strip) w->path[w->length - 1] = '/';
}

static void visit(struct walker *w, const struct level *l, const char *name) {
    path_cut_and_add(w, l->base, name);
    if (w->path[w->length - 1] == '/') {
        enter(w);
        return;
    }
    struct job *j = job_new(w->path, w->length);
    j->follow = w->depth == 1;
    job_submit(w->p, j);
}

/* The roots are the names of the first level. "-" is a file of that name, which sha256sum would take for stdin. */
static void add_roots(struct walker *w) {
    struct level *l = push(w, 0);
    for (int i = 0; i < w->p->root_count; i++) {
        char *root = w->p->roots[i];
        bool directory = sys_is_directory(root);
        for (size_t n = strlen(root); directory && n > 0 && root[n - 1] == '/';) root[--n] = '\0';
        names_add(&l->names, strcmp(root, "-") == 0 ? "./-" : root, directory);
    }
    names_sort(&l->names);
}

void walk(const struct plan *p) {
    struct walker w = {.p = p};
    add_roots(&w);
    while (w.depth > 0 && !stopped(p)) {
        struct level *l = &w.levels[w.depth - 1];
        if (l->next == l->names.count)
            pop(&w);
        else
            visit(&w, l, l->names.v[l->next++]);
    }
    while (w.depth > 0) pop(&w);
    free(w.levels);
    free(w.path);
    rn_close(p->order);
    rn_close(p->work);
    rn_send(p->gone, (struct nothing){});
}
