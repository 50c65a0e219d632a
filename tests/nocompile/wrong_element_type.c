/* SPDX-License-Identifier: MIT */
/* A value or variable of another type than the elements. */
#include <runnel.h>

struct apple {
    int a;
};
struct pear {
    int a;
};
int types(rn_chan(int) c, rn_chan(struct apple) apples, rn_chan(char *) names, struct pear pear);

int types(rn_chan(int) c, rn_chan(struct apple) apples, rn_chan(char *) names, struct pear pear) {
    long wide = 0;
    int v = 0;
    struct apple apple = {0};
    rn_send(c, &v);                         // expect: pointer to integer|integer from pointer
    rn_send(c, pear);                       // expect: incompatible type
    rn_send(apples, pear);                  // expect: incompatible type|invalid initializer
    rn_send(apples, 3);                     // expect: incompatible type|invalid initializer
    rn_send(names, 3);                      // expect: integer to pointer|pointer from integer
    rn_send(names, &v);                     // expect: incompatible pointer type
    (void)rn_try_send(names, &v);           // expect: incompatible pointer type
    (void)rn_select(rn_on_send(names, &v)); // expect: incompatible pointer type
    v = rn_recv(apples);                    // expect: incompatible type
    apple = rn_recv(c);                     // expect: incompatible type
    (void)rn_recv_ok(c, &wide);             // expect: does not point to the channel
    (void)rn_try_recv(c, &wide);            // expect: does not point to the channel
    (void)rn_recv_until(c, &apple, 0);      // expect: does not point to the channel
    (void)rn_select(rn_on_recv(c, &wide));  // expect: does not point to the channel
    return c && apples && names && pear.a && wide && v && apple.a;
}
