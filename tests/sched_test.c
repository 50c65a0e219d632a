/* SPDX-License-Identifier: MIT */
/* Nothing starves: processors are taken from goroutines that block or burn CPU; threads, locked threads, fork. */
#include "test.h"

#include <dirent.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "os/threads.h"

static int ends[2];
static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;
static uint32_t stop, hogs_gone, blockers_gone;

static bool stopped(void) { return __atomic_load_n(&stop, __ATOMIC_ACQUIRE); }

static void wait_until(uint32_t *word, uint32_t n) {
    while (__atomic_load_n(word, __ATOMIC_ACQUIRE) < n) rn_sleep(RN_MS);
}

/* A pair beside whatever else runs: it must get through. */
static void echo(rn_recv_chan(int) in, rn_send_chan(int) out) {
    int v;
    while (rn_recv_ok(in, &v)) rn_send(out, v);
    rn_close(out);
}

static void ping_pong(int n) {
    rn_chan(int) a = rn_make(int, 0), b = rn_make(int, 0);
    rn_go(echo, a, b);
    for (int i = 0; i < n; i++) {
        rn_send(a, i);
        CHECK_EQ(rn_recv(b), i);
    }
    rn_close(a);
    CHECK(!rn_recv_ok(b, NULL));
    rn_unref(a);
    rn_unref(b);
}

/* ---- hogs and blockers ---- */

static void hog(void) {
    while (!stopped()) {
    }
    __atomic_fetch_add(&hogs_gone, 1, __ATOMIC_RELEASE);
}

static void block_in_read(void) {
    char c;
    CHECK_EQ(read(ends[0], &c, 1), 1);
    __atomic_fetch_add(&blockers_gone, 1, __ATOMIC_RELEASE);
}

static void block_in_usleep(void) {
    while (!stopped()) usleep(2000);
    __atomic_fetch_add(&blockers_gone, 1, __ATOMIC_RELEASE);
}

static void block_in_mutex(void) {
    pthread_mutex_lock(&held);
    pthread_mutex_unlock(&held);
    __atomic_fetch_add(&blockers_gone, 1, __ATOMIC_RELEASE);
}

static void block_in_flock(const char *path) {
    FILE *f = fopen(path, "r");
    CHECK(f);
    CHECK_EQ(flock(fileno(f), LOCK_EX), 0);
    fclose(f);
    __atomic_fetch_add(&blockers_gone, 1, __ATOMIC_RELEASE);
}

static void look_up(void) {
    struct addrinfo *a = NULL;
    getaddrinfo("localhost", "80", NULL, &a);
    if (a) freeaddrinfo(a);
    __atomic_fetch_add(&blockers_gone, 1, __ATOMIC_RELEASE);
}

static void let_go(int readers) {
    __atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
    for (int i = 0; i < readers; i++) CHECK_EQ(write(ends[1], "x", 1), 1);
}

TEST_GO(a_cpu_hog_starves_nobody) {
    rn_go(hog);
    rn_yield();
    ping_pong((int)scaled(2000));
    let_go(0);
    wait_until(&hogs_gone, 1);
}

/* How many compute just now, and how often the other did as well when one began or ended. */
static int computing, together;

static void compute(rn_duration d) {
    rn_time end = rn_now() + d;
    bool both = __atomic_add_fetch(&computing, 1, __ATOMIC_SEQ_CST) == 2;
    while (rn_now() < end) continue;
    both |= __atomic_fetch_sub(&computing, 1, __ATOMIC_SEQ_CST) == 2;
    if (both) __atomic_fetch_add(&together, 1, __ATOMIC_RELAXED);
}

static void partner(rn_chan(int) c, int turns, bool sends, rn_chan(int) done) {
    for (; turns > 0; turns--, sends = !sends) {
        compute((sends ? 30 : 25) * RN_US);
        if (sends)
            rn_send(c, 1);
        else
            rn_recv(c);
    }
    rn_send(done, 1);
}

/* Of so many turns of each, how many were at the same time, at least in part. */
static int turns_together(int turns) {
    rn_chan(int) c = rn_make(int, 0), done = rn_make(int, 2);
    __atomic_store_n(&together, 0, __ATOMIC_RELAXED);
    rn_go(partner, c, turns, true, done);
    rn_go(partner, c, turns, false, done);
    rn_recv(done);
    rn_recv(done);
    rn_unref(c);
    rn_unref(done);
    return __atomic_load_n(&together, __ATOMIC_RELAXED);
}

/* Who is sent to can go on at once, at the processor that is idle, while the sender computes. It may take a while until that is seen. */
TEST_GO_ALONE(two_that_compute_between_messages_do_so_at_the_same_time) {
    enum { TURNS = 1000, ROUNDS = 100 };
#ifdef RN_CHAOS
    SKIP("chaos parts them all the time");
#endif
    if (rn_procs(0) < 2) SKIP("one core");
    int was = rn_procs(2), rounds = 0;
    while (turns_together(TURNS) < TURNS / 2) CHECK_LT(++rounds, ROUNDS);
    rn_procs(was);
}

TEST_GO(more_hogs_than_processors_starve_nobody) {
    for (int i = 0; i < 10; i++) rn_go(hog);
    rn_yield();
    ping_pong((int)scaled(500));
    let_go(0);
    wait_until(&hogs_gone, 10);
}

TEST_GO(a_read_that_blocks_starves_nobody) {
    CHECK_EQ(pipe(ends), 0);
    rn_go(block_in_read);
    rn_yield();
    ping_pong((int)scaled(2000));
    let_go(1);
    wait_until(&blockers_gone, 1);
}

TEST_GO(usleep_starves_nobody) {
    rn_go(block_in_usleep);
    rn_yield();
    ping_pong((int)scaled(2000));
    let_go(0);
    wait_until(&blockers_gone, 1);
}

static void *hold(void *until_close) {
    pthread_mutex_lock(&held);
    rn_chan(int) c = until_close;
    rn_send(c, 0);
    rn_recv(c);
    pthread_mutex_unlock(&held);
    return NULL;
}

TEST_GO(a_mutex_held_by_a_thread_starves_nobody) {
    rn_chan(int) c = rn_make(int, 0);
    pthread_t t;
    CHECK_EQ(pthread_create(&t, NULL, hold, c), 0);
    rn_recv(c);
    rn_go(block_in_mutex);
    rn_yield();
    ping_pong((int)scaled(2000));
    rn_close(c);
    wait_until(&blockers_gone, 1);
    pthread_join(t, NULL);
    rn_unref(c);
}

TEST_GO(flock_and_name_lookup_starve_nobody) {
    char path[] = "/tmp/runnel_flock_XXXXXX";
    int fd = mkstemp(path);
    CHECK_GE(fd, 0);
    CHECK_EQ(flock(fd, LOCK_EX), 0);
    rn_go(block_in_flock, (const char *)path);
    rn_go(look_up);
    rn_yield();
    ping_pong((int)scaled(2000));
    CHECK_EQ(flock(fd, LOCK_UN), 0);
    wait_until(&blockers_gone, 2);
    close(fd);
    unlink(path);
}

TEST_GO(a_hundred_hogs_and_a_hundred_blockers_starve_nobody) {
    int n = (int)scaled(100);
    CHECK_EQ(pipe(ends), 0);
    for (int i = 0; i < n; i++) {
        rn_go(hog);
        rn_go(block_in_read);
    }
    rn_yield();
    ping_pong((int)scaled(100));
    let_go(n);
    wait_until(&hogs_gone, (uint32_t)n);
    wait_until(&blockers_gone, (uint32_t)n);
}

TEST_GO(timers_fire_beside_hogs) {
    for (int i = 0; i < 4; i++) rn_go(hog);
    for (int i = 0; i < 10; i++) {
        rn_time due = rn_now() + 2 * RN_MS;
        rn_sleep_until(due);
        CHECK_GE(rn_now(), due);
    }
    let_go(0);
    wait_until(&hogs_gone, 4);
}

/* ---- after the processor was taken ---- */

static void give_up_p(void) { usleep(100); }

static void panics(void *arg) {
    (void)arg;
    give_up_p();
    rn_panic("as planned");
}

static void taken_and_back(rn_send_chan(long) out, long n) {
    rn_chan(long) c = rn_make(long, 1);
    long sum = 0;
    for (long i = 1; i <= n; i++) {
        give_up_p();
        rn_send(c, i);
        give_up_p();
        sum += rn_recv(c);
        give_up_p();
        long v;
        CHECK_EQ(rn_select(rn_on_send(c, i), rn_on_after(60 * RN_SEC)), 0);
        give_up_p();
        CHECK_EQ(rn_select_default(rn_on_recv(c, &v)), 0);
        CHECK_EQ(v, i);
        rn_panic_info p;
        CHECK(!rn_try(panics, NULL, &p));
        CHECK_STR(p.message, "as planned");
    }
    give_up_p();
    rn_unref(c);
    rn_send(out, sum);
    give_up_p();
    rn_goexit();
}

TEST_GO(a_goroutine_whose_processor_was_taken_does_everything_right) {
    enum { GOROUTINES = 8 };
    long n = scaled(300);
    rn_chan(long) out = rn_make(long, 0);
    for (int i = 0; i < GOROUTINES; i++) CHECK_EQ(rn_go(taken_and_back, out, n), 0);
    for (int i = 0; i < GOROUTINES; i++) CHECK_EQ(rn_recv(out), n * (n + 1) / 2);
    rn_unref(out);
}

static void nap(rn_send_chan(int) done) {
    struct timespec t = {0, 50000000};
    nanosleep(&t, NULL);
    rn_send(done, 1);
}

static int naps(void *n) {
    int count = *(int *)n;
    rn_chan(int) done = rn_make(int, 0);
    for (int i = 0; i < count; i++) CHECK_EQ(rn_go(nap, done), 0);
    for (int i = 0; i < count; i++) rn_recv(done);
    rn_unref(done);
    return 0;
}

TEST(two_thousand_blocked_in_nanosleep_finish) {
    int n = (int)scaled(2000);
    CHECK_EQ(rn_run(naps, &n), 0);
}

TEST_ONCE(with_eight_threads_they_still_finish) {
    int n = (int)scaled(2000);
    setenv("RUNNEL_MAX_THREADS", "8", 1);
    CHECK_EQ(rn_run(naps, &n), 0);
}

static int threads_now(void) {
    DIR *d = opendir("/proc/self/task");
    CHECK(d);
    int n = 0;
    while (readdir(d)) n++;
    closedir(d);
    return n - 2;
}

TEST_GO(threads_are_given_back) {
    int before = threads_now(), n = 50;
    naps(&n);
    while (threads_now() > before + 2) rn_sleep(50 * RN_MS);
}

static void count_elsewhere(int tid, uint64_t blocked, char state, void *n) {
    cpu_set_t mine, theirs;
    (void)blocked, (void)state;
    CHECK_EQ(sched_getaffinity(0, sizeof mine, &mine), 0);
    if (sched_getaffinity(tid, sizeof theirs, &theirs) == 0)
        *(int *)n += !CPU_EQUAL(&mine, &theirs);
}

/* Threads that may use other CPUs than this one. */
static int threads_elsewhere(void) {
    int n = 0;
    rn__threads_each(0, count_elsewhere, &n);
    return n;
}

/* Who searches on the CPU of another leaves it (chaos: often), and may come back. */
TEST_GO(threads_may_use_the_same_cpus_at_the_end_as_at_the_start) {
    for (int i = 0; i < 20; i++) {
        ping_pong((int)scaled(100));
        rn_sleep(RN_MS);
    }
    while (threads_elsewhere() > 0) rn_sleep(RN_MS);
}

/* ---- rn_blocking ---- */

static intptr_t read_one(void *fd) {
    char c;
    return read(*(int *)fd, &c, 1) == 1 ? c : -1;
}

static void read_blocking(rn_send_chan(long) out) {
    rn_send(out, (long)rn_blocking(read_one, &ends[0]));
}

TEST_GO(rn_blocking_lets_others_run_and_returns_the_result) {
    rn_chan(long) out = rn_make(long, 0);
    CHECK_EQ(pipe(ends), 0);
    rn_go(read_blocking, out);
    rn_yield();
    ping_pong((int)scaled(500));
    CHECK_EQ(write(ends[1], "z", 1), 1);
    CHECK_EQ(rn_recv(out), 'z');
    rn_unref(out);
}

TEST(rn_blocking_on_a_thread_is_a_call) {
    CHECK_EQ(pipe(ends), 0);
    CHECK_EQ(write(ends[1], "y", 1), 1);
    CHECK_EQ(rn_blocking(read_one, &ends[0]), 'y');
}

/* ---- locked threads ---- */

static long tid(void) { return syscall(SYS_gettid); }

static void locked(rn_chan(long) c, rn_send_chan(long) out) {
    rn_lock_thread();
    rn_lock_thread();
    long mine = tid(), v;
    for (int i = 0; i < (int)scaled(200); i++) {
        v = rn_recv(c);
        CHECK_EQ(tid(), mine);
        rn_yield();
        CHECK_EQ(tid(), mine);
        if (i > 0) CHECK_NE(v, mine); /* nobody else runs on this thread, once it is locked */
        rn_sleep(RN_US);
        CHECK_EQ(tid(), mine);
    }
    rn_unlock_thread();
    rn_yield();
    CHECK_EQ(tid(), mine);
    rn_unlock_thread();
    rn_send(out, mine);
}

TEST_GO(a_locked_goroutine_has_its_thread_to_itself) {
    rn_chan(long) c = rn_make(long, 0), out = rn_make(long, 0);
    rn_go(locked, c, out);
    for (int i = 0; i < (int)scaled(200); i++) rn_send(c, tid());
    rn_recv(out);
    rn_unlock_thread(); /* without a lock: no effect */
    rn_unref(c);
    rn_unref(out);
}

static bool alive(long t) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%ld", t);
    return access(path, F_OK) == 0;
}

static void end_locked(rn_send_chan(long) out) {
    rn_lock_thread();
    rn_send(out, tid());
}

TEST_GO(a_goroutine_that_ends_locked_ends_its_thread) {
    rn_chan(long) out = rn_make(long, 0);
    for (int i = 0; i < 10; i++) {
        rn_go(end_locked, out);
        long t = rn_recv(out);
        while (alive(t)) rn_sleep(RN_MS);
    }
    ping_pong(100);
    rn_unref(out);
}

/* ---- rn_procs ---- */

static void count(rn_chan(long) c, long n) {
    for (long i = 0; i < n; i++) rn_send(c, 1L);
    rn_send(c, -1L);
}

TEST_GO(procs_change_while_everything_runs) {
    enum { SENDERS = 6 };
    uint64_t seed = test_seed();
    long n = scaled(20000), got = 0;
    int ended = 0;
    rn_chan(long) c = rn_make(long, 4);
    for (int i = 0; i < SENDERS; i++) rn_go(count, c, n);
    for (long i = 0; ended < SENDERS; i++) {
        long v = rn_recv(c);
        if (v < 0)
            ended++;
        else
            got += v;
        if (i % (n / 10 + 1) != 0) continue;
        int want = 1 + (int)(test_random(&seed) % 16);
        rn_procs(want);
        CHECK_EQ(rn_procs(0), want);
    }
    CHECK_EQ(got, n * SENDERS);
    rn_unref(c);
}

static int procs_now(void *arg) {
    (void)arg;
    return rn_procs(0);
}

TEST_ONCE(the_default_follows_affinity) {
    cpu_set_t one;
    unsetenv("RUNNEL_PROCS");
    CHECK_EQ(sched_getaffinity(0, sizeof one, &one), 0);
    int cpu = 0;
    while (!CPU_ISSET(cpu, &one)) cpu++;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    CHECK_EQ(sched_setaffinity(0, sizeof one, &one), 0);
    CHECK_EQ(rn_run(procs_now, NULL), 1);
}

/* ---- fork ---- */

static void child_uses(int fd) {
    dup2(fd, STDERR_FILENO);
    rn_yield();
    _exit(0);
}

TEST_GO(a_child_of_fork_may_exec) {
    pid_t p = fork();
    if (p == 0) {
        execl("/bin/true", "true", (char *)NULL);
        _exit(1);
    }
    int status;
    CHECK_EQ(waitpid(p, &status, 0), p);
    CHECK_EQ(status, 0);
}

TEST_GO(a_child_of_fork_that_uses_runnel_gets_a_message) {
    char text[4096];
    CHECK_EQ(pipe(ends), 0);
    pid_t p = fork();
    if (p == 0) child_uses(ends[1]);
    close(ends[1]);
    ssize_t n = 0, k;
    while ((k = read(ends[0], text + n, sizeof text - 1 - (size_t)n)) > 0) n += k;
    text[n] = 0;
    int status;
    CHECK_EQ(waitpid(p, &status, 0), p);
    CHECK(WIFSIGNALED(status));
    CHECK(strstr(text, "runnel used in a child of fork"));
}

TEST_GO(the_parent_of_a_fork_goes_on) {
    for (int i = 0; i < 5; i++) {
        pid_t p = fork();
        if (p == 0) _exit(7);
        int status;
        CHECK_EQ(waitpid(p, &status, 0), p);
        CHECK_EQ(WEXITSTATUS(status), 7);
        ping_pong(50);
    }
}
