# SPDX-License-Identifier: MIT
"""What a program prints when it hangs or dies: shapes.c, run and read. One argument: the case."""
import os
import re
import signal
import subprocess
import sys

SHAPES = os.environ["SHAPES"]
EMULATOR = os.environ.get("EMULATOR", "").split()
LINES = os.environ.get("LINES_KNOWN") == "1"
DEADLOCK = "fatal error: all goroutines are asleep - deadlock!\n"


def without_seed(text):
    """The chaos build begins with its seed, qemu ends with a remark."""
    return re.sub(r"^(RUNNEL_CHAOS_SEED=\d+|qemu: uncaught target signal .*)\n", "", text, flags=re.M)


def run(shape, **env):
    r = subprocess.run(EMULATOR + [SHAPES, shape], stdin=subprocess.DEVNULL, capture_output=True,
                       text=True, env={**os.environ, **env}, timeout=170)
    r.stderr = without_seed(r.stderr)
    return r


def check(ok, what, text=""):
    if not ok:
        sys.exit(f"{what}\n--- printed:\n{text}")


class Goroutine:
    """One paragraph of a report: header, functions, who created it, what it waits for."""

    def __init__(self, paragraph):
        self.text = paragraph
        m = re.match(r"(goroutine|thread) (\d+) \[([^\]]*)\]( \{.*\})?:\n", paragraph)
        check(m, f"not a goroutine's header: {paragraph!r}")
        self.kind, self.id, self.state = m[1], int(m[2]), m[3]
        self.name = m[4]
        self.functions = re.findall(r"^([^\s(]+)\(.*\)\n\t", paragraph, re.M)
        self.creator = re.search(r"^created by (\S+)(?: in goroutine (\d+))?\n\t", paragraph, re.M)


def goroutines(text):
    parts = text.split("\n\n")
    return parts[0] + "\n", [Goroutine(p if p.endswith("\n") else p + "\n") for p in parts[1:]]


def deadlock(shape):
    r = run(shape)
    check(r.returncode == 2, f"{shape}: exit status {r.returncode}, not 2", r.stderr)
    first, gs = goroutines(r.stderr)
    check(first == DEADLOCK, f"{shape}: the first line is {first!r}", r.stderr)
    return gs


def states(gs):
    return [(g.id, g.state) for g in gs]


def alone(shape, state, function):
    """Only the main goroutine, in this state."""
    gs = deadlock(shape)
    check(states(gs) == [(1, state)], f"{shape}: {states(gs)}", gs and gs[0].text)
    if LINES:
        check(gs[0].functions[0] == function, f"{shape}: {gs[0].functions}", gs[0].text)
        check(re.search(r"/shapes\.c:\d+ \+0x", gs[0].text), "no line", gs[0].text)
    return gs[0]


def test_channels():
    g = alone("self_send", "chan send", "self_send")
    check(re.search(r"^waiting on channel 0x[0-9a-f]+: len 0, cap 0$", g.text, re.M), "channel?", g.text)
    g = alone("full_buffer", "chan send", "full_buffer")
    check(": len 2, cap 2\n" in g.text, "channel?", g.text)
    alone("self_receive", "chan receive", "self_receive")
    alone("never_closed", "chan receive", "never_closed")
    alone("nil_send", "chan send (nil chan)", "nil_send")
    alone("nil_receive", "chan receive (nil chan)", "nil_receive")


def test_selects():
    alone("select_nothing", "select (no cases)", "select_nothing")
    g = alone("select_two", "select", "select_two")
    check(g.text.count("waiting on channel") == 2, "channels?", g.text)


def test_each_other():
    gs = deadlock("two_on_each_other")
    check(sorted(g.state for g in gs) == ["chan receive"] * 2, f"{states(gs)}")
    check(gs[0].id == 1 and not gs[0].creator, "main comes first", gs[0].text)
    if LINES:
        check(gs[1].functions == ["swap"], f"{gs[1].functions}", gs[1].text)
        check(gs[1].creator and gs[1].creator[1] == "two_on_each_other", "creator", gs[1].text)
        check(gs[1].creator[2] == "1", "creator's number", gs[1].text)


def test_every_goroutine_is_listed():
    gs = deadlock("ten_receivers")
    check(len(gs) == 11, f"{len(gs)} goroutines, not 11")
    check([g.id for g in gs] == sorted(g.id for g in gs), f"not in order: {states(gs)}")
    check(all(g.state == "chan receive" for g in gs), f"{states(gs)}")


def test_sync():
    alone("wait_group", "sync.WaitGroup.Wait", "wait_group")
    alone("mutex_twice", "sync.Mutex.Lock", "mutex_twice")
    alone("write_after_read", "sync.RWMutex.Lock", "write_after_read")
    alone("read_after_write", "sync.RWMutex.RLock", "read_after_write")
    alone("cond_wait", "sync.Cond.Wait", "cond_wait")


def test_main_exits():
    r = run("main_exits")
    check(r.returncode == 2, f"exit status {r.returncode}", r.stderr)
    check(r.stderr == "fatal error: no goroutines (main called rn_goexit) - deadlock!\n", "text", r.stderr)
    gs = deadlock("main_exits_others_wait")
    check(len(gs) == 1 and gs[0].state == "chan receive" and gs[0].id != 1, f"{states(gs)}")


def test_no_report():
    """Somebody may still come: a timer, a thread that is elsewhere."""
    for shape in ("while_one_sleeps", "with_a_timer_case", "with_a_timer_channel", "with_after_func",
                  "while_a_thread_is_outside", "while_io_is_awaited"):
        r = run(shape)
        check(r.returncode == 0 and r.stderr == "", f"{shape}: exit status {r.returncode}", r.stderr)


def test_a_thread_waits_too():
    gs = deadlock("a_thread_waits_too")
    check(sorted((g.kind, g.state) for g in gs) == [("goroutine", "chan receive"), ("thread", "chan receive")],
          f"{states(gs)}")
    if LINES:
        thread = [g for g in gs if g.kind == "thread"][0]
        check(thread.functions[0] == "thread_waits", f"{thread.functions}", thread.text)


def test_leaks_at_the_end():
    r = run("leak", RUNNEL_DEBUG="leaks=1")
    check(r.returncode == 0, f"exit status {r.returncode}", r.stderr)
    if r.stderr == "runnel: leaks: not supported here\n":
        print("skipped: " + r.stderr)
        sys.exit(77)
    first, gs = goroutines(r.stderr)
    check(first == "runnel: 1 goroutine can never run again:\n", first, r.stderr)
    check(len(gs) == 1 and gs[0].state == "chan receive", f"{states(gs)}")
    if LINES:
        check(gs[0].functions == ["wait_receive"] and gs[0].creator[1] == "forget", "stack?", r.stderr)


def test_schedtrace():
    p = subprocess.Popen(EMULATOR + [SHAPES, "trace"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                         stderr=subprocess.PIPE, text=True, env={**os.environ, "RUNNEL_DEBUG": "schedtrace=10"})
    line = p.stderr.readline()
    if line.startswith("RUNNEL_CHAOS_SEED"):
        line = p.stderr.readline()
    lines = [line, p.stderr.readline()]
    p.kill()
    p.communicate()
    for line in lines:
        check(re.fullmatch(r"SCHED \d+ms: gomaxprocs=\d+ idleprocs=\d+ threads=\d+ spinningthreads=\d+ "
                           r"needspinning=\d+ idlethreads=\d+ runqueue=\d+ \[ (\d+ )+\] "
                           r"schedticks=\[ (\d+ )+\]\n", line), "line?", line)


def died(shape, first, **env):
    r = run(shape, **env)
    check(r.returncode == -signal.SIGABRT, f"{shape}: exit status {r.returncode}", r.stderr)
    head, gs = goroutines(r.stderr)
    check(head == first, f"{shape}: begins {head!r}", r.stderr)
    return gs


def test_panics():
    gs = died("panic_main", "panic: at the disco\n")
    check(states(gs) == [(1, "running")], f"{states(gs)}")
    if LINES:
        check(gs[0].functions[0] == "dies", f"{gs[0].functions}")
    gs = died("panic_other", "panic: at the disco\n")
    check(len(gs) == 1 and gs[0].id != 1, f"{states(gs)}")
    check(gs[0].name == ' {"name": "worker"}', f"{gs[0].name}")
    gs = died("panic_thread", "panic: at the disco\n")
    check(len(gs) == 1 and gs[0].kind == "thread", f"{states(gs)}")
    gs = died("fatal", "fatal error: sync: unlock of unlocked mutex\n")
    check(states(gs) == [(1, "running")], f"{states(gs)}")


def test_all_goroutines_if_asked():
    gs = died("panic_other", "panic: at the disco\n", RUNNEL_DEBUG="all=1")
    check(len(gs) == 2 and gs[0].state == "running" and gs[1].state == "chan receive", f"{states(gs)}")


def test_stack_overflow():
    gs = died("overflow", "runtime: goroutine stack exceeds 262144-byte limit\nfatal error: stack overflow\n",
              RUNNEL_STACK="256K")
    check(states(gs) == [(1, "running")], f"{states(gs)}")
    check(re.search(r"^\.\.\.\d+ frames elided\.\.\.$", gs[0].text, re.M), "elided?", gs[0].text)
    if LINES:
        check(set(gs[0].functions[:50]) == {"deeper"}, f"{gs[0].functions}", gs[0].text)


def test_settings():
    r = run("panic_main", RUNNEL_DEBUG="all=1,nonsense,leaks=x")
    check("RUNNEL_DEBUG: nonsense: no such setting; ignored (known: all " in r.stderr, "message?", r.stderr)
    check("RUNNEL_DEBUG: leaks=x: not a number" in r.stderr, "message?", r.stderr)
    r = run("panic_main", RUNNEL_DEBUG="frames=1")
    if LINES:
        check("\nrn_panic(...)\n" in r.stderr, "frames?", r.stderr)


def quit_when_ready(shape, **env):
    p = subprocess.Popen(EMULATOR + [SHAPES, shape], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True, env={**os.environ, **env})
    check(p.stdout.readline() == "ready\n", f"{shape}: not ready")
    p.send_signal(signal.SIGQUIT)
    _, err = p.communicate(timeout=170)
    check(p.returncode == -signal.SIGQUIT, f"{shape}: exit status {p.returncode}", err)
    return without_seed(err)


def test_sigquit():
    """The others have only just been started: they may be about to wait."""
    settling = ("chan receive", "runnable", "running", "syscall")
    for shape, count in ("idle_for_long", 3), ("spin", 2), ("block_in_read", 2):
        err = quit_when_ready(shape)
        head, gs = goroutines(err)
        check(head == "SIGQUIT: quit\n", head)
        by_id = {g.id: g for g in gs}
        check(len(gs) == count and 1 in by_id, f"{shape}: {states(gs)}", err)
        main = by_id.pop(1)
        check(main.state in ("sleep", *settling), f"{shape}: {states(gs)}", err)
        check(all(g.state in settling for g in by_id.values()), f"{shape}: {states(gs)}", err)
        function = {"spin": "burn", "block_in_read": "block_in_read"}.get(shape)
        if LINES and function and "stack unavailable" not in main.text:
            check(function in main.functions, f"{shape}: stack?", err)
    err = quit_when_ready("spin", RUNNEL_DEBUG="nosigquit=1")
    check(err == "" or err.startswith("qemu: uncaught target signal 3"), "nosigquit", err)


def test_sigquit_of_many():
    n = max(3000, 1000 * int(os.environ.get("RUNNEL_TEST_SCALE", "100")))
    err = quit_when_ready("many", MANY=str(n))
    head, _ = err.split("\n\n", 1)
    check(head == "SIGQUIT: quit", head)
    groups = re.findall(r"^goroutines \d+.* \((\d+) in all\) \[", err, re.M)
    check(sum(map(int, groups)) > n / 2, "groups?", err[:3000])


def normal(text):
    """What is to be the same in Go: the first line, and each goroutine's state and functions of the user."""
    first, gs = goroutines(text)
    return first.replace("runtime.Goexit", "rn_goexit"), [g.state for g in gs]


def test_same_as_go():
    program = os.environ.get("SHAPES_GO")
    if not program:
        print("skipped: no go")
        sys.exit(77)
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "shapes.go")
    with open(source) as f:
        names = re.findall(r'^\t"(\w+)":', f.read(), re.M)
    check(len(names) == 17, f"{names}")
    for shape in names:
        theirs = subprocess.run([program, shape], capture_output=True, text=True)
        ours = run(shape)
        check(theirs.returncode == ours.returncode, f"{shape}: status {theirs.returncode} and {ours.returncode}")
        check(normal(theirs.stderr) == normal(ours.stderr),
              f"{shape}: {normal(theirs.stderr)} in Go, {normal(ours.stderr)} here")


if __name__ == "__main__":
    globals()["test_" + sys.argv[1]]()
