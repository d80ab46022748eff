"""A child that outlives its cell sleeps: it records nothing until a later traced cell sends it something.

All that stays is one look, at each message that arrives, for a file that its parent puts down while
a cell is being traced.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable
from multiprocessing import connection
from pathlib import Path
from types import FrameType
from typing import Any

from concmagic.recording.children import messages
from concmagic.recording.children.patches import Patches
from concmagic.recording.children.quiet import watched

_NAME = "next"

Wake = Callable[[dict[str, Any]], None]


class Sleep:
    """From `begin` to the first message in a traced cell; then `wake` is called with its passport."""

    def __init__(self, folder: Path, wake: Wake) -> None:
        self._path = folder / _NAME
        self._wake = wake
        self._patches = Patches()

    def begin(self) -> None:
        """Look at each message from now on; also at one that is waited for already."""
        messages.late_arrivals_to(self._look)
        kind = connection.Connection
        self._patches.set(kind, "_recv_bytes", watched(kind._recv_bytes, self._arrived))  # type: ignore[attr-defined]

    def _arrived(self, told: None, buffer: Any, end: Any, *arguments: Any) -> None:
        self._look(end, buffer, sys._getframe(2))

    def _look(self, end: Any, buffer: Any, caller: FrameType | None) -> None:
        try:
            fields = pickle.loads(self._path.read_bytes())
        except (OSError, EOFError, pickle.UnpicklingError):
            return  # no cell is being traced
        messages.late_arrivals_to(None)
        self._patches.restore()
        self._wake(fields)
        recorder = messages.of_this_process()
        if recorder is not None:
            recorder.note_arrival(end, buffer, caller)


def call(folder: Path, fields: dict[str, Any]) -> None:
    """Let the children that sleep over this folder record the cell that begins."""
    unfinished = folder / f".{_NAME}"
    unfinished.write_bytes(pickle.dumps(fields))
    unfinished.rename(folder / _NAME)


def call_off(folder: Path) -> None:
    """The cell is over: who has not been woken sleeps on."""
    (folder / _NAME).unlink(missing_ok=True)
