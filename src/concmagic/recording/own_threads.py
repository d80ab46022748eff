"""Threads of concmagic's own: how they are started and ended, and which they are.

They are started below `threading`, where `threading.enumerate` does not see them, and no recorder counts
them as the user's.
"""

from __future__ import annotations

import _thread
from collections.abc import Callable

from concmagic.interpreter.c_library import hide
from concmagic.problems import Problem
from concmagic.recording import guards

FAREWELL_S = 2.0  # that a thread of ours gets to end: it waits for nothing, but the cores may be taken

_native_ids: set[int] = set()
_idents: set[int] = set()  # as Python numbers them


def add(native_id: int) -> None:
    """Call first thing in a thread of ours, with its own native id."""
    _native_ids.add(native_id)


def remove(native_id: int) -> None:
    """Call last thing in it: the operating system gives the number out again."""
    _native_ids.discard(native_id)


def contains(native_id: int) -> bool:
    """Whether this thread is concmagic's own."""
    return native_id in _native_ids


def is_ours(ident: int) -> bool:
    """Whether the thread of this ident is concmagic's own."""
    return ident in _idents


class OwnThread:
    """One thread of ours, which runs `run` once; nobody ever waits for one that never began."""

    def __init__(self, run: Callable[[], object]) -> None:
        self._run = run
        self._going = _thread.allocate_lock()  # taken until it shall end
        self._living = _thread.allocate_lock()  # taken until it has ended
        self.native_id = 0

    def start(self) -> None:
        """Raises RuntimeError where no thread is to be had: in a container with a limit, without memory."""
        self._going.acquire(blocking=False)
        self._living.acquire(blocking=False)
        try:
            _thread.start_new_thread(self._main, ())
        except (RuntimeError, MemoryError):
            self._living.release()
            raise
        except AttributeError as error:  # somebody has taken it away
            self._living.release()
            raise RuntimeError(str(error)) from error

    def pause(self, seconds: float) -> bool:
        """In the thread: wait for so long, or until it shall end; answers whether it shall."""
        ends = self._going.acquire(timeout=seconds)
        if ends:
            self._going.release()  # the next pause is over at once, too
        return ends

    def end(self, seconds: float = FAREWELL_S) -> bool:
        """Let it end, and wait until it is gone, but not longer; answers whether it is. Again is harmless."""
        self.tell()
        return self.join(seconds)

    def tell(self) -> None:
        """Tell the thread to end: its pause is over."""
        try:
            self._going.release()
        except RuntimeError:
            return  # it was told before, or never started

    def join(self, seconds: float = FAREWELL_S) -> bool:
        """Wait until it has ended, but not longer; answers whether it has."""
        ended = self._living.acquire(timeout=seconds)
        if ended:
            self._living.release()
        return ended

    def _main(self) -> None:
        self.native_id = _thread.get_native_id()
        add(self.native_id)
        _idents.add(_thread.get_ident())
        try:
            hide()
            self._run()
        except Exception as error:  # raised, it would be printed into the cell
            guards.note_loss(Problem.of("own_thread_failed", error))
        finally:
            # Its owner has this object: both, and what they hold, would wait for the collector.
            self._run = lambda: None
            remove(self.native_id)
            _idents.discard(_thread.get_ident())
            self._living.release()
