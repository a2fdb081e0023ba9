"""The rows that the sections make, and the one table of them, as text or Markdown."""
from measure import median

PEERS = ("heaptap", "heaptrack", "jemalloc", "tcmalloc")


def number(value, sign=""):
    """Three or four digits are what these measurements carry."""
    if value != value:
        return "-"
    size = abs(value)
    places = 0 if size >= 100 else 1 if size >= 10 else 2
    return f"{value:{sign},.{places}f}"


class Row:
    def __init__(self, label, unit, goal="", scale=1.0):
        self.label, self.unit, self.goal, self.scale = label, unit, goal, scale
        self.plain, self.cells, self.verdict = [], {}, ""

    def added(self, tool):
        return median(self.cells[tool].added) * self.scale if self.cells.get(tool) else float("nan")

    def share(self, beside=False):
        """heaptrack's addition over heaptap's: the median of the rounds. BESIDE: with what its interpreter spent."""
        ours, theirs = self.cells.get("heaptap"), self.cells.get("heaptrack")
        if not ours or not theirs:
            return float("nan")
        return median([(b + (c if beside else 0)) / a for a, b, c in zip(ours.added, theirs.added, theirs.beside) if a > 0])

    def cell(self, tool):
        cell = self.cells.get(tool)
        if cell is None:
            return ""
        if not cell:
            return cell.text or "-"
        return f"{number(self.added(tool), '+')} ({number(median(cell.ratio))}x)"

    def columns(self):
        plain = number(median(self.plain) * self.scale) if self.plain else ""
        return [f"{self.label}, {self.unit}", plain, *(self.cell(peer) for peer in PEERS), self.verdict, self.goal]


HEAD = ["", "plain", *(f"{peer} adds" for peer in PEERS), "comes to", "goal"]


def lines(sections, markdown):
    """Sections: (title, rows) in order."""
    body = [(title, [row.columns() for row in rows]) for title, rows in sections if rows]
    flat = [HEAD] + [row for _, rows in body for row in rows]
    width = [max(len(row[i]) for row in flat) for i in range(len(HEAD))]

    def line(row):
        cells = [row[0].ljust(width[0])] + [row[i].rjust(width[i]) for i in range(1, len(HEAD))]
        return "| " + " | ".join(cells) + " |" if markdown else "  ".join(cells).rstrip()

    yield line(HEAD)
    if markdown:
        yield "|" + "|".join("-" * (w + 2) if i == 0 else "-" * (w + 1) + ":" for i, w in enumerate(width)) + "|"
    for title, rows in body:
        if markdown:
            yield line(["**" + title + "**"] + [""] * (len(HEAD) - 1))
        else:
            yield title
        for row in rows:
            yield line(row)
