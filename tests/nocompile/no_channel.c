/* SPDX-License-Identifier: MIT */
/* Things that are no channel. */
#include <runnel.h>

int things(int *p, int (*array)[7], void *untyped);

int things(int *p, int (*array)[7], void *untyped) {
    rn_send(p, 1);             // expect: .
    (void)rn_recv_ok(p, NULL); // expect: .
    rn_close(array);           // expect: no channel
    (void)rn_len(array);       // expect: this is no channel
    rn_unref(p);               // expect: .
    rn_close(untyped);         // expect: .
    rn_close(7);               // expect: .
    return p && array && untyped;
}
