"""Messages that a thread has received and not unpickled yet.

To unpickle one may receive others: a manager's proxy asks its manager as it is made. Those that are read as
bytes are never unpickled, so what is unpickled is found by its size and digest.
"""

from __future__ import annotations

import threading
import zlib
from collections import deque
from typing import Any

_MOST = 64  # of one thread
_DIGESTED = 2_048  # bytes; the number of a pool's job stands before its arguments

Row = list[Any]  # the fields of a MessageRecord, in order


def digest_of(data: Any) -> int:
    """What tells messages of one size apart."""
    return zlib.crc32(data[:_DIGESTED])


class YetToUnpickle(threading.local):
    """Of each thread the messages that arrived, newest last."""

    def __init__(self) -> None:
        self._arrived: deque[tuple[int, int, Row | None]] = deque(maxlen=_MOST)

    def add(self, data: Any, row: Row | None) -> None:
        """A message has arrived; it has a row if it is kept."""
        self._arrived.append((len(data), digest_of(data), row))

    def take(self, data: Any) -> tuple[bool, Row | None]:
        """Whether what is unpickled was a message, and its row; those that came after it are done with."""
        size = len(data)
        if not any(one[0] == size for one in self._arrived):
            return False, None
        wanted = size, digest_of(data)
        at = next((n for n, one in enumerate(reversed(self._arrived)) if one[:2] == wanted), -1)
        if at < 0:
            return False, None
        for _ in range(at):
            self._arrived.pop()
        return True, self._arrived.pop()[2]
