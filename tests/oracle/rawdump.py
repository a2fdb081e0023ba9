"""What `heaptap dump -f raw` says, for tests. Function names come from nm, not from heaptap."""
import bisect
import os
import subprocess

HEAPTAP = os.environ.get("HEAPTAP_TOOL") or os.path.join(os.environ["HEAPTAP_BUILD"], "heaptap")
FIGURES = ("allocs", "alloc_bytes", "frees", "free_bytes", "live", "live_bytes")


def pairs(words):
    return dict(zip(words[::2], words[1::2]))


def tool(*arguments):
    """Runs heaptap; its output. Fails loudly."""
    done = subprocess.run([HEAPTAP, *arguments], capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise SystemExit(f"heaptap {' '.join(arguments)}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


class Symbols:
    """Functions of one ELF file by address."""

    loaded = {}

    def __init__(self, path):
        done = subprocess.run(["nm", "--defined-only", path], capture_output=True, text=True)
        rows = sorted((int(a, 16), n) for a, t, n in (l.split(None, 2) for l in done.stdout.splitlines()) if t in "tTwW")
        self.starts = [a for a, _ in rows]
        self.names = [n for _, n in rows]

    @classmethod
    def name(cls, path, address):
        if path not in cls.loaded:
            cls.loaded[path] = cls(path)
        self = cls.loaded[path]
        at = bisect.bisect_right(self.starts, address) - 1
        return self.names[at] if at >= 0 else "?"


class Dump:
    """One buffer. sites: id -> {node, kind, figures}; live: (address, size, site); losses: key -> count."""

    def __init__(self, path):
        self.path = path
        self.losses, self.totals, self.sites, self.live = {}, {}, {}, []
        self.modules, self.places, self.nodes, self.slots = {}, {}, {}, {}
        self.exe = ""
        self.cache = {}
        for line in tool("dump", "-f", "raw", path).splitlines():
            word, _, rest = line.partition(" ")
            read = getattr(self, "read_" + word, None)
            if read:
                read(rest)

    def read_process(self, rest):
        self.process = {k: int(v) for k, v in pairs(rest.split()).items()}
        self.pid = self.process["pid"]

    def read_exe(self, rest):
        self.exe = rest

    def read_loss(self, rest):
        key, value = rest.split()
        self.losses[key] = int(value)

    def read_total(self, rest):
        kind, *words = rest.split()
        self.totals[kind] = {k: int(v) for k, v in pairs(words).items()}

    def read_module(self, rest):
        head, _, path = rest.partition(" path ")
        row = int(head.split()[0])
        self.modules[row] = path

    def read_place(self, rest):
        number, *words = rest.split()
        self.places[int(number)] = words

    def read_node(self, rest):
        number, *words = rest.split()
        node = pairs(words)
        self.nodes[int(number)] = (int(node["parent"]), int(node["place"]))

    def read_slot(self, rest):
        head, _, name = rest.partition(" name ")
        words = head.split()
        shared = words[1] == "shared"
        self.slots[int(words[0])] = dict(pairs(words[2 if shared else 1:]), shared=shared, name=name)

    def read_site(self, rest):
        number, *words = rest.split()
        site = pairs(words)
        self.sites[int(number)] = {
            "node": int(site["node"]), "kind": site["kind"], **{k: int(site[k]) for k in FIGURES}}

    def read_live(self, rest):
        address, *words = rest.split()
        block = pairs(words)
        self.live.append((int(address, 16), int(block["size"]), int(block["site"])))

    def frame(self, place):
        words = self.places.get(place, ["damaged"])
        if words[0] == "cut":
            return f"[cut: {words[1]}]"
        if words[0] != "module":
            return f"[{words[0]}]"
        offset = int(words[3], 16) - (0 if "exact" in words else 1)
        return Symbols.name(self.modules[int(words[1])], offset)

    def stack(self, site):
        """Function names of a site's stack, the outermost first."""
        node = self.sites[site]["node"]
        if node not in self.cache:
            frames, at = [], node
            while at:
                at, place = self.nodes[at]
                frames.append(self.frame(place))
            self.cache[node] = frames[::-1]
        return self.cache[node]
