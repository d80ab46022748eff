"""A signal that arrives just before the main thread begins to wait is acted on all the same.

Python only notes a signal, and looks at the note between two instructions. A main thread that has looked
already, or a signal that another thread took, leaves the note unread for as long as the wait lasts. So
`faulthandler`, whose handler stands before Python's and is no entry of `signal.getsignal`, writes to a pipe
that a signal came, and a thread that reads it breaks the wait with a signal that does nothing: the main
thread looks, and goes on waiting if there is nothing. (A wake-up descriptor would say the same, but event
loops hold that for theirs, and warn.)
"""

from __future__ import annotations

import faulthandler
import os
import signal
import threading
from contextlib import suppress

from concmagic.pipes import pipe
from concmagic.recording.own_threads import FAREWELL_S, OwnThread

# From a signal's arrival: long enough for the main thread to have acted, or to stand in its wait.
NUDGES_S = (0.02, 0.06, 0.12, 0.3)
_STOP = b"\0"  # never part of what faulthandler writes
_IGNORED_BY_DEFAULT = ("SIGURG", "SIGWINCH")


class Delivery:
    """Sees to SIGINT from `start` to `stop`, both called in the main thread. Where there is no
    `faulthandler.register` (Windows) it does nothing."""

    def __init__(self) -> None:
        self._running = False
        self._acted = False

    def start(self) -> None:
        """Begin, after the handler has been set; it stays what `signal.getsignal` answers."""
        if not hasattr(faulthandler, "register"):
            return
        self._handler = signal.getsignal(signal.SIGINT)
        self._thread = OwnThread(self._run)
        try:
            self._read, self._write = pipe()
        except OSError:
            return  # none to be had: a signal is what it is without us
        try:
            self._thread.start()
        except (RuntimeError, MemoryError):
            self._close()
            return
        os.set_blocking(self._write.number, False)  # a handler never waits
        # It knows the number only: where the cell closes what it did not open, nobody hears of a signal.
        faulthandler.register(signal.SIGINT, file=self._write.number, all_threads=False, chain=True)
        self._running = True

    def stop(self) -> None:
        """End, before the handler is put back."""
        if not self._running:
            return
        self._running = False
        faulthandler.unregister(signal.SIGINT)
        now = signal.getsignal(signal.SIGINT)
        if now is not self._handler and now is not None:  # the cell's, which has just been overridden
            signal.signal(signal.SIGINT, now)
        self._thread.tell()
        with suppress(OSError):  # a pipe full of signals wakes it as well, and so does one that is closed
            self._write.write(_STOP)
        if self._thread.join(FAREWELL_S):  # else it has them to itself for good
            self._close()

    def _close(self) -> None:
        self._read.close()
        self._write.close()

    def acted(self) -> None:
        """Called by the handler: the signals so far were acted on, and no wait has to be broken for them."""
        self._acted = True

    def _run(self) -> None:
        with suppress(OSError):  # the cell has closed it
            while (told := os.read(self._read.number, 65536)) and _STOP not in told:
                if self._thread.pause(0):
                    return
                self._break_the_wait()
                self._acted = False

    def _break_the_wait(self) -> None:
        signum = _harmless()
        if signum is None or self._thread.pause(NUDGES_S[0]) or self._acted:
            return
        nothing = os.open(os.devnull, os.O_WRONLY)
        faulthandler.register(signum, file=nothing, all_threads=False, chain=True)
        try:
            for delay_s in NUDGES_S[1:]:
                ident = threading.main_thread().ident  # it lives as long as the process
                with suppress(ProcessLookupError):  # the interpreter ends
                    if ident:  # 0 is no thread, and to signal it ends the process
                        signal.pthread_kill(ident, signum)
                if self._thread.pause(delay_s) or self._acted:
                    return
        finally:
            faulthandler.unregister(signum)
            os.close(nothing)


def _harmless() -> signal.Signals | None:
    """A signal that means nothing to this process, and is ignored where nobody handles it."""
    for name in _IGNORED_BY_DEFAULT:
        signum = getattr(signal.Signals, name, None)
        if signum is not None and signal.getsignal(signum) is signal.SIG_DFL:
            return signal.Signals(signum)
    return None
