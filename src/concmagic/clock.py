"""The system's clocks as they are, and waits of ours that always end.

freezegun puts functions of its own into `time` and into every loaded module that holds a real one, which
it knows by identity; a test may replace `time.monotonic` by hand. So ours come from a second instance of
the built-in module, which nobody else holds: also when this is imported while the clock is frozen already.
time-machine exchanges the machine code behind `time.time`, `localtime`, `strftime` and `gmtime`, which all
instances share: the wall clock is not read here, and the clocks below are not among what it exchanges.
All of ours read the clock through this module (`tests/unit/test_clock.py`).

Nothing that runs in a user's thread may wait for us without a limit. A lock can be left taken for ever: a
thread that was to let it go could not be started, was ended with its process by a fork, or met an interrupt.
Who waits for such a lock goes on without it after a while, and does without what it guards.
`tests/unit/test_bounded_waits.py` reads the code for other ways to wait.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol


def _second_instance() -> Any:
    """The built-in module made anew; the first, where this Python cannot do that."""
    spec = time.__spec__
    try:
        module = spec.loader.create_module(spec)  # type: ignore[union-attr]
        spec.loader.exec_module(module)  # type: ignore[union-attr, arg-type]
    except Exception:
        return time
    return module


builtin_time = _second_instance()
users_time = time  # for what stands in for code of the user's

monotonic: Callable[[], float] = builtin_time.monotonic
monotonic_ns: Callable[[], int] = builtin_time.monotonic_ns
process_time_ns: Callable[[], int] = builtin_time.process_time_ns
thread_time: Callable[[], float] = builtin_time.thread_time
thread_time_ns: Callable[[], int] = builtin_time.thread_time_ns
sleep: Callable[[float], None] = builtin_time.sleep
# Not on Windows, where nobody asks for it.
clock_gettime_ns: Callable[[int], int] = getattr(builtin_time, "clock_gettime_ns", lambda _: 0)

LOOK_S = 1.0  # a wait for what is the user's own is cut into pieces of this length


class Acquirable(Protocol):
    """A lock, an RLock, a condition."""

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Take it, or give up after `timeout` seconds; answers whether it was taken."""

    def release(self) -> None:
        """Let it go."""


class held:  # reads as what it is: `with held(lock, 1.0) as got:`
    """A `with` block that has a lock, or knows after `seconds` that it has not; the answer is `as got`.

    Where it was taken it is let go at the block's end. Nothing here is a generator: those are slower, and
    stand in tracebacks.
    """

    __slots__ = ("_got", "_lock", "_seconds")

    def __init__(self, lock: Acquirable, seconds: float) -> None:
        self._lock = lock
        self._seconds = seconds
        self._got = False

    def __enter__(self) -> bool:
        self._got = self._lock.acquire(True, self._seconds)
        return self._got

    def __exit__(self, *exception: object) -> None:
        if self._got:
            self._got = False
            self._lock.release()


def until(is_over: Callable[[float], Any]) -> Any:
    """Call `is_over(seconds)`, which waits no longer than that, until it answers something true; return that.

    For waits that last as long as the user's own code does. Each piece ends by itself, so an interrupt that
    did not break into one of them is acted on before the next.
    """
    while not (answer := is_over(LOOK_S)):
        pass
    return answer


def gone_within(is_gone: Callable[[], bool], seconds: float, step_s: float = 0.002) -> bool:
    """Ask again and again, for so long at most, whether something is gone; answers whether it is."""
    limit = monotonic() + seconds
    while not is_gone():
        if monotonic() >= limit:
            return False
        sleep(step_s)
    return True
