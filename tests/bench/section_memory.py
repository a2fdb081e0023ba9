"""Resident memory that is added: with heaptap less without, the buffer file's pages counted once, whether this process has touched them or not."""
import os
import re
import time

import measure
from compare import against
from table import Row, number

SECONDS = 240
KIB = 1 << 10
ANY = 0  # 16 to 271 bytes at random
COUNTS = [(1_000, ANY), (100_000, ANY), (5_000_000, ANY)]
SIZES = [(200_000, size) for size in (16, 64, 100, 128, 256, 400, 512, 600, 1024, 2000, 4096)] + [(50_000, 16384)]


class Resident:
    """Of one process, in bytes: all, and what mappings of the heaptap file and of the preloaded library are of it."""

    def __init__(self, pid, file=None, library=None):
        self.all = self.file = self.library = 0
        with open(f"/proc/{pid}/smaps", encoding="ascii", errors="replace") as lines:
            path = ""
            for line in lines:
                head = re.match(r"[0-9a-f]+-[0-9a-f]+ \S+ \S+ \S+ \S+ *(.*)$", line)
                if head:
                    path = head.group(1)
                elif line.startswith("Rss:"):
                    rss = int(line.split()[1]) * KIB
                    self.all += rss
                    if file and path == file:
                        self.file += rss
                    if library and path == os.path.realpath(library):
                        self.library += rss


def hold(argv, environment, seconds, look):
    """Starts it, reads its first line, LOOKs at the process while it waits, and lets it end."""
    stdin, stdout = os.pipe(), os.pipe()
    process = measure.start(argv, environment, stdin=stdin[0], stdout=stdout[1], stderr=measure.subprocess.DEVNULL)
    os.close(stdin[0])
    os.close(stdout[1])
    timer = measure.threading.Timer(seconds, measure.end, [process])
    timer.start()
    try:
        with os.fdopen(stdout[0], "rb") as out:
            line = out.readline()
        if not line:
            raise measure.Failed(" ".join(argv) + ": said nothing")
        return int(line), look(process.pid)
    finally:
        os.close(stdin[1])
        process.wait()
        timer.cancel()


class Parts:
    """Where heaptap's memory is."""

    def __init__(self, heaptap, pid, plain):
        file = heaptap.files()[0]
        info = heaptap.info(file)
        used = {name[6:]: int(value.split()[0]) for name, value in info.items() if name.startswith("table ")}
        resident = Resident(pid, file, heaptap.library)
        self.file = os.stat(file).st_blocks * 512
        self.lines = used["lines"] * 64
        self.ring = used["ring"] * 4 * KIB
        self.library = resident.library
        self.private = resident.all - resident.file - resident.library - plain
        self.all = self.file + self.library + self.private
        self.losses = heaptap.losses()

    def text(self):
        rest = self.file - self.lines - self.ring
        return (f"file {mib(self.file)} (live lines {mib(self.lines)}, ring {mib(self.ring)}, rest and not yet used {mib(rest)}), "
                f"private {mib(self.private)}, library {mib(self.library)}")


def mib(size):
    return number(size / (1 << 20)) + " MiB"


def one(bench, tool, count, size):
    """(live bytes, plain resident, added, parts of heaptap's)"""
    argv = [bench.load("blocks"), str(count), str(size)]
    below = tool.base() or bench.plain
    live, plain = hold(argv, below.environment(), 60, lambda pid: Resident(pid).all)
    if tool.name == "heaptap":
        tool.clear()
        _, parts = hold(argv, tool.environment(), 60, lambda pid: Parts(tool, pid, plain))
        tool.clear()
        return live, plain, parts.all, parts
    if tool.name == "heaptrack":
        interpreter, environment = tool.begin()
        try:
            _, found = hold(argv, environment, 60, lambda pid: (Resident(pid).all, Resident(interpreter.pid).all))
        finally:
            tool.finish(interpreter)
        return live, plain, found[0] - plain, found[1]
    try:
        _, resident = hold(argv, tool.environment(), 60, lambda pid: Resident(pid).all)
    finally:
        tool.sweep()
    return live, plain, resident - plain, None


def rows(bench):
    made = []
    until = time.monotonic() + SECONDS
    fixed = None
    for count, size in COUNTS + SIZES:
        what = f"{count:,} blocks of " + (f"{size}" if size else "16 to 271") + " bytes"
        small = count == 1_000
        row = Row(what, "MiB" if small else "bytes a block", "", 1 / (1 << 20) if small else 1.0)
        each = 1 if small else count
        for tool in bench.tools:
            cell = row.cells[tool.name] = measure.Cell()
            if tool.slow and count > 1_000_000 or time.monotonic() > until and tool.name != "heaptap":
                cell.text = "not run"
                continue
            for turn in range(min(bench.rounds, 3)):
                measure.progress(f"memory: {what}: {tool.name}, round {turn + 1}")
                try:
                    live, plain, added, more = one(bench, tool, count, size)
                except measure.Failed as failed:
                    cell.text = "failed"
                    bench.note(f"{what}: {tool.name}: {failed}")
                    break
                cell.take(plain / each, (plain + added) / each)
                if tool.name == "heaptap":
                    row.plain.append(plain / each)
                    parts, bytes_live = more, live
                if tool.slow or count > 1_000_000 or time.monotonic() > until:
                    break
            if tool.name == "heaptrack" and cell and small:
                bench.note(f"memory: heaptrack's interpreter has {mib(more)} of its own at {count:,} live blocks")
            elif tool.name == "heaptrack" and cell and count == 5_000_000:
                bench.note(f"memory: heaptrack's interpreter has {mib(more)} of its own at {count:,} live blocks")
        if not row.cells["heaptap"]:
            continue
        added = measure.median(row.cells["heaptap"].added) * each
        if small:
            fixed = parts
            row.goal, row.verdict = "at most 2 MiB", against(added / (1 << 20), 2, " MiB")
        else:
            # What grows with the live blocks: lines of the live table, and its index. The rest is there with few blocks too, or is the ring.
            index = parts.private - fixed.private
            table = parts.lines + index
            if size <= 512:
                row.goal = "at most 24 bytes"
                row.verdict = against(table / count, 24, " B")
            else:
                row.goal = "at most 2 % of the live bytes"
                row.verdict = against(100 * table / bytes_live, 2, " %")
            bench.note(f"memory: {what}: live table {number(parts.lines / count)} + index {number(index / count)} bytes a block, "
                       f"{number(100 * table / bytes_live)} % of the live bytes", detail=True)
        bench.note(f"memory: {what}: {parts.text()}", detail=True)
        if parts.losses:
            bench.note(f"memory: {what}: heaptap lost {', '.join(parts.losses)}: its figure is that of less work")
        made.append(row)
        bench.show(row)
    measure.progress()
    return made
