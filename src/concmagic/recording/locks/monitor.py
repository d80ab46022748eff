"""Locks one by one, from Python 3.12 on: a second tool beside VizTracer in `sys.monitoring`.

Calls are looked at once: where no lock is taken or let go, that place is switched off (DISABLE), so that
code without locks runs as before. Up to 3.13 a `with` enters its lock without a call: there the single
instructions of functions that have one are watched, and the lock is read off the frame's stack.
"""

from __future__ import annotations

import sys
import time
from _queue import SimpleQueue
from types import BuiltinFunctionType, CodeType, FunctionType, MethodDescriptorType, MethodType
from typing import Any

from concmagic.recording.locks import stack
from concmagic.recording.locks.table import Lock, LockTable, RLock
from concmagic.recording.tasks.origin import place_of

monitoring: Any = vars(sys)["monitoring"]
NAME = "concmagic locks"
TOOL_IDS = (4, 3)  # 2 is VizTracer's; 0, 1 and 5 have a meaning of their own
MOST_OPERATIONS = 400_000  # takings and lettings go; each costs a microsecond

TAKE, RESTORE, LET_GO, LET_GO_ENTIRELY, GET, PUT = range(6)
_OPERATIONS = {
    "acquire": TAKE,
    "acquire_lock": TAKE,
    "__enter__": TAKE,
    "_acquire_restore": RESTORE,
    "release": LET_GO,
    "release_lock": LET_GO,
    "__exit__": LET_GO,
    "_release_save": LET_GO_ENTIRELY,
}
_OF_QUEUES = {"get": GET, "get_nowait": GET, "put": PUT, "put_nowait": PUT}
# A place that calls a function of such a name may call a lock's the next time.
_ALSO_OTHERS = frozenset(("acquire", "release", "__enter__", "__exit__"))
_BEGINS = (TAKE, RESTORE, GET)


def _methods() -> dict[Any, int]:
    """The methods of locks and queues as the classes have them → what they do."""
    found: dict[Any, int] = {}
    for kind, names in ((Lock, _OPERATIONS), (RLock, _OPERATIONS), (SimpleQueue, _OF_QUEUES)):
        for name, operation in names.items():
            if type(vars(kind).get(name)) is MethodDescriptorType:
                found[vars(kind)[name]] = operation
    return found


class LockMonitor:
    """Feeds a LockTable from `start` to `stop`. Raises RuntimeError where no tool id is free."""

    def __init__(self, table: LockTable) -> None:
        self.table = table
        self.sees_with = stack.BEFORE_WITH < 0 or stack.can_read()
        self.full_ns = 0  # since then locks are no longer watched
        self._tool: int | None = None
        self._methods = _methods()
        self._watched: dict[int, tuple[CodeType, dict[int, int], dict[int, int], set[int]]] = {}

    def start(self) -> None:
        """Take a tool id and watch."""
        self._tool = next((one for one in TOOL_IDS if monitoring.get_tool(one) is None), None)
        if self._tool is None:
            raise RuntimeError
        monitoring.use_tool_id(self._tool, NAME)
        events = monitoring.events
        for event, callback in self._callbacks().items():
            monitoring.register_callback(self._tool, event, callback)
        # What an earlier recording switched off may take a lock this time.
        monitoring.restart_events()
        begins = events.PY_START | events.PY_RESUME if self.sees_with and stack.BEFORE_WITH >= 0 else 0
        monitoring.set_events(self._tool, events.CALL | begins)

    def stop(self) -> None:
        """Leave nothing."""
        tool, self._tool = self._tool, None
        if tool is None or monitoring.get_tool(tool) != NAME:
            return
        monitoring.set_events(tool, 0)
        for code, *_ in self._watched.values():
            monitoring.set_local_events(tool, code, 0)
        for event in self._callbacks():
            monitoring.register_callback(tool, event, None)
        monitoring.free_tool_id(tool)
        self._watched = {}

    def _callbacks(self) -> dict[int, Any]:
        events = monitoring.events
        return {
            events.CALL: self._on_call,
            events.C_RETURN: self._on_return,
            events.C_RAISE: self._on_raise,
            events.PY_START: self._on_start,
            events.PY_RESUME: self._on_start,
            events.INSTRUCTION: self._on_instruction,
        }

    def _on_call(self, code: CodeType, offset: int, callable: Any, argument: Any) -> Any:
        kind = type(callable)
        if kind is MethodDescriptorType:
            operation, target = self._methods.get(callable), argument
        elif kind is BuiltinFunctionType:
            operation, target = _bound(callable)
        else:
            return None if _may_be_lock(callable) else monitoring.DISABLE
        if operation is None or place_of(code.co_filename) == "ours":
            return monitoring.DISABLE
        if operation in _BEGINS:
            self.table.begin(target, callable, code, offset, operation == RESTORE)
        elif operation == PUT:
            self.table.put(target)
        else:
            self.table.release(target, operation == LET_GO_ENTIRELY)
        if self.table.operations >= MOST_OPERATIONS:
            self._fill()
        return None

    # These two must never answer DISABLE: that would be an error in the user's code.
    def _on_return(self, code: CodeType, offset: int, callable: Any, argument: Any) -> None:
        self.table.end(callable, code, True, sys._getframe(1))

    def _on_raise(self, code: CodeType, offset: int, callable: Any, argument: Any) -> None:
        self.table.end(callable, code, False, sys._getframe(1))

    def _on_start(self, code: CodeType, offset: int) -> Any:
        if id(code) not in self._watched and stack.has_with(code) and self._tool is not None:
            depths = stack.depths(code)
            variables = stack.variables(code)
            enters = {
                at: variables + depth - 1
                for at, (opcode, depth, _) in depths.items()
                if opcode == stack.BEFORE_WITH
            }
            failing = {
                at: variables + depth - stack.EXIT_DEPTH
                for at, (opcode, depth, _) in depths.items()
                if opcode == stack.WITH_EXCEPT_START
            }
            entered = {depths[at][2] for at in enters}
            self._watched[id(code)] = (code, enters, failing, entered)
            monitoring.set_local_events(self._tool, code, monitoring.events.INSTRUCTION)
        return monitoring.DISABLE

    def _on_instruction(self, code: CodeType, offset: int) -> Any:
        known = self._watched.get(id(code))
        if known is None or self.full_ns:
            return monitoring.DISABLE
        _, enters, failing, entered = known
        if offset in enters:
            target = stack.value(sys._getframe(1), enters[offset])
            if type(target) is Lock or issubclass(type(target), RLock):
                self.table.begin(target, None, code, offset)
        elif offset in entered:
            self.table.end(None, code, True, sys._getframe(1))
        elif offset in failing:
            left = stack.value(sys._getframe(1), failing[offset])
            if type(left) is BuiltinFunctionType and _bound(left)[0] == LET_GO:
                self.table.release(left.__self__)
        else:
            return monitoring.DISABLE
        return None

    def _fill(self) -> None:
        """From now on locks are no longer watched: it would cost the cell too much."""
        if not self.full_ns and self._tool is not None:
            self.full_ns = time.monotonic_ns()
            monitoring.set_events(self._tool, 0)


def _bound(function: Any) -> tuple[int | None, Any]:
    """What a bound method of a lock or queue does, and whose it is."""
    owner = function.__self__
    kind = type(owner)
    if kind is Lock or issubclass(kind, RLock):
        return _OPERATIONS.get(function.__name__), owner
    if issubclass(kind, SimpleQueue):
        return _OF_QUEUES.get(function.__name__), owner
    return None, None


def _may_be_lock(callable: Any) -> bool:
    """Whether a function of Python's has a name that a lock's method could have here another time."""
    function = callable.__func__ if type(callable) is MethodType else callable
    return type(function) is FunctionType and function.__name__ in _ALSO_OTHERS
