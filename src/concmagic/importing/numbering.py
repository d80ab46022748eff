"""Track ids: one number per process, thread, loop and task, in the order they are met."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from concmagic.model.states import Resource


class TrackIds:
    """Hands out ids; what is asked for by the same key has the same id."""

    def __init__(self) -> None:
        self._ids: dict[tuple[str, int, int], int] = {}
        self._threads: dict[int, int] = {}  # by native id: the first that was met
        self._others: dict[str, int] = {}
        self.resources = Resources()

    @property
    def others(self) -> tuple[str, ...]:
        """The names of who has no track, in the order of their negative ids."""
        return tuple(self._others)

    def other(self, name: str) -> int:
        """A negative id for one that has no track."""
        return self._others.setdefault(name, -1 - len(self._others))

    def get(self, kind: str, pid: int, number: int) -> int:
        """The id of a track."""
        found = self._ids.setdefault((kind, pid, number), len(self._ids))
        if kind == "thread":
            self._threads.setdefault(number, found)
        return found

    def known(self, kind: str, pid: int, number: int | None) -> int | None:
        """The id of a track that has one."""
        return None if number is None else self._ids.get((kind, pid, number))

    def thread_anywhere(self, native_id: int) -> int | None:
        """The id of a thread by its native id alone, which all processes of a machine share."""
        return self._threads.get(native_id)


class Resources:
    """Numbers what is waited for; what is asked for by the same key and words has the same number."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[int, int, Resource], int] = {}

    @property
    def rows(self) -> tuple[Resource, ...]:
        """All of them, in the order of their numbers."""
        return tuple(resource for _, _, resource in self._numbers)

    def number(self, resource: Resource, pid: int = 0, key: int = -1) -> int:
        """Of a resource of this process; of several that have the same words `key` tells which."""
        return self._numbers.setdefault((pid, key, resource), len(self._numbers))


def numbered(names: Sequence[str], given: Sequence[bool]) -> list[str]:
    """Names that can be told apart: those that were not given by the user get a number where it takes one."""
    count = Counter(name for name, own in zip(names, given, strict=True) if not own)
    taken: Counter[str] = Counter()
    told = []
    for name, own in zip(names, given, strict=True):
        if not own and count[name] > 1:
            taken[name] += 1
            told.append(f"{name}-{taken[name]}")
        else:
            told.append(name)
    return told


def short_name(qualified: str) -> str:
    """A function's name without the functions around it: "main.<locals>.fetch" is "fetch"."""
    return qualified.rpartition("<locals>.")[2] or qualified
