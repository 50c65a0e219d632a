/* SPDX-License-Identifier: MIT */
/*
 * drain: a closed channel still gives what is in its buffer, then zeros for ever. The last reference frees the
 * channel, but not what pointers in it point to: who ends early drains it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <runnel.h>

static int reader(void *arg) {
    (void)arg;
    rn_chan(char *) lines = rn_make(char *, 4);
    if (!lines) return 1;
    rn_send(lines, strdup("one"));
    rn_send(lines, strdup("two"));
    rn_send(lines, strdup("three"));
    rn_close(lines);
    printf("%zu left in the closed channel\n", rn_len(lines));

    char *line = rn_recv(lines);
    printf("received: %s; had enough\n", line);
    free(line);
    while (rn_recv_ok(lines, &line)) {
        printf("drained: %s\n", line);
        free(line);
    }
    printf("then NULL for ever: %s, %s\n", rn_recv(lines) ? "NO" : "yes",
           rn_try_recv(lines, &line) == -EPIPE && !line ? "yes" : "NO");
    rn_unref(lines);
    return 0;
}

int main(void) { return rn_run(reader, NULL); }
