"""One interrupt ends a cell that does not handle it, whatever it is doing; `--timeout` goes the same way.

While the cell runs SIGINT is ours. Each interrupt is raised once. A thread then looks where the main thread
stands, and has it raised again where the first was lost, or where a pool's exit waits for jobs that nobody
wants any more. `interrupt_raised_again` tells which these are; whatever the user's own code does about it is
left alone.
"""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
import types
from collections.abc import Callable
from contextlib import suppress
from typing import Literal

from concmagic import sentences
from concmagic.clock import held, monotonic_ns
from concmagic.errors import NoTimeoutError
from concmagic.interpreter import borrowing
from concmagic.interpreter.frames_and_threads import handled_in, thread_frames
from concmagic.recording import interrupts_kept_back
from concmagic.recording.interrupts_kept_back import look_before_end
from concmagic.recording.own_threads import FAREWELL_S, OwnThread
from concmagic.runners.interrupt_raised_again import Clicks, is_in_a_moment
from concmagic.runners.interrupt_wakeup import Delivery

LOOK_S = 0.1  # between two looks at where an interrupted main thread stands
_SOON_S, _MOST_SOON = 0.002, 20  # where it could not be raised for a moment: how soon to look, how often

Reason = Literal["", "interrupt", "timeout"]


class Deferred:
    """Keep SIGINT away from what must not be torn apart, the recorders' start and stop, in a `with` block.

    One that came before the cell ends the cell as it begins; `noted` tells of one after the cell.
    """

    def __init__(self) -> None:
        self._active = threading.get_ident() == threading.main_thread().ident
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


_running: list[Interrupts] = []


def by_timeout() -> bool:
    """Whether the cell that runs was interrupted by its `--timeout`, of which no other process knows."""
    return any(one.reason == "timeout" for one in _running)


class Interrupts:
    """SIGINT for the length of a `with` block; `stop` is what it does to the cell.

    Outside the main thread Python delivers no signals, and there this does nothing.
    """

    def __init__(self, stop: Clicks, timeout: float | None) -> None:
        self._stop = stop
        self._timeout = timeout
        self._pid = os.getpid()
        self._active = threading.get_ident() == threading.main_thread().ident
        self._senders: list[_Sender] = []
        self._delivery = Delivery()
        self._open = True
        self._is_look = False  # the next signal is no interrupt: the main thread is asked to look
        self.reason: Reason = ""
        self.came: list[tuple[str, int]] = []  # what, and when

    def __enter__(self) -> Interrupts:
        if self._active:
            _running[:] = [self]
            self._handler = self._handle  # one object: `signal.getsignal` is compared with it later
            self._before = signal.signal(signal.SIGINT, self._handler)
            self._delivery.start()
            self._take_over_from(getattr(self._before, "__self__", None))
            if self._timeout is not None:
                self._send(self._timeout, None, self._time_is_up)
                if not self._senders[-1].is_started:
                    self.__exit__()
                    raise NoTimeoutError(sentences.NO_TIMEOUT)
        return self

    def __exit__(self, *exception: object) -> None:
        if not self._active:
            return
        self._open = False
        _running.clear()
        for sender in self._senders:
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
            self._send(0.0, None, lambda: True)

    def _send(
        self, delay_s: float, repeat_s: float | None, wanted: Callable[[], bool], most: int = -1
    ) -> None:
        self._senders.append(_Sender(delay_s, repeat_s, wanted, most))

    def _time_is_up(self) -> bool:
        self.reason = self.reason or "timeout"
        return True

    def _handle(self, signum: int, frame: types.FrameType | None) -> None:
        try:
            self._act(signum, frame)
        except BaseException as error:
            # The cell may print where it was interrupted. A bare raise adds no entry for this frame.
            error.__traceback__ = None
            raise

    def _act(self, signum: int, frame: types.FrameType | None) -> None:
        if os.getpid() != self._pid:  # a forked child inherits the handler, and is no part of this
            signal.default_int_handler(signum, frame)
        if not self._open:
            return
        self._delivery.acted()
        if interrupts_kept_back.is_forking():  # nothing is raised now
            interrupts_kept_back.when_over(self._look)
        if self._is_look:
            self._is_look = False
            self._stop.again(frame, sys.exception())
            return
        self.reason = self.reason or "interrupt"
        self.came.append(("interrupt" if self.came else self.reason, monotonic_ns()))
        if len(self.came) == 1:
            look_before_end(frame)
            self._send(LOOK_S, LOOK_S, self._wants_look)
        self._stop(frame)
        if is_in_a_moment(frame):
            self._send(_SOON_S, _SOON_S, self._wants_look, _MOST_SOON)

    def _look(self) -> None:
        self._is_look = True
        signal.raise_signal(signal.SIGINT)

    def _wants_look(self) -> bool:
        """Called in the sender's thread. What it sees may have changed since: the main thread decides."""
        try:
            main = threading.main_thread().ident or 0
            # On such a build it is not safe to read the frames of a thread that runs: it looks by itself.
            wants = borrowing.FREE_THREADED or self._stop.needs_again(
                thread_frames().get(main), handled_in(main)
            )
        except Exception:  # frames of the user's code, with whatever their variables hold
            return False
        self._is_look = self._is_look or wants
        return wants


class _Sender:
    """A thread below `threading` that sends SIGINT to the main thread after a delay, then again and again,
    each time if `wanted()`, and at most so often.

    Where no thread is to be had nothing is sent: a click still is what it is in a plain cell.
    """

    def __init__(self, delay_s: float, repeat_s: float | None, wanted: Callable[[], bool], most: int) -> None:
        self._delay_s = delay_s
        self._repeat_s = repeat_s
        self._most = most
        self._wanted = wanted
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
        delay_s, left = self._delay_s, self._most
        while not self._thread.pause(min(delay_s, threading.TIMEOUT_MAX)):
            with held(self._sending, FAREWELL_S):
                if self._stopped:
                    return
                if self._wanted():
                    _interrupt_main()
            left -= 1
            if self._repeat_s is None or not left:
                return
            delay_s = self._repeat_s


def _interrupt_main() -> None:
    ident = threading.main_thread().ident  # it lives as long as the process; 0 would be no thread, and deadly
    if hasattr(signal, "pthread_kill") and ident:  # a real signal: it ends system calls, too
        signal.pthread_kill(ident, signal.SIGINT)
    else:
        _thread.interrupt_main()
