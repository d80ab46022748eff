"""Boxes as the interactive picture packs them, read back."""

from __future__ import annotations

from typing import Any

Box = tuple[int, int, list[Any]]


def unpacked(row: list[int], kinds: list[Any]) -> list[Box]:
    """The boxes of a row of lengths and kinds, as (start, end, kind)."""
    at, boxes = 0, []
    for length, kind in zip(row[::2], row[1::2], strict=True):
        if kind:
            boxes.append((at, at + length, kinds[kind]))
        at += length
    return boxes
