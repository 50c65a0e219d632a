// SPDX-License-Identifier: MIT
//
// boost_fiber.cpp: the rows of core_bench.c with Boost.Fiber, one of run.py's peers.
//
// At one processor: the default scheduler and pooled stacks. At more: work stealing between threads; the pool
// is not safe between threads, so stacks come from malloc there, which keeps them warm too. Stacks are 16 KiB. A
// buffered channel's size is a power of two and holds one less. Fibers have no select.
#include <memory>
#include <thread>
#include <vector>

#include <boost/fiber/all.hpp>

#include "harness.h"

namespace fibers = boost::fibers;
using unbuffered = fibers::unbuffered_channel<int64_t>;
using buffered = fibers::buffered_channel<int64_t>;

static unsigned procs = 1;

template <class F> static fibers::fiber start(F &&f) {
    static fibers::pooled_fixedsize_stack pool(16 * 1024, 64, 1024);
    if (procs == 1) return fibers::fiber(std::allocator_arg, pool, std::forward<F>(f));
    return fibers::fiber(std::allocator_arg, fibers::fixedsize_stack(16 * 1024),
                         std::forward<F>(f));
}

/* The other threads take part until the rows are done. */
struct crowd {
    fibers::mutex lock;
    fibers::condition_variable changed;
    bool done = false;

    void take_part() {
        fibers::use_scheduling_algorithm<fibers::algo::work_stealing>(procs);
        std::unique_lock<fibers::mutex> l(lock);
        changed.wait(l, [this] { return done; });
    }

    void finish() {
        std::unique_lock<fibers::mutex> l(lock);
        done = true;
        l.unlock();
        changed.notify_all();
    }
};

static int bench_enter(int (*fn)(void *), void *arg) {
    const char *s = getenv("RUNNEL_PROCS");
    procs = s && atoi(s) > 0 ? static_cast<unsigned>(atoi(s)) : 1;
    int status = 0;
    crowd others;
    std::vector<std::thread> threads;
    for (unsigned i = 1; i < procs; i++) threads.emplace_back([&] { others.take_part(); });
    if (procs > 1) fibers::use_scheduling_algorithm<fibers::algo::work_stealing>(procs);
    start([&] { status = fn(arg); }).join();
    others.finish();
    for (auto &t : threads) t.join();
    return status;
}

/* Fibers that a row started, to be joined. */
class group {
    std::vector<fibers::fiber> all;

  public:
    template <class F> void go(F &&f) { all.push_back(start(std::forward<F>(f))); }
    void join() {
        for (auto &f : all) f.join();
        all.clear();
    }
};

template <class C> static void send_n(C &c, int64_t n) {
    for (int64_t i = 0; i < n; i++) c.push(i);
}

template <class C> static void recv_n(C &c, int64_t n) {
    for (int64_t i = 0; i < n; i++) (void)c.value_pop();
}

ROW(yield) {
    group g;
    bench.per_op = 100;
    for (int i = 0; i < 100; i++)
        g.go([n] {
            for (int64_t j = 0; j < n; j++) boost::this_fiber::yield();
        });
    g.join();
}

ROW(spawn_one) {
    for (int64_t i = 0; i < n; i++) start([] {}).join();
}

ROW(spawn_batch_1000) {
    group g;
    bench.per_op = 1000;
    for (int64_t i = 0; i < n; i++) {
        for (int j = 0; j < 1000; j++) g.go([] {});
        g.join();
    }
}

ROW(pingpong) {
    unbuffered ping, pong;
    fibers::fiber echo = start([&] {
        for (int64_t v : ping) pong.push(v);
    });
    for (int64_t i = 0; i < n; i++) {
        ping.push(i);
        (void)pong.value_pop();
    }
    ping.close();
    echo.join();
}

template <class C> static void stream(C &c, int64_t n) {
    fibers::fiber sender = start([&] {
        send_n(c, n);
        c.close();
    });
    int64_t got = 0, v;
    while (c.pop(v) == fibers::channel_op_status::success) got++;
    if (got != n) bench_die("stream: items lost");
    sender.join();
}

ROW(stream) {
    unbuffered c;
    stream(c, n);
}

ROW(stream_128) {
    buffered c(128);
    stream(c, n);
}

ROW(stream_128_4x4) {
    group g;
    buffered c(128);
    bench.per_op = 4;
    for (int i = 0; i < 4; i++) {
        g.go([&] { send_n(c, n); });
        g.go([&] { recv_n(c, n); });
    }
    g.join();
}

static void uncontended(int64_t n, buffered &c, int64_t batch) {
    bench.per_op = batch;
    for (int64_t i = 0; i < n; i++) {
        send_n(c, batch);
        recv_n(c, batch);
    }
}

ROW(uncontended_1) {
    buffered c(2);
    uncontended(n, c, 1);
}

ROW(uncontended_100) {
    buffered c(128);
    uncontended(n, c, 100);
}

ROW(try_fail) {
    buffered c(2);
    int64_t v;
    for (int64_t i = 0; i < n; i++)
        if (c.try_pop(v) == fibers::channel_op_status::success) bench_die("try_fail: received");
}

static void sieve(int64_t end) {
    group g;
    auto c = std::make_shared<unbuffered>();
    int64_t prime = 0, last = 0;
    g.go([c, end] {
        for (int64_t i = 2; i <= end; i++) c->push(i);
        c->close();
    });
    while (c->pop(prime) == fibers::channel_op_status::success) {
        auto next = std::make_shared<unbuffered>();
        g.go([in = c, out = next, prime] {
            for (int64_t v : *in)
                if ((uint32_t)v % (uint32_t)prime != 0) out->push(v);
            out->close();
        });
        c = next;
        last = prime;
    }
    if (last != end) bench_die("sieve: wrong prime");
    g.join();
}

ROW_ONCE(sieve_2000) { bench_whole("sieve_2000", sieve, bench_size(17389, 29)); }

static void skynet_node(unbuffered &out, int64_t number, int64_t size) {
    if (size == 1) {
        out.push(number);
        return;
    }
    unbuffered in;
    group g;
    int64_t sum = 0;
    for (int64_t i = 0; i < 10; i++)
        g.go([&in, number, size, i] { skynet_node(in, number + i * (size / 10), size / 10); });
    for (int i = 0; i < 10; i++) sum += in.value_pop();
    g.join();
    out.push(sum);
}

static void skynet(int64_t size) {
    unbuffered out;
    fibers::fiber root = start([&] { skynet_node(out, 0, size); });
    if (out.value_pop() != size * (size - 1) / 2) bench_die("skynet: wrong sum");
    root.join();
}

ROW_ONCE(skynet) { bench_whole("skynet", skynet, bench_size(1000000, 100)); }

static void park(const char *row, int64_t n) {
    group g;
    unbuffered c;
    int64_t parked = 0; /* atomic */
    double before = bench_resident();
    bench_reset();
    for (int64_t i = 0; i < n; i++)
        g.go([&] {
            int64_t v;
            __atomic_add_fetch(&parked, 1, __ATOMIC_ACQ_REL);
            c.pop(v);
        });
    while (__atomic_load_n(&parked, __ATOMIC_ACQUIRE) < n) boost::this_fiber::yield();
    bench_stop();
    bench_report_part(row, "park", "ns/op", (double)bench.spent / (double)n);
    for (int i = 0; i < 100; i++) boost::this_fiber::yield();
    bench_report_part(row, "bytes", "bytes/op", (bench_resident() - before) / (double)n);
    bench_reset();
    c.close();
    g.join();
    bench_stop();
    bench_report_part(row, "wake", "ns/op", (double)bench.spent / (double)n);
}

ROW_ONCE(park_100k) { park("park_100k", bench_size(100000, 100)); }

ROW_ONCE(park_1m) { park("park_1m", bench_size(1000000, 200)); }

ROW(ring_10000) {
    int64_t size = bench_size(10000, 10);
    std::vector<unbuffered> c(static_cast<size_t>(size));
    group g;
    bench.per_op = size;
    for (size_t i = 0; i + 1 < c.size(); i++)
        g.go([&in = c[i], &out = c[i + 1], n] {
            for (int64_t j = 0; j < n; j++) out.push(in.value_pop());
        });
    bench_reset();
    for (int64_t i = 0; i < n; i++) {
        c.front().push(i);
        if (c.back().value_pop() != i) bench_die("ring: wrong token");
    }
    bench_stop();
    g.join();
}

ROW(fanin_100) {
    group g;
    unbuffered c;
    bench.per_op = 100;
    for (int i = 0; i < 100; i++) g.go([&] { send_n(c, n); });
    recv_n(c, 100 * n);
    g.join();
}

ROW(fanout_100) {
    group g;
    unbuffered c;
    bench.per_op = 100;
    for (int i = 0; i < 100; i++) g.go([&] { recv_n(c, n); });
    send_n(c, 100 * n);
    g.join();
}
