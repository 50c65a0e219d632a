# SPDX-License-Identifier: MIT
"""serverlib.py: what the tests of our servers share, relay's and httpd's, and of others beside them.

A test file has functions test_CASE and ends in main(name): one case is run, in a folder of its own. Nothing depends on
how fast anything runs: a case waits for what a server does or says, and a hang is ctest's to find.
"""
import ctypes
import os
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


class Program:
    """A program that runs beside the test and says on its standard error how it is."""
    started = []

    def __init__(self, *args):
        self.name = os.path.basename(args[0])
        self.p = subprocess.Popen(args, stderr=subprocess.PIPE, text=True, preexec_fn=child_setup)
        Program.started.append(self)

    def until(self, text):
        """Read what it says up to a line with text; it is returned."""
        for line in self.p.stderr:
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
