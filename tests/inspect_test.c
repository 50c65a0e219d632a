/* SPDX-License-Identifier: MIT */
/* inspect_test.c: dumps of programs that go on, and the leak finder. What is printed by those that end: tests/reports/. */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <sys/mman.h>

#include "parked.h"

/* ---- reading a dump ---- */

static int memory_file(void) {
    int fd = memfd_create("dump", 0);
    CHECK(fd >= 0);
    return fd;
}

/* What was written to fd, as a string; closes it. */
static char *contents(int fd) {
    off_t n = lseek(fd, 0, SEEK_END);
    char *s = malloc((size_t)n + 1);
    CHECK(s && n >= 0);
    CHECK_EQ(pread(fd, s, (size_t)n, 0), n);
    s[n] = 0;
    close(fd);
    return s;
}

static char *dump(void) {
    int fd = memory_file();
    CHECK_EQ(rn_dump(fd), 0);
    return contents(fd);
}

static long times(const char *s, const char *what) {
    long n = 0;
    for (; (s = strstr(s, what)); s += strlen(what)) n++;
    return n;
}

/* ---- waiting for states ---- */

static RN_UNSEEN bool count_parked(struct rn__g *g, void *n) {
    if (rn__load_acquire(&g->state) == RN__WAITING) ++*(long *)n;
    return true;
}

/* Until so many goroutines are parked. */
static void wait_all_parked(long want) {
    for (;;) {
        long n = 0;
        rn__stack_each(count_parked, &n);
        if (n == want) return;
        CHECK_LT(n, want + 1);
        rn_yield();
    }
}

/* Until no goroutine but the caller's is left. */
static void wait_gone(void) {
    while (rn_goroutines() != 1) rn_yield();
}

static void receive(rn_chan(int) c) { rn_recv(c); }

/* ---- dumps ---- */

TEST_GO(a_dump_shows_the_caller_and_what_others_wait_for) {
    rn_chan(int) c = rn_make(int, 3);
    rn_send(c, 1);
    rn_chan(int) d = rn_make(int, 0);
    rn_go_opts opts = {.name = "reader"};
    CHECK_EQ(rn_go_opt(&opts, receive, d), 0);
    wait_all_parked(1);
    char *s = dump();
    CHECK_EQ(times(s, "\ngoroutine "), 2);
    CHECK_EQ(times(s, "\ngoroutine 1 [running]:\n"), 1);
    CHECK_EQ(times(s, " [chan receive] {\"name\": \"reader\"}:\n"), 1);
    CHECK_EQ(times(s, ": len 0, cap 0\n"), 1);
    CHECK_EQ(times(s, "\ncreated by "), 1);
    CHECK_EQ(times(s, " in goroutine 1\n"), 1);
    free(s);
    rn_send(d, 1);
}

static void *dump_on_thread(void *arg) {
    *(char **)arg = dump();
    return NULL;
}

TEST_GO(a_thread_may_dump) {
    pthread_t t;
    char *s;
    CHECK_EQ(pthread_create(&t, NULL, dump_on_thread, &s), 0);
    CHECK_EQ(pthread_join(t, NULL), 0);
    CHECK_EQ(times(s, "\ngoroutine 1 ["), 1);
    free(s);
}

/* Every other one waits by the short way, if one processor has both channels: `mine` is its own once it was used. */
static void select_from(rn_chan(int) c) {
    static long n;
    rn_chan(int) mine = rn_make(int, 1);
    if (__atomic_fetch_add(&n, 1, __ATOMIC_RELAXED) % 2) {
        rn_send(mine, 1);
        rn_recv(mine);
    }
    rn_case k[] = {rn_on_recv(c, NULL), rn_on_recv(mine, NULL)};
    rn_select_n(k, 2, 0);
    rn_unref(mine);
}

static void show_once(void (*fn)(rn_chan(int)), const char *state) {
    long n = scaled(20000);
    if (n < 1500) n = 1500;
    rn_chan(int) c = rn_make(int, 0);
    for (long i = 0; i < n; i++) CHECK_EQ(rn_go(fn, c), 0);
    wait_all_parked(n);
    char *s = dump(), all[64];
    snprintf(all, sizeof all, "... (%ld in all) [%s]", n, state);
    CHECK_EQ(times(s, all), 1);
    CHECK_EQ(times(s, "\ngoroutine"), 2);
    free(s);
    for (long i = 0; i < n; i++) rn_send(c, 1);
}

TEST_GO(equal_stacks_are_shown_once_if_there_are_thousands) {
    show_once(receive, "chan receive");
    wait_gone();
    show_once(select_from, "select");
}

/* Many are queued as one then. */
TEST_GO(whom_a_close_woke_is_seen_to_be_runnable) {
    long n = scaled(1000);
    for (int i = 0; i < 3; i++) {
        rn_chan(int) c = rn_make(int, 0), d = rn_make(int, 0);
        for (long k = 0; k < n; k++) CHECK_EQ(rn_go(receive, c), 0);
        for (long k = 0; k < n; k++) CHECK_EQ(rn_go(receive, d), 0);
        wait_all_parked(2 * n);
        rn_close(c), rn_close(d);
        rn_unref(c), rn_unref(d);
        char *s = dump();
        CHECK_EQ(times(s, "[chan receive"), 0);
        free(s);
        int r = rn_leaks(-1);
        CHECK(r == 0 || r == -ENOTSUP);
        wait_gone();
    }
}

static void pass_on(rn_chan(long) from, rn_chan(long) to) {
    long v;
    while (rn_recv_ok(from, &v)) rn_send(to, v + 1);
    rn_close(to);
}

static void dump_often(uint32_t *stop, rn_wg *done) {
    int fd = open("/dev/null", O_WRONLY);
    while (!rn__load_acquire(stop)) CHECK_EQ(rn_dump(fd), 0);
    close(fd);
    rn_wg_done(done);
}

TEST_GO(a_dump_harms_nobody) {
    enum { RING = 16 };
    rn_chan(long) c[RING + 1];
    uint32_t stop = 0;
    rn_wg done = {0};
    for (int i = 0; i <= RING; i++) c[i] = rn_make(long, i % 3);
    for (int i = 0; i < RING; i++) CHECK_EQ(rn_go(pass_on, c[i], c[i + 1]), 0);
    rn_wg_add(&done, 2);
    for (int i = 0; i < 2; i++) CHECK_EQ(rn_go(dump_often, &stop, &done), 0);
    long n = scaled(1000);
    for (long i = 0; i < n; i++) {
        rn_send(c[0], i);
        long v = rn_recv(c[RING]);
        if (v != i + RING) FAIL("%ld came back, not %ld", v, i + RING);
        if (i % 16 == 0) rn_yield();
    }
    rn_close(c[0]);
    rn__store_release(&stop, 1u);
    rn_wg_wait(&done);
    CHECK(!rn_recv_ok(c[RING], NULL));
    for (int i = 0; i <= RING; i++) rn_unref(c[i]);
}

static void recv_any(void *c, rn_wg *w) {
    CHECK(!rn_chan_recv(c, NULL));
    rn_wg_done(w);
}

static void *close_and_free(void *stop) {
    enum { WAITING = 100 };
    while (!rn__load_acquire((uint32_t *)stop)) {
        void *c = rn_chan_make(4096, 256);
        rn_wg w = {0};
        rn_wg_add(&w, WAITING);
        for (int i = 0; i < WAITING; i++) CHECK_EQ(rn_go(recv_any, c, &w), 0);
        WAIT_RECEIVERS(c, WAITING);
        rn_chan_close(c);
        rn_chan_unref(c);
        rn_wg_wait(&w);
    }
    return NULL;
}

TEST_GO(a_dump_does_not_look_at_what_a_thread_frees) {
    mallopt(M_MMAP_THRESHOLD, 1 << 16); /* so that a freed channel is no memory any more */
    uint32_t stop = 0;
    pthread_t t[2];
    for (int i = 0; i < 2; i++) CHECK_EQ(pthread_create(&t[i], NULL, close_and_free, &stop), 0);
    int fd = open("/dev/null", O_WRONLY);
    for (long i = 0; i < scaled(300); i++) {
        CHECK_EQ(rn_dump(fd), 0);
        rn_yield();
    }
    close(fd);
    rn__store_release(&stop, 1u);
    for (int i = 0; i < 2; i++) CHECK_EQ(pthread_join(t[i], NULL), 0);
}

/* ---- leaks: programs that leak one goroutine, and their healthy twins ---- */

static void can_find(void) {
    if (rn_leaks(-1) < 0) SKIP("memory cannot be looked at here");
}

#define RUNS 100

/* One more goroutine leaks at each run, and is found at once. */
static void finds(void (*leak)(void)) {
    can_find();
    long n = scaled(RUNS);
    for (long i = 1; i <= n; i++) {
        leak();
        wait_all_parked(i);
        CHECK_EQ(rn_leaks(-1), i);
    }
}

static void send_one(rn_chan(int) c) { rn_send(c, 1); }
static void send_ten(rn_chan(int) c) {
    for (int i = 0; i < 10; i++) rn_send(c, i);
}
static void receive_all(rn_chan(int) c) {
    int v;
    while (rn_recv_ok(c, &v)) {
    }
}

static RN_NOINLINE void forgotten_sender(void) { rn_go(send_one, rn_make(int, 0)); }
static RN_NOINLINE void forgotten_receiver(void) { rn_go(receive, rn_make(int, 0)); }
static RN_NOINLINE void missing_close(void) {
    rn_chan(int) c = rn_make(int, 0);
    rn_go(receive_all, c);
    for (int i = 0; i < 3; i++) rn_send(c, i);
}
static RN_NOINLINE void early_return(void) {
    rn_chan(int) c = rn_make(int, 0);
    rn_go(send_ten, c);
    rn_recv(c);
}
static void send_nil(void) {
    rn_chan(int) none = NULL;
    rn_send(none, 1);
}
static RN_NOINLINE void blocked_on_nil(void) { rn_go(send_nil); }

struct guarded {
    char before[1000]; /* nobody points to the mutex itself */
    rn_mutex mu;
    rn_wg wg;
    rn_chan(int) c;
};
static struct guarded *new_guarded(void) {
    struct guarded *s = calloc(1, sizeof *s);
    CHECK(s);
    s->c = rn_make(int, 0);
    return s;
}
static void lock_and_unlock(struct guarded *s) {
    rn_mutex_lock(&s->mu);
    rn_mutex_unlock(&s->mu);
}
static void wait_for_group(struct guarded *s) { rn_wg_wait(&s->wg); }
static void receive_field(struct guarded *s) { rn_recv(s->c); }

static RN_NOINLINE void lock_never_released(void) {
    struct guarded *s = new_guarded();
    rn_mutex_lock(&s->mu);
    rn_go(lock_and_unlock, s);
}
static RN_NOINLINE void group_never_done(void) {
    struct guarded *s = new_guarded();
    rn_wg_add(&s->wg, 1);
    rn_go(wait_for_group, s);
}
static RN_NOINLINE void channel_in_a_lost_struct(void) { rn_go(receive_field, new_guarded()); }

static void until_done(rn_ctx *ctx, rn_chan(int) c) {
    int v;
    rn_select(rn_on_done(ctx), rn_on_recv(c, &v));
}
static RN_NOINLINE void context_never_cancelled(void) {
    rn_go(until_done, rn_ctx_with_cancel(rn_ctx_background()), rn_make(int, 0));
}

TEST_GO(finds_forgotten_senders) { finds(forgotten_sender); }
TEST_GO(finds_forgotten_receivers) { finds(forgotten_receiver); }
TEST_GO(finds_a_missing_close) { finds(missing_close); }
TEST_GO(finds_an_early_return_before_the_drain) { finds(early_return); }
TEST_GO(finds_those_blocked_on_nil) { finds(blocked_on_nil); }
TEST_GO(finds_a_lock_never_released) { finds(lock_never_released); }
TEST_GO(finds_a_wait_group_never_done) { finds(group_never_done); }
TEST_GO(finds_a_channel_in_a_lost_struct) { finds(channel_in_a_lost_struct); }
TEST_GO(finds_a_context_never_cancelled) { finds(context_never_cancelled); }

/* Those that wait for each other only are found together. */
static void swap(rn_chan(int) from, rn_chan(int) to) { rn_send(to, rn_recv(from)); }
static RN_NOINLINE void ring(void) {
    rn_chan(int) a = rn_make(int, 0), b = rn_make(int, 0);
    rn_go(swap, a, b);
    rn_go(swap, b, a);
}
TEST_GO(finds_a_ring_of_waiters) {
    can_find();
    for (long i = 1; i <= scaled(30); i++) {
        ring();
        wait_all_parked(2 * i);
        CHECK_EQ(rn_leaks(-1), 2 * i);
    }
}

TEST_GO(a_report_of_leaks_names_them) {
    can_find();
    forgotten_receiver();
    wait_all_parked(1);
    int fd = memory_file();
    CHECK_EQ(rn_leaks(fd), 1);
    char *s = contents(fd);
    CHECK_EQ(times(s, "runnel: 1 goroutine can never run again:\n"), 1);
    CHECK_EQ(times(s, " [chan receive]:\n"), 1);
    free(s);
}

/* ---- healthy twins ---- */

/* Nothing is reported while all of `parked` wait. */
static void nothing_stuck(long parked) {
    wait_all_parked(parked);
    CHECK_EQ(rn_leaks(-1), 0);
}

static rn_chan(int) global_chan;
static rn_mutex global_mutex;

TEST_GO(a_channel_in_a_local_variable_is_reached) {
    can_find();
    for (long i = 0; i < scaled(RUNS); i++) {
        rn_chan(int) c = rn_make(int, 0);
        rn_go(receive_all, c);
        rn_send(c, 1);
        nothing_stuck(1);
        rn_close(c);
        wait_gone();
        rn_unref(c);
    }
}

TEST_GO(a_channel_in_global_data_is_reached) {
    can_find();
    for (long i = 0; i < scaled(RUNS); i++) {
        global_chan = rn_make(int, 0);
        rn_go(send_ten, global_chan);
        nothing_stuck(1);
        for (int k = 0; k < 10; k++) rn_recv(global_chan);
        wait_gone();
        rn_unref(global_chan);
    }
}

TEST_GO(what_a_reached_struct_holds_is_reached) {
    can_find();
    for (long i = 0; i < scaled(RUNS); i++) {
        struct guarded *s = new_guarded();
        rn_mutex_lock(&s->mu);
        rn_wg_add(&s->wg, 1);
        rn_go(lock_and_unlock, s);
        rn_go(wait_for_group, s);
        rn_go(receive_field, s);
        nothing_stuck(3);
        rn_mutex_unlock(&s->mu);
        rn_wg_done(&s->wg);
        rn_send(s->c, 1);
        wait_gone();
        rn_unref(s->c);
        free(s);
    }
}

static void lock_and_unlock_global(void) {
    rn_mutex_lock(&global_mutex);
    rn_mutex_unlock(&global_mutex);
}
TEST_GO(a_global_mutex_is_reached) {
    can_find();
    rn_mutex_lock(&global_mutex);
    rn_go(lock_and_unlock_global);
    nothing_stuck(1);
    rn_mutex_unlock(&global_mutex);
    wait_gone();
}

static void sleep_then_send(rn_chan(int) c, uint32_t *go) {
    while (!rn__load_acquire(go)) rn_sleep(RN_MS);
    rn_send(c, 1);
}
TEST_GO(a_sleeper_reaches_what_is_on_its_stack) {
    can_find();
    static uint32_t go;
    for (long i = 0; i < scaled(RUNS); i++) {
        rn__store_release(&go, 0u);
        {
            rn_chan(int) c = rn_make(int, 0);
            rn_go(receive, c);
            rn_go(sleep_then_send, c, &go);
        }
        while (rn_goroutines() != 3) rn_yield();
        for (int k = 0; k < 3; k++) CHECK_EQ(rn_leaks(-1), 0);
        rn__store_release(&go, 1u);
        wait_gone();
    }
}

static void burn_then_send(rn_chan(int) c, uint32_t *go) {
    while (!rn__load_acquire(go)) {
    }
    rn_send(c, 1);
}
TEST_GO(a_running_goroutine_reaches_what_it_has) {
    can_find();
    static uint32_t go;
    for (long i = 0; i < scaled(RUNS); i++) {
        rn__store_release(&go, 0u);
        rn_go(burn_then_send, ({
                  rn_chan(int) c = rn_make(int, 0);
                  rn_go(receive, c);
                  c;
              }),
              &go);
        wait_all_parked(1);
        CHECK_EQ(rn_leaks(-1), 0);
        rn__store_release(&go, 1u);
        wait_gone();
    }
}

static void wait_often(rn_duration d, uint32_t *stop, rn_wg *w) {
    while (!rn__load_acquire(stop)) {
        rn_time_chan c = rn_after(d);
        rn_recv(c);
        rn_unref(c);
    }
    rn_wg_done(w);
}

TEST_GO(who_waits_for_a_time_is_no_leak_when_it_comes) {
    enum { WAITING = 20 };
    can_find();
    static uint32_t stop;
    rn_wg w = {0};
    rn_wg_add(&w, WAITING);
    for (int i = 0; i < WAITING; i++)
        CHECK_EQ(rn_go(wait_often, RN_MS + i * 100 * RN_US, &stop, &w), 0);
    for (long i = 0; i < scaled(RUNS); i++) {
        rn_sleep(RN_MS);
        CHECK_EQ(rn_leaks(-1), 0);
    }
    rn__store_release(&stop, 1u);
    rn_wg_wait(&w);
}

static void send_later(void *c) { rn_send((rn_chan(int))c, 1); }
TEST_GO(an_armed_timer_reaches_its_argument) {
    can_find();
    for (long i = 0; i < scaled(RUNS); i++) {
        rn_chan(int) c = rn_make(int, 0);
        rn_timer *t = rn_after_func(3600 * RN_SEC, send_later, c);
        CHECK(t);
        rn_go(receive, c);
        c = NULL;
        __asm__ volatile("" : "+r"(c));
        nothing_stuck(1);
        rn_timer_reset(t, 0);
        wait_gone();
        rn_timer_free(t);
    }
}

TEST_GO(a_context_reaches_who_waits_for_it) {
    can_find();
    for (long i = 0; i < scaled(RUNS); i++) {
        rn_ctx *ctx = rn_ctx_with_cancel(rn_ctx_background());
        rn_chan(int) never = rn_make(int, 0);
        rn_go(until_done, ctx, never);
        nothing_stuck(1);
        rn_ctx_cancel(ctx);
        wait_gone();
        rn_ctx_unref(ctx);
        rn_unref(never);
    }
}

struct thread_arg {
    rn_chan(int) c;
    uint32_t ready, go;
};
static void *hold_then_send(void *arg) {
    struct thread_arg *a = arg;
    rn_chan(int) c = a->c;
    a->c = NULL;
    rn__store_release(&a->ready, 1u);
    while (!rn__load_acquire(&a->go)) usleep(100);
    rn_send(c, 1);
    return NULL;
}
TEST_GO(a_thread_reaches_what_is_on_its_stack) {
    can_find();
    for (long i = 0; i < scaled(RUNS / 4); i++) {
        struct thread_arg a = {rn_make(int, 0), 0, 0};
        rn_go(receive, a.c);
        pthread_t t;
        CHECK_EQ(pthread_create(&t, NULL, hold_then_send, &a), 0);
        while (!rn__load_acquire(&a.ready)) usleep(100);
        nothing_stuck(1);
        rn__store_release(&a.go, 1u);
        CHECK_EQ(pthread_join(t, NULL), 0);
        wait_gone();
    }
}
