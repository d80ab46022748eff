"""Locks one by one, from Python 3.12 on: a second tool beside VizTracer in `sys.monitoring`.

Calls are looked at once: where no lock is taken or let go, that place is switched off (DISABLE), so that
code without locks runs as before. Up to 3.13 a `with` enters its lock without a call: there the single
instructions of functions that have one are watched, and the lock is read off the frame's stack.

All of it is paid for by a budget of time. Once that is spent no event is left, so that the program runs as
if it was not watched, and what was known of locks is forgotten. `resume` begins anew.
"""

from __future__ import annotations

import _thread
import sys
from types import BuiltinFunctionType, CodeType, MethodDescriptorType
from typing import Any

from concmagic.clock import held, monotonic_ns
from concmagic.interpreter import lock_internals, profiler_hooks
from concmagic.interpreter import value_stack as stack
from concmagic.interpreter.frames_and_threads import getframe
from concmagic.interpreter.lock_internals import is_lock
from concmagic.recording.locks.lock_holders import LockTable
from concmagic.recording.locks.lock_methods import (
    JOIN,
    LET_GO,
    LET_GO_ENTIRELY,
    PUT,
    RESTORE,
    TAKE,
    bound,
    may_be_lock,
    unbound,
)
from concmagic.recording.locks.lock_sites import makers
from concmagic.recording.locks.lock_state import quick_ways, semaphore_codes
from concmagic.recording.time_budget import Meter, TimeBudget

monitoring: Any = vars(sys)["monitoring"]
NAME = "concmagic locks"
TOOL_IDS = (4, 3)  # 5 is for calls; 0, 1 and 2 have a meaning of their own
AROUND = 4.0  # what the interpreter does to tell an event takes, in calls of a function, as measured
_PATIENCE_S = 0.2  # for a thread of ours that is resuming; in a fork there is none


class LockMonitor:
    """Feeds a LockTable from `start` to `stop`. Raises RuntimeError where no tool id is free."""

    def __init__(self, table: LockTable, budget: TimeBudget) -> None:
        self.table = table
        self.sees_with = lock_internals.here().sees_with
        self.watched: list[tuple[int, int]] = []  # from when to when every operation was seen
        self.rests = False  # the budget is spent: nothing is watched
        self.failure: Exception | None = None  # why nothing is, if not because of the budget
        self.lost_to: str | None = None  # who has its tool since; "" is nobody, None: it kept it
        self._meter = Meter(budget, AROUND)
        self._since_ns = 0
        self._turn = _thread.allocate_lock()
        self._tool: int | None = None
        self._watched: dict[int, tuple[CodeType, lock_internals.Watched]] = {}
        self._instructed: list[CodeType] = []
        self._take, self._let_go, self._has = quick_ways(table)
        self._methods = unbound()
        self._semaphores = semaphore_codes()
        self._makers = makers() if stack.can_read() else {}

    def start(self) -> None:
        """Take a tool id and watch."""
        self._tool = next((one for one in TOOL_IDS if monitoring.get_tool(one) is None), None)
        if self._tool is None:
            raise RuntimeError
        monitoring.use_tool_id(self._tool, NAME)
        for event, callback in self._callbacks().items():
            monitoring.register_callback(self._tool, event, callback)
        # What an earlier recording switched off may take a lock this time.
        monitoring.restart_events()
        self._set_events(self._tool)
        profiler_hooks.when_asked(self._tool, self._step_back)

    def _set_events(self, tool: int) -> None:
        events = monitoring.events
        for code in self._semaphores:
            monitoring.set_local_events(tool, code, events.PY_RETURN)
        for code in self._instructed:
            monitoring.set_local_events(tool, code, events.INSTRUCTION)
        begins = events.PY_START | events.PY_RESUME if lock_internals.here().in_instructions else 0
        monitoring.set_events(tool, events.CALL | begins)
        self._since_ns = monotonic_ns()

    def _clear_events(self, tool: int) -> None:
        monitoring.set_events(tool, 0)
        for code in (*self._semaphores, *self._instructed):
            monitoring.set_local_events(tool, code, 0)

    def rest(self) -> None:
        """The budget is spent, or watching has failed: nothing costs anything any more."""
        tool = self._tool
        if self.rests or tool is None:
            return
        self.rests = True
        self._note_watched()
        if monitoring.get_tool(tool) == NAME:  # else the cell has freed it
            self._clear_events(tool)
        self.table.finish(monotonic_ns())

    def _note_watched(self) -> None:
        self.watched.append((self._since_ns, monotonic_ns()))

    def resume(self) -> None:
        """Watch again, of locks that nothing is known of; in a thread of ours."""
        with held(self._turn, 0) as got:
            tool = self._tool
            if not got or not self.rests or tool is None or self.failure is not None:
                return
            if monitoring.get_tool(tool) == NAME:
                self.table.begin_anew()
                self._take, self._let_go, self._has = quick_ways(self.table)
                self.rests = False
                self._set_events(tool)

    def _step_back(self, taker: str) -> None:
        """Another tool wants the number; "" is that the cell frees it."""
        self.stop()
        self.lost_to = taker

    def stop(self) -> None:
        """Leave nothing, also where the cell has freed the tool, or given it to another."""
        with held(self._turn, _PATIENCE_S):  # until `resume` has come to its end
            tool, self._tool = self._tool, None
        if tool is None:
            return
        if not self.rests:
            self._note_watched()
        profiler_hooks.forget(tool)
        codes = (*self._semaphores, *self._instructed)
        owner = monitoring.get_tool(tool)
        self.lost_to = None if owner == NAME else owner or ""
        if owner is None:  # up to 3.13 a freed tool's events go on
            monitoring.use_tool_id(tool, NAME)
        elif owner != NAME:
            profiler_hooks.leave_to_another(tool, self._callbacks(), codes)
            self._watched, self._instructed = {}, []
            return
        self._clear_events(tool)
        self._watched, self._instructed = {}, []
        for event in self._callbacks():
            monitoring.register_callback(tool, event, None)
        monitoring.free_tool_id(tool)

    def _callbacks(self) -> dict[int, Any]:
        events = monitoring.events
        return {
            events.CALL: self._on_call,
            events.C_RETURN: self._on_return,
            events.C_RAISE: self._on_raise,
            events.PY_START: self._on_start,
            events.PY_RESUME: self._on_start,
            events.INSTRUCTION: self._on_instruction,
            events.PY_RETURN: self._on_semaphore,
        }

    # What is raised in a callback would be raised in the user's code: so nothing is.

    def _on_call(self, code: CodeType, offset: int, callable: Any, argument: Any) -> Any:
        meter = self._meter
        meter.left -= 1
        timed = meter.begin() if meter.left <= 0 else 0
        try:
            if id(callable) in self._makers and self.table.creations.call(self.table.thread(), code, offset):
                self._watch_instructions(code)
                return None
            kind = type(callable)
            if kind is MethodDescriptorType:
                operation, target = self._methods.get(callable), argument
            elif kind is BuiltinFunctionType:
                operation, target = bound(callable)
            else:
                return None if may_be_lock(callable) else monitoring.DISABLE
            if operation is None:
                return monitoring.DISABLE
            if operation == TAKE:
                if not self._take(target):
                    self.table.begin(target, callable, code, offset)
            elif operation == LET_GO:
                if not self._let_go(target):
                    self.table.release(target)
            elif operation == LET_GO_ENTIRELY:
                self.table.release(target, entirely=True)
            elif operation == PUT:
                self.table.put(target)
            elif operation == JOIN:
                self.table.begin_join(target, callable, code, offset)
            else:
                self.table.begin(target, callable, code, offset, operation == RESTORE)
        except Exception as error:
            self._fail(error)
        finally:
            if timed:
                self._timed(timed)
        return None

    # These two must never answer DISABLE: that would be an error in the user's code.
    def _on_return(self, code: CodeType, offset: int, callable: Any, argument: Any) -> None:
        meter = self._meter
        meter.left -= 1
        timed = meter.begin() if meter.left <= 0 else 0
        try:
            if not self._has(code, offset, True):
                self.table.end(callable, code, True, getframe(1))
        except Exception as error:
            self._fail(error)
        finally:
            if timed:
                self._timed(timed)

    def _on_raise(self, code: CodeType, offset: int, callable: Any, argument: Any) -> None:
        meter = self._meter
        meter.left -= 1
        timed = meter.begin() if meter.left <= 0 else 0
        try:
            if not self._has(code, offset, False):
                self.table.end(callable, code, False, getframe(1))
        except Exception as error:
            self._fail(error)
        finally:
            if timed:
                self._timed(timed)

    def _on_start(self, code: CodeType, offset: int) -> Any:
        try:
            if id(code) not in self._watched and lock_internals.has_with(code) and self._tool is not None:
                self._watched[id(code)] = code, lock_internals.watched(code)
                self._watch_instructions(code)
        except Exception as error:
            self._fail(error)
        return monitoring.DISABLE

    def _watch_instructions(self, code: CodeType) -> None:
        events, wanted = monitoring.get_local_events(self._tool, code), monitoring.events.INSTRUCTION
        if not events & wanted:
            self._instructed.append(code)
            monitoring.set_local_events(self._tool, code, events | wanted)

    def _on_instruction(self, code: CodeType, offset: int) -> Any:
        meter = self._meter
        meter.left -= 1
        timed = meter.begin() if meter.left <= 0 else 0
        try:
            made = self.table.creations.after.get((id(code), offset))
            if made is not None and not self.rests:
                self.table.creations.returned(self.table.thread(), getframe(1), *made)
            known = self._watched.get(id(code))
            happens = known[1].get(offset) if known is not None else None
            if happens is None:
                return monitoring.DISABLE if made is None else None
            if self.rests:
                return None  # it is just being switched off
            what, slot = happens
            if what == lock_internals.ENTERED:
                if not self._has(code, offset, True):
                    self.table.end(None, code, True, getframe(1))
                return None
            target = lock_internals.target(getframe(1), slot)
            if what == lock_internals.ENTERS:
                if is_lock(target) and not self._take(target):
                    self.table.begin(target, None, code, offset)
            elif type(target) is BuiltinFunctionType and bound(target)[0] == LET_GO:
                self.table.release(target.__self__)
        except Exception as error:
            self._fail(error)
        finally:
            if timed:
                self._timed(timed)
        return None

    def _on_semaphore(self, code: CodeType, offset: int, returned: Any) -> None:
        try:
            takes = self._semaphores.get(code)
            if takes is None or self.rests or (takes and returned is not True):
                return
            given = getframe(1).f_locals
            self.table.permit(given["self"], takes, 1 if takes else given["n"])
        except Exception as error:
            self._fail(error)

    def _timed(self, began_ns: int) -> None:
        try:
            if self._meter.end(began_ns):
                self.rest()
        except Exception as error:
            self.failure = self.failure or error

    def _fail(self, error: Exception) -> None:
        self.failure = self.failure or error
        self.rest()
