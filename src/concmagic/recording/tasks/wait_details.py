"""What is told beside the reason of a wait: how long, how many, with whom; asked of asyncio's own frames."""

from __future__ import annotations

import functools
import inspect
import os
import socket
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

from concmagic.interpreter.asyncio_fields import gathered, mark_coroutine_function, transport_of
from concmagic.recording.hosts import named
from concmagic.recording.labels import cut

Node = Any  # a suspended coroutine, generator or asynchronous generator
_STREAMS = {0: "stdin", 1: "stdout", 2: "stderr"}
CLOSE = "stream close"
Detail = Callable[[Node, Any], str | float | int | None]  # seconds are a float, how many there are an int


class Phase(str):
    """Which part of what is waited for this is, not what it leads to."""

    __slots__ = ()


def local(node: Node, name: str) -> Any:
    """A local variable of a suspended coroutine of asyncio's own.

    Never ask this of the user's: on 3.11 and 3.12 the answer keeps alive what their names stood for.
    """
    frame = getattr(node, "cr_frame", None) or getattr(node, "gi_frame", None)
    return None if frame is None else frame.f_locals.get(name)


def nothing(_node: Node, _future: Any) -> str:
    """No detail."""
    return ""


def in_phase(word: str) -> Detail:
    """Always this phase."""
    phase = Phase(word)
    return lambda _node, _future: phase


def seconds(name: str) -> Detail:
    """A length of time that stands in this variable."""

    def detail(node: Node, _future: Any) -> float | None:
        value = local(node, name)
        return float(value) if isinstance(value, (int, float)) else None

    return detail


def how_many(name: str) -> Detail:
    """The size of what stands in this variable."""

    def detail(node: Node, _future: Any) -> int | None:
        value = local(node, name)
        return len(value) if isinstance(value, (set, frozenset, list, tuple)) else None

    return detail


def children(_node: Node, future: Any) -> int:
    """The size of a gather."""
    return len(gathered(future))


def stream_peer(node: Node, _future: Any) -> str:
    """Host and port at the other end of a stream."""
    return transport_words(transport_of(local(node, "self")))


def transport_words(transport: Any) -> str:
    """Host and port at the other end of a transport, of a datagram's its own, else what its pipe leads to."""
    if transport is None:
        return ""
    ask = transport.get_extra_info
    datagrams = getattr(ask("socket"), "type", None) == socket.SOCK_DGRAM
    peer = address_words(ask("peername")) or (address_words(ask("sockname")) if datagrams else "")
    return peer or _pipe(transport)


def transport_peer(node: Node, _future: Any) -> str:
    """Host and port at the other end of a transport."""
    transport = local(node, "transport")
    return "" if transport is None else address_words(transport.get_extra_info("peername"))


def _pipe(transport: Any) -> str:
    """Program and stream at the other end of a subprocess's pipe."""
    protocol = transport.get_protocol() if hasattr(transport, "get_protocol") else None
    stream = _STREAMS.get(getattr(protocol, "fd", -1), "")
    name = _program_of(getattr(protocol, "proc", None))
    return f"{stream} of {name}" if stream and name else ""


def socket_peer(node: Node, _future: Any) -> str:
    """Host and port at the other end of a connected socket."""
    with suppress(OSError, AttributeError):  # it is not connected, or closed already, or not there yet
        return address_words(local(node, "sock").getpeername())
    return ""


def own_address(node: Node, _future: Any) -> str:
    """Host and port that a socket listens on."""
    with suppress(OSError):  # closed already
        return address_words(local(node, "sock").getsockname())
    return ""


def address(node: Node, _future: Any) -> str:
    """The address that is about to be connected to."""
    return address_words(local(node, "address"))


def host_and_port(node: Node, _future: Any) -> str:
    """The host and port asked for by name, or those of a socket that is connected already."""
    host, port = local(node, "host"), local(node, "port")
    return address_words((host, port)) if host else socket_peer(node, _future)


def path(node: Node, _future: Any) -> str:
    """The path of a socket of this machine."""
    return address_words(local(node, "path"))


def program(node: Node, _future: Any) -> str:
    """The program that a subprocess runs."""
    return _program_of(transport_of(local(node, "self")))


def own_program(node: Node, _future: Any) -> str:
    """The program of a subprocess's own transport."""
    return _program_of(local(node, "self"))


def _program_of(transport: Any) -> str:
    """Asked by `get_extra_info`, which still knows when the program has ended."""
    popen = transport.get_extra_info("subprocess") if hasattr(transport, "get_extra_info") else None
    args = getattr(popen, "args", None)
    first = args[0] if isinstance(args, (list, tuple)) and args else args
    if isinstance(first, bytes):
        first = os.fsdecode(first)
    if not isinstance(first, str) or not first.strip():
        return ""
    return cut(os.path.basename(first.split(maxsplit=1)[0]))


def address_words(value: Any) -> str:
    """ "127.0.0.1:8080", a path, or "" for anything else."""
    if isinstance(value, bytes):
        value = os.fsdecode(value)
    if isinstance(value, str):
        return cut(value)
    if not isinstance(value, (tuple, list)) or len(value) < 2:
        return ""
    host, port = value[0], value[1]
    if isinstance(host, bytes):
        host = os.fsdecode(host)
    host = cut(host) if isinstance(host, str) else host
    if isinstance(host, str) and ":" in host:
        host = f"[{host}]"
    return named(f"{host}:{port}") if port and isinstance(port, (int, str)) else str(host)  # 0 is any port


class Notes(Protocol):
    """Who is told that a lock is asked for."""

    active: bool

    def asks_for(self, lock: Any) -> None:
        """`acquire` of this lock is called."""


class LockHolders:
    """Per lock the number of the task that took it last; no lock is kept alive by that."""

    def __init__(self) -> None:
        self._holders: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()

    def took(self, lock: Any, number: int) -> None:
        """This task has the lock now."""
        self._holders[lock] = number

    def of(self, lock: Any) -> int | None:
        """Who took it last, and so has it for as long as others wait; None is not known."""
        return self._holders.get(lock)


def acquire_hook(notes: Notes, original: Callable[..., Any]) -> Callable[..., Any]:
    """The stand-in for `asyncio.Lock.acquire`: notes who takes a free lock."""

    @functools.wraps(original)
    def acquire(self: Any) -> Any:
        if notes.active:
            notes.asks_for(self)
        return original(self)

    _mark(acquire)
    return acquire


def _mark(function: Callable[..., Any]) -> None:
    """Say that this returns a coroutine, as the original does."""
    if hasattr(inspect, "markcoroutinefunction"):  # from 3.12
        inspect.markcoroutinefunction(function)
    else:
        mark_coroutine_function(function)
