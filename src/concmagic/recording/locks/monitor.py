"""Locks one by one, from Python 3.12 on: a second tool beside VizTracer in `sys.monitoring`.

Calls are looked at once: where no lock is taken or let go, that place is switched off (DISABLE), so that
code without locks runs as before. Up to 3.13 a `with` enters its lock without a call: there the single
instructions of functions that have one are watched, and the lock is read off the frame's stack.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import BuiltinFunctionType, CodeType, FunctionType, MethodDescriptorType, MethodType
from typing import Any

from concmagic.clock import monotonic_ns
from concmagic.interpreter import lock_internals, profiler_hooks
from concmagic.interpreter import value_stack as stack
from concmagic.interpreter.frames_and_threads import ACQUIRE_RESTORE, RELEASE_SAVE, Handle, getframe
from concmagic.interpreter.lock_internals import Lock, RLock, SimpleQueue, is_lock
from concmagic.recording.locks.lock_holders import LockTable
from concmagic.recording.locks.lock_sites import makers
from concmagic.recording.locks.lock_state import quick_ways, semaphore_codes

monitoring: Any = vars(sys)["monitoring"]
NAME = "concmagic locks"
TOOL_IDS = (4, 3)  # 5 is for calls; 0, 1 and 2 have a meaning of their own
MOST_OPERATIONS = 200_000  # takings and lettings go; each costs a microsecond or two
TAKE, LET_GO, LET_GO_ENTIRELY, RESTORE, GET, PUT, JOIN = range(7)
_OF_LOCKS = {
    "acquire": TAKE,
    "acquire_lock": TAKE,
    "__enter__": TAKE,
    ACQUIRE_RESTORE: RESTORE,
    "release": LET_GO,
    "release_lock": LET_GO,
    "__exit__": LET_GO,
    RELEASE_SAVE: LET_GO_ENTIRELY,
}
_OF_HANDLES = {"join": JOIN}
_OF_QUEUES = {"get": GET, "get_nowait": GET, "put": PUT, "put_nowait": PUT}
# A place that calls a function of such a name may call a lock's the next time.
_ALSO_OTHERS = frozenset(_OF_LOCKS)


class LockMonitor:
    """Feeds a LockTable from `start` to `stop`. Raises RuntimeError where no tool id is free."""

    def __init__(self, table: LockTable) -> None:
        self.table = table
        table.most = MOST_OPERATIONS
        self.sees_with = lock_internals.here().sees_with
        self.full_ns = 0  # since then locks are no longer watched
        self.failure: Exception | None = None  # why, if not because they were too many
        self.lost_to: str | None = None  # who has its tool since; "" is nobody, None: it kept it
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
        events = monitoring.events
        for event, callback in self._callbacks().items():
            monitoring.register_callback(self._tool, event, callback)
        for code in self._semaphores:
            monitoring.set_local_events(self._tool, code, events.PY_RETURN)
        # What an earlier recording switched off may take a lock this time.
        monitoring.restart_events()
        begins = events.PY_START | events.PY_RESUME if lock_internals.here().in_instructions else 0
        monitoring.set_events(self._tool, events.CALL | begins)
        profiler_hooks.when_asked(self._tool, self._step_back)

    def _step_back(self, taker: str) -> None:
        """Another tool wants the number; "" is that the cell frees it."""
        self.full_ns = self.full_ns or monotonic_ns()
        self.stop()
        self.lost_to = taker

    def stop(self) -> None:
        """Leave nothing, also where the cell has freed the tool, or given it to another."""
        tool, self._tool = self._tool, None
        if tool is None:
            return
        profiler_hooks.forget(tool)
        codes = (*self._semaphores, *self._instructed)
        self._watched, self._instructed = {}, []
        owner = monitoring.get_tool(tool)
        self.lost_to = None if owner == NAME else owner or ""
        if owner is None:  # up to 3.13 a freed tool's events go on
            monitoring.use_tool_id(tool, NAME)
        elif owner != NAME:
            _leave_to_another(tool, self._callbacks(), codes)
            return
        monitoring.set_events(tool, 0)
        for code in codes:
            monitoring.set_local_events(tool, code, 0)
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
                    self._release(target)
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
        return None

    # These two must never answer DISABLE: that would be an error in the user's code.
    def _on_return(self, code: CodeType, offset: int, callable: Any, argument: Any) -> None:
        try:
            if not self._has(code, offset, True):
                self.table.end(callable, code, True, getframe(1))
        except Exception as error:
            self._fail(error)

    def _on_raise(self, code: CodeType, offset: int, callable: Any, argument: Any) -> None:
        try:
            if not self._has(code, offset, False):
                self.table.end(callable, code, False, getframe(1))
        except Exception as error:
            self._fail(error)

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
        try:
            made = self.table.creations.after.get((id(code), offset))
            if made is not None and not self.full_ns:
                self.table.creations.returned(self.table.thread(), getframe(1), *made)
            known = self._watched.get(id(code))
            happens = known[1].get(offset) if known is not None else None
            if happens is None or self.full_ns:
                return monitoring.DISABLE if made is None else None
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
                self._release(target.__self__)
        except Exception as error:
            self._fail(error)
        return None

    def _on_semaphore(self, code: CodeType, offset: int, returned: Any) -> None:
        try:
            takes = self._semaphores.get(code)
            if takes is None or self.full_ns or (takes and returned is not True):
                return
            given = getframe(1).f_locals
            self.table.permit(given["self"], takes, 1 if takes else given["n"])
        except Exception as error:
            self._fail(error)

    def _release(self, target: Any) -> None:
        self.table.release(target)
        if self.table.operations >= self.table.most:  # more would cost the cell too much
            self._watch_no_longer()

    def _fail(self, error: Exception) -> None:
        self.failure = self.failure or error
        self._watch_no_longer()

    def _watch_no_longer(self) -> None:
        if not self.full_ns and self._tool is not None:
            self.full_ns = monotonic_ns()
            if monitoring.get_tool(self._tool) == NAME:  # else the cell has freed it
                monitoring.set_events(self._tool, 0)


def _leave_to_another(tool: int, callbacks: dict[int, Any], codes: Sequence[CodeType]) -> None:
    """The tool is another's now: take out what is still ours, and nothing of theirs."""
    mine = 0
    for event, callback in callbacks.items():
        found = monitoring.register_callback(tool, event, None)
        if found == callback:
            mine |= event
        else:
            monitoring.register_callback(tool, event, found)
    monitoring.set_events(tool, monitoring.get_events(tool) & ~mine)
    for code in codes:
        monitoring.set_local_events(tool, code, monitoring.get_local_events(tool, code) & ~mine)


def unbound() -> dict[Any, int]:
    """The methods as the classes have them → what they do."""
    found: dict[Any, int] = {}
    kinds = [(Lock, _OF_LOCKS), (RLock, _OF_LOCKS), (SimpleQueue, _OF_QUEUES)]
    for kind, names in [*kinds, (Handle, _OF_HANDLES)] if Handle is not None else kinds:
        for name, operation in names.items():
            if type(vars(kind).get(name)) is MethodDescriptorType:
                found[vars(kind)[name]] = operation
    return found


def bound(function: Any) -> tuple[int | None, Any]:
    """What a bound method of a lock, queue or thread does, and whose it is; (None, None) for any other."""
    owner = function.__self__
    kind = type(owner)
    if kind is Lock or issubclass(kind, RLock):
        return _OF_LOCKS.get(function.__name__), owner
    if issubclass(kind, SimpleQueue):
        return _OF_QUEUES.get(function.__name__), owner
    if kind is Handle:
        return _OF_HANDLES.get(function.__name__), owner
    return None, None


def may_be_lock(callable: Any) -> bool:
    """Whether a function of Python's has a name that a lock's method could have here another time."""
    function = callable.__func__ if type(callable) is MethodType else callable
    return type(function) is FunctionType and function.__name__ in _ALSO_OTHERS
