"""What a worker process of a loop runs: items come through a pipe, what became of them goes back.

It is imported in every worker, so it must stay light: the standard library only.
"""

from __future__ import annotations

import contextlib
import pickle
import signal
import sys
import threading
import traceback
import types
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from typing import Any

from concmagic import sentences
from concmagic.clock import monotonic_ns
from concmagic.pipes import no_sigpipe
from concmagic.recording import interrupts_kept_back, prints
from concmagic.recording.children import pickling
from concmagic.runners import tracebacks
from concmagic.runners.tracebacks import explain_unbound

Body = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Parcel:
    """The body for a process that does not share the notebook's memory, sent once per worker."""

    token: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker has its body; `problem` says why it has not."""

    problem: str = ""


@dataclass(frozen=True, slots=True)
class Printed:
    """What an item printed."""

    stream: str  # "stdout" or "stderr"
    text: str


@dataclass(frozen=True, slots=True)
class Interrupted:
    """An interrupt was raised in the item that runs; from here on it cleans up."""


@dataclass(frozen=True, slots=True)
class Done:
    """One item is over. Value and error are pickled apart: what cannot be read must not cost the times."""

    started_ns: int
    ended_ns: int
    native_id: int
    value: bytes = b""
    error: bytes = b""
    error_text: str = ""  # "ValueError: too small", should the error not be readable
    trace: str = ""  # the traceback as the worker would have shown it


class RemoteTraceback(Exception):
    """The traceback in the worker, shown as the cause of the exception that came from there."""

    def __str__(self) -> str:
        return f"\n\n{self.args[0]}"


def work(connection: Connection, inherited: list[Connection], file: str, body: Body | Parcel) -> None:
    """Run items until there are no more. `inherited` are the notebook's ends of the other workers' pipes."""
    for each in inherited:
        each.close()
    interrupts = _Interrupts()
    interrupts_kept_back.let_in()
    send = _Sender(connection, interrupts)
    interrupts.tell = partial(send, Interrupted())
    sys.stdout, sys.stderr = _Printer("stdout", send), _Printer("stderr", send)
    try:
        function = _unpacked(body)
    except Exception as error:
        send(Ready(f"{type(error).__name__}: {error}"))
        return
    send(Ready())
    with contextlib.suppress(EOFError, OSError):  # the notebook's process is gone: nobody waits for us
        while message := connection.recv_bytes():
            send(_run(function, message, file, interrupts))


def _unpacked(body: Body | Parcel) -> Body:
    if not isinstance(body, Parcel):
        return body  # by fork, as everything else that the notebook has
    pickling.install(_load_packer)
    function: Body = pickling.unpack(body.token, body.data)
    return function


def _load_packer() -> pickling.Packer:
    from concmagic.recording.children import pickler

    return pickler


class _Interrupts:
    """An interrupt reaches every process of the kernel: it ends the item, and leaves the worker be.

    One that comes while a message is sent waits for its end: half a message could not be read.
    """

    def __init__(self) -> None:
        self.may_raise = False
        self.tell: Callable[[], None] = _nothing
        self._main = threading.main_thread().ident
        self._sending = 0
        self._waits = False
        if threading.get_ident() == self._main:
            signal.signal(signal.SIGINT, self._handle)

    def _handle(self, signum: int, frame: types.FrameType | None) -> None:
        if self._sending:
            self._waits = True
        elif self.may_raise:
            self.tell()
            self._waits = False  # one that came as it was told
            try:
                raise KeyboardInterrupt
            except KeyboardInterrupt as error:
                error.__traceback__ = None  # an item may print where it was interrupted
                raise

    def __enter__(self) -> None:
        if threading.get_ident() == self._main:
            self._sending += 1

    def __exit__(self, *exception: object) -> None:
        if threading.get_ident() != self._main:
            return
        self._sending -= 1
        if self._waits and not self._sending:
            self._waits = False
            self._handle(signal.SIGINT, None)


def _nothing() -> None: ...


def _run(body: Body, message: bytes, file: str, interrupts: _Interrupts) -> Done:
    native_id = threading.get_native_id()
    started_ns = ended_ns = monotonic_ns()
    try:
        try:
            item = ForkingPickler.loads(message)
            interrupts.may_raise = True
            value = body(item)
        finally:
            interrupts.may_raise = False
            ended_ns = monotonic_ns()
            _flush()
        return Done(started_ns, ended_ns, native_id, value=_packed_value(value))
    except BaseException as error:  # also SystemExit: it is the item's
        explain_unbound(error, file)
        return _failed(error, file, (started_ns, ended_ns, native_id))


def _packed_value(value: Any) -> bytes:
    try:
        return bytes(ForkingPickler.dumps(value))
    except Exception as error:
        error.add_note(sentences.RESULT_CANNOT_BE_SENT)
        raise


def _failed(error: BaseException, file: str, times: tuple[int, int, int]) -> Done:
    tracebacks.from_the_cell(error, file)
    trace = "".join(traceback.format_exception(error))
    text = traceback.format_exception_only(error)[0].strip()
    return Done(*times, error=_packed_error(error), error_text=text, trace=trace)


def _packed_error(error: BaseException) -> bytes:
    """The exception if it survives the journey (not all do that are made with arguments), else nothing."""
    try:
        data = bytes(ForkingPickler.dumps(error))
        pickle.loads(data)
    except Exception:
        return b""
    return data


class _Sender:
    """The worker's end of its pipe; threads of the body may print while the item's result is sent."""

    def __init__(self, connection: Connection, interrupts: _Interrupts) -> None:
        self._connection = connection
        self._interrupts = interrupts
        self._lock = threading.RLock()

    def __call__(self, message: Ready | Printed | Interrupted | Done) -> None:
        # Plain data: no code of the user's runs in it.
        with self._interrupts, self._lock, no_sigpipe():
            self._connection.send(message)


class _Printer:
    """Stands for a worker's stdout or stderr: whole lines go to the notebook and are this cell's.

    Through the file descriptor they could come after the cell's end, and two workers' lines as one.
    """

    def __init__(self, stream: str, send: _Sender) -> None:
        self._name = stream
        self._stream = getattr(sys, stream)
        self._send = send
        self._kept = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Send what is complete, keep the rest."""
        lines, newline, self._kept = (self._kept + text).rpartition("\n")
        if newline:
            prints.note()
            self._send(Printed(self._name, lines + newline))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write them one after the other."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Send everything now."""
        kept, self._kept = self._kept, ""
        if kept:
            self._send(Printed(self._name, kept))


def _flush() -> None:
    """What the item printed belongs to it, and arrives as a whole."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # a closed stream, or one of the user's own making
            stream.flush()


def unpack_result(done: Done) -> tuple[Any, BaseException | None]:
    """In the notebook: value and error of an item that a worker ran."""
    if not done.error_text:
        return _loaded(done.value)
    error, problem = _loaded(done.error) if done.error else (None, None)
    if not isinstance(error, BaseException) or problem is not None:
        error = RuntimeError(done.error_text)
    error.__cause__ = RemoteTraceback(done.trace)
    return None, error


def _loaded(data: bytes) -> tuple[Any, BaseException | None]:
    try:
        return ForkingPickler.loads(data), None
    except Exception as error:  # whatever the value's own code does when it is unpickled
        return None, error


def pack_body(body: Body) -> Parcel:
    """In the notebook: the body for processes that do not share its memory. Raises BodyError."""
    from concmagic.errors import BodyError
    from concmagic.recording.children import pickler

    try:
        data = pickler.pack(body)
    except TypeError as error:
        raise BodyError(sentences.sentence(str(error))) from None
    return Parcel(pickler.token_of(body, data), data)
