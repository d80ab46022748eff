"""Whether the other end of a connection is in this process or one of its children: /proc tells."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from concmagic.clock import thread_time_ns

_MOST_NS = 20_000_000  # of CPU time that looking may take in one cell


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
