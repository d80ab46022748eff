"""A signal that arrives just before the main thread begins to wait is acted on all the same.

Python only notes a signal, and looks at the note between two instructions. A main thread that has looked
already, or a signal that another thread took, leaves the note unread for as long as the wait lasts. So
`faulthandler`, whose handler stands before Python's and is no entry of `signal.getsignal`, writes to a pipe
that a signal came, and a thread that reads it breaks the wait with a signal that does nothing: the main
thread looks, and goes on waiting if there is nothing. (A wake-up descriptor would say the same, but event
loops hold that for theirs, and warn.)

All is registered and given back in the main thread, which handles the signals: a handler of `faulthandler`
puts itself back in place as it ends, also where another thread has just removed it. The next one would then
be registered in front of itself, and call itself without end.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import threading
from contextlib import suppress

from concmagic.interpreter.c_library import SignalStack
from concmagic.pipes import pipe
from concmagic.recording.own_threads import FAREWELL_S, OwnThread

# From a signal's arrival: long enough for the main thread to have acted, or to stand in its wait.
NUDGES_S = (0.02, 0.06, 0.12, 0.3)
_STOP = b"\0"  # never part of what faulthandler writes
_HEAD = b"most recent call first"  # stands once in what it writes for a signal
_IGNORED_BY_DEFAULT = ("SIGURG", "SIGWINCH")
_NOWHERE = (1 << 31) - 1  # a number that no file has: what is written there is lost


class Delivery:
    """Sees to SIGINT from `start` to `stop`, both called in the main thread. Where there is no
    `faulthandler.register` (Windows) it does nothing."""

    def __init__(self) -> None:
        self._running = False
        self._acted = 0

    def start(self) -> None:
        """Begin, after the handler has been set; it stays what `signal.getsignal` answers."""
        if not hasattr(faulthandler, "register"):
            return
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
        self._register()
        self._running = True

    def _register(self) -> None:
        self._stack = SignalStack()
        # It knows the number only: where the cell closes what it did not open, nobody hears of a signal.
        files = {signal.SIGINT: self._write.number}
        self._nudge = _harmless()
        if self._nudge is not None:
            signal.signal(self._nudge, signal.SIG_DFL)  # whatever may have come back
            files[self._nudge] = _NOWHERE
        self._handlers = {signum: signal.getsignal(signum) for signum in files}
        for signum, file in files.items():
            faulthandler.register(signum, file=file, all_threads=False, chain=True)
        self._stack.enlarge()

    def stop(self) -> None:
        """End, before the handler is put back."""
        if not self._running:
            return
        self._running = False
        self._unregister()
        self._thread.tell()
        with suppress(OSError):  # a pipe full of signals wakes it as well, and so does one that is closed
            self._write.write(_STOP)
        if self._thread.join(FAREWELL_S):  # else it has them to itself for good
            self._close()

    def _unregister(self) -> None:
        for signum, before in self._handlers.items():
            faulthandler.unregister(signum)
            now = signal.getsignal(signum)
            if now is not None and now is not before:  # the cell's, which has just been overridden
                signal.signal(signum, now)
        self._stack.restore()

    def _close(self) -> None:
        self._read.close()
        self._write.close()

    def acted(self) -> None:
        """Called by the handler: the signals so far were acted on, and no wait has to be broken for them."""
        self._acted += 1

    def _run(self) -> None:
        """Count the signals that came, and wait for as many calls of the handler.

        They are counted, not timed: of two clicks close to each other the second may be the one that is not
        acted on. One call may be for several that came at once; the nudges then are for nothing.
        """
        acted = 0
        with suppress(OSError):  # the cell has closed it
            while (told := os.read(self._read.number, 65536)) and _STOP not in told:
                self._break_the_wait(acted + max(told.count(_HEAD), 1))
                acted = self._acted

    def _break_the_wait(self, wanted: float) -> None:
        """Until the handler has run so often."""
        for delay_s in NUDGES_S:
            if self._thread.pause(delay_s) or self._acted >= wanted:
                return
            ident = threading.main_thread().ident  # it lives as long as the process
            if self._nudge is None or signal.getsignal(self._nudge) is not signal.SIG_DFL or not ident:
                return  # the cell handles it by now; and 0 is no thread, to signal it ends the process
            with suppress(ProcessLookupError):  # the interpreter ends
                signal.pthread_kill(ident, self._nudge)


def _harmless() -> signal.Signals | None:
    """A signal that means nothing to this process, and is ignored where nobody handles it."""
    for name in _IGNORED_BY_DEFAULT:
        signum = getattr(signal.Signals, name, None)
        if signum is not None and signal.getsignal(signum) is signal.SIG_DFL:
            return signal.Signals(signum)
    return None
