"""The locks that processes share: who let one go when, and who has waited for one.

Events, conditions, barriers and queues of multiprocessing are made of them, and so are seen, too. Who let go
what another process waited for is found when the evidence of all is together
(`importing/process_lock_waits.py`). A release is noted whether anybody waits or not, which no process knows.
So only the last ones are kept, and once the budget is spent nothing is watched any more.
"""

from __future__ import annotations

import functools
import threading
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from types import ModuleType
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from concmagic.clock import monotonic_ns
from concmagic.interpreter import process_lock_internals as internals
from concmagic.interpreter.borrowing import Patches, on_import
from concmagic.interpreter.frames_and_threads import hide_frame
from concmagic.problems import Problem
from concmagic.recording.guards import noter
from concmagic.recording.time_budget import Meter, TimeBudget

if TYPE_CHECKING:
    from concmagic.records.handed_over import ProcessLockLog

SHORTEST_NS = 200_000  # what takes less is part of the running around it
MOST = 5_000  # releases, and waits, that are kept of each thread: the last ones
_AROUND = 12.0  # what a stand-in takes beside what it notes, in calls of a function, as measured

Function = Callable[..., Any]

_patches = Patches()  # a forked child inherits them, and what they stand in
_imports = ExitStack()
_is_watching = False
_wrapped: WeakSet[Any] = WeakSet()  # locks that have methods of ours in themselves
_made: dict[int, int] = {}  # by the address of a semaphore when it was made, as far as that was seen
_current: ProcessLockRecorder | None = None  # after a fork the parent's, until the child has its own


class ProcessLockRecorder:
    """Observes the locks of multiprocessing in this process from `start` to `stop`."""

    def __init__(self, time: TimeBudget | None = None) -> None:
        self.problems: list[Problem] = []
        self.meter = Meter(time or TimeBudget(), _AROUND)
        self.local = threading.local()  # has `rows`, those of the thread
        self._threads: list[_OfThread] = []
        self._ended_ns: int | None = None  # the budget was spent then

    def start(self) -> None:
        """Observe from now on."""
        global _current
        watch()
        _current = self

    def stop(self) -> ProcessLockLog | None:
        """Put everything back, and hand over what was seen; None where nothing was."""
        global _current
        if _current is self:
            _current = None
            unwatch()
        threads, self._threads = self._threads, []
        return _log(threads, self._ended_ns) if threads else None

    def new_rows(self) -> _OfThread:
        """What is noted of the calling thread, from its first use of a lock on."""
        rows = self.local.rows = _OfThread()
        self._threads.append(rows)
        return rows

    def waited(self, semaphore: Any, begun_ns: int, ended_ns: int, got: bool) -> None:
        """The calling thread has waited for this."""
        rows = getattr(self.local, "rows", None) or self.new_rows()
        rows.waits.append((semaphore, begun_ns, ended_ns, got))

    def rest(self) -> None:
        """The budget is spent: nothing costs anything any more."""
        global _current
        if _current is self:
            self._ended_ns = monotonic_ns()
            _current = None
            unwatch()


class _OfThread:
    """The rows of one thread, each with its semaphore. So that lives on, and its address is no other's."""

    __slots__ = ("native_id", "releases", "waits")

    def __init__(self) -> None:
        self.native_id = threading.get_native_id()
        self.releases: deque[tuple[Any, int]] = deque(maxlen=MOST)
        self.waits: deque[tuple[Any, int, int, bool]] = deque(maxlen=MOST)


def watch() -> None:
    """Be where locks are made and used from now on; in a spawned child before it gets some."""
    global _is_watching
    if not _is_watching:
        _is_watching = True
        _imports.enter_context(on_import(internals.MODULE, _install))


def unwatch() -> None:
    """Put everything back."""
    global _is_watching
    _is_watching = False
    _imports.close()
    _patches.restore()
    for lock in list(_wrapped):
        if getattr(vars(lock).get("release"), "__code__", None) is _RELEASE_CODE:
            internals.give_plain_methods(lock)
    _wrapped.clear()


def _install(module: ModuleType) -> None:
    kind = module.SemLock
    _patches.wrap(kind, internals.ENTERS, lambda one: _taking(one, None))
    _patches.wrap(kind, internals.LEAVES, lambda one: _letting_go(one, None))
    _patches.wrap(kind, internals.MAKES_METHODS, _making)
    for lock in internals.known_locks(module):
        _give_ours(lock)


def _making(original: Function) -> Function:
    """A lock is made, or arrives in a spawned process."""

    @functools.wraps(original)
    def make_methods(self: Any) -> None:
        original(self)
        try:
            _made[internals.semaphore_of(self).handle] = monotonic_ns()
            _give_ours(self)
        except Exception as error:
            note_failure(error)

    note_failure = noter(original)
    return make_methods


def _give_ours(lock: Any) -> None:
    if internals.has_plain_methods(lock):
        semaphore = internals.semaphore_of(lock)
        lock.acquire = _taking(lock.acquire, semaphore)
        lock.release = _letting_go(lock.release, semaphore)
        _wrapped.add(lock)


def _taking(original: Function, semaphore: Any) -> Function:
    """A stand-in that notes how long it took; without a semaphore for a method, which is given its lock."""

    def acquire(*arguments: Any, **options: Any) -> Any:
        recorder = _current
        if recorder is None:
            return original(*arguments, **options)
        meter = recorder.meter
        meter.left -= 1
        timed = meter.begin() if meter.left <= 0 else 0
        begun_ns = monotonic_ns()
        try:
            got = original(*arguments, **options)
        except BaseException as error:
            hide_frame(error)
            raise
        ended_ns = monotonic_ns()
        if ended_ns - begun_ns >= SHORTEST_NS:
            recorder.waited(semaphore or internals.semaphore_of(arguments[0]), begun_ns, ended_ns, got)
        if timed and meter.end(timed):
            recorder.rest()
        return got

    return acquire


def _letting_go(original: Function, semaphore: Any) -> Function:
    """A stand-in that notes when it was; the moment before, since who waited may go on before it returns."""

    def release(*arguments: Any) -> Any:
        recorder = _current
        if recorder is None:
            return original(*arguments)
        meter = recorder.meter
        meter.left -= 1
        timed = meter.begin() if meter.left <= 0 else 0
        at_ns = monotonic_ns()
        try:
            result = original(*arguments)
        except BaseException as error:
            hide_frame(error)
            raise
        try:
            rows = recorder.local.rows
        except AttributeError:
            rows = recorder.new_rows()
        rows.releases.append((semaphore or internals.semaphore_of(arguments[0]), at_ns))
        if timed and meter.end(timed):
            recorder.rest()
        return result

    return release


_RELEASE_CODE = _letting_go(print, None).__code__


def _log(threads: list[_OfThread], ended_ns: int | None) -> ProcessLockLog:
    from concmagic.records.handed_over import ProcessLockLog, ProcessLockWait  # made late: a child waits

    numbers: dict[str, int] = {}

    def number(semaphore: Any) -> int:
        made_ns = _made.get(semaphore.handle, 0)
        return numbers.setdefault(internals.identity_of(semaphore, made_ns), len(numbers))

    waits = tuple(
        ProcessLockWait(number(semaphore), one.native_id, begun_ns, end_ns, bool(got))
        for one in threads
        for semaphore, begun_ns, end_ns, got in list(one.waits)
    )
    releases = tuple(
        (number(semaphore), one.native_id, at_ns)
        for one in threads
        for semaphore, at_ns in list(one.releases)
    )
    return ProcessLockLog(tuple(numbers), waits, releases, ended_ns)
