#!/usr/bin/env python3
"""record.py MODE DIRECTORY: what the buffers in a directory say, as the lines of *.expected.

    process PROGRAM                             one a buffer, in the order of their making, when there are several
    KIND STACK ALLOCS BYTES FREES BYTES         stacks by their do_* functions; those without one are left out
    loss KEY COUNT                              all that is not 0, but what depends on the machine

MODE leaf: only the innermost do_ function and the size of its blocks, for programs where threads get in each other's way: stacks that are cut
for that are not looked at. MODE total: instead of all this one line, `total ALLOCS FREES`: heap events of do_* functions and
reentrant ones, and frees of blocks that found no room in the live table.

The figures are those of `dump -f raw`, with names from nm; `dump -f folded`, with names that heaptap finds, has to say the same.
"""
import collections
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "oracle"))
from rawdump import FIGURES, Dump, Symbols, tool  # noqa: E402

# How many threads find a slot of their own depends on the budget, and so does the ring. Cuts are shown in the stacks of do_* functions.
MACHINE = ("shared-slot", "ring-overwritten", "ring-dropped", "cut-")


def stack_of(dump, site, mode):
    names = [n for n in dump.stack(site) if n.startswith("do_")]
    cut = [n for n in dump.stack(site)[:1] if n.startswith("[cut") and n != "[cut: busy]"]
    return ";".join(names[-1:] if mode == "leaf" else cut + names if names else [])


def rows(dump, mode):
    sums = collections.defaultdict(lambda: [0] * 4)
    for number, site in dump.sites.items():
        stack = stack_of(dump, number, mode)
        if stack:
            row = sums[site["kind"], stack]
            for i in range(4):
                row[i] += site[FIGURES[i]]
    return sums


def check_folded(dump, view, kind, figure):
    """Only names that nm knows: libc has functions called do_* too, which only its debug data name."""
    ours, folded = collections.Counter(), collections.Counter()
    known = {n for symbols in Symbols.loaded.values() for n in symbols.names if n.startswith("do_")}

    def names_of(frames):
        return ";".join(n for n in frames if n in known)

    for number, site in dump.sites.items():
        if site["kind"] == kind and names_of(dump.stack(number)):
            ours[names_of(dump.stack(number))] += site[figure]
    for line in tool("dump", "-f", "folded", "--view", view, dump.path).splitlines():
        stack, _, value = line.rpartition(" ")
        if names_of(stack.split(";")):
            folded[names_of(stack.split(";"))] += int(value)
    for stack in sorted(set(ours) | set(folded)):
        if ours[stack] != folded[stack]:
            print(f"folded {view} {stack}: {folded[stack]}, raw: {ours[stack]}")


def report(dump, mode):
    sums = rows(dump, mode)  # names every stack
    check_folded(dump, "alloc", "heap", "alloc_bytes")
    check_folded(dump, "inuse", "heap", "live_bytes")
    check_folded(dump, "mmap", "map", "live_bytes")
    if mode == "total":
        heap = [r for (kind, _), r in sums.items() if kind == "heap"]
        allocs = sum(r[0] for r in heap) + dump.losses.get("reentrant-allocs", 0)
        not_followed = dump.losses.get("live-full", 0)
        frees = sum(r[2] for r in heap) + dump.losses.get("reentrant-frees", 0) + min(not_followed, dump.losses.get("unknown-frees", 0))
        print("total", allocs, frees)
        return
    for (kind, stack), row in sorted(sums.items()):
        print(kind, stack, *([row[1] / row[0]] if mode == "leaf" else row))
    for key, count in sorted(dump.losses.items()):
        if not key.startswith(MACHINE):
            print("loss", key, count)


def main():
    mode, directory = sys.argv[1:]
    paths = [os.path.join(directory, n) for n in os.listdir(directory)]
    for path in paths:
        tool("info", "--verify", path)
    dumps = sorted((Dump(p) for p in paths), key=lambda d: (d.process["start-ns"], d.process["fork-epoch"]))
    for dump in dumps:
        if len(dumps) > 1:
            print("process", os.path.basename(dump.exe))
        report(dump, mode)


main()
