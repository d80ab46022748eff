"""The system's clocks as they are, whatever the notebook has done to `time`.

freezegun puts functions of its own into `time` and into every loaded module that holds a real one, which
it knows by identity; a test may replace `time.monotonic` by hand. So ours come from a second instance of
the built-in module, which nobody else holds: also when this is imported while the clock is frozen already.
time-machine exchanges the machine code behind `time.time`, `localtime`, `strftime` and `gmtime`, which all
instances share: the wall clock is not read here, and the clocks below are not among what it exchanges.
All of ours read the clock through this module (`tests/unit/test_clock.py`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


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
