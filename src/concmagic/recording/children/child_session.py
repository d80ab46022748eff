"""One child's own recording: what it says while it runs, and what it hands over at its end.

Every end passes one gate (`hand_over`), once: a normal end and `sys.exit`, an exception,
`os._exit`, SIGTERM, and the end of the cell.
"""

from __future__ import annotations

import _thread
import atexit
import os
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from concmagic import sentences
from concmagic.clock import held, monotonic_ns, process_time_ns
from concmagic.interpreter.borrowing import borrowed
from concmagic.interpreter.process_internals import leaves_before_jobs
from concmagic.problems import Problem
from concmagic.recording import prints
from concmagic.recording.children import messages, resources
from concmagic.recording.children.child_config import ChildConfig
from concmagic.recording.children.child_listener import Listener
from concmagic.recording.children.handover_files import (
    CALLS_PART,
    MARKS_PART,
    MESSAGES_PART,
    NAMES_PART,
    ChildFile,
)
from concmagic.recording.children.hooks import Hooks
from concmagic.recording.children.import_times import ImportTimes, Row
from concmagic.recording.children.message_arrivals import Wake, sleep_until_called
from concmagic.recording.children.recorders_in_child import (
    ChangedGlobals,
    ChildRecorders,
    load_late,
)
from concmagic.recording.guards import guarded, unseen
from concmagic.recording.labels import command_name

if TYPE_CHECKING:
    from concmagic.recording.children.handover_files import AtEnd
    from concmagic.records.handed_over import CallsPart


_PATIENCE_S = 5.0  # for the thread that hands over already; it works, it does not wait


class Life:
    """This child's own recording."""

    def __init__(self, config: ChildConfig, hooks: Hooks, begun_ns: int, wake: Wake) -> None:
        self.config = config
        self._wake = wake
        self.hooks = hooks
        self.begun_ns = begun_ns
        self.loaded_ns: int | None = None
        self.loaded_cpu_ns: int | None = None
        self.called_ns: int | None = None
        self.target_ns: int | None = None
        self._parts = count(1)  # records of what is handed over as it runs
        self.problems: list[Problem] = []
        self.globals = ChangedGlobals()
        self.imports = ImportTimes()
        self._had_job = False
        self.recorders = ChildRecorders(config.detail, config.budget)
        self.file = ChildFile(Path(config.folder), os.getpid(), begun_ns)
        self.listener = Listener(self._end, self._answer, self.file.ask_path)
        self._turn = threading.RLock()  # a target begins as a whole, before it is handed over or not at all
        self._gate = _thread.allocate_lock()
        self._over = _thread.allocate_lock()
        self._over.acquire(blocking=False)

    def begin(self) -> None:
        """Write the first record, and prepare to hand over at whatever end comes."""
        self.file.append("hello", self.config._replace(sources=None)._asdict())
        self.listener.start()
        _Exit.install(self)
        _watch_exec(self._becomes)
        self.hooks.before_fork = load_late

    def begin_target(self) -> None:
        """The user's target begins now: from here on everything is recorded."""
        with held(self._turn, _PATIENCE_S) as got:
            if got and self.target_ns is None:
                self.called_ns = monotonic_ns()
                imports = guarded(self.imports.so_far, self.failed) or []
                self._begin_target(self.called_ns, imports)

    def _begin_target(self, called_ns: int, imports: list[Row]) -> None:
        if not self.recorders.start():
            self.target_ns = called_ns
            return  # the cell was over first: it sleeps already
        for part in (
            self._hand_over_as_it_runs,
            partial(resources.watch, self._append_name),
            self.globals.begin,
        ):
            guarded(part, self.failed)
        self.target_ns = monotonic_ns()
        guarded(partial(self.file.append, "target", (called_ns, self.target_ns, imports)), self.failed)

    def failed(self, error: BaseException) -> None:
        """Note that something of ours in this child has failed."""
        problem = Problem.of("recorder_failed", "child", error)
        if problem not in self.problems:
            self.problems.append(problem)

    def loaded(self) -> None:
        """Note that our own imports are done: what takes time from here on is the child's own."""
        self.loaded_ns, self.loaded_cpu_ns = monotonic_ns(), process_time_ns()
        self.file.append("loaded", self.loaded_ns)
        guarded(self.imports.start, self.failed)

    def _hand_over_as_it_runs(self) -> None:
        """Its jobs, marks and calls are known as it runs, should it be killed."""
        recorder = messages.of_this_process()
        if recorder is not None:
            recorder.hand_over, recorder.on_job = self._append_messages, self._before_job
            recorder.sleeps = True
        marks = self.recorders.running("marks")
        if marks is not None:
            marks.taker = self._append_marks
        calls = self.recorders.running("calls")
        if calls is not None:
            calls.pass_on_to(self._append_calls)

    def _before_job(self) -> None:
        """A worker has its first job: what came before it, or an initializer changed, was meant to change."""
        if not self._had_job:
            self._had_job = True
            self.globals.begin()

    def _append_messages(self, rows: Sequence[list[Any]]) -> None:
        self._append(MESSAGES_PART, rows)

    def _append_marks(self, rows: Sequence[Any]) -> None:
        self._append(MARKS_PART, rows)

    def _append_calls(self, part: CallsPart) -> None:
        self._append(CALLS_PART, part)
        marks = self.recorders.running("marks")
        if marks is not None:
            marks.pass_on()  # to set one is a call: so none waits for the next

    def _append_name(self, name: resources.Name) -> None:
        self._append(NAMES_PART, name)

    def _append(self, kind: str, content: Any) -> None:
        self.file.append(f"{kind}{next(self._parts):09}", content)

    def fail(self, text: str) -> None:
        """Tell the parent why this child could not start."""
        self.file.append("failed", text)

    def interrupted(self) -> None:
        """Tell the parent that an interrupt ends this child, and no error of its own."""
        self.file.append("interrupted", True)

    def _becomes(self, command: str) -> None:
        self.file.append("became", command)
        self.hand_over(None)

    def _end(self) -> None:
        self.hooks.pools.close()  # its own workers are ended with it, and must not be replaced meanwhile
        self.hand_over(None)

    def hand_over(self, exit_code: int | None, is_ending: bool = True) -> None:
        """Write all that was recorded, once; whoever comes second waits until it is written."""
        if not self._gate.acquire(blocking=False):
            if self._over.acquire(timeout=_PATIENCE_S):
                self._over.release()
            return
        prints.flush()
        try:
            recorder = messages.of_this_process()
            if recorder is not None:
                recorder.pass_on_all()  # first: its jobs are few, its calls may take too long
            if is_ending:
                self.file.append("ending", monotonic_ns())
            self.file.append("end", self._evidence(exit_code))
        except Exception:  # a full disk, a folder that is gone: its parent says that nothing came
            return
        finally:
            self._over.release()

    def _answer(self) -> None:
        """The cell is over and this child is not: hand over what there is, and sleep."""
        self.hand_over(None, is_ending=False)
        resources.unwatch()
        sleep_until_called(Path(self.config.folder), self._wake)
        self.file.note_told()

    def _evidence(self, exit_code: int | None) -> AtEnd:
        with held(self._turn, _PATIENCE_S):  # also without it: what is recorded so far is better than nothing
            done_ns = monotonic_ns()
            imports = guarded(self.imports.stop, self.failed) or []
            seen = self.recorders.stop()
        return {
            "begun_ns": self.begun_ns,
            "loaded_ns": self.loaded_ns,
            "loaded_cpu_ns": self.loaded_cpu_ns,
            "called_ns": self.called_ns,
            "target_ns": self.target_ns,
            "done_ns": done_ns,
            "imports": imports,
            "exit_code": exit_code,
            "main_native_id": main_native_id(),
            "cpu_ns": process_time_ns(),
            "seen": {**seen, "prints": prints.noted()},
            "changed": self.globals.changed(),
            "children": [child.as_told() for child in self.hooks.family.children],
            "problems": [*self.problems, *self.hooks.problems, *self.recorders.problems],
        }


def main_native_id() -> int:
    """The main thread's; after `os.fork` its Thread object still has the parent's."""
    return os.getpid() if sys.platform == "linux" else threading.main_thread().native_id or 0


def _tell_death_at_start(life: Life, status: int) -> None:
    if status and leaves_before_jobs():
        life.fail(sentences.died_at_start(life.config.name, status))


def _leave(life: Life) -> None:
    life.hand_over(None)
    guarded(life.listener.leave, life.failed)


class _Exit:
    """`os._exit` by which forked children leave, and by which a user's code may."""

    original: Callable[[int], Any] | None = None

    @classmethod
    def install(cls, life: Life) -> None:
        """Have the process hand over before `os._exit` or the interpreter's end ends it."""
        original = cls.original = cls.original or borrowed(os, "_exit")
        atexit.register(_leave, life)
        if original is None:
            return

        def _exit(status: int) -> None:
            guarded(partial(_tell_death_at_start, life, status), life.failed)
            guarded(partial(life.hand_over, status), life.failed)
            original(status)

        os._exit = _exit  # type: ignore[assignment]


_originals: dict[str, Any] = {}


def _watch_exec(becomes: Callable[[str], None]) -> None:
    """Call `becomes` with the command's name before this process is another program; for good."""
    for name in ("execv", "execve"):
        original = _originals.get(name) or borrowed(os, name)
        if original is not None:
            _originals[name] = original
            setattr(os, name, _executing(original, becomes))


def _executing(original: Any, becomes: Callable[[str], None]) -> Any:
    def execute(path: Any, argv: Any, *env: Any) -> None:
        with suppress(Exception):  # the original says what is wrong with what it was given
            if os.access(path, os.X_OK) and not os.path.isdir(path):
                becomes(command_name(argv))
        original(path, argv, *env)

    return unseen(execute)
