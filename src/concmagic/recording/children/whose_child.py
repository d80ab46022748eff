"""Who a child belongs to: its pool, an executor, multiprocessing's own helpers."""

from __future__ import annotations

import os
import sys
import weakref
from typing import TYPE_CHECKING, Any

from concmagic.interpreter import process_start
from concmagic.interpreter.known_functions import MANAGER, WORKER_TARGETS

if TYPE_CHECKING:
    from concmagic.records.handed_over import Origin


class Groups:
    """Numbers the pools as they appear: all workers of one share their queue."""

    def __init__(self) -> None:
        self._names: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()
        self._count: dict[str, int] = {}

    def of(self, process_obj: Any) -> tuple[Origin, str]:
        """Origin and group of a process that is about to start."""
        target = process_start.target_of(process_obj)
        if getattr(target, "__qualname__", "") == MANAGER:
            return "machinery", ""
        family = family_of(target)
        arguments = process_start.arguments_of(process_obj)[0] if family else ()
        return "user", self.name_of(arguments[0], family) if arguments else ""

    def known(self, queue: Any) -> str:
        """The name of the pool that has this queue, if any of its workers were started here."""
        return self._names.get(queue, "")

    def name_of(self, queue: Any, family: str) -> str:
        """The name of the pool that has this queue: "Pool-1"."""
        name = self._names.get(queue)
        if name is None:
            self._count[family] = number = self._count.get(family, 0) + 1
            self._names[queue] = name = f"{family}-{number}"
        return name


def family_of(target: Any) -> str:
    """ "Pool", "ProcessPoolExecutor" for the function that a worker runs, else ""."""
    module = getattr(target, "__module__", "")
    function, family = WORKER_TARGETS.get(module, ("", ""))
    return family if function and getattr(target, "__name__", "") == function else ""


def helper_of(arguments: Any) -> str:
    """The name of multiprocessing's helper process with this command line, else ""."""
    names = (process_start.helper_with(os.fsdecode(argument)) for argument in arguments)
    return next((name for name in names if name), "")


def command_name(arguments: Any) -> str:
    """A command line's short name: "git", "python job.py"."""
    words = [os.fsdecode(argument) for argument in arguments]
    name = os.path.basename(words[0]) if words else "subprocess"
    if (
        len(words) > 1
        and words[1].endswith(".py")
        and os.path.realpath(words[0]) == os.path.realpath(sys.executable)
    ):
        return f"{name} {os.path.basename(words[1])}"
    return name
