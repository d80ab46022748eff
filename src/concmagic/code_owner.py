"""Whose code stands in a file: the one answer; and how ours imports past the user's files of the same name.

A child imports this before all else of ours: it needs no more of the standard library than Python has loaded.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Literal

Owner = Literal["user", "stdlib", "library", "kernel", "ours"]

OURS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "")
# The packages that a notebook's kernel is made of: what their code starts is not the cell's doing.
KERNEL = frozenset(("ipykernel", "IPython", "zmq", "tornado", "jupyter_client"))
_STDLIB = os.path.join(os.path.normpath(os.path.dirname(os.__file__)), "")
_INSTALLED_KERNEL = KERNEL | {"comm"}  # elsewhere a folder of that name may be the user's
_SITE = ("site-packages", "dist-packages")
# Code that libraries generate has no file, and a name by which they do it.
_GENERATED = ("<attrs generated", "<__array_function__", "<decorator-gen", "<lambdifygenerated")
_STRING = "<string>"  # of `exec`; and of what dataclasses and namedtuple generate

known_owners: dict[str, Owner] = {}  # of the files asked for so far


def owner_of(file: str) -> Owner:
    """Whose code stands in this file; what has no file but a name like "<string>" is the user's."""
    owner = known_owners.get(file)
    if owner is None:
        owner = known_owners[file] = _find(file)
    return owner


def is_users(file: str, name: str = "") -> bool:
    """Whether a function of this file and qualified name is the user's; C functions have no file.

    Methods like `__init__` in "<string>" are what dataclasses and namedtuple have generated.
    """
    if not file or owner_of(file) != "user":
        return False
    return file != _STRING or not name.rpartition(".")[2].startswith("__")


def is_ours(file: str) -> bool:
    """Whether it is one of concmagic's own files."""
    return file.startswith(OURS)


def is_installed(path: str) -> bool:
    """Whether a file or folder lies among installed packages."""
    return not set(_SITE).isdisjoint(path.split(os.sep))


def is_of(packages: Collection[str], file: str) -> bool:
    """Whether a file lies in a folder of one of these packages, wherever they are installed."""
    return not set(packages).isdisjoint(file.replace(os.sep, "/").split("/"))


def _find(file: str) -> Owner:
    if file.startswith("<frozen"):
        return "stdlib"
    # Compiled code tells a path of where it was built.
    if file.startswith(_GENERATED) or file.endswith(".pyx"):
        return "library"
    path = os.path.normpath(file)
    if path.startswith(OURS):
        return "ours"
    parts = path.split(os.sep)
    site = next((index for index, part in enumerate(parts) if part in _SITE), None)
    if site is not None:
        return "kernel" if _INSTALLED_KERNEL.intersection(parts[site + 1 : site + 2]) else "library"
    return "stdlib" if path.startswith(_STDLIB) else "user"


# Beside the standard library.
_NEEDED = ("numpy", "cloudpickle", "viztracer", "psutil")

_folders: tuple[str, ...] = ()  # entries of `sys.path` with such files
_names: frozenset[str] = frozenset()  # of these modules
_aside: dict[str, ModuleType] = {}  # ours, by name
_depth = 0


def look_for_shadows() -> None:
    """Look now for files of the user's that stand where ours would import from: `queue.py`, `numpy.py`."""
    wanted = {*sys.stdlib_module_names, *_NEEDED} - set(sys.builtin_module_names)
    found = {entry: _shadowing(entry, wanted) for entry in dict.fromkeys(sys.path) if _is_users(entry)}
    know_shadows([entry for entry, names in found.items() if names], [*set().union(*found.values())])


def know_shadows(folders: list[str], names: list[str]) -> None:
    """In a child: what its parent has found. By real paths: a child's `sys.path` writes them otherwise."""
    global _folders, _names
    _folders, _names = tuple(_real(folder) for folder in folders), frozenset(names)


def known_shadows() -> tuple[list[str], list[str]]:
    """Folders and names, for a child; both empty where there are none."""
    return list(_folders), list(_names)


def _is_users(entry: str) -> bool:
    """Whether a folder is neither the standard library nor one of installed packages."""
    path = _real(entry)
    library = os.path.dirname(os.path.realpath(os.__file__))
    own = os.path.realpath(os.path.join(OURS, os.pardir))
    return not is_installed(path) and path != own and not f"{path}{os.sep}".startswith(library + os.sep)


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
    """Whatever is imported within this block is Python's own, or an installed package's.

    A kernel looks into the current folder before it looks into installed packages, and a new process before
    it looks into the standard library. What the user's own code imports stays what it is; what was loaded
    here under such a name is put aside until the next time, so that the user's `import` of it finds the
    user's file as ever.
    """
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
