"""Something to do with a package once the user's own code imports it, and not a moment earlier."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

Action = Callable[[ModuleType], None]


@contextmanager
def on_import(package: str, action: Action) -> Iterator[None]:
    """Until the block ends: do this with a package now if it is there, else when it is imported."""
    module = sys.modules.get(package)
    if module is not None:
        action(module)
        yield
        return
    finder = _Finder(package, action)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        finder.action = None
        if sys.meta_path is not None:  # else the interpreter is ending
            sys.meta_path[:] = [each for each in sys.meta_path if each is not finder]


class _Finder:
    """Finds the one package as the interpreter would, and is told when it has been executed."""

    def __init__(self, package: str, action: Action) -> None:
        self._package = package
        self.action: Action | None = action

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """None for every other name: the next finder's turn."""
        if name != self._package or self.action is None:
            return None
        for finder in sys.meta_path[sys.meta_path.index(self) + 1 :]:  # another of ours may be among them
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                self._follow(spec.loader)
                return spec
        return None

    def _follow(self, loader: Any) -> None:
        execute = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            vars(loader).pop("exec_module", None)  # the instance's own: the class's shows again
            execute(module)
            if self.action is not None:
                self.action(module)

        loader.exec_module = exec_module
