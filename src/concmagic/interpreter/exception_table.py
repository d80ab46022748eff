"""A code object's exception table: where handlers begin, and how many values on the stack they count on."""

from __future__ import annotations

import dis
from collections.abc import Iterator
from types import CodeType

from concmagic.interpreter.reading import borrowed

_MORE, _BITS = 0x40, 0x3F


def handlers(code: CodeType) -> Iterator[tuple[int, int]]:
    """Pairs of a handler's offset and the number of values it finds, the exception among them."""
    for _, _, target, depth, lasti in _entries(code):
        yield target, depth + lasti + 1


def kept(code: CodeType, offset: int) -> int:
    """How many of the lowest values stay on the stack whatever the instruction at this offset does."""
    for start, end, _, depth, _ in _entries(code):
        if start <= offset < end:
            return depth
    return 0


def has_handler(code: CodeType, place: int) -> bool:
    """Whether an exception raised there meets an `except`, `finally` or `with`; True where unknown."""
    parse = borrowed(dis, "_parse_exception_table")
    if parse is None:
        return True
    return any(entry.start <= place < entry.end for entry in parse(code))


def _entries(code: CodeType) -> Iterator[tuple[int, int, int, int, int]]:
    numbers = _numbers(code.co_exceptiontable)
    for start in numbers:
        length, target, packed = next(numbers), next(numbers), next(numbers)
        # The lowest bit says that the place of the failing instruction lies under the exception.
        yield start * 2, (start + length) * 2, target * 2, packed >> 1, packed & 1


def _numbers(table: bytes) -> Iterator[int]:
    """Numbers of six bits a byte, the highest first; a bit says that more follow."""
    number = 0
    for byte in table:
        number = number << 6 | byte & _BITS
        if not byte & _MORE:
            yield number
            number = 0
