"""Private coroutines and callbacks of asyncio by which it is told what a task waits for, as module and name.

They stand in the chain of awaits, or on the stack when a transport has read or written. What waiting there
means is said where they are used (`recording/tasks/wait_rows.py`).
"""

from __future__ import annotations

Place = tuple[str, str]  # module of asyncio, qualified name

AS_COMPLETED: tuple[Place, ...] = (
    ("tasks", "as_completed.<locals>._wait_for_one"),  # 3.11, 3.12
    ("tasks", "_AsCompletedIterator._wait_for_one"),  # from 3.13
)
WAIT: Place = ("tasks", "_wait")
CANCEL_AND_WAIT: Place = ("tasks", "_cancel_and_wait")  # of `wait_for`
TASK_GROUP: Place = ("taskgroups", "TaskGroup._aexit")  # from 3.13
UNIX_CONNECTION: Place = ("unix_events", "_UnixSelectorEventLoop.create_unix_connection")
SUBPROCESS_WAIT: Place = ("base_subprocess", "BaseSubprocessTransport._wait")
ACCEPT: Place = ("selector_events", "BaseSelectorEventLoop._accept_connection2")
LOOP_CLASSES = ("BaseEventLoop", "BaseSelectorEventLoop", "_UnixSelectorEventLoop")

# Methods of transports, by what they do.
READ = (
    "_SelectorSocketTransport._read_ready",
    "_UnixReadPipeTransport._read_ready",
    "_ProactorReadPipeTransport._loop_reading",
)
WRITE = (
    "_SelectorSocketTransport._write_ready",
    "_SelectorSocketTransport._write_send",  # from 3.12, as the next one
    "_SelectorSocketTransport._write_sendmsg",
    "_UnixWritePipeTransport._write_ready",
    "_ProactorBaseWritePipeTransport._loop_writing",
)
CLOSE = (
    "_SelectorTransport._call_connection_lost",
    "_SelectorSocketTransport._call_connection_lost",
    "_ProactorBasePipeTransport._call_connection_lost",
)
RECEIVE = ("_SelectorDatagramTransport._read_ready", "_ProactorDatagramTransport._loop_reading")
SEND = ("_SelectorDatagramTransport._sendto_ready",)
