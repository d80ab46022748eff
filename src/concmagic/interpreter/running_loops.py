"""Which event loop and which task are the running ones, and changing that: asyncio has no public way.

Where a function is missing nothing is changed, and that is told.
"""

from __future__ import annotations

import asyncio
from asyncio import events, tasks
from typing import Any

from concmagic.interpreter.borrowing import Capability, borrowed, missing

CHECK_RUNNING, RUN_ONCE = "_check_running", "_run_once"  # methods of a loop
RUNNING_LOOP = "_get_running_loop"  # of asyncio.events
# On 3.11 `uvloop.run` itself asks asyncio whether a loop runs, by this name.
UVLOOPS_ASYNCIO = "__asyncio"
UVLOOPS_IDLE = "uvloop._noop"  # the module of a function that an idle loop calls
LOOP_METHODS = ("_run_once", "run_forever", "run_until_complete")
# What a run of a loop inside one of its own callbacks reads and replaces.
_NEEDED = ("run_forever", CHECK_RUNNING, "stop", "close", "_ready", "_stopping", "_write_to_self")


def running_loop() -> Any:
    """The loop that runs in this thread, by asyncio's own function."""
    return events._get_running_loop()


def asked_of(module: Any) -> Any:
    """The running loop, as this module of asyncio's tells."""
    return getattr(module, RUNNING_LOOP)()


def set_running_loop(loop: Any) -> None:
    """Make this loop, or none, the one that runs in this thread."""
    events._set_running_loop(loop)


def leave_task(loop: Any, task: Any) -> None:
    """Make no task the running one."""
    borrowed(tasks, "_leave_task", _nothing)(loop, task)


def enter_task(loop: Any, task: Any) -> None:
    """Make this task the running one."""
    borrowed(tasks, "_enter_task", _nothing)(loop, task)


def hide_task(task: Any) -> None:
    """Take a task out of `asyncio.all_tasks()`."""
    borrowed(tasks, "_unregister_task", _nothing)(task)


def show_task(task: Any) -> None:
    """Put a task into `asyncio.all_tasks()`."""
    borrowed(tasks, "_register_task", _nothing)(task)


def _nothing(*arguments: object) -> None: ...


def run_once(loop: Any) -> None:
    """Take one round of a loop."""
    loop._run_once()


def can_nest(loop: Any) -> Any:
    """The loop's `_run_once` where all is there that a nested run needs, else None."""
    has_all = all(hasattr(loop, name) for name in _NEEDED)
    steps = hasattr(tasks, "_enter_task") and hasattr(tasks, "_leave_task")
    return getattr(type(loop), RUN_ONCE, None) if has_all and steps else None


def runners_loop(runner: Any) -> Any:
    """The loop of an `asyncio.Runner`; `get_loop` would make one."""
    return getattr(runner, "_loop", None)


def signal_handler(runner: Any) -> Any:
    """What a Runner does about an interrupt, before its first one; None if that is not known."""
    on_signal = borrowed(runner, "_on_sigint")
    return None if getattr(runner, "_interrupt_count", 1) else on_signal


def probe() -> Capability:
    """Whether a loop that does not run has all that is read, and the running one can be changed."""
    names = ("_enter_task", "_leave_task", "_register_task", "_unregister_task")
    found = {name: hasattr(tasks, name) for name in names}
    loop = asyncio.new_event_loop()
    before = events._get_running_loop()
    try:
        set_running_loop(None)
        changed = running_loop() is None
        set_running_loop(loop)
        changed = changed and running_loop() is loop
        nests = can_nest(loop) is not None
    finally:
        set_running_loop(before)
        loop.close()
    return missing(**found, _set_running_loop=changed, _run_once=nests)
