"""Whose code stands in a file, and how a reader is told its name."""

from __future__ import annotations

from collections.abc import Mapping

from concmagic.code_owner import is_users


class Places:
    """File names of one notebook: own code or a library's, and the short name shown."""

    def __init__(self, cell_file: str, cells: Mapping[str, int]) -> None:
        self._cell_file = cell_file
        self._cells = cells

    def short(self, file: str) -> str:
        """The name shown: "" for this cell, "In[12]" for another, else the last part of the path."""
        if not file or file == self._cell_file:
            return ""
        if file in self._cells:
            return f"In[{self._cells[file]}]"
        return file.replace("\\", "/").rpartition("/")[2]

    def is_own(self, file: str, name: str = "") -> bool:
        """Whether a function of this name is the user's: in a cell, or as `code_owner` tells by its file."""
        if file == self._cell_file or file in self._cells:
            return bool(file)
        return is_users(file, name)

    def is_cell(self, file: str) -> bool:
        """Whether it is the traced cell itself."""
        return file == self._cell_file
