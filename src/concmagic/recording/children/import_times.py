"""When a child that starts imports what it was sent: its target, its arguments, and all that these need."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from concmagic.clock import monotonic_ns
from concmagic.recording.guards import watched

Stretch = tuple[int, int]  # monotonic nanoseconds


class ImportTimes:
    """The imports of this process from `start` to `stop`, from the search for a module to its last line."""

    def __init__(self) -> None:
        self._found: list[Stretch] = []

    def start(self) -> None:
        """Be asked first for every module that is not loaded yet."""
        sys.meta_path.insert(0, self)

    def stop(self) -> list[Stretch]:
        """When it was importing: in order, one import inside another as one stretch."""
        sys.meta_path[:] = [each for each in sys.meta_path if each is not self]
        joined: list[Stretch] = []
        for begin, end in sorted(self._found):
            if joined and begin <= joined[-1][1]:
                joined[-1] = joined[-1][0], max(joined[-1][1], end)
            else:
                joined.append((begin, end))
        return joined

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """What the finders behind this one find, and be told when it has been executed."""
        begun_ns = monotonic_ns()
        for finder in sys.meta_path[sys.meta_path.index(self) + 1 :]:
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                self._follow(spec.loader, begun_ns)
                return spec
        return None

    def _follow(self, loader: Any, begun_ns: int) -> None:
        execute = getattr(loader, "exec_module", None)
        if execute is None or isinstance(loader, type):  # what is built in takes no time
            return

        def done(told: None, result: None, module: ModuleType) -> None:
            self._found.append((begun_ns, monotonic_ns()))

        def only_once() -> None:
            vars(loader).pop("exec_module", None)  # the instance's own: the class's shows again

        loader.exec_module = watched(execute, done, only_once)
