/* SPDX-License-Identifier: MIT */
/*
 * leak: ask five servers, take the first answer. With an unbuffered channel the other four hang in their send for
 * ever, together with all they hold; rn_leaks finds them. A buffer with room for all stops the leak.
 */
#include <stdio.h>
#include <runnel.h>

enum { SERVERS = 5, ASKED = 4 };

static void serve(rn_send_chan(int) answers, int n) {
    rn_send(answers, n);
    rn_unref(answers);
}

static __attribute__((noinline)) int ask(int64_t room) {
    rn_chan(int) answers = rn_make(int, room);
    if (!answers) return -1;
    for (int i = 1; i <= SERVERS; i++) {
        if (rn_go(serve, rn_ref(answers), i) != 0) return -1;
    }
    int first = rn_recv(answers);
    rn_unref(answers);
    return first;
}

/* Until only so many goroutines are left. */
static void wait_for_others(size_t n) {
    while (rn_goroutines() > n) rn_yield();
}

static int client(void *arg) {
    (void)arg;
    for (int i = 0; i < ASKED; i++) {
        if (ask(SERVERS) < 0) return 1;
    }
    wait_for_others(1);
    printf("with room for all answers: %zu goroutine left, us\n", rn_goroutines());

    for (int i = 0; i < ASKED; i++) {
        if (ask(0) < 0) return 1;
    }
    wait_for_others(1 + ASKED * (SERVERS - 1));
    printf("with room for none: %zu left\n", rn_goroutines());
    /* On stderr, as it varies: a goroutine that has not got to its send yet is not counted. */
    fprintf(stderr, "rn_leaks finds %d\n", rn_leaks(-1)); /* rn_leaks(2) also prints them */
    return 0;
}

int main(void) { return rn_run(client, NULL); }
