/* SPDX-License-Identifier: MIT */
/*
 * sys.c: what treesum asks of the kernel and libc. Nothing here parks, so errno stays the thread's.
 *
 * Paths may be longer than PATH_MAX, which a deep tree is soon: sys_open goes down in steps.
 * FIFOs, sockets and devices are never opened for reading in a way that could wait: O_NONBLOCK, and a look at the
 * type before the first read.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "treesum.h"

void *need(void *p) {
    static const char text[] = "treesum: out of memory\n";
    if (p) return p;
    if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0) _exit(1);
    _exit(1);
}

/* Steps down `path` as far as needed for the rest to fit the kernel's limit. *at: where to go on from. */
static int descend(const char **path, int *at) {
    char step[PATH_MAX];
    *at = AT_FDCWD;
    while (strlen(*path) >= PATH_MAX) {
        memcpy(step, *path, PATH_MAX - 1);
        step[PATH_MAX - 1] = '\0';
        char *slash = strrchr(step, '/');
        if (!slash || slash == step) return -ENAMETOOLONG;
        *slash = '\0';
        int fd = openat(*at, step, O_PATH | O_DIRECTORY | O_CLOEXEC);
        int error = fd < 0 ? -errno : 0;
        if (*at >= 0) close(*at);
        *at = fd;
        if (error != 0) return error;
        *path += slash - step + 1;
        while (**path == '/') ++*path;
    }
    return 0;
}

int sys_open(const char *path, bool follow, bool directory) {
    int flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | (follow ? 0 : O_NOFOLLOW) |
                (directory ? O_DIRECTORY : 0);
    int at, error = descend(&path, &at);
    if (error != 0) return error;
    int fd = openat(at, path, flags);
    if (fd < 0) fd = -errno;
    if (at >= 0) close(at);
    return fd;
}

int sys_open_regular(const char *path, bool follow) {
    struct stat s;
    int fd = sys_open(path, follow, false);
    if (fd == -ELOOP && !follow) return ERR_NOT_REGULAR; /* has become a symbolic link */
    if (fd == -ENXIO) return ERR_NOT_REGULAR;            /* a socket */
    if (fd < 0) return fd;
    int error = fstat(fd, &s) != 0    ? -errno
                : S_ISDIR(s.st_mode)  ? -EISDIR
                : !S_ISREG(s.st_mode) ? ERR_NOT_REGULAR
                                      : 0;
    if (error != 0) {
        close(fd);
        return error;
    }
    posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    return fd;
}

bool sys_is_directory(const char *path) {
    struct stat s;
    return stat(path, &s) == 0 && S_ISDIR(s.st_mode);
}

void names_add(struct names *n, const char *name, bool directory) {
    if (n->count == n->room) {
        n->room = n->room ? 2 * n->room : 32;
        n->v = need(realloc(n->v, n->room * sizeof(*n->v)));
    }
    size_t length = strlen(name);
    char *copy = n->v[n->count++] = need(malloc(length + 2));
    memcpy(copy, name, length);
    strcpy(copy + length, directory ? "/" : "");
}

static int compare_names(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* With the slash behind the directories this is the order of the full paths below them, byte by byte. */
void names_sort(struct names *n) {
    if (n->count > 1) qsort(n->v, n->count, sizeof(*n->v), compare_names);
}

void names_free(struct names *n) {
    for (size_t i = 0; i < n->count; i++) free(n->v[i]);
    free(n->v);
    *n = (struct names){0};
}

/* The type of an entry, asked of the file where the directory does not tell. Vanished: DT_REG, to be reported. */
static unsigned char type_of(int dir, const struct dirent *e) {
    struct stat s;
    if (e->d_type != DT_UNKNOWN) return e->d_type;
    if (fstatat(dir, e->d_name, &s, AT_SYMLINK_NOFOLLOW) != 0) return DT_REG;
    return IFTODT(s.st_mode);
}

/* The regular files and directories of a directory. On an error, what was read before it is in *out. */
int sys_list(const char *path, bool follow, struct names *out) {
    int fd = sys_open(path, follow, true);
    if (fd < 0) return fd;
    DIR *d = fdopendir(fd);
    if (!d) {
        int error = -errno;
        close(fd);
        return error;
    }
    struct dirent *e;
    while (errno = 0, e = readdir(d)) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        unsigned char type = type_of(fd, e);
        if (type == DT_REG || type == DT_DIR) names_add(out, e->d_name, type == DT_DIR);
    }
    int error = -errno;
    closedir(d);
    names_sort(out);
    return error;
}

long sys_read(int fd, void *buf, size_t size) {
    ssize_t n;
    do n = read(fd, buf, size);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

void sys_close(int fd) {
    if (fd > STDERR_FILENO) close(fd);
}

int sys_write_all(int fd, const char *buf, size_t size) {
    while (size > 0) {
        ssize_t n = write(fd, buf, size);
        if (n >= 0) {
            buf += n;
            size -= (size_t)n;
        } else if (errno == EAGAIN) { /* somebody made the terminal non-blocking */
            poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, -1);
        } else if (errno != EINTR) {
            return -errno;
        }
    }
    return 0;
}

int sys_close_output(int fd) { return close(fd) == 0 || errno == EINTR ? 0 : -errno; }

int sys_open_manifest(const char *path) {
    if (strcmp(path, "-") == 0) return STDIN_FILENO;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY); /* a FIFO: waits for its writer */
    return fd < 0 ? -errno : fd;
}
