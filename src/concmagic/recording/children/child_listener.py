"""What a child listens to: SIGTERM, which ends it, and its parent, who asks when the cell is over.

A handler written in Python may never run: the signal can land just before a blocking system call.
So the interpreter writes the signal's number to a pipe (`signal.set_wakeup_fd`), a thread of ours
reads it, hands over, sets SIGTERM back to its default through libc, and sends it again. A handler
or a wakeup descriptor that the user installs in the child wins.

The parent asks through a FIFO that the same thread listens to: to hand over, or whether the child still
cleans up after an interrupt. A plain notebook lets such a child go on, and so do we: it handles
KeyboardInterrupt, or a cancellation that came of it. An interrupt may reach it a little later than its
parent: it is looked at for a moment.
"""

from __future__ import annotations

import _thread
import os
import select
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import FrameType

from concmagic.clock import monotonic, sleep
from concmagic.interpreter import known_functions
from concmagic.interpreter.c_library import default_signal
from concmagic.interpreter.frames_and_threads import handled_in, thread_frames
from concmagic.interpreter.process_internals import is_bootstrap
from concmagic.pipes import Owned, pipe
from concmagic.problems import Problem
from concmagic.recording import guards
from concmagic.recording.children import handover_files
from concmagic.recording.own_threads import OwnThread

QUESTION = b"c"  # whether it cleans up; any other asks it to hand over
_YES, _NO = ".cleans", ".calm"  # what the child leaves beside the pipe through which it was asked
_PATIENCE_S = 2.0
_ANSWERS_WITHIN_S = 0.4  # that the parent waits
_LOOK_S = 0.1
_STEP_S = 0.01
_DEEPEST = 20
_CLOSED = select.POLLNVAL | select.POLLERR | select.POLLHUP  # by code of the user's that did not open it


class Listener:
    """Calls `hand_over` once SIGTERM arrives, then lets it end the process; `asked` once the parent asks."""

    def __init__(self, hand_over: Callable[[], None], asked: Callable[[], None], path: Path) -> None:
        self._hand_over = hand_over
        self._asked = asked
        self._path = path
        self._read, self._write, self._ask = Owned(-1), Owned(-1), Owned(-1)
        self._catches = False
        self._turn = (
            _thread.allocate_lock()
        )  # of what the thread does; taken for good once nobody is to listen

    def start(self) -> None:
        """Listen from now on; SIGTERM is left alone if somebody catches it already."""
        with suppress(OSError):  # the folder is gone: the cell is over, and nobody will ask
            os.mkfifo(self._path, 0o600)
            # For writing, too: so it never reads as ended while nobody asks.
            self._ask = Owned(os.open(self._path, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK))
        if threading.get_ident() == threading.main_thread().ident:
            self._catch()
        if self._ask.number >= 0 or self._catches:
            try:
                OwnThread(partial(self._listen, self._read.number, self._ask.number)).start()
            except (RuntimeError, MemoryError) as error:  # its end and its parent's question go unheard
                self.forget()
                guards.note_loss(Problem.of("end_not_heard", error))

    def _catch(self) -> None:
        if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
            return
        self._read, self._write = pipe()
        os.set_blocking(self._write.number, False)
        # C code writes there at each signal: the read end stays open for as long, so that raises no SIGPIPE.
        signal.set_wakeup_fd(self._write.number, warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, self._on_signal)
        self._catches = True

    def forget(self) -> None:
        """Put SIGTERM back and close what was opened, once nobody listens: after a fork, or an answer.

        A thread other than the main one leaves SIGTERM's entry in Python as it is, and the pipe open: C code
        goes on writing there.
        """
        if self._catches and threading.get_ident() == threading.main_thread().ident:
            if signal.getsignal(signal.SIGTERM) == self._on_signal:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
            taken_by = signal.set_wakeup_fd(-1)
            if taken_by != self._write.number:
                with suppress(OSError, ValueError):  # they have closed it
                    signal.set_wakeup_fd(taken_by)
            self._catches = False
        if not self._catches:
            self._read.close()
            self._write.close()
        self._ask.close()
        self._read, self._write, self._ask = Owned(-1), Owned(-1), Owned(-1)
        self._catches = False

    def leave(self) -> None:
        """The interpreter ends, and all has been handed over: SIGTERM is what it was, and nobody listens.

        A thread that runs on then is stopped for good, with whatever locks of the interpreter it has. Without
        the GIL (3.13) the main thread may wait for one of them, and the process never ends. So it comes to
        its end first, or does not begin any more.
        """
        self._turn.acquire(True, _PATIENCE_S)
        self.forget()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        """The thread was told already, unless the user has taken the wakeup descriptor: then tell it.

        Handing over right here could wait for a lock that the interrupted code holds.
        """
        if not self._write.is_ours:
            return  # somebody has closed it: nobody listens
        taken_by = signal.set_wakeup_fd(self._write.number, warn_on_full_buffer=False)
        if taken_by != self._write.number:
            signal.set_wakeup_fd(taken_by)
            self._write.write(bytes([number]))

    def _listen(self, signals: int, ask: int) -> None:
        try:
            poll = select.poll()
            for file in {signals, ask} - {-1}:
                poll.register(file, select.POLLIN)
            while self._take(poll.poll(), signals, ask):
                pass
        except OSError:
            return  # the user's code closed descriptors that it did not open

    def _take(self, ready: list[tuple[int, int]], signals: int, ask: int) -> bool:
        """What has come; answers whether to go on listening."""
        if not self._turn.acquire(blocking=False):
            return False  # the interpreter ends
        try:
            return self._act(ready, signals, ask)
        finally:
            self._turn.release()

    def _act(self, ready: list[tuple[int, int]], signals: int, ask: int) -> bool:
        files = {file for file, _ in ready}
        if any(event & _CLOSED for _, event in ready):
            return False
        if signals in files and signal.SIGTERM in os.read(signals, 64):
            if signal.getsignal(signal.SIGTERM) == self._on_signal:
                self._end()
        elif ask in files:
            if os.read(ask, 64) == QUESTION:
                _answer(self._path)
                return True
            if signal.getsignal(signal.SIGTERM) == self._on_signal:
                default_signal(signal.SIGTERM)  # nobody listens from here on
            self._asked()
            return False
        return True

    def _end(self) -> None:
        try:
            self._hand_over()
        finally:
            default_signal(signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGTERM)


def _answer(path: Path) -> None:
    """In the child, in a thread that is not the one looked at."""
    limit = monotonic() + _LOOK_S
    while not (cleans := _cleans_up()) and monotonic() < limit:
        sleep(_STEP_S)
    path.with_suffix(_YES if cleans else _NO).touch()


def ask_who_cleans_up(folder: Path) -> set[int]:
    """In the parent: the children that clean up; one that does not answer does not."""
    asked = handover_files.ask_all(folder, QUESTION)
    limit = monotonic() + _ANSWERS_WITHIN_S
    while any(_is_awaited(pid, path) for pid, path in asked.items()) and monotonic() < limit:
        sleep(_STEP_S)
    return {pid for pid, path in asked.items() if path.with_suffix(_YES).exists()}


def _is_awaited(pid: int, path: Path) -> bool:
    from concmagic.recording.children import leftovers

    has_answered = path.with_suffix(_YES).exists() or path.with_suffix(_NO).exists()
    return not has_answered and leftovers.runs(pid)


def _cancellations() -> tuple[type[BaseException], ...]:
    asyncio = sys.modules.get("asyncio")  # not imported for this: a child that has none is to stay light
    return () if asyncio is None else (asyncio.CancelledError,)


def _cleans_up() -> bool:
    main = threading.main_thread().ident or 0
    frame = thread_frames().get(main)
    return _is_users(frame) and (_handles_interrupt(handled_in(main)) or _is_cancelled(frame))


def _is_users(frame: FrameType | None) -> bool:
    """Whether code of the user's runs; multiprocessing's own, on its way out, may wait for children for ever.

    Below that lie the frames of the parent, where it was forked.
    """
    from concmagic.code_owner import owner_of

    while frame is not None and not is_bootstrap(frame.f_code):
        file = frame.f_code.co_filename
        if owner_of(file) == "user" and not file.startswith("<"):  # the command that a spawned child is given
            return True
        frame = frame.f_back
    return False


def _is_cancelled(frame: FrameType | None) -> bool:
    """Whether `asyncio.run` has cancelled its main task, which may await in its clean-up: no frame tells."""
    while frame is not None:
        if known_functions.is_runners_run(frame):
            task = known_functions.main_task(frame)
            return task is not None and task.cancelling() > 0
        frame = frame.f_back
    return False


def _handles_interrupt(error: BaseException | None) -> bool:
    for _ in range(_DEEPEST):
        if error is None:
            return False
        if isinstance(error, (KeyboardInterrupt, *_cancellations())):
            return True
        error = error.__context__
    return False
