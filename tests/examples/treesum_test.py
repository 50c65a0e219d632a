#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""treesum_test.py CASE: one case of treesum's tests; the program is the environment's TREESUM.

Each case makes a tree of its own and compares with Python's hashlib and with sha256sum. Nothing here depends on how
fast anything runs: a case that needs the program to be in the middle of its work gives it work without an end
(a sparse file of a terabyte, a pipe that nobody reads) and waits for a state that can be seen from outside.
Exit status 77: the case cannot run here.
"""
import array
import ctypes
import fcntl
import hashlib
import os
import pty
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import termios

TREESUM = os.path.abspath(os.environ["TREESUM"]).encode()
SKIP = 77

# A chaos build prints the seed that it makes up, in between what is compared here; so make it up for it.
if "RUNNEL_CHAOS_SEED" not in os.environ:
    os.environ["RUNNEL_CHAOS_SEED"] = str(int.from_bytes(os.urandom(4), "little"))
    print("RUNNEL_CHAOS_SEED=" + os.environ["RUNNEL_CHAOS_SEED"])


def child_setup():
    """In the child: dies with the test, and takes signals although ctest may run in the background."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(s, signal.SIG_DFL)


def popen(*args, setup=None, **kw):
    def both():
        child_setup()
        if setup:
            setup()

    kw.setdefault("stdin", subprocess.DEVNULL)
    kw.setdefault("stdout", subprocess.PIPE)
    kw.setdefault("stderr", subprocess.PIPE)
    return subprocess.Popen([TREESUM, *args], preexec_fn=both, **kw)


def treesum(*args, **kw):
    """Runs to the end: status, stdout, stderr."""
    stdin = kw.pop("input", None)
    if stdin is not None:
        kw["stdin"] = subprocess.PIPE
    p = popen(*args, **kw)
    out, err = p.communicate(stdin)
    return p.returncode, out, err



def sha256sum(*args, input=None):
    p = subprocess.run(["sha256sum", *args], input=input, capture_output=True, env={**os.environ, "LC_ALL": "C"})
    return p.returncode, p.stdout, p.stderr


def check(condition, *what):
    if not condition:
        sys.exit("check failed: " + "\n".join(repr(w) for w in what))


def equal(got, wanted, *what):
    check(got == wanted, "got", got, "wanted", wanted, *what)


def write(path, content=b""):
    with open(path, "wb") as f:
        f.write(content)
    return path


def sparse(path):
    """A terabyte of zeros: hashing it takes hours."""
    with open(path, "wb") as f:
        try:
            f.truncate(1 << 40)
        except OSError:
            sys.exit(SKIP)
    return path


def line(path, content):
    """The line sha256sum writes."""
    name = path.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\r", b"\\r")
    mark = b"\\" if name != path else b""
    return mark + hashlib.sha256(content).hexdigest().encode() + b"  " + name + b"\n"


def lines(files):
    """What treesum prints for a dict of path: content."""
    return b"".join(line(p, files[p]) for p in sorted(files))


def make_tree(files):
    for path, content in files.items():
        os.makedirs(os.path.dirname(path), exist_ok=True)
        write(path, content)
    return files


def wait_until(p, state):
    """Looks until state() is true; the child must not end before."""
    while not state():
        check(p.poll() is None, "ended early", p.returncode)
        os.sched_yield()


def opened(p, name):
    """How many descriptors of the child are open on files of that name."""
    n = 0
    for fd in os.listdir(f"/proc/{p.pid}/fd"):
        try:
            n += os.path.basename(os.readlink(f"/proc/{p.pid}/fd/{fd}")).startswith(name)
        except OSError:
            pass
    return n


def small_tree():
    return make_tree({b"t/%s%d" % (d, i): b"%d\n" % i * i for d in (b"", b"a/", b"a/b/", b"c/") for i in range(25)})


# --- sums ---


def test_prints_what_sha256sum_prints():
    files = small_tree()
    equal(treesum("t"), (0, lines(files), b""))
    status, out, err = sha256sum("-c", "--quiet", input=treesum("t")[1])
    equal((status, out, err), (0, b"", b""))
    status, out, err = sha256sum(*sorted(files))
    equal(treesum("t")[1], out)


def test_sorts_by_the_bytes_of_the_path():
    names = [b"a", b"a-", b"a.c", b"a0", b"b/x", b"b.", b"b-/y", b"b0/z", b"b/y/z", b"b/y.z", b"b/y-z", b"\xff", b"Z", b"~"]
    files = make_tree({b"t/" + n: n for n in names})
    equal(treesum("t"), (0, lines(files), b""))


def test_escapes_odd_names():
    names = [b" ", b"  two", b"end ", b"new\nline", b"\n", b"back\\slash", b"\\", b"\\n", b"cr\rx", b"tab\t", b"\x01\x7f",
             b"\xff\xfe\x80", "ümlaut".encode(), b"*star", b"-dash", b"--", b"'\"", b"$(x)", b"a" * 255, b"d\n/e\\/f\r"]
    files = make_tree({b"odd\n\\/" + n: n for n in names})
    status, out, err = treesum(b"odd\n\\")
    equal((status, out, err), (0, lines(files), b""))
    equal(sha256sum(*sorted(files))[1], out)
    equal(sha256sum("-c", input=out)[0], 0)
    equal(treesum("-c", "-", input=out), sha256sum("-c", input=out))


def test_takes_several_roots_in_order():
    files = make_tree({b"./t/x": b"1", b"./s/y/z": b"2", b"./f": b"3"})
    os.symlink("s", "link")
    write(b"-", b"dash")
    want = {p[2:]: c for p, c in files.items()}
    equal(treesum("t", "s", "f"), (0, lines(want), b""))
    equal(treesum("t///", "s/"), (0, lines({b"t/x": b"1", b"s/y/z": b"2"}), b""))
    equal(treesum("link"), (0, lines({b"link/y/z": b"2"}), b""))
    equal(treesum("--", "-"), (0, lines({b"./-": b"dash"}), b""))
    equal(treesum(os.getcwd() + "/f")[1], line(os.getcwd().encode() + b"/f", b"3"))


def test_passes_over_what_is_no_file():
    files = small_tree()
    os.symlink("a", "t/link_to_directory")
    os.symlink(".", "t/a/loop")
    os.symlink("0", "t/link_to_file")
    os.symlink("nowhere", "t/dangling")
    os.mkfifo("t/fifo")
    s = socket.socket(socket.AF_UNIX)
    s.bind("t/socket")
    os.mkdir("t/empty")
    equal(treesum("t"), (0, lines(files), b""))
    status, out, err = treesum("t/fifo", "t/socket", "/dev/null", "t/1")
    equal((status, out), (1, line(b"t/1", files[b"t/1"])))
    equal(err, b"".join(b"treesum: %s: Not a regular file\n" % n for n in (b"/dev/null", b"t/fifo", b"t/socket")))


def test_empty_tree_and_empty_files():
    os.mkdir("t")
    equal(treesum("t"), (0, b"", b""))
    files = make_tree({b"t/%d" % i: b"" for i in range(100)})
    equal(treesum("t"), (0, lines(files), b""))


def test_sizes_around_the_block():
    sizes = [1, 55, 56, 63, 64, 65, 4095, 4096, (1 << 17) - 1, 1 << 17, (1 << 17) + 1, 1 << 18, 5_000_003]
    files = make_tree({b"t/%d" % n: os.urandom(n) for n in sizes})
    equal(treesum("t"), (0, lines(files), b""))


def test_any_number_of_jobs_prints_the_same():
    files = small_tree()
    for jobs in ("1", "2", "7", "300"):
        equal(treesum("-j", jobs, "t"), (0, lines(files), b""), jobs)
    equal(treesum("--jobs=3", "t"), (0, lines(files), b""))


def test_many_small_files():
    files = make_tree({b"t/%02d/%03d" % (i % 50, i): b"%d" % i for i in range(6000)})
    equal(treesum("t"), (0, lines(files), b""))


def test_deep_tree():
    """Deeper than PATH_MAX, where open(2) takes no path any more."""
    depth = 1500
    here = os.open(".", os.O_RDONLY)
    path = b"t"
    os.mkdir(b"t", dir_fd=here)
    fd = os.open(b"t", os.O_RDONLY, dir_fd=here)
    files = {}
    for i in range(depth):
        os.mkdir(b"deep", dir_fd=fd)
        next_fd = os.open(b"deep", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd, path = next_fd, path + b"/deep"
        if i % 100 == 99:
            name = b"file%d" % i
            f = os.open(name, os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=fd)
            os.write(f, name)
            os.close(f)
            files[path + b"/" + name] = name
    check(len(path) > 4096)
    equal(treesum("t"), (0, lines(files), b""))
    status, out, err = treesum("-q", "-c", "-", input=lines(files))
    equal((status, out, err), (0, b"", b""))


def test_bounds_the_open_files_by_jobs():
    os.mkdir("t")
    for i in range(8):
        sparse(b"t/huge%d" % i)
    p = popen("-j", "3", "t")
    most = 0

    def three():
        nonlocal most
        most = max(most, opened(p, "huge"))
        return most >= 3

    wait_until(p, three)
    for i in range(100):
        three()
    p.send_signal(signal.SIGINT)
    p.communicate()
    equal((most, p.returncode), (3, 130))


def test_memory_does_not_grow_with_the_work():
    if int(os.environ.get("RUNNEL_TEST_SCALE", 100)) < 100:
        sys.exit(SKIP)  # sanitizers keep freed memory

    def peak(count):
        with open("m", "wb") as f:
            f.writelines(b"%064x  missing/%080d\n" % (i, i) for i in range(count))
        pid = os.posix_spawn(TREESUM, [TREESUM, "--ignore-missing", "--status", "-c", "m"], os.environ)
        _, status, usage = os.wait4(pid, 0)
        equal(os.waitstatus_to_exitcode(status), 1)
        return usage.ru_maxrss

    base = peak(10_000)  # fills the window
    grown = peak(110_000)
    check(grown < base + 10_000, "KiB", base, grown)  # 100,000 jobs kept would be more than 30 MB


# --- errors ---


def test_reports_missing_roots_and_goes_on():
    files = small_tree()
    status, out, err = treesum("nope", "t", "t/0/x")
    equal((status, out), (1, lines(files)))
    equal(err, b"treesum: nope: No such file or directory\ntreesum: t/0/x: Not a directory\n")


def test_reports_vanishing_files():
    """The names of a directory are read at once; its last files go while a full pipe holds up the first ones."""
    files = make_tree({b"t/%05d" % i: b"" for i in range(6500)})
    p = popen("t")
    first = os.read(p.stdout.fileno(), 1)
    gone = sorted(files)[-3:]
    for path in gone:
        os.unlink(path)
        del files[path]
    out, err = p.communicate()
    equal((p.returncode, first + out), (1, lines(files)))
    equal(err, b"".join(b"treesum: %s: No such file or directory\n" % g for g in gone))


def test_reports_a_directory_that_vanishes_or_turns():
    files = make_tree({b"t/a/%05d" % i: b"" for i in range(6500)})
    os.mkdir("t/gone")
    os.mkdir("t/link")
    p = popen("t")
    first = os.read(p.stdout.fileno(), 1)
    os.rmdir("t/gone")
    os.rmdir("t/link")
    os.symlink("a", "t/link")
    out, err = p.communicate()
    equal((p.returncode, first + out), (1, lines(files)))
    equal(err, b"treesum: t/gone: No such file or directory\ntreesum: t/link: Not a directory\n")


def test_reports_unreadable_files():
    files = small_tree()
    os.chmod(".", 0o755)
    os.chmod("t/a/3", 0)
    os.chmod("t/c", 0)
    del files[b"t/a/3"]
    files = {p: c for p, c in files.items() if not p.startswith(b"t/c/")}

    def nobody():
        if os.geteuid() == 0:
            os.setgid(65534)
            os.setuid(65534)

    try:
        status, out, err = treesum("t", setup=nobody)
    except (PermissionError, subprocess.SubprocessError):
        sys.exit(SKIP)  # the program lies where nobody may go, or there is no such user
    equal((status, out), (1, lines(files)))
    equal(err, b"treesum: t/a/3: Permission denied\ntreesum: t/c: Permission denied\n")


def test_error_messages_cannot_move_the_cursor():
    status, out, err = treesum(b"no\x1b[2J\nsuch")
    equal((status, out, err), (1, b"", b"treesum: no\\033[2J\\012such: No such file or directory\n"))


def test_full_device():
    small_tree()
    with open("/dev/full", "wb") as full:
        equal(treesum("t", stdout=full)[::2], (1, b"treesum: standard output: No space left on device\n"))
        equal(treesum("--help", stdout=full)[::2], (1, b"treesum: standard output: No space left on device\n"))


def test_closed_standard_streams():
    small_tree()
    status, out, err = treesum("t", setup=lambda: os.close(1))
    equal((status, err), (1, b"treesum: standard output: Bad file descriptor\n"))
    equal(treesum("t", setup=lambda: (os.close(0), os.close(1), os.close(2)))[0], 1)


def test_broken_pipe_stops_the_work():
    """Enough lines to notice, then work without an end."""
    make_tree({b"t/%080d" % i: b"" for i in range(2000)})
    sparse(b"t/huge")
    r, w = os.pipe()
    os.close(r)
    status, _, err = treesum("t", stdout=w)
    equal((status, err), (1, b"treesum: standard output: Broken pipe\n"))


def test_usage():
    for args in ([], ["-j", "0", "."], ["-j", "x", "."], ["-j", "99999999999999999999", "."], ["-j", "1x", "."],
                 ["--nonsense", "."], ["-c"], ["-c", "f", "."], ["-q", "."], ["--strict", "."]):
        status, out, err = treesum(*args)
        equal((status, out), (2, b""), args)
        check(err.endswith(b"Try 'treesum --help' for more information.\n"), args, err)
    status, out, err = treesum("--help")
    equal((status, err), (0, b""))
    check(out.startswith(b"NAME\n    treesum - ") and b"--ignore-missing" in out, out)


# --- signals ---


def interrupted(p, signal_number):
    p.send_signal(signal_number)
    out, err = p.communicate()
    equal(p.returncode, 128 + signal_number)
    return out


def check_lines(out, files):
    """Whole lines of these files, in order."""
    check(out == b"" or out.endswith(b"\n"), out)
    known = {line(path, content): path for path, content in files.items()}
    got = [l + b"\n" for l in out.split(b"\n")[:-1]]
    for l in got:
        check(l in known, "no line of ours", l)
    equal(got, sorted(set(got), key=lambda l: known[l]))
    return [known[l] for l in got]


def test_interrupt_stops_in_the_middle_of_a_file():
    for signal_number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        files = make_tree({b"t/%d" % i: b"%d" % i for i in range(10)})
        files.update(make_tree({b"t/z%d" % i: b"%d" % i for i in range(10)}))
        sparse(b"t/huge")
        p = popen("-j", "2", "t")
        wait_until(p, lambda: opened(p, "huge") == 1)
        check_lines(interrupted(p, signal_number), files)


def test_interrupt_prints_what_was_computed():
    """One job at a time: what comes before the endless file is computed when that is open."""
    files = make_tree({b"t/%d" % i: b"%d" % i for i in range(10)})
    sparse(b"t/huge")
    make_tree({b"t/z": b""})
    p = popen("-j", "1", "t")
    wait_until(p, lambda: opened(p, "huge") == 1)
    equal(interrupted(p, signal.SIGINT), lines(files))


def test_interrupt_while_stdout_is_stuck():
    files = make_tree({b"t/%05d" % i: b"" for i in range(6500)})
    p = popen("t")
    first = os.read(p.stdout.fileno(), 1)
    check_lines(first + interrupted(p, signal.SIGINT), files)


def test_second_interrupt_ends_at_once():
    make_tree({b"t/%05d" % i: b"" for i in range(2500)})
    p = popen("t")  # more output than the pipe and a block hold
    os.read(p.stdout.fileno(), 1)

    def caught():
        with open(f"/proc/{p.pid}/status") as f:
            return [int(l.split()[1], 16) >> (signal.SIGINT - 1) & 1 for l in f if l.startswith("SigCgt:")][0]

    check(caught())
    p.send_signal(signal.SIGINT)
    wait_until(p, lambda: not caught())
    p.send_signal(signal.SIGINT)
    equal(p.wait(), -signal.SIGINT)


def test_interrupt_of_a_check():
    sparse(b"huge")
    write(b"m", line(b"huge", b""))
    p = popen("-c", "m")
    wait_until(p, lambda: opened(p, "huge") == 1)
    equal(interrupted(p, signal.SIGINT), b"")


def unread(fd):
    """Bytes in a pipe."""
    n = array.array("i", [0])
    fcntl.ioctl(fd, termios.FIONREAD, n)
    return n[0]


def test_interrupt_of_a_check_that_waits_for_its_manifest():
    """Half a line comes down a pipe, and then nothing."""
    r, w = os.pipe()
    os.write(w, b"0123")
    p = popen("-c", "-", stdin=r)
    wait_until(p, lambda: unread(r) == 0)
    equal(interrupted(p, signal.SIGINT), b"")


def test_interrupt_of_a_check_that_waits_for_a_fifo():
    os.mkfifo("fifo")
    p = popen("-c", "fifo")

    def reader_is_there():
        try:
            os.open("fifo", os.O_WRONLY | os.O_NONBLOCK)
            return True
        except OSError:
            return False

    wait_until(p, reader_is_there)
    equal(interrupted(p, signal.SIGINT), b"")


def test_ignored_signals_stay_ignored():
    os.mkdir("t")
    sparse(b"t/huge")
    p = popen("t", setup=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    wait_until(p, lambda: opened(p, "huge") == 1)
    p.send_signal(signal.SIGHUP)
    interrupted(p, signal.SIGINT)


# --- terminals ---


def run_on_terminal(*args, **kw):
    """Status and what the terminal saw; stderr is one, and where kw does not say otherwise stdout too."""
    master, slave = pty.openpty()
    kw.setdefault("stdout", slave)
    p = popen(*args, stderr=slave, **kw)
    os.close(slave)
    seen = b""
    while True:
        try:
            piece = os.read(master, 65536)
        except OSError:  # EIO: the other side is closed
            break
        if not piece:
            break
        seen += piece
    os.close(master)
    return p.wait(), seen


def test_progress_on_a_terminal():
    files = make_tree({b"t/%d" % i: b"x" * 1000 for i in range(30)})
    with open("out", "wb") as f:
        status, seen = run_on_terminal("t", stdout=f)
    equal(status, 0)
    equal(open("out", "rb").read(), lines(files))
    last = seen.split(b"\r\033[K")[-1].decode()
    check(last.startswith("30 files, 30.0 kB, ") and last.endswith("B/s\r\n"), seen)


def test_no_progress_elsewhere():
    small_tree()
    equal(treesum("t")[2], b"")


def test_lines_and_progress_share_a_terminal():
    files = make_tree({b"t/%d" % i: b"x" * 1000 for i in range(30)})
    status, seen = run_on_terminal("nope", "t")
    equal(status, 1)
    for l in lines(files).split(b"\n")[:-1]:
        check(b"\n" + l + b"\r\n" in b"\n" + seen.replace(b"\r\033[K", b"\n"), l, seen)
    check(b"treesum: nope: No such file or directory\r\n" in seen, seen)


# --- manifests ---


def same_as_sha256sum(*args, input=None):
    """Everything but the quoting of odd names in messages."""
    ours = treesum(*args, input=input)
    theirs = sha256sum(*args, input=input)
    err = theirs[2].replace(b"sha256sum: ", b"treesum: ").replace(b"'standard input'", b"standard input")
    equal(ours, (theirs[0], theirs[1], err), args, input)
    return ours


def manifests():
    write(b"good", b"good")
    write(b"bad", b"bad")
    write(b"a b", b"space")
    write(b"n\nl\\x", b"odd")
    good, bad = line(b"good", b"good"), line(b"bad", b"other")
    missing, space, odd = line(b"missing", b""), line(b"a b", b"space"), line(b"n\nl\\x", b"odd")
    hexa = hashlib.sha256(b"good").hexdigest().encode()
    yield good
    yield good + space + odd
    yield bad
    yield bad + bad + good
    yield missing
    yield missing * 2 + good
    yield good + b"nonsense\n"
    yield b"nonsense\n" * 2 + good + bad + missing
    yield b"nonsense\n"
    yield b""
    yield b"\n\n# comment\n"
    yield b"\n# comment\n\n" + good
    yield good.replace(b"\n", b"\r\n")
    yield good[:-1]
    yield good.upper().replace(b"GOOD", b"good")
    yield good.replace(b"  ", b" *")
    yield good.replace(b"  ", b"\t ")
    yield b" \t" + good
    yield b"SHA256 (good) = " + hexa + b"\n"
    yield b"SHA256 (good)= " + hexa + b"\n"
    yield b"SHA256(good) = " + hexa + b"\n"
    yield b"\\SHA256 (n\\nl\\\\x) = " + odd[1:65] + b"\n"
    yield b"SHA256 (good) = " + hexa[:-1] + b"\n"
    yield b"\\" + hexa + b"  a\\q\n" + good
    yield b"\\" + hexa + b"  a\\\n" + good
    yield b"\\" + good
    yield good[1:] + good
    yield b"0" + good
    yield hexa + b"\n" + good


def test_checks_as_sha256sum_does():
    for m in manifests():
        write(b"m", m)
        same_as_sha256sum("-c", "m")


def test_check_options_are_those_of_sha256sum():
    all_options = [["-w"], ["--quiet"], ["--status"], ["--strict"], ["--ignore-missing"], ["--warn", "--status"],
                   ["--ignore-missing", "--quiet", "--strict", "--warn"], ["--status", "--quiet"]]
    good, _, bad, _, missing, *_ = manifests()
    for m in (good + b"nonsense\n", b"nonsense\n" * 2 + good + bad + missing, bad, missing):
        write(b"m", m)
        for options in all_options:
            same_as_sha256sum(*options, "-c", "m")


def test_checks_standard_input():
    for m in manifests():
        same_as_sha256sum("-w", "-c", "-", input=m)
    write(b"m", line(b"-", b"hello"))
    same_as_sha256sum("-c", "m", input=b"hello")
    same_as_sha256sum("-c", "m", input=b"other")


def test_checks_its_own_output():
    small_tree()
    write(b"m", treesum("t")[1])
    equal(treesum("-c", "m"), sha256sum("-c", "m"))
    equal(treesum("-q", "--check=m"), (0, b"", b""))
    write(b"t/a/b/7", b"changed")
    os.unlink("t/a/b/8")
    status, out, err = same_as_sha256sum("--quiet", "-c", "m")
    equal((status, out), (1, b"t/a/b/7: FAILED\nt/a/b/8: FAILED open or read\n"))


def test_check_never_waits_for_a_fifo():
    os.mkfifo("fifo")
    os.mkdir("d")
    write(b"m", line(b"fifo", b"") + line(b"d", b""))
    status, out, err = treesum("-c", "m")
    equal((status, out), (1, b"fifo: FAILED open or read\nd: FAILED open or read\n"))
    equal(err, b"treesum: fifo: Not a regular file\ntreesum: d: Is a directory\n"
               b"treesum: WARNING: 2 listed files could not be read\n")


def test_check_without_a_manifest():
    equal(treesum("-c", "nope"), (1, b"", b"treesum: nope: No such file or directory\n"))
    equal(treesum("-c", "."), (1, b"", b"treesum: .: Is a directory\n"))


def test_check_to_a_full_device():
    write(b"m", line(write(b"f", b"1"), b"1"))
    with open("/dev/full", "wb") as full:
        equal(treesum("-c", "m", stdout=full)[::2], (1, b"treesum: standard output: No space left on device\n"))


def main():
    cases = {name[5:]: fn for name, fn in globals().items() if name.startswith("test_")}
    if len(sys.argv) != 2 or sys.argv[1] not in cases:
        print("\n".join(cases))
        return 2
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    shm = "/dev/shm"  # in memory, where there is one: the trees have many small files
    home = tempfile.mkdtemp(prefix="treesum.", dir=shm if os.access(shm, os.W_OK) else None)
    os.chdir(home)
    try:
        cases[sys.argv[1]]()
    finally:
        os.chdir("/")
        subprocess.run(["chmod", "-R", "u+rwx", home], stderr=subprocess.DEVNULL)
        subprocess.run(["rm", "-rf", home])
    return 0


sys.exit(main())
