/* SPDX-License-Identifier: MIT */
/*
 * start.c: the runtime's first moment, its settings, rn_procs, and the world standing still.
 */
#include <errno.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "os/clock.h"
#include "sched/core.h"

/* ---- how many CPUs ---- */

static long affinity_cpus(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? n : 1;
}

/* The quota of one cgroup directory in CPUs, rounded up; 0: none. */
static long quota_in(const char *dir) {
    char path[600], line[64];
    snprintf(path, sizeof path, "/sys/fs/cgroup%s/cpu.max", dir);
    FILE *f = fopen(path, "re");
    if (!f) return 0;
    long quota, period = 0;
    bool ok = fgets(line, sizeof line, f) && sscanf(line, "%ld %ld", &quota, &period) == 2;
    fclose(f);
    return ok && period > 0 ? (quota + period - 1) / period : 0;
}

/* The smallest cgroup v2 quota from our group up to the root; 0: none. */
static long quota_cpus(void) {
    char line[512];
    FILE *f = fopen("/proc/self/cgroup", "re");
    if (!f) return 0;
    bool found = false;
    while (!found && fgets(line, sizeof line, f)) found = strncmp(line, "0::", 3) == 0;
    fclose(f);
    if (!found) return 0;
    char *dir = line + 3;
    dir[strcspn(dir, "\n")] = 0;
    long least = 0;
    for (;;) {
        long n = quota_in(strcmp(dir, "/") == 0 ? "" : dir);
        if (n > 0 && (least == 0 || n < least)) least = n;
        char *slash = strrchr(dir, '/');
        if (!slash || dir[0] == 0 || strcmp(dir, "/") == 0) break;
        *slash = 0;
    }
    return least;
}

static uint32_t usable_cpus(void) {
    long n = affinity_cpus(), quota = quota_cpus();
    if (quota > 0 && quota < n) n = quota;
    return (uint32_t)(n < 1 ? 1 : n > RN__MAX_PROCS ? RN__MAX_PROCS : n);
}

/* A positive number from the environment, or `otherwise`. */
static uint32_t setting(const char *name, uint32_t otherwise, uint32_t most) {
    const char *s = getenv(name);
    if (!s || !*s) return otherwise;
    char *end;
    errno = 0;
    long n = strtol(s, &end, 10);
    if (errno || *end || n < 1 || n > (long)most) {
        rn__print(STDERR_FILENO, "runnel: %s=%s: not a number from 1 to %u\n", name, s, most);
        rn__fatal("bad setting");
    }
    return (uint32_t)n;
}

/* ---- start ---- */

void (*rn__sysmon_hook)(rn_time now);
void (*rn__run_end_hook)(void);
void (*rn__quit_handler)(int sig);

static struct rn__p *new_p(uint32_t id) {
    struct rn__p *p = aligned_alloc(RN_CACHE_LINE, sizeof *p);
    if (!p) return NULL;
    memset(p, 0, offsetof(struct rn__p, young_slot));
    p->id = id;
    rn__timers_init(&p->timers);
    return p;
}

/* Ps are made once and never freed; beyond rn_procs they are in no list. The world stands still, or there is no thread yet. */
static bool have_p(uint32_t i) {
    if (rn__sched.ps[i]) return true;
    struct rn__p *p = new_p(i);
    if (p) rn__store_release(&rn__sched.ps[i], p);
    return p != NULL;
}

/*
 * A child of fork has one thread, and all that the others held is held for ever: it may exec or exit. Its first use of
 * the runtime says so. Nothing of ours runs at exit, so no lock need be consistent for that.
 */
static void in_child(void) {
    rn__store_relaxed(&rn__nobody.claim, (uint32_t)RN__FORKED);
    rn__store_relaxed(&rn__arch_tls_m()->claim, (uint32_t)RN__FORKED);
}

void rn__start(void) {
    struct rn__sched *s = &rn__sched;
    rn__inspect_start();
    rn__lock_rank(&s->lock, RN__RANK_SCHED);
    rn__barrier_init();
    rn__claim_init();
    rn__stack_init();
    rn__global_init();
    s->cpus = usable_cpus();
    s->procs = setting("RUNNEL_PROCS", s->cpus, RN__MAX_PROCS);
    s->max_threads = setting("RUNNEL_MAX_THREADS", RN__MAX_THREADS, 1000000);
    s->coarse_now = rn__now();
    pthread_sigmask(SIG_SETMASK, NULL, &s->mask);
    for (uint32_t i = 0; i < s->procs; i++)
        if (!have_p(i)) rn__fatal("runtime: out of memory");
    for (uint32_t i = s->procs; i-- > 0;) rn__idle_p_put(s->ps[i]);
    rn__signal_init();
    pthread_atfork(NULL, NULL, in_child);
    rn__sysmon_start();
}

/* ---- the world ---- */

static struct rn__lock world; /* whoever stops it; taken outside, so that a waiter can be claimed */
static struct rn__m *held[RN__MAX_PROCS];
static uint64_t stops;
enum { STUCK = 2000 }; /* looks */

/* The P is idle, or its M is ours until the world starts. */
static bool still(uint32_t i, struct rn__p *mine) {
    struct rn__p *p = rn__sched.ps[i];
    if (!p || p == mine || held[i]) return true;
    rn__lock_acquire(&rn__sched.lock);
    bool idle = p->idle;
    rn__lock_release(&rn__sched.lock);
    if (idle) return true;
    held[i] = rn__claim_p(p, 200);
    return held[i] != NULL;
}

/*
 * With sched.lock: it may touch channels. Once seen outside it is out for good; later it is inside for moments only, to look whether it may
 * enter.
 */
static bool roams(struct rn__m *m) {
    if (rn__load_relaxed(&m->claim) != RN__FOREIGN || m->kept_out == stops) return false;
    if (rn__load_acquire(&m->inside) != RN__OUTSIDE) return !m->blocked; /* WS */
    m->kept_out = stops;
    return false;
}

/* All at once: who is still inside could make ready one who was blocked when we looked at it. It would do so with the lock. */
static bool anybody_roams(void) {
    bool roaming = false;
    rn__lock_acquire(&rn__sched.lock);
    for (struct rn__m *m = rn__load_acquire(&rn__sched.all_ms); m; m = m->all_next)
        if (m != rn__arch_tls_m() && roams(m)) roaming = true;
    rn__lock_release(&rn__sched.lock);
    return roaming;
}

/* Plain threads leave the runtime, or sleep in it. One that is stuck inside, stopped by a debugger say, is not waited for. */
static void keep_threads_out(void) {
    stops++;
    rn__store_seq_cst(&rn__sched.stopper, rn__arch_tls_m());
    rn__barrier_heavy(); /* WS: pairs with enter_foreign */
    for (int i = 0; i < STUCK && anybody_roams(); i++) rn__nap(20 * RN_US);
}

void rn__world_stop(void) {
    for (;;) {
        rn__in();
        if (rn__lock_try(&world)) break;
        rn__out();
        rn__nap(20 * RN_US);
    }
    /* Who waits is in no section: somebody may want to revoke a channel that is biased to our P (claim.c). */
    rn__store_release(&rn__arch_tls_m()->inside, (uint32_t)RN__SCHED);
    rn__store_seq_cst(&rn__sched.stopping, 1u);
    struct rn__p *mine = rn__arch_tls_m()->p;
    /* not those that an earlier rn_procs took out of use: nobody has them, and they are in no list */
    for (uint32_t i = 0; i < rn__sched.procs; i++)
        while (!still(i, mine)) rn__nap(10 * RN_US);
    for (uint32_t i = 0; i < RN__MAX_PROCS && rn__sched.ps[i]; i++)
        rn__timers_settle(&rn__sched.ps[i]->timers);
    keep_threads_out(); /* last: a timer may have woken one */
}

void rn__world_start(void) {
    for (uint32_t i = 0; i < RN__MAX_PROCS; i++) {
        if (held[i]) rn__unclaim_m(held[i]);
        held[i] = NULL;
    }
    rn__store_seq_cst(&rn__sched.stopping, 0u);
    rn__store_seq_cst(&rn__sched.stopper, (struct rn__m *)NULL);
    rn__lock_release(&world);
    rn__wake_p();
    rn__out();
}

/* ---- rn_procs ---- */

/* Take P i out of use: the world stands still, and it is idle or its M is held. */
static void retire_p(uint32_t i) {
    struct rn__p *p = rn__sched.ps[i];
    if (held[i]) {
        rn__take_p(held[i]);
        held[i] = NULL;
    } else {
        rn__idle_p_remove(p);
    }
    rn__runq_drain(p);
}

static void change_procs(uint32_t n) {
    struct rn__sched *s = &rn__sched;
    uint32_t old = s->procs;
    struct rn__m *m = rn__arch_tls_m();
    if (m->p && m->p->id >= n) { /* ours goes: take P 0's place */
        struct rn__p *first = s->ps[0], *mine = rn__release_p(m);
        if (held[0]) {
            rn__take_p(held[0]);
            held[0] = NULL;
        } else {
            rn__idle_p_remove(first);
        }
        rn__idle_p_put(mine);
        rn__acquire_p(m, first);
    }
    for (uint32_t i = n; i < old; i++) retire_p(i);
    for (uint32_t i = old; i < n; i++)
        if (!have_p(i)) n = i;
    rn__store_seq_cst(&s->procs, n); /* before the new ones are idle: all are not until then */
    for (uint32_t i = old; i < n; i++) rn__idle_p_put(s->ps[i]);
}

int rn_procs(int n) {
    rn__in();
    int old = (int)rn__load_relaxed(&rn__sched.procs);
    rn__out();
    if (n > RN__MAX_PROCS) n = RN__MAX_PROCS;
    if (n <= 0 || n == old) return old;
    rn__world_stop();
    old = (int)rn__sched.procs;
    change_procs((uint32_t)n);
    rn__world_start();
    return old;
}
