"""Where a suspended coroutine or greenlet of a library stands, and what its library waits for there."""

from __future__ import annotations

from collections.abc import Iterator
from types import CodeType, FrameType
from typing import Any, NamedTuple

from concmagic.code_owner import owner_of

_MOST_FRAMES = 60
# By the name of a function of trio's, curio's or gevent's: the reason of a wait in it.
_WAITS = {
    "sleep": "sleep",
    "sleep_until": "sleep",
    "wait_readable": "socket",
    "wait_writable": "socket",
    "_read_wait": "socket",
    "_write_wait": "socket",
    "Nursery._nested_child_finished": "TaskGroup",
    "EpollIOManager.wait_readable": "socket",
    "EpollIOManager.wait_writable": "socket",
    "MemoryReceiveChannel.receive": "Queue.get",
    "MemorySendChannel.send": "Queue.put",
    "TaskGroup.join": "TaskGroup",
    "Task.join": "task",
    "Greenlet.join": "join",
    "Event.wait": "Event",
    "Lock.acquire": "Lock",
    "Semaphore.acquire": "Semaphore",
    "Queue.get": "Queue.get",
    "Queue.put": "Queue.put",
}


class Standing(NamedTuple):
    """Where it stands: its outermost and innermost frame of the user's own, and the reason of its wait."""

    name: str = ""  # of the outermost function that the user wrote; "" if there is none
    file: str = ""
    first_line: int = 0
    at: tuple[str, int] = ("", 0)  # file and line of the innermost
    reason: str = ""


def of_coroutine(coroutine: Any) -> Standing:
    """Of a coroutine, by the chain of what it awaits."""
    return _standing([*_awaited(coroutine)])


def of_greenlet(greenlet: Any) -> Standing:
    """Of a greenlet that is not running, by its frames."""
    frames: list[FrameType] = []
    frame = getattr(greenlet, "gr_frame", None)
    while frame is not None and len(frames) < _MOST_FRAMES:
        frames.append(frame)
        frame = frame.f_back
    return _standing([(one.f_code, one.f_lineno) for one in reversed(frames)])


def is_hub(greenlet: Any) -> bool:
    """Whether it is what gevent's or eventlet's greenlets are served by."""
    return any(kind.__name__.lower().endswith("hub") for kind in type(greenlet).__mro__)


def _awaited(coroutine: Any) -> Iterator[tuple[CodeType, int]]:
    for _ in range(_MOST_FRAMES):
        for kind, following in (("cr", "await"), ("gi", "yieldfrom"), ("ag", "await")):
            frame = getattr(coroutine, f"{kind}_frame", None)
            if frame is not None:
                yield frame.f_code, frame.f_lineno or 0
                coroutine = getattr(coroutine, f"{kind}_{following}", None)
                break
        else:
            return


def _standing(places: list[tuple[CodeType, int]]) -> Standing:
    own = [(code, line) for code, line in places if owner_of(code.co_filename) == "user"]
    reason = ""
    for code, _ in places:  # the outermost that is known says most
        reason = reason or ("" if owner_of(code.co_filename) == "user" else _WAITS.get(code.co_qualname, ""))
    if not own:
        return Standing(reason=reason)
    code, (last, line) = own[0][0], own[-1]
    return Standing(code.co_qualname, code.co_filename, code.co_firstlineno, (last.co_filename, line), reason)
