/* SPDX-License-Identifier: MIT */
/* A direction turned round, and a channel of another element type. */
#include <runnel.h>

static int source(rn_recv_chan(int) c) { return c != NULL; }
static int drain(rn_send_chan(int) c) { return c != NULL; }
static int both(rn_chan(int) c) { return source(c) + drain(c); }
int turns(rn_recv_chan(int) r, rn_send_chan(int) s, rn_chan(long) l);

int turns(rn_recv_chan(int) r, rn_send_chan(int) s, rn_chan(long) l) {
    rn_recv_chan(int) r2 = r;
    rn_send_chan(int) s2 = s;
    r2 = s;                               // expect: incompatible pointer type
    s2 = r;                               // expect: incompatible pointer type
    (void)source(s);                      // expect: incompatible pointer type
    (void)drain(r);                       // expect: incompatible pointer type
    (void)both(l);                        // expect: incompatible pointer type
    (void)rn_go(source, s);               // expect: incompatible pointer type
    (void)rn_go(drain, r);                // expect: incompatible pointer type
    rn_recv_chan(int) r3 = l;             // expect: incompatible pointer type
    rn_chan(int) made = rn_make(long, 0); // expect: incompatible pointer type
    return r2 && s2 && both(NULL) && l;
}
