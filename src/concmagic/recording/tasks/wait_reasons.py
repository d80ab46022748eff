"""The ways to wait that asyncio has, one row a way: which of its functions means what, and what else is told.

How long, how many, with whom is asked of asyncio's own frames.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from concmagic.interpreter import hook_parts as places
from concmagic.interpreter.asyncio_internals import gathered, transport_of
from concmagic.model.reasons import FOR_A_CONNECTION
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


@dataclass(frozen=True, slots=True)
class Row:
    """One way to wait: how it is called, and what is told beside it."""

    reason: str
    detail: Detail = nothing
    named: bool = False  # whether the thing has a name worth telling


# What stands for all that it awaits itself: a Barrier waits on a Condition, a subprocess on a gather.
WHOLE: dict[tuple[str, str], Row] = {
    ("locks", "Barrier.wait"): Row("Barrier", named=True),
    ("queues", "Queue.join"): Row("Queue.join", named=True),
    **dict.fromkeys(places.AS_COMPLETED, Row("as_completed")),
    ("threads", "to_thread"): Row("executor job"),
    ("subprocess", "Process.wait"): Row("subprocess", program),
    ("subprocess", "Process.communicate"): Row("subprocess", program),
    ("subprocess", "create_subprocess_exec"): Row("subprocess", in_phase("start")),
    ("subprocess", "create_subprocess_shell"): Row("subprocess", in_phase("start")),
    ("streams", "StreamReader.read"): Row("stream read", stream_peer),
    ("streams", "StreamReader.readline"): Row("stream read", stream_peer),
    ("streams", "StreamReader.readexactly"): Row("stream read", stream_peer),
    ("streams", "StreamReader.readuntil"): Row("stream read", stream_peer),
    ("streams", "StreamReader.__anext__"): Row("stream read", stream_peer),
    ("streams", "StreamWriter.drain"): Row("stream drain", stream_peer),
    ("streams", "StreamWriter.wait_closed"): Row(CLOSE, stream_peer),
    ("streams", "StreamWriter.start_tls"): Row("TLS handshake", stream_peer),
    ("streams", "open_connection"): Row("connect", host_and_port),
    ("streams", "open_unix_connection"): Row("connect", path),
    ("base_events", "BaseEventLoop.getaddrinfo"): Row("DNS", host_and_port),
    ("base_events", "BaseEventLoop.getnameinfo"): Row("DNS"),
    ("base_events", "BaseEventLoop.create_connection"): Row("connect", host_and_port),
    places.UNIX_CONNECTION: Row("connect", path),
    ("base_events", "BaseEventLoop.connect_accepted_socket"): Row("connect", socket_peer),
    ("base_events", "BaseEventLoop.create_datagram_endpoint"): Row("socket", in_phase("open")),
    ("base_events", "BaseEventLoop.connect_read_pipe"): Row("pipe", in_phase("open")),
    ("base_events", "BaseEventLoop.connect_write_pipe"): Row("pipe", in_phase("open")),
    ("base_events", "BaseEventLoop.start_tls"): Row("TLS handshake", transport_peer),
    ("base_events", "BaseEventLoop.sendfile"): Row("sendfile", transport_peer),
    ("base_events", "BaseEventLoop.sock_sendfile"): Row("sendfile", socket_peer),
    ("base_events", "BaseEventLoop.subprocess_exec"): Row("subprocess", in_phase("start")),
    ("base_events", "BaseEventLoop.subprocess_shell"): Row("subprocess", in_phase("start")),
    places.SUBPROCESS_WAIT: Row("subprocess", own_program),
    ("base_events", "BaseEventLoop.create_server"): Row("server", in_phase("start")),
    places.ACCEPT: Row("connect"),
    ("base_events", "Server.serve_forever"): Row("server"),
    ("base_events", "Server.wait_closed"): Row("server", in_phase("close")),
}

# What waits by itself; the innermost of these counts.
ROWS: dict[tuple[str, str], Row] = {
    ("tasks", "sleep"): Row("sleep", seconds("delay")),
    ("tasks", "wait_for"): Row("wait_for", seconds("timeout")),  # 3.11, tasks and futures
    places.ASYNCIO_WAIT: Row("wait", how_many("fs")),
    places.CANCEL_AND_WAIT: Row("wait_for", in_phase("cancelling")),
    ("taskgroups", "TaskGroup.__aexit__"): Row("TaskGroup"),  # 3.11, 3.12
    places.TASK_GROUP: Row("TaskGroup"),
    ("locks", "Lock.acquire"): Row("Lock", named=True),
    ("locks", "Event.wait"): Row("Event", named=True),
    ("locks", "Condition.wait"): Row("Condition", named=True),
    ("locks", "Semaphore.acquire"): Row("Semaphore", named=True),
    ("queues", "Queue.get"): Row("Queue.get", named=True),
    ("queues", "Queue.put"): Row("Queue.put", in_phase("full"), named=True),
    ("selector_events", "BaseSelectorEventLoop.sock_recv"): Row("sock_recv", socket_peer),
    ("selector_events", "BaseSelectorEventLoop.sock_recv_into"): Row("sock_recv", socket_peer),
    ("selector_events", "BaseSelectorEventLoop.sock_recvfrom"): Row("sock_recv", own_address),
    ("selector_events", "BaseSelectorEventLoop.sock_recvfrom_into"): Row("sock_recv", own_address),
    ("selector_events", "BaseSelectorEventLoop.sock_sendall"): Row("sock_sendall", socket_peer),
    ("selector_events", "BaseSelectorEventLoop.sock_sendto"): Row("sock_sendall", address),
    ("selector_events", "BaseSelectorEventLoop.sock_connect"): Row("sock_connect", address),
    ("selector_events", "BaseSelectorEventLoop.sock_accept"): Row("sock_accept", own_address),
    ("base_events", "BaseEventLoop.shutdown_default_executor"): Row("executor job", in_phase("shutdown")),
}

_READ, _WRITE, _CLOSE = Row("stream read"), Row("stream drain"), Row(CLOSE)
_RECEIVE, _SEND = Row("sock_recv"), Row("sock_sendall")

# What asyncio's transports do, by the method that does it: whom that lets go on waited for that transport.
OF_TRANSPORTS: dict[str, Row] = {
    **dict.fromkeys(places.TRANSPORT_READS, _READ),
    **dict.fromkeys(places.TRANSPORT_WRITES, _WRITE),
    **dict.fromkeys(places.TRANSPORT_CLOSES, _CLOSE),
    **dict.fromkeys(places.DATAGRAM_RECEIVES, _RECEIVE),
    **dict.fromkeys(places.DATAGRAM_SENDS, _SEND),
}
# The same where a loop calls protocols from C, by the method of the protocol.
OF_PROTOCOLS: dict[str, Row] = {
    "data_received": _READ,
    "buffer_updated": _READ,
    "eof_received": _READ,
    "datagram_received": _RECEIVE,
    "resume_writing": _WRITE,
    "connection_lost": _CLOSE,
}

# What a loop that is not asyncio's own does in C: the same as asyncio's functions of that name.
OF_LOOPS: dict[str, Row] = {
    name: row
    for (_, function), row in (*WHOLE.items(), *ROWS.items())
    for owner, _, name in [function.rpartition(".")]
    if owner in places.LOOP_CLASSES
}

LOCK = ROWS["locks", "Lock.acquire"]
WAIT = ROWS[places.ASYNCIO_WAIT]
WAIT_FOR = ROWS["tasks", "wait_for"]

# Where a library waits for one of its few connections: see `interpreter/connection_pools.py`.
CONNECTION = Row(FOR_A_CONNECTION)

# Where no coroutine of asyncio's waits, but the user's awaits a future itself.
GATHER = Row("gather", children)
FUTURE = Row("future")
# Where none of them waits but what runs a loop's items: for one of these to end.
ITEM = Row("task")
UNKNOWN = Row("")
