"""Records calls with VizTracer, for one cell in one process."""

from __future__ import annotations

import os
import sys
import threading
from _thread import allocate_lock
from contextlib import suppress
from typing import TYPE_CHECKING

from concmagic.clock import held
from concmagic.interpreter import borrowing, profiler_hooks
from concmagic.interpreter import viztracer_library as library
from concmagic.interpreter.event_nodes import (
    PY_CLOSED,
    PY_OPEN,
    TracerHead,
    copy_nodes,
    signatures,
    threads_met,
    used,
)
from concmagic.interpreter.native_names import name_functions
from concmagic.interpreter.viztracer_library import GivingUp
from concmagic.interpreter.viztracer_tracer import ClockPair, ProcessTracer, process_tracer, process_tracers
from concmagic.problems import Problem
from concmagic.recording import own_threads, profiles
from concmagic.recording.calls import limit_of
from concmagic.recording.calls.call_events import BudgetWatcher, LiveCalls, PartTaker, as_calls, code_at

if TYPE_CHECKING:
    from concmagic.records.handed_over import RawCalls


# The ring is larger than the limit by what threads can add before the watcher gets its turn. Its
# pages cost nothing until they are written.
SPARE_ENTRIES = (2_000_000, 500_000)  # the second where memory is counted when it is asked for

_retired: list[ProcessTracer] = []  # a forked child's, from its parent: off, and never freed
_MOST_RETIRED = 100  # each costs one of the process's 1,024 thread keys


class CallRecorder:
    """The calls of one cell in this process.

    `detail` "auto" records until `budget` events are there, "calls" until the buffer is full,
    "states" none at all. On a free-threaded build there are none either: to end a recording reads the
    stacks of threads that go on meanwhile, and can end the process.
    """

    def __init__(self, detail: str, budget: int = 300_000) -> None:
        self._active = detail != "states" and not borrowing.FREE_THREADED
        wanted_in_vain = detail == "calls" and borrowing.FREE_THREADED
        self.problems = [Problem.of("calls_asked_for_in_vain")] if wanted_in_vain else []
        self._limit = limit_of(detail, budget)
        self._guard = allocate_lock()
        self._process: ProcessTracer | None = None
        self._watcher: BudgetWatcher | None = None
        self._start_pair: ClockPair = (0, 0)
        self._end_pair: ClockPair | None = None
        self._stopped_ns: int | None = None
        self._giving_up = GivingUp()
        self._gave_up = self._is_unwatched = False
        self._problems: list[Problem] = []
        self._result: RawCalls | None = None
        self._live: LiveCalls | None = None

    def start(self) -> None:
        """Record every thread's calls from here on; none, and a problem, where another tool records them."""
        if not self._active:
            return
        if any(process.pid != os.getpid() for process in process_tracers):
            abandon_after_fork()
        if rival := find_rival():
            self.problems.append(Problem.of("tool_is_busy", *rival))
            return
        process = process_tracer()
        if not process.end_forgotten():
            self.problems.append(Problem.of("earlier_recording_goes_on"))
            return
        self._follow_throws(process)  # also those of a recording whose end failed
        if not process.take_place():
            self.problems.append(Problem.of("no_place_for_calls"))
            return
        self._process = process
        if process.flaw:
            self._problems.append(Problem.of("native_calls_not_recorded", process.flaw))
        self._start_pair = process.clock_pair()
        try:
            self._begin(process)
        except BaseException:  # an interrupt, too, must not leave half of it behind
            self._process = None
            self._giving_up.stop()
            process.halt(evicted=False)
            self._follow_throws(process)
            if self._watcher is not None:
                self._watcher.stop()
            process.empty()
            raise

    def _begin(self, process: ProcessTracer) -> None:
        if not self._prepare(process):
            self._problems.append(Problem.of("threads_not_reached"))
        if not process.flaw:
            self._watcher = BudgetWatcher(
                process, self._limit, self._halt_at_budget, self._look, self._not_watched
            )
            self._watcher.start()
        self._giving_up.start()
        if profiler_hooks.NEEDED and not process.flaw:
            profiles.unrecorded.append(process.unrecorded)
        process.start(self._step_back)
        if self._is_unwatched:
            self._halt(budget_used=True)

    def pass_on_to(self, taker: PartTaker) -> None:
        """Hand over as it goes, from now on; `stop` then hands over the rest only.

        What `taker` raises ends it: that part and all later ones are in the rest.
        """
        process = self._process
        if process is not None and LiveCalls.can_be(process):
            self._live = LiveCalls(process, self._start_pair, taker, self._own_threads)

    def _look(self) -> bool:
        live = self._live
        if live is None:
            return False
        try:
            live.look()
        except Exception:  # what was not handed over is at the end, or lost with its process, which is told
            live.is_over = True
        return live.is_behind

    def _prepare(self, process: ProcessTracer) -> bool:
        much, little = SPARE_ENTRIES
        try:
            return process.prepare(self._limit + much)
        except MemoryError:
            return process.prepare(self._limit + little)

    def stop(self) -> RawCalls | None:
        """Stop, and hand over what was recorded; a second call answers what the first did.

        None for "states", for one never started, and in a forked child that only inherited it.
        """
        process = self._process
        if process is None or self._result is not None:
            return self._result
        if process.pid != os.getpid():
            abandon_after_fork()
            self._process = None
            return None
        self._halt(budget_used=False)
        if self._watcher is not None:
            self._watcher.stop()
        try:
            self._result = self._read(process)
        finally:
            process.empty()
            # Both refer to this object: the events would wait for the collector.
            self._watcher = self._live = None
        return self._result

    def _own_threads(self) -> tuple[int, ...]:
        watcher = () if self._watcher is None else (self._watcher.native_id,)
        return watcher if self._process is None else (*_own_threads(self._process.head), *watcher)

    def _halt_at_budget(self) -> None:
        self._halt(budget_used=True)

    def _not_watched(self, error: Exception) -> None:
        """Nobody would end the recording in time any more: it ends here, or as soon as it has begun."""
        self._problems.append(Problem.of("calls_no_longer_watched", error))
        self._is_unwatched = True
        process = self._process
        if process is not None and process.head.collecting:
            with suppress(Exception):  # else it ends with the cell, and what fails then is told
                self._halt(budget_used=True)

    def _step_back(self, taker: str) -> None:
        """Another tool wants our place in `sys.monitoring`; "" is that the cell frees it."""
        self._halt(budget_used=True)
        self._problems.append(Problem.of("calls_step_back", taker))

    def _halt(self, budget_used: bool) -> None:
        """End the recording, once: the watcher and the cell's end may both ask.

        Raises TimeoutError where the other does not come to an end: the buffer must not be read then.
        """
        process = self._process
        with held(self._guard, own_threads.FAREWELL_S) as got:
            if not got:
                raise TimeoutError("another thread is ending the recording, and does not come to an end")
            if process is None or self._end_pair is not None:
                return
            evicted = process.evicted()
            if process.displaced():
                self._problems.append(Problem.of("tracer_evicted", *_who_displaced()))
                self._stopped_ns = profiles.first_ns()
            else:
                self._gave_up = not process.flaw and not process.head.collecting
            self._giving_up.stop()
            process.halt(evicted)
            self._follow_throws(process)
            if evicted and len(_retired) < _MOST_RETIRED:  # its stacks still hold calls: start with new ones
                _retired.append(process_tracers.pop())
            self._end_pair = process.clock_pair()
            if self._gave_up:
                self._stopped_ns = self._giving_up.at_ns or self._end_pair[1]
            elif budget_used:
                self._stopped_ns = self._end_pair[1]

    def _follow_throws(self, process: ProcessTracer) -> None:
        if process.unrecorded in profiles.unrecorded:
            profiles.unrecorded.remove(process.unrecorded)

    def _read(self, process: ProcessTracer) -> RawCalls:
        from concmagic.records.handed_over import RawCalls  # its class is made late: a child waits

        end = self._end_pair or self._start_pair
        if process.flaw:
            return as_calls(process.tracer.load(), end[1], tuple(self._problems))
        head = process.head
        if head.first:
            self._problems.append(Problem.of("first_calls_overwritten"))
        nodes = copy_nodes(head, self._live.passed_on if self._live is not None else 0)
        functions = signatures(nodes)  # the events hold their code objects until they are cleared
        return RawCalls(
            nodes=nodes,
            codes={owner: code_at(owner) for owner, _, _, kind in functions if kind in (PY_OPEN, PY_CLOSED)},
            c_functions=name_functions(functions),
            clock=(process.anchor(self._start_pair, end), end),
            events=used(head),
            stopped_ns=self._stopped_ns,
            gave_up=self._gave_up,
            left_out=process.left_out,
            problems=tuple(self._problems),
            own_threads=self._own_threads(),
        )


def _who_displaced() -> tuple[str, bool]:
    """The tool that ended the recording by taking its place, "" if nobody knows; whether it is a hook."""
    if profiles.first_ns() is not None:
        return profiles.MODULE, False
    hook = sys.getprofile()
    return ("", False) if hook is None else (hook_name(hook), True)


def abandon_after_fork() -> None:
    """In a forked child: switch the inherited tracer off, so that a new recorder can start here."""
    while process_tracers:
        process = process_tracers.pop()
        _retired.append(process)
        process.abandon()


def _own_threads(head: TracerHead) -> tuple[int, ...]:
    return tuple(node.native_id for node in threads_met(head) if own_threads.contains(node.native_id))


def find_rival() -> tuple[str, bool] | None:
    """Name what is recording in this process already, and whether it is a profile hook. Imports nothing."""
    if library.current_tracer():
        return "VizTracer", False
    if sys.version_info >= (3, 12):  # who is in `sys.monitoring` is no hindrance
        return None
    hooks = [hook for hook in (sys.getprofile(), threading.getprofile()) if hook and not _idle_tracer(hook)]
    return (hook_name(hooks[0]), True) if hooks else None


def hook_name(hook: object) -> str:
    """Name a profile hook by its function or type, with the module it comes from."""
    named = hook if hasattr(hook, "__qualname__") else type(hook)
    module = getattr(named, "__module__", None)
    name = str(named.__qualname__)
    return name if module in (None, "builtins") else f"{module}.{name}"


def _idle_tracer(hook: object) -> bool:
    """A VizTracer of the user's that does not collect: merely making one sets both hooks on 3.11."""
    module = library.loaded()
    owner = getattr(hook, "__self__", hook)
    return module is not None and isinstance(owner, module.Tracer)
