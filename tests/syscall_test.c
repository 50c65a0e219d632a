/* SPDX-License-Identifier: MIT */
/*
 * syscall_test.c: goroutines switch and channels move values without a system call while work is at
 * hand. A child is traced with ptrace(2); it marks the rounds of each kind of work by a system call of its
 * own, and what its thread calls in between is counted.
 *
 * sysmon may take the processor away in any round if the machine is busy elsewhere, and then the round has a
 * few calls. So the rounds go on until one has none; a library that needs a call for the work has none such.
 */
#include <sys/ptrace.h>
#include <sys/syscall.h>

#include "parked.h"

typedef rn_chan(int) chan_int;
typedef rn_send_chan(int) send_int;
typedef rn_recv_chan(int) recv_int;

#ifdef PTRACE_GET_SYSCALL_INFO

enum { ROUNDS = 400, OPS = 200 };

/* The marks are getpriority(PRIO_USER + 40 + what, which): fails at once, and nobody else calls it so. */
enum mark { BEGIN = 1000, END };
static void mark(enum mark m, int kind) { syscall(SYS_getpriority, m, kind); }

static chan_int ping, pong, buffered, none;

static void echo(void) {
    int v;
    while (rn_recv_ok(ping, &v)) rn_send(pong, v);
}

static void yielder(void) {
    for (;;) rn_yield();
}

static void consumer(void) {
    for (;;) (void)rn_recv(buffered);
}

static void nothing(void) {}

static void do_yield(void) { rn_yield(); }
static void do_ping_pong(void) {
    rn_send(ping, 1);
    (void)rn_recv(pong);
}
static void do_stream(void) { rn_send(buffered, 1); }
static void do_try(void) {
    CHECK_EQ(rn_try_recv(none, NULL), -EAGAIN);
    CHECK_EQ(rn_try_send(none, 1), -EAGAIN);
}
static void do_select(void) {
    rn_select(rn_on_send(ping, 1), rn_on_recv(none, NULL));
    rn_select(rn_on_recv(pong, NULL), rn_on_recv(none, NULL));
    CHECK_EQ(rn_select_default(rn_on_recv(none, NULL), rn_on_send(none, 1)), -1);
}
static void do_make(void) { rn_unref(rn_make(int, 4)); }
static void do_spawn(void) {
    GO(nothing);
    rn_yield();
}

static const struct {
    const char *name;
    void (*op)(void);
} kinds[] = {
    {"yield", do_yield},
    {"ping-pong", do_ping_pong},
    {"stream over a buffer", do_stream},
    {"failed try", do_try},
    {"select that parks", do_select},
    {"make and unref", do_make},
    {"spawn and finish", do_spawn},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static int traced_main(void *unused) {
    (void)unused;
    ping = rn_make(int, 0);
    pong = rn_make(int, 0);
    buffered = rn_make(int, 128);
    none = rn_make(int, 0);
    GO(echo);
    GO(yielder);
    GO(consumer);
    for (int kind = 0; kind < KINDS; kind++)
        for (int i = 0; i < ROUNDS; i++) {
            mark(BEGIN, kind);
            for (int k = 0; k < OPS; k++) kinds[kind].op();
            mark(END, kind);
        }
    return 0;
}

/* ---- the tracer ---- */

/* Each thread's round. Which thread the goroutine is on may change between rounds, and within one. */
static struct {
    pid_t tid;
    int kind; /* -1: in no round */
    long calls;
} threads[64];

static int thread_of(pid_t tid) {
    for (int i = 0; i < 64; i++) {
        if (threads[i].tid == 0) {
            threads[i].tid = tid;
            threads[i].kind = -1;
        }
        if (threads[i].tid == tid) return i;
    }
    FAIL("more than 64 threads");
}

static long rounds[KINDS], free_rounds[KINDS], fewest[KINDS];

static void saw_call(pid_t tid) {
    struct __ptrace_syscall_info info;
    if (ptrace(PTRACE_GET_SYSCALL_INFO, tid, sizeof info, &info) <= 0) return;
    if (info.op != PTRACE_SYSCALL_INFO_ENTRY) return;
    int t = thread_of(tid);
    bool is_mark = info.entry.nr == SYS_getpriority;
    if (is_mark && info.entry.args[0] == BEGIN) {
        threads[t].kind = (int)info.entry.args[1];
        threads[t].calls = 0;
    } else if (is_mark && info.entry.args[0] == END) {
        int kind = (int)info.entry.args[1];
        rounds[kind]++;
        /* begun on this thread too, or the goroutine was moved by a call elsewhere */
        if (threads[t].kind != kind) return;
        if (threads[t].calls == 0) free_rounds[kind]++;
        if (threads[t].calls < fewest[kind]) fewest[kind] = threads[t].calls;
        threads[t].kind = -1;
    } else {
        threads[t].calls++;
    }
}

static void trace(pid_t pid) {
    long options = PTRACE_O_TRACECLONE | PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL;
    int status;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK(WIFSTOPPED(status));
    if (ptrace(PTRACE_SETOPTIONS, pid, NULL, options) != 0) SKIP("ptrace does not work here");
    ptrace(PTRACE_SYSCALL, pid, NULL, NULL);
    for (;;) {
        pid_t tid = waitpid(-1, &status, __WALL);
        if (tid < 0 && errno == EINTR) continue;
        if (tid < 0) break;
        if (tid == pid && WIFEXITED(status)) CHECK_EQ(WEXITSTATUS(status), 0);
        if (tid == pid && WIFSIGNALED(status))
            FAIL("the child died of signal %d", WTERMSIG(status));
        if (!WIFSTOPPED(status)) continue;
        int sig = WSTOPSIG(status);
        if (sig == (SIGTRAP | 0x80)) saw_call(tid);
        bool ours = sig == (SIGTRAP | 0x80) || sig == SIGTRAP || sig == SIGSTOP;
        ptrace(PTRACE_SYSCALL, tid, NULL, ours ? 0L : (long)sig);
    }
}

static void count_calls(void) {
    if (TEST_ASAN || TEST_TSAN) SKIP("a sanitizer makes calls of its own");
#ifdef RN_CHAOS
    SKIP("chaos makes calls");
#endif
    setenv("RUNNEL_PROCS", "1", 1);
    for (int i = 0; i < KINDS; i++) fewest[i] = 1L << 40;
    pid_t pid = fork();
    CHECK_GE(pid, 0);
    if (pid == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0) _exit(77);
        raise(SIGSTOP);
        _exit(rn_run(traced_main, NULL));
    }
    siginfo_t si;
    CHECK_EQ(waitid(P_PID, (id_t)pid, &si, WEXITED | WSTOPPED | WNOWAIT), 0);
    if (si.si_code == CLD_EXITED) SKIP("ptrace does not work here");
    trace(pid);
    for (int i = 0; i < KINDS; i++) {
        fprintf(stderr, "%s: %ld of %ld rounds without a call\n", kinds[i].name, free_rounds[i],
                rounds[i]);
        CHECK_EQ(rounds[i], ROUNDS);
        if (free_rounds[i] == 0)
            FAIL("%s: at least %ld calls for %d operations", kinds[i].name, fewest[i], OPS);
    }
}

#else
static void count_calls(void) { SKIP("no PTRACE_GET_SYSCALL_INFO"); }
#endif

TEST_ONCE(no_system_call_while_work_is_at_hand) { count_calls(); }
