"""What items are called, in lanes and in the notes of exceptions: by a shortened repr."""

from __future__ import annotations

from typing import Any

from concmagic.recording.labels import shorten, value_label
from concmagic.recording.texts import cut

_MOST = 60


def item_label(names: tuple[str, ...], item: Any) -> str:
    """Write an item: "url='a.org'", "n=3", "a=1, b=2"; never raises."""
    try:
        return shorten(_label(names, item), _MOST)
    except Exception:  # a hostile object must not cost the item its run
        return f"{', '.join(names)}={type(item).__name__}(…)"


def length_of(items: Any) -> int | None:
    """How many items there are, where that can be known without reading them."""
    if not hasattr(type(items), "__len__"):
        return None
    try:
        return len(items)
    except Exception:  # some sized objects are not, such as a tensor without dimensions
        return None


def _label(names: tuple[str, ...], item: Any) -> str:
    if len(names) == 1:
        return f"{names[0]}={value_text(item)}"
    if type(item) in (tuple, list) and len(item) == len(names):
        return ", ".join(f"{name}={value_text(value)}" for name, value in zip(names, item, strict=True))
    return value_text(item)


def value_text(value: Any) -> str:
    """A shortened repr in one line. Containers that Python does not know itself are named by their type."""
    plain = value_label(value)
    if not plain.endswith("(…)") or hasattr(type(value), "__len__"):
        return plain
    if getattr(type(value), "__repr__", None) is object.__repr__:
        return plain
    return shorten(" ".join(cut(repr(value)).split()), _MOST)
