"""Files of the user's that stand where ours would import from: `queue.py`, `numpy.py` beside the notebook.

A kernel looks into the current folder before it looks into installed packages, and a new process before it
looks into the standard library. What the user's own code imports stays what it is;
ours imports with those folders left out, and what it loaded under such a name is put aside until the next
time, so that the user's `import` of it finds the user's file as ever.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from concmagic import code_owner

# Beside the standard library.
_NEEDED = ("numpy", "cloudpickle", "viztracer", "psutil")

_folders: tuple[str, ...] = ()  # entries of `sys.path` with such files
_names: frozenset[str] = frozenset()  # of these modules
_aside: dict[str, ModuleType] = {}  # ours, by name
_depth = 0


def look() -> None:
    """Look for such files now."""
    wanted = {*sys.stdlib_module_names, *_NEEDED} - set(sys.builtin_module_names)
    found = {entry: _shadowing(entry, wanted) for entry in dict.fromkeys(sys.path) if _is_users(entry)}
    know([entry for entry, names in found.items() if names], [*set().union(*found.values())])


def know(folders: list[str], names: list[str]) -> None:
    """In a child: what its parent has found. By real paths: a child's `sys.path` writes them otherwise."""
    global _folders, _names
    _folders, _names = tuple(_real(folder) for folder in folders), frozenset(names)


def known() -> tuple[list[str], list[str]]:
    """Folders and names, for a child; both empty where there are none."""
    return list(_folders), list(_names)


def _is_users(entry: str) -> bool:
    """Whether a folder is neither the standard library nor one of installed packages."""
    path = _real(entry)
    library = os.path.dirname(os.path.realpath(os.__file__))
    own = os.path.realpath(os.path.join(os.path.dirname(__file__), os.pardir, os.pardir))
    return (
        not code_owner.is_installed(path)
        and path != own
        and not f"{path}{os.sep}".startswith(library + os.sep)
    )


def _shadowing(entry: str, wanted: set[str]) -> set[str]:
    """Which of the wanted modules a folder has."""
    folder = entry or os.curdir
    try:
        there = set(os.listdir(folder))
    except OSError:  # no folder: an archive, or gone
        return set()
    files = {name.removesuffix(".py") for name in there if name.endswith(".py")}
    folders = {name for name in wanted & there if os.path.isfile(os.path.join(folder, name, "__init__.py"))}
    return (files & wanted) | folders


@contextmanager
def ours_only() -> Iterator[None]:
    """Whatever is imported within this block is Python's own, or an installed package's."""
    global _depth
    if not _names or _depth:
        yield
        return
    _depth += 1
    path, before = list(sys.path), {name: sys.modules[name] for name in list(sys.modules) if _is_one(name)}
    for name, module in before.items():
        if _stands_in(module):
            del sys.modules[name]
    sys.modules.update(_aside)
    sys.path[:] = [entry for entry in sys.path if _real(entry) not in _folders]
    try:
        yield
    finally:
        sys.path[:] = path
        for name in [name for name in sys.modules if _is_one(name)]:
            if name not in before or before[name] is not sys.modules[name]:
                _aside[name] = sys.modules.pop(name)
        sys.modules.update(before)
        _depth -= 1


def _is_one(name: str) -> bool:
    return name.partition(".")[0] in _names


def _stands_in(module: ModuleType) -> bool:
    """Whether this is a module of the user's."""
    file = getattr(module, "__file__", None) or ""
    return any(os.path.realpath(file).startswith(folder + os.sep) for folder in _folders)


def _real(entry: str) -> str:
    return os.path.realpath(entry or os.curdir)
