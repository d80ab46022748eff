"""Whose code stands in a file: the one answer, for recorders while a cell runs and for importers after it.

A child imports this before its target runs: the standard library's os alone.
"""

from __future__ import annotations

import os
from collections.abc import Collection
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
    if file.startswith(_GENERATED) or file.endswith(
        ".pyx"
    ):  # compiled code tells a path of where it was built
        return "library"
    path = os.path.normpath(file)
    if path.startswith(OURS):
        return "ours"
    parts = path.split(os.sep)
    site = next((index for index, part in enumerate(parts) if part in _SITE), None)
    if site is not None:
        return "kernel" if _INSTALLED_KERNEL.intersection(parts[site + 1 : site + 2]) else "library"
    return "stdlib" if path.startswith(_STDLIB) else "user"
