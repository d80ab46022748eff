"""Which of the notebook's variables a child has changed: its own copies, which nobody else sees.

Told without running the user's code: a name that is bound to another object now, or a list, dictionary
or set of another length. What an initializer sets is set on purpose, so pools' workers are looked at
from their first job on.
"""

from __future__ import annotations

import sys
from typing import Any

_LENGTH_TELLS = (list, dict, set, bytearray)
_MOST_NAMES = 20_000


class Copies:
    """The notebook's variables in this process, as they were at `begin`."""

    def __init__(self) -> None:
        self._before: dict[str, tuple[int, int]] = {}
        self._kept: list[Any] = []  # what was bound stays alive, so that no address is given out again

    def begin(self) -> None:
        """Look at them now."""
        space = vars(sys.modules["__main__"])
        if len(space) > _MOST_NAMES:
            return
        self._before, self._kept = {}, []
        for name, value in list(space.items()):
            if not name.startswith("_"):
                self._before[name] = id(value), _length(value)
                self._kept.append(value)

    def changed(self) -> tuple[str, ...]:
        """The names of those that are different now."""
        space = vars(sys.modules["__main__"])
        given = _given_by_us()
        found = []
        for name, (address, length) in self._before.items():
            value = space.get(name, self)
            if value is self or (name in given and given[name] is value and id(value) != address):
                continue  # deleted; or a newer version that came with a job
            if id(value) != address or _length(value) != length:
                found.append(name)
        self._before, self._kept = {}, []
        return tuple(found)


def _length(value: Any) -> int:
    return len(value) if type(value) in _LENGTH_TELLS else -1


def _given_by_us() -> dict[str, Any]:
    pickler = sys.modules.get("concmagic.recording.children.pickler")
    return pickler.given if pickler is not None else {}
