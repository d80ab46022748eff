"""The ways to wait that asyncio has: which of its functions means what. One row is one way."""

from __future__ import annotations

from dataclasses import dataclass

from concmagic.interpreter import known_functions as places
from concmagic.recording.tasks import wait_details as say
from concmagic.recording.tasks.wait_details import Detail


@dataclass(frozen=True, slots=True)
class Row:
    """One way to wait: how it is called, and what is told beside it."""

    reason: str
    detail: Detail = say.nothing
    named: bool = False  # whether the thing has a name worth telling


# What stands for all that it awaits itself: a Barrier waits on a Condition, a subprocess on a gather.
WHOLE: dict[tuple[str, str], Row] = {
    ("locks", "Barrier.wait"): Row("Barrier", named=True),
    ("queues", "Queue.join"): Row("Queue.join", named=True),
    **dict.fromkeys(places.AS_COMPLETED, Row("as_completed")),
    ("threads", "to_thread"): Row("executor job"),
    ("subprocess", "Process.wait"): Row("subprocess", say.program),
    ("subprocess", "Process.communicate"): Row("subprocess", say.program),
    ("subprocess", "create_subprocess_exec"): Row("subprocess", say.in_phase("start")),
    ("subprocess", "create_subprocess_shell"): Row("subprocess", say.in_phase("start")),
    ("streams", "StreamReader.read"): Row("stream read", say.stream_peer),
    ("streams", "StreamReader.readline"): Row("stream read", say.stream_peer),
    ("streams", "StreamReader.readexactly"): Row("stream read", say.stream_peer),
    ("streams", "StreamReader.readuntil"): Row("stream read", say.stream_peer),
    ("streams", "StreamReader.__anext__"): Row("stream read", say.stream_peer),
    ("streams", "StreamWriter.drain"): Row("stream drain", say.stream_peer),
    ("streams", "StreamWriter.wait_closed"): Row(say.CLOSE, say.stream_peer),
    ("streams", "StreamWriter.start_tls"): Row("TLS handshake", say.stream_peer),
    ("streams", "open_connection"): Row("connect", say.host_and_port),
    ("streams", "open_unix_connection"): Row("connect", say.path),
    ("base_events", "BaseEventLoop.getaddrinfo"): Row("DNS", say.host_and_port),
    ("base_events", "BaseEventLoop.getnameinfo"): Row("DNS"),
    ("base_events", "BaseEventLoop.create_connection"): Row("connect", say.host_and_port),
    places.UNIX_CONNECTION: Row("connect", say.path),
    ("base_events", "BaseEventLoop.connect_accepted_socket"): Row("connect", say.socket_peer),
    ("base_events", "BaseEventLoop.create_datagram_endpoint"): Row("socket", say.in_phase("open")),
    ("base_events", "BaseEventLoop.connect_read_pipe"): Row("pipe", say.in_phase("open")),
    ("base_events", "BaseEventLoop.connect_write_pipe"): Row("pipe", say.in_phase("open")),
    ("base_events", "BaseEventLoop.start_tls"): Row("TLS handshake", say.transport_peer),
    ("base_events", "BaseEventLoop.sendfile"): Row("sendfile", say.transport_peer),
    ("base_events", "BaseEventLoop.sock_sendfile"): Row("sendfile", say.socket_peer),
    ("base_events", "BaseEventLoop.subprocess_exec"): Row("subprocess", say.in_phase("start")),
    ("base_events", "BaseEventLoop.subprocess_shell"): Row("subprocess", say.in_phase("start")),
    places.SUBPROCESS_WAIT: Row("subprocess", say.own_program),
    ("base_events", "BaseEventLoop.create_server"): Row("server", say.in_phase("start")),
    places.ACCEPT: Row("connect"),
    ("base_events", "Server.serve_forever"): Row("server"),
    ("base_events", "Server.wait_closed"): Row("server", say.in_phase("close")),
}

# What waits by itself; the innermost of these counts.
ROWS: dict[tuple[str, str], Row] = {
    ("tasks", "sleep"): Row("sleep", say.seconds("delay")),
    ("tasks", "wait_for"): Row("wait_for", say.seconds("timeout")),  # 3.11, tasks and futures
    places.ASYNCIO_WAIT: Row("wait", say.how_many("fs")),
    places.CANCEL_AND_WAIT: Row("wait_for", say.in_phase("cancelling")),
    ("taskgroups", "TaskGroup.__aexit__"): Row("TaskGroup"),  # 3.11, 3.12
    places.TASK_GROUP: Row("TaskGroup"),
    ("locks", "Lock.acquire"): Row("Lock", named=True),
    ("locks", "Event.wait"): Row("Event", named=True),
    ("locks", "Condition.wait"): Row("Condition", named=True),
    ("locks", "Semaphore.acquire"): Row("Semaphore", named=True),
    ("queues", "Queue.get"): Row("Queue.get", named=True),
    ("queues", "Queue.put"): Row("Queue.put", say.in_phase("full"), named=True),
    ("selector_events", "BaseSelectorEventLoop.sock_recv"): Row("sock_recv", say.socket_peer),
    ("selector_events", "BaseSelectorEventLoop.sock_recv_into"): Row("sock_recv", say.socket_peer),
    ("selector_events", "BaseSelectorEventLoop.sock_recvfrom"): Row("sock_recv", say.own_address),
    ("selector_events", "BaseSelectorEventLoop.sock_recvfrom_into"): Row("sock_recv", say.own_address),
    ("selector_events", "BaseSelectorEventLoop.sock_sendall"): Row("sock_sendall", say.socket_peer),
    ("selector_events", "BaseSelectorEventLoop.sock_sendto"): Row("sock_sendall", say.address),
    ("selector_events", "BaseSelectorEventLoop.sock_connect"): Row("sock_connect", say.address),
    ("selector_events", "BaseSelectorEventLoop.sock_accept"): Row("sock_accept", say.own_address),
    ("base_events", "BaseEventLoop.shutdown_default_executor"): Row("executor job", say.in_phase("shutdown")),
}

_READ, _WRITE, _CLOSE = Row("stream read"), Row("stream drain"), Row(say.CLOSE)
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

# Where no coroutine of asyncio's waits, but the user's awaits a future itself.
GATHER = Row("gather", say.children)
FUTURE = Row("future")
# Where none of them waits but what runs a loop's items: for one of these to end.
ITEM = Row("task")
UNKNOWN = Row("")
