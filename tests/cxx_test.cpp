// SPDX-License-Identifier: MIT
//
// cxx_test.cpp: the untyped functions from C++, and exceptions in goroutines.
//
// What libstdc++ knows of exceptions in flight (which are being caught, how many are not yet caught) belongs
// to the goroutine, not to the thread: a goroutine may park inside a catch or in a destructor that an
// exception runs, others may throw on that thread meanwhile, and it may go on on another thread.
#include <exception>
#include <stdexcept>
#include <string>

#include <sys/syscall.h>

#include "test.h"

namespace {

long thread_id() { return syscall(SYS_gettid); }

// A channel of T.
template <typename T> class Chan {
  public:
    explicit Chan(int64_t cap = 0) : c(rn_chan_make(sizeof(T), cap)) {
        if (!c) FAIL("out of memory");
    }
    Chan(const Chan &) = delete;
    Chan &operator=(const Chan &) = delete;
    ~Chan() { rn_chan_unref(c); }
    void send(const T &v) { rn_chan_send(c, &v); }
    T recv() {
        T v;
        rn_chan_recv(c, &v);
        return v;
    }

  private:
    void *c;
};

// In a catch: parks, and then still catches what it caught.
struct Catcher {
    int id;
    Chan<int> *caught, *go_on, *done;

    static void run(void *arg) {
        auto *me = static_cast<Catcher *>(arg);
        try {
            me->catch_and_rethrow();
            FAIL("catcher %d: nothing was thrown again", me->id);
        } catch (const std::runtime_error &e) {
            CHECK(e.what() == std::to_string(me->id));
        }
        CHECK(std::current_exception() == nullptr);
        me->done->send(me->id);
    }

    void catch_and_rethrow() {
        try {
            throw std::runtime_error(std::to_string(id));
        } catch (const std::exception &e) {
            std::exception_ptr before = std::current_exception();
            caught->send(id);
            go_on->recv();
            CHECK(std::current_exception() == before);
            CHECK(e.what() == std::to_string(id));
            throw;
        }
    }
};

// A destructor that parks while the exception that runs it is in flight.
struct Parker {
    Chan<int> *flying, *go_on;
    ~Parker() {
        CHECK_EQ(std::uncaught_exceptions(), 1);
        flying->send(1);
        go_on->recv();
        CHECK_EQ(std::uncaught_exceptions(), 1);
    }
};

struct Unwinder {
    Chan<int> *flying, *go_on, *done;

    static void run(void *arg) {
        auto *me = static_cast<Unwinder *>(arg);
        try {
            Parker p{me->flying, me->go_on};
            throw 7;
        } catch (int n) {
            CHECK_EQ(n, 7);
            CHECK_EQ(std::uncaught_exceptions(), 0);
        }
        me->done->send(1);
    }
};

// Wakes the goroutine that is parked in its catch. On the very thread that it parked on, then keeps that
// thread: the other can only go on on another one.
struct Hog {
    long parked_on;
    Chan<int> *wake, *gone;
    bool *moved;

    static void run(void *arg) {
        auto *me = static_cast<Hog *>(arg);
        bool here = thread_id() == me->parked_on;
        me->wake->send(0);
        while (here && !__atomic_load_n(me->moved, __ATOMIC_ACQUIRE)) continue;
        me->gone->send(1);
    }
};

// One try. True if the catch was left on another thread than it was entered on.
bool catch_moves() {
    Chan<int> wake, gone(1);
    bool moved = false, result = false;
    Hog hog{0, &wake, &gone, &moved};
    try {
        try {
            throw std::string("moving");
        } catch (const std::string &) {
            hog.parked_on = thread_id();
            CHECK_EQ(rn_go_call(nullptr, Hog::run, &hog), 0);
            wake.recv();
            result = thread_id() != hog.parked_on;
            __atomic_store_n(&moved, true, __ATOMIC_RELEASE);
            throw;
        }
    } catch (const std::string &s) {
        CHECK_STR(s.c_str(), "moving");
        CHECK(std::current_exception() != nullptr);
    }
    CHECK(std::current_exception() == nullptr);
    gone.recv();
    return result;
}

} // namespace

TEST_GO(catches_of_many_goroutines_are_apart) {
    enum { N = 50 };
    Chan<int> caught, done, go_on[N];
    Catcher all[N];
    for (int i = 0; i < N; i++) {
        all[i] = Catcher{i, &caught, &go_on[i], &done};
        CHECK_EQ(rn_go_call(nullptr, Catcher::run, &all[i]), 0);
    }
    for (int i = 0; i < N; i++) caught.recv(); // all are in their catch now
    CHECK(std::current_exception() == nullptr);
    for (int i = 0; i < N; i++) { // and leave it in another order than a stack's
        int id = (i * 7) % N;
        go_on[id].send(0);
        CHECK_EQ(done.recv(), id);
    }
}

TEST_GO(unwinding_of_many_goroutines_is_apart) {
    enum { N = 20 };
    Chan<int> flying, done, go_on;
    Unwinder u{&flying, &go_on, &done};
    for (int i = 0; i < N; i++) CHECK_EQ(rn_go_call(nullptr, Unwinder::run, &u), 0);
    for (int i = 0; i < N; i++) flying.recv();
    CHECK_EQ(std::uncaught_exceptions(), 0);
    for (int i = 0; i < N; i++) go_on.send(0);
    for (int i = 0; i < N; i++) done.recv();
}

TEST_GO(rethrows_on_another_thread) {
    if (rn_procs(0) == 1) rn_procs(2); // with one processor nothing would run beside the hog
    for (int moves = 0; moves < 10;) moves += catch_moves();
}

TEST(channels_from_plain_threads) {
    Chan<double> c(3);
    for (int i = 0; i < 3; i++) c.send(i * 0.5);
    for (int i = 0; i < 3; i++) CHECK(c.recv() == i * 0.5);
}

TEST_GO(panics_and_protected_calls) {
    rn_panic_info p;
    CHECK(!rn_try([](void *) { rn_panic("from %s", "C++"); }, nullptr, &p));
    CHECK_STR(p.message, "from C++");
    CHECK(rn_try([](void *) {}, nullptr, nullptr));
}
