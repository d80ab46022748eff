"""A child that is ended by SIGTERM hands over first, and still dies of SIGTERM.

A handler written in Python may never run: the signal can land just before a blocking system call.
So the interpreter writes the signal's number to a pipe (`signal.set_wakeup_fd`), a thread of ours
reads it, hands over, sets SIGTERM back to its default through libc, and sends it again. A handler
or a wakeup descriptor that the user installs in the child wins.
"""

from __future__ import annotations

import _thread
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType

from concmagic.recording import ours


class TerminationCatcher:
    """Calls `hand_over` once SIGTERM arrives, then lets it end the process; `start` in the main thread."""

    def __init__(self, hand_over: Callable[[], None]) -> None:
        self._hand_over = hand_over
        self._read = self._write = -1

    def start(self) -> None:
        """Catch SIGTERM from now on, unless somebody does already."""
        if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
            return
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, self._on_signal)
        _thread.start_new_thread(self._listen, (self._read,))

    def forget_after_fork(self) -> None:
        """In a child of the child: its own catcher starts anew."""
        if self._read < 0:
            return
        if signal.getsignal(signal.SIGTERM) == self._on_signal:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        os.close(self._read)
        os.close(self._write)
        self._read = self._write = -1

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        """The thread was told already, unless the user has taken the wakeup descriptor: then tell it.

        Handing over right here could wait for a lock that the interrupted code holds.
        """
        taken_by = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        if taken_by != self._write:
            signal.set_wakeup_fd(taken_by)
            os.write(self._write, bytes([number]))

    def _listen(self, file: int) -> None:
        native_id = threading.get_native_id()
        ours.add(native_id)
        try:
            while numbers := os.read(file, 64):
                if signal.SIGTERM in numbers and signal.getsignal(signal.SIGTERM) == self._on_signal:
                    self._end()
        except OSError:
            return  # the user's code closed descriptors that it did not open
        finally:
            ours.remove(native_id)

    def _end(self) -> None:
        try:
            self._hand_over()
        finally:
            _die_of_sigterm()


def _die_of_sigterm() -> None:
    import ctypes

    ctypes.CDLL(None).signal(int(signal.SIGTERM), 0)  # signal.signal() works in the main thread only
    os.kill(os.getpid(), signal.SIGTERM)
