"""A child that outlives its cell sleeps: it records nothing until a later traced cell sends it something.

All that stays is one look, at each message that arrives, for a file that its parent puts down while
a cell is being traced.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from concmagic.recording.children import message_arrivals, messages

_NAME = "next"

Wake = Callable[[dict[str, Any]], None]


class Sleep:
    """From `begin` to the first message in a traced cell; then `wake` is called with its config."""

    def __init__(self, folder: Path, wake: Wake) -> None:
        self._path = folder / _NAME
        self._wake = wake

    def begin(self) -> None:
        """Look at each message from now on; also at one that is waited for already."""
        message_arrivals.watch(look=self._look)

    def _look(self, end: Any, buffer: Any, caller: FrameType | None) -> None:
        try:
            fields = pickle.loads(self._path.read_bytes())
        except (OSError, EOFError, pickle.UnpicklingError):
            return  # no cell is being traced
        message_arrivals.watch()
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
