"""Threads on one call site, and allocation in one thread freed in another: nanoseconds of the process's processor time a pair."""
import measure
from compare import compare
from table import Row, number

SECONDS = 240
THREADS = (1, 2, 4, 16)
PAIRS = {"heaptrack": 200_000, "jemalloc": 50_000, "tcmalloc": 50_000}


def rows(bench):
    made = []
    patience = measure.Patience(SECONDS, 2 * len(THREADS))
    for mode, label in (("site", "one call site"), ("queue", "freed in another thread")):
        alone = None
        for threads in THREADS:
            row = Row(f"{label}, {threads} thread{'s' if threads > 1 else ''}", "ns a pair", "at most 1.2 of one thread" if threads > 1 else "")

            def argv(tool, mode=mode, threads=threads):
                return [bench.load("contend"), mode, str(PAIRS.get(tool, 2_000_000)), str(threads)]

            compare(bench, row, lambda ran: float(ran.out), argv, patience.row())
            if alone is None:
                alone = row
            elif row.cells["heaptap"]:
                both = [measure.median(r.plain) + r.added("heaptap") for r in (row, alone)]
                total, added = both[0] / both[1], row.added("heaptap") / alone.added("heaptap")
                row.verdict = f"added {number(added)}, total {number(total)}" + (" (missed)" if max(added, total) > 1.2 else "")
            made.append(row)
            bench.show(row)
    return made
