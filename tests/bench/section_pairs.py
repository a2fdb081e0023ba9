"""malloc/free pairs at a stack depth: nanoseconds of the process's processor time a pair."""
import measure
from compare import against, compare
from table import Row, number

SECONDS = 270
CASES = [(5, 1, 45), (20, 1, 50), (60, 1, 75), (400, 1, None), (4000, 1, None), (5, 2, 45), (20, 2, 50), (60, 2, 75)]
PAIRS = {"heaptrack": 300_000, "jemalloc": 100_000, "tcmalloc": 100_000}


def rows(bench):
    patience = measure.Patience(SECONDS, len(CASES))
    made = []
    for depth, threads, goal in CASES:
        row = Row(f"depth {depth}" + (f", {threads} threads" if threads > 1 else ""), "ns a pair", f"at most {goal} ns" if goal else "no cliff")

        def argv(tool, depth=depth, threads=threads):
            return [bench.load("pairs"), str(PAIRS.get(tool, 1_000_000) // threads), str(depth), str(threads)]

        compare(bench, row, lambda ran: float(ran.out), argv, patience.row())
        ours = row.added("heaptap")
        row.verdict = against(ours, goal, " ns") if goal else number(ours) + " ns"
        track = row.cells.get("heaptrack")
        if track and depth == 20 and threads == 1:
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
