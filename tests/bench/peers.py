"""How a command is run by itself, under heaptap and under each peer. A peer that is missing says how to get it."""
import glob
import os
import re
import resource
import shutil
import subprocess
import tempfile

import measure

WRAPS = "loss ring-overwritten"  # what the ring is for
LOST = 0.001  # of all events: less than that does not make a run cheaper


def library(name):
    """Where the loader finds it."""
    listing = subprocess.run(["ldconfig", "-p"], capture_output=True, text=True, check=False, env=dict(os.environ, PATH=os.environ["PATH"] + ":/sbin"))
    found = re.search(rf"^\s*{re.escape(name)} .*=> (.*)$", listing.stdout, re.M)
    return found.group(1) if found else None


class Plain:
    """The command by itself, and the base of what others add."""

    name = "plain"
    slow = False  # a slow one takes part in a quarter of the rounds

    def missing(self):
        return None

    def base(self):
        """Who it is compared with; None: the plain run."""
        return None

    def environment(self):
        return {}

    def preload(self):
        """For what starts many processes by itself."""
        return self.environment()

    def run(self, argv, extra=None, **options):
        """EXTRA: variables that the command needs."""
        return measure.run(argv, dict(self.environment(), **(extra or {})), **options)


class Heaptap(Plain):
    name = "heaptap"

    def __init__(self, build):
        self.library, self.tool = os.path.join(build, "libheaptap.so"), os.path.join(build, "heaptap")
        # In memory, as the default is.
        self.space = tempfile.mkdtemp(prefix="heaptap-bench.", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)

    def environment(self):
        return {"LD_PRELOAD": self.library, "HEAPTAP_DIR": self.space}

    def files(self):
        return sorted(glob.glob(self.space + "/*"))

    def info(self, file):
        said = subprocess.run([self.tool, "info", file], capture_output=True, text=True, check=True)
        return dict(re.findall(r"^([^:]*): *(.*)$", said.stdout, re.M))

    def losses(self):
        found = set()
        for file in self.files():
            info = self.info(file)
            for name, value in info.items():
                if name.startswith("loss ") and name != WRAPS and int(value.split()[0]) > LOST * int(info["events"]):
                    found.add(f"{name[5:]} {value.split()[0]}")
        return sorted(found)

    def clear(self):
        for file in self.files():
            os.unlink(file)

    def close(self):
        shutil.rmtree(self.space)

    def run(self, argv, extra=None, **options):
        self.clear()
        ran = super().run(argv, extra, **options)
        ran.losses = self.losses()
        if not self.files():
            raise measure.Failed("heaptap recorded nothing: " + " ".join(argv))
        self.clear()
        return ran


class Heaptrack(Plain):
    """As its script does it: the process writes to a FIFO and heaptrack_interpret reads it; the compressor behind that is left out, and the interpreter's
    time is kept apart. Where the interpreter dies the command is run once more as `heaptrack --raw` does it, with a reader that only drains."""

    name = "heaptrack"
    memory = 4 << 30  # of the interpreter: 1.4.0 grows without bounds before it dies

    def __init__(self):
        top = os.path.dirname(os.path.dirname(os.path.realpath(shutil.which("heaptrack") or "/")))
        self.library = os.path.join(top, "lib/heaptrack/libheaptrack_preload.so")
        self.interpreter = os.path.join(top, "lib/heaptrack/libexec/heaptrack_interpret")
        self.directory = tempfile.mkdtemp(prefix="heaptap-bench.")
        self.raw = set()  # commands that its interpreter does not survive

    def missing(self):
        return None if os.path.exists(self.library) and os.path.exists(self.interpreter) else "not installed"

    def preload(self):
        return {"LD_PRELOAD": self.library, "DUMP_HEAPTRACK_OUTPUT": os.devnull}

    def begin(self, reader=None):
        """The reader, and what a process needs to write to it."""
        fifo = os.path.join(self.directory, "fifo")
        if not os.path.exists(fifo):
            os.mkfifo(fifo)
        # The shell waits until the process opens its end. No one else holds one: when either dies the other must notice.
        command = ["sh", "-c", 'exec "$0" <"$1"', reader or self.interpreter, fifo]
        started = measure.start(command, {}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        resource.prlimit(started.pid, resource.RLIMIT_AS, (self.memory, self.memory))
        return started, {"LD_PRELOAD": self.library, "DUMP_HEAPTRACK_OUTPUT": fifo}

    def finish(self, started, seconds=60):
        """The reader's processor time; None if it died, or did not end."""
        timer = measure.threading.Timer(seconds, measure.end, [started])
        timer.start()
        _, status, used = os.wait4(started.pid, 0)
        timer.cancel()
        started.returncode = os.waitstatus_to_exitcode(status)
        return None if started.returncode else used.ru_utime + used.ru_stime

    def run(self, argv, extra=None, **options):
        raw = tuple(argv) in self.raw
        started, environment = self.begin("cat" if raw else None)
        try:
            ran = measure.run(argv, dict(environment, **(extra or {})), **options)
        except measure.Failed as failed:
            if self.finish(started, 1) is not None or raw:
                raise failed
        except measure.Slow:
            measure.end(started)
            self.finish(started)
            raise
        else:
            beside = self.finish(started)
            if beside is not None:
                ran.beside = 0.0 if raw else beside
                return ran
            if raw:
                raise measure.Failed("its reader did not end")
        self.raw.add(tuple(argv))
        return self.run(argv, extra, **options)

    def close(self):
        shutil.rmtree(self.directory)


class Allocator(Plain):
    """An allocator that is preloaded without its profiler: what its profiler adds is above this."""

    def __init__(self, path):
        self.path = path

    def environment(self):
        return {"LD_PRELOAD": self.path}


class Jemalloc(Plain):
    """Every allocation, not a sample of them; a profile at the end, as the others have one."""

    name, slow = "jemalloc", True

    def __init__(self):
        self.path = library("libjemalloc.so.2")
        self.directory = tempfile.mkdtemp(prefix="heaptap-bench.")

    def missing(self):
        if not self.path:
            return "not installed"
        said = subprocess.run(["/bin/true"], env={"LD_PRELOAD": self.path, "MALLOC_CONF": "prof:true,prof_final:false"}, capture_output=True, text=True, check=False)
        return "not built with prof" if "Invalid conf" in said.stderr else None

    def base(self):
        return Allocator(self.path)

    def environment(self):
        conf = f"prof:true,lg_prof_sample:0,prof_final:true,prof_prefix:{self.directory}/jeprof"
        return {"LD_PRELOAD": self.path, "MALLOC_CONF": conf}

    def sweep(self):
        for file in glob.glob(self.directory + "/*"):
            os.unlink(file)

    def run(self, argv, extra=None, **options):
        try:
            return super().run(argv, extra, **options)
        finally:
            self.sweep()

    def close(self):
        shutil.rmtree(self.directory)


class Tcmalloc(Jemalloc):
    """Its heap profiler, with a dump at the end only."""

    name, slow = "tcmalloc", True

    def __init__(self):
        super().__init__()
        self.path = library("libtcmalloc.so.4")

    def missing(self):
        return None if self.path else "not installed"

    def environment(self):
        return {"LD_PRELOAD": self.path, "HEAPPROFILE": self.directory + "/tc", "HEAP_PROFILE_ALLOCATION_INTERVAL": "0", "HEAP_PROFILE_INUSE_INTERVAL": "0"}
