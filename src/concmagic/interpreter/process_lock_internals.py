"""The locks and semaphores of multiprocessing: what all processes know one by, and where its methods lie.

A lock of multiprocessing is a Python object around a semaphore of C. It has that one's `acquire` and
`release` in itself, put there by `_make_methods` when it is made and when it arrives in a spawned process; a
`with` calls the class's `__enter__` and `__exit__`. Conditions, events, barriers and queues are made of such.
"""

from __future__ import annotations

import sys
from types import BuiltinMethodType, ModuleType
from typing import Any

from concmagic.interpreter.borrowing import Capability, borrowed, missing

MODULE = "multiprocessing.synchronize"
MAKES_METHODS, ENTERS, LEAVES = "_make_methods", "__enter__", "__exit__"  # of its SemLock


def semaphore_of(lock: Any) -> Any:
    """The semaphore of C."""
    return lock._semlock


def has_plain_methods(lock: Any) -> bool:
    """Whether the methods in it are still those of its semaphore."""
    return all(type(vars(lock).get(name)) is BuiltinMethodType for name in ("acquire", "release"))


def give_plain_methods(lock: Any) -> None:
    """Put those in it again, as if it was just made."""
    lock._make_methods()


def identity_of(semaphore: Any, made_ns: int) -> str:
    """What every process that shares a semaphore knows it by.

    Its name, by which a spawned process finds it. One for forks alone has none and lies at the same address
    in all of them; another may lie there later, so its making is part of it.
    """
    return str(semaphore.name or f"{semaphore.handle:x} {made_ns}")


def known_locks(module: ModuleType) -> list[Any]:
    """The locks that this process has made, or has from the one it was forked of."""
    util = sys.modules.get("multiprocessing.util")
    registry = borrowed(util, "_afterfork_registry", {})
    return [one for one in list(registry.values()) if isinstance(one, module.SemLock)]


def probe() -> Capability:
    """Whether a lock has its semaphore's methods in itself, and is known. No process is made for it."""
    import multiprocessing
    from multiprocessing import synchronize

    lock = multiprocessing.get_context("fork").Lock()
    before = has_plain_methods(lock)
    vars(lock).update(acquire=probe, release=probe)
    give_plain_methods(lock)
    return missing(
        _make_methods=before and has_plain_methods(lock),
        _semlock=bool(identity_of(semaphore_of(lock), 0)),
        _afterfork_registry=any(one is lock for one in known_locks(synchronize)),
    )
