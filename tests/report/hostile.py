#!/usr/bin/env python3
"""hostile.py KIND OUT: a buffer made to cost its reader as much as it can; see test_hostile."""
import struct
import sys

RECORD = [1024, 16, 8, 8, 512, 8, 2048, 64, 32, 4096]
MODULES, PLACES, NODES, SITES, SLOTS, CHUNKS, CELLS, LINES, MAPS, RING = range(10)


def write(path, payload, used=None, holes=None):
    """payload: bytes by section. used: other numbers of records; holes: other capacities."""
    used = used or {}
    offset = 65536
    header = bytearray(4096)
    header[0:8] = b"HEAPTAP\0"
    struct.pack_into("<IHHIBBHII", header, 8, 0x0A0B0C0D, 1, 0, 4096, 8, 12, 62, 1, 0)
    struct.pack_into("<40s", header, 600, b"00000000-0000-0000-0000-000000000000")
    struct.pack_into("<IIII", header, 2208, 0, 1024, 1, 16)
    with open(path, "wb") as out:
        for section, record in enumerate(RECORD):
            data = payload.get(section, b"")
            count = used.get(section, len(data) // record)
            capacity = -(-max(len(data), count * record, 1) // 65536) * 65536
            struct.pack_into("<QQII", header, 32 + 32 * section, offset, capacity, record, count)
            out.seek(offset)
            out.write(data)
            offset += capacity
        out.truncate(offset)
        out.seek(0)
        out.write(header)


def module():
    return struct.pack("<IIQQQII32sII96x", 1, 1, 0, 0, 0x10000, 1, 0, b"", 0, 0) + b"/" + b"m" * 846 + b"\0"


def places(count):
    return bytes(16) + b"".join(struct.pack("<IIII", 1, 0, i, 0) for i in range(1, count))


def line(entries):
    """Four live entries (address, site, size)."""
    return struct.pack("<IHH4I4I4I4H", entries[0][0] >> 9, 0, 0, *[2 | (e[0] & 511) << 3 for e in entries],
                       *[e[1] for e in entries], *[e[2] for e in entries], 0, 0, 0, 0)


def lines(sites):
    return b"".join(line([(i * 512 + k * 16, sites[i * 4 + k], 1) for k in range(4)]) for i in range(len(sites) // 4))


def chain(path):
    """One chain as deep as the reader goes and longer, with a block at its end; all places differ."""
    count = 1 << 20
    nodes = bytes(8) + b"".join(struct.pack("<II", i - 1, i % 4095 + 1) for i in range(1, count))
    sites = bytes(8) + b"".join(struct.pack("<II", i * 131072, 1) for i in range(1, 8))
    write(path, {MODULES: module(), PLACES: places(4096), NODES: nodes, SITES: sites, LINES: lines([1, 2, 3, 4, 5, 6, 7, 7])})


def bush(path):
    """Many short stacks: every node is a leaf with a site and a block of its own."""
    count = 1 << 18
    nodes = bytes(8) + b"".join(struct.pack("<II", i // 2, i % 4095 + 1) for i in range(1, count))
    sites = bytes(8) + b"".join(struct.pack("<II", i, 1) for i in range(1, count))
    write(path, {MODULES: module(), PLACES: places(4096), NODES: nodes, SITES: sites, LINES: lines(list(range(1, count)) + [1])})


def sparse(path):
    """Everything is said to be used, nearly nothing is there."""
    write(path, {MODULES: module(), PLACES: places(16)},
          {section: (1 << 31) // record for section, record in enumerate(RECORD)})


{"chain": chain, "bush": bush, "sparse": sparse}[sys.argv[1]](sys.argv[2])
