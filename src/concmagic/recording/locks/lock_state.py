"""What is known now of a thread, a lock, a semaphore and an attempt to take one; quick where nobody waits."""

from __future__ import annotations

import _thread
import threading
import weakref
from collections import deque
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any, Protocol

from concmagic.clock import monotonic_ns
from concmagic.interpreter.borrowing import code_of
from concmagic.interpreter.frames_and_threads import getframe, thread_frames
from concmagic.interpreter.lock_internals import Lock
from concmagic.recording import own_threads

MOST_HOLDERS = 8  # that one wait names
_MOST_PAST = 64  # holdings of one semaphore that are over
_PRUNE_AT = 1_000
_TELLING = (
    (threading.Semaphore, "acquire", True),
    (threading.Semaphore, "release", False),
    (threading.BoundedSemaphore, "release", False),
)

Take = Callable[[Any], bool]
Has = Callable[[CodeType, int, bool], bool]


class Thread:
    """One thread that takes locks."""

    __slots__ = ("asked", "asked_ns", "ident", "is_ours", "makes", "native_id", "pending", "saved")

    def __init__(self) -> None:
        self.ident = _thread.get_ident()
        self.native_id = _thread.get_native_id()
        self.is_ours = own_threads.contains(self.native_id)
        self.pending: list[Attempt] = []
        self.asked: LockState | None = None  # a free lock that it is about to take, and since when
        self.asked_ns = 0
        self.makes: tuple[CodeType, int] | None = None  # the call of what makes a lock that it is in
        self.saved: dict[int, int] = {}  # by lock: how deep it was held when a condition let it go


class LockState:
    """What is known of one lock now; holds no reference that keeps the lock alive."""

    __slots__ = (
        "depth", "holder", "is_lock", "puts", "recent", "ref", "released_by", "released_ns", "releases",
        "serial", "waiting",
    )  # fmt: skip

    def __init__(self, lock: Any) -> None:
        self.ref: Callable[[], Any] = weakref.ref(lock)
        self.is_lock = type(lock) is Lock
        self.holder: Thread | None = None
        self.depth = 0
        self.serial = 0  # how often it was taken
        self.waiting = 0  # attempts that have not come back
        self.recent: deque[int] = deque(maxlen=MOST_HOLDERS)  # native ids of those who took it last
        self.releases = 0
        self.released_by: int | None = None
        self.released_ns = 0
        self.puts: deque[tuple[int, int]] | None = None  # of a queue: by whom and when, in order


class Attempt:
    """One call that is going to take a lock, or an item of a queue."""

    __slots__ = (
        "blocks", "callable", "code", "contended", "holder", "locked", "offset", "releases", "restores",
        "serial", "start_ns", "state",
    )  # fmt: skip

    def __init__(
        self, state: LockState, callable: Any, code: CodeType, offset: int, locked: bool, restores: bool
    ) -> None:
        self.state = state
        self.callable = callable  # None: a `with` statement, which calls unseen
        self.code, self.offset = code, offset
        self.locked, self.restores = locked, restores
        self.contended = locked or state.waiting > 0
        self.blocks = True
        self.holder = state.holder
        self.serial, self.releases = state.serial, state.releases
        self.start_ns = monotonic_ns()


def standing_at(attempt: Attempt, thread: Thread) -> FrameType | None:
    """The frame in which a thread makes this attempt; None if it is no longer there."""
    frame = getframe(1) if thread.ident == _thread.get_ident() else thread_frames().get(thread.ident)
    while frame is not None:
        if frame.f_code is attempt.code and frame.f_lasti == attempt.offset:
            return frame
        frame = frame.f_back
    return None


class _Permits:
    """Who holds the permits of one semaphore."""

    __slots__ = ("held", "is_signal", "past", "ref")

    def __init__(self, semaphore: Any) -> None:
        self.ref = weakref.ref(semaphore)
        self.held: dict[int, list[int]] = {}  # by native id since when, one for each permit
        self.past: deque[tuple[int, int, int]] = deque(maxlen=_MOST_PAST)  # since when, until when, who
        self.is_signal = False


class Semaphores:
    """Who holds the permits of each semaphore, by the returns of `acquire` and `release`; keeps none alive.

    A semaphore is no lock of C and does not know who has it. Where somebody lets go what they never took, it
    is no permit but a signal that is passed on, and from then on nobody holds it.
    """

    def __init__(self) -> None:
        self._permits: dict[int, _Permits] = {}

    def acquired(self, semaphore: Any, native_id: int, how_many: int, now_ns: int) -> None:
        """A thread has got permits."""
        self._of(semaphore).held.setdefault(native_id, []).extend([now_ns] * how_many)

    def released(self, semaphore: Any, native_id: int, how_many: int, now_ns: int) -> None:
        """A thread has given permits back, or has given what it never had."""
        permits = self._of(semaphore)
        own = permits.held.get(native_id, [])
        permits.is_signal = permits.is_signal or how_many > len(own)
        for _ in range(min(how_many, len(own))):
            permits.past.append((own.pop(), now_ns, native_id))

    def holders(self, semaphore: Any, at_ns: int) -> tuple[int, ...]:
        """Who had a permit at a moment, by native id, in the order of taking it."""
        permits = self._permits.get(id(semaphore))
        if permits is None or permits.ref() is not semaphore or permits.is_signal:
            return ()
        past = [(since_ns, who) for since_ns, until_ns, who in list(permits.past) if until_ns > at_ns]
        now = [(since_ns, who) for who, own in list(permits.held.items()) for since_ns in list(own)]
        found = dict.fromkeys(who for since_ns, who in sorted((*past, *now)) if since_ns <= at_ns)
        return tuple(found)[:MOST_HOLDERS]

    def _of(self, semaphore: Any) -> _Permits:
        found = self._permits.get(id(semaphore))
        if found is None or found.ref() is not semaphore:
            if len(self._permits) % _PRUNE_AT == _PRUNE_AT - 1:
                for key in [key for key, one in list(self._permits.items()) if one.ref() is None]:
                    self._permits.pop(key, None)
            found = self._permits[id(semaphore)] = _Permits(semaphore)
        return found


def semaphore_codes() -> dict[CodeType, bool]:
    """The functions whose return tells it → whether they take."""
    found = {code_of(kind, name, at_import=False): takes for kind, name, takes in _TELLING}
    return {code: takes for code, takes in found.items() if code is not None}


class Table(Protocol):
    """What the short ways read and write of the table of all locks."""

    states: dict[int, LockState]  # by id of the lock
    here: Any  # its attribute `thread` is the calling one

    def taken_late(self, thread: Thread, code: CodeType, offset: int, frame: FrameType) -> None:
        """A lock was free when it was asked for, but another thread was faster."""


def quick_ways(table: Table) -> tuple[Take, Take, Has]:
    """Functions for: about to take, about to let go, came back. Each answers False where it is no short way.

    A free lock is taken, a lock is let go by who has it: nobody waits for those. Local names, not attributes:
    these run with every use of a lock.
    """
    return _quick_take(table), _quick_release(table), _quick_return(table)


def _quick_take(table: Table) -> Take:
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


def _quick_release(table: Table) -> Take:
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
        if holder is not thread or thread.pending or state.depth > 1:
            return False
        state.holder = None
        state.depth = 0
        state.releases += 1
        state.released_by = thread.native_id
        state.released_ns = clock()
        return True

    return let_go


def _quick_return(table: Table) -> Has:
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
