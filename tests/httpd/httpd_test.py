#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""httpd_test.py CASE: one case of httpd's tests; the program is the environment's HTTPD.

See serverlib.py. Time-outs are shown by waiting for them, never by being faster than they are.
"""
import http.client
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from serverlib import CURL, Program, ab, curl_many, dial, equal, main, need, output, run, wrk  # noqa: E402

HTTPD = os.environ["HTTPD"]
LONG = ("-i", "1000", "-r", "1000", "-w", "1000")  # no time-outs, please


class Server(Program):
    def __init__(self, *args, files=None):
        os.mkdir("www")
        for name, content in (files or {"a.txt": b"hello\n"}).items():
            path = os.path.join("www", name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as f:
                f.write(content)
        super().__init__(HTTPD, *args, "127.0.0.1:0", "www")
        self.address = self.listening()

    def connect(self):
        return Client(dial(self.address))

    def get(self, target, headers="", method="GET"):
        """One request on a connection of its own: status, headers, body."""
        with self.connect() as c:
            return c.ask(target, headers, method)


class Client:
    def __init__(self, s):
        self.s = s
        self.f = s.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.f.close()
        self.s.close()

    def send(self, data):
        self.s.sendall(data)

    def ask(self, target, headers="", method="GET"):
        self.send(f"{method} {target} HTTP/1.1\r\nHost: test\r\n{headers}\r\n".encode("latin-1"))
        return self.answer(method)

    def ask_in_time(self, target):
        """The same for a server with a short idle time-out; None if that was faster than we are."""
        try:
            return self.ask(target)
        except (ConnectionResetError, BrokenPipeError):
            return None

    def answer(self, method="GET"):
        line = self.f.readline()
        if not line:
            return None
        version, status, _ = line.split(b" ", 2)
        equal(version, b"HTTP/1.1")
        headers = http.client.parse_headers(self.f)
        n = 0 if method == "HEAD" or status == b"304" else int(headers["Content-Length"])
        return int(status), headers, self.f.read(n)

    def rest(self):
        """All that still comes, until the end; a reset is one too."""
        try:
            return self.f.read()
        except ConnectionResetError:
            return b""


def done(server):
    equal(server.stop(), 0)


def test_files_and_their_types():
    s = Server(files={"a.txt": b"hello\n", "b/c.html": b"<p>", "empty": b"", "x y%.css": b"p{}"})
    status, headers, body = s.get("/a.txt")
    equal((status, body, headers["Content-Type"]), (200, b"hello\n", "text/plain; charset=utf-8"))
    equal(s.get("/b/c.html")[1]["Content-Type"], "text/html; charset=utf-8")
    equal(s.get("/empty")[2], b"")
    equal(s.get("/empty")[1]["Content-Type"], "application/octet-stream")
    equal(s.get("/x%20y%25.css?query#fragment")[2], b"p{}")
    equal(s.get("http://test/a.txt")[2], b"hello\n")
    done(s)


def test_keep_alive_and_close():
    s = Server(*LONG)
    with s.connect() as c:
        for _ in range(10):
            status, headers, body = c.ask("/a.txt")
            equal((status, headers["Connection"], body), (200, "keep-alive", b"hello\n"))
        equal(c.ask("/none")[0], 404)
        equal(c.ask("/a.txt", "Connection: close\r\n")[1]["Connection"], "close")
        equal(c.rest(), b"")
    with s.connect() as c:  # HTTP/1.0 closes, and needs no Host
        c.send(b"GET /a.txt HTTP/1.0\r\n\r\n")
        equal(c.answer()[2], b"hello\n")
        equal(c.rest(), b"")
    done(s)


def test_head_has_no_body():
    s = Server(*LONG)
    with s.connect() as c:
        for target in ("/a.txt", "/", "/none"):
            status, headers, _ = c.ask(target, method="HEAD")
            equal(int(headers["Content-Length"]), len(s.get(target)[2]))
        equal(c.ask("/a.txt")[2], b"hello\n")
    done(s)


def test_directories():
    s = Server(files={"i/index.html": b"index", "d/<b>.txt": b"", "d/.hidden": b"", "d/e/f": b""})
    equal(s.get("/i/")[2], b"index")
    status, headers, _ = s.get("/i")
    equal((status, headers["Location"]), (301, "/i/"))
    equal(s.get("//i")[1]["Location"], "/i/")
    status, headers, body = s.get("/d/")
    equal((status, headers["Content-Type"]), (200, "text/html; charset=utf-8"))
    equal(b'<a href="./%3Cb%3E.txt">&lt;b&gt;.txt</a>' in body, True)
    equal(b'<a href="./e/">e/</a>' in body, True)
    equal(b"hidden" in body, False)
    equal(b'<a href="./d/">' in s.get("/")[2], True)
    done(s)


def test_ranges():
    data = bytes(range(256)) * 200
    s = Server(*LONG, files={"f": data})
    n = len(data)
    good = {"0-0": (0, 1), "1-2": (1, 3), "100-": (100, n), "-5": (n - 5, n), f"-{n + 9}": (0, n), f"5-{n + 9}": (5, n),
            "1000-50000": (1000, 50001)}
    with s.connect() as c:
        for text, (a, b) in good.items():
            status, headers, body = c.ask("/f", f"Range: bytes={text}\r\n")
            equal((status, headers["Content-Range"], body == data[a:b]), (206, f"bytes {a}-{b - 1}/{n}", True))
        for text in (f"{n}-", "-0", "99999999-"):
            status, headers, body = c.ask("/f", f"Range: bytes={text}\r\n")
            equal((status, headers["Content-Range"], body), (416, f"bytes */{n}", b""))
        for text in ("bytes=2-1", "bytes=", "bytes=-", "bytes=a-b", "bytes=0-1,3-4", "lines=1-2",
                     "bytes=99999999999999999999-"):
            equal(c.ask("/f", f"Range: {text}\r\n")[0], 200)
        tag = c.ask("/f")[1]["ETag"]
        equal(c.ask("/f", f"Range: bytes=0-1\r\nIf-Range: {tag}\r\n")[0], 206)
        equal(c.ask("/f", 'Range: bytes=0-1\r\nIf-Range: "other"\r\n')[0], 200)
    done(s)


def test_not_modified():
    s = Server(*LONG)
    with s.connect() as c:
        headers = c.ask("/a.txt")[1]
        tag, modified = headers["ETag"], headers["Last-Modified"]
        equal(c.ask("/a.txt", f"If-None-Match: {tag}\r\n")[0], 304)
        equal(c.ask("/a.txt", f'If-None-Match: "x", {tag}\r\n')[0], 304)
        equal(c.ask("/a.txt", 'If-None-Match: "x"\r\n')[0], 200)
        equal(c.ask("/a.txt", f"If-Modified-Since: {modified}\r\n")[0], 304)
        equal(c.ask("/a.txt", "If-Modified-Since: Mon, 01 Jan 1990 00:00:00 GMT\r\n")[0], 200)
        equal(c.ask("/a.txt", "If-Modified-Since: yesterday\r\n")[0], 200)
        equal(c.ask("/a.txt")[2], b"hello\n")
    done(s)


def test_nothing_outside_of_dir():
    with open("secret", "wb") as f:
        f.write(b"secret")
    s = Server(*LONG, files={"a.txt": b"hello\n", "d/e": b""})
    os.symlink("../secret", "www/link")
    os.symlink(os.path.abspath("secret"), "www/absolute")
    os.symlink("..", "www/up")
    os.symlink("a.txt", "www/inside")
    with s.connect() as c:
        for target in ("/../secret", "/%2e%2e/secret", "/..%2fsecret", "/d/../../secret", "/./../secret", "//../secret",
                       "/link", "/absolute", "/up/secret", "/d/.."):
            status, _, body = c.ask(target)
            equal((target, status, b"secret" in body), (target, 403, False))
        equal(c.ask("/inside")[2], b"hello\n")
        equal(c.ask("/..a")[0], 404)
        equal(c.ask("/a.txt%00.html")[0], 400)
        equal(c.ask("/%zz")[0], 400)
        equal(c.ask("/a.txt/")[0], 404)
    os.mkfifo("www/fifo")
    equal(s.get("/fifo")[0], 403)
    done(s)


def bad(s, data, status):
    with s.connect() as c:
        c.send(data)
        answer = c.answer()
        equal((data[:60], answer[0], answer[1]["Connection"]), (data[:60], status, "close"))
        equal(c.rest(), b"")


def test_bad_requests_are_told_so_and_closed():
    s = Server(*LONG)
    bad(s, b"nonsense\r\n\r\n", 400)
    bad(s, b"\0\1\2\3", 400)
    bad(s, b"GET /a.txt HTTP/9.9\r\n\r\n", 505)
    bad(s, b"GET /" + b"x" * 5000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414)
    bad(s, b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400)
    bad(s, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", 405)
    bad(s, b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 405)
    bad(s, b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 405)
    with s.connect() as c:
        equal(c.ask("/", method="DELETE")[1]["Allow"], "GET, HEAD")
        c.send(b"GET /a.txt HTTP/1.1\r\n\r\n")
        equal(c.answer()[0], 400)  # no Host
        c.send(b"GET /a.txt HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
        equal(c.answer()[0], 400)
        c.send(b"GET /a.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
        equal(c.answer()[2], b"hello\n")  # its body is not read
        equal(c.rest(), b"")
    done(s)


def test_headers_without_end():
    s = Server(*LONG)
    with s.connect() as c:
        def send():
            try:
                c.send(b"GET / HTTP/1.1\r\nHost: t\r\n")
                for _ in range(1 << 10):
                    c.send(b"X-Filler: " + b"x" * 1000 + b"\r\n")
            except OSError:
                pass  # closed on us, as it may
        t = threading.Thread(target=send)
        t.start()
        answer = c.answer()
        equal(answer[0], 431)
        t.join()  # it ends because the server closes
    with s.connect() as c:
        c.send(b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 2000)
        c.send(b"X: y\r\n" * 2000)
        equal(c.answer()[0], 431)
    equal(s.get("/a.txt")[0], 200)
    done(s)


def test_pipelining():
    s = Server(*LONG, files={"a": b"A" * 100, "b": b"B" * 100000})
    with s.connect() as c:
        def send():
            c.send(b"GET /a HTTP/1.1\r\nHost: t\r\n\r\nGET /b HTTP/1.1\r\nHost: t\r\n\r\n" * 100)
        t = threading.Thread(target=send)
        t.start()
        for _ in range(100):
            equal(c.answer()[2], b"A" * 100)
            equal(c.answer()[2], b"B" * 100000)
        t.join()
    done(s)


def test_one_byte_at_a_time():
    s = Server(*LONG)
    with s.connect() as c:
        c.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(2):
            for byte in b"\r\nGET /a.txt HTTP/1.1\r\nHost: test\r\nRange: bytes=1-3\r\n\r\n":
                c.send(bytes([byte]))
            status, _, body = c.answer()
            equal((status, body), (206, b"ell"))
    done(s)


def test_a_large_file():
    data = os.urandom(1 << 16) * 80
    s = Server(*LONG, files={"f": data})
    with s.connect() as c:
        equal(c.ask("/f")[2] == data, True)
        equal(c.ask("/f", "Range: bytes=1-4000000\r\n")[2] == data[1:4000001], True)
    done(s)


def test_slow_requests_time_out():
    s = Server("-r", "0.1", "-i", "1000")
    with s.connect() as c:
        c.send(b"GET /a.txt HTTP/1.1\r\nHo")
        equal(c.answer()[0], 408)
        equal(c.rest(), b"")
    done(s)


def test_idle_connections_time_out():
    s = Server("-i", "0.1", "-r", "1000")
    with s.connect() as c:
        equal(c.rest(), b"")
    ended = None
    while ended is None:
        with s.connect() as c:
            if c.ask_in_time("/a.txt"):
                ended = c.rest()
    equal(ended, b"")
    done(s)


def test_clients_that_do_not_read_time_out():
    s = Server("-w", "0.2", files={"f": bytes(1 << 25)})
    with s.connect() as c:
        c.s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        c.send(b"GET /f HTTP/1.1\r\nHost: t\r\n\r\n")
        time.sleep(1)  # not to read is what this case is about; how long does not matter
        while s.p.poll() is None and connections(s) > 0:
            time.sleep(0.01)
    done(s)


def connections(s):
    """How many of httpd's descriptors are sockets, but for the listener."""
    n = -1
    for fd in os.listdir(f"/proc/{s.p.pid}/fd"):
        try:
            n += os.readlink(f"/proc/{s.p.pid}/fd/{fd}").startswith("socket:")
        except FileNotFoundError:
            pass
    return n


def test_the_limit_lets_others_wait():
    s = Server("-c", "1", *LONG)
    first, second = s.connect(), s.connect()
    equal(first.ask("/a.txt")[0], 200)
    second.send(b"GET /a.txt HTTP/1.1\r\nHost: t\r\n\r\n")
    first.close()
    equal(second.answer()[0], 200)
    second.close()
    done(s)


def test_drain_finishes_requests_and_drops_idle_connections():
    s = Server("-d", "1000", *LONG, files={"f": bytes(1 << 24)})
    idle, busy = s.connect(), s.connect()
    equal(idle.ask("/f", "Range: bytes=0-0\r\n")[0], 206)
    busy.send(b"GET /f HTTP/1.1\r\nHost: t\r\n\r\n")
    line = busy.f.readline()  # it is under way
    s.signal(signal.SIGTERM)
    s.until("draining")
    equal(idle.rest(), b"")
    headers = http.client.parse_headers(busy.f)
    equal((line[:12], len(busy.f.read(int(headers["Content-Length"])))), (b"HTTP/1.1 200", 1 << 24))
    equal(s.end(), 0)


def test_a_second_signal_cuts_off():
    s = Server("-d", "1000", *LONG, files={"f": bytes(1 << 25)})
    with s.connect() as c:
        c.s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        c.send(b"GET /f HTTP/1.1\r\nHost: t\r\n\r\n")
        c.f.readline()
        s.signal(signal.SIGTERM)
        s.until("draining")
        s.signal(signal.SIGTERM)
        equal(s.end(), 1)


def mutate(r, data):
    data = bytearray(data)
    for _ in range(r.randrange(1, 6)):
        at = r.randrange(len(data) + 1)
        kind = r.randrange(4)
        if kind == 0 and data:
            data[at % len(data)] = r.randrange(256)
        elif kind == 1:
            data[at:at] = r.choice([b"\r\n", b"\0", b"%", b"..", b":", b" ", b"HTTP/", b"x" * 5000, b"\r\n\r\n"])
        elif kind == 2:
            del data[at:at + r.randrange(20)]
        else:
            data[at:at] = data[:r.randrange(100)]
    return bytes(data)


def test_hostile_input():
    """Requests broken at random, dropped at random: each is answered or closed, and the server stays."""
    seed = int(os.environ.get("RUNNEL_TEST_SEED", random.randrange(1 << 32)))
    print(f"RUNNEL_TEST_SEED={seed}", file=sys.stderr)
    r = random.Random(seed)
    s = Server("-r", "0.2", "-i", "0.2", "-w", "5", files={"a.txt": b"hello\n", "d/e": bytes(100000)})
    good = [b"GET /a.txt HTTP/1.1\r\nHost: test\r\nRange: bytes=1-3\r\nConnection: keep-alive\r\n\r\n",
            b"HEAD /d/ HTTP/1.1\r\nHost: test\r\nIf-None-Match: \"abc\"\r\n\r\n",
            b"GET /d/e?x=%20 HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            b"POST /%61 HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello"]
    n = max(1, 200 * int(os.environ.get("RUNNEL_TEST_SCALE", "100")) // 100)
    for _ in range(n):
        with s.connect() as c:
            try:
                c.send(mutate(r, r.choice(good) * r.randrange(1, 4)))
                if r.randrange(3) == 0:
                    continue  # dropped
                c.s.shutdown(socket.SHUT_WR)
                c.rest()
            except OSError:
                pass
    answer = None
    while answer is None:
        with s.connect() as c:
            answer = c.ask_in_time("/a.txt")
    equal(answer[2], b"hello\n")
    done(s)


def test_curl_takes_it():
    need("curl")
    s = Server(files={"a.txt": b"hello\n", "f": bytes(300000)})
    base = f"http://{s.address}"
    equal(output(*CURL, base + "/a.txt", base + "/a.txt"), b"hello\nhello\n")
    equal(output(*CURL, "-r", "1-2", base + "/a.txt"), b"el")
    equal(len(output(*CURL, "--http1.0", base + "/f")), 300000)
    equal(b"200 OK" in output(*CURL, "-I", base + "/f"), True)
    equal(subprocess.call([*CURL, base + "/none"], stderr=subprocess.DEVNULL), 22)
    done(s)


def curl_status(*args):
    """The answer's status, and how many connections it took."""
    return output(*CURL[:-1], "-o", "body", "-w", "%{http_code} %{num_connects}\n", *args).decode().split("\n")[:-1]


def test_curl_downloads_many_and_resumes():
    need("curl")
    files = {f"f{i}": os.urandom(1 + 7919 * i) for i in range(30)}
    s = Server(*LONG, files=files)
    base = f"http://{s.address}"
    curl_many(base, files)
    with open("part", "wb") as f:
        f.write(files["f20"][:1234])
    output(*CURL, "-C", "-", "-o", "part", base + "/f20")
    with open("part", "rb") as f:
        equal(f.read() == files["f20"], True)
    equal(curl_status(base + "/f1", "-o", "other", base + "/f29"), ["200 1", "200 0"])  # kept alive
    output(*CURL, "--etag-save", "etag", "-o", "body", base + "/f1")
    equal(curl_status("--etag-compare", "etag", base + "/f1"), ["304 1"])
    equal(curl_status("-z", "www/f1", base + "/f1"), ["304 1"])
    equal(curl_status("--path-as-is", base + "/../httpd"), ["403 1"])
    equal(curl_status("-d", "a=b", base + "/f1"), ["405 1"])
    done(s)


def test_wrk_gets_every_byte():
    need("wrk")
    s = Server(*LONG, files={"small": os.urandom(500), "large": os.urandom(200000)})
    wrk(f"http://{s.address}/small", "www/small", depth=8)
    wrk(f"http://{s.address}/large", "www/large")
    done(s)


def test_ab_has_no_failed_requests():
    need("ab")
    s = Server(*LONG, files={"small": b"x" * 500, "large": bytes(100000)})
    base = f"http://{s.address}"
    equal(ab(base + "/small", 3000, "-k")["Keep-Alive requests"], "3000")
    equal(ab(base + "/large", 500, "-k")["Document Length"], "100000")
    ab(base + "/small", 500)
    ab(base + "/large", 500, "-k", "-i")
    done(s)


def test_help_and_wrong_usage():
    code, out, err = run(HTTPD, "--help")
    equal((code, out.startswith("NAME\n    httpd - "), err), (0, True, ""))
    for args in ([], [":1"], ["-c", "0", ":1", "."], ["-i", "x", ":1", "."], ["-i", "0", ":1", "."], ["-z"]):
        code, out, err = run(HTTPD, *args)
        equal((code, out), (2, ""))
    equal(run(HTTPD, "nowhere", ".")[::2], (1, "httpd: nowhere: Invalid argument\n"))
    equal(run(HTTPD, ":0", "none")[::2], (1, "httpd: none: No such file or directory\n"))


sys.exit(main("httpd", globals()))
