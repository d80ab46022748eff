"""Which threads are concmagic's own, so that no recorder counts them as the user's.

They are started below `threading`, where `threading.enumerate` does not see them either.
"""

from __future__ import annotations

_native_ids: set[int] = set()


def add(native_id: int) -> None:
    """Call first thing in a thread of ours, with its own native id."""
    _native_ids.add(native_id)


def remove(native_id: int) -> None:
    """Call last thing in it: the operating system gives the number out again."""
    _native_ids.discard(native_id)


def contains(native_id: int) -> bool:
    """Whether this thread is concmagic's own."""
    return native_id in _native_ids
