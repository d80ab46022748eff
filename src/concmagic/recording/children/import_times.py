"""What a child imports, from before it unpickles what it was sent to its end: which module, who and when.

A worker that is new imports what its first job needs as it unpickles it, or in its initializer: that is
neither pickling nor the job's work. Of imports inside another only the outermost is kept.
"""

from __future__ import annotations

import threading
from typing import Any

from concmagic.clock import monotonic_ns
from concmagic.interpreter.borrowing import Patches
from concmagic.interpreter.frames_and_threads import hide_frame
from concmagic.interpreter.imports import FIND_AND_LOAD, as_importlibs, bootstrap

Row = tuple[int, int, int, str]  # the fields of a ModuleImport

_MOST = 5_000  # that are kept
_OURS = ("concmagic", "viztracer")

_patches = Patches()  # a forked child inherits them
_taker: ImportTimes | None = None


class ImportTimes:
    """The imports of this process from `start` to `stop`, from the search for a module to its last line."""

    def __init__(self) -> None:
        self._rows: list[Row] = []
        self._local = threading.local()

    def start(self) -> None:
        """Begin to see them; whoever saw them before sees no more."""
        global _taker
        _taker = self
        module = bootstrap()
        if module is not None and not _patches.has(module, FIND_AND_LOAD):
            _patches.wrap(module, FIND_AND_LOAD, _watched)

    def so_far(self) -> list[Row]:
        """Those that are over."""
        return list(self._rows)

    def stop(self) -> list[Row]:
        """Put everything back, and tell them all, in the order in which they ended."""
        global _taker
        if _taker is self:
            _taker = None
            _patches.restore()
        return self.so_far()

    def begins(self) -> int:
        """When the calling thread begins to import; 0, if it does so already."""
        if getattr(self._local, "is_at_it", False):
            return 0
        self._local.is_at_it = True
        return monotonic_ns()

    def ends(self, name: str, begun_ns: int, is_loaded: bool) -> None:
        """It has imported that module, or has not found it."""
        self._local.is_at_it = False
        package = name.partition(".")[0]
        if is_loaded and package not in _OURS and len(self._rows) < _MOST:
            self._rows.append((threading.get_native_id(), begun_ns, monotonic_ns(), package))


def _watched(find_and_load: Any) -> Any:
    def watched(name: str, *arguments: Any) -> Any:
        taker = _taker
        begun_ns = 0 if taker is None else taker.begins()
        module = None
        try:
            module = find_and_load(name, *arguments)
        except BaseException as error:
            hide_frame(error)
            raise
        finally:
            if taker is not None and begun_ns:
                taker.ends(name, begun_ns, module is not None)
        return module

    return as_importlibs(watched, find_and_load)
