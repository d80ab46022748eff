"""What earlier cells left running: whether what happens here now is its doing, or this cell's.

A thread of an earlier cell works for this one while its loop does what this cell has sent to it; of tasks
their recorder tells.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

_threads: dict[int, bool] = {}  # by native id: whether this cell has sent something to its loop
_askers: list[tuple[Callable[[], bool], Callable[[], bool]]] = []


def clear() -> None:
    """Call as a cell begins and when it is over; in a forked child, too: there are none of these threads."""
    _threads.clear()


def has_any() -> bool:
    """Whether there are such threads."""
    return bool(_threads)


def add(native_id: int) -> None:
    """Call for each thread that an earlier cell made, or such a thread."""
    _threads[native_id] = False


def remove(native_id: int) -> None:
    """Call when a thread ends: the operating system gives the number out again."""
    _threads.pop(native_id, None)


def contains(native_id: int | None) -> bool:
    """Whether this thread is an earlier cell's."""
    return native_id in _threads


def note_sent(to: int) -> None:
    """Say that the calling thread has sent something to the loop of that one."""
    if to in _threads and not acts_here():
        _threads[to] = True


def may_act() -> bool:
    """Whether there is anything of earlier cells that could do something at all."""
    return bool(_threads) or any(knows_any() for _, knows_any in _askers)


def ask(asker: Callable[[], bool], knows_any: Callable[[], bool]) -> None:
    """From now on this is asked, too, whether the calling thread is at an earlier cell's work.

    `knows_any` is whether there may be such work.
    """
    _askers.append((asker, knows_any))


def ask_no_more(asker: Callable[[], bool]) -> None:
    """Take it back."""
    _askers[:] = [pair for pair in _askers if pair[0] != asker]


def acts_here() -> bool:
    """Whether what the calling thread does now is the doing of an earlier cell."""
    was_asked = _threads.get(threading.get_native_id()) if _threads else None
    if was_asked is not None:
        return not was_asked
    return any(asker() for asker, _ in _askers)
