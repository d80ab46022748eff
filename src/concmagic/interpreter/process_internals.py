"""How multiprocessing and subprocess start processes, and which names outlive them.

A child begins in `BaseProcess._bootstrap`. It logs a line just before it calls `run`: by that it is told when
the target begins, without a frame of ours in what the child prints.

Also cloudpickle's table of reducers, where that is loaded already: nothing is imported for it.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import CodeType, FrameType
from typing import Any

from concmagic.interpreter.borrowing import Capability, borrowed, code_of, missing
from concmagic.interpreter.frames_and_threads import getframe

# What is replaced, by the name that it has there.
BOOTSTRAP = "_bootstrap"  # of multiprocessing.process.BaseProcess
SEND_SIGNAL = "_send_signal"  # of multiprocessing.popen_fork.Popen
PREPARATION = "get_preparation_data"  # of multiprocessing.spawn
SPAWN = "spawnv_passfds"  # of multiprocessing.util
FORK_EXEC, EXIT_STATUS = "_fork_exec", "_handle_exitstatus"  # of subprocess, of its Popen
STARTS_COMMAND = "_execute_child"  # of subprocess.Popen
PROCESS_EXITED = "_process_exited"  # of asyncio's BaseSubprocessTransport
FORK_BESIDE_THREADS = "This process .* is multi-threaded"  # a DeprecationWarning, from 3.12 on

MANAGERS = ("multiprocessing.managers", "multiprocess.managers")  # the latter is pathos' and mpire's
ASK = "_callmethod"  # of their BaseProxy: every request goes through it
SEND, RECEIVE = "_send_bytes", "_recv_bytes"  # of a Connection: every message goes through these two

_PATIENCE_S = 2.0  # to start the tracker takes a twentieth of it

_BEFORE_RUN = "calling self.run"
_HELPERS = {
    "from multiprocessing.resource_tracker import main": "resource tracker",
    "from multiprocessing.forkserver import main": "forkserver",
}


def is_before_run(message: object) -> bool:
    """Whether multiprocessing logs that a child's target runs next."""
    return _BEFORE_RUN in str(message)


def is_bootstrap(code: CodeType) -> bool:
    """Whether it is the function that a child of multiprocessing runs: below lie its parent's frames."""
    return code.co_name == BOOTSTRAP


def helper_with(command: str) -> str:
    """The name of multiprocessing's helper process that runs this command, else ""."""
    text = command.removeprefix("import sys; ")  # before the forkserver's, since 3.14
    return next((name for beginning, name in _HELPERS.items() if text.startswith(beginning)), "")


def living_children() -> list[Any]:
    """The processes that this one has started and not joined. `active_children()` would join some."""
    from multiprocessing import process

    return list(borrowed(process, "_children", ()))


def name_of(process: Any) -> Any:
    """The name of a process, which its own class may tell otherwise."""
    return borrowed(process, "_name", "")


def target_of(process: Any) -> Any:
    """What a process will run."""
    return getattr(process, "_target", None)


def arguments_of(process: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """What a process will be given."""
    return process._args, process._kwargs


def worker_code() -> CodeType | None:
    """What a worker of multiprocessing.Pool runs, if there can be one."""
    module = sys.modules.get("multiprocessing.pool")
    return code_of(module, "worker", at_import=False) if module is not None else None


def is_before_jobs(worker: FrameType) -> bool:
    """Whether a pool's worker is still in its initializer: it has not begun to count its jobs."""
    return "completed" not in worker.f_locals


def leaves_before_jobs() -> bool:
    """Whether the calling code runs in a pool's worker that is still in its initializer."""
    frame: FrameType | None = getframe()
    while frame is not None and frame.f_code is not worker_code():
        frame = frame.f_back
    return frame is not None and is_before_jobs(frame)


def probe_start() -> Capability:
    """Whether a process that is not started reads as it should, and what a child runs logs its line."""
    import subprocess
    from multiprocessing import popen_fork, process, spawn, util

    one = process.BaseProcess.__new__(process.BaseProcess)
    vars(one).update(_name="probe", _target=probe_start, _args=(1,), _kwargs={})
    code = code_of(process.BaseProcess, BOOTSTRAP, at_import=False)
    return missing(
        _bootstrap=code,
        log=code is not None and any(is_before_run(text) for text in code.co_consts),
        _target=target_of(one) is probe_start and arguments_of(one) == ((1,), {}),
        _name=name_of(one) == "probe",
        _children=hasattr(process, "_children"),
        _send_signal=hasattr(popen_fork.Popen, SEND_SIGNAL),
        get_preparation_data=hasattr(spawn, PREPARATION),
        spawnv_passfds=hasattr(util, SPAWN),
        _fork_exec=hasattr(subprocess, FORK_EXEC),
        _handle_exitstatus=hasattr(subprocess.Popen, EXIT_STATUS),
    )


def probe_messages() -> Capability:
    """Whether a message goes through the two functions that all messages are watched at."""
    from multiprocessing import Pipe

    ends = Pipe()
    try:
        getattr(ends[0], SEND)(b"probe")
        came = getattr(ends[1], RECEIVE)().getvalue()
    finally:
        for end in ends:
            end.close()
    return missing(_send_bytes=came == b"probe", _recv_bytes=came == b"probe")


def remove(kind: str, name: str) -> None:
    """Remove a name as the resource tracker would, and have it forget it. Raises OSError if it is gone."""
    from multiprocessing import resource_tracker

    resource_tracker._CLEANUP_FUNCS[kind](name)  # type: ignore[attr-defined]
    resource_tracker.unregister(name, kind)


def in_use() -> set[str]:
    """The names that an object of this process has."""
    memories, locks = _kind("shared_memory", "SharedMemory"), _kind("synchronize", "SemLock")
    found = gc.get_objects()
    names = {memory_name(one) for one in found if issubclass(type(one), memories)}
    return names | {str(semaphore_name(one)) for one in found if issubclass(type(one), locks)}


def _kind(module: str, name: str) -> Any:
    return getattr(sys.modules.get(f"multiprocessing.{module}"), name, ())


def tracker() -> int:
    """What this process and all who share its resource tracker know it by; 0 is none."""
    module = sys.modules.get("multiprocessing.resource_tracker")
    file = getattr(getattr(module, "_resource_tracker", None), "_fd", None)
    return 0 if file is None else os.fstat(file).st_ino


@contextmanager
def tracker_free() -> Iterator[None]:
    """While this lasts no other thread of this process is at the resource tracker.

    A child that is forked meanwhile would have the tracker's lock taken for good, by a thread that it has not
    got, and wait for ever where it makes or drops a name. A collection of garbage takes it in any thread.
    """
    module = sys.modules.get("multiprocessing.resource_tracker")
    lock = getattr(getattr(module, "_resource_tracker", None), "_lock", None)
    if lock is None or not lock.acquire(timeout=_PATIENCE_S):
        yield
        return
    try:
        yield
    finally:
        # In the child, too, whose one thread is the one that took it. Newer Pythons (gh-146313) have made
        # it anew there, and nobody has it: an error would let the child go on as its parent.
        with suppress(RuntimeError):
            lock.release()


def is_tracked(memory: Any) -> bool:
    """Whether the resource tracker knows this shared memory; from 3.13 on it need not."""
    return bool(getattr(memory, "_track", True))


def memory_name(memory: Any) -> str:
    """The name of shared memory as the system has it: the public one lacks its beginning."""
    return str(memory._name)


def semaphore_name(lock: Any) -> str | None:
    """The name of a semaphore; None if it has none."""
    name: str | None = lock._semlock.name
    return name


def probe_names() -> Capability:
    """Whether the resource tracker knows how to remove what is made here. No name is made for it."""
    from multiprocessing import resource_tracker

    known = getattr(resource_tracker, "_CLEANUP_FUNCS", {})
    own = getattr(resource_tracker, "_resource_tracker", None)
    return missing(_CLEANUP_FUNCS={"shared_memory", "semaphore"} <= {*known}, _fd=hasattr(own, "_fd"))


def dispatch_table() -> Any:
    """The table by type of the loaded cloudpickle; None if there is none."""
    engine = sys.modules.get("cloudpickle.cloudpickle")
    return getattr(getattr(engine, "Pickler", None), "_dispatch_table", None)
