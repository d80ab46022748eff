"""Names of shared memory and semaphores, and the resource tracker's ways with them."""

from __future__ import annotations

import gc
import os
import sys
from typing import Any

from concmagic.interpreter.support import Capability, missing


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


def probe() -> Capability:
    """Whether the resource tracker knows how to remove what is made here. No name is made for it."""
    from multiprocessing import resource_tracker

    known = getattr(resource_tracker, "_CLEANUP_FUNCS", {})
    own = getattr(resource_tracker, "_resource_tracker", None)
    return missing(_CLEANUP_FUNCS={"shared_memory", "semaphore"} <= {*known}, _fd=hasattr(own, "_fd"))
