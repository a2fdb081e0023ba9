"""profile.proto parsed from the wire, without anybody's code, and what its readers ask of a heap profile."""
import gzip

TYPES = [("alloc_objects", "count"), ("alloc_space", "bytes"), ("inuse_objects", "count"), ("inuse_space", "bytes")]


class Wrong(Exception):
    """A rule that the profile breaks."""


def need(condition, *what):
    if not condition:
        raise Wrong(" ".join(str(part) for part in what))


def fields(data):
    """(number, value) of each field of a message: an int or bytes."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7f) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        key = varint()
        if key & 7 == 0:
            yield key >> 3, varint()
        elif key & 7 == 2:
            size = varint()
            need(at + size <= len(data), "field", key >> 3, "reaches beyond its message")
            yield key >> 3, data[at:at + size]
            at += size
        else:
            raise Wrong(f"wire type {key & 7}")
    need(at == len(data), "a message is cut")


def packed(data):
    value = shift = 0
    for byte in data:
        value |= (byte & 0x7f) << shift
        shift += 7
        if byte < 0x80:
            yield value
            value = shift = 0


def message(data):
    found = {}
    for number, value in fields(data):
        found.setdefault(number, []).append(value)
    return found


def one(found, number, default=0):
    need(len(found.get(number, [])) <= 1, "field", number, "twice")
    return found.get(number, [default])[0]


class Profile:
    """Everything by name. Locations are lists of (function, file, line), innermost first."""

    def __init__(self, path):
        with open(path, "rb") as file:
            compressed = file.read()
        need(compressed[:2] == b"\x1f\x8b", "not gzip")
        data = gzip.decompress(compressed)
        self.isize_right = int.from_bytes(compressed[-4:], "little") == len(data)
        self.raw = raw = message(data)
        self.bytes = len(data)
        self.strings = [text.decode("utf-8") for text in raw[6]]
        need(self.strings[0] == "", "string 0")
        self.types = [(self.text(one(t, 1)), self.text(one(t, 2))) for t in map(message, raw[1])]
        self.functions = [message(f) for f in raw.get(5, [])]
        self.mappings = [message(m) for m in raw.get(3, [])]
        self.locations = [message(loc) for loc in raw.get(4, [])]
        self.samples = [message(s) for s in raw.get(2, [])]
        self.comments = [self.text(n) for block in raw.get(13, []) for n in packed(block)]
        self.default = self.text(one(raw, 14))

    def text(self, number):
        need(number < len(self.strings), "string", number, "is not there")
        return self.strings[number]

    def frames(self, location):
        for line in map(message, self.locations[location - 1].get(4, [])):
            function = self.functions[one(line, 1) - 1]
            yield self.text(one(function, 2)), self.text(one(function, 4)), one(line, 2)

    def stacks(self):
        """(frames from leaf to root, values, labels)."""
        for sample in self.samples:
            frames = [frame for loc in packed(one(sample, 1, b"")) for frame in self.frames(loc)]
            labels = {self.text(one(l, 1)): self.text(one(l, 2)) for l in map(message, sample.get(3, []))}
            yield frames, list(packed(one(sample, 2, b""))), labels

    def totals(self):
        return [sum(column) for column in zip(*(values for _, values, _ in self.stacks()))] or [0, 0, 0, 0]

    def file_of(self, mapping):
        return self.text(one(mapping, 5))


def check_tables(profile):
    """google/pprof's CheckValid, and Parca's stricter reading of it."""
    for name, table in (("mapping", profile.mappings), ("location", profile.locations), ("function", profile.functions)):
        need([one(row, 1) for row in table] == list(range(1, len(table) + 1)), name, "ids are not 1..n")
    addresses = [one(location, 3) for location in profile.locations]
    need(0 not in addresses and len(set(addresses)) == len(addresses), "addresses: unique and not 0")
    for location in profile.locations:
        need(1 <= one(location, 2) <= len(profile.mappings), "a location without mapping")
        mapping = profile.mappings[one(location, 2) - 1]
        need(one(mapping, 2) <= one(location, 3) < one(mapping, 3), "a location outside its mapping")
        need(location.get(4), "a location without line")
        for line in map(message, location[4]):
            need(1 <= one(line, 1) <= len(profile.functions), "a line without function")
    for function in profile.functions:
        need(profile.text(one(function, 2)) and profile.text(one(function, 3)), "a function without names")
    need(all(row for row in profile.samples), "an empty sample")


def check_samples(profile):
    need(profile.types == TYPES, "sample types", profile.types)
    seen = set()
    for sample in profile.samples:
        stack, values = tuple(packed(one(sample, 1, b""))), list(packed(one(sample, 2, b"")))
        labels = [message(label) for label in sample.get(3, [])]
        need(stack and all(1 <= loc <= len(profile.locations) for loc in stack), "a stack's locations")
        need(len(values) == len(profile.types), "number of values")
        need(all(value < 1 << 63 for value in values), "a negative value (speedscope, Pyroscope)")
        key = stack, tuple((one(label, 1), one(label, 2)) for label in labels)
        need(key not in seen, "a stack twice (Alloy's delta keeps one)")
        seen.add(key)
        for label in labels:
            need(profile.text(one(label, 1)) in ("thread", "exe", "pid") and profile.text(one(label, 2)), "a label")
            need(3 not in label, "a numeric label (Pyroscope drops it, and with it what it tells apart)")
        if not any(profile.text(one(label, 1)) == "thread" for label in labels):
            need(values[2] <= values[0] and values[3] <= values[1], "more lives than was allocated")


def check_mappings(profile):
    main = profile.mappings[0]
    need(".so" not in profile.file_of(main) and profile.file_of(main).startswith("/"), "mapping 1 is not the program")
    functions = [profile.text(one(function, 2)) for function in profile.functions]
    for index, mapping in enumerate(profile.mappings, 1):
        need("(deleted)" not in profile.file_of(mapping), "(deleted)")
        need("libheaptap" not in profile.file_of(mapping), "the shim's own mapping")
        build_id = profile.text(one(mapping, 6))
        need(not build_id.strip("0123456789abcdef"), "build-id", build_id)
        if profile.file_of(mapping).startswith("/") and not one(mapping, 7):
            need(not (one(mapping, 8) or one(mapping, 9)), "pprof would not look for names")
        if one(mapping, 7) and profile.file_of(mapping).startswith("/"):
            for location in profile.locations:
                if one(location, 2) == index:
                    for line in map(message, location[4]):
                        need("+0x" not in functions[one(line, 1) - 1], "has_functions, and a place without name")


def check_rest(profile, view):
    raw = profile.raw
    need(set(raw) <= set(range(1, 15)), "fields that Perfetto refuses", sorted(raw))
    need(len(raw[9]) == 1 and raw[9][0] > 0, "time_nanos")
    need(10 not in raw, "a duration makes it a delta (Parca)")
    need(7 not in raw and 8 not in raw, "drop_frames would cut functions of the program")
    need(profile.isize_right, "one gzip member (Alloy sizes its buffer by it)")
    need(profile.default == ("alloc_space" if view == "alloc" else "inuse_space"), "default", profile.default)
    period = message(one(raw, 11, b""))
    need((profile.text(one(period, 1)), profile.text(one(period, 2))) == ("space", "bytes"), "period type")
    need(one(raw, 12) >= 1, "period")
    need(not any("-" in name for name, _ in profile.types), "'-' in a type (Pyroscope)")
    need(len(profile.samples) <= 16000 and profile.bytes <= 4 << 20, "Pyroscope's limits")
    need(all(len(text) < 65536 for text in profile.strings), "a long string (Pyroscope)")
    need(not any(ord(c) < 32 or 127 <= ord(c) < 160 for text in profile.strings for c in text), "control characters")
    need(any(comment.startswith("heaptap ") and f"view {view}" in comment for comment in profile.comments), "version")
    need(any("configuration" in comment for comment in profile.comments), "configuration")


def check(path, view="inuse"):
    profile = Profile(path)
    check_tables(profile)
    check_samples(profile)
    check_mappings(profile)
    check_rest(profile, view)
    return profile
