"""Whose code stands in a file, and how a reader is told its name."""

from __future__ import annotations

import os
import sysconfig
from collections.abc import Mapping

_OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_LIBRARY = tuple(
    {
        os.path.normpath(folder) + os.sep
        for folder in (
            os.path.dirname(os.__file__),
            *(sysconfig.get_path(kind) for kind in ("stdlib", "platstdlib", "purelib", "platlib")),
        )
    }
)
_SITE = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")


class Places:
    """File names of one notebook: own code or a library's, and the short name shown."""

    def __init__(self, cell_file: str, cells: Mapping[str, int]) -> None:
        self._cell_file = cell_file
        self._cells = cells
        self._own: dict[str, bool] = {}

    def short(self, file: str) -> str:
        """The name shown: "" for this cell, "In[12]" for another, else the last part of the path."""
        if not file or file == self._cell_file:
            return ""
        if file in self._cells:
            return f"In[{self._cells[file]}]"
        return file.replace("\\", "/").rpartition("/")[2]

    def is_own(self, file: str) -> bool:
        """Whether it is the user's: a cell, or a file outside the standard library and site-packages."""
        own = self._own.get(file)
        if own is None:
            own = self._own[file] = self._find(file)
        return own

    def is_cell(self, file: str) -> bool:
        """Whether it is the traced cell itself."""
        return file == self._cell_file

    def _find(self, file: str) -> bool:
        if file == self._cell_file or file in self._cells:
            return bool(file)
        if not file or file.startswith("<"):
            return False  # generated code, C functions, frozen modules
        path = os.path.normpath(file)
        if any(part in path for part in _SITE):
            return False
        return not path.startswith((_OURS, *_LIBRARY))
