"""Shared memory and semaphores with a name: they outlive a process that is ended before it unlinks them.

Python's resource tracker would unlink them when the notebook's kernel ends, and complain. After an
interrupt, which ends the cell's processes, the names that these had made are unlinked at once. What the
kernel itself made stays as long as an object of it is there: it may still be used.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from typing import Any

from concmagic.interpreter.borrowing import Patches, on_import
from concmagic.interpreter.process_internals import (
    in_use,
    is_tracked,
    memory_name,
    remove,
    semaphore_name,
    tracker,
)
from concmagic.recording.guards import watched

MEMORY, SEMAPHORE = "shared_memory", "semaphore"  # as the resource tracker calls them

Name = tuple[str, str, int]  # kind, name, the pipe to the resource tracker that knows it
Taker = Callable[[Name], None]

_taker: Taker | None = None  # of this process: a forked child has its own
_patches: Patches | None = None
_imports = ExitStack()


def watch(taker: Taker) -> None:
    """Tell of every name that this process makes from now on."""
    global _taker, _patches
    _taker = taker
    if _patches is None and sys.platform != "win32":  # else inherited by fork
        _patches = Patches()
        for name, watch_module in (
            ("multiprocessing.shared_memory", lambda module: _watch(module.SharedMemory, _made_memory)),
            ("multiprocessing.synchronize", lambda module: _watch(module.SemLock, _made_semaphore)),
        ):
            _imports.enter_context(on_import(name, watch_module))


def unwatch() -> None:
    """Put everything back."""
    global _taker, _patches
    _taker = None
    _imports.close()
    if _patches is not None:
        _patches.restore()
    _patches = None


def unlink(names: Iterable[Name]) -> None:
    """Remove names whose makers are gone, but for those that an object of this process still has.

    A tracker that is not this process's sees itself that its processes are gone.
    """
    mine = [(kind, name) for kind, name, by in names if by and by == tracker()]
    used = in_use() if mine else set()
    for kind, name in mine:
        if name not in used:
            with suppress(OSError):  # it was unlinked by who made it
                remove(kind, name)


def _tell(kind: str, name: str) -> None:
    if _taker is not None:
        _taker((kind, name, tracker()))


def _watch(kind: Any, made: Callable[..., None]) -> None:
    if _patches is not None:
        _patches.wrap(kind, "__init__", lambda one: watched(one, made))


def _made_memory(
    told: None,
    result: None,
    memory: Any,
    name: str | None = None,
    create: bool = False,
    *more: Any,
    **options: Any,
) -> None:
    if create and is_tracked(memory):
        _tell(MEMORY, memory_name(memory))


def _made_semaphore(told: None, result: None, lock: Any, *arguments: Any, **options: Any) -> None:
    name = semaphore_name(lock)
    if name is not None:
        _tell(SEMAPHORE, name)
