"""Replaces attributes for a while, and puts back exactly what was there."""

from __future__ import annotations

from typing import Any

_ABSENT = object()


class Patches:
    """A set of replaced attributes of modules and classes."""

    def __init__(self) -> None:
        self._replaced: list[tuple[Any, str, Any, Any]] = []

    def set(self, owner: Any, name: str, value: Any) -> None:
        """Replace an attribute; an inherited one is put on `owner` itself."""
        self._replaced.append((owner, name, vars(owner).get(name, _ABSENT), value))
        setattr(owner, name, value)

    def has(self, owner: Any, name: str) -> bool:
        """Whether that attribute is replaced already."""
        return any(one[0] is owner and one[1] == name for one in self._replaced)

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
