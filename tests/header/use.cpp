/* SPDX-License-Identifier: MIT */
/* The untyped functions in C++17. Only compiled: see check.sh. */
#include <runnel.h>

static void call(void *arg) {
    int v = 1;
    rn_chan_send(arg, &v);
}

static int run(void *) {
    void *c = rn_chan_make(sizeof(int), 0);
    rn_go_opts opts = {};
    opts.name = "named";
    int v = rn_go_call(&opts, call, c);
    bool ok = rn_chan_recv(c, &v);
    rn_case cases[2] = {rn__on_recv(c, &v, &ok), rn_on_until(RN_TIME_MAX)};
    v += rn_select_n(cases, 2, RN_DEFAULT) + rn_chan_try_recv(c, &v);
    rn_panic_info p;
    if (!rn_try(call, c, &p)) rn_panic("%s", p.message);
    rn_chan_close(c);
    rn_chan_unref(c);
    return ok ? v : 0;
}

int main() { return rn_run(run, nullptr); }
