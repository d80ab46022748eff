"""Whether a frame stands in a wait for Python's own locks that has no timeout, by the instruction it is at.

`Condition.wait`, and with it all that is made of it, calls `acquire` without arguments where it was given no
timeout. `Thread.join` hands its own on: it is asked for that.
"""

from __future__ import annotations

import dis
import signal
from types import CodeType, FrameType
from typing import Any

from concmagic.interpreter.called_names import called_name
from concmagic.interpreter.frames_and_threads import is_join
from concmagic.interpreter.known_functions import THREAD_POOL_WORKER, THREAD_WORKER, owner, place_of
from concmagic.interpreter.recorded_calls import TAKING

_CALLS = {dis.opmap[name] for name in ("CALL", "PRECALL") if name in dis.opmap}
_WITH = dis.opmap.get("BEFORE_WITH", -1)  # from 3.14 on a call like any other
_IDLE = {THREAD_WORKER, THREAD_POOL_WORKER}
# Threads that look now and then whether a pool has all its workers, or a bar is late: they wake nobody.
_HELPERS = {("multiprocessing.pool", "Pool._handle_workers"), ("tqdm._monitor", "TMonitor.run")}
# Of those that have locks of other processes, or wait for what is outside.
_BEYOND = ("multiprocessing", "multiprocess", "selectors")
_DEPTH, _HELPERS_DEPTH = 2, 6  # until 3.12 `join` waits in a function of its own
_RESULTS = {("concurrent.futures._base", f"Future.{name}") for name in ("result", "exception")}
_CALLBACK = "run_coroutine_threadsafe.<locals>.callback"
_SUBSHELLS = "ipykernel.subshell"


def is_endless(frame: FrameType, known: dict[tuple[CodeType, int], bool]) -> bool:
    """Whether a thread whose innermost frame this is waits for a lock until another lets it go.

    `known` keeps what was read off an instruction: many threads stand at the same.
    """
    if place_of(frame) in _IDLE or _is_helpers(frame):
        return True
    at: FrameType | None = frame
    for _ in range(_DEPTH):
        if at is not None and is_join(at.f_code):
            return at.f_locals.get("timeout", 0) is None
        at = None if at is None else at.f_back
    if place_of(frame)[0].partition(".")[0] in _BEYOND or not _takes_nothing(frame):
        return False
    place = frame.f_code, frame.f_lasti
    if place not in known:
        known[place] = called_name(*place) in TAKING
    return known[place]


def _takes_nothing(frame: FrameType) -> bool:
    """Whether it is in a call without arguments, or enters a `with`."""
    instructions, offset = frame.f_code.co_code, frame.f_lasti
    return instructions[offset] == _WITH or (instructions[offset] in _CALLS and not instructions[offset + 1])


def _is_helpers(frame: FrameType) -> bool:
    at: FrameType | None = frame
    for _ in range(_HELPERS_DEPTH):
        if at is None:
            return False
        if place_of(at) in _HELPERS:
            return True
        at = at.f_back
    return False


def awaited_future(frame: FrameType | None) -> Any:
    """The future of `concurrent.futures` for whose result a frame waits; None if it waits for none."""
    for _ in range(_DEPTH):
        if frame is not None and place_of(frame) in _RESULTS:
            return owner(frame)
        frame = None if frame is None else frame.f_back
    return None


def future_of_coroutine(callback: Any) -> Any:
    """The future that `run_coroutine_threadsafe` gave, from what it gives to the loop; else None."""
    if getattr(callback, "__qualname__", "") != _CALLBACK:
        return None
    cells = zip(callback.__code__.co_freevars, callback.__closure__ or (), strict=False)
    return next((cell.cell_contents for name, cell in cells if name == "future"), None)


def is_subshells(thread: object) -> bool:
    """Whether a thread runs cells beside this one."""
    return type(thread).__module__ == _SUBSHELLS


def has_timer() -> bool:
    """Whether a signal is going to come by itself, whose handler may do anything."""
    clocks = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)
    return any(signal.getitimer(clock)[0] for clock in clocks)
