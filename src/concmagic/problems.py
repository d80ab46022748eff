"""What is missing of a recording, as its kind and values; its sentence is made when it is asked for.

Children make them before their target runs: nothing is imported here.
"""

from __future__ import annotations

from typing import NamedTuple

Value = str | int | float | None | tuple["Value", ...]


class Problem(NamedTuple):
    """Something that could not be recorded, read or kept.

    `kind` is the name of its sentence in `sentences/problems.py`, and `values` stand in it.
    """

    kind: str
    values: tuple[Value, ...] = ()

    @classmethod
    def of(cls, kind: str, *values: Value | BaseException) -> Problem:
        """One of this kind; an error among the values is told by its type and message."""
        return cls(kind, tuple(words_of(one) if isinstance(one, BaseException) else one for one in values))

    @property
    def message(self) -> str:
        """It in a sentence."""
        from concmagic.sentences.problems import problem_message

        return problem_message(self.kind, self.values)

    def __str__(self) -> str:
        return self.message


def words_of(error: BaseException) -> str:
    """An error's type and message; what it is made of may be the user's, and fail in its turn."""
    kind = type(error).__name__
    try:
        message = str(error)
    except Exception:
        return kind
    return f"{kind}: {message}" if message else kind
