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
from functools import partial
from multiprocessing import process, util
from pathlib import Path
from types import TracebackType
from typing import Any

from concmagic.clock import monotonic_ns
from concmagic.interpreter import viztracer_library as library
from concmagic.interpreter.borrowing import Patches
from concmagic.interpreter.frames_and_threads import getframe
from concmagic.interpreter.process_internals import BOOTSTRAP, is_before_jobs, is_before_run, worker_code
from concmagic.problems import Problem
from concmagic.recording import interrupts_kept_back, prints
from concmagic.recording.children import pickling
from concmagic.recording.children.child_config import ChildConfig
from concmagic.recording.children.child_session import Life
from concmagic.recording.children.child_table import Child, Family, Watcher
from concmagic.recording.children.handover_files import ChildFile
from concmagic.recording.children.hooks import Hooks
from concmagic.recording.guards import guarded
from concmagic.recording.locks import process_locks

_life: Life | None = None


def begin_spawned(fields: dict[str, Any], begun_ns: int) -> None:
    """Called in a spawned or forkserver's child while it reads its first message, from `begun_ns` on."""

    def begin() -> None:
        process_locks.watch()  # before the first of them arrives
        _new_life(ChildConfig(**fields), begun_ns)
        _catch_start_errors()

    guarded(begin, partial(_not_begun, str(fields.get("folder", ""))))  # the child itself goes on


def begin_command(path: str) -> None:
    """Called in a Python script that was started as a command, before it runs."""
    begun_ns = monotonic_ns()

    def begin() -> None:
        config = ChildConfig(**pickle.loads(Path(path).read_bytes()))
        _new_life(config, begun_ns).begin_target()

    guarded(begin, partial(_not_begun, os.path.dirname(path)))


def _new_life(config: ChildConfig, begun_ns: int) -> Life:
    hooks = Hooks(config._replace(parent_pid=os.getpid()))
    hooks.on_fork = begin_forked
    hooks.install()
    return _live(Life(config, hooks, begun_ns, begin_again), config)


def begin_forked(hooks: Hooks, child: Child | None) -> None:
    """Called in a forked child, before anything else of it runs."""
    begun_ns = monotonic_ns()

    def begin() -> None:
        _plain_interrupts()
        if not hooks.config.folder:  # there is nowhere to hand over
            hooks.watcher.forget_after_fork()
            hooks.uninstall()
            return
        recorder = sys.modules.get("concmagic.recording.calls.call_recorder")
        if recorder is not None:
            recorder.abandon_after_fork()
        config = _config_after_fork(hooks, child)
        inherited = child.inherited if child is not None else None
        hooks.on_fork = begin_forked
        hooks.reset_after_fork(config._replace(parent_pid=os.getpid()), inherited)
        if _life is not None:
            _life.listener.forget()
        life = _live(Life(config, hooks, begun_ns, begin_again), config)
        if child is None or child.is_bare:
            life.begin_target()  # os.fork: its code simply goes on
        elif _patches.has(process.BaseProcess, BOOTSTRAP):
            interrupts_kept_back.keep_until_let_in()

    guarded(begin, partial(_not_begun, hooks.config.folder))


def begin_again(fields: dict[str, Any]) -> None:
    """Called in a child of an earlier cell by the first message of this one, in the thread it arrives in."""
    life = _life
    if life is None or not Path(fields["folder"]).is_dir():
        return

    def begin() -> None:
        life.listener.forget()
        config = life.config._replace(**fields)
        hooks = life.hooks
        hooks.config = config._replace(parent_pid=os.getpid())
        hooks.family = Family()
        hooks.watcher.stop()
        hooks.watcher = Watcher(hooks.family.ended)
        _live(Life(config, hooks, monotonic_ns(), begin_again), config).begin_target()

    guarded(begin, partial(_not_begun, str(fields["folder"])))


def _not_begun(folder: str, error: BaseException) -> None:
    """Leave word in the folder that this child is not recorded; where that cannot be, its parent says so."""

    def tell() -> None:
        file = ChildFile(Path(folder), os.getpid(), monotonic_ns())
        file.append("lost", Problem.of("recorder_failed", "child", error))

    guarded(tell, _not_noted)


def _plain_interrupts() -> None:
    """The notebook's handler is inherited, and is the kernel's: here an interrupt is a plain one."""
    handler = signal.getsignal(signal.SIGINT)
    module = type(getattr(handler, "__self__", None)).__module__
    if module.startswith("concmagic.") and threading.get_ident() == threading.main_thread().ident:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _config_after_fork(hooks: Hooks, child: Child | None) -> ChildConfig:
    if child is not None:
        return hooks.config.for_child(child)
    return hooks.config._replace(name="fork", start_method="fork", parent_pid=os.getppid())


def _live(life: Life, config: ChildConfig) -> Life:
    global _life
    _life = life
    for part in (
        partial(library.know, config.tracer_file),
        partial(_receive, life, config),
        # A command's output may go anywhere.
        *((prints.in_whole_lines,) if config.start_method != "subprocess" else ()),
        life.begin,
        life.recorders.load,
        life.loaded,
        _watch_bootstrap,
    ):
        guarded(part, life.failed)
    return life


def _receive(life: Life, config: ChildConfig) -> None:
    courier = pickling.courier()
    courier.folder = Path(config.folder)
    courier.remembers = True
    courier.after_unpack = life.recorders.start_due
    pickling.show_sources(config.sources or {})


_patches = Patches()  # for good; a forked child inherits them


def _watch_bootstrap() -> None:
    if _patches.has(process.BaseProcess, BOOTSTRAP):
        return
    _patches.wrap(process.BaseProcess, BOOTSTRAP, _traced_bootstrap)
    # It logs this line just before it calls run(): to wrap run() itself would put a frame of ours
    # into every traceback that a child prints, and a subclass may override it.
    _patches.wrap(util, "info", _info_before_run)
    _patches.wrap(traceback, "print_exc", _printing)


def _info_before_run(info: Any) -> Any:
    def info_before_run(msg: object, *args: object) -> None:
        info(msg, *args)
        if is_before_run(msg):
            try:
                if _life is not None:
                    _life.begin_target()
            finally:
                # Not earlier: until here multiprocessing takes its parent's children for its own, and would
                # wait for them as it ends; and VizTracer, interrupted as it starts, prints that.
                interrupts_kept_back.let_in()

    return info_before_run


def _printing(print_exc: Any) -> Any:
    def print_unless_told(*arguments: Any, **options: Any) -> None:
        by_whom = getframe(1).f_globals.get("__name__")
        # Only multiprocessing's own call, at a child's end: any other is the user's.
        if arguments or options or by_whom != process.__name__ or not guarded(_is_told, _not_noted):
            print_exc(*arguments, **options)

    return print_unless_told


def _is_told() -> bool:
    """multiprocessing prints what ended a child; of a worker that never took a job the pool tells it."""
    error = sys.exc_info()[1]
    if isinstance(
        error, KeyboardInterrupt
    ):  # it reaches every process of the kernel: a line for each is enough
        if _life is not None:
            _life.interrupted()
        print("KeyboardInterrupt", file=sys.stderr)
        return True
    trace = error.__traceback__ if error is not None else None
    while trace is not None and trace.tb_frame.f_code is not worker_code():
        trace = trace.tb_next
    if _life is not None and error is not None and trace is not None and is_before_jobs(trace.tb_frame):
        _life.fail("".join(traceback.format_exception(error.with_traceback(trace))))
        return True
    return False


def _traced_bootstrap(bootstrap: Any) -> Any:
    """What multiprocessing runs in a child, and after which the child is over."""

    def traced_bootstrap(process_obj: Any, *arguments: Any, **options: Any) -> Any:
        if not _patches.stands(util, "info"):  # else that lets them in
            interrupts_kept_back.let_in()
        code = bootstrap(process_obj, *arguments, **options)
        if _life is not None:
            guarded(partial(_life.hand_over, code), _not_noted)
        return code

    return traced_bootstrap


def _not_noted(error: BaseException) -> None:
    """What was to be told cannot be, or nobody waits for it: the child goes its way."""


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
        if not life.config.group:  # a pool's worker is not alone: its pool raises the error, once
            original(kind, error, trace)

    sys.excepthook = excepthook
