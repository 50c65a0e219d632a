/* SPDX-License-Identifier: MIT */
/* Closing a receive-only channel. */
#include <runnel.h>

int closes(rn_recv_chan(int) c, rn_chan(int) both, rn_send_chan(int) s);

int closes(rn_recv_chan(int) c, rn_chan(int) both, rn_send_chan(int) s) {
    rn_close(c); // expect: this is a receive-only channel
    rn_close(both);
    rn_close(s);
    return c != NULL;
}
