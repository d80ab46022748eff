"""A future that is just being made by hand, with `asyncio.Future()`.

Its class is written in C and tells nobody of a new one; but while one is made, its loop is asked
whether it is in debug mode. The future is nobody's yet then, and the newest thing that the collector knows.
"""

from __future__ import annotations

import asyncio
import gc
import sysconfig
from itertools import islice
from typing import Any

_MOST_LOOKED_THROUGH = 5_000  # objects since the last collection, all of which are listed: 20 µs
_NEWEST = 8  # frames and the like may have come after it
# Without the GIL the collector keeps no objects in their order.
_IN_ORDER = not sysconfig.get_config_var("Py_GIL_DISABLED")


def newest_future(loop: Any) -> Any:
    """The future of this loop that is being made right now; None where that cannot be told."""
    if not _IN_ORDER or gc.get_count()[0] > _MOST_LOOKED_THROUGH:
        return None
    for thing in islice(reversed(gc.get_objects(0)), _NEWEST):
        kind: Any = type(thing)
        if issubclass(kind, asyncio.Future) and kind.__hash__ is object.__hash__:
            is_task = hasattr(kind, "get_coro")
            return None if is_task or thing._loop is not loop or thing.done() else thing
    return None
