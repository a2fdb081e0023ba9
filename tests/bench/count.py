"""Counts instructions with callgrind: what fixed runs take by themselves and what heaptap adds. tests/bench/instructions keeps the counts."""
import os
import re
import shutil
import subprocess
import tempfile

FILE = os.path.join(os.path.dirname(os.path.realpath(__file__)), "instructions")
# The same library in another directory, or run again, gives counts that differ by 0.1 % at most; another compiler or C library may differ more.
TOLERANCE = 0.02

# (name, what is counted, load, argument, a smaller and a larger number of times): the difference of the two runs, divided, is one step.
STEPS = [
    ("depth-5", "a malloc/free pair at depth 5", "pairs", "5", 40_000, 80_000),
    ("depth-20", "a pair at depth 20", "pairs", "20", 40_000, 80_000),
    ("depth-60", "a pair at depth 60", "pairs", "60", 40_000, 80_000),
    ("depth-4000", "a pair at depth 4,000", "pairs", "4000", 12_000, 16_000),
    ("live", "a block's malloc and free, 100,000 live", "steps", "live", 20_000, 100_000),
    ("realloc", "a realloc", "steps", "realloc", 20_000, 60_000),
    ("stacks", "a pair, each from another of 1,024 stacks", "steps", "stacks", 20_000, 60_000),
]
START = ("start", "all of /bin/true")


def missing():
    return None if shutil.which("valgrind") else "valgrind is missing: tools/setup test (apt-get install valgrind)"


class Counter:
    """Everything that is counted is copied to a short path of always the same length: names that are read and copied are instructions too."""

    def __init__(self, library, loads):
        self.space = tempfile.mkdtemp(prefix="heaptap-count.", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
        os.mkdir(self.at("out"))
        for file in (library, *(os.path.join(loads, name) for name in ("bump.so", "pairs", "steps"))):
            shutil.copy(file, self.space)

    def close(self):
        shutil.rmtree(self.space)

    def at(self, name):
        return os.path.join(self.space, name)

    def run(self, argv, heaptap):
        """Instructions of the whole run. The environment is the same everywhere: it lies on the stack."""
        preload = ([self.at("libheaptap.so")] if heaptap else []) + [self.at("bump.so")]
        environment = {"PATH": os.environ["PATH"], "LD_PRELOAD": " ".join(preload), "HEAPTAP_OUT": self.at("out/buffer"), "HEAPTAP_BUDGET": "64m"}
        said = subprocess.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", *argv],
                              env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if os.path.exists(self.at("out/buffer")):
            os.unlink(self.at("out/buffer"))
        found = re.search(r"Collected : (\d+)", said.stderr)
        if said.returncode or not found:
            raise RuntimeError(f"callgrind {' '.join(argv)}: exit status {said.returncode}: {said.stderr.strip()[-300:]}")
        return int(found.group(1))

    def step(self, load, argument, few, many, heaptap):
        def argv(times):
            return [self.at(load), str(times), argument] if load == "pairs" else [self.at(load), argument, str(times)]

        return (self.run(argv(many), heaptap) - self.run(argv(few), heaptap)) / (many - few)

    def all(self, progress=lambda text: None):
        """(name, what, plain, added) one by one."""
        for name, what, load, argument, few, many in STEPS:
            progress(what)
            plain = self.step(load, argument, few, many, False)
            yield name, what, plain, self.step(load, argument, few, many, True) - plain
        progress(START[1])
        plain = self.run(["/bin/true"], False)
        yield *START, plain, self.run(["/bin/true"], True) - plain


def kept():
    """{name: (plain, added)}"""
    with open(FILE, encoding="ascii") as lines:
        rows = [line.split() for line in lines if line.strip() and not line.startswith("#")]
    return {name: (float(plain), float(added)) for name, plain, added in rows}


def renew(rows):
    with open(FILE, "w", encoding="ascii") as out:
        out.write("# Instructions, by callgrind: of the load by itself, and what heaptap adds. tests/bench/test_instructions compares them;\n"
                  "# tests/bench/run --renew writes them. The allocator below is tests/bench/bump.c.\n")
        for name, _, plain, added in rows:
            out.write(f"{name:<12}{plain:>12.0f}{added:>12.0f}\n")
