/* SPDX-License-Identifier: MIT */
/*
 * ping_pong: two goroutines and two unbuffered channels. Each send waits for its receive, so the
 * players alternate without any other agreement.
 */
#include <stdio.h>
#include <runnel.h>

static void ponger(rn_recv_chan(int) ping, rn_send_chan(int) pong) {
    int ball;
    while (rn_recv_ok(ping, &ball)) { /* Go: for ball := range ping */
        printf("pong %d\n", ball);
        rn_send(pong, ball + 1);
    }
    rn_unref(ping);
    rn_close(pong); /* tells the other side that the last stroke was played */
}

static int game(void *arg) {
    (void)arg;
    rn_chan(int) ping = rn_make(int, 0);
    rn_chan(int) pong = rn_make(int, 0);
    if (!ping || !pong || rn_go(ponger, ping, pong) != 0) return 1;

    for (int ball = 1; ball < 10; ball = rn_recv(pong)) {
        printf("ping %d\n", ball++);
        rn_send(ping, ball);
    }
    rn_close(ping);
    bool more = rn_recv_ok(pong, NULL);
    printf("game over, pong is %s\n", more ? "open" : "closed");
    rn_unref(pong);
    return 0;
}

int main(void) { return rn_run(game, NULL); }
