"""The types of locks; they have no public names."""

from __future__ import annotations

import _thread
import threading
from typing import Any

Lock: type[Any] = type(_thread.allocate_lock())
RLock: type[Any] = type(threading.RLock())


def is_lock(thing: Any) -> bool:
    """Whether it is a lock of C, without asking anything of the user's."""
    return type(thing) is Lock or issubclass(type(thing), RLock)
