"""Replaces attributes for a while and puts back what was there, also in packages that are imported later."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from concmagic.interpreter import reading

_ABSENT = object()


class Patches:
    """A set of replaced attributes of modules and classes."""

    def __init__(self) -> None:
        self._replaced: list[tuple[Any, str, Any, Any]] = []

    def set(self, owner: Any, name: str, value: Any) -> None:
        """Replace an attribute; an inherited one is put on `owner` itself."""
        self._replaced.append((owner, name, vars(owner).get(name, _ABSENT), value))
        setattr(owner, name, value)

    def wrap(self, owner: Any, name: str, make: Callable[[Any], Any], is_static: bool = False) -> bool:
        """Replace a function by what `make` makes of it; one that cannot be replaced stays, which is told."""
        original = reading.replaceable(owner, name, is_static)
        if original is not None:
            self.set(owner, name, make(original))
        return original is not None

    def has(self, owner: Any, name: str) -> bool:
        """Whether that attribute is replaced already."""
        return any(one[0] is owner and one[1] == name for one in self._replaced)

    def stands(self, owner: Any, name: str) -> bool:
        """Whether that attribute is ours at this moment: nobody has replaced it since."""
        return any(
            one[0] is owner and one[1] == name and vars(owner).get(name, _ABSENT) is one[3]
            for one in self._replaced
        )

    def restore(self) -> list[str]:
        """Put everything back, last first. Returns what another tool has replaced since, and keeps."""
        left = []
        for owner, name, original, value in reversed(self._replaced):
            if vars(owner).get(name, _ABSENT) is not value:
                left.append(f"{owner.__name__}.{name}")
            elif original is _ABSENT:
                delattr(owner, name)
            else:
                setattr(owner, name, original)
        self._replaced.clear()
        return left


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
