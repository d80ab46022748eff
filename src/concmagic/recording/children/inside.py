"""Recording inside a child process, from its first moment of ours to its end.

Nothing here imports numpy or IPython, and nothing that fails here may
cost the child its own work.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
import traceback
from multiprocessing import process, util
from pathlib import Path
from types import TracebackType
from typing import Any

from concmagic.clock import monotonic_ns
from concmagic.recording.calls import library
from concmagic.recording.children import pickling, prints
from concmagic.recording.children.family import Child, Family
from concmagic.recording.children.hooks import Hooks
from concmagic.recording.children.life import Life
from concmagic.recording.children.passport import Passport
from concmagic.recording.children.watch import Watcher
from concmagic.recording.children.worker_start import is_before_jobs, worker_code

_life: Life | None = None


def begin_spawned(fields: dict[str, Any]) -> None:
    """Called in a spawned or forkserver's child while it reads its first message."""
    begun_ns = monotonic_ns()
    try:
        passport = Passport(**fields)
        hooks = Hooks(passport._replace(parent_pid=os.getpid()))
        hooks.on_fork = begin_forked
        hooks.install()
        _live(Life(passport, hooks, begun_ns, begin_again), passport)
        _catch_start_errors()
    except Exception:
        traceback.print_exc()  # the child itself goes on


def begin_command(path: str) -> None:
    """Called in a Python script that was started as a command, before it runs."""
    begun_ns = monotonic_ns()
    try:
        passport = Passport(**pickle.loads(Path(path).read_bytes()))
        hooks = Hooks(passport._replace(parent_pid=os.getpid()))
        hooks.on_fork = begin_forked
        hooks.install()
        _live(Life(passport, hooks, begun_ns, begin_again), passport).begin_target()
    except Exception:
        traceback.print_exc()


def begin_forked(hooks: Hooks, child: Child | None) -> None:
    """Called in a forked child, before anything else of it runs."""
    begun_ns = monotonic_ns()
    try:
        _plain_interrupts()
        recorder = sys.modules.get("concmagic.recording.calls.recorder")
        if recorder is not None:
            recorder.abandon_after_fork()
        passport = _passport_after_fork(hooks, child)
        inherited = child.inherited if child is not None else None
        hooks.on_fork = begin_forked
        hooks.reset_after_fork(passport._replace(parent_pid=os.getpid()), inherited)
        if _life is not None:
            _life.listener.forget()
        life = _live(Life(passport, hooks, begun_ns, begin_again), passport)
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
        passport = life.passport._replace(**fields)
        hooks = life.hooks
        hooks.passport = passport._replace(parent_pid=os.getpid())
        hooks.family = Family()
        hooks.watcher.stop()
        hooks.watcher = Watcher(hooks.family.ended)
        _live(Life(passport, hooks, monotonic_ns(), begin_again), passport).begin_target()
    except Exception:
        traceback.print_exc()


def _plain_interrupts() -> None:
    """The notebook's handler is inherited, and is the kernel's: here an interrupt is a plain one."""
    handler = signal.getsignal(signal.SIGINT)
    module = type(getattr(handler, "__self__", None)).__module__
    if module.startswith("concmagic.") and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _passport_after_fork(hooks: Hooks, child: Child | None) -> Passport:
    if child is not None:
        return hooks.passport.for_child(child)
    return hooks.passport._replace(name="fork", start_method="fork", parent_pid=os.getppid())


def _live(life: Life, passport: Passport) -> Life:
    global _life
    _life = life
    library.know(passport.tracer_file)
    courier = pickling.courier()
    courier.folder = Path(passport.folder)
    courier.remembers = True
    courier.after_unpack = life.recorders.start_due
    pickling.show_sources(passport.sources or {})
    if passport.start_method != "subprocess":  # a command's output may go anywhere
        prints.in_whole_lines()
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
    if isinstance(
        error, KeyboardInterrupt
    ):  # it reaches every process of the kernel: a line for each is enough
        if _life is not None:
            _life.interrupted()
        print("KeyboardInterrupt", file=sys.stderr)
        return
    trace = error.__traceback__ if error is not None else None
    while trace is not None and trace.tb_frame.f_code is not worker_code():
        trace = trace.tb_next
    if _life is not None and error is not None and trace is not None and is_before_jobs(trace.tb_frame):
        _life.fail("".join(traceback.format_exception(error.with_traceback(trace))))
    else:
        _print_exc(*arguments, **options)


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
        if kind is KeyboardInterrupt:
            # Where it came tells nothing. To format it may import, and then Python forgets why it ends.
            life.fail(kind.__name__)
            life.interrupted()
            print(kind.__name__, file=sys.stderr)
            return
        life.fail("".join(traceback.format_exception(kind, error, trace)))
        if not life.passport.group:  # a pool's worker is not alone: its pool raises the error, once
            original(kind, error, trace)

    sys.excepthook = excepthook
