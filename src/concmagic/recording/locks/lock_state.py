"""What is known now of one thread, of one lock, and of one attempt to take one."""

from __future__ import annotations

import _thread
import weakref
from collections import deque
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

from concmagic.clock import monotonic_ns
from concmagic.interpreter.frames import thread_frames
from concmagic.interpreter.lock_internals import Lock
from concmagic.recording import own_threads

MOST_HOLDERS = 8  # that one wait names


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


def holders_during(attempt: Attempt, took: bool) -> tuple[tuple[int, ...], int]:
    """Who had it during an attempt, by native id, in order; and how many there were before those."""
    state = attempt.state
    if state.puts is not None:
        return (), 0
    since = state.serial - attempt.serial - (1 if took else 0)
    recent = list(state.recent)[:-1] if took else list(state.recent)
    known = recent[max(len(recent) - since, 0) :] if since else []
    more = since - len(known)
    if attempt.holder is None or more:
        return tuple(known), more + (attempt.holder is not None)
    return (attempt.holder.native_id, *known), 0


def standing_at(attempt: Attempt, thread: Thread) -> FrameType | None:
    """The frame in which a thread makes this attempt; None if it is no longer there."""
    frame = thread_frames().get(thread.ident)
    while frame is not None:
        if frame.f_code is attempt.code and frame.f_lasti == attempt.offset:
            return frame
        frame = frame.f_back
    return None
