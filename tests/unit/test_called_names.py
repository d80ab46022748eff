"""By which name an instruction calls: read off real frames while what they call looks at them."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any

from concmagic.interpreter.called_names import called_name


class Witness:
    """Looks, whatever is done to it, at the frame that does it."""

    inner: Any = None

    def __init__(self) -> None:
        self.seen: list[str | None] = []

    def look(self, *_: Any, **__: Any) -> int:
        return self._note(2)

    def __add__(self, _: Any) -> int:
        return self._note(2)

    def __getitem__(self, _: Any) -> int:
        return self._note(2)

    def __enter__(self) -> None:
        self._note(2)

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None: ...

    def _note(self, depth: int) -> int:
        frame = sys._getframe(depth)
        self.seen.append(called_name(frame.f_code, frame.f_lasti))
        return 1


def test_calls_are_named_by_the_last_name_however_they_are_written() -> None:
    one, few = Witness(), (1,)
    one.inner = one
    look = one.look
    one.look()
    look()
    one.inner.inner.look(1, few, key=one.inner)
    one.look(*few)
    one.look(*few, **{"key": 2})  # noqa: PIE804
    one.look(one.look() if few else 2, [1, 2])
    [one.look(each) for each in few]
    assert one.seen == ["look"] * 8


def test_a_with_enters_and_an_operator_calls_nothing() -> None:
    one = Witness()
    with one, one:
        pass
    one + 1
    one[1]
    assert one.seen == ["__enter__", "__enter__", "", ""]


def test_of_no_instruction_nothing_is_known() -> None:
    assert called_name(test_of_no_instruction_nothing_is_known.__code__, -1) is None
