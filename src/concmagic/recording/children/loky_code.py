"""Code that loky sends keeps the name of its file, which cloudpickle drops from 3.1.3 on.

By it a worker's calls are known as the notebook's. Only what loky's queues pickle is changed: what the
user's own code gives to cloudpickle comes out as ever. A receiver needs nothing of ours to read it.
"""

from __future__ import annotations

import operator
import threading
from collections.abc import Callable
from types import CodeType
from typing import Any

from concmagic.interpreter.frames import hide_frame
from concmagic.interpreter.process_start import dispatch_table

_local = threading.local()


class FileNames:
    """cloudpickle's way with code objects, changed from `start` to `stop`."""

    def __init__(self) -> None:
        self._table: Any = None
        self._original: Any = None
        self._mine: Any = None

    def start(self) -> None:
        """Change it where it is loaded, once."""
        table = dispatch_table()
        if self._table is not None or table is None or CodeType not in table:
            return
        self._table, self._original = table, table[CodeType]
        self._mine = table[CodeType] = _with_file_name(self._original)

    def stop(self) -> None:
        """Put it back."""
        if self._table is not None and self._table.get(CodeType) is self._mine:
            self._table[CodeType] = self._original
        self._table = None


def sending(dumps: Callable[..., Any]) -> Callable[..., Any]:
    """loky's pickling, while which code keeps its file's name."""

    def wrapper(*arguments: Any, **options: Any) -> Any:
        _local.is_sending = True
        try:
            return dumps(*arguments, **options)
        except BaseException as error:
            hide_frame(error)
            raise
        finally:
            _local.is_sending = False

    return wrapper


class _Bare:
    """Unpickles to what cloudpickle makes of a code object."""

    def __init__(self, plan: tuple[Any, ...]) -> None:
        self._plan = plan

    def __reduce__(self) -> tuple[Any, ...]:
        return self._plan


def _with_file_name(original: Callable[[CodeType], tuple[Any, ...]]) -> Callable[[CodeType], tuple[Any, ...]]:
    def reduce_code(code: CodeType) -> tuple[Any, ...]:
        plan = original(code)
        if not getattr(_local, "is_sending", False):
            return plan
        return operator.methodcaller("replace", co_filename=code.co_filename), (_Bare(plan),)

    return reduce_code
