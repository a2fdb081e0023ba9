#!/usr/bin/env python3
"""pack_buffer.py BUFFER OUT: a buffer file as an input of fuzz_reader."""
import struct
import sys

with open(sys.argv[1], "rb") as source:
    data = source.read()
order = "<" if data[8:12] == b"\x0d\x0c\x0b\x0a" else ">"
packed = data[:4096]
for section in range(10):
    offset, _, record, used = struct.unpack_from(order + "QQII", data, 32 + 32 * section)
    # The ring and the slots are mostly zero; a few records are enough of a seed.
    payload = data[offset:offset + record * used].rstrip(b"\0")
    packed += struct.pack("<I", len(payload)) + payload
with open(sys.argv[2], "wb") as out:
    out.write(packed)
