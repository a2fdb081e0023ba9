"""Instructions by callgrind, beside those that tests/bench/instructions keeps. Peers are not counted."""
import count
import measure

from table import Row, number

def rows(bench):
    if count.missing():
        bench.note("instructions: " + count.missing())
        return []
    made, kept, counter = [], count.kept(), count.Counter(bench.heaptap.library, bench.loads)
    try:
        for name, what, plain, added in counter.all(lambda text: measure.progress("instructions: " + text)):
            row = Row(what, "instructions", f"{number(kept[name][1])} kept" if name in kept else "")
            row.plain = [plain]
            cell = row.cells["heaptap"] = measure.Cell()
            cell.take(plain, plain + added)
            row.verdict = f"{added / kept[name][1]:.3f} of it" if name in kept else ""
            made.append(row)
            bench.show(row)
    finally:
        counter.close()
    return made
