"""Recording inside a child process, from its first moment of ours to its end.

Every end passes one gate (`hand_over`), once: a normal end and `sys.exit`, an exception,
`os._exit`, SIGTERM. Nothing here imports numpy or IPython, and nothing that fails here may
cost the child its own work.
"""

from __future__ import annotations

import _thread
import atexit
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from multiprocessing import process, util
from pathlib import Path
from types import CodeType, FrameType, TracebackType
from typing import Any

from concmagic import sentences
from concmagic.recording.children import messages, pickling
from concmagic.recording.children.dormant import Sleep
from concmagic.recording.children.family import Child, Family
from concmagic.recording.children.files import ChildFile
from concmagic.recording.children.hooks import Hooks
from concmagic.recording.children.passport import Passport, fields_of
from concmagic.recording.children.recorders import ChildRecorders
from concmagic.recording.children.signals import Listener
from concmagic.recording.children.watch import Watcher

_PATIENCE_S = 5.0  # for the thread that hands over already; it works, it does not wait

_life: Life | None = None


class Life:
    """This child's own recording."""

    def __init__(self, passport: Passport, hooks: Hooks, begun_ns: int) -> None:
        self.passport = passport
        self.hooks = hooks
        self.begun_ns = begun_ns
        self.loaded_ns: int | None = None
        self.called_ns: int | None = None
        self.target_ns: int | None = None
        self._parts = 0
        self.problems: list[str] = []
        self.recorders = ChildRecorders(passport.detail, passport.budget)
        self.file = ChildFile(Path(passport.folder), os.getpid(), begun_ns)
        self.listener = Listener(lambda: self.hand_over(None), self._answer, self.file.ask_path)
        self._gate = _thread.allocate_lock()
        self._over = _thread.allocate_lock()
        self._over.acquire()

    def begin(self) -> None:
        """Say hello, and be ready for any end."""
        hello = replace(self.passport, sources={})
        self.file.append("hello", fields_of(hello))
        self.listener.start()
        _Exit.install(self)

    def begin_target(self) -> None:
        """The user's target begins now: from here on everything is recorded."""
        if self.target_ns is None:
            self.called_ns = time.monotonic_ns()
            self.recorders.start()
            self._hand_messages_over()
            self.target_ns = time.monotonic_ns()
            self.file.append("target", (self.called_ns, self.target_ns))

    def loaded(self) -> None:
        """All that we need is imported; what takes time from here on is the child's own."""
        self.loaded_ns = time.monotonic_ns()
        self.file.append("loaded", self.loaded_ns)

    def _hand_messages_over(self) -> None:
        """Its jobs are known as it runs, should it be killed."""
        recorder = messages.of_this_process()
        if recorder is not None:
            recorder.hand_over = self._append_messages

    def _append_messages(self, rows: Sequence[list[Any]]) -> None:
        self._parts += 1
        self.file.append(f"messages-{self._parts:06}", rows)

    def fail(self, text: str) -> None:
        """It could not start; its parent wants to know why."""
        self.file.append("failed", text)

    def hand_over(self, exit_code: int | None, is_ending: bool = True) -> None:
        """Write all that was recorded, once; whoever comes second waits until it is written."""
        if not self._gate.acquire(blocking=False):
            if self._over.acquire(timeout=_PATIENCE_S):
                self._over.release()
            return
        try:
            recorder = messages.of_this_process()
            if recorder is not None:
                recorder.pass_on_all()  # first: its jobs are few, its calls may take too long
            if is_ending:
                self.file.append("ending", time.monotonic_ns())
            self.file.append("end", self._evidence(exit_code))
        except Exception as error:
            print(sentences.recorder_failed("child", error), file=sys.stderr)
        finally:
            self._over.release()

    def _answer(self) -> None:
        """The cell is over and this child is not: hand over what there is, and sleep."""
        self.hand_over(None, is_ending=False)
        Sleep(Path(self.passport.folder), begin_again).begin()
        self.file.note_told()

    def _evidence(self, exit_code: int | None) -> dict[str, Any]:
        done_ns = time.monotonic_ns()
        seen = self.recorders.stop()
        return {
            "begun_ns": self.begun_ns,
            "loaded_ns": self.loaded_ns,
            "called_ns": self.called_ns,
            "target_ns": self.target_ns,
            "done_ns": done_ns,
            "exit_code": exit_code,
            "main_native_id": main_native_id(),
            "cpu_ns": time.process_time_ns(),
            "seen": seen,
            "children": [replace(child, inherited=None) for child in self.hooks.family.children],
            "problems": [*self.problems, *self.recorders.problems],
        }


def main_native_id() -> int:
    """The main thread's; after `os.fork` its Thread object still has the parent's."""
    return os.getpid() if sys.platform == "linux" else threading.main_thread().native_id or 0


class _Exit:
    """`os._exit` by which forked children leave, and by which a user's code may."""

    original: Callable[[int], Any] | None = None

    @classmethod
    def install(cls, life: Life) -> None:
        """Pass the gate before the process is gone."""
        original = cls.original = cls.original or os._exit

        def _exit(status: int) -> None:
            if status and _leaves_before_jobs():
                life.fail(sentences.died_at_start(life.passport.name, status))
            life.hand_over(status)
            original(status)

        os._exit = _exit  # type: ignore[assignment]
        atexit.register(life.hand_over, None)


def begin_spawned(fields: dict[str, Any]) -> None:
    """Called in a spawned or forkserver's child while it reads its first message."""
    begun_ns = time.monotonic_ns()
    try:
        passport = Passport(**fields)
        hooks = Hooks(replace(passport, parent_pid=os.getpid()))
        hooks.on_fork = begin_forked
        hooks.install()
        _live(Life(passport, hooks, begun_ns), passport)
        _catch_start_errors()
    except Exception:
        traceback.print_exc()  # the child itself goes on


def begin_forked(hooks: Hooks, child: Child | None) -> None:
    """Called in a forked child, before anything else of it runs."""
    begun_ns = time.monotonic_ns()
    try:
        recorder = sys.modules.get("concmagic.recording.calls.recorder")
        if recorder is not None:
            recorder.abandon_after_fork()
        passport = _passport_after_fork(hooks, child)
        inherited = child.inherited if child is not None else None
        hooks.on_fork = begin_forked
        hooks.reset_after_fork(replace(passport, parent_pid=os.getpid()), inherited)
        if _life is not None:
            _life.listener.forget()
        life = _live(Life(passport, hooks, begun_ns), passport)
        if child is None or child.is_bare:
            life.begin_target()  # os.fork: its code simply goes on
    except Exception:
        traceback.print_exc()


def begin_again(fields: dict[str, Any]) -> None:
    """Called in a child of an earlier cell by the first message of this one, in the thread it arrives in."""
    life = _life
    if life is None or not Path(fields["folder"]).is_dir():
        return
    try:
        life.listener.forget()
        passport = replace(life.passport, **fields)
        hooks = life.hooks
        hooks.passport = replace(passport, parent_pid=os.getpid())
        hooks.family = Family()
        hooks.watcher.stop()
        hooks.watcher = Watcher(hooks.family.ended)
        _live(Life(passport, hooks, time.monotonic_ns()), passport).begin_target()
    except Exception:
        traceback.print_exc()


def _passport_after_fork(hooks: Hooks, child: Child | None) -> Passport:
    if child is not None:
        return hooks.passport.for_child(child)
    return replace(hooks.passport, name="fork", start_method="fork", parent_pid=os.getppid())


def _live(life: Life, passport: Passport) -> Life:
    global _life
    _life = life
    courier = pickling.courier()
    courier.folder = Path(passport.folder)
    courier.remembers = True
    courier.after_unpack = life.recorders.start_due
    pickling.show_sources(passport.sources)
    life.begin()
    life.recorders.load()
    life.loaded()
    _watch_bootstrap()
    return life


_bootstrap = process.BaseProcess._bootstrap  # type: ignore[attr-defined]
_info = util.info
_print_exc = traceback.print_exc


def _watch_bootstrap() -> None:
    process.BaseProcess._bootstrap = _traced_bootstrap  # type: ignore[attr-defined]
    # It logs this line just before it calls run(): to wrap run() itself would put a frame of ours
    # into every traceback that a child prints, and a subclass may override it.
    util.info = _info_before_run
    traceback.print_exc = _print_unless_told


def _info_before_run(msg: object, *args: object) -> None:
    _info(msg, *args)
    if _life is not None and "calling self.run" in str(msg):
        _life.begin_target()


def _print_unless_told(*arguments: Any, **options: Any) -> None:
    """multiprocessing prints what ended a child; of a worker that never took a job the pool tells it."""
    error = sys.exc_info()[1]
    trace = error.__traceback__ if error is not None else None
    while trace is not None and trace.tb_frame.f_code is not _worker_code():
        trace = trace.tb_next
    if _life is not None and error is not None and trace is not None and _is_before_jobs(trace.tb_frame):
        _life.fail("".join(traceback.format_exception(error.with_traceback(trace))))
    else:
        _print_exc(*arguments, **options)


def _worker_code() -> CodeType | None:
    module = sys.modules.get("multiprocessing.pool")
    return module.worker.__code__ if module is not None else None


def _is_before_jobs(worker: FrameType) -> bool:
    """Whether a pool's worker is still in its initializer: it has not begun to count its jobs."""
    return "completed" not in worker.f_locals


def _leaves_before_jobs() -> bool:
    frame: FrameType | None = sys._getframe()
    while frame is not None and frame.f_code is not _worker_code():
        frame = frame.f_back
    return frame is not None and _is_before_jobs(frame)


def _traced_bootstrap(process_obj: Any, *arguments: Any, **options: Any) -> Any:
    """What multiprocessing runs in a child, and after which the child is over."""
    code = _bootstrap(process_obj, *arguments, **options)
    if _life is not None:
        _life.hand_over(code)
    return code


def _catch_start_errors() -> None:
    """Keep the error of a spawned child that cannot read its target."""
    original = sys.excepthook

    def excepthook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        life = _life
        if life is None or life.target_ns is not None:
            original(kind, error, trace)
            return
        life.fail("".join(traceback.format_exception(kind, error, trace)))
        if not life.passport.group:  # a pool's worker is not alone: its pool raises the error, once
            original(kind, error, trace)

    sys.excepthook = excepthook
