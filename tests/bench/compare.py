"""One row: rounds of the plain run and of every tool, one after the other, so that what the machine does meanwhile meets all of them."""
import time

import measure
from table import number


class Compare:
    def __init__(self, bench, row, value, argv, seconds, options):
        self.bench, self.row, self.value, self.argv, self.seconds, self.options = bench, row, value, argv, seconds, options
        self.plain = {}

    def run(self, runner, command, what):
        measure.progress(f"{self.row.label}: {what}")
        return runner.run(command, seconds=self.seconds, **self.options)

    def base(self, runner, command, what):
        """The same command is run once a round by itself, whoever asks."""
        key = (what, *command)
        if key not in self.plain:
            self.plain[key] = self.value(self.run(runner, command, what))
        return self.plain[key]

    def take(self, tool, turn):
        cell, command, under = self.row.cells[tool.name], self.argv(tool.name), tool.base()
        try:
            below = self.base(under or self.bench.plain, command, tool.name + "'s allocator alone" if under else "plain")
            ran = self.run(tool, command, f"round {turn + 1}: {tool.name}")
        except measure.Slow as slow:
            cell.text = f"over {slow}"
        except measure.Failed as failed:
            cell.text = "failed"
            self.bench.note(f"{self.row.label}: {tool.name}: {failed}")
        else:
            cell.take(below, self.value(ran), ran.beside)
            if ran.losses:
                self.bench.note(f"{self.row.label}: {tool.name} lost {', '.join(ran.losses)}: its figure is that of less work")

    def rounds(self, tools, count, until):
        """At least one; no more when the next would end too late."""
        slowest = 0.0
        for turn in range(count):
            began = time.monotonic()
            if turn and began + slowest > until:
                break
            self.plain = {}
            for tool in tools:
                if not self.row.cells[tool.name].text:  # who failed once is not asked again
                    self.take(tool, turn)
            self.row.plain += [value for (what, *command), value in self.plain.items() if what == "plain" and command == self.argv("plain")]
            slowest = max(slowest, time.monotonic() - began)


def compare(bench, row, value, argv, seconds_in_all, seconds=60, only=(), **options):
    """VALUE of a run, ARGV(tool's name) the command. Slow tools come last, in a quarter of the rounds; none is asked again once it failed or took too
    long, and its cell says so. ONLY: the tools that are asked, if not all."""
    tools = [tool for tool in bench.tools if not only or tool.name in only]
    row.cells = {tool.name: measure.Cell() for tool in tools}
    row.plain = []
    comparing = Compare(bench, row, value, argv, seconds, options)
    began = time.monotonic()
    slow = [tool for tool in tools if tool.slow]
    comparing.rounds([tool for tool in tools if not tool.slow], bench.rounds, began + seconds_in_all * (0.7 if slow else 1))
    comparing.rounds(slow, (bench.rounds + 3) // 4, began + seconds_in_all)
    measure.progress()
    return row


def against(figure, bound, unit=""):
    """The figure, marked where it is above what it should be."""
    return number(figure) + unit + (" (missed)" if figure > bound else "")
