# SPDX-License-Identifier: MIT
"""The peers: how each is built, called and read. run.py says when."""
import json
import os
import re
import shutil
import subprocess
import sys

import servers

GO_OWN = """MakeChan ChanNonblocking ChanUncontended ChanContended ChanSync ChanSyncWork ChanProdCons0
    ChanProdCons10 ChanProdCons100 ChanProdConsWork0 ChanProdConsWork10 ChanProdConsWork100
    SelectUncontended SelectSyncContended SelectAsyncContended SelectNonblock SelectProdCons
    ReceiveDataFromClosedChan ChanCreation ChanSem ChanPopular ChanClosed CreateGoroutines
    CreateGoroutinesParallel CreateGoroutinesCapture CreateGoroutinesSingle PingPongHog
    WakeupParallelSpinning""".split()

GO_SYNC = """MutexUncontended Mutex MutexSlack MutexWork MutexWorkSlack MutexNoSpin MutexSpin
    RWMutexUncontended RWMutexWrite100 RWMutexWrite10 RWMutexWorkWrite100 RWMutexWorkWrite10 Cond1 Cond2
    Cond4 Cond8 Cond16 Cond32 WaitGroupUncontended WaitGroupAddDone WaitGroupAddDoneWork WaitGroupWait
    WaitGroupWaitWork WaitGroupActuallyWait Once OnceValue Pool PoolOverflow PoolStarvation SemaUncontended
    SemaSyntNonblock SemaSyntBlock SemaWorkNonblock SemaWorkBlock""".split()

# What a reader of the tables has to know: where a peer's row is not quite the same work.
NOTES = {
    "runnel": "Channels are given back by hand (`rn_unref`) inside the measured loop of MakeChan and "
              "ChanCreation; Sema rows take rn_sem, strictly first come first served; stacks are 256 KiB of address space, committed page by page.",
    "go": "Rows with a capital are Go's own benchmarks, compiled from the installed toolchain's "
          "`src/runtime/*_test.go` and `src/sync/*_test.go`; the collector runs as it likes, on another core too at procs 1.",
    "tokio": "Stackless tasks. mpsc channels: one receiver only, and no unbuffered ones: a buffer of 1 stands in. Many "
             "tasks wait for one close on a `watch` channel. Current-thread runtime at procs 1.",
    "kanal": "Stackless tasks on tokio. No select: a receive that is given up can lose its value.",
    "flume": "Stackless tasks on tokio. Parking a million is left out: ending them takes time that grows with "
             "their square.",
    "crossbeam": "Threads of the kernel, bound to as many CPUs as procs: blocking is a futex call, and rows about "
                 "goroutines are left out.",
    "may": "Its channels are all unbounded: a sender never waits, so that stream_128 and the sieve need fewer switches. "
           "Its stacks end at vm.max_map_count: no skynet, no parking.",
    "boost": "Boost.Fiber with stacks of 16 KiB; pooled at procs 1, from malloc with work stealing at more (the pool is "
             "not safe between threads). A buffered channel of 128 holds 127. No select.",
    "st": "State Threads run on one OS thread: procs 1 only. Channels are made of its condition variables. No yield, no "
          "select; a mapping for each stack.",
    "nginx": "As many worker processes as procs, sendfile, no log. Rows httpd: runnel is examples/httpd, go is net/http's FileServer.",
    "haproxy": "As many threads as procs, mode tcp. Rows relay: wrk through it to an nginx; the CPU is the relay's alone.",
}


class Missing(Exception):
    """A tool that a peer needs is not there."""


def need(command):
    if shutil.which(command) is None:
        raise Missing(f"there is no {command}")


def explain(e):
    """What went wrong, in a line or so: the end of what the program said."""
    said = (getattr(e, "stderr", None) or getattr(e, "stdout", None) or "")
    if isinstance(said, bytes):
        said = said.decode(errors="replace")
    return "\n  ".join([str(e)] + said.strip().splitlines()[-12:])


def call(*argv, cwd=None, env=None):
    done = subprocess.run(argv, cwd=cwd, env=dict(os.environ, **(env or {})), check=True, capture_output=True,
                          stdin=subprocess.DEVNULL, text=True)
    return done.stdout


class Peer:
    """A program of ours: `PROGRAM list`, `PROGRAM ROW`, procs from RUNNEL_PROCS."""

    most_procs = 1 << 30

    def __init__(self, root, out):
        self.root, self.out = root, out
        self.program = out / type(self).__name__.lower()
        self._rows = None
        self._version = None

    def build(self):
        raise NotImplementedError

    def find_version(self):
        raise NotImplementedError

    def version(self):
        if self._version is None:
            self._version = self.find_version()
        return self._version

    def rows(self):
        if self._rows is None:
            self._rows = set(call(str(self.program), "list").split())
        return self._rows

    def command(self, row, _procs, _ms):
        return [str(self.program), row]

    def serve(self, row, procs, program):
        """The command of a row about a server, which is `program`."""
        return [sys.executable, str(self.root / "bench" / "servers.py"), row, type(self).__name__.lower(), str(procs),
                str(program)]

    def confine(self, _procs):
        """Run in the child before it starts; None: nothing."""
        return None

    def parse(self, text, _procs):
        results = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
        return {r["row"]: (r["unit"], r["value"]) for r in results}


class Runnel(Peer):
    def build(self):
        """With the default preset, as ./dev builds it."""
        need("cmake")
        build_dir = self.root / "build" / "default"
        call("cmake", "--preset", "default", cwd=self.root)
        names = sorted(f.stem for f in (self.root / "bench").glob("*_bench.c"))
        call("cmake", "--build", str(build_dir), "--target", *names, "httpd", "relay", cwd=self.root)
        self.programs = {row: str(build_dir / "bin" / name) for name in names
                         for row in call(str(build_dir / "bin" / name), "list").split()}
        self.programs |= {row: str(build_dir / "bin" / row.split("_", maxsplit=1)[0]) for row in servers.ROWS}

    def rows(self):
        return set(self.programs)

    def command(self, row, procs, ms):
        if row in servers.ROWS:
            return self.serve(row, procs, self.programs[row])
        return [self.programs[row], row]

    def find_version(self):
        text = (self.root / "CMakeLists.txt").read_text()
        number = re.search(r"project\(runnel VERSION ([\d.]+)", text)
        try:
            commit = call("git", "rev-parse", "--short=10", "HEAD", cwd=self.root).strip()
        except (OSError, subprocess.CalledProcessError):
            commit = ""
        return " ".join(filter(None, [number.group(1) if number else "", commit]))


class Go(Peer):
    """bench/go for our rows; for Go's own, the test programs of its packages, compiled from the installed sources."""

    packages = {"runtime": GO_OWN, "sync": GO_SYNC}

    def build(self):
        need("go")
        call("go", "build", "-o", str(self.program), ".", cwd=self.root / "bench" / "go")
        self.own = {}  # row: program
        for package, rows in self.packages.items():
            program = self.out / f"go_{package}.test"
            try:
                call("go", "test", "-c", "-vet=off", "-o", str(program), package, cwd=self.root / "bench" / "go")
                self.own |= dict.fromkeys(rows, str(program))
            except subprocess.CalledProcessError as e:
                print(f"bench: the benchmarks of Go's {package} are left out: {explain(e)}")

    def find_version(self):
        return call("go", "env", "GOVERSION").strip().removeprefix("go")

    def rows(self):
        return super().rows() | set(self.own) | set(servers.ROWS)

    def command(self, row, procs, ms):
        if row in servers.ROWS:
            return self.serve(row, procs, self.program)
        if row not in self.own:
            return super().command(row, procs, ms)
        return [self.own[row], "-test.run=^$", f"-test.bench=^Benchmark{row}$", f"-test.benchtime={ms}ms"]

    def parse(self, text, procs):
        results = super().parse(text, procs)
        for m in re.finditer(r"^Benchmark(\S+?)(-\d+)?\s+\d+\s+([\d.]+) ns/op", text, re.M):
            results[m[1].replace("µ", "u")] = ("ns/op", float(m[3]))
        return results


class Rust(Peer):
    """One program of bench/rust, whose crates cargo fetches."""

    crates: tuple[str, ...] = ()

    def build(self):
        need("cargo")
        target = self.out / "cargo"
        call("cargo", "build", "--release", "--quiet", "--bin", type(self).__name__.lower(),
             cwd=self.root / "bench" / "rust", env={"CARGO_TARGET_DIR": str(target)})
        self.program = target / "release" / self.program.name

    def find_version(self):
        text = (self.root / "bench" / "rust" / "Cargo.toml").read_text()
        versions = [re.search(rf'^{c} = .*?"=([\d.]+)"', text, re.M)[1] for c in self.crates]
        return " on tokio ".join(versions)


class Tokio(Rust):
    crates = ("tokio",)


class Kanal(Rust):
    crates = ("kanal", "tokio")


class Flume(Rust):
    crates = ("flume", "tokio")


class May(Rust):
    crates = ("may",)


class Crossbeam(Rust):
    crates = ("crossbeam-channel",)

    def confine(self, procs):
        cpus = sorted(os.sched_getaffinity(0))[:procs]
        return lambda: os.sched_setaffinity(0, cpus)


def macro(compiler, language, header, name):
    """The value of a C macro, without quotes; raises Missing where there is no such header."""
    done = subprocess.run([compiler, "-x", language, "-E", "-P", "-"], input=f"#include <{header}>\n{name}\n",
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Missing(f"there is no <{header}>")
    return done.stdout.strip().splitlines()[-1].strip('"')


class Boost(Peer):
    def build(self):
        need("g++")
        self.find_version()
        call("g++", "-std=c++17", "-O2", "-o", str(self.program), str(self.root / "bench" / "boost_fiber.cpp"),
             "-lboost_fiber", "-lboost_context", "-pthread")

    def find_version(self):
        return macro("g++", "c++", "boost/version.hpp", "BOOST_LIB_VERSION").replace("_", ".")


class St(Peer):
    most_procs = 1

    def build(self):
        need("gcc")
        self.find_version()
        call("gcc", "-O2", "-D_GNU_SOURCE", "-o", str(self.program), str(self.root / "bench" / "state_threads.c"),
             "-lst")

    def find_version(self):
        return macro("gcc", "c", "st.h", "ST_VERSION")


class Server(Peer):
    """A server of Debian's."""

    def build(self):
        need("wrk")
        need("nginx")
        name = type(self).__name__.lower()
        need(name)
        self.program = shutil.which(name)

    def rows(self):
        return {row for row in servers.ROWS if row.startswith(self.kind)}

    def command(self, row, procs, _ms):
        return self.serve(row, procs, self.program)

    def find_version(self):
        done = subprocess.run([self.program, "-v"], check=True, capture_output=True, text=True)
        return re.search(r"[\d.]+", done.stdout + done.stderr)[0]


class Nginx(Server):
    kind = "httpd"


class Haproxy(Server):
    kind = "relay"


ALL = {"runnel": Runnel, "go": Go, "tokio": Tokio, "kanal": Kanal, "flume": Flume, "crossbeam": Crossbeam,
       "may": May, "boost": Boost, "st": St, "nginx": Nginx, "haproxy": Haproxy}
