#!/usr/bin/env python3
"""big_buffer.py EXAMPLE OUT [NODES]: the example buffer (little-endian, 64-bit) with a call tree of 50,000 nodes, always the same."""
import random
import struct
import sys

PLACES, NODES, SITES, CHUNKS, CELLS, LINES = 1, 2, 3, 5, 6, 7
count = int(sys.argv[3]) if len(sys.argv) > 3 else 50000
choose = random.Random(1)
with open(sys.argv[1], "rb") as source:
    data = bytearray(source.read())


def section(which, records):
    """Puts the records behind the file and the section table's row to them."""
    data.extend(bytes(-len(data) % 65536))
    size = len(records[0])
    struct.pack_into("<QQIIII", data, 32 + 32 * which, len(data), -(-len(records) * size // 65536) * 65536, size, len(records), 0, 0)
    data.extend(b"".join(records))
    data.extend(bytes(-len(data) % 65536))


# Ids count from 1; record 0 is unused. Modules are the example's two rows.
places = 8000
section(PLACES, [bytes(16)] + [struct.pack("<IIII", 1 + choose.randrange(2), 0, 0x1000 + 16 * i, 0) for i in range(places)])
depth, nodes, known, last = [0], [bytes(8)], set(), 0
for i in range(1, count + 1):
    # Mostly deeper, sometimes back to a frame further out, as programs do; never beyond 60.
    parent = last
    if depth[parent] >= 60 or choose.random() < 0.25:
        for _ in range(choose.randrange(1, 8)):
            parent = struct.unpack("<II", nodes[parent])[0] if depth[parent] > 1 else parent
    node = struct.pack("<II", parent, 1 + choose.randrange(places))
    while node in known:
        node = struct.pack("<II", parent, 1 + choose.randrange(places))
    known.add(node)
    nodes.append(node)
    depth.append(depth[parent] + 1)
    last = i
section(NODES, nodes)
outer = {struct.unpack("<II", node)[0] for node in nodes}
leaves = [i for i in range(1, count + 1) if i not in outer or choose.random() < 0.3]
section(SITES, [bytes(8)] + [struct.pack("<II", node, 1) for node in leaves])
sites = len(leaves) + 1
cells = [bytearray(64 * 32) for _ in range(-(-sites // 64))]
lines = []
for site in range(1, sites):
    size, total, live = int(choose.paretovariate(1.3) * 16) % 10000000, choose.randrange(1, 9), choose.random() < 0.4
    frees = total - 1 if live else total
    for at, value in enumerate((total, total * size, frees, frees * size)):
        # A split counter: its lower 31 bits and bit 31, and the value from bit 31 on.
        struct.pack_into("<II", cells[site // 64], site % 64 * 32 + 8 * at, value & 0xffffffff, value >> 31)
    if live:
        lines.append(struct.pack("<IHH4I4I4I4H", 0x10000 + site, 0, 0, 2 | 16 << 3, 0, 0, 0, site, 0, 0, 0, size, 0, 0, 0, 1, 0, 0, 0))
section(CHUNKS, [struct.pack("<II", group, 1) for group in range(len(cells))])
section(CELLS, [bytes(cell) for cell in cells])
section(LINES, lines)
with open(sys.argv[2], "wb") as out:
    out.write(data)
