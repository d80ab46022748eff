"""Textbook code on the loop that the notebook runs on: `loop.run_until_complete(main())`, `loop.close()`.

A plain cell refuses it, for the loop is running already: it runs the cell. In a script it is the way to
start, and what the cell has made before (`ensure_future`, `create_task`, futures of earlier cells) is on
this loop, as is what later cells await. So here the loop goes on inside the cell (`nested_run.py`), decided
when it is asked to run; a cell that never asks meets nothing of this.

Rejected: a loop of the cell's own as the current one. It would have to be chosen when `get_event_loop` is
called, before it is known whether the cell will run it, or a task that a plain cell leaves on the kernel's
loop would never run; and servers and tasks made there would stand still as soon as the cell is over. A
stand-in for the loop: it is not the running loop, by identity, and asyncio written in C asks for that.

What a script ends its loop with must not end the notebook's: `close()` and a `stop()` of nobody's run do
nothing and are told; the executor and generators that were shut down and the signal handlers that were added
are put right when the cell is over. `asyncio.all_tasks()` leaves out the kernel's own tasks from the first
run on, for the next line of many a textbook cancels them all.

A cell that awaits is itself a step of the notebook's loop, as are the tasks it makes: there a loop can be run
neither here nor in a plain cell, and `remedy` says what to write instead.
"""

from __future__ import annotations

import ast
import asyncio
import linecache
import threading
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any

from concmagic import sentences
from concmagic.interpreter import asyncio_internals
from concmagic.interpreter.borrowing import running_loop
from concmagic.interpreter.frames_and_threads import getframe
from concmagic.interpreter.hook_parts import is_asyncios
from concmagic.runners.nested_run import HiddenTasks, NestedRun


class KernelLoop:
    """The kernel's loop for the length of a cell that does not await."""

    def __init__(self, loop: Any) -> None:
        self._loop = loop
        self._thread = threading.get_ident()
        self._hidden = HiddenTasks(loop)
        self._run: NestedRun | None = None
        self._over = False
        self._signals = asyncio_internals.signals_handled(loop)
        self._did_nothing: list[str] = []
        self.was_run = False

    def notes(self) -> tuple[str, ...]:
        """Sentences for the picture, when the cell is over."""
        said = [sentences.PLAIN_CELLS_REFUSE_LOOP] if self.was_run else []
        if self._did_nothing:
            said.append(sentences.loop_left_alone(self._did_nothing))
        return tuple(said)

    def defers(self, frame: types.FrameType | None) -> bool:
        """Whether an interrupt that arrived in this frame will be raised out of the nested run later."""
        return self._run is not None and self._run.defers(frame)

    def run_forever(self) -> None:
        """Run the loop on inside the cell, until it is stopped."""
        if not self._is_free():
            # 3.13.0 finds that out too late, and ends the outer run.
            self._original(asyncio_internals.CHECK_RUNNING)()
            return self._original("run_forever")()  # type: ignore[no-any-return]
        self.was_run = True
        self._hidden.hide_all()
        self._run = run = NestedRun(self._loop, self._hidden, by_tornado=_is_tornado(getframe(1)))
        try:
            run.run()
        finally:
            self._run = None
            run.raise_interrupt()  # one that arrived since the last round
        return None

    def _refuse_if_running(self) -> None:
        if not self._is_free():
            self._original(asyncio_internals.CHECK_RUNNING)()

    def stop(self) -> None:
        """End the nested run; where there is none, nothing: it would end the kernel."""
        if self._over:  # a timer or a handler of signals that the cell has left behind
            return
        if self._run is not None:
            self._run.kernel_stops |= _is_tornado(getframe(1)) and not self._run.by_tornado
            self._original("stop")()
        elif self._is_free():
            self._note("stop")
        else:
            self._original("stop")()

    def close(self) -> None:
        """Do nothing: the kernel's loop goes on."""
        self._note("close")

    def begin(self) -> None:
        """Put ours before those of the loop's class, for this loop alone."""
        for name, own in _NAMES.items():
            setattr(self._loop, name, getattr(self, own))

    def end(self) -> None:
        """Take ours away, and put right what the cell has ended or left."""
        for name in _NAMES:
            vars(self._loop).pop(name, None)
        self._over = True
        self._hidden.show_all()
        if self.was_run:
            _put_right(self._loop, self._signals)

    def _is_free(self) -> bool:
        """Whether the cell itself asks, whose loop this would be in a script."""
        here = threading.get_ident() == self._thread and running_loop() is self._loop
        return here and self._run is None and not self._over

    def _original(self, name: str) -> Callable[[], Any]:
        return types.MethodType(getattr(type(self._loop), name), self._loop)

    def _note(self, name: str) -> None:
        if name not in self._did_nothing:
            self._did_nothing.append(name)


# Methods of a loop, and what stands in for them.
_NAMES = {
    "run_forever": "run_forever",
    asyncio_internals.CHECK_RUNNING: "_refuse_if_running",
    "stop": "stop",
    "close": "close",
}


@contextmanager
def kernel_loop_of_the_cell(loop: asyncio.AbstractEventLoop) -> Iterator[KernelLoop | None]:
    """Let the block run this loop, which is running; None where it is none of asyncio's own, or patched."""
    if not _can_be_run_on(loop):
        yield None
        return
    kernel_loop = KernelLoop(loop)
    kernel_loop.begin()
    try:
        yield kernel_loop
    finally:
        kernel_loop.end()


def _can_be_run_on(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether all is there that a nested run reads and replaces, and `nest_asyncio` is not at work."""
    return is_asyncios(asyncio_internals.can_nest(loop))


def _put_right(loop: Any, signals: set[int]) -> None:
    """A script's last lines have shut down what the next cell needs; its handlers ended with the script."""
    asyncio_internals.open_again(loop)
    for signum in asyncio_internals.signals_handled(loop) - signals:
        with suppress(ValueError, RuntimeError):  # not in the main thread
            loop.remove_signal_handler(signum)


def _is_tornado(frame: types.FrameType) -> bool:
    return str(frame.f_globals.get("__name__")).startswith("tornado.")


_REFUSALS = (
    "event loop is already running",
    "event loop while another loop is running",
    "cannot be called from a running event loop",
    "Already running asyncio in this thread",
)
_RUNS = ("run_until_complete", "run_forever", "run_sync", "run")
_LONGEST = 60


def remedy(error: BaseException | None, files: tuple[str, ...]) -> str:
    """Cause and remedy in one sentence, if this error says that a loop is running already; else "".

    `files` are those of the notebook's cells.
    """
    if not isinstance(error, RuntimeError) or not any(one in str(error) for one in _REFUSALS):
        return ""
    place = _last_place(error.__traceback__, files)
    call = None if place is None else _call_at(*place)
    if call is None:
        return sentences.loop_refused("a function that runs an event loop", "")
    argument = ast.unparse(call.args[0]) if call.args else ""
    return sentences.loop_refused(ast.unparse(call.func), argument if len(argument) <= _LONGEST else "…")


def _last_place(traceback: TracebackType | None, files: tuple[str, ...]) -> tuple[str, int] | None:
    """File and line of the innermost code of the notebook's."""
    place = None
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename in files:
            place = traceback.tb_frame.f_code.co_filename, traceback.tb_lineno
        traceback = traceback.tb_next
    return place


def _call_at(file: str, line: int) -> ast.Call | None:
    """The call on this line that runs a loop."""
    try:
        tree = compile("".join(linecache.getlines(file)), file, "exec", _AS_IN_CELLS)
    except (SyntaxError, ValueError):
        return None
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    runs = [call for call in calls if _called_name(call.func) in _RUNS]
    return next((one for one in runs if one.lineno <= line <= (one.end_lineno or one.lineno)), None)


def _called_name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


_AS_IN_CELLS = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
