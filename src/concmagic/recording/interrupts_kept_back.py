"""Interrupts are kept back for a moment: while a process forks, and until the recorders have looked.

Python runs callbacks before and after a fork (of logging, threading, IPython, ours), prints what they raise
and goes on: an interrupt that meets one is lost, and a callback that was to let go of a lock has not. What is
raised in the child as `os.fork` returns is worse: the user's code would go on twice. So SIGINT is kept from
the thread that forks. Another thread may take it: then Python's handler, which runs in the main thread, asks
`is_forking` and says what to do `when_over`. A child of multiprocessing lets it in where multiprocessing can
end the child, any other as its fork returns.

Before the cell is stopped everything still stands where it was stuck: who wants to see it says so.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # no child that starts makes such a class
    from typing import Protocol

    class Child(Protocol):
        """The child that is forked."""

        is_nobodys: bool


Look = Callable[[FrameType | None], None]

_CAN_BLOCK = hasattr(signal, "pthread_sigmask")

_forking: dict[int, bool] = {}  # by threads' idents whether SIGINT was kept from them anyway
_then: list[Callable[[], object]] = []  # one at most
_will_let_in = False
_looks: dict[Look, Callable[[Exception], None]] = {}  # and whom to tell if it fails


def is_forking() -> bool:
    """Whether the calling thread is in the middle of a fork."""
    return threading.get_ident() in _forking


def when_over(action: Callable[[], object]) -> None:
    """Call this, once, as soon as the calling thread's fork is over in the parent."""
    _then[:] = [action]


def keep_until_let_in() -> None:
    """In a child, before its fork returns: `let_in` is going to be called."""
    global _will_let_in
    _will_let_in = True


def let_in() -> None:
    """Raise interrupts from here on, also one that came meanwhile. Harmless where none is kept."""
    ident = threading.get_ident()
    try:
        # While it still counts as forking: raised after that and before this, it would be kept for good.
        if not _forking.get(ident, True):
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    finally:
        _forking.pop(ident, None)


class Forking:
    """A `with` block around the fork itself, or around all that must be done once it has happened.

    Of two, one in the other, the outer one counts. Where an interrupt is raised as it ends, nobody gets to
    know the child: it is noted there.
    """

    __slots__ = ("_child", "_is_inner", "_pid")

    def __init__(self, child: Child | None = None) -> None:
        self._child = child

    def __enter__(self) -> None:
        global _will_let_in
        self._pid = os.getpid()
        self._is_inner = is_forking()
        if self._is_inner or not _CAN_BLOCK:
            return
        _will_let_in = False
        _forking[threading.get_ident()] = True
        try:  # each call may raise one that came just before, after it did its work
            was_kept = signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())
            _forking[threading.get_ident()] = was_kept
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *exception: object) -> None:
        if os.getpid() != self._pid:
            self._in_child()
        elif not self._is_inner:
            try:
                self._let_in()
            except BaseException:
                if self._child is not None:
                    self._child.is_nobodys = True
                raise

    def _let_in(self) -> None:
        try:
            let_in()
        finally:
            if _then and threading.get_ident() == threading.main_thread().ident:
                _then.pop()()

    def _in_child(self) -> None:
        kept = _forking.get(threading.get_ident(), True)
        _forking.clear()  # its parent's other threads are not its own
        _then.clear()
        _forking[threading.get_ident()] = kept
        if not _will_let_in:
            let_in()


def call_before_end(look: Look, failed: Callable[[Exception], None]) -> None:
    """Call this when the cell is about to be stopped, with the frame that the stopping thread stands in.

    A look that fails costs itself: its error is told to `failed`, and the cell is stopped all the same.
    """
    _looks[look] = failed


def forget_look(look: Look) -> None:
    """Do not call this look any more."""
    _looks.pop(look, None)


def look_before_end(frame: FrameType | None) -> None:
    """Call all looks, before the cell is stopped."""
    for look, failed in list(_looks.items()):
        try:
            look(frame)
        except Exception as error:
            forget_look(look)
            failed(error)
