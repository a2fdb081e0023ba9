"""Start-up of /bin/true: what a preloaded library adds to an empty one, from spawning it to having waited for it."""
import json
import os
import subprocess

import measure
from compare import against
from table import Row, number

STARTS = 400


def rows(bench):
    source, empty = os.path.join(bench.work, "empty.c"), os.path.join(bench.work, "empty.so")
    with open(source, "w", encoding="ascii") as out:
        out.write("int nothing_at_all;\n")
    subprocess.run(["cc", "-shared", "-fPIC", source, "-o", empty], check=True)
    row = Row("/bin/true", "ms", "at most 0.5 ms", 1e-3)
    cpu = Row("/bin/true, processor time", "ms", "", 1e-3)
    argv, names = [bench.load("startup"), str(STARTS), "LD_PRELOAD=" + empty], ["plain"]
    for tool in bench.tools:
        argv += ["--"] + [f"{name}={value}" for name, value in tool.preload().items()]
        names.append(tool.name)
    measure.progress("start-up")
    times = json.loads(measure.run(argv, seconds=120).out)
    for made, kind in ((row, "wall"), (cpu, "cpu")):
        table = dict(zip(names, times[kind]))
        made.plain = table["plain"]
        for tool in bench.tools:
            cell = made.cells[tool.name] = measure.Cell()
            for base, value in zip(table["plain"], table[tool.name]):
                cell.take(base, value)
    row.verdict = against(row.added("heaptap"), 0.5, " ms")
    cpu.verdict = number(cpu.added("heaptap")) + " ms"
    bench.show(row)
    bench.show(cpu)
    bench.note("start-up: heaptrack writes to /dev/null there, without its interpreter; its and jemalloc's and tcmalloc's allocators are part of what they add")
    return [row, cpu]

