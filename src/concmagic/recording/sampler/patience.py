"""How long to wait for the sampler's answer: long while it runs or wants to, not while it stands still.

Nobody can run faster than the machine lets it, so one that runs, or waits for a core, is waited for. One that
was stopped (SIGSTOP, a debugger) or that sleeps over an unread command will not answer.
"""

from __future__ import annotations

LOOK_S = 0.04  # from one look at it to the next
MOST_LOOKS = 125  # 5 s, however much it runs
_STILL = 4  # looks in a row at which it slept
_STOPPED = 2  # … at which it was stopped: nothing but a signal lets it go on


class StandsStillError(ConnectionError):
    """It does not answer, and will not; `was_stopped` by a signal or a debugger."""

    def __init__(self, was_stopped: bool) -> None:
        super().__init__("it was stopped" if was_stopped else "it did not answer")
        self.was_stopped = was_stopped


class Patience:
    """Looks at a process that does not answer, by its number.

    Where it has ended its number may be another's: but then its end of the socket is closed, which is seen
    first. One that `may_sleep` is only just starting: another process goes on in its place.
    """

    def __init__(self, pid: int, may_sleep: bool = False) -> None:
        self._folder = f"/proc/{pid}"
        self._may_sleep = may_sleep
        self._ran = b""
        self._still = self._stopped = self._looks = 0

    def look(self) -> None:
        """Take another look. Raises StandsStillError once it is known that it will not answer."""
        letter, ran = _state_of(self._folder)
        # On a core or wanting one; at a disk; or it was meanwhile.
        moves = letter in b"RD" or ran != self._ran or self._may_sleep
        self._ran = ran
        self._stopped = self._stopped + 1 if letter in b"Tt" else 0
        self._still = 0 if moves else self._still + 1
        self._looks += 1
        if self._stopped >= _STOPPED or self._still >= _STILL or self._looks >= MOST_LOOKS:
            raise StandsStillError(was_stopped=self._stopped > 0)


def _state_of(folder: str) -> tuple[bytes, bytes]:
    """Its state's letter, and how long it has run, as they stand in /proc; "S" where that cannot be read."""
    try:
        with open(f"{folder}/stat", "rb") as file:
            letter = file.read().rpartition(b")")[2].split()[0]
        with open(f"{folder}/schedstat", "rb") as file:
            return letter, file.read().split()[0]
    except (OSError, IndexError):
        return b"S", b""
