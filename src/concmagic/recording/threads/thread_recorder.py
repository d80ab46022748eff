"""Every thread of this process during a cell: its name, its life, who made it, its CPU time.

What is replaced on `threading.Thread` between start and stop is chosen so that no frame of ours
stands in a traceback: `_bootstrap` (read once by `Thread.start`, so looking at it tells when and by
whom) and `_delete` (called last thing by every thread, also one that began before the cell).

Below `threading`, a thread of `_thread.start_new_thread` runs a chain of functions written in C around the
user's. The chain asks a generator for the function (the thread begins); the generator is resumed when it
returned, or closed when it raised (the thread ends).
"""

from __future__ import annotations

import _thread
import collections
import functools
import operator
import os
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from concmagic.clock import monotonic_ns, thread_time_ns
from concmagic.interpreter.borrowing import Patches
from concmagic.interpreter.frames_and_threads import BOOTSTRAP, DELETE, getframe, is_stand_in
from concmagic.problems import Problem
from concmagic.recording import earlier, own_threads
from concmagic.recording.guards import guarded
from concmagic.recording.labels import cut, name_of, text_of
from concmagic.recording.threads import thread_life, thread_targets
from concmagic.recording.threads.services import Services
from concmagic.recording.threads.thread_life import Life

if TYPE_CHECKING:
    from concmagic.records.handed_over import Origin, ThreadRecord


_current: ThreadRecorder | None = None
_NOT_OF_THE_CELL = ("kernel", "earlier")


def note_job() -> None:
    """Say that a job of this cell begins or ends on the calling thread, which then works for the cell."""
    recorder = _current
    if recorder is not None:
        recorder.note_job()


class ThreadRecorder:
    """Observes the threads of this process from `start` to `stop`."""

    def __init__(self, on_begin: Callable[[], None] | None = None) -> None:
        self.problems: list[Problem] = []
        self._on_begin = on_begin  # called in each new thread
        self._pid = 0
        self._own_id = 0
        self._lives: list[Life] = []
        self._alive: dict[int, Life] = {}  # by native id, which is unique among the living only
        self._pools = thread_targets.PoolNames()
        self._patches = Patches()
        self._services = Services(self.life_here)

    def start(self) -> None:
        """Note the threads that are there and begin to see new ones."""
        global _current
        if _current is not None:
            # After a fork the parent's recorder is still in place here, about threads that are not.
            _current._uninstall()
        _current = self
        self._pid = os.getpid()
        self._own_id = threading.get_native_id()
        earlier.clear()
        read = thread_life.reader()
        for thread in threading.enumerate():
            guarded(partial(self._note_existing, thread, read), self.failed)
        self._install()

    def stop(self) -> tuple[ThreadRecord, ...]:
        """Put everything back and hand over one record per thread."""
        global _current
        self._uninstall()
        if _current is self:
            _current = None
        self._note_left()
        for life in self._lives:
            life.name_by_what_it_does()
        records = tuple(life.record(_origin(life)) for life in self._lives)
        self._lives, self._alive = [], {}
        earlier.clear()
        return records

    def begin(self, life: Life) -> None:
        """Call in the thread itself, first thing."""
        life.begin(monotonic_ns(), threading.get_native_id(), threading.get_ident())
        starter = self._alive.get(life.starter or 0)
        if starter is not None and starter.origin in _NOT_OF_THE_CELL and life.origin != "ours":
            life.origin = starter.origin  # they start helpers during a cell, too
        self._add(life)
        if self._on_begin is not None:
            self._on_begin()

    def end(self, life: Life) -> None:
        """Call in the thread itself, last thing; a second call changes nothing."""
        if life.ended_ns is None:
            life.end(monotonic_ns())
            earlier.remove(life.native_id)
            if self._alive.get(life.native_id) is life:
                del self._alive[life.native_id]

    def life_here(self) -> Life | None:
        """The life of the calling thread."""
        return self._alive.get(threading.get_native_id())

    def note_job(self) -> None:
        """See the module's function of this name."""
        life = self.life_here()
        if life is not None:
            life.worked = True
            life.note_cpu(monotonic_ns(), thread_time_ns())

    def _note_existing(self, thread: threading.Thread, read: Callable[[int], int | None]) -> None:
        native_id = thread.native_id
        if thread is threading.current_thread():
            native_id = self._own_id  # Thread.native_id is still the parent's after a fork
        if native_id is None or thread.ident is None:
            return  # between start() and its first instruction; it was started before the cell
        target = thread_targets.target_of(thread)
        is_cells = native_id == self._own_id  # the thread that runs the cell
        origin = "user" if is_cells else thread_targets.origin_before_cell(thread, target)
        life = Life(_name(thread, native_id), thread.daemon, origin)
        life.group, life.is_server = self._pools.group_of(thread, target), thread_targets.serves(target)
        life.native_id, life.ident = native_id, thread.ident
        cpu = read(native_id)
        if cpu is not None:
            life.note_cpu(monotonic_ns(), cpu)
        if native_id == threading.get_native_id():
            life.switches_before = thread_life.switches() or (0, 0)
        self._add(life)

    def _add(self, life: Life) -> None:
        self._lives.append(life)
        self._alive[life.native_id] = life
        if life.origin == "earlier":
            earlier.add(life.native_id)

    def _install(self) -> None:
        kind = threading.Thread
        self._patches.wrap(kind, BOOTSTRAP, lambda original: _Bootstrap(self, vars(kind)[BOOTSTRAP]))
        self._patches.wrap(kind, DELETE, partial(_deleting, self))
        self._patches.wrap(_thread, "start_new_thread", partial(_starting, self))
        self._services.start()

    def _uninstall(self) -> None:
        self._services.stop()
        self._patches.restore()  # what somebody has put over ours stays: it knows ours, which does no harm

    def observe(
        self, thread: threading.Thread, started_ns: int, starter: int, is_librarys: bool = False
    ) -> Life:
        """Begin the life of a thread of `threading`, in that thread."""
        target = thread_targets.target_of(thread)
        life = Life(cut(text_of(thread.name)), thread.daemon, thread_targets.origin_of(target))
        life.group, life.is_server = self._pools.group_of(thread, target), thread_targets.serves(target)
        life.serves = thread_targets.function_of(thread, target)
        if is_librarys and life.origin == "user" and not life.group:
            life.origin = "library"
        life.started_ns, life.starter = started_ns, starter
        self.begin(life)
        guarded(partial(life.watch_exception, thread), self.failed)
        return life

    def _note_left(self) -> None:
        """Complete what is still alive: its last name, its clock."""
        by_ident = {thread.ident: thread for thread in threading.enumerate()}
        read = thread_life.reader()
        for life in tuple(self._alive.values()):
            guarded(partial(self._note_last, life, by_ident.get(life.ident), read), self.failed)

    def _note_last(
        self, life: Life, thread: threading.Thread | None, read: Callable[[int], int | None]
    ) -> None:
        if thread is not None:
            life.leave(thread, _name(thread, life.native_id, life.name))
        cpu = read(life.native_id)
        if cpu is not None:
            life.note_cpu(monotonic_ns(), cpu, last=True)
        if life.native_id == threading.get_native_id():
            life.switches = thread_life.switches()

    def failed(self, error: BaseException) -> None:
        """Tell that a thread, or the end of one, could not be noted."""
        problem = Problem.of("thread_not_recorded", error)
        if problem not in self.problems:
            self.problems.append(problem)


def _origin(life: Life) -> Origin:
    if own_threads.contains(life.native_id):
        return "ours"
    return "user" if life.worked and life.origin != "ours" else life.origin


class _Bootstrap:
    """Stands for `Thread._bootstrap`: `Thread.start` reads it from the instance, once, to start it."""

    def __init__(self, recorder: ThreadRecorder, original: Any) -> None:
        self._recorder = recorder
        self._original = original

    def __get__(self, thread: threading.Thread | None, owner: type | None = None) -> Any:
        if thread is None:
            return self._original
        bootstrap = self._original.__get__(thread, owner)
        asked = monotonic_ns(), threading.get_native_id(), getframe(1)
        is_librarys = guarded(partial(thread_targets.is_librarys, thread, asked[2]), self._recorder.failed)
        return functools.partial(_run, self._recorder, thread, bootstrap, *asked[:2], bool(is_librarys))


def _run(
    recorder: ThreadRecorder,
    thread: threading.Thread,
    bootstrap: Any,
    started_ns: int,
    starter: int,
    is_librarys: bool,
) -> None:
    """The first Python frame of a thread of the cell."""
    life = guarded(partial(recorder.observe, thread, started_ns, starter, is_librarys), recorder.failed)
    try:
        bootstrap()
    finally:
        if life is not None:
            guarded(partial(recorder.end, life), recorder.failed)


def _deleting(recorder: ThreadRecorder, original: Any) -> Any:
    @functools.wraps(original)
    def _delete(thread: threading.Thread) -> None:
        guarded(partial(_leave, recorder, thread), recorder.failed)
        original(thread)

    return _delete


def _leave(recorder: ThreadRecorder, thread: threading.Thread) -> None:
    life = recorder.life_here()
    if life is not None:
        life.leave(thread, _name(thread, life.native_id, life.name))
        recorder.end(life)


def _name(thread: threading.Thread, native_id: int, known: str = "") -> str:
    """The name that `threading` knows, but for a stand-in that it made for a thread it did not start."""
    if is_stand_in(thread):
        return known or f"thread {native_id}"
    return cut(text_of(thread.name))


class _Chain(functools.partial[Any]):
    """Prints as the user's function: an uncaught exception names it."""

    def __repr__(self) -> str:
        return repr(self.function)  # type: ignore[attr-defined]


def _starting(recorder: ThreadRecorder, original: Callable[..., int]) -> Callable[..., int]:
    @functools.wraps(original)
    def start_new_thread(function: Any, args: Any, *more: Any) -> int:
        keywords = more[0] if more else {}
        sound = callable(function) and isinstance(args, tuple) and isinstance(keywords, dict)
        if not sound or len(more) > 1:
            return original(function, args, *more)  # it raises what it always raises
        call = functools.partial(function, *args, **keywords)
        steps = _steps(recorder, function, call, monotonic_ns(), threading.get_native_id())
        chain = _Chain(collections.deque, map(operator.call, steps), 0)
        chain.function = function  # type: ignore[attr-defined]
        return original(chain, ())

    return start_new_thread


def _steps(
    recorder: ThreadRecorder, function: Any, call: Any, started_ns: int, starter: int
) -> Iterator[Any]:
    life = guarded(partial(_begun, recorder, function, started_ns, starter), recorder.failed)
    del function
    try:
        yield call
    finally:
        if life is not None:
            guarded(partial(recorder.end, life), recorder.failed)


def _begun(recorder: ThreadRecorder, function: Any, started_ns: int, starter: int) -> Life:
    life = Life(name_of(function), True, thread_targets.origin_of(function))
    life.started_ns, life.starter = started_ns, starter
    recorder.begin(life)
    return life
