"""Which lock a thread sleeps on, by the address of its futex (Linux, up to Python 3.13).

The operating system knows the address at which a thread sleeps: the third word of the lock object. The
locks that are there at the end the garbage collector knows. Where nothing else sees who waits in a `with`,
the frames of all threads are looked at now and then: that tells locks that are gone at the end, and lines.
"""

from __future__ import annotations

import _thread
import ctypes
import gc
import sys
import time
import weakref
from types import FrameType
from typing import Any

from concmagic.recording import ours
from concmagic.recording.locks.callers import Chains
from concmagic.recording.locks.frames import Frames
from concmagic.recording.locks.kinds import Lock, RLock
from concmagic.recording.raw_locks import HeldAtStop

_WORD = 16  # bytes into the lock: where the address of its semaphore stands
_PAUSE_S = 0.02
_SHARE = 100  # looking may cost one part in so many
_MOST = 20_000  # locks that are remembered


def can_tell() -> bool:
    """Whether a lock's address is that of its futex here."""
    return sys.platform == "linux" and sys.version_info < (3, 14) and sys.implementation.name == "cpython"


class LockAddresses:
    """Every lock that was seen during a recording; keeps none alive."""

    def __init__(self, chains: Chains, repeat: bool) -> None:
        self.found: dict[int, weakref.ref[Any]] = {}  # the last that was at an address
        self.objects: dict[int, int] = {}  # address → number of what was seen waited for
        self.stopped: list[HeldAtStop] = []
        self._chains = chains
        self._frames = Frames()
        self._repeat = repeat and self._frames.can_read
        self._wake = _thread.allocate_lock()
        self._ended = _thread.allocate_lock()

    def start(self) -> None:
        """Look at frames from time to time, in a thread below `threading`, where that is wanted."""
        if self._repeat:
            self._wake.acquire()
            self._ended.acquire()
            _thread.start_new_thread(self._run, ())

    def stop(self) -> None:
        """End the thread, and note all locks that there are now."""
        if self._repeat:
            self._repeat = False
            self._wake.release()
            self._ended.acquire()
        for one in gc.get_objects():
            kind = type(one)
            if (kind is Lock or kind is RLock) and len(self.found) < _MOST:
                self.found[_address(one)] = weakref.ref(one)

    def look(self) -> None:
        """Note who waits in a `with` now."""
        for frame in sys._current_frames().values():
            self._note(frame)

    def look_at_end(self, interrupted: FrameType | None, native_ids: dict[int, int]) -> None:
        """Note who waits for what and has what, before the cell is stopped; `native_ids` by thread ident."""
        now_ns, here = time.monotonic_ns(), _thread.get_ident()
        self.stopped = []
        for ident, innermost in sys._current_frames().items():
            frame = interrupted if ident == here else innermost
            if frame is None or ident not in native_ids:
                continue
            number, chain = self._note(frame)
            held = [self._number(lock, chain) for lock in self._frames.held(frame)]
            if number >= 0 or held:
                self.stopped.append(
                    HeldAtStop(native_ids[ident], now_ns, number if number >= 0 else None, tuple(held), chain)
                )

    def _note(self, frame: FrameType) -> tuple[int, int]:
        """The numbers of what a frame waits for, or -1, and of its chain."""
        lock = self._frames.wanted(frame)
        chain, made = self._chains.of(frame, frame.f_lasti)
        if lock is None:
            return -1, chain
        address = _address(lock)
        self.found[address] = reference = weakref.ref(lock)
        number = self._chains.object_of(made, reference, None, chain)
        self.objects[address] = number
        return number, chain

    def _number(self, lock: Any, chain: int) -> int:
        known = self.objects.get(_address(lock))
        return self._chains.object_of(None, weakref.ref(lock), None, chain) if known is None else known

    def _run(self) -> None:
        native_id = _thread.get_native_id()
        ours.add(native_id)
        pause = _PAUSE_S
        try:
            while not self._wake.acquire(timeout=pause):
                began = time.thread_time()
                self.look()
                pause = max(_PAUSE_S, _SHARE * (time.thread_time() - began))
        finally:
            ours.remove(native_id)
            self._ended.release()


def _address(lock: Any) -> int:
    return ctypes.c_ulong.from_address(id(lock) + _WORD).value
