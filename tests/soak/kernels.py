"""The two kernels of a soak, one with concmagic and one plain; each has a small disk for its files."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.kernel.conftest import Kernel, running_kernel
from tests.kernel.leftovers import STATE
from tests.soak.faults import BREAKING
from tests.soak.loops import SHARED
from tests.soak.parts import PRELUDE
from tests.soak.plants import PLANTS
from tests.soak.stops import COUNTED
from tests.soak.stuck import TELLING

# A disk of the kernel's own, so that it can be full: where this machine allows one, and for root only,
# because in a user's namespace the kernel could not be reached from outside. Else it is a plain folder.
_SMALL_DISK = 'mount -t tmpfs -o size=48m none "$TMPDIR" 2>/dev/null; exec "$@"'
# What it says when it dies goes to a file.
_STARTER = "log=$1; shift; exec unshare -m sh -c '" + _SMALL_DISK + '\' sh "$@" 2>"$log"'
_WITHOUT_DISK = 'log=$1; shift; exec "$@" 2>"$log"'
LOG = "stderr"

# What loads, starts or grows on first use, once, plain: after that, whatever is new was left behind.
_LARGE_OUTPUT = "from IPython.display import HTML, display\ndisplay(HTML(' ' * 200_000))"
_ALL_WORKERS = "await asyncio.gather(*(asyncio.to_thread(time.sleep, 0.1) for _ in range(64)));"
_METHODS = "\n".join(
    f"p = mp.get_context({how!r}).Process(target=time.sleep, args=(0,))\n"
    "p.start()\np.join()\np.close()\ndel p"
    for how in ("fork", "spawn", "forkserver")
)
_LOKY = (
    "with contextlib.suppress(ImportError):\n    import joblib\n"
    "    from joblib.externals.loky import get_reusable_executor\n"
    "    joblib.Parallel(2)(joblib.delayed(abs)(k) for k in range(2))\n"
    "    get_reusable_executor().shutdown(wait=True)"
)
_LATE_NAMES = "cf.ProcessPoolExecutor, cf.ThreadPoolExecutor, mp.Pool"
_WARM_UP = (_LARGE_OUTPUT, _LATE_NAMES, _ALL_WORKERS, _METHODS, _LOKY)
_TRACED = (
    "%%timeline\nasyncio.run(asyncio.sleep(0))",
    "%%asyncio_trace\nawait asyncio.sleep(0)",
    "%%threads -w 2 for k in range(3)\nk",
    "%%procs -w 2 --start-method fork for k in range(3)\nk",
    f"%%procs\n{_METHODS}",
)
# What is in use: of Python's own allocator and of the C library's. Both keep memory that was freed and that
# lies between what is not. Given up first: the syntax trees of every file that a traceback ever went through,
# which IPython keeps; the plain kernel, whose outcome of interrupted cells is known, sees fewer of them.
# Where one cannot be asked, memory is the resident set.
_MEMORY = """
import ast, ctypes, executing, gc, re, stack_data
_OF_TRACEBACKS = ("executing", "stack_data", "asttokens")
# One object each for all trees: it keeps the last one, to whose node it is told to belong.
_SHARED = (ast.expr_context, ast.boolop, ast.operator, ast.unaryop, ast.cmpop)
_libc = ctypes.CDLL(None)
class _Mallinfo(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in
                "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()]
def _forget_sources():
    for source in (executing.Source, stack_data.Source):
        for name in ("__source_cache_with_lines", "__executing_cache"):
            vars(source).get(name, {}).clear()
    for one in gc.get_objects():
        if isinstance(one, functools._lru_cache_wrapper):  # of methods, whose keys hold their Source
            if str(getattr(one, "__module__", "")).startswith(_OF_TRACEBACKS):
                one.cache_clear()
        elif isinstance(one, _SHARED):
            vars(one).pop("parent", None)
def _of_python():
    saved, file = os.dup(2), os.memfd_create("stats")
    try:
        os.dup2(file, 2)
        sys._debugmallocstats()  # written by C, to this descriptor
    finally:
        os.dup2(saved, 2)
        os.close(saved)
    with open(file, "rb") as stats:
        stats.seek(0)
        found = re.search(rb"# bytes in allocated blocks *= *([0-9,]+)", stats.read())
    return int(found[1].replace(b",", b""))
def _of_c():
    _libc.mallinfo2.restype = _Mallinfo
    told = _libc.mallinfo2()
    return told.uordblks + told.hblkhd
def _memory():
    _forget_sources()
    gc.collect()
    getattr(_libc, "malloc_trim", lambda pad: 0)(0)
    resident = int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()
    try:
        return (_of_python() + _of_c()) // 1024, resident // 1024
    except (AttributeError, TypeError):
        return resident // 1024, resident // 1024
"""

# Whether a trace is the same again when it was saved and loaded; True where the cell got none.
_AGAIN = """
import concmagic
def _again():
    trace = globals().pop("traced", None)
    if trace is None: return True
    with tempfile.TemporaryDirectory() as folder:
        loaded = concmagic.load(trace.save(folder + "/again.json.gz"))
    names = ("tracks", "flows", "slices", "marks", "jobs", "locks", "prints", "cost", "build")
    return [name for name in names if getattr(loaded, name) != getattr(trace, name)] or True
"""


@dataclass(frozen=True, slots=True)
class Kernels:
    """Two that run."""

    traced: Kernel
    plain: Kernel
    pid: int  # of the traced one
    log: Path
    joblib: bool  # whether their Python has it


def started(stack: ExitStack, folder: Path, plants: Sequence[str] = ()) -> Kernels:
    """Both kernels; `stack` ends them."""
    folder.mkdir()
    both = [
        kernel_of(folder / "traced", traced=True, plants=plants),
        kernel_of(folder / "plain", traced=False),
    ]
    with ThreadPoolExecutor(2) as pool:
        traced, plain = pool.map(stack.enter_context, both)
    return Kernels(
        traced, plain, traced.pid, folder / "traced" / LOG, bool(traced.value("'joblib' in sys.modules"))
    )


@contextmanager
def kernel_of(folder: Path, *, traced: bool, plants: Sequence[str] = ()) -> Iterator[Kernel]:
    """A kernel that has seen everything once; the `traced` one with concmagic, and what is planted in it."""
    folder.mkdir()
    starter = _STARTER if _can_mount() else _WITHOUT_DISK
    with running_kernel(folder, ("sh", "-c", starter, "sh", str(folder / LOG))) as kernel:
        for code in (TELLING, STATE, PRELUDE, BREAKING, SHARED, COUNTED, _MEMORY, *_WARM_UP):
            kernel.check(code)
        if traced:
            kernel.check(f"%load_ext concmagic{_AGAIN}")
            for code in _TRACED:
                kernel.check(code)
            for plant in plants:
                kernel.check(PLANTS[plant])
        kernel.run("1 / 0")
        kernel.check("before = state()")
        yield kernel


def _can_mount() -> bool:
    command = ["unshare", "-m", "sh", "-c", "mount -t tmpfs -o size=1m none /tmp"]
    try:
        return subprocess.run(command, capture_output=True, timeout=10).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
