/* SPDX-License-Identifier: MIT */
/* signal_test.c: signals as values. raise(3) runs the handler before it returns: what follows is not a race. */
#include "test.h"

#include <errno.h>
#include <signal.h>

static void check_handler(int sig, void (*handler)(int)) {
    struct sigaction a;
    sigaction(sig, NULL, &a);
    CHECK(!(a.sa_flags & SA_SIGINFO));
    CHECK(a.sa_handler == handler);
}

TEST_GO(a_signal_arrives_on_the_channel) {
    rn_chan(int) c = rn_make(int, 1);
    CHECK_EQ(rn_notify(c, SIGUSR1, SIGTERM), 0);
    raise(SIGUSR1);
    CHECK_EQ(rn_recv(c), SIGUSR1);
    kill(getpid(), SIGTERM);
    CHECK_EQ(rn_recv(c), SIGTERM);
    rn_notify_stop(c);
    rn_unref(c);
}

TEST(a_thread_receives_signals) {
    rn_chan(int) c = rn_make(int, 1);
    CHECK_EQ(rn_notify(c, SIGINT), 0);
    raise(SIGINT);
    CHECK_EQ(rn_recv(c), SIGINT);
    rn_notify_stop(c);
    rn_unref(c);
}

TEST_GO(none_is_dropped_while_there_is_room) {
    enum { N = 200 };
    rn_chan(int) c = rn_make(int, 2 * N);
    CHECK_EQ(rn_notify(c, SIGUSR1), 0);
    CHECK_EQ(rn_notify(c, SIGUSR2), 0);
    for (int i = 0; i < N; i++) {
        raise(SIGUSR1);
        raise(SIGUSR2);
    }
    rn_notify_stop(c); /* what arrived before is on it */
    int n[2] = {0, 0}, sig;
    while (rn_try_recv(c, &sig) == 0) n[sig == SIGUSR2]++;
    CHECK_EQ(n[0], N);
    CHECK_EQ(n[1], N);
    rn_unref(c);
}

TEST_GO(all_who_asked_get_it) {
    rn_chan(int) c[3];
    for (int i = 0; i < 3; i++) {
        c[i] = rn_make(int, 4);
        CHECK_EQ(rn_notify(c[i], SIGUSR1), 0);
    }
    rn_notify(c[2], SIGUSR2);
    raise(SIGUSR1);
    for (int i = 0; i < 3; i++) CHECK_EQ(rn_recv(c[i]), SIGUSR1);
    rn_notify_stop(c[0]);
    raise(SIGUSR1);
    for (int i = 1; i < 3; i++) CHECK_EQ(rn_recv(c[i]), SIGUSR1);
    raise(SIGUSR2);
    CHECK_EQ(rn_recv(c[2]), SIGUSR2);
    for (int i = 0; i < 3; i++) {
        rn_notify_stop(c[i]);
        CHECK_EQ(rn_try_recv(c[i], NULL), -EAGAIN);
        rn_unref(c[i]);
    }
    check_handler(SIGUSR1, SIG_DFL);
    check_handler(SIGUSR2, SIG_DFL);
}

TEST_GO(a_full_channel_drops) {
    rn_chan(int) c = rn_make(int, 1), all = rn_make(int, 8);
    rn_notify(c, SIGUSR1);
    rn_notify(all, SIGUSR1);
    for (int i = 0; i < 3; i++) raise(SIGUSR1);
    for (int i = 0; i < 3; i++) rn_recv(all);
    rn_notify_stop(c);
    CHECK_EQ(rn_recv(c), SIGUSR1);
    CHECK_EQ(rn_try_recv(c, NULL), -EAGAIN);
    rn_notify_stop(all);
    rn_unref(c);
    rn_unref(all);
}

TEST_GO(a_closed_channel_is_passed_over) {
    rn_chan(int) c = rn_make(int, 1), other = rn_make(int, 1);
    rn_notify(c, SIGUSR1);
    rn_notify(other, SIGUSR1);
    rn_close(c);
    raise(SIGUSR1);
    CHECK_EQ(rn_recv(other), SIGUSR1);
    rn_notify_stop(c);
    rn_notify_stop(other);
    rn_unref(c);
    rn_unref(other);
}

static volatile sig_atomic_t old_calls;

static void old_handler(int sig) { old_calls += sig == SIGUSR1; }

static void old_info_handler(int sig, siginfo_t *info, void *context) {
    old_calls += info->si_signo == sig && context != NULL;
}

TEST_GO(a_handler_found_in_place_goes_on_working) {
    rn_chan(int) c = rn_make(int, 4);
    signal(SIGUSR1, old_handler);
    rn_notify(c, SIGUSR1);
    raise(SIGUSR1);
    CHECK_EQ(rn_recv(c), SIGUSR1);
    CHECK_EQ(old_calls, 1);
    rn_notify_stop(c);
    check_handler(SIGUSR1, old_handler);
    raise(SIGUSR1);
    CHECK_EQ(old_calls, 2);
    struct sigaction a = {.sa_sigaction = old_info_handler, .sa_flags = SA_SIGINFO}, now;
    sigaction(SIGUSR1, &a, NULL);
    rn_notify(c, SIGUSR1);
    raise(SIGUSR1);
    CHECK_EQ(rn_recv(c), SIGUSR1);
    CHECK_EQ(old_calls, 3);
    rn_notify_stop(c);
    sigaction(SIGUSR1, NULL, &now);
    CHECK(now.sa_sigaction == old_info_handler);
    rn_unref(c);
}

TEST_GO(a_handler_installed_later_is_left_alone) {
    rn_chan(int) c = rn_make(int, 4);
    rn_notify(c, SIGUSR1);
    signal(SIGUSR1, old_handler);
    raise(SIGUSR1);
    CHECK_EQ(old_calls, 1);
    rn_notify_stop(c);
    check_handler(SIGUSR1, old_handler);
    CHECK_EQ(rn_try_recv(c, NULL), -EAGAIN);
    rn_unref(c);
}

TEST_GO(ignore_and_reset) {
    rn_chan(int) c = rn_make(int, 4);
    rn_notify(c, SIGUSR1, SIGUSR2);
    CHECK_EQ(rn_notify_ignore(SIGUSR1), 0);
    raise(SIGUSR1);
    raise(SIGUSR2);
    CHECK_EQ(rn_recv(c), SIGUSR2);
    CHECK_EQ(rn_try_recv(c, NULL), -EAGAIN);
    check_handler(SIGUSR1, SIG_IGN);
    rn_notify(c, SIGUSR1);
    raise(SIGUSR1);
    CHECK_EQ(rn_recv(c), SIGUSR1);
    rn_notify_ignore(SIGUSR2);
    CHECK_EQ(rn_notify_reset(SIGUSR1, SIGUSR2), 0);
    check_handler(SIGUSR1, SIG_DFL);
    check_handler(SIGUSR2, SIG_DFL);
    rn_notify_stop(c);
    rn_unref(c);
}

TEST_GO(a_signal_cancels_a_context) {
    rn_ctx *c = rn_notify_ctx(rn_ctx_background(), SIGINT, SIGTERM), *d = rn_ctx_with_cancel(c);
    CHECK_EQ(rn_ctx_err(d), 0);
    raise(SIGTERM);
    rn_recv(rn_ctx_done(d));
    CHECK_EQ(rn_ctx_err(d), -ECANCELED);
    CHECK_EQ(rn_ctx_cause(d), SIGTERM);
    raise(SIGINT); /* caught until it is stopped */
    rn_notify_ctx_stop(c);
    check_handler(SIGINT, SIG_DFL);
    rn_ctx_unref(d);
    c = rn_notify_ctx(rn_ctx_background(), SIGINT);
    d = rn_ctx_with_cancel(c);
    rn_notify_ctx_stop(c);
    CHECK_EQ(rn_ctx_cause(d), -ECANCELED);
    rn_ctx_unref(d);
}

static void nil_channel(void *c) { rn_notify_n(c, NULL, 0); }

TEST_GO(what_cannot_be_caught_is_refused) {
    rn_chan(int) c = rn_make(int, 1);
    rn_panic_info p;
    CHECK_EQ(rn_notify(c, SIGKILL), -EINVAL);
    CHECK_EQ(rn_notify(c, SIGUSR1, SIGSEGV), -EINVAL);
    CHECK_EQ(rn_notify(c, 0), -EINVAL);
    CHECK_EQ(rn_notify(c, -1), -EINVAL);
    CHECK_EQ(rn_notify(c, 65), -EINVAL);
    CHECK_EQ(rn_notify_ignore(SIGSTOP), -EINVAL);
    CHECK(rn_notify_ctx(rn_ctx_background(), SIGKILL) == NULL);
    check_handler(SIGUSR1, SIG_DFL);
    CHECK(!rn_try(nil_channel, NULL, &p));
    CHECK_STR(p.message, "os/signal: Notify using nil channel");
    rn_notify_stop(c);
    rn_unref(c);
}

static void storm(void *done) {
    for (long i = 0; i < scaled(1000); i++) raise(i % 2 ? SIGUSR1 : SIGUSR2);
    rn_send((rn_chan(int))done, 1);
}

TEST_GO(signals_while_channels_come_and_go) {
    rn_chan(int) done = rn_make(int, 4), keep = rn_make(int, 1);
    rn_notify(keep, SIGUSR1, SIGUSR2);
    for (int i = 0; i < 4; i++) rn_go(storm, (void *)done);
    for (int left = 4; left > 0;) {
        rn_chan(int) c = rn_make(int, 1);
        rn_notify(c, SIGUSR1);
        rn_notify(c, SIGUSR2);
        while (left > 0 && rn_try_recv(done, NULL) == 0) left--;
        rn_notify_stop(c);
        int after = rn_try_recv(c, NULL);
        CHECK(after == 0 || after == -EAGAIN);
        CHECK_EQ(rn_try_recv(c, NULL), -EAGAIN);
        rn_unref(c);
    }
    rn_notify_stop(keep);
    rn_unref(done);
    rn_unref(keep);
}
