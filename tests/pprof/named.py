"""The share of a profile's allocated bytes whose stack has a name in every frame. Prints it; exit status 1 when it is below what is wanted.
    named.py own|path|through PROFILE [PERCENT]
own      only the frames in the program itself count: a debug file of the program gives no names to libraries
path     all frames from the leaf to main count, those of libraries too
through  the same, of those stacks that go through the program: a library's own constructors are not its doing
What libc runs before main or before a thread's function is no part of a path. A frame is without name when heaptap wrote module+0xoffset."""
import re
import sys

import profile

UNNAMED = re.compile(r".\+0x[0-9a-f]+$")


def is_libc(file):
    return re.search(r"/libc[.-][^/]*$", file) is not None


def path_of(found, sample):
    """(name, file of its mapping) of each frame, from the leaf to main or to a thread's function."""
    frames = []
    for number in profile.packed(profile.one(sample, 1, b"")):
        file = found.file_of(found.mappings[profile.one(found.locations[number - 1], 2) - 1])
        frames += [(name, file) for name, _, _ in found.frames(number)]
    if len(frames) > 1 and not is_libc(frames[-1][1]) and is_libc(frames[-2][1]):
        frames.pop()  # _start
    while len(frames) > 1 and is_libc(frames[-1][1]):
        frames.pop()
    return frames


def share(found, which):
    """(percent of alloc_space in samples without unnamed frame, bytes in all, the unnamed frames with their bytes)."""
    program = found.file_of(found.mappings[0])
    whole = named = through_program = outside = 0
    without = {}
    for sample in found.samples:
        size = list(profile.packed(profile.one(sample, 2)))[1]
        frames = [f for f in path_of(found, sample) if which != "own" or f[1] == program]
        if which == "through" and not any(f[1] == program for f in frames):
            outside += size
            continue
        profile.need(all(name for name, _ in frames), "an empty name")
        missing = {name for name, _ in frames if UNNAMED.search(name)}
        whole += size
        named += 0 if missing else size
        through_program += size if frames else 0
        for name in missing:
            without[name] = without.get(name, 0) + size
    profile.need(whole > 0 and through_program > (whole + outside) * 9 // 10, "nearly all bytes should come through the program")
    return 100 * named / whole, whole, without


def main():
    which, path = sys.argv[1:3]
    percent, whole, without = share(profile.Profile(path), which)
    print(f"{path}: {percent:.2f} % of {whole} bytes have a name in every frame ({which})")
    if len(sys.argv) <= 3 or percent >= float(sys.argv[3]):
        return 0
    print(f"that is less than {sys.argv[3]} %; most of what is missing:")
    for name, size in sorted(without.items(), key=lambda row: -row[1])[:5]:
        print(f"    {100 * size / whole:6.2f} %  {name}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
