"""Replaces attributes for a while, and puts back exactly what was there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from concmagic.interpreter import reading

_ABSENT = object()


class Patches:
    """A set of replaced attributes of modules and classes."""

    def __init__(self) -> None:
        self._replaced: list[tuple[Any, str, Any, Any]] = []

    def set(self, owner: Any, name: str, value: Any) -> None:
        """Replace an attribute; an inherited one is put on `owner` itself."""
        self._replaced.append((owner, name, vars(owner).get(name, _ABSENT), value))
        setattr(owner, name, value)

    def wrap(self, owner: Any, name: str, make: Callable[[Any], Any], is_static: bool = False) -> bool:
        """Replace a function by what `make` makes of it; one that cannot be replaced stays, which is told."""
        original = reading.replaceable(owner, name, is_static)
        if original is not None:
            self.set(owner, name, make(original))
        return original is not None

    def has(self, owner: Any, name: str) -> bool:
        """Whether that attribute is replaced already."""
        return any(one[0] is owner and one[1] == name for one in self._replaced)

    def stands(self, owner: Any, name: str) -> bool:
        """Whether that attribute is ours at this moment: nobody has replaced it since."""
        return any(
            one[0] is owner and one[1] == name and vars(owner).get(name, _ABSENT) is one[3]
            for one in self._replaced
        )

    def restore(self) -> list[str]:
        """Put everything back, last first. Returns what another tool has replaced since, and keeps."""
        left = []
        for owner, name, original, value in reversed(self._replaced):
            if vars(owner).get(name, _ABSENT) is not value:
                left.append(f"{owner.__name__}.{name}")
            elif original is _ABSENT:
                delattr(owner, name)
            else:
                setattr(owner, name, original)
        self._replaced.clear()
        return left
