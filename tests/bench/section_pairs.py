"""malloc/free pairs at a stack depth: nanoseconds of the process's processor time a pair."""
import measure
from compare import against, compare
from table import Row, number

SECONDS = 270
# Depth, threads, processes that do the same at once (they share nothing: what two of them cost more than one is the machine's doing), goal.
CASES = [(5, 1, 1, 45), (20, 1, 1, 50), (60, 1, 1, 75), (400, 1, 1, None), (4000, 1, 1, None)]
CASES += [(5, 2, 1, 45), (5, 1, 2, None), (20, 2, 1, 50), (20, 1, 2, None), (60, 2, 1, 75), (60, 1, 2, None)]
PAIRS = {"heaptrack": 300_000, "jemalloc": 100_000, "tcmalloc": 100_000}


def rows(bench):
    patience = measure.Patience(SECONDS, len(CASES))
    made = []
    for depth, threads, processes, goal in CASES:
        several = f", {threads} threads" if threads > 1 else f", {processes} processes" if processes > 1 else ""
        row = Row(f"depth {depth}" + several, "ns a pair", f"at most {goal} ns" if goal else "" if several else "no cliff")

        def argv(tool, depth=depth, threads=threads, processes=processes):
            return [bench.load("pairs"), *map(str, (PAIRS.get(tool, 1_000_000) // threads, depth, threads, processes))]

        compare(bench, row, lambda ran: float(ran.out), argv, patience.row(), only=("heaptap",) if processes > 1 else ())
        ours = row.added("heaptap")
        row.verdict = against(ours, goal, " ns") if goal else number(ours) + " ns"
        track = row.cells.get("heaptrack")
        if track and (depth, threads) == (20, 1):
            spent = measure.median(track.beside) / PAIRS["heaptrack"] * 1e9
            bench.note(f"heaptrack's interpreter is a process of its own and not in its figures: {spent:.0f} ns a pair more at depth 20")
        made.append(row)
        bench.show(row)
    row = Row("fork, 1,000,000 live blocks", "us")
    compare(bench, row, lambda ran: float(ran.out), lambda tool: [bench.load("fork"), "1000000", "9"], 30, seconds=30)
    ratio = row.cells["heaptap"].ratio
    row.verdict = f"{measure.median(ratio):.2f}x" if ratio else ""
    bench.show(row)
    return made + [row]
