"""Where an interrupt is raised again: how far it came, and which jobs begin no more.

Once code of the user's has met the exception nothing is raised again: an `except`, a `finally`, the exit of
a `with` run to their end, for a plain cell gives them that time, too. It is raised again only where that is
certain to cut nothing of theirs:

- in the exit of a pool that the exception itself has led to, and that waits for the pool's jobs. The frames
  tell: such an exit was called with the exception, and no frame of the user's stands inside.
- in `asyncio.run`, after a second interrupt, where tasks that swallow their cancellation are waited for.
- where it was lost. Its traceback tells how far it came, for Python adds each frame that it is raised
  through or caught in (from 3.12 one by one, on 3.11 all at once when it is caught; the handler's own are
  taken out). If the last of them is gone and had no handler for the place, C code has dropped the exception,
  as it does for `__del__`. If that frame is a library's and stands at the same instruction again, it was
  caught there to wait on. Both count only while the thread handles no exception at all, or this one might be
  on its way still.

`sys.exception` and `sys._current_exceptions` tell the innermost exception that is handled, which under an
event loop may be another one than that further out. So they can say "none", but not "not this one".
Where the answer is not known it is no: a second click is always there.
"""

from __future__ import annotations

from asyncio import CancelledError, all_tasks
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from concmagic.clock import monotonic
from concmagic.code_owner import owner_of
from concmagic.interpreter import asyncio_internals, known_functions, pool_internals
from concmagic.interpreter.asyncio_internals import awaited, default_executor
from concmagic.interpreter.value_stack import has_handler, may_have_just_entered
from concmagic.recording.interrupts_kept_back import is_forking
from concmagic.runners.pending_jobs import Workers, cancel_jobs_of

_LOCKS, _MOST_NOTING = "concmagic.recording.locks.monitor", 12  # frames

_NEW_S = 0.05
GRACE_S = 0.4  # for tasks that a second interrupt has cancelled again


class Again:
    """An exception that is to be raised again, and the pool whose exit that ends."""

    def __init__(self, error: BaseException, pool: Any = None) -> None:
        self.error = error
        self.pool = pool

    def strike(self) -> None:
        """Raise it; jobs that the pool has not begun never begin."""
        cancel_jobs_of(self.pool)
        raise self.error.with_traceback(None)


class Click:
    """One interrupt, and how far it came; `before` is the one before it in this cell."""

    def __init__(self, before: Click | None) -> None:
        self._at_s = monotonic()
        self._is_first = before is None
        self.error: BaseException | None = None  # what was raised
        self.is_told = False  # an event loop knows, and cancels
        self._workers = Workers()

    @property
    def is_fresh(self) -> bool:
        """Whether it may wait for what takes a moment."""
        return monotonic() <= self._at_s + GRACE_S

    @property
    def is_new(self) -> bool:
        """Whether it may wait for some looks more: what blocks as it enters a `with` is met after that."""
        return monotonic() <= self._at_s + _NEW_S

    @property
    def is_pending(self) -> bool:
        """Whether nothing has come of it yet."""
        return self.error is None and not self.is_told

    def again(self, frame: FrameType | None, handled: BaseException | None) -> Again | None:
        """What has to be raised again in `frame`, where the main thread stands and handles `handled`."""
        found = _at_exit_of_pool(frame)
        if found is not None:  # a pool that had no workers then is part of a clean-up
            return found if self._workers.may_belong_to(found.pool) else None
        if not self._is_first and monotonic() > self._at_s + GRACE_S and _waits_for_tasks(frame):
            return Again(KeyboardInterrupt())
        if self.error is not None and not self.is_told and _is_lost(self.error, frame, handled):
            return Again(self.error)
        return None


class Clicks:
    """What interrupts do to a cell, whatever runs it. Called with the frame that one met; that may raise."""

    def __init__(self) -> None:
        self._last: Click | None = None

    def __call__(self, frame: FrameType | None) -> None:
        self._last = Click(self._last)
        self._strike(self._last, frame)

    def needs_again(self, frame: FrameType | None, handled: BaseException | None) -> bool:
        """Whether the last interrupt has to be raised once more; asked in another thread, changes nothing."""
        click = self._last
        return click is not None and (click.is_pending or click.again(frame, handled) is not None)

    def again(self, frame: FrameType | None, handled: BaseException | None) -> None:
        """Raise the last interrupt once more, if it has to be."""
        click = self._last
        if click is not None and click.is_pending:
            self._strike(click, frame)
        elif click is not None and may_raise_at(frame, click):
            found = click.again(frame, handled)
            if found is not None:
                self._strike_again(click, found, frame)

    def _strike(self, click: Click, frame: FrameType | None) -> None:
        """Raise it where the main thread stands, or have it told; else it stays pending."""
        raise NotImplementedError

    def _strike_again(self, click: Click, found: Again, frame: FrameType | None) -> None:
        """Raise once more what was found to be needed."""
        raise NotImplementedError


def may_raise_at(frame: FrameType | None, click: Click) -> bool:
    """Whether what is raised there reaches the cell, and leaves nothing half done on its way.

    A lock that a condition takes is had in a moment, unless the cell hangs just there.
    """
    if is_forking() or is_between_locks(frame):
        return False
    if click.is_new and frame is not None and may_have_just_entered(frame):
        return False
    return not (click.is_fresh and _stands_in(frame, known_functions.takes_a_conditions_lock))


def is_in_a_moment(frame: FrameType | None) -> bool:
    """Whether what could not be raised there can be very soon."""
    entered = frame is not None and may_have_just_entered(frame)
    return entered or is_between_locks(frame) or _stands_in(frame, known_functions.takes_a_conditions_lock)


def is_between_locks(frame: FrameType | None) -> bool:
    """Whether a lock is about to be taken or let go there, and what is raised would leave it as it is.

    From Python 3.12 on it is being noted, in code where Python itself raises nothing. A condition lets its
    lock go in Python code, where an interrupt before the last call leaves it taken: with the event that a
    print waits for, the kernel would print nothing any more. Tracing makes that moment longer.
    """
    return _stands_in(frame, _is_noting) or _stands_in(frame, known_functions.lets_go_of_a_conditions_lock)


def _is_noting(frame: FrameType) -> bool:
    return bool(frame.f_globals.get("__name__") == _LOCKS)


def _stands_in(frame: FrameType | None, function: Callable[[FrameType], bool]) -> bool:
    """Whether it, or one of the few that called it, is in such a function."""
    for _ in range(_MOST_NOTING):
        if frame is None:
            return False
        if function(frame):
            return True
        frame = frame.f_back
    return False


def _at_exit_of_pool(frame: FrameType | None) -> Again | None:
    """The pool's exit that an interrupt has led to and in which nothing of the user's runs, if it is one."""
    while frame is not None and owner_of(frame.f_code.co_filename) != "user":
        found = _exit_at(frame) or _end_of_loop_at(frame)
        if found is not None:
            return found
        frame = frame.f_back
    return None


def _exit_at(frame: FrameType) -> Again | None:
    code = frame.f_code
    if code.co_name != "__exit__" or not code.co_varnames:
        return None
    names = frame.f_locals
    pool = names.get(code.co_varnames[0])
    if not any((kind.__module__, kind.__name__) in pool_internals.POOLS for kind in type(pool).__mro__):
        return None
    errors = (value for value in _flat(names) if isinstance(value, (KeyboardInterrupt, CancelledError)))
    error = next(errors, None)
    return None if error is None else Again(error, pool)


def _flat(names: Any) -> Iterator[Any]:
    """The arguments, also those of `*exception`."""
    for value in [*names.values()]:
        yield from value if isinstance(value, tuple) else (value,)


def _end_of_loop_at(frame: FrameType) -> Again | None:
    """`asyncio.run` on its way out, where it waits for the threads of the loop's own executor."""
    if not known_functions.is_runners_close(frame):
        return None
    loop = asyncio_internals.runners_loop(known_functions.owner(frame))
    tasks = all_tasks(loop) if loop is not None else ()
    if [getattr(task.get_coro(), "__name__", "") for task in tasks] != ["shutdown_default_executor"]:
        return None
    # One that awaits nothing has not begun, or has no threads to wait for: raised now, it would only tear
    # apart a loop that is being set up. uvloop's then cannot be closed any more.
    if not any(awaited(task) is not None for task in tasks):
        return None
    return Again(KeyboardInterrupt(), default_executor(loop))


def _waits_for_tasks(frame: FrameType | None) -> bool:
    """Whether `asyncio.run` is on its way out, and waits for tasks that it has cancelled."""
    while frame is not None and owner_of(frame.f_code.co_filename) != "user":
        if known_functions.cancels_all_tasks(frame.f_code):
            return known_functions.is_asyncios(frame)
        frame = frame.f_back
    return False


def _is_lost(error: BaseException, frame: FrameType | None, handled: BaseException | None) -> bool:
    last = error.__traceback__
    if last is None or handled is not None:
        return False
    while frame is not None and frame is not last.tb_frame:
        frame = frame.f_back
    if frame is None:
        return not has_handler(last.tb_frame.f_code, last.tb_lasti)
    return frame.f_lasti == last.tb_lasti and owner_of(frame.f_code.co_filename) != "user"
