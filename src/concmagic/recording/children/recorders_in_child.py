"""The recorders that run in a child, and what they hand over."""

from __future__ import annotations

import importlib
import sys
import threading
from functools import partial
from typing import Any

from concmagic.bounded import held
from concmagic.interpreter import reading
from concmagic.interpreter.shadowing_files import ours_only
from concmagic.problems import Problem
from concmagic.recording import guards
from concmagic.recording.guards import guarded

_PATIENCE_S = 4.0  # for whoever starts or stops them: less than a process waits for all that we do at its end

# Importing what they observe would cost a child up to 40 ms: these wait until it has imported it.
_OBSERVED = {"tasks": "asyncio", "jobs": "concurrent.futures.thread", "hosts": "socket"}
_MODULES = {
    "messages": ("children.messages", "MessageRecorder"),
    "marks": ("marks", "MarkRecorder"),
    "hosts": ("hosts", "HostRecorder"),
    "jobs": ("threads.thread_jobs", "PoolJobRecorder"),
    "threads": ("threads.thread_recorder", "ThreadRecorder"),
    "tasks": ("tasks.task_recorder", "TaskRecorder"),
    "locks": ("locks.lock_recorder", "LockRecorder"),
    "calls": ("calls.call_recorder", "CallRecorder"),  # last: it costs most, and sees none of the others
}


class ChildRecorders:
    """Every source of evidence of this process; one that fails costs its own evidence only."""

    def __init__(self, detail: str, budget: int) -> None:
        guards.problems()  # a forked child has those of its parent or of an earlier cell
        reading.forget_told()
        self.problems: list[Problem] = []
        # Whatever the detail, a child records no more than its share of what all may.
        self._of_calls = "auto" if detail == "calls" else detail, budget
        self._running: dict[str, Any] = {}
        self._have_failed: set[str] = set()
        self._waiting = list(_MODULES)
        self._is_on = self._is_over = False
        # The thread that hands over may stop them while another still starts them. By the same thread
        # again: an exit handler or a destructor can run inside.
        self._turn = threading.RLock()

    def load(self) -> None:
        """Import what start() will need, while the child is starting anyway."""
        for name in self._waiting:
            if _is_due(name):
                guarded(partial(self._make, name), _told_later)

    def start(self) -> bool:
        """Start what can be started; False: they have been stopped already, before they could begin."""
        with held(self._turn, _PATIENCE_S) as got:
            self._is_on = got and not self._is_over
            self._start_due()
            return self._is_on

    def start_due(self) -> None:
        """Start those too that have something to observe by now."""
        with held(self._turn, 0) as got:
            if got:  # else they are just being started or stopped
                self._start_due()

    def _start_due(self) -> None:
        due = [name for name in self._waiting if self._is_on and _is_due(name)]
        for name in due:
            self._waiting.remove(name)
            recorder = guarded(partial(self._make, name), partial(self._failed, name))
            if recorder is not None:
                self._running[name] = recorder  # first: one that starts half the way is stopped, too
                guarded(recorder.start, partial(self._failed, name))

    def _failed(self, name: str, error: BaseException) -> None:
        if name not in self._have_failed:
            self._have_failed.add(name)
            self.problems.append(Problem.of("recorder_failed", name, error))

    def stop(self) -> dict[str, Any]:
        """Stop them, last first, for good; what each saw, by the ProcessRecord's field."""
        with held(self._turn, _PATIENCE_S) as got:
            self._is_on, self._is_over = False, True
            if not got:
                self.problems.append(Problem.of("child_busy_with_us"))
                return {}
            return self._stop()

    def _stop(self) -> dict[str, Any]:
        seen = {}
        for name, recorder in reversed(self._running.items()):
            seen[name] = guarded(recorder.stop, partial(self._failed, name))
            self.problems += getattr(recorder, "problems", ())
        self.problems += guards.problems()
        self.problems += reading.losses()
        self._running.clear()
        return seen

    def running(self, name: str) -> Any:
        """The recorder of that name, None if it does not run."""
        return self._running.get(name)

    def _make(self, name: str) -> Any:
        module, kind = _MODULES[name]
        with ours_only():
            make = getattr(importlib.import_module(f"concmagic.recording.{module}"), kind)
            return make(*self._of_calls) if name == "calls" else make()


def _told_later(error: BaseException) -> None:
    """To start it fails for the same reason."""


def load_late() -> None:
    """Import what children import late, because it takes time that no start should take.

    Before a fork: while another thread imports a module it is locked, and for a child that is forked then,
    for ever.
    """
    with ours_only():
        from concmagic.interpreter import c_calls  # noqa: F401
        from concmagic.recording.children import pickler  # noqa: F401
        from concmagic.recording.locks import lock_log  # noqa: F401
        from concmagic.records import handed_over, locks  # noqa: F401


def _is_due(name: str) -> bool:
    if name == "locks" and sys.version_info < (3, 12):
        return False  # before, it is the sampler that sees them, and of children it knows no locks
    return _OBSERVED.get(name, "sys") in sys.modules
