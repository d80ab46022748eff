"""Every message that arrives in this process, shown to who wants it: its recorder, or a worker that sleeps.

A message may be waited for when one recording ends and arrive in the next. So it is not asked who was
there when the wait began; and in a child the watch stays, because a wait that begins between two
watches would not be seen ending.

A child that outlives its cell sleeps: it records nothing until a later traced cell sends it something. All
that stays is one look, at each message that arrives, for a file that its parent puts down while a cell is
being traced.
"""

from __future__ import annotations

import os
import pickle
import threading
from collections.abc import Callable, Sequence
from functools import partial, wraps
from multiprocessing import connection
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Protocol

from concmagic.clock import monotonic_ns
from concmagic.interpreter.borrowing import Patches
from concmagic.interpreter.frames_and_threads import getframe, hide_frame
from concmagic.interpreter.known_functions import QUEUES, WORKERS
from concmagic.interpreter.process_internals import RECEIVE
from concmagic.recording.children.yet_to_unpickle import Row, digest_of
from concmagic.recording.guards import Gate, guarded, noter, watched

if TYPE_CHECKING:
    from concmagic.records.handed_over import MessageRecord

Look = Callable[[Any, Any, FrameType | None], None]  # the pipe's end, the message, who received it
Wake = Callable[[dict[str, Any]], None]

_NEXT = "next"  # the file
_OURS = "concmagic.runners.loop_"


class Taker(Protocol):
    """Who records messages."""

    gate: Gate  # closed: none now

    def before_wait(self) -> None:
        """The calling thread is about to wait for a message."""

    def received(self, begun_ns: int, buffer: Any, end: Any, caller: FrameType | None) -> None:
        """A message has arrived for which the calling thread has waited since `begun_ns`."""

    def note_arrival(self, end: Any, buffer: Any, caller: FrameType | None) -> None:
        """A message has arrived just before this taker began to record."""


_patches = Patches()
_taker: Taker | None = None
_look: Look | None = None


def watch(taker: Taker | None = None, look: Look | None = None) -> None:
    """Show messages to `taker` from now on; while there is none, to `look`."""
    global _taker, _look
    _taker, _look = taker, look
    kind = connection.Connection
    if not _patches.has(kind, RECEIVE):
        _patches.wrap(kind, RECEIVE, _receiving)


def unwatch() -> None:
    """Put everything back; a wait that has begun shows its message to nobody, or to the next taker."""
    global _taker, _look
    _taker = _look = None
    _patches.restore()


def _receiving(original: Any) -> Any:
    seen, note = watched(original, _arrived, _before_wait), noter(original)

    @wraps(original)
    def receive(*arguments: Any, **options: Any) -> Any:
        taker = _taker
        if taker is None or not taker.gate.closed:
            return seen(*arguments, **options)
        try:
            buffer = original(*arguments, **options)
        except BaseException as error:
            hide_frame(error)
            raise
        if _taker is not taker:  # another cell has begun meanwhile
            guarded(partial(_show, 0, buffer, arguments[0], getframe(1)), note)
        return buffer

    return receive


def _before_wait() -> int:
    if _taker is not None:
        _taker.before_wait()
    return monotonic_ns()


def _arrived(begun_ns: int, buffer: Any, end: Any, *arguments: Any) -> None:
    _show(begun_ns, buffer, end, getframe(3))  # who has called what stands in for the function, twice


def _show(begun_ns: int, buffer: Any, end: Any, caller: FrameType | None) -> None:
    if _taker is not None:
        _taker.received(begun_ns, buffer, end, caller)
    elif _look is not None:
        _look(end, buffer, caller)


def sleep_until_called(folder: Path, wake: Wake) -> None:
    """Call `wake` with the config of the next traced cell, once a message arrives in it; also one that is
    waited for already.
    """
    watch(look=partial(_look_for_cell, folder / _NEXT, wake))


def _look_for_cell(path: Path, wake: Wake, end: Any, buffer: Any, caller: FrameType | None) -> None:
    try:
        fields = pickle.loads(path.read_bytes())
    except (OSError, EOFError, pickle.UnpicklingError):
        return  # no cell is being traced
    watch()
    wake(fields)
    if _taker is not None:
        _taker.note_arrival(end, buffer, caller)


def call_sleepers(folder: Path, fields: dict[str, Any]) -> None:
    """Let the children that sleep over this folder record the cell that begins."""
    unfinished = folder / f".{_NEXT}"
    unfinished.write_bytes(pickle.dumps(fields))
    unfinished.rename(folder / _NEXT)


def call_off(folder: Path) -> None:
    """Take the call back: children that have not been woken by now sleep on."""
    (folder / _NEXT).unlink(missing_ok=True)


def kind_of(caller: FrameType | None) -> str:
    """Whose message it is, by who is on the stack: a queue's, a loop worker's item, ours, or a pipe's."""
    kind = "pipe"
    while caller is not None:
        module = caller.f_globals.get("__name__", "")
        if module in QUEUES:
            kind = "queue"
        elif module.startswith(_OURS):
            return "item" if caller.f_code.co_name == "work" else "ours"
        elif not module.startswith("multiprocessing."):
            break
        caller = caller.f_back
    return kind


def sends_result(caller: FrameType | None) -> bool:
    """Whether a worker of a pool sends what became of a job: by who called whom sends."""
    return is_in(WORKERS, caller.f_back if caller is not None else None, 1)


def is_in(places: set[tuple[str, str]], frame: FrameType | None, most: int) -> bool:
    """Whether one of the innermost `most` frames runs a function of these: module and name."""
    for _ in range(most):
        if frame is None:
            return False
        if (frame.f_globals.get("__name__"), frame.f_code.co_name) in places:
            return True
        frame = frame.f_back
    return False


def records(rows: Sequence[Row]) -> tuple[MessageRecord, ...]:
    """As plain frozen data."""
    from concmagic.records.handed_over import MessageRecord

    return tuple(MessageRecord(*row) for row in rows)


def row_of(
    end: Any,
    sends: bool,
    kind: str,
    begin_ns: int,
    moved_ns: int,
    data: Any,
    job: int | None = None,
    outcome: str = "",
) -> Row:
    """What is kept of a message that ends just now, at this end of a pipe."""
    inode, size, digest = os.fstat(end.fileno()).st_ino, len(data), digest_of(data)
    now_ns = monotonic_ns()
    native_id = threading.get_native_id()
    return [inode, sends, kind, native_id, begin_ns, moved_ns, now_ns, size, digest, job, outcome]


def unbound(function: Any) -> Any:
    """A class method's own function, which is given the class; one that drops it, of what stands for it."""
    inner = getattr(function, "__func__", None)
    return (lambda kind, *rest, **more: function(*rest, **more)) if inner is None else inner
