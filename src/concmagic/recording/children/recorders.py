"""The recorders that run in a child, and what they hand over."""

from __future__ import annotations

import contextlib
import importlib
import sys
from typing import Any

from concmagic import sentences

# Importing what they observe would cost a child up to 40 ms: these wait until it has imported it.
_OBSERVED = {"tasks": "asyncio", "jobs": "concurrent.futures.thread"}
_MODULES = {
    "messages": ("children.messages", "MessageRecorder"),
    "marks": ("marks", "MarkRecorder"),
    "jobs": ("threads.pool_jobs", "PoolJobRecorder"),
    "threads": ("threads.recorder", "ThreadRecorder"),
    "tasks": ("tasks.recorder", "TaskRecorder"),
    "locks": ("locks.recorder", "LockRecorder"),
    "calls": ("calls.recorder", "CallRecorder"),  # last: it costs most, and sees none of the others
}


class ChildRecorders:
    """Every source of evidence of this process; one that fails costs its own evidence only."""

    def __init__(self, detail: str, budget: int) -> None:
        self.problems: list[str] = []
        self._detail, self._budget = detail, budget
        self._running: dict[str, Any] = {}
        self._waiting = list(_MODULES)
        self._is_on = False

    def load(self) -> None:
        """Import what start() will need, while the child is starting anyway."""
        for name in self._waiting:
            if _is_due(name):
                with contextlib.suppress(Exception):  # start() meets it again, and tells
                    self._make(name)

    def start(self) -> None:
        """Start what can be started."""
        self._is_on = True
        self.start_due()

    def start_due(self) -> None:
        """Start those too that have something to observe by now."""
        due = [name for name in self._waiting if self._is_on and _is_due(name)]
        for name in due:
            self._waiting.remove(name)
            try:
                recorder = self._make(name)
                recorder.start()
                self._running[name] = recorder
            except Exception as error:
                self.problems.append(sentences.recorder_failed(name, error))

    def stop(self) -> dict[str, Any]:
        """Stop them, last first; what each saw, by the ProcessRecord's field."""
        seen = {}
        for name, recorder in reversed(self._running.items()):
            try:
                seen[name] = recorder.stop()
            except Exception as error:
                self.problems.append(sentences.recorder_failed(name, error))
        self._running.clear()
        self._is_on = False
        return seen

    def _make(self, name: str) -> Any:
        module, kind = _MODULES[name]
        make = getattr(importlib.import_module(f"concmagic.recording.{module}"), kind)
        return make(self._detail, self._budget) if name == "calls" else make()


def _is_due(name: str) -> bool:
    if name == "locks" and sys.version_info < (3, 12):
        return False  # before, it is the sampler that sees them, and of children it knows no locks
    return _OBSERVED.get(name, "sys") in sys.modules
