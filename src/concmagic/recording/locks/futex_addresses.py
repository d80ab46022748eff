"""Where a thread sleeps, by looks at its frame; up to Python 3.13 on which lock, by its futex (Linux).

Where every use of a lock is told, looks tell the other waits: those in native code.

Up to 3.13 the operating system knows the address at which a thread sleeps: the first word behind the lock
object's head. The locks that are there at the end the garbage collector knows. Where nothing else sees who
waits in a `with`, the looks tell locks that are gone at the end, and lines.
"""

from __future__ import annotations

import _thread
import gc
import weakref
from collections.abc import Callable
from types import FrameType
from typing import Any

from concmagic.clock import monotonic, monotonic_ns, thread_time
from concmagic.code_owner import owner_of
from concmagic.interpreter.frames_and_threads import started, thread_frames
from concmagic.interpreter.lock_internals import Lock, RLock, address_of, can_tell, locks_at
from concmagic.interpreter.value_stack import Frames
from concmagic.recording import own_threads
from concmagic.recording.answers import joined_by
from concmagic.recording.locks.lock_sites import Chains
from concmagic.records.handed_over import HeldAtStop, Standing

_PAUSE_S = 0.02
_SHARE = 100  # looking may cost one part in so many
_MOST = 20_000  # locks, and looks at a thread, that are remembered


class LockAddresses:
    """Every lock that was seen during a recording; keeps none alive."""

    def __init__(
        self, chains: Chains, repeat: bool, failed: Callable[[Exception], None], exact: bool = False
    ) -> None:
        self.found: dict[int, weakref.ref[Any]] = {}  # the last that was at an address
        self.objects: dict[int, int] = {}  # address → number of what was seen waited for
        self.stopped: list[HeldAtStop] = []
        self.standing: list[Standing] = []
        self._before = frozenset(started)  # threads: most of them the kernel's own
        self._seen: set[int] = set()  # what frames were about to enter at the last look
        # A recorder of every use writes into its own from all threads: the looks have others then.
        self.chains = Chains() if exact else chains
        self._is_exact = exact
        self._frames = Frames()
        self._frames_at_end = Frames()  # that look comes in the midst of another: each reads its own file
        self._repeat = repeat and (exact or self._frames.can_read)
        self._failed = failed  # told of a look that could not be taken; the next one may be
        self._search_at = 0.0
        self._thread = own_threads.OwnThread(self._look_again_and_again)

    def start(self) -> None:
        """Look at frames from time to time, in a thread below `threading`, where that is wanted."""
        if self._repeat:
            self._thread.start()

    def stop(self) -> None:
        """End the thread, and note all locks that there are now."""
        if self._repeat:
            self._repeat = False
            self._thread.end()
        for one in gc.get_objects() if can_tell() else ():
            kind = type(one)
            if (kind is Lock or kind is RLock) and len(self.found) < _MOST:
                self.found[address_of(one)] = weakref.ref(one)

    def look(self) -> None:
        """Note where the threads of `threading` stand now, and which locks they enter in a `with`."""
        self._search(self._look_at_frames())

    def _look_at_frames(self) -> list[tuple[FrameType, int]]:
        """Note where they stand. Returns the frames that enter something, and the address of that."""
        from_ns = monotonic_ns()
        native_ids = {ident: thread.native_id for ident, thread in list(started.items())}
        frames = list(thread_frames().items())
        entering = [] if self._is_exact else self._entering([frame for _, frame in frames])
        for ident, frame in frames:
            if (native_id := native_ids.get(ident)) and len(self.standing) < _MOST:
                self._note_standing(native_id, ident in self._before, frame, from_ns)
        return entering

    def _entering(self, frames: list[FrameType]) -> list[tuple[FrameType, int]]:
        with self._frames.open():
            return [(frame, address) for frame in frames if (address := self._frames.entered(frame))]

    def _search(self, entering: list[tuple[FrameType, int]]) -> None:
        """Find the locks at these addresses; a wait is looked at once, for that takes long."""
        addresses = {address for _, address in entering}
        locks = locks_at(addresses - self._seen)
        self._seen = addresses
        for frame, address in entering:
            if address in locks:
                self._note(frame, locks[address])

    def _note_standing(self, native_id: int, was_before: bool, frame: FrameType, from_ns: int) -> None:
        chain, made = self.chains.of(frame, frame.f_lasti)
        code, _ = self.chains.rows[chain][-1]
        if was_before and owner_of(code.co_filename) != "user":
            return
        number = -1
        if made is not None and not self._is_exact:
            number = self.chains.object_of(made, weakref.ref(made), None, chain)
        here = Standing(native_id, from_ns, monotonic_ns(), chain, number, joined_by(frame))
        self.standing.append(here)

    def look_at_end(self, interrupted: FrameType | None, native_ids: dict[int, int]) -> None:
        """Note who waits for what and has what, before the cell is stopped; `native_ids` by thread ident."""
        now_ns, here = monotonic_ns(), _thread.get_ident()
        standing = []
        frames = self._frames_at_end
        with frames.open():
            for ident, frame in ({here: interrupted} | thread_frames()).items():
                if frame is not None and ident in native_ids:
                    entered = frames.entered(frame)
                    standing.append((native_ids[ident], frame, entered, frames.held(frame)))
        locks = locks_at(address for _, _, entered, held in standing for address in (entered, *held))
        self.stopped = []
        for native_id, frame, entered, held in standing:
            chain, _ = self.chains.of(frame, frame.f_lasti)
            wanted = self._note(frame, locks[entered]) if entered in locks else None
            has = tuple(self._number(locks[one], chain) for one in held if one in locks)
            if wanted is not None or has:
                self.stopped.append(HeldAtStop(native_id, now_ns, wanted, has, chain))

    def _note(self, frame: FrameType, lock: Any) -> int:
        """The number of what a frame waits for, of which this is the lock."""
        chain, made = self.chains.of(frame, frame.f_lasti)
        address = address_of(lock)
        self.found[address] = reference = weakref.ref(lock)
        number = self.chains.object_of(made, reference, None, chain)
        self.objects[address] = number
        return number

    def _number(self, lock: Any, chain: int) -> int:
        known = self.objects.get(address_of(lock))
        return self.chains.object_of(None, weakref.ref(lock), None, chain) if known is None else known

    def _look_again_and_again(self) -> None:
        pause = _PAUSE_S
        while not self._thread.pause(pause):
            try:
                pause = self._look_and_search()
            except Exception as error:  # no descriptor is free: raised, it would be printed into the cell
                self._failed(error)

    def _look_and_search(self) -> float:
        """Look once, search where it is time to; returns for how long not to look again (s)."""
        began = thread_time()
        entering = self._look_at_frames()
        looked = thread_time()
        if monotonic() >= self._search_at:
            self._search(entering)
            self._search_at = monotonic() + _SHARE * (thread_time() - looked)
        return max(_PAUSE_S, _SHARE * (looked - began))
