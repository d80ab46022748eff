"""Who has which lock: the state of each that was met, kept up to date by the events of taking and letting go.

What did not have to wait is only counted. A wait is kept with those who had the lock meanwhile and who
let it go; from a number of waits on they too are only counted.
"""

from __future__ import annotations

import re
import threading
from collections import deque
from types import CodeType, FrameType
from typing import Any

from concmagic.clock import monotonic_ns
from concmagic.code_owner import owner_of
from concmagic.interpreter.frames_and_threads import Local, getframe, is_owned
from concmagic.interpreter.lock_internals import Arguments, RLock, SimpleQueue
from concmagic.recording.answers import joined_by
from concmagic.recording.locks.lock_sites import Chains, CreationSites
from concmagic.recording.locks.lock_state import Attempt, LockState, Semaphores, Thread, standing_at

SHORTEST_NS = 20_000  # what takes less than this did not wait
_RAISED_NS = 1_000_000  # nor did what fails sooner than this: its arguments were wrong
MOST_WAITS = 20_000  # that are kept one by one
_PRUNE_AT = 5_000  # locks: then those that are no more are forgotten
_PUTS = 100_000  # that are remembered of one queue

_repr_of_rlock: Any = vars(RLock)["__repr__"]  # a subclass may have its own
_COUNT = re.compile(r"owner=(\d+) count=(\d+)")


class LockTable:
    """All locks, threads and waits of one recording."""

    def __init__(self) -> None:
        self.begin_anew()
        self.counted = self.states  # whose uses are counted: until there is a gap
        self.chains = Chains()
        self.creations = CreationSites()
        self.waits: list[tuple[Any, ...]] = []  # the fields of a LockWait, whose class is made late
        self.merged = 0
        self._arguments = Arguments()
        self._ends_number = -1

    def begin_anew(self) -> None:
        """Who has which lock, and what a queue holds, is not known, or not any more."""
        self.states: dict[int, LockState] = {}
        self.threads: list[Thread] = []
        self.semaphores = Semaphores()
        self.here = Local()  # its attribute `thread` is the calling one
        self._prune_at = _PRUNE_AT
        self._ends = LockState(self)  # of threads: who joins waits for no lock, and nobody has it
        self._ends.ref = _nothing

    def thread(self) -> Thread:
        """The calling thread."""
        try:
            found: Thread = self.here.thread
        except AttributeError:
            found = self.here.thread = Thread()
            self.threads.append(found)
        return found

    def state(self, lock: Any) -> LockState:
        """What is known of this lock."""
        found = self.states.get(id(lock))
        if found is None or found.ref() is not lock:
            found = self.states[id(lock)] = self._first_sight(lock)
        return found

    def _first_sight(self, lock: Any) -> LockState:
        if len(self.states) >= self._prune_at:
            for key in [key for key, one in list(self.states.items()) if one.ref() is None]:
                self.states.pop(key, None)  # another thread may do the same just now
            self._prune_at = len(self.states) + _PRUNE_AT
        state = LockState(lock)
        if isinstance(lock, SimpleQueue):
            state.puts = deque([(0, 0)] * lock.qsize(), maxlen=_PUTS)
        elif not state.is_lock and is_owned(lock):
            told = _COUNT.search(_repr_of_rlock(lock))  # nothing else tells how often it is held
            state.holder, state.depth = self.thread(), int(told[2]) if told else 1
        return state

    def begin(self, lock: Any, callable: Any, code: CodeType, offset: int, restores: bool = False) -> None:
        """The calling thread is about to take this."""
        thread = self.thread()
        if thread.is_ours:
            return
        state = self.state(lock)
        if state.puts is not None:
            for _ in range(len(state.puts) - lock.qsize()):
                state.puts.popleft()  # somebody who waited before the recording took it
            locked = lock.empty()
        elif state.is_lock:
            locked = lock.locked()
            # Who has been woken and has the lock says so when it has the GIL, too: until then it looks free.
            if not locked and not state.waiting:
                state.holder = None  # it was let go where we did not see it
        else:
            locked = state.holder is not None and state.holder is not thread
        pending = thread.pending
        if pending and pending[-1].callable is None:
            self._drop_left(thread)
        attempt = Attempt(state, callable, code, offset, locked, restores)
        if attempt.contended and callable is not None and not restores:
            attempt.blocks = self._arguments.block(getframe(2), offset)
        state.waiting += 1
        pending.append(attempt)

    def begin_join(self, handle: Any, callable: Any, code: CodeType, offset: int) -> None:
        """The calling thread is about to wait for another's end."""
        thread = self.thread()
        if not thread.is_ours:
            attempt = Attempt(self._ends, callable, code, offset, not handle.is_done(), False)
            attempt.blocks = self._arguments.block(getframe(2), offset)
            self._ends.waiting += 1
            thread.pending.append(attempt)

    def taken_late(self, thread: Thread, code: CodeType, offset: int, frame: FrameType) -> None:
        """A lock was free when it was asked for, but another thread was faster."""
        state, thread.asked = thread.asked, None
        if state is None:
            return
        attempt = Attempt(state, None, code, offset, True, False)
        attempt.start_ns = thread.asked_ns
        took = state.holder is None
        if took:
            self._take(state, thread, attempt)
        self._note_wait(attempt, took, took, frame)

    def end(self, callable: Any, code: CodeType, returned: bool, frame: FrameType) -> None:
        """The calling thread has come back from an attempt to take a lock, with the lock or without."""
        pending = self.thread().pending
        if not pending or pending[-1].callable is not callable:
            return
        if callable is None and pending[-1].code is not code:
            return
        attempt = pending.pop()
        state = attempt.state
        state.waiting -= 1
        if state.puts is not None:
            self._took_item(attempt, returned, frame)
            return
        contended = attempt.contended or state.serial != attempt.serial
        thread = self.thread()
        took = returned and self._took(state, attempt)
        if took:
            self._take(state, thread, attempt)
        is_wrong = not returned and monotonic_ns() - attempt.start_ns < _RAISED_NS
        if contended and not is_wrong:
            self._note_wait(attempt, took, state.releases != attempt.releases, frame)

    def _took(self, state: LockState, attempt: Attempt) -> bool:
        """Whether it was taken: the answer of `acquire` is not told, but who had it and let it go is."""
        lock = state.ref()
        if not state.is_lock:
            return lock is not None and is_owned(lock)
        if state.holder is not None or lock is None or not lock.locked():
            return False
        return not attempt.locked or state.releases != attempt.releases

    def _take(self, state: LockState, thread: Thread, attempt: Attempt) -> None:
        if attempt.restores:
            state.depth = thread.saved.pop(id(state), 1)
        elif not state.is_lock:
            state.depth = state.depth + 1 if state.holder is thread else 1
        if state.holder is not thread:
            state.recent.append(thread.native_id)
            state.serial += 1
        state.holder = thread

    def release(self, lock: Any, entirely: bool = False) -> None:
        """The calling thread is about to let this go."""
        thread = self.thread()
        if thread.is_ours:
            return
        if thread.pending:
            self._drop_left(thread)
        state = self.state(lock)
        if not state.is_lock:
            if state.holder is not thread:
                return  # it will fail
            if entirely:
                thread.saved[id(state)] = state.depth
            elif state.depth > 1:
                state.depth -= 1
                return
        state.holder = None
        state.depth = 0
        state.releases += 1
        state.released_by = thread.native_id
        state.released_ns = monotonic_ns()

    def put(self, queue: Any) -> None:
        """The calling thread is about to put an item into this queue."""
        thread = self.thread()
        if thread.is_ours:
            return
        puts = self.state(queue).puts
        if puts is not None:
            puts.append((thread.native_id, monotonic_ns()))

    def permit(self, semaphore: Any, takes: bool, how_many: int) -> None:
        """The calling thread has taken a permit of a semaphore, or has given some back."""
        note = self.semaphores.acquired if takes else self.semaphores.released
        note(semaphore, self.thread().native_id, how_many, monotonic_ns())

    def _took_item(self, attempt: Attempt, returned: bool, frame: FrameType) -> None:
        state = attempt.state
        put = None
        if returned and state.puts:
            put = state.puts.popleft()
            state.released_by, state.released_ns = put if put[0] else (None, 0)
        if attempt.contended:
            self._note_wait(attempt, returned, put is not None and bool(put[0]), frame)

    def _note_wait(self, attempt: Attempt, took: bool, released: bool, frame: FrameType) -> None:
        end_ns = monotonic_ns()
        is_ours = owner_of(attempt.code.co_filename) == "ours"
        if end_ns - attempt.start_ns >= SHORTEST_NS and attempt.blocks and not is_ours:
            self._keep(self.thread(), attempt, end_ns, took, took and released, frame)

    def _keep(
        self,
        thread: Thread,
        attempt: Attempt,
        end_ns: int | None,
        took: bool,
        released: bool,
        frame: FrameType | None,
    ) -> None:
        """Keep a wait; `frame` is where the thread waits, or waited just now, if it is still there."""
        state = attempt.state
        if frame is not None:
            chain, made = self.chains.of(frame, attempt.offset)
        else:
            chain, made = self.chains.number(((attempt.code, attempt.offset),)), None
        if state is self._ends:
            if self._ends_number < 0:
                self._ends_number = self.chains.object_of(None, _nothing, None, -1)
            number = self._ends_number
        else:
            counted = state if self.states is self.counted else None
            number = self.chains.object_of(made, state.ref, counted, chain)
            named = self.chains.objects[number]
            named.made = named.made or self.creations.of(named.ref())
        if self.states is self.counted:
            self.chains.count(number, (end_ns or monotonic_ns()) - attempt.start_ns)
        if len(self.waits) >= MOST_WAITS and end_ns is not None:
            self.merged += 1
            return
        holders, more = _holders_during(attempt, took)
        if isinstance(made, threading.Semaphore):  # its own lock is held for moments only
            holders, more = self.semaphores.holders(made, attempt.start_ns), 0
        let_go = (state.released_by, state.released_ns) if released else (None, 0)
        times = attempt.start_ns, end_ns
        joined = joined_by(frame)
        self.waits.append((thread.native_id, *times, number, chain, took, holders, more, *let_go, joined))

    def _drop_left(self, thread: Thread) -> None:
        """Finish the waits of `with` statements that an exception has ended: nothing else tells of it."""
        pending = thread.pending
        while pending and pending[-1].callable is None:
            attempt = pending[-1]
            if standing_at(attempt, thread) is not None:
                return  # a signal's handler runs in the midst of it
            pending.pop()
            attempt.state.waiting -= 1
            if attempt.contended:
                self._keep(thread, attempt, monotonic_ns(), False, False, None)

    def finish(self, seen_ns: int | None = None) -> None:
        """Keep the waits that have not ended; `seen_ns` is until when they were seen, if not to the end."""
        for thread in list(self.threads):
            self._drop_left(thread)
            for attempt in thread.pending:
                frame = standing_at(attempt, thread)
                is_short = seen_ns is not None and seen_ns - attempt.start_ns < SHORTEST_NS
                if attempt.contended and frame is not None and not is_short:
                    self._keep(thread, attempt, seen_ns, False, False, frame)
            thread.pending = []  # it may just be reading the other


def _nothing() -> None:
    return None


def _holders_during(attempt: Attempt, took: bool) -> tuple[tuple[int, ...], int]:
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
