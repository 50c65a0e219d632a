# SPDX-License-Identifier: MIT
"""serverlib.py: what the tests of our servers share, relay's and httpd's, and of others beside them.

A test file has functions test_CASE and ends in main(name): one case is run, in a folder of its own. Nothing depends on
how fast anything runs: a case waits for what a server does or says, and a hang is ctest's to find.
"""
import ctypes
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

SKIP = 77
# Goroutines that are alive at the end are abandoned, as in Go, and so is what only they know of.
os.environ["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"


def equal(a, b):
    if a != b:
        raise AssertionError(f"{a!r} is not {b!r}")


def child_setup():
    """In the child: dies with the test, and takes signals although ctest may run in the background."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    for s in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        signal.signal(s, signal.SIG_DFL)
    os.dup2(2, 1)


class Program:
    """A program that runs beside the test and says, on its standard error or output, how it is. More as for Popen."""
    started = []

    def __init__(self, *args, **more):
        self.name = os.path.basename(args[0])
        self.p = subprocess.Popen(args, stderr=subprocess.PIPE, text=True, preexec_fn=child_setup, **more)
        Program.started.append(self)

    def until(self, text):
        """Read what it says up to a line with text; it is returned. All of it is said again, for the case that fails."""
        for line in self.p.stderr:
            sys.stderr.write(line)
            if text in line:
                return line.rstrip("\n")
        raise AssertionError(f"{self.name} did not say {text!r}")

    def listening(self):
        """The address that one of our servers says it listens on."""
        return self.until("listening on ").split("listening on ")[1]

    def signal(self, number):
        self.p.send_signal(number)

    def stop(self):
        self.signal(signal.SIGTERM)
        return self.end()

    def end(self):
        sys.stderr.write(self.p.stderr.read())
        return self.p.wait()

    def post_mortem(self):
        """For a case that failed: how it ended, if it had, and what it said."""
        print(f"{self.name} {self.p.pid}: status {self.p.poll()}", file=sys.stderr)
        self.p.kill()
        self.end()


def dial(address):
    if address.startswith("@") or "/" in address:
        s = socket.socket(socket.AF_UNIX)
        s.connect(address.replace("@", "\0", 1))
        return s
    host, port = address.rsplit(":", 1)
    return socket.create_connection((host, int(port)))


def run(*args):
    """Run one of our programs to its end: status, output, errors."""
    p = subprocess.run(args, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    said = [line for line in p.stderr.splitlines(True) if not line.startswith("RUNNEL_CHAOS_SEED=")]
    return p.returncode, p.stdout, "".join(said)


# ---- other people's servers and clients ----

# Daemons are no commands for users everywhere.
os.environ["PATH"] += ":/usr/sbin"


def need(*programs):
    """Skip the case where one of them is not installed."""
    missing = [p for p in programs if not shutil.which(p)]
    if missing:
        print("skipped: not installed: " + ", ".join(missing))
        sys.exit(SKIP)


def output(*args, **more):
    """What a client prints that must succeed, as bytes."""
    p = subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)
    if p.returncode:
        raise AssertionError(f"{args}: status {p.returncode}\n{p.stdout[-2000:]}\n{p.stderr[-2000:]}")
    return p.stdout


CURL = ("curl", "-sS", "--noproxy", "*", "--fail")


def curl_many(base, files, at_once=10):
    """Fetch all of files, {name: content}, several at the same time, and compare."""
    os.makedirs("got", exist_ok=True)
    urls = [arg for name in files for arg in ("-o", "got/" + name, base + "/" + name)]
    output(*CURL, "--parallel", "--parallel-max", str(at_once), *urls)
    for name, content in files.items():
        with open("got/" + name, "rb") as f:
            equal((name, f.read() == content), (name, True))


# Runs in each of wrk's threads: what is not the file's content is told; DEPTH requests go in one write.
WRK_SCRIPT = """
local body = io.open("%s", "rb"):read("*a")
local all
function init(args)
    local one = {}
    for i = 1, %d do one[i] = wrk.format() end
    all = table.concat(one)
end
function request() return all end
function response(status, headers, got)
    if status ~= 200 or got ~= body then print("wrong answer: " .. status .. ", " .. #got .. " bytes") end
end
"""


def wrk(url, path, depth=1, clients=20):
    """Load a server for a second, and compare every answer with the file at path. Who is so slow that there was none gets more."""
    with open("wrk.lua", "w") as f:
        f.write(WRK_SCRIPT % (path, depth))
    requests = 0
    while requests == 0:
        text = output("wrk", "-t2", f"-c{clients}", "-d1s", "--timeout", "1000", "-s", "wrk.lua", url).decode()
        for bad in ("wrong answer", "Socket errors", "Non-2xx"):
            if bad in text:
                raise AssertionError(text)
        requests = int(re.search(r"(\d+) requests in", text).group(1))


def ab(url, n, *options, clients=20):
    """n requests, all of them good; ab counts answers of another length as failed, and so do we. What it said, {name: value}."""
    text = output("ab", "-q", "-s", "1000", "-n", str(n), "-c", str(clients), *options, url).decode()
    said = dict(re.findall(r"^([A-Z][\w\s-]*): +(\d+)", text, re.M))
    good = ("Complete requests", "Failed requests", "Non-2xx responses", "Write errors")
    equal([said.get(name, "0") for name in good], [str(n), "0", "0", "0"])
    return said


NGINX = """
daemon off;
master_process off;
pid nginx.pid;
error_log stderr notice;
events { worker_connections 512; }
http {
    access_log off;
    client_body_temp_path tmp; proxy_temp_path tmp; fastcgi_temp_path tmp; uwsgi_temp_path tmp; scgi_temp_path tmp;
    keepalive_requests 1000000;
    server { listen %s reuseport; listen unix:%s; root www; }
}
"""


class Nginx(Program):
    """Serves files, {name: content}, over TCP and a Unix socket. A socket of ours holds the port for it, and does not listen."""

    def __init__(self, files):
        os.makedirs("www")
        for name, content in files.items():
            with open("www/" + name, "wb") as f:
                f.write(content)
        self.holder = socket.socket()
        self.holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self.holder.bind(("127.0.0.1", 0))
        self.addresses = ["127.0.0.1:%d" % self.holder.getsockname()[1], os.path.abspath("nginx.sock")]
        with open("nginx.conf", "w") as f:
            f.write(NGINX % tuple(self.addresses))
        super().__init__("nginx", "-p", os.getcwd(), "-c", "nginx.conf", "-e", "stderr")
        self.until("event method")  # it listens by then


class Redis(Program):
    """In memory only, on a Unix socket."""

    def __init__(self):
        self.address = os.path.abspath("redis.sock")
        super().__init__("redis-server", "--port", "0", "--unixsocket", self.address, "--save", "", "--appendonly", "no",
                         "--dir", os.getcwd())
        self.until("ready to accept connections")


def main(name, functions):
    """Run the case that the command line names."""
    cases = {key[5:]: fn for key, fn in functions.items() if key.startswith("test_")}
    if len(sys.argv) != 2 or sys.argv[1] not in cases:
        print("\n".join(cases))
        return 2
    home = tempfile.mkdtemp(prefix=name + ".")
    os.chdir(home)
    try:
        cases[sys.argv[1]]()
    except BaseException:
        for started in Program.started:
            started.post_mortem()
        raise
    finally:
        os.chdir("/")
        shutil.rmtree(home, ignore_errors=True)
    return 0
