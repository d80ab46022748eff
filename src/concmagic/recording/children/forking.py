"""No interrupt is raised while a process forks.

Python runs callbacks before and after a fork (of logging, threading, IPython, ours), prints what they raise
and goes on: an interrupt that meets one is lost, and a callback that was to let go of a lock has not. What is
raised in the child as `os.fork` returns is worse: the user's code would go on twice. So SIGINT is kept from
the thread that forks. Another thread may take it: then Python's handler, which runs in the main thread, asks
`is_forking` and says what to do `when_over`. A child of multiprocessing lets it in where multiprocessing can
end the child, any other as its fork returns.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable

_CAN_BLOCK = hasattr(signal, "pthread_sigmask")

_forking: set[int] = set()  # idents of threads
_then: list[Callable[[], object]] = []  # one at most
_is_kept = False  # in a child: it will let interrupts in itself
_will_let_in = False


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
    """In such a child: interrupts are raised from here on, also one that came meanwhile."""
    global _is_kept
    if _is_kept:
        _is_kept = False
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])


class Forking:
    """A `with` block around the fork itself, in whichever thread."""

    __slots__ = ("_pid", "_was_blocked")

    def __enter__(self) -> None:
        global _will_let_in
        self._pid = os.getpid()
        _will_let_in = False
        _forking.add(threading.get_ident())
        self._was_blocked = True
        if _CAN_BLOCK:
            try:
                self._was_blocked = signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())
                signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
            except BaseException:  # one that came just before is acted on now
                self.__exit__()
                raise

    def __exit__(self, *exception: object) -> None:
        global _is_kept
        _forking.discard(threading.get_ident())
        if os.getpid() != self._pid:
            _forking.clear()  # other threads of its parent
            _then.clear()
            if _will_let_in and not self._was_blocked:
                _is_kept = True
                return
        try:
            if not self._was_blocked:
                signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
        finally:
            if _then and threading.get_ident() == threading.main_thread().ident:
                _then.pop()()
