#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A row about a server: start it, load it with wrk, say what a request took.

    servers.py ROW SERVER PROCS PROGRAM

SERVER is runnel, go, nginx or haproxy, PROGRAM its executable. The server is a process of its own, at PROCS; wrk, and the
nginx that is behind relays, have the same machine. Prints the harness's JSON, for a request: ROW in ns of time, ROW_cpu in ns of
the server's processor time, user and kernel, ROW_p50 and ROW_p99 in us. Needs wrk, and nginx for relays.
"""
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

SIZES = {"small": 1024, "1m": 1 << 20}
ROWS = [f"{kind}_{size}" for kind in ("httpd", "relay") for size in SIZES]
CONNECTIONS = 64
UNITS = {"us": 1, "ms": 1e3, "s": 1e6, "m": 60e6}

NGINX = """daemon off; worker_processes {procs}; pid {work}/{name}.pid; error_log {work}/{name}.err;
events {{ worker_connections 4096; }}
http {{
    access_log off; sendfile on; tcp_nopush on; tcp_nodelay on; keepalive_requests 1000000000;
    default_type application/octet-stream;
    client_body_temp_path {work}/{name}1; proxy_temp_path {work}/{name}2; fastcgi_temp_path {work}/{name}3;
    uwsgi_temp_path {work}/{name}4; scgi_temp_path {work}/{name}5;
    server {{ listen 127.0.0.1:{port}; root {work}/files; }}
}}
"""

HAPROXY = """global
    nbthread {procs}
    maxconn 4096
defaults
    mode tcp
    timeout connect 5s
    timeout client 300s
    timeout server 300s
frontend f
    bind 127.0.0.1:{port}
    default_backend b
backend b
    server s 127.0.0.1:{backend} check inter 2s
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def command(work, server, program, kind, procs, port, backend):
    address = f"127.0.0.1:{port}"
    if server == "nginx":
        return nginx(work, "server", program, procs, port)
    if server == "haproxy":
        (work / "haproxy.cfg").write_text(HAPROXY.format(procs=procs, port=port, backend=backend))
        return [program, "-f", str(work / "haproxy.cfg")]
    argument = str(work / "files") if kind == "httpd" else f"127.0.0.1:{backend}"
    if server == "go":
        return [program, {"httpd": "serve-http", "relay": "serve-relay"}[kind], address, argument]
    return [program, address, argument]


def nginx(work, name, program, procs, port):
    conf = work / f"{name}.conf"
    conf.write_text(NGINX.format(procs=procs, work=work, name=name, port=port))
    return [program, "-e", f"{work}/{name}.err", "-c", str(conf)]


def start(argv, port, log, procs):
    env = dict(os.environ, RUNNEL_PROCS=str(procs), GOMAXPROCS=str(procs))
    child = subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    for _ in range(500):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return child
        except OSError:
            if child.poll() is not None:
                break
            time.sleep(0.01)
    child.kill()
    log.seek(0)
    sys.exit(f"servers: {argv[0]} does not listen: {log.read().decode(errors='replace')}")


def stop(child):
    child.send_signal(signal.SIGTERM)
    try:
        child.wait(5)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def cpu_ns(pid):
    """Of a process and its children (nginx's workers)."""
    total = 0
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text()
        except OSError:
            continue
        fields = text[text.rindex(")") + 2:].split()
        if int(stat.parent.name) == pid or int(fields[1]) == pid:
            total += int(fields[11]) + int(fields[12])
    return total * 1_000_000_000 // os.sysconf("SC_CLK_TCK")


def microseconds(text):
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text).groups()
    return float(number) * UNITS[unit]


def load(url, seconds):
    """What wrk says: requests, and two quantiles in us."""
    done = subprocess.run(["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", url], check=True,
                          capture_output=True, text=True)
    bad = re.search(r"Socket errors:.*|Non-2xx.*", done.stdout)
    if bad:
        sys.exit(f"servers: {bad[0]}")
    quantiles = {q: microseconds(t) for q, t in re.findall(r"^ *(50|99)% +(\S+)", done.stdout, re.M)}
    took = microseconds(re.search(r"requests in ([\d.]+\w+),", done.stdout)[1]) * 1e3
    return int(re.search(r"(\d+) requests in", done.stdout)[1]), took, quantiles


def report(row, unit, value):
    print(json.dumps({"row": row, "unit": unit, "value": value}))


def measure(row, server, procs, program, work, log):
    kind, size = row.split("_")
    port, backend = free_port(), free_port()
    (work / "files").mkdir(mode=0o755)
    (work / "files" / size).write_bytes(bytes(SIZES[size]))
    work.chmod(0o755)  # nginx's workers are somebody else
    children = []
    try:
        if kind == "relay":
            children.append(start(nginx(work, "backend", shutil.which("nginx"), 1, backend), backend, log, 1))
        argv = command(work, server, program, kind, procs, port, backend)
        children.append(start(argv, port, log, procs))
        url = f"http://127.0.0.1:{port}/{size}"
        load(url, 1)
        before = cpu_ns(children[-1].pid)
        requests, took, quantiles = load(url, 2)
        cpu = cpu_ns(children[-1].pid) - before
    finally:
        for child in reversed(children):
            stop(child)
    report(row, "ns/op", took / requests)
    report(f"{row}_cpu", "ns/op", cpu / requests)
    report(f"{row}_p50", "us", quantiles["50"])
    report(f"{row}_p99", "us", quantiles["99"])


def main():
    row, server, procs, program = sys.argv[1:]
    with tempfile.TemporaryDirectory() as work, open(os.path.join(work, "log"), "w+b") as log:
        measure(row, server, procs, program, pathlib.Path(work), log)


if __name__ == "__main__":
    main()
