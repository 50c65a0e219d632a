#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""relay_test.py CASE: one case of relay's tests; the program is the environment's RELAY.

The backends are threads of this process. See serverlib.py.
"""
import os
import re
import signal
import socket
import sys
import threading

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from serverlib import Nginx, Program, Redis, curl_many, dial, equal, main, need, output, run, wrk  # noqa: E402

RELAY = os.environ["RELAY"]


class Relay(Program):
    def __init__(self, *args, listen="127.0.0.1:0"):
        super().__init__(RELAY, *args[:-1], listen, *args[-1])
        self.address = self.listening()

    def client(self):
        return dial(self.address)


class Backend:
    """Serves each connection in a thread: serve(socket)."""

    def __init__(self, serve, path=None):
        self.listener = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
        self.listener.bind(path or ("127.0.0.1", 0))
        self.listener.listen(1000)
        self.address = path or "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.serve = serve
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                c, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.run, args=(c,), daemon=True).start()

    def run(self, c):
        with c:
            try:
                self.serve(c)
            except OSError:
                pass  # health checks just close


def echo(c):
    while data := c.recv(65536):
        c.sendall(data)


def named(name):
    """Answers each byte with its name."""
    def serve(c):
        while c.recv(1):
            c.sendall(name)
    return serve


def ask(c):
    c.sendall(b"?")
    return c.recv(1)


def read_all(c):
    data = b""
    while part := c.recv(65536):
        data += part
    return data


def nobody():
    """An address that refuses and stays taken."""
    s = socket.socket()
    s.bind(("127.0.0.1", 0))
    return s, "127.0.0.1:%d" % s.getsockname()[1]


def test_tcp_and_back():
    r = Relay([Backend(echo).address])
    with r.client() as c:
        c.sendall(b"hello")
        equal(c.recv(5), b"hello")
    equal(r.stop(), 0)


def test_unix_sockets_on_both_sides():
    b = Backend(echo, "backend.sock")
    r = Relay([os.path.abspath("backend.sock")], listen=os.path.abspath("relay.sock"))
    with r.client() as c:
        c.sendall(b"hello")
        equal(c.recv(5), b"hello")
    equal(r.stop(), 0)
    equal(os.path.exists("relay.sock"), False)
    b.listener.close()


def test_half_close_is_passed_on():
    def answer_at_end(c):
        data = read_all(c)
        c.sendall(b"%d" % len(data))
    r = Relay([Backend(answer_at_end).address])
    with r.client() as c:
        c.sendall(b"x" * 12345)
        c.shutdown(socket.SHUT_WR)
        equal(read_all(c), b"12345")
    equal(r.stop(), 0)


def test_much_both_ways_at_once():
    r = Relay([Backend(echo).address])
    data = os.urandom(1 << 16) * 64
    with r.client() as c:
        def send():
            c.sendall(data)
            c.shutdown(socket.SHUT_WR)
        threading.Thread(target=send).start()
        equal(read_all(c) == data, True)
    equal(r.stop(), 0)


def test_round_robin():
    r = Relay("-e", "0", [Backend(named(b"a")).address, Backend(named(b"b")).address])
    got = b""
    for _ in range(6):
        with r.client() as c:
            got += ask(c)
    equal(got, b"ababab")
    equal(r.stop(), 0)


def test_least_connections():
    r = Relay("-e", "0", "--balance=least", [Backend(named(b"a")).address, Backend(named(b"b")).address])
    kept = [r.client() for _ in range(4)]
    equal(sorted(ask(c) for c in kept), [b"a", b"a", b"b", b"b"])
    gone = [c for c in kept if ask(c) == b"b"]
    for c in gone:
        c.shutdown(socket.SHUT_WR)
        equal(read_all(c), b"")
        c.close()
    while True:  # until relay has counted them off
        r.signal(signal.SIGUSR1)
        r.until("clients: ")
        r.until(": up, 2 active")
        if ": up, 0 active" in r.until("active"):
            break
    for _ in range(2):
        kept.append(r.client())
        equal(ask(kept[-1]), b"b")
    for c in kept:
        c.close()
    equal(r.stop(), 0)


def test_the_next_backend_when_one_refuses():
    s, dead = nobody()
    r = Relay("-e", "0", [dead, Backend(named(b"b")).address])
    for _ in range(3):
        with r.client() as c:
            equal(ask(c), b"b")
    r.signal(signal.SIGUSR1)
    failed = int(r.until(dead).split(" failed")[0].split()[-1])
    equal(failed > 0, True)
    equal(r.stop(), 0)
    s.close()


def test_no_backend_closes_the_client():
    s, dead = nobody()
    r = Relay([dead])
    with r.client() as c:
        equal(c.recv(1), b"")
    equal(r.stop(), 0)
    s.close()


def test_health_checks_find_a_backend_again():
    path = os.path.abspath("late.sock")
    r = Relay("-e", "0.01", [path])
    r.until("late.sock is down")
    Backend(named(b"a"), path)
    r.until("late.sock is up")
    with r.client() as c:
        equal(ask(c), b"a")
    equal(r.stop(), 0)


def test_the_limit_lets_others_wait():
    r = Relay("-c", "1", [Backend(named(b"a")).address])
    first, second = r.client(), r.client()
    equal(ask(first), b"a")
    second.sendall(b"?")
    r.signal(signal.SIGUSR1)
    equal("1 active, 1 accepted" in r.until("clients: "), True)
    first.close()
    equal(second.recv(1), b"a")
    second.close()
    equal(r.stop(), 0)


def test_idle_connections_are_closed():
    r = Relay("-i", "0.05", [Backend(echo).address])
    with r.client() as c:
        equal(c.recv(1), b"")
    equal(r.stop(), 0)


def test_drain_lets_clients_finish():
    r = Relay("-d", "1000", [Backend(named(b"a")).address])
    c = r.client()
    equal(ask(c), b"a")
    r.signal(signal.SIGTERM)
    r.until("draining")
    try:
        r.client()
        raise AssertionError("accepted while draining")
    except ConnectionRefusedError:
        pass
    equal(ask(c), b"a")
    c.close()
    equal(r.end(), 0)


def test_a_second_signal_cuts_off():
    r = Relay("-d", "1000", [Backend(named(b"a")).address])
    c = r.client()
    equal(ask(c), b"a")
    r.signal(signal.SIGTERM)
    r.until("draining")
    r.signal(signal.SIGTERM)
    equal(r.end(), 1)
    equal(c.recv(1), b"")


def test_the_end_of_the_drain_cuts_off():
    r = Relay("-d", "0.01", [Backend(named(b"a")).address])
    c = r.client()
    equal(ask(c), b"a")
    equal(r.stop(), 1)
    c.close()


def test_many_clients_at_once():
    r = Relay([Backend(echo).address, Backend(echo).address])
    clients = [r.client() for _ in range(100)]
    for i, c in enumerate(clients):
        c.sendall(b"%5d" % i)
    for i, c in enumerate(clients):
        equal(c.recv(5), b"%5d" % i)
        c.close()
    equal(r.stop(), 0)


def all_took_part(r, backends):
    """No client was refused, no backend failed, and each one had clients."""
    r.signal(signal.SIGUSR1)
    equal(", 0 refused" in r.until("clients: "), True)
    for address in backends:
        line = r.until(address)
        total = re.search(r"up, \d+ active, (\d+) total, 0 failed", line)
        equal((line, bool(total) and int(total.group(1)) > 0), (line, True))


def test_nginx_behind_it_and_wrk_and_curl_before_it():
    need("nginx", "wrk", "curl")
    files = {f"f{i}": os.urandom(1 + 7919 * i) for i in range(30)}
    nginx = Nginx(files)
    r = Relay("-i", "1000", nginx.addresses)
    curl_many("http://" + r.address, files)
    wrk(f"http://{r.address}/f1", "www/f1")
    wrk(f"http://{r.address}/f20", "www/f20", depth=4)
    all_took_part(r, nginx.addresses)
    equal((r.stop(), nginx.stop()), (0, 0))


def calls(cli):
    """What redis-server counted: {command: calls}. None of them failed."""
    stats = output(*cli, "info", "commandstats").decode()
    equal(set(re.findall(r"(?:rejected|failed)_calls=(\d+)", stats)), {"0"})
    return {name: int(n) for name, n in re.findall(r"cmdstat_([\w|]+):calls=(\d+)", stats)}


def test_redis_behind_it_with_its_own_clients():
    need("redis-server", "redis-cli", "redis-benchmark")
    redis = Redis()
    r = Relay("-i", "1000", [redis.address])
    host, port = r.address.split(":")
    cli = ("redis-cli", "-h", host, "-p", port)
    output("redis-benchmark", "-h", host, "-p", port, "-n", "3000", "-c", "20", "-P", "8", "-d", "600", "-t",
           "set,get,incr,lpush", "-q")
    counted = calls(cli)
    for command in ("set", "get", "incr", "lpush"):
        equal((command, counted[command] >= 3000), (command, True))
    # What goes in comes out: one large value, and many small ones in a stream that does not wait for answers.
    big = os.urandom(1 << 20)
    output(*cli, "flushall")
    output(*cli, "-x", "set", "big", input=big)
    equal(output(*cli, "get", "big") == big + b"\n", True)
    n = 5000
    text = output(*cli, "--pipe", input=b"".join(b"SET k%d value-%d\r\n" % (i, i) for i in range(n)))
    equal(f"errors: 0, replies: {n}" in text.decode(), True)
    got = output(*cli, input=b"".join(b"GET k%d\n" % i for i in range(n)))
    equal(got == b"".join(b"value-%d\n" % i for i in range(n)), True)
    all_took_part(r, [redis.address])
    equal((r.stop(), redis.stop()), (0, 0))


def test_redis_pushes_to_a_subscriber():
    need("redis-server", "redis-cli")
    redis = Redis()
    r = Relay("-i", "1000", [redis.address])
    host, port = r.address.split(":")
    subscriber = Program("redis-cli", "-h", host, "-p", port, "--csv", "subscribe", "news")
    subscriber.until('"subscribe","news",1')
    for i in range(20):
        equal(output("redis-cli", "-h", host, "-p", port, "publish", "news", f"item {i}"), b"1\n")
        equal(subscriber.until("message"), f'"message","news","item {i}"')
    subscriber.signal(signal.SIGKILL)
    subscriber.end()
    equal((r.stop(), redis.stop()), (0, 0))


def test_help_and_wrong_usage():
    code, out, err = run(RELAY, "--help")
    equal((code, out.startswith("NAME\n    relay - "), err), (0, True, ""))
    for args in ([], [":1"], ["-c", "0", ":1", ":2"], ["-t", "x", ":1", ":2"], ["-b", "best", ":1", ":2"], ["-z"]):
        code, out, err = run(RELAY, *args)
        equal((code, out), (2, ""))
    code, out, err = run(RELAY, "nowhere", ":1")
    equal((code, err), (1, "relay: nowhere: Invalid argument\n"))


sys.exit(main("relay", globals()))
