"""Whether memory of a process is shared with others: a lock that lies there is one of processes.

For the sampler's own process (`process.py`): the standard library only, and little of it.
"""

from __future__ import annotations

_MOST_PAGES = 100  # that are looked up for one process


class SharedMemory:
    """Looks each page up once."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._known: dict[int, bool] = {}

    def has(self, address: int) -> bool:
        """Whether other processes can have this memory, too."""
        page = address >> 12
        if page not in self._known and len(self._known) < _MOST_PAGES:
            self._known[page] = self._look_up(address)
        return self._known.get(page, False)

    def _look_up(self, address: int) -> bool:
        try:
            with open(f"/proc/{self._pid}/maps", errors="replace") as lines:
                for line in lines:
                    span, rights, _ = line.split(" ", 2)
                    begin, end = span.split("-")
                    if int(begin, 16) <= address < int(end, 16):
                        return rights.endswith("s")
        except (OSError, ValueError):
            return False
        return False
