/* SPDX-License-Identifier: MIT */
/*
 * timeout: three ways to wait no longer than one wants to. The answer channel has room for one: who answers
 * too late can still put the answer down and end.
 */
#include <errno.h>
#include <stdio.h>
#include <runnel.h>

static void answer(rn_recv_chan(int) question, rn_send_chan(int) out, rn_send_chan(int) ended) {
    rn_send(out, rn_recv(question) * 2);
    rn_send(ended, 1);
}

/* One deadline for the whole loop: rn_on_after in its place would start anew with each value. */
static int count_until(rn_recv_chan(int) in, rn_time deadline) {
    int n = 0;
    while (rn_select(rn_on_recv(in, NULL), rn_on_until(deadline)) == 0) n++;
    return n;
}

static int asker(void *arg) {
    (void)arg;
    rn_chan(int) question = rn_make(int, 0), out = rn_make(int, 1), ended = rn_make(int, 0);
    if (!question || !out || !ended || rn_go(answer, question, out, ended) != 0) return 1;

    int v = 0;
    if (rn_recv_until(out, &v, rn_now() + RN_MS) == -ETIMEDOUT) printf("no answer in 1 ms\n");
    if (rn_select(rn_on_recv(out, &v), rn_on_after(RN_MS)) == 1) printf("nor in one more\n");

    rn_send(question, 21); /* we ask, and do not stay: */
    (void)rn_recv(ended);  /* the answer is put down all the same */
    if (rn_recv_until(out, &v, 0) == 0) printf("what is ready is taken even too late: %d\n", v);

    rn_chan(int) values = rn_make(int, 3);
    if (!values) return 1;
    for (int i = 0; i < 3; i++) rn_send(values, i);
    rn_time deadline = rn_now() + 5 * RN_MS;
    (void)count_until(values, deadline);
    printf("the loop ends at its deadline: %s\n", rn_now() >= deadline ? "not before" : "EARLY");

    rn_unref(values);
    rn_unref(question);
    rn_unref(out);
    rn_unref(ended);
    return 0;
}

int main(void) { return rn_run(asker, NULL); }
