"""What profilers must not see: in cProfile's tables what is ours, in our own tracer a step it cannot follow.

Up to Python 3.11 a profiler is told of nested coroutines' ends that it was not told had gone on: where one
of them catches what was thrown into a task, those around it continue without a call event. VizTracer then
stops for good, and warns the user. So such a step is run unrecorded: it is in the states, and not among the
calls.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from concmagic.clock import monotonic_ns
from concmagic.code_owner import is_ours
from concmagic.interpreter.borrowing import Patches, on_import
from concmagic.interpreter.frames_and_threads import hide_frame

MODULE = "cProfile"

_first_ns: list[int] = []  # when a profile was begun in this cell

# How the tracer that records now runs a function of one argument unrecorded; empty where none has to.
unrecorded: list[Callable[[Callable[[Any], Any], Any], Any]] = []


class ProfileRecorder:
    """Follows the profiles that are begun between `start` and `stop`; it hands over nothing."""

    def __init__(self) -> None:
        self._patches = Patches()
        self._imports = ExitStack()

    def start(self) -> None:
        """Watch cProfile now, or when the cell imports it."""
        _first_ns.clear()
        self._imports.enter_context(on_import(MODULE, self._watch))

    def stop(self) -> None:
        """Put everything back; profiles that were begun leave our functions out later, too."""
        self._imports.close()
        self._patches.restore()

    def _watch(self, module: Any) -> None:
        profile = module.Profile
        original = profile.enable

        def enable(self: Any, *arguments: Any, **options: Any) -> Any:
            _note(self)
            try:
                return original(self, *arguments, **options)
            except BaseException as error:
                hide_frame(error)
                raise

        self._patches.set(profile, "enable", enable)


def first_ns() -> int | None:
    """When the first profile of this cell was begun; None if there was none."""
    return _first_ns[0] if _first_ns else None


def _note(profile: Any) -> None:
    if not _first_ns:
        _first_ns.append(monotonic_ns())
    known = getattr(profile, "__dict__", None)
    if known is not None and "getstats" not in known:
        known["getstats"] = _Reader(profile)


class _Reader:
    """Stands for a profile's `getstats`; keeps nobody alive."""

    def __init__(self, profile: Any) -> None:
        self._profile = weakref.ref(profile)

    def __call__(self) -> list[Any]:
        profile = self._profile()
        return [] if profile is None else without_ours(type(profile).getstats(profile))


def without_ours(entries: list[Any]) -> list[Any]:
    """Leave out our functions, and of the C functions the calls that ours made."""
    theirs = [entry for entry in entries if not _is_ours(entry.code)]
    if len(theirs) == len(entries):
        return entries
    made: dict[str, list[Any]] = {}
    for entry in entries:
        for call in entry.calls or () if _is_ours(entry.code) else ():
            if isinstance(call.code, str):
                made.setdefault(call.code, []).append(call)
    left = [_without_calls(entry, made.get(entry.code, ())) for entry in theirs]
    return [entry for entry in left if entry.callcount > 0]


def _without_calls(entry: Any, made: Any) -> Any:
    calls = [call for call in entry.calls or () if not _is_ours(call.code)]
    numbers = [entry.callcount, entry.reccallcount, entry.totaltime, entry.inlinetime]
    for call in made:
        told = (call.callcount, call.reccallcount, call.totaltime, call.inlinetime)
        numbers = [max(have - less, 0) for have, less in zip(numbers, told, strict=True)]
    return type(entry)((entry.code, *numbers, calls or None))


def _is_ours(code: Any) -> bool:
    return is_ours(getattr(code, "co_filename", ""))
