/* SPDX-License-Identifier: MIT */
/* shapes.c: programs that hang or die, one for each name; shapes.go has those that Go knows, too. */
#include <pthread.h>
#include <runnel.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static rn_chan(int) a, b;

/* ---- deadlocks ---- */

static void swap(void) {
    int v = rn_recv(a);
    rn_send(b, v);
}

static void two_on_each_other(void) {
    rn_go(swap);
    int v = rn_recv(b);
    rn_send(a, v);
}

static void self_send(void) { rn_send(a, 1); }
static void full_buffer(void) {
    rn_chan(int) c = rn_make(int, 2);
    for (int i = 0; i < 3; i++) rn_send(c, i);
}
static void self_receive(void) { rn_recv(a); }
static void never_closed(void) {
    int v;
    while (rn_recv_ok(a, &v)) {
    }
}
static void nil_send(void) {
    rn_chan(int) none = NULL;
    rn_send(none, 1);
}
static void nil_receive(void) {
    rn_chan(int) none = NULL;
    rn_recv(none);
}
static void select_nothing(void) { rn_select(); }
static void select_two(void) {
    int v;
    rn_select(rn_on_recv(a, &v), rn_on_send(b, 1));
}

static void wait_receive(rn_chan(int) c) { rn_recv(c); }
static void ten_receivers(void) {
    for (int i = 0; i < 10; i++) rn_go(wait_receive, a);
    rn_recv(b);
}

static rn_wg wg;
static rn_mutex mu;
static rn_rwmutex rw;
static rn_cond cond;

static void wait_group(void) {
    rn_wg_add(&wg, 1);
    rn_wg_wait(&wg);
}
static void mutex_twice(void) {
    rn_mutex_lock(&mu);
    rn_mutex_lock(&mu);
}
static void write_after_read(void) {
    rn_rwmutex_rlock(&rw);
    rn_rwmutex_lock(&rw);
}
static void read_after_write(void) {
    rn_rwmutex_lock(&rw);
    rn_rwmutex_rlock(&rw);
}
static void cond_wait(void) {
    rn_mutex_lock(&mu);
    rn_cond_wait(&cond, &mu);
}
static void main_exits(void) { rn_goexit(); }
static void main_exits_others_wait(void) {
    rn_go(wait_receive, a);
    rn_goexit();
}

static void *thread_waits(void *arg) {
    rn_recv(a);
    return arg;
}
static void a_thread_waits_too(void) {
    pthread_t t;
    pthread_create(&t, NULL, thread_waits, NULL);
    rn_recv(b);
}

/* ---- no deadlocks ---- */

static void late_send(void) {
    rn_sleep(20 * RN_MS);
    rn_send(a, 1);
}
static void while_one_sleeps(void) {
    rn_go(late_send);
    rn_recv(a);
}
static void with_a_timer_case(void) {
    int v;
    rn_select(rn_on_recv(a, &v), rn_on_after(20 * RN_MS));
}
static void with_a_timer_channel(void) { rn_recv(rn_after(20 * RN_MS)); }
static void send_after_func(void *c) { rn_send((rn_chan(int))c, 1); }
static void with_after_func(void) {
    rn_after_func(20 * RN_MS, send_after_func, a);
    rn_recv(a);
}

static void *thread_sends(void *arg) {
    while (rn_try_send(b, 1) != 0) usleep(100); /* from then on the runtime knows it */
    usleep(30000);
    rn_send(a, 1);
    return arg;
}
static void while_a_thread_is_outside(void) {
    pthread_t t;
    pthread_create(&t, NULL, thread_sends, NULL);
    rn_recv(b);
    rn_recv(a);
    pthread_join(t, NULL);
}

static void *thread_writes(void *fd) {
    usleep(30000);
    if (write(*(int *)fd, "x", 1) != 1) return fd;
    return NULL;
}
static void while_io_is_awaited(void) {
    int fd[2];
    pthread_t t;
    if (pipe(fd) != 0) return;
    pthread_create(&t, NULL, thread_writes, &fd[1]);
    if (rn_fd_wait(fd[0], RN_READABLE) < 0) exit(4);
    pthread_join(t, NULL);
}

/* ---- ends of other kinds ---- */

static void __attribute__((noinline)) dies(void *arg) {
    (void)arg;
    rn_panic("at the disco");
}
static void panic_main(void) { dies(NULL); }
static void panic_other(void) {
    rn_go_opts opts = {.name = "worker"};
    rn_go_call(&opts, dies, NULL);
    rn_recv(a);
}
static void *panic_on_thread(void *arg) {
    dies(NULL);
    return arg;
}
static void panic_thread(void) {
    pthread_t t;
    pthread_create(&t, NULL, panic_on_thread, NULL);
    pthread_join(t, NULL);
}
static void fatal(void) { rn_mutex_unlock(&mu); }
static int __attribute__((noinline)) deeper(int n) {
    volatile char frame[256];
    frame[0] = (char)n;
    int r = n < 0 ? 0 : deeper(n + 1);
    return r + frame[0];
}
static void overflow(void) { deeper(0); }

static void __attribute__((noinline)) burn(void) {
    puts("ready"); /* the test then sends SIGQUIT */
    fflush(stdout);
    for (volatile int i = 0;; i++) {
    }
}
static void spin(void) {
    rn_go(wait_receive, a);
    rn_yield();
    burn();
}
static void block_in_read(void) {
    int fd[2];
    char c;
    if (pipe(fd) != 0) return;
    rn_go(wait_receive, a);
    rn_yield();
    puts("ready");
    fflush(stdout);
    if (read(fd[0], &c, 1) != 1) return;
}
static void many(void) {
    const char *n = getenv("MANY");
    for (int i = n ? atoi(n) : 100000; i > 0; i--) rn_go(wait_receive, a);
    for (int i = 0; i < 1000; i++) rn_yield();
    puts("ready");
    fflush(stdout);
    rn_sleep(1000 * RN_SEC); /* or it is a deadlock */
}
static void idle_for_long(void) {
    rn_go(wait_receive, a);
    rn_go(wait_receive, a);
    puts("ready");
    fflush(stdout);
    rn_sleep(1000 * RN_SEC);
}

static void __attribute__((noinline)) forget(void) { rn_go(wait_receive, rn_make(int, 0)); }
static void leak(void) {
    rn_go(forget);
    while (rn_leaks(-1) == 0) rn_yield(); /* until it waits; or until it is -ENOTSUP */
}
static void trace(void) {
    puts("ready"); /* the test reads some lines, then ends us */
    fflush(stdout);
    for (;;) rn_sleep(RN_MS);
}

#define SHAPE(name)                                                                                \
    { #name, name }
static const struct {
    const char *name;
    void (*fn)(void);
} shapes[] = {
    SHAPE(two_on_each_other),
    SHAPE(self_send),
    SHAPE(full_buffer),
    SHAPE(self_receive),
    SHAPE(never_closed),
    SHAPE(nil_send),
    SHAPE(nil_receive),
    SHAPE(select_nothing),
    SHAPE(select_two),
    SHAPE(ten_receivers),
    SHAPE(wait_group),
    SHAPE(mutex_twice),
    SHAPE(write_after_read),
    SHAPE(read_after_write),
    SHAPE(cond_wait),
    SHAPE(main_exits),
    SHAPE(main_exits_others_wait),
    SHAPE(a_thread_waits_too),
    SHAPE(while_one_sleeps),
    SHAPE(with_a_timer_case),
    SHAPE(with_a_timer_channel),
    SHAPE(with_after_func),
    SHAPE(while_a_thread_is_outside),
    SHAPE(while_io_is_awaited),
    SHAPE(panic_main),
    SHAPE(panic_other),
    SHAPE(panic_thread),
    SHAPE(fatal),
    SHAPE(overflow),
    SHAPE(spin),
    SHAPE(block_in_read),
    SHAPE(many),
    SHAPE(idle_for_long),
    SHAPE(leak),
    SHAPE(trace),
};

static int run(void *arg) {
    a = rn_make(int, 0);
    b = rn_make(int, 0);
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        if (strcmp(shapes[i].name, arg) != 0) continue;
        shapes[i].fn();
        return 0;
    }
    return 3;
}

int main(int argc, char **argv) { return argc == 2 ? rn_run(run, argv[1]) : 3; }
