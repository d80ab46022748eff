"""The short ways for what nobody waits for: a free lock is taken, a lock is let go by who has it."""

from __future__ import annotations

from collections.abc import Callable
from types import CodeType
from typing import Any

from concmagic.clock import monotonic_ns
from concmagic.interpreter.frames import getframe
from concmagic.recording.locks.lock_tracker import LockTable

Take = Callable[[Any], bool]
Has = Callable[[CodeType, int, bool], bool]


def quick_ways(table: LockTable) -> tuple[Take, Take, Has]:
    """Functions for: about to take, about to let go, came back. Each answers False where it is no short way.

    From `table.most` operations on none is. Local names, not attributes: these run with every use of a lock.
    """
    return _quick_take(table), _quick_release(table), _quick_return(table)


def _quick_take(table: LockTable) -> Take:
    here: Any = table.here
    states, clock = table.states, monotonic_ns

    def take(lock: Any) -> bool:
        state = states.get(id(lock))
        if state is None or state.ref() is not lock:
            return False
        try:
            thread = here.thread
        except AttributeError:
            return False
        if thread.pending:
            return False
        if state.is_lock:
            if state.waiting or lock.locked():
                return False
            state.holder = thread
            state.serial += 1
            state.recent.append(thread.native_id)
            thread.asked = state
            thread.asked_ns = clock()
            return True
        if state.holder is thread:  # again, by who has it
            state.depth += 1
            return True
        return False

    return take


def _quick_release(table: LockTable) -> Take:
    here: Any = table.here
    states, clock = table.states, monotonic_ns

    def let_go(lock: Any) -> bool:
        state = states.get(id(lock))
        if state is None or state.ref() is not lock:
            return False
        try:
            thread = here.thread
        except AttributeError:
            return False
        holder: Any = state.holder
        if table.operations >= table.most:
            return False
        if holder is not thread or thread.pending or state.depth > 1:
            return False
        table.operations += 1
        state.holder = None
        state.depth = 0
        state.releases += 1
        state.released_by = thread.native_id
        state.released_ns = clock()
        return True

    return let_go


def _quick_return(table: LockTable) -> Has:
    here: Any = table.here

    def has(code: CodeType, offset: int, returned: bool) -> bool:
        try:
            thread = here.thread
        except AttributeError:
            return True
        if thread.pending:
            return False
        state = thread.asked
        if state is not None:
            if state.holder is not thread:
                table.taken_late(thread, code, offset, getframe(2))
            elif not returned:
                state.holder = None
            thread.asked = None
        return True

    return has
