"""What is broken around a cell, and how it is put right again afterwards.

`on` and `off` are cells of their own. Faults that a program can feel (`both`) are made in the plain kernel,
too. A fault spares a kind of cell that could not run plain under it, or would then leave things behind.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Literal

SamplerFault = Literal["", "kill", "stop"]


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of fault."""

    on: str = ""
    off: str = ""
    sampler: SamplerFault = ""
    both: bool = False
    spares: Callable[[str], bool] = lambda kind: True  # whether this kind of cell can be run under it


# Run first in every kernel. A name is broken as another library would: by a wrapper, or by a partial object.
BREAKING = """
import resource, tempfile
_mends = []

def _break(owner, name, way):
    original = vars(owner)[name]
    _mends.append(functools.partial(setattr, owner, name, original))
    if way == "partial":
        broken = functools.partial(original)
    else:
        def broken(*args, **kwargs):
            return original(*args, **kwargs)
    setattr(owner, name, broken)

def _take_tools():
    if hasattr(sys, "monitoring"):
        for number in range(2, 6):
            if sys.monitoring.get_tool(number) is None:
                sys.monitoring.use_tool_id(number, "another")
                _mends.append(functools.partial(sys.monitoring.free_tool_id, number))

def _mend():
    while _mends: _mends.pop()()

def _fill():
    folder = tempfile.gettempdir()
    if not os.path.ismount(folder):  # no disk of its own, and nobody else's is to be full
        _mends.append(functools.partial(setattr, tempfile, "tempdir", folder))
        tempfile.tempdir = "/dev/full"
        return
    _mends.append(functools.partial(os.unlink, folder + "/filling"))
    with contextlib.suppress(OSError), open(folder + "/filling", "wb", buffering=0) as file:
        while True: file.write(bytes(1 << 16))

def _limit(spare):
    pages = int(open("/proc/self/statm").read().split()[0])
    limit = pages * resource.getpagesize() + spare
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
"""

_NAMES = {
    "asyncio.sleep, a partial object": "_break(asyncio, 'sleep', 'partial')",
    "asyncio.sleep": "_break(asyncio, 'sleep', 'wrapped'); _break(asyncio.tasks, 'sleep', 'wrapped')",
    "Handle._run": "_break(asyncio.Handle, '_run', 'wrapped')",
    "create_task": "_break(asyncio.BaseEventLoop, 'create_task', 'wrapped')",
    "call_soon": "_break(asyncio.BaseEventLoop, 'call_soon', 'wrapped')",
    "Future of asyncio": "_break(asyncio, 'Future', 'partial')",
    "Thread.start": "_break(threading.Thread, 'start', 'wrapped')",
    "Thread.run": "_break(threading.Thread, 'run', 'wrapped')",
    "Condition.wait": "_break(threading.Condition, 'wait', 'wrapped')",
    "Queue.get": "_break(queue.Queue, 'get', 'wrapped'); _break(queue.Queue, 'put', 'wrapped')",
    "submit": "_break(cf.ThreadPoolExecutor, 'submit', 'wrapped')",
    "Future.result": "_break(cf.Future, 'result', 'wrapped')",
    "os.fork": "_break(os, 'fork', 'wrapped')",
    "os.fork, a partial object": "_break(os, 'fork', 'partial')",
    "Popen": "_break(subprocess.Popen, '__init__', 'wrapped')",
    "BaseProcess.start": "_break(mp.process.BaseProcess, 'start', 'wrapped')",
    "time.sleep, a partial object": "_break(time, 'sleep', 'partial')",
    "tools of sys.monitoring": "_take_tools()",
}
_MEMORY = 96 << 20  # more than the cell takes, less than ours may


def _is_small(kind: str) -> bool:
    """What needs little memory of its own, so that it runs plain with little to spare."""
    return kind.startswith(("awaiting", "run", "sync", "loop of asyncio")) and "to_thread" not in kind


def _needs_no_thread(kind: str) -> bool:
    """What starts no thread when it runs plain, and no worker that would be left alone."""
    fork = "processes process fork" in kind or "processes exit code fork" in kind
    return (_is_small(kind) and "to_thread" not in kind) or fork


def _needs_no_folder(kind: str) -> bool:
    """What makes no file of its own."""
    return not any(word in kind for word in ("loky", "forkserver", "spawn"))


_FULL = "temp folder full"
_UNWRITABLE = "temp folder unwritable"
FAULTS = {
    "sampler killed": Fault(sampler="kill"),
    "sampler killed, SIGPIPE ends": Fault(
        "signal.signal(signal.SIGPIPE, signal.SIG_DFL)",
        "signal.signal(signal.SIGPIPE, signal.SIG_IGN)",
        "kill",
        spares=lambda kind: not kind.startswith(("joblib", "processes")),
    ),
    "sampler stopped": Fault(sampler="stop"),
    _FULL: Fault("_fill()", "_mend()", spares=_needs_no_folder),
    _UNWRITABLE: Fault(
        "temporary = tempfile.gettempdir(); tempfile.tempdir = '/dev/null/nowhere'",
        "tempfile.tempdir = temporary",
        spares=_needs_no_folder,
    ),
    "no threads": Fault(
        "threading.stack_size(1 << 46)", "threading.stack_size(0)", both=True, spares=_needs_no_thread
    ),
    "no memory": Fault(
        f"_limit({_MEMORY})",
        "resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)",
        both=True,
        spares=_is_small,
    ),
    **{
        f"{name} broken": Fault(code, "_mend()", both=True, spares=lambda kind: "loky" not in kind)
        for name, code in _NAMES.items()
    },
}


def random_fault(rng: Random) -> str:
    """One of the kinds, each as likely; all borrowed names are one."""
    group = rng.choice(sorted({group_of(fault) for fault in FAULTS}))
    return rng.choice([fault for fault in FAULTS if group_of(fault) == group])


def group_of(fault: str) -> str:
    """The kind under which a fault is counted: all borrowed names are one."""
    return "borrowed name broken" if fault.endswith("broken") else fault


def sampler_of(kernel_pid: int) -> int | None:
    """The process that samples this kernel, found as a user would find it: by its command line.

    Not the one that starts it and ends at once: stopped, it would be the kernel's child until it goes on.
    """
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (folder / "cmdline").read_bytes().split(b"\0")
            ours = any(word.endswith(b"/sampler/process.py") for word in words)
            if ours and str(kernel_pid).encode() in words and _parent_of(folder) != kernel_pid:
                return int(folder.name)
    return None


def _parent_of(folder: Path) -> int:
    return int((folder / "stat").read_text().rpartition(")")[2].split()[1])


def strike_sampler(kernel_pid: int, how: SamplerFault) -> int | None:
    """Kill or stop the sampler; answers its pid where there was one."""
    pid = sampler_of(kernel_pid)
    if pid is not None and how:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL if how == "kill" else signal.SIGSTOP)
    return pid


def let_go(pid: int | None) -> None:
    """Let a stopped sampler go on."""
    if pid is not None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
