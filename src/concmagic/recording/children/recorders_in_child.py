"""The recorders that run in a child: those of the kernel that have something to see, and one of its own.

`ChangedGlobals` tells which of the notebook's variables it has changed: its own copies, which
nobody else sees. That is told without running the user's code: a name that is bound to another object now, or
a list, dictionary or set of another length. What an initializer sets is set on purpose, so pools' workers are
looked at from their first job on.
"""

from __future__ import annotations

import sys
import threading
from functools import partial
from typing import Any

from concmagic.clock import held
from concmagic.code_owner import ours_only
from concmagic.interpreter import borrowing
from concmagic.problems import Problem
from concmagic.recording import guards
from concmagic.recording.guards import guarded
from concmagic.recording.time_budget import TimeBudget
from concmagic.records.evidence_sources import SOURCES, Source, named

_PATIENCE_S = 4.0  # for whoever starts or stops them: less than a process waits for all that we do at its end

_LENGTH_TELLS = (list, dict, set, bytearray)
_MOST_NAMES = 20_000  # of variables


class ChildRecorders:
    """Every source of evidence of this process; one that fails costs its own evidence only."""

    def __init__(self, detail: str, budget: int) -> None:
        guards.problems()  # a forked child has those of its parent or of an earlier cell
        borrowing.forget_told()
        self.problems: list[Problem] = []
        # Whatever the detail, a child records no more than its share of what all may.
        self._time = TimeBudget()
        self._given = {
            "time": self._time,
            "time_of_locks": TimeBudget(),
            "detail": "auto" if detail == "calls" else detail,
            "budget": budget,
        }
        self._running: dict[str, Any] = {}
        self._have_failed: set[str] = set()
        self._waiting = [source for source in SOURCES if source.in_children]
        self._is_on = self._is_over = False
        # The thread that hands over may stop them while another still starts them. By the same thread
        # again: an exit handler or a destructor can run inside.
        self._turn = threading.RLock()

    def load(self) -> None:
        """Import what start() will need, while the child is starting anyway."""
        for source in self._waiting:
            if _is_due(source):
                guarded(partial(self._make, source), _told_later)

    def start(self) -> bool:
        """Start what can be started; False: they have been stopped already, before they could begin."""
        with held(self._turn, _PATIENCE_S) as got:
            self._is_on = got and not self._is_over
            self._time.begin()
            guards.charge(self._time)
            self._start_due()
            return self._is_on

    def start_due(self) -> None:
        """Start those recorders, too, whose module the child has imported by now."""
        with held(self._turn, 0) as got:
            if got:  # else they are just being started or stopped
                self._start_due()

    def _start_due(self) -> None:
        due = [source for source in self._waiting if self._is_on and _is_due(source)]
        for source in due:
            self._waiting.remove(source)
            failed = partial(self._failed, source.name)
            recorder = guarded(partial(self._make, source), failed)
            if recorder is not None:
                self._running[source.name] = recorder  # first: one that starts half the way is stopped, too
                guarded(recorder.start, failed)

    def _failed(self, name: str, error: BaseException) -> None:
        if name not in self._have_failed:
            self._have_failed.add(name)
            self.problems.append(Problem.of("recorder_failed", name, error))

    def stop(self) -> dict[str, Any]:
        """Stop them, last first, for good; what each saw, by its source's name."""
        with held(self._turn, _PATIENCE_S) as got:
            self._is_on, self._is_over = False, True
            if not got:
                self.problems.append(Problem.of("child_busy_with_us"))
                return {}
            return self._stop()

    def _stop(self) -> dict[str, Any]:
        seen: dict[str, Any] = {"observing_ns": self._time.whole_ns}
        for name, recorder in reversed(self._running.items()):
            seen[name] = guarded(recorder.stop, partial(self._failed, name))
            self.problems += getattr(recorder, "problems", ())
        self.problems += guards.problems()
        self.problems += borrowing.losses()
        self._running.clear()
        return seen

    def running(self, name: str) -> Any:
        """The recorder of that name, None if it does not run."""
        return self._running.get(name)

    def _make(self, source: Source) -> Any:
        with ours_only():
            make = named("recording", source.observer)
            return make(**{name: self._given[name] for name in source.given if name in self._given})


def _told_later(error: BaseException) -> None:
    """Say nothing: whatever failed here fails again at the start, and is told then."""


def load_late() -> None:
    """Import what children import late, because it takes time that no start should take.

    Before a fork: while another thread imports a module it is locked, and for a child that is forked then,
    for ever.
    """
    with ours_only():
        from concmagic import errors  # noqa: F401
        from concmagic.interpreter import c_library  # noqa: F401
        from concmagic.recording.children import pickler  # noqa: F401
        from concmagic.recording.locks import lock_log  # noqa: F401
        from concmagic.records import handed_over  # noqa: F401


def _is_due(source: Source) -> bool:
    return not source.observes or source.observes in sys.modules


class ChangedGlobals:
    """The notebook's variables in this process that are not as they were at `begin`."""

    def __init__(self) -> None:
        self._before: dict[str, tuple[int, int]] = {}
        self._kept: list[Any] = []  # what was bound stays alive, so that no address is given out again

    def begin(self) -> None:
        """Remember how the notebook's variables are now."""
        space = vars(sys.modules["__main__"])
        if len(space) > _MOST_NAMES:
            return
        self._before, self._kept = {}, []
        for name, value in list(space.items()):
            if not name.startswith("_"):
                self._before[name] = id(value), _length(value)
                self._kept.append(value)

    def changed(self) -> tuple[str, ...]:
        """The names of those that are different now."""
        space = vars(sys.modules["__main__"])
        given = _given_by_us()
        found = []
        for name, (address, length) in self._before.items():
            value = space.get(name, self)
            if value is self or (name in given and given[name] is value and id(value) != address):
                continue  # deleted; or a newer version that came with a job
            if id(value) != address or _length(value) != length:
                found.append(name)
        self._before, self._kept = {}, []
        return tuple(found)


def _length(value: Any) -> int:
    return len(value) if type(value) in _LENGTH_TELLS else -1


def _given_by_us() -> dict[str, Any]:
    pickler = sys.modules.get("concmagic.recording.children.pickler")
    return pickler.given if pickler is not None else {}
