"""How often this process asked managers for something, and how long it waited for the answers.

Each use of a manager's list, dictionary or queue is a message to its server and one back. The messages
themselves are told one by one only while the budget of time lasts; this is a counter and two looks at the
clock around each request, a hundredth of what that takes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from types import ModuleType
from typing import Any

from concmagic.clock import monotonic_ns
from concmagic.interpreter.borrowing import Patches, on_import
from concmagic.interpreter.process_internals import ASK, MANAGERS
from concmagic.recording.guards import unseen

_current: ManagerRequests | None = None


class ManagerRequests:
    """Requests of this process from `start` to `stop`."""

    def __init__(self) -> None:
        self._patches = Patches()
        self._modules = ExitStack()
        self._here = threading.local()
        self._sums: list[list[int]] = []  # of each thread: how many, and nanoseconds

    def start(self) -> None:
        """Count from now on, in these modules as soon as they are there."""
        global _current
        if _current is not None:
            _current._uninstall()  # the parent's, in a forked child
        _current = self
        for module in MANAGERS:
            self._modules.enter_context(on_import(module, self._watch))

    def stop(self) -> tuple[int, int] | None:
        """Put everything back: how many requests, and how long they took; None where there were none."""
        global _current
        self._uninstall()
        if _current is self:
            _current = None
        sums = [list(one) for one in self._sums]  # a thread may be in a request yet
        many = sum(one[0] for one in sums)
        return (many, sum(one[1] for one in sums)) if many else None

    def _uninstall(self) -> None:
        self._modules.close()
        self._patches.restore()

    def _watch(self, module: ModuleType) -> None:
        self._patches.wrap(module.BaseProxy, ASK, self._counted)

    def _counted(self, original: Callable[..., Any]) -> Any:
        def ask(*arguments: Any, **options: Any) -> Any:
            begun_ns = monotonic_ns()
            try:
                return original(*arguments, **options)
            finally:  # an error is an answer, too
                self._count(monotonic_ns() - begun_ns)

        return unseen(ask)

    def _count(self, took_ns: int) -> None:
        sums = getattr(self._here, "sums", None)
        if sums is None:
            sums = self._here.sums = [0, 0]
            self._sums.append(sums)
        sums[0] += 1
        sums[1] += took_ns
