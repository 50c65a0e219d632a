/* SPDX-License-Identifier: MIT */
/* Every macro of the public headers in use. Only compiled: see check.sh. */
#include <runnel.h>

struct point {
    int x, y;
};
enum colour { RED, GREEN };

static void none(void) {}
static void one(const char *s) { (void)s; }
static double two(int a, double b) { return a + b; }
static void *three(void *p, bool b, enum colour c) { return b && c ? p : NULL; }
static int four(char a, short b, long c, float d) { return (int)(a + b + c + (long)d); }
static void five(int a, int b, int c, int d, int e) { (void)(a + b + c + d + e); }
static void six(int64_t a, uint8_t b, int *c, double d, float e, void (*f)(void)) {
    *c = (int)a + b + (int)d + (int)e;
    f();
}
static void sink(rn_recv_chan(int) in, rn_send_chan(struct point) out) {
    int v;
    while (rn_recv_ok(in, &v)) rn_send(out, ((struct point){v, v}));
    rn_close(out);
}

static void spawn(void) {
    int n = 0;
    rn_go(none);
    rn_go(&none);
    rn_go(one, "text");
    rn_go(two, 1, 2);
    rn_go(three, NULL, true, GREEN);
    rn_go(four, 'a', 2, 3L, 4.0f);
    rn_go(five, 1, 2, 3, 4, 5);
    int r = rn_go(six, 1, 2, &n, 4, 5, none);
    rn_go_opts opts = {.name = "named", .stack_size = 1 << 16};
    if (r == 0) rn_go_opt(&opts, none);
    rn_go_opt(NULL, one, "x");
}

static int channels(void) {
    rn_chan(int) c = rn_make(int, 0);
    rn_chan(struct point) p = rn_make(struct point, 7);
    rn_chan(rn_chan(int)) cc = rn_make(rn_chan(int), 1);
    rn_chan(const char *) names = rn_make(const char *, 1);
    rn_send_chan(int) s = c;
    rn_recv_chan(int) r = c;
    rn_go(sink, c, p);
    rn_send(c, 1);
    rn_send(s, rn_recv(r) + rn_recv(c));
    rn_send(cc, c);
    rn_send(names, "name");
    rn_send(rn_recv(cc), 3);
    struct point q = rn_recv(p);
    bool ok = rn_recv_ok(p, &q) || rn_recv_ok(p, NULL);
    int v = rn_try_send(s, 1) + rn_try_recv(r, &q.x) + rn_try_recv(c, NULL);
    v += rn_send_until(c, 1, RN_TIME_MAX) + rn_recv_until(r, &v, 5 * RN_SEC);
    v += rn_send_ctx(NULL, c, 1) + rn_recv_ctx(NULL, c, &v);
    v += (int)(rn_len(c) + rn_cap(s) + rn_len(r));
    rn_close(c);
    rn_unref(rn_ref(c));
    rn_unref(r);
    return v + ok;
}

static int selects(rn_chan(int) c, rn_send_chan(struct point) p, rn_recv_chan(const char *) names) {
    int v;
    bool ok;
    const char *name;
    switch (rn_select(rn_on_recv(c, &v), rn_on_send(p, ((struct point){1, 2})),
                      rn_on_recv_ok(names, &name, &ok), rn_on_send(c, 3), rn_on_after(RN_MS),
                      rn_on_until(RN_TIME_MAX))) {
    case 0: return v;
    case 2: return ok && name;
    default: break;
    }
    rn_case cases[2] = {rn_on_recv(c, NULL), rn_on_recv(names, &name)};
    return rn_select_default(rn_on_send(c, 1)) + rn_select_n(cases, 2, RN_DEFAULT | RN_INORDER);
}

static int others(rn_ctx *ctx, rn_chan(int) sigs) {
    rn_time t;
    rn_timer *timer = rn_timer_new(RN_SEC);
    rn_ctx *stop = rn_notify_ctx(ctx, 2, 15);
    rn_notify(sigs, 2);
    int v = rn_select(rn_on_recv(rn_timer_chan(timer), &t), rn_on_done(ctx), rn_on_recv(sigs, NULL),
                      rn_on_recv(rn_ctx_done(stop), NULL));
    t = rn_recv(rn_after(RN_MS));
    rn_notify_ignore(1);
    rn_notify_reset(1, 2);
    rn_ctx_unref(stop);
    rn_timer_free(timer);
    return v + (t > 0);
}

static void defers(void *arg) {
    rn_defer(defers, arg);
    rn_panic("panic %d", 1);
}

int main(void) {
    rn_panic_info p;
    spawn();
    bool ok = rn_try(defers, NULL, &p);
    if (!ok && channels() > 0) return selects(NULL, NULL, NULL) + others(NULL, NULL);
    rn_select();
}
