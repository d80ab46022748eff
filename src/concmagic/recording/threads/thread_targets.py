"""What a thread was given to run: whose thread that makes it, in which pool, and what it is called by."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from concmagic.code_owner import KERNEL
from concmagic.interpreter import frames_and_threads
from concmagic.interpreter.frames_and_threads import is_stand_in
from concmagic.interpreter.known_functions import (
    ANYIO_WORKER,
    BACKGROUND_JOBS,
    DEBUGGERS,
    HELPER_THREADS,
    SERVERS,
    THREAD_POOL_WORKER,
    THREAD_WORKER,
    original_module,
)
from concmagic.recording.labels import cut, name_of
from concmagic.recording.library_starts import library_of

if TYPE_CHECKING:
    from types import FrameType

    from concmagic.records.handed_over import Origin

# The packages that a notebook's kernel is made of, and the debugger it carries.
_KERNEL = DEBUGGERS | KERNEL
_MACHINERY_PACKAGES = ("joblib.externals.loky", "loky", "wandb", "sentry_sdk", "prometheus_client")


def target_of(thread: threading.Thread) -> Any:
    """What the thread will run: its target, or its class where `run` is overridden."""
    if type(thread).run is not threading.Thread.run and not isinstance(thread, threading.Timer):
        return type(thread)
    # Deleted by Thread.run when it ends, so that reading it late finds nothing.
    return frames_and_threads.target_of(thread) or type(thread)


def origin_of(target: Any) -> Origin:
    """Tell whose thread it is that runs `target`, by its module and name; nothing of it is kept."""
    module = original_module(str(getattr(target, "__module__", "") or ""))
    name = str(getattr(target, "__qualname__", "") or "")
    package = module.partition(".")[0]
    if package == "concmagic":
        return "ours"
    if package in _KERNEL and module != BACKGROUND_JOBS:
        return "kernel"
    if (module, "") in HELPER_THREADS or (module, name) in HELPER_THREADS:
        return "machinery"
    if any(module == prefix or module.startswith(prefix + ".") for prefix in _MACHINERY_PACKAGES):
        return "machinery"
    return "user"


def is_librarys(thread: threading.Thread, starter: FrameType | None) -> bool:
    """Whether a library starts it in this frame, to run its own code."""
    return bool(library_of(target_of(thread), starter))


def function_of(thread: threading.Thread, target: Any) -> str:
    """What to call it by where it has no target: a timer's or background job's function, else its class.

    "" where it has one: `threading` puts that into the name itself.
    """
    if target is not type(thread):
        return ""
    expression = vars(thread).get("expression")
    if getattr(target, "__module__", "") == BACKGROUND_JOBS and isinstance(expression, str):
        return cut(expression)
    function = vars(thread).get("function") or vars(thread).get("func")
    return name_of(function if callable(function) else target)


def serves(target: Any) -> bool:
    """Whether a thread that runs this waits for requests, or for records of a log."""
    return (getattr(target, "__module__", ""), getattr(target, "__qualname__", "")) in SERVERS


def origin_before_cell(thread: threading.Thread, target: Any) -> Origin:
    """Whose thread it is that was there before the cell: the kernel's, or an earlier cell's."""
    if thread is threading.main_thread() or is_stand_in(thread):
        return "kernel"
    return "earlier" if origin_of(target) in ("user", "machinery") else "kernel"


class PoolNames:
    """Names the pool of a worker thread; pools without a name of their own are numbered as met."""

    def __init__(self) -> None:
        self._numbers: dict[int, int] = {}

    def group_of(self, thread: threading.Thread, target: Any) -> str:
        """The pool's name, "" for a thread that is in none."""
        place = original_module(str(getattr(target, "__module__", ""))), getattr(target, "__qualname__", "")
        if place == THREAD_WORKER:
            return cut(str(thread.name).rpartition("_")[0])
        if place == THREAD_POOL_WORKER:
            return self._thread_pool(thread)
        if getattr(getattr(target, "func", None), "__module__", "") == "concmagic.runners.loop_threads":
            return "workers"  # of a `for` header
        if place == ANYIO_WORKER:
            return "AnyIO workers"
        return ""

    def _thread_pool(self, thread: threading.Thread) -> str:
        arguments = frames_and_threads.arguments_of(thread)
        # All workers of one multiprocessing.pool.ThreadPool read the same queue, their first argument.
        queue = id(arguments[0]) if arguments else 0
        return f"ThreadPool-{self._numbers.setdefault(queue, len(self._numbers))}"
