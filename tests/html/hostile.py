#!/usr/bin/env python3
"""hostile.py PROGRAM OUT: the program with symbols of the same length whose bytes are an attack on who shows them."""
import re
import sys

ATTACKS = {
    b"read_the_settings": b"</script><b>x</b>",
    b"answer_one_request": b"<!--<script>\x1b[2J\x07\xff",
    b"descend_by_itself": b"a\xe2\x80\xaeexe\xe2\x80\x8b&lt;\"'\\",
    b"take_and_give": b"${x}`'\"</p>\xe2\x80\xa8",
}
with open(sys.argv[1], "rb") as source:
    data = source.read()
for name, attack in ATTACKS.items():
    attack = attack[:len(name)].ljust(len(name), b"_")
    data, count = re.subn(b"\0" + name + b"\0", lambda _: b"\0" + attack + b"\0", data)  # pylint: disable=cell-var-from-loop
    assert count, name
with open(sys.argv[2], "wb") as out:
    out.write(data)
