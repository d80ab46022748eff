"""Notices that VizTracer has given up recording, which it tells by a warning: that is ours to tell.

It does so when a call returns that it had not seen begin. Code that switches stacks makes such returns, and
so does every exception that the handler of a signal raises while a function begins, an interrupt's above all:
Python looks for signals before it tells that the function was called.
"""

from __future__ import annotations

import warnings
from typing import Any

from concmagic.clock import monotonic_ns
from concmagic.interpreter.patches import Patches

_BEGIN = "VizTracer: Unexpected function return"


class GivingUp:
    """Whether VizTracer gave up between `start()` and `stop()`, and when."""

    def __init__(self) -> None:
        self.at_ns: int | None = None
        self._patches = Patches()

    def start(self) -> None:
        """Keep its warning away from the cell's output from now on."""
        self._patches.wrap(warnings, "_showwarnmsg", self._without_its_own)

    def _without_its_own(self, show: Any) -> Any:
        def _showwarnmsg(message: Any) -> None:
            if message.category is RuntimeWarning and str(message.message).startswith(_BEGIN):
                self.at_ns = monotonic_ns()
            else:
                show(message)

        return _showwarnmsg

    def stop(self) -> None:
        """Put Python's own way to show warnings back."""
        self._patches.restore()
