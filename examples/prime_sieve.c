/* SPDX-License-Identifier: MIT */
/*
 * prime_sieve: McIlroy's sieve, a chain of goroutines that grows by a filter for each prime
 * found. The numbers end at 100, the close runs down the chain, and every channel is given back
 * by the goroutine that saw its end.
 */
#include <stdio.h>
#include <runnel.h>

static void generate(rn_send_chan(int) out, int max) {
    for (int i = 2; i <= max; i++) rn_send(out, i);
    rn_close(out);
}

/* Passes on what `prime` does not divide. */
static void filter(rn_recv_chan(int) in, rn_send_chan(int) out, int prime) {
    int i;
    while (rn_recv_ok(in, &i)) {
        if (i % prime != 0) rn_send(out, i);
    }
    rn_unref(in);
    rn_close(out);
}

static int sieve(void *arg) {
    (void)arg;
    rn_chan(int) numbers = rn_make(int, 0);
    if (!numbers || rn_go(generate, numbers, 100) != 0) return 1;

    int prime, count = 0;
    while (rn_recv_ok(numbers, &prime)) {
        printf("%d%c", prime, ++count % 10 == 0 ? '\n' : ' ');
        rn_chan(int) rest = rn_make(int, 0);
        if (!rest || rn_go(filter, numbers, rest, prime) != 0) return 1;
        numbers = rest; /* the filter has the old one now */
    }
    printf("\n%d primes\n", count);
    rn_unref(numbers);
    return 0;
}

int main(void) { return rn_run(sieve, NULL); }
