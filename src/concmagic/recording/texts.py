"""Texts of the user's are cut where they are noted: a name of a million characters costs no more than one."""

from __future__ import annotations

from concmagic.problems import Problem

LONGEST = 512  # characters that are kept of a name, a label, a repr, a message
_LONGEST_VALUE = 2_000  # of a text in a problem

_seen = 0  # texts that were cut, in this process and since the last `take`


def cut(text: object, longest: int = LONGEST) -> str:
    """The beginning of a text, and how long it was; a short one as it is.

    What is no string (`Thread(name=1)` is allowed) is written out first. Nothing but `str` itself is asked,
    so that a subclass of the user's does not run.
    """
    global _seen
    whole = text if isinstance(text, str) else str(text)
    length = str.__len__(whole)
    if length <= longest:
        return whole if whole.__class__ is str else str.__getitem__(whole, slice(None))
    _seen += 1
    return f"{str.__getitem__(whole, slice(longest))}… ({length:,} characters)"


def take() -> int:
    """How many have been cut since this was asked last."""
    global _seen
    seen, _seen = _seen, 0
    return seen


def cut_problem(problem: Problem) -> Problem:
    """Its texts at most so long: one may quote an error's."""
    return Problem(
        problem.kind,
        tuple(cut(one, _LONGEST_VALUE) if isinstance(one, str) else one for one in problem.values),
    )
