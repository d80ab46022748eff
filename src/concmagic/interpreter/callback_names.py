"""What asyncio's own callbacks are called, by which it is told what a loop was woken for.

A handle tells no more of itself than its callback, and a callback no more than its qualified name.
"""

from __future__ import annotations

# What ends an `asyncio.sleep`.
SLEEP_TIMER = "_set_result_unless_cancelled"

# A file descriptor became ready: the last part of the callback's qualified name.
OF_DESCRIPTORS = frozenset(
    {
        "_accept_connection",
        "_call_connection_lost",
        "_do_wait",  # a child process ended, told by its pidfd
        "_loop_reading",
        "_loop_writing",
        "_read_from_self",
        "_read_ready",
        "_sendto_ready",
        "_set_result_unless_cancelled",  # not as a timer: a connection is ready for use
        "_sock_accept",
        "_sock_connect_cb",
        "_sock_recv",
        "_sock_recv_into",
        "_sock_recvfrom",
        "_sock_recvfrom_into",
        "_sock_sendall",
        "_sock_sendto",
        "_write_ready",
    }
)

# A timer that only carries out what `sleep` and `timeout` asked for: its name would tell nothing.
OF_TIMERS = {
    SLEEP_TIMER: "",
    "Timeout._on_timeout": "timeout",
    "_release_waiter": "timeout",
}

# A future of an executor hands its result over; run in the loop's thread on behalf of the other one.
EXECUTOR_RESULT = "_chain_future.<locals>._set_state"

# Callbacks that only make a future done: none of them cancels a task.
CANCEL_NOBODY = frozenset({"_set_result_unless_cancelled", "BaseSelectorEventLoop._read_from_self"})
