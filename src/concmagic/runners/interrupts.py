"""One interrupt ends the cell, whatever it is doing; `--timeout` goes the same way.

While the cell runs SIGINT is ours. The first is repeated from a thread until the cell is over, because one
exception is not enough: `with ThreadPoolExecutor()` waits for its workers again while it is on its way out.
"""

from __future__ import annotations

import _thread
import os
import signal
import threading
import types
from collections.abc import Callable
from contextlib import suppress
from typing import Literal

from concmagic import sentences
from concmagic.bounded import held
from concmagic.errors import NoTimeoutError
from concmagic.recording.before_end import look_before_end
from concmagic.recording.ours import FAREWELL_S, OwnThread
from concmagic.runners.delivery import Delivery

FIRST_REPEAT_S = 0.3
REPEAT_S = 0.2

Reason = Literal["", "interrupt", "timeout"]


class Deferred:
    """Keep SIGINT away from what must not be torn apart, the recorders' start and stop, in a `with` block.

    One that came before the cell ends the cell as it begins; `noted` tells of one after the cell.
    """

    def __init__(self) -> None:
        self._active = threading.current_thread() is threading.main_thread()
        self._handler = self._note
        self._pid = os.getpid()
        self.noted = False

    def __enter__(self) -> Deferred:
        if self._active:
            self._before = signal.signal(signal.SIGINT, self._handler)
        return self

    def __exit__(self, *exception: object) -> None:
        if self._active and signal.getsignal(signal.SIGINT) is self._handler:
            signal.signal(signal.SIGINT, self._before)

    def _note(self, signum: int, frame: types.FrameType | None) -> None:
        if os.getpid() != self._pid:
            signal.default_int_handler(signum, frame)
        self.noted = True


class Interrupts:
    """SIGINT for the length of a `with` block. `on_signal` says what a signal does to the cell.

    Outside the main thread Python delivers no signals, and there this does nothing.
    """

    def __init__(self, on_signal: Callable[[types.FrameType | None], None], timeout: float | None) -> None:
        self._on_signal = on_signal
        self._timeout = timeout
        self._pid = os.getpid()
        self._active = threading.current_thread() is threading.main_thread()
        self._timer: _Sender | None = None
        self._repeater: _Sender | None = None
        self._delivery = Delivery()
        self._open = True
        self.reason: Reason = ""

    def __enter__(self) -> Interrupts:
        if self._active:
            self._handler = self._handle  # one object: `signal.getsignal` is compared with it later
            self._before = signal.signal(signal.SIGINT, self._handler)
            self._delivery.start()
            self._take_over_from(getattr(self._before, "__self__", None))
            if self._timeout is not None:
                self._timer = _Sender(self._timeout, None, self._time_is_up)
                if not self._timer.is_started:
                    self.__exit__()
                    raise NoTimeoutError(sentences.NO_TIMEOUT)
        return self

    def __exit__(self, *exception: object) -> None:
        if not self._active:
            return
        self._open = False
        for sender in (self._timer, self._repeater):
            if sender is not None:
                sender.stop()
        os.getppid()  # a system call: a signal sent just now arrives here, at a handler that ignores it
        self._delivery.stop()
        if signal.getsignal(signal.SIGINT) is self._handler:  # else the cell has set one of its own
            signal.signal(signal.SIGINT, self._before)

    def ended(self, first: BaseException | None) -> BaseException:
        """The exception that the cell ends with, standing where `first` was raised."""
        error: BaseException = KeyboardInterrupt()
        if self.reason == "timeout":
            error = TimeoutError(sentences.cell_timed_out(self._timeout or 0.0))
        if isinstance(first, KeyboardInterrupt) and self.reason == "interrupt":
            error = first
        return error.with_traceback(first.__traceback__ if first is not None else None)

    def _take_over_from(self, before: object) -> None:
        if isinstance(before, Deferred) and before.noted:
            before.noted = False
            self.reason = "interrupt"
            self._repeater = _Sender(0.0, REPEAT_S)

    def _time_is_up(self) -> None:
        self.reason = self.reason or "timeout"

    def _handle(self, signum: int, frame: types.FrameType | None) -> None:
        if os.getpid() != self._pid:  # a forked child inherits the handler, and is no part of this
            signal.default_int_handler(signum, frame)
        if not self._open:
            return
        self.reason = self.reason or "interrupt"
        if self._repeater is None:
            look_before_end(frame)
            self._repeater = _Sender(FIRST_REPEAT_S, REPEAT_S)
        self._on_signal(frame)


class _Sender:
    """A thread below `threading` that sends SIGINT to the main thread after a delay, then again and again.

    Where no thread is to be had nothing is sent: a click still is what it is in a plain cell.
    """

    def __init__(
        self, delay_s: float, repeat_s: float | None, before: Callable[[], None] | None = None
    ) -> None:
        self._delay_s = delay_s
        self._repeat_s = repeat_s
        self._before = before
        self._stopped = False
        self._sending = _thread.allocate_lock()
        self._thread = OwnThread(self._send_until_stopped)
        self.is_started = False
        with suppress(RuntimeError, MemoryError):
            self._thread.start()
            self.is_started = True

    def stop(self) -> None:
        """Send nothing any more, and wait until the thread is gone."""
        with held(self._sending, FAREWELL_S):
            self._stopped = True
        self._thread.end()

    def _send_until_stopped(self) -> None:
        delay_s: float | None = self._delay_s
        while delay_s is not None and not self._thread.pause(min(delay_s, threading.TIMEOUT_MAX)):
            with held(self._sending, FAREWELL_S):
                if self._stopped:
                    return
                if self._before is not None:
                    self._before()
                _interrupt_main()
            delay_s = self._repeat_s


def _interrupt_main() -> None:
    if hasattr(signal, "pthread_kill"):  # a real signal: it ends system calls, too
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    else:
        _thread.interrupt_main()
