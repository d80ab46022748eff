"""Short texts of what is the user's: names, values and calls, cut and written without running their code.

`repr` of a data frame takes milliseconds and of a hostile object anything at all, so only plain values are
written out, of bounded depth and length; everything else is named by its type. A name of a million characters
costs no more than one.
"""

from __future__ import annotations

import contextvars
import functools
import os
import types
from collections.abc import Iterable
from itertools import islice
from pathlib import PurePath
from typing import Any

from concmagic.problems import Problem

LONGEST = 512  # characters that are kept of a name, a label, a repr, a message
_LONGEST_VALUE = 2_000  # of a text in a problem
_MOST_ITEMS = 3
_MOST_TEXT = 24
_MOST_LABEL = 60
_RUNS = ("-m", "-c")  # options of Python's that say what it runs
_BRACKETS: dict[type, str] = {list: "[]", tuple: "()", set: "{}", frozenset: "{}"}
_NAMED = (type, types.FunctionType, types.BuiltinFunctionType, types.MethodType)

_cuts = 0  # texts that were cut, in this process and since the last `take_cuts`


def call_label(function: Any, args: Iterable[Any] = (), kwargs: dict[str, Any] | None = None) -> str:
    """Write a call: "fetch('a.org', retries=3)"."""
    try:
        function, inner, named = _unwrapped(function, tuple(args), dict(kwargs or {}))
        return shorten(f"{name_of(function)}({_arguments(inner, named)})", _MOST_LABEL)
    except Exception:  # a label is never worth a job
        return "job"


def value_label(value: Any, depth: int = 1) -> str:
    """Write a value in at most a few dozen characters; anything but plain data by its type's name."""
    kind = type(value)
    if kind is str or kind is bytes:
        return _text(value)
    if kind is int and value.bit_length() > 80:
        return f"int of {value.bit_length()} bits"
    if value is None or kind in (int, float, bool, complex):
        return repr(value)
    if kind in _BRACKETS:
        return _collection(value, depth)
    if kind is dict:
        return _mapping(value, depth)
    if issubclass(kind, PurePath) and kind.__module__.startswith("pathlib"):
        return _text(str(value))
    if issubclass(kind, _NAMED):
        return name_of(value)
    return f"{kind.__name__}(…)"


def name_of(function: Any) -> str:
    """A function's name for a lane: qualified, without the functions around it."""
    kind = type(function)
    if hasattr(kind, "__getattr__") or isinstance(kind.__getattribute__, types.FunctionType):
        return cut(kind.__name__)  # asking the object would run the user's code
    name = getattr(function, "__qualname__", None) or getattr(function, "__name__", None)
    return cut(name.rpartition("<locals>.")[2] if isinstance(name, str) else kind.__name__)


def text_of(value: Any) -> str:
    """A name as text: what should be a string and is none is written as a value; nothing of it is run."""
    if isinstance(value, str):
        return value if type(value) is str else str.__str__(value)
    return value_label(value)


def shorten(text: str, most: int) -> str:
    """Cut a text in its middle, where it is longer than `most` characters."""
    if len(text) <= most:
        return text
    tail = most // 3
    return f"{text[: most - tail - 1]}…{text[-tail:]}"


def _unwrapped(
    function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
    """Look through `partial`, and through the `Context.run` that `asyncio.to_thread` puts around a call."""
    for _ in range(8):
        if type(function) is functools.partial:
            args, kwargs = function.args + args, {**function.keywords, **kwargs}
            function = function.func
        elif _is_context_run(function) and args:
            function, args = args[0], args[1:]
        else:
            break
    return function, args, kwargs


def _is_context_run(function: Any) -> bool:
    is_method = type(function) is types.BuiltinMethodType
    return is_method and type(function.__self__) is contextvars.Context


def _arguments(args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    parts = [value_label(value) for value in args[:_MOST_ITEMS]]
    parts += [f"{name}={value_label(value)}" for name, value in list(kwargs.items())[:_MOST_ITEMS]]
    return _listed(parts, max(len(args), len(kwargs)))


def _text(value: Any) -> str:
    if len(value) <= _MOST_TEXT:
        return repr(value)
    tail = _MOST_TEXT // 3
    start, end = repr(value[: _MOST_TEXT - tail]), repr(value[-tail:])
    # The two quotes of the middle go; the ones outside stay, whichever kind `repr` has chosen.
    return start[:-1] + "…" + end[2 if end[0] == "b" else 1 :]


def _collection(value: Any, depth: int) -> str:
    opening, closing = tuple(_BRACKETS[type(value)])
    if depth <= 0 and value:
        return f"{opening}…{closing}"
    shown = [value_label(item, depth - 1) for item in islice(value, _MOST_ITEMS)]
    return f"{opening}{_listed(shown, len(value))}{closing}"


def _mapping(value: dict[Any, Any], depth: int) -> str:
    if depth <= 0 and value:
        return "{…}"
    items = islice(value.items(), _MOST_ITEMS)
    shown = [f"{value_label(key, 0)}: {value_label(item, 0)}" for key, item in items]
    return f"{{{_listed(shown, len(value))}}}"


def _listed(shown: list[str], many: int) -> str:
    """Those that are shown, and that there are more."""
    return ", ".join(shown if many <= _MOST_ITEMS else [*shown, "…"])


def cut(text: object, longest: int = LONGEST) -> str:
    """The beginning of a text, and how long it was; a short one as it is.

    What is no string (`Thread(name=1)` is allowed) is written out first. Nothing but `str` itself is asked,
    so that a subclass of the user's does not run.
    """
    global _cuts
    whole = text if isinstance(text, str) else str(text)
    length = str.__len__(whole)
    if length <= longest:
        return whole if whole.__class__ is str else str.__getitem__(whole, slice(None))
    _cuts += 1
    return f"{str.__getitem__(whole, slice(longest))}… ({length:,} characters)"


def take_cuts() -> int:
    """How many have been cut since this was asked last."""
    global _cuts
    cuts, _cuts = _cuts, 0
    return cuts


def cut_problem(problem: Problem) -> Problem:
    """Its texts at most so long: one may quote an error's."""
    return Problem(
        problem.kind,
        tuple(cut(one, _LONGEST_VALUE) if isinstance(one, str) else one for one in problem.values),
    )


def command_name(arguments: Any) -> str:
    """A command line's short name: "git", "python job.py", "python -m timeit", of a shell what it runs."""
    words = [os.fsdecode(argument) for argument in islice(arguments, 3)]
    name = os.path.basename(words[0]) if words else "subprocess"
    first, second = [*words[1:], "", ""][:2]
    if first == "-c" and name.endswith("sh"):  # a shell is there for what it runs
        return shorten(" ".join(second.split()) or name, _MOST_LABEL)
    if not name.startswith("python"):
        return name
    if first.endswith(".py"):
        return f"{name} {os.path.basename(first)}"
    return " ".join(filter(None, (name, first, second if first == "-m" else ""))) if first in _RUNS else name
