"""Runs a command, says what it used, and takes medians of paired runs."""
import os
import signal
import statistics
import subprocess
import sys
import threading
import time


class Failed(Exception):
    """A command did not end well: what, and the end of what it said."""


class Slow(Exception):
    """A command was ended because it took too long."""


class Ran:
    def __init__(self, out, cpu):
        self.out, self.cpu = out, cpu
        self.beside = 0.0  # processor time of helpers in processes of their own
        self.losses = []  # what a profiler lost: its figure is then that of less work


def clean_environment():
    """What every measured process gets: nothing of heaptap's, nothing preloaded, nothing of this machine's locale."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    return dict(kept, LC_ALL="C")


def start(argv, environment, **popen):
    return subprocess.Popen(argv, env=dict(clean_environment(), **environment), start_new_session=True, **popen)


def end(process):
    """It and what it started. Only what start() began."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def watch(process, seconds, done, late):
    """Ends it when it has used that many seconds of processor time, or four times as many have gone by. A limit set with setrlimit would do the same,
    but the kernel then reads the process's clock by ticks."""
    began = time.monotonic()
    tick = os.sysconf("SC_CLK_TCK")
    while not done.wait(0.25):
        try:
            with open(f"/proc/{process.pid}/stat", encoding="ascii", errors="replace") as stat:
                fields = stat.read().rpartition(")")[2].split()
        except OSError:
            return
        if (int(fields[11]) + int(fields[12])) / tick > seconds or time.monotonic() - began > 4 * seconds:
            late.append(seconds)
            end(process)
            return


def run(argv, environment=None, seconds=120, stdin=None):
    """Its standard output, and processor time (user and system) of the process and the children it waited for."""
    late, done = [], threading.Event()
    with open(stdin or os.devnull, "rb") as source:
        process = start(argv, environment or {}, stdin=source, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    watcher = threading.Thread(target=watch, args=(process, seconds, done, late))
    watcher.start()
    try:
        out, said = process_output(process)
        _, status, used = os.wait4(process.pid, 0)
    except BaseException:
        end(process)
        raise
    finally:
        done.set()
        watcher.join()
    process.returncode = os.waitstatus_to_exitcode(status)
    if late:
        raise Slow(f"{seconds} s")
    if process.returncode:
        last = said.strip().splitlines()[-1:] or [""]
        raise Failed(f"{' '.join(argv)[:80]}: exit status {process.returncode}: {last[0]}")
    return Ran(out, used.ru_utime + used.ru_stime)


def process_output(process):
    """Both streams to their end; the process is not waited for."""
    said = []
    reader = threading.Thread(target=lambda: said.append(process.stderr.read()))
    reader.start()
    with process.stdout, process.stderr:
        out = process.stdout.read()
        reader.join()
    return out.decode(errors="replace"), said[0].decode(errors="replace")


class Cell:
    """What a tool added in the paired runs of one row."""

    def __init__(self):
        self.base, self.added, self.ratio, self.beside, self.text = [], [], [], [], ""

    def take(self, base, value, beside=0.0):
        self.base.append(base)
        self.added.append(value - base)
        self.ratio.append(value / base if base else float("nan"))
        self.beside.append(beside)

    def __bool__(self):
        return bool(self.added)


def median(values):
    return statistics.median(values) if values else float("nan")


def progress(text=""):
    """One line that is overwritten, where somebody watches."""
    if sys.stderr.isatty():
        sys.stderr.write("\r\033[K" + text[:110])
        sys.stderr.flush()


class Patience:
    """Divides a section's time among its rows, so that a slow machine takes fewer rounds and not more time."""

    def __init__(self, seconds, rows):
        self.until, self.rows = time.monotonic() + seconds, rows

    def row(self):
        """Seconds for the next row."""
        left = max(0.0, self.until - time.monotonic()) / max(1, self.rows)
        self.rows -= 1
        return left
