"""What the user's code calls a lock: looked for by identity, without running any code of the user's."""

from __future__ import annotations

import _thread
from collections.abc import Iterable, Iterator, Mapping
from types import ModuleType
from typing import Any

from concmagic.recording.locks.call_chains import made_of_locks

_MOST_ITEMS = 1_000  # of one container that are looked at
_MOST_LOOKED = 50_000  # things, over all
_HIDDEN = ("In", "Out")  # IPython's own names; they hold what the user's names hold
_PLAIN = (str, bytes, int, float, complex, bool, type(None), type, ModuleType, type(_thread.allocate_lock))


def names_of(wanted: Iterable[int], namespace: Mapping[str, Any]) -> dict[int, str]:
    """By id the names of these objects: a global, an item of one, or an attribute of one."""
    missing = set(wanted)
    found: dict[int, str] = {}
    for name, value in _walk(namespace):
        if not missing:
            break
        if id(value) in missing:
            missing.discard(id(value))
            found[id(value)] = name
    return found


def _walk(namespace: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Names and values, the shortest way to each first: globals, what is in them, what is in that."""
    made = made_of_locks()
    level = [(name, value) for name, value in list(namespace.items()) if _is_the_users(name)]
    looked = 0
    for _ in range(3):
        following: list[tuple[str, Any]] = []
        for name, value in level:
            yield name, value
            looked += 1
            if looked > _MOST_LOOKED:
                return
            following += _inside(name, value, made)
        level = following


def _is_the_users(name: str) -> bool:
    return not name.startswith("_") and name not in _HIDDEN


def _inside(name: str, value: Any, made: tuple[type[Any], ...]) -> Iterator[tuple[str, Any]]:
    kind = type(value)
    if kind in _PLAIN:
        return
    if kind in (list, tuple):
        yield from ((f"{name}[{index}]", item) for index, item in enumerate(value[:_MOST_ITEMS]))
    elif kind is dict:
        items = list(value.items()) if len(value) <= _MOST_ITEMS else []
        yield from ((f"{name}[{key!r}]", item) for key, item in items if type(key) in (str, int))
    else:
        attributes = _attributes(value)
        # What a queue is made of has the queue's name: the user knows no other.
        is_made = issubclass(kind, made)
        yield from ((name if is_made else f"{name}.{key}", item) for key, item in attributes)


def _attributes(value: Any) -> list[tuple[str, Any]]:
    """An instance's own attributes, as it has them; nothing of the user's is asked."""
    try:
        attributes = object.__getattribute__(value, "__dict__")
    except (AttributeError, TypeError):
        return []
    if type(attributes) is not dict or len(attributes) > _MOST_ITEMS:
        return []
    return [(key, item) for key, item in list(attributes.items()) if type(key) is str]
