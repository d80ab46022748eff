"""Functions of asyncio and threading that are known on the stack by name, and what their variables hold.

Nobody tells of them otherwise. Only frames of these functions are asked for their variables: of the user's,
the answer would keep alive what the names stand for. Nothing is imported for it: a child may have no asyncio.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import CodeType, FrameType
from typing import Any

_RUNNERS = "asyncio.runners"
_CANCEL_ALL = "_cancel_all_tasks"  # what a runner ends its loop with: asyncio's and uvloop's
_SHIELD_DONE = "shield.<locals>._inner_done_callback"
_SHIELD_CANCELLED = "shield.<locals>._outer_done_callback"
# Functions of Python's own that hand a result over to a loop, and whether it is an executor's.
HANDING_OVER = {
    "_WorkItem.run": True,
    "BaseEventLoop.run_in_executor": True,
    "_chain_future.<locals>._set_state": False,
    "_chain_future.<locals>._call_set_state": None,
}


def _module(frame: FrameType) -> Any:
    return frame.f_globals.get("__name__")


def owner(frame: FrameType) -> Any:
    """Whose method this frame runs."""
    return frame.f_locals.get("self")


def is_runners_run(frame: FrameType) -> bool:
    """Whether it is `asyncio.Runner.run`, which `asyncio.run` calls."""
    return frame.f_code.co_qualname == "Runner.run" and bool(_module(frame) == _RUNNERS)


def is_runners_close(frame: FrameType) -> bool:
    """Whether it is `asyncio.Runner.close`: a run on its way out."""
    return frame.f_code.co_name == "close" and bool(_module(frame) == _RUNNERS)


def lets_go_for_a_condition(frame: FrameType) -> bool:
    """Whether `Condition.wait` is letting its lock go there; its `try` begins when it has set `gotit`."""
    if _module(frame) != "threading":
        return False
    name = frame.f_code.co_qualname
    return name == "Condition._release_save" or (name == "Condition.wait" and "gotit" not in frame.f_locals)


def main_task(runner: FrameType) -> Any:
    """The task that `Runner.run` runs, if it has made it."""
    return runner.f_locals.get("task")


def cancels_all_tasks(code: CodeType) -> bool:
    """Whether it is what a runner, asyncio's or uvloop's, ends its loop with."""
    return code.co_name == _CANCEL_ALL


def is_asyncios(frame: FrameType) -> bool:
    """Whether it belongs to asyncio's runners."""
    return bool(_module(frame) == _RUNNERS)


def gathered(frame: FrameType) -> Iterable[Any]:
    """What `gather` was given, from its frame."""
    given: Iterable[Any] = frame.f_locals.get("coros_or_futures", ())
    return given


def name_given(frame: FrameType) -> str:
    """The name that `asyncio.create_task` is going to give: up to 3.12 it does so afterwards."""
    return (frame.f_locals.get("name") or "") if _module(frame) == "asyncio.tasks" else ""


def is_futures_await(code: CodeType) -> bool:
    """Whether asyncio's future that is written in Python awaits itself."""
    return code.co_qualname == "Future.__await__"


def is_shield_done(code: CodeType) -> bool:
    """Whether it is the callback by which `shield` hands a result on."""
    return code.co_qualname == _SHIELD_DONE


def inner_of_shield(frame: FrameType) -> Any:
    """What `shield` was given, from that callback's frame."""
    return frame.f_locals.get("inner")


def shielded_by(found: Iterable[Any]) -> Any:
    """What `shield` was given, from the callbacks of the future that it made; None if none is its own."""
    for callback in found:
        if getattr(callback, "__qualname__", "") == _SHIELD_CANCELLED:
            cells = zip(callback.__code__.co_freevars, callback.__closure__ or (), strict=False)
            return next((cell.cell_contents for name, cell in cells if name == "inner"), None)
    return None
