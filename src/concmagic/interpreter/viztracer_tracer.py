"""The one VizTracer tracer of this process, made on first use and used for every cell.

One, and never freed: VizTracer takes one of the process's 1,024 thread keys for each tracer and
never returns it (ending the process when there are none left), and a thread that outlives its
tracer writes into freed memory when it ends. Between recordings it holds no events and no buffer.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from concmagic.clock import monotonic_ns
from concmagic.interpreter import borrowing, profiler_hooks, viztracer_check, viztracer_library
from concmagic.interpreter.borrowing import Capability, unless
from concmagic.interpreter.event_nodes import (
    ThreadInfo,
    TracerHead,
    forget_ended_threads,
    free_buffer,
    new_buffer,
    threads_met,
)
from concmagic.interpreter.profiler_hooks import ToolPlace
from concmagic.interpreter.viztracer_library import QuietThreading, pointer

ClockPair = tuple[int, int]  # VizTracer's raw timestamp, CLOCK_MONOTONIC in nanoseconds
_FALLBACK_ENTRIES = 1_000_000
_READINGS = 5
_TRIES = 2  # busy threads could fill the buffer of one check
_SHORT_NS = 50_000_000

# VizTracer skips what this file's functions call, too: nothing of the user's may ever be called there.
# Its hooks run for every wake-up of a task, and to record them would cost more than they do.
_HERE = os.path.dirname(__file__)
LEFT_OUT = (os.path.join(_HERE, "task_scheduling.py"),)

_flawless: dict[str, int] = {}  # libraries whose memory was found to be as it is read → in which process


class ProcessTracer:
    """A tracer, and what is known of it. `flaw` is "" where its memory may be read."""

    def __init__(self, tracer_type: type[Any], library: str) -> None:
        self.pid = os.getpid()
        self.quiet = QuietThreading(library)
        self.place = None if profiler_hooks.NEEDED else ToolPlace(library)
        self._current = pointer(library, "curr_tracer")
        self._library = library
        self._tracer_type = tracer_type
        for _ in range(_TRIES):
            self.tracer = self._make(viztracer_check.ENTRIES)
            # A forked child has the same library at the same place: its parent has looked already.
            self.flaw = "" if _flawless.get(library, self.pid) != self.pid else self._checked()
            if not self.flaw:
                _flawless.setdefault(library, self.pid)
                break
        else:
            self.tracer = self._make(_FALLBACK_ENTRIES)
            self.tracer.ignore_c_function = True
        self.head = TracerHead.from_address(id(self.tracer))
        self._hook: Any = None
        self._starter = 0
        self._left: set[int] = set()  # threads that are in a step of which no calls are recorded
        self.left_out = 0  # such steps since it was started
        self._first_pair = self.clock_pair()

    def _make(self, entries: int) -> Any:
        self.quiet.install()
        hook = threading.getprofile() if profiler_hooks.NEEDED else None
        try:
            with self._as_ours():
                tracer = self._tracer_type(entries)
        finally:
            self.quiet.remove()
            if profiler_hooks.NEEDED:  # its constructor sets both
                sys.setprofile(None)
                threading.setprofile(hook)
        self.quiet.know(tracer)
        tracer.verbose = 0
        tracer.exclude_files = list(LEFT_OUT)
        ctypes.pythonapi["Py_IncRef"](ctypes.py_object(tracer))  # not even at the interpreter's end
        return tracer

    def _checked(self) -> str:
        self.quiet.install()
        self.take_place()
        try:
            with self._as_ours():
                return viztracer_check.find_flaw(self.tracer)
        except (ValueError, TypeError, AttributeError, OSError) as error:
            return f"{type(error).__name__}: {error}"
        finally:
            self.quiet.remove()
            if self.place is not None:
                self.place.leave(self.tracer)

    def take_place(self) -> bool:
        """Choose where in `sys.monitoring` to record; False: other tools have taken every place."""
        return self.place is None or self.place.take()

    @contextmanager
    def _as_ours(self) -> Iterator[None]:
        """Within this block the tracer is made, starts or stops: what VizTracer sets is ours.

        It knows of no other tracer meanwhile, nor of ours afterwards: it would print a warning into the cell.
        """
        theirs = self._current.value if self._current is not None else None
        try:
            if self._current is not None:
                self._current.value = None
            with self.quiet.as_ours() if self.place is None else self.place.in_use():
                yield
        finally:
            if self._current is not None:
                self._current.value = theirs

    def prepare(self, entries: int) -> bool:
        """Make room and enter every thread; False: on 3.11 older threads could not be reached."""
        self._hook = threading.getprofile() if profiler_hooks.NEEDED else None
        self.quiet.install()
        self.tracer.reset_stack()
        if self.flaw:
            self.tracer.clear()
        else:
            forget_ended_threads(self.head)
            new_buffer(self.head, entries)
        return self._enter_threads() if profiler_hooks.NEEDED else True

    def end_forgotten(self) -> bool:
        """End a recording that nobody ended, as its end failed; False: it goes on, and fills its buffer.

        That buffer must not be freed under it: the next call of any function would write there.
        """
        if not self.flaw and self.head.collecting:
            self.halt(self.evicted())
        return bool(self.flaw) or not self.head.collecting

    def start(self, step_back: profiler_hooks.StepBack) -> None:
        """Collect from now on, until who asks for our place gets it after `step_back`."""
        self.left_out = 0
        with self._as_ours():
            self.tracer.start()
        self._starter = threading.get_ident()
        if self.place is not None:
            self.place.when_asked(step_back, other=self.quiet.remove)

    def displaced(self) -> bool:
        """Whether another profiler has ended this recording since it began."""
        if self.place is None:
            ident = threading.get_ident()
            mine = ident == self._starter and ident not in self._left
            return mine and sys.getprofile() is not self.tracer
        return self.place.is_lost() or not self.place.calls(self.tracer)

    def evicted(self) -> bool:
        """Whether the profiler that displaced this one still runs and must be left alone: no end then."""
        if not self.displaced():
            return False
        if self.place is None:
            return isinstance(sys.getprofile(), self._tracer_type)
        return not self.place.is_safe and self.place.is_taken()

    def unrecorded(self, function: Callable[[Any], Any], argument: Any) -> Any:
        """Up to 3.11: call a function and record nothing of it, in this thread."""
        ident = threading.get_ident()
        if ident in self._left or not self.head.collecting:
            return function(argument)
        self._left.add(ident)
        self.left_out += 1
        self.tracer.pause()
        try:
            return function(argument)
        finally:
            self.tracer.resume()
            self._left.discard(ident)
            if not self.head.collecting:  # it was ended meanwhile, and would stay paused in the next cell
                self._unpause()

    def _unpause(self) -> None:
        for node in threads_met(self.head):
            if node.info and node.native_id == threading.get_native_id():
                ThreadInfo.from_address(node.info).paused = 0

    def _enter_threads(self) -> bool:
        threading.setprofile(self.tracer.threadtracefunc)  # for those to come
        function = pointer(self._library, "tracer_tracefunc")  # no pointer, but what lies there is a function
        return function is not None and profiler_hooks.set_all(ctypes.addressof(function), self.tracer)

    def halt(self, evicted: bool) -> None:
        """Collect no more, anywhere; calls in progress become open events. The events stay."""
        hook = sys.getprofile() if profiler_hooks.NEEDED else None
        if self.place is not None:
            self.place.forget()
            self.place.reclaim()
        try:
            if not evicted:
                with self._as_ours():
                    self.tracer.stop(None)
            elif not self.flaw:
                self.head.collecting = 0
        finally:
            self.quiet.remove()
            if profiler_hooks.NEEDED:
                self._leave_threads(evicted)
                self._set_again(hook)
            elif self.place is not None:
                self.place.leave(self.tracer)

    def _set_again(self, hook: Any) -> None:
        """The cell's own profiler goes on after the cell; what VizTracer sets is not callable."""
        if callable(hook):
            sys.setprofile(hook)
        elif hook is not None and not isinstance(hook, self._tracer_type):
            enable = getattr(hook, "enable", None)  # cProfile's: with the options it had
            if callable(enable):
                enable()

    def _leave_threads(self, evicted: bool) -> None:
        if not evicted:
            profiler_hooks.clear_all()
        hook = threading.getprofile()
        if getattr(hook, "__self__", None) is self.tracer:  # else the cell has set its own: it stays
            threading.setprofile(self._hook)

    def empty(self) -> None:
        """Let go of the events, and of the memory where it may be touched."""
        self.tracer.clear()
        if not self.flaw:
            free_buffer(self.head)

    def clock_pair(self) -> ClockPair:
        """Read both clocks at one instant, the closest of a few readings."""
        if self.flaw:
            now = monotonic_ns()  # `load()` has converted its times already
            return now, now
        readings = [self._read_clocks() for _ in range(_READINGS)]
        return min(readings)[1]

    def _read_clocks(self) -> tuple[int, ClockPair]:
        self.head.sync_marker = 0  # a set one would be warned about
        before = monotonic_ns()
        self.tracer.set_sync_marker()
        after = monotonic_ns()
        return after - before, (self.head.sync_marker, (before + after) // 2)

    def anchor(self, start: ClockPair, end: ClockPair) -> ClockPair:
        """The earlier of the two pairs that map times: for a short cell the process's first one.

        Two readings microseconds apart would give a slope of any kind.
        """
        return start if end[1] - start[1] >= _SHORT_NS else self._first_pair

    def abandon(self) -> None:
        """In a forked child: off, and its memory given back. Its thread ids are the parent's."""
        self.quiet.remove()
        if self.flaw or self.head.collecting:
            self.halt(evicted=False)
        if not self.flaw:
            free_buffer(self.head)  # uncleared: that would copy every page that parent and child share


process_tracers: list[ProcessTracer] = []  # this process's, made on first use; one at most


def process_tracer() -> ProcessTracer:
    """The tracer of this process. Raises ModuleNotFoundError where there is no VizTracer."""
    if not process_tracers:
        snaptrace = viztracer_library.load()
        process_tracers.append(ProcessTracer(snaptrace.Tracer, snaptrace.__file__ or ""))
    return process_tracers[0]


def probe() -> Capability:
    """Whether VizTracer's memory is as it is read: a program whose events are known was recorded."""
    unsafe = "to end a recording is not safe on a free-threaded build" if borrowing.FREE_THREADED else ""
    return unless(unsafe or process_tracer().flaw)
