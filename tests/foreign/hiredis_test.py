#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""hiredis_test.py CASE: one case of hiredis.c, the environment's HIREDIS, against a redis-server. See serverlib.py."""
import os
import signal
import sys

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from serverlib import SKIP, Program, Redis, equal, main, need  # noqa: E402


def start(case, address):
    os.environ["REDIS"] = address
    return Program(os.environ["HIREDIS"], case)


def against_redis(case, tcp=False):
    """Over a Unix socket, or TCP, where connecting is something to wait for: relay, before redis-server, finds a free port."""
    redis = Redis()
    relay = tcp and Program(os.environ["RELAY"], "127.0.0.1:0", redis.address)
    equal(start(case, relay.listening() if tcp else redis.address).end(), 0)
    if tcp:
        equal(relay.stop(), 0)
    equal(redis.stop(), 0)


def test_many_goroutines_share_a_connection():
    against_redis("many_goroutines_share_a_connection")


def test_many_goroutines_over_tcp():
    against_redis("many_goroutines_share_a_connection", tcp=True)


def test_large_values_wait_for_room():
    against_redis("large_values_wait_for_room")


def test_an_answer_that_comes_when_others_have_acted():
    against_redis("an_answer_that_comes_when_others_have_acted")


def test_the_server_goes_away():
    redis = Redis()
    p = start("the_server_goes_away", redis.address)
    p.until("waiting")
    redis.signal(signal.SIGKILL)
    equal(p.end(), 0)
    redis.end()


if not os.environ.get("HIREDIS"):
    print("skipped: libhiredis-dev was not installed")
    sys.exit(SKIP)
need("redis-server")
sys.exit(main("hiredis", globals()))
