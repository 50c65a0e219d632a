#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Run runnel's benchmarks and the same work on its peers, in turn, and tell how they compare.

A row is one kind of work (`--list`). Each peer is a program that runs a row, warms up, and prints one
JSON object for each result: {"row", "unit", "value"}, less is better. Here they are built, run in turn
(runnel, Go, ..., runnel, Go, ...: a disturbance hits all alike), and summed up: median, least and most of
--runs runs, at each of --procs.

Writes build/bench/results.json: a list of {"row", "peer", "version", "procs", "unit", "median", "min",
"max", "runs"}; what was not measured this time stays from before (--fresh drops it). With --publish also
docs/benchmarks/README.md and docs/benchmarks/ratio.svg. Needs Python's standard library only.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys

import peers
import report
import servers

ROOT = pathlib.Path(__file__).resolve().parent.parent
OUT = ROOT / "build" / "bench"
PUBLISHED = ROOT / "docs" / "benchmarks"

CORE = """yield spawn_one spawn_batch_1000 pingpong stream stream_128 uncontended_1 uncontended_100
    select_2 try_fail sieve_2000 park_100k""".split()
WIDE = """stream_128_4x4 select_2_128 select_fail_2 select_fail_4 skynet park_1m park_1m_select park_1m_64k ring_10000
    fanin_100 fanout_100""".split()
TIME = """Sleep1000 After AfterFunc1000 SimultaneousAfterFunc1000 StartStop1000 StopChan StopFunc ResetChan
    ResetFunc Ticker TickerReset ContextCancel ContextCancelDone ContextTimeout ContextCommonParentCancel
    ContextCancelTree1000 ContextErrOK ContextDeepValue10""".split()
NET = """net_echo_64x64 net_echo_512x64 net_echo_64x16k net_echo_200 net_echo_200_idle net_echo_floor net_echo_loop net_accept_close
    net_pingpong""".split() + servers.ROWS
GROUPS = {"core": CORE, "sync": peers.GO_SYNC, "time": TIME, "net": NET, "go": peers.GO_OWN,
          "huge": ["park_4m_64k"],  # 18 GB: on demand
          "all": CORE + WIDE + peers.GO_SYNC + TIME + NET + peers.GO_OWN}


def arguments():
    p = argparse.ArgumentParser(prog="./dev bench", description=__doc__.split("\n\n", maxsplit=1)[0])
    p.add_argument("rows", nargs="*", help="rows or groups of rows: core, sync, time, net, go, all (all)")
    p.add_argument("--runs", type=int, default=5, help="runs of each (5)")
    p.add_argument("--procs", default="1,2", help="processors to run at (1,2)")
    p.add_argument("--peers", help="whom to run, by name (core: runnel,go; else all that can be built)")
    p.add_argument("--ms", type=int, default=100, help="about how long a run measures (100)")
    p.add_argument("--cpu", action="store_true",
                   help="measure processor time, for a busy machine: runnel and Go, not Go's own rows; only printed")
    p.add_argument("--timeout", type=int, default=60, help="seconds after which a run is given up (60)")
    p.add_argument("--fresh", action="store_true", help="forget earlier results")
    p.add_argument("--publish", action="store_true", help="write docs/benchmarks/ too")
    p.add_argument("--list", action="store_true", help="print the rows and the peers")
    a = p.parse_args()
    a.procs = [int(n) for n in a.procs.split(",")]
    names = a.rows or ["all"]
    only_core = names == ["core"]
    a.rows = [row for name in names for row in GROUPS.get(name, [name])]
    known = {row for rows in GROUPS.values() for row in rows}
    unknown = [row for row in a.rows if row not in known]
    if unknown:
        p.error(f"no row named {' '.join(unknown)}; --list prints them")
    wanted = a.peers.split(",") if a.peers else ["runnel", "go"] if only_core else list(peers.ALL)
    if set(wanted) - set(peers.ALL):
        p.error(f"the peers are {' '.join(peers.ALL)}")
    a.peers = [name for name in wanted if name in ("runnel", "go")] if a.cpu else wanted
    if a.cpu:
        a.rows = [row for row in a.rows if row not in peers.GO_OWN + peers.GO_SYNC + servers.ROWS]
        os.environ["RUNNEL_BENCH_CLOCK"] = "cpu"
    else:
        os.environ.pop("RUNNEL_BENCH_CLOCK", None)
    return a


def build(names):
    """The peers that could be built, by name."""
    OUT.mkdir(parents=True, exist_ok=True)
    built = {}
    for name in names:
        print(f"building {name} ...", file=sys.stderr)
        peer = peers.ALL[name](ROOT, OUT)
        try:
            peer.build()
            built[name] = peer
        except (OSError, subprocess.CalledProcessError, peers.Missing) as e:
            print(f"bench: {name} is left out: {peers.explain(e)}", file=sys.stderr)
            if name == "runnel":
                sys.exit(1)
    return built


def run_once(peer, row, procs, a):
    """{result: (unit, value)} of one run."""
    env = dict(os.environ, RUNNEL_PROCS=str(procs), GOMAXPROCS=str(procs), RUNNEL_BENCH_MS=str(a.ms))
    done = subprocess.run(peer.command(row, procs, a.ms), env=env, timeout=a.timeout, check=True,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, preexec_fn=peer.confine(procs))
    return peer.parse(done.stdout, procs)


def measure(built, row, procs, a):
    """All runs of one row: {(peer, result): (unit, [values])}, and the peers that failed."""
    got, failed = {}, set()
    running = [n for n, peer in built.items() if row in peer.rows() and procs <= peer.most_procs]
    for _ in range(a.runs):
        for name in running:
            if name in failed:
                continue
            try:
                for result, (unit, value) in run_once(built[name], row, procs, a).items():
                    got.setdefault((name, result), (unit, []))[1].append(value)
            except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as e:
                failed.add(name)
                print(f"bench: {name} failed at {row}, procs {procs}: {peers.explain(e)}", file=sys.stderr)
    return {k: v for k, v in got.items() if k[0] not in failed}, failed


def summary(got, built, procs):
    return [{"row": result, "peer": name, "version": built[name].version(), "procs": procs, "unit": unit,
             "median": statistics.median(values), "min": min(values), "max": max(values), "runs": len(values)}
            for (name, result), (unit, values) in got.items()]


def key(r):
    return r["row"], r["peer"], r["procs"]


class Results:
    """
    build/bench/results.json: saved after every row, so that an interrupted run keeps what it has. Where there is none, in a new
    checkout, it begins with what is published: else publishing a few rows would drop all others.
    """

    def __init__(self, fresh):
        self.path = OUT / "results.json"
        self.all = {}
        if fresh:
            return
        old = json.loads(self.path.read_text()) if self.path.exists() else []
        if not old and (PUBLISHED / "README.md").exists():
            old = report.read_markdown((PUBLISHED / "README.md").read_text())
        self.all = {key(r): r for r in old}

    def add(self, new):
        self.all.update({key(r): r for r in new})
        self.path.parent.mkdir(parents=True, exist_ok=True)
        tmp = self.path.with_suffix(".tmp")
        tmp.write_text("[\n" + ",\n".join(json.dumps(r) for r in self.list()) + "\n]\n")
        tmp.replace(self.path)

    def list(self):
        rows = GROUPS["all"] + GROUPS["huge"]
        order = {n: i for i, n in enumerate(peers.ALL)}
        return sorted(self.all.values(), key=lambda r: (
            rows.index(r["row"].split("/")[0]) if r["row"].split("/")[0] in rows else len(rows),
            r["procs"], order.get(r["peer"], len(order))))


def main():
    a = arguments()
    if a.list:
        for group, rows in GROUPS.items():
            print(f"{group}: {' '.join(rows)}")
        print(f"peers: {' '.join(peers.ALL)}")
        return 0
    built = build(a.peers)
    results = Results(a.fresh)
    broken = set()
    print(report.line_head())
    for row in a.rows:
        for procs in a.procs:
            got, failed = measure(built, row, procs, a)
            broken |= failed
            new = summary(got, built, procs)
            if not a.cpu:
                results.add(new)
            for line in report.lines(new):
                print(line, flush=True)
    if not a.cpu:
        print(f"{results.path.relative_to(ROOT)}: {len(results.all)} results")
    if a.publish:
        report.publish(results.list(), PUBLISHED, list(peers.ALL), peers.NOTES)
        print("docs/benchmarks/README.md, docs/benchmarks/ratio.svg")
    return 1 if "runnel" in broken else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
