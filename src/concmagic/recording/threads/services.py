"""What server and listener threads run of the user's: when, and whether it was for this cell.

Such a thread waits for work most of its life. Its work is what it does for one request, or for one record of
a log: both are told by a method of the standard library around it, replaced on its class for the cell.
Whether the other end of a connection is in this process or one of its children, /proc tells.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from functools import partial
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

from concmagic.clock import monotonic_ns, thread_time_ns
from concmagic.code_owner import is_users
from concmagic.interpreter.borrowing import Patches, on_import
from concmagic.interpreter.frames_and_threads import hide_frame, thread_of
from concmagic.recording import earlier
from concmagic.recording.guards import guarded, noter
from concmagic.recording.labels import name_of

if TYPE_CHECKING:
    from concmagic.recording.threads.thread_life import Life

_MOST_NS = 20_000_000  # of CPU time that looking for other ends may take in one cell
_MOST_STRETCHES = 2000  # of one thread that are kept
_Told = tuple[str, bool]  # the user's class that does it, "" if none does; whether it is for this cell


class Services:
    """Notes on threads' lives what they serve, from `start` to `stop`."""

    def __init__(self, life_here: Callable[[], Life | None]) -> None:
        self._life_here = life_here
        self._patches = Patches()
        self._modules = ExitStack()
        self._clients = OwnClients()

    def start(self) -> None:
        """Begin to note, in these modules as soon as they are there."""
        for module, kind, method, told in (
            ("socketserver", "BaseServer", "finish_request", self._request),
            ("logging.handlers", "QueueListener", "handle", _log_record),
        ):
            watch = partial(self._watch, kind, method, told)
            self._modules.enter_context(on_import(module, watch))

    def stop(self) -> None:
        """Put everything back."""
        self._modules.close()
        self._patches.restore()

    def _watch(self, kind: str, method: str, told: Callable[..., _Told], module: ModuleType) -> None:
        self._patches.wrap(getattr(module, kind), method, partial(_serving, self, told))

    def _request(self, server: Any, request: Any, client: Any = None, *_: Any) -> _Told:
        handler = getattr(server, "RequestHandlerClass", None)
        if isinstance(handler, partial):
            handler = handler.func
        name = name_of(handler) if _is_users_class(handler) else ""
        return name, not earlier.contains(threading.get_native_id()) or self._clients.has(client)

    def begin(self, told: Callable[..., _Told], server: Any, arguments: tuple[Any, ...]) -> Life | None:
        """In the thread that serves: its life, if this is the user's code and for this cell."""
        life = self._life_here()
        if life is None:
            return None
        name, is_for_cell = told(server, *arguments)
        if not name or not is_for_cell:
            return None
        life.serves, life.worked = name, True
        life.serving_since_ns = monotonic_ns()
        return life

    def end(self, life: Life) -> None:
        """In the same thread, when it has served."""
        now_ns = monotonic_ns()
        if len(life.served) < _MOST_STRETCHES:
            life.served.append((life.serving_since_ns or now_ns, now_ns))
        else:
            life.served[-1] = (life.served[-1][0], now_ns)
        life.serving_since_ns = None


def _is_users_class(kind: Any) -> bool:
    """Whether any method of a class is the user's code."""
    classes = kind.__mro__ if isinstance(kind, type) else ()
    methods = [each for one in classes for each in vars(one).values() if isinstance(each, FunctionType)]
    return any(is_users(each.__code__.co_filename, each.__qualname__) for each in methods)


def _log_record(listener: Any, record: Any, *_: Any) -> _Told:
    """The first of a listener's handlers that is the user's, and whether this cell has logged the record."""
    own = next((each for each in listener.handlers if _is_users_class(type(each))), None)
    if own is None:
        return "", False
    logger = thread_of(getattr(record, "thread", None) or 0)
    is_here = getattr(record, "process", None) == os.getpid()
    is_earlier = is_here and logger is not None and earlier.contains(logger.native_id)
    return name_of(type(own)), not is_earlier


def _serving(services: Services, told: Callable[..., _Told], original: Any) -> Any:
    note = noter(original)

    @functools.wraps(original)
    def serve(server: Any, *arguments: Any, **options: Any) -> Any:
        life = guarded(partial(services.begin, told, server, arguments), note)
        try:
            return original(server, *arguments, **options)
        except BaseException as error:
            hide_frame(error)
            raise
        finally:
            if life is not None:
                guarded(partial(services.end, life), note)

    return serve


class OwnClients:
    """Asked by a server of an earlier cell whether a request comes from here."""

    def __init__(self) -> None:
        self._spent_ns = 0

    def has(self, address: Any) -> bool:
        """Whether a socket of ours has this address; where that cannot be told, that it has.

        Where there are so many requests that looking takes too long it is not: then nobody knows.
        """
        if sys.platform != "linux" or not isinstance(address, tuple) or len(address) < 2:
            return True
        if self._spent_ns > _MOST_NS:
            return False
        begin_ns = thread_time_ns()
        try:
            sockets = set(_sockets_at(int(address[1])))
            return any(not sockets.isdisjoint(_sockets_of(pid)) for pid in ("self", *_children()))
        except OSError:  # no /proc
            return True
        finally:
            self._spent_ns += thread_time_ns() - begin_ns


def _sockets_at(port: int) -> Iterator[str]:
    """The names, as /proc has them, of connected sockets whose own end is this port."""
    wanted = f":{port:04X}"
    for table in ("tcp", "tcp6"):
        with suppress(FileNotFoundError), open(f"/proc/self/net/{table}") as rows:
            for row in rows:
                fields = row.split()
                if fields[1].endswith(wanted) and len(fields) > 9:
                    yield f"socket:[{fields[9]}]"


def _sockets_of(pid: str) -> Iterator[str]:
    folder = f"/proc/{pid}/fd"
    with suppress(OSError):  # a child that has ended
        for name in os.listdir(folder):
            with suppress(OSError):
                yield os.readlink(f"{folder}/{name}")


def _children() -> Iterator[str]:
    for task in os.listdir("/proc/self/task"):
        with suppress(OSError), open(f"/proc/self/task/{task}/children") as pids:
            yield from pids.read().split()
