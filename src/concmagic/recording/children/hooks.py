"""One process's hooks on what starts and ends children: the kernel's, and those of children that have some.

`os.fork` is watched here, multiprocessing and commands in `process_starts.py`. One fork callback stays
registered for good (Python cannot take it back) and does nothing while no hooks are installed.
"""

from __future__ import annotations

import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from concmagic.interpreter import process_internals
from concmagic.interpreter.borrowing import Patches, on_import
from concmagic.interpreter.frames_and_threads import getframe, standing_at
from concmagic.interpreter.known_functions import COPIES, process_of_copy
from concmagic.problems import Problem
from concmagic.recording.children import pickling, process_starts
from concmagic.recording.children import pools as child_pools
from concmagic.recording.children.child_config import ChildConfig
from concmagic.recording.children.child_table import Child, Family, Watcher
from concmagic.recording.guards import guarded, unseen
from concmagic.recording.interrupts_kept_back import Forking
from concmagic.recording.labels import text_of

if TYPE_CHECKING:
    from types import FrameType

    from concmagic.records.handed_over import Origin

T = TypeVar("T")
LOKY = ("loky", "joblib.externals.loky")

_active: Hooks | None = None
_is_registered = False


class Hooks:
    """The hooks of this process; `config` is what its children are told."""

    def __init__(self, config: ChildConfig) -> None:
        self.config = config
        self.problems: list[Problem] = []
        self.family = Family()
        self.watcher = Watcher(self.family.ended)
        self.pools = child_pools.Pools(self)
        self.inherited: dict[str, tuple[int, int]] | None = None  # of a forked child
        self.before_child: Callable[[], None] = lambda: None  # called once a child is about to start
        self.before_fork: Callable[[], None] = lambda: None
        self.on_fork: Callable[[Hooks, Child | None], None] = lambda hooks, child: None
        self._patches = Patches()
        self._imports = ExitStack()

    def install(self) -> None:
        """Watch every start and end from now on."""
        global _active
        _active = self
        _register_once()
        for part in (
            partial(pickling.install, _load_packer),
            partial(setattr, pickling.courier(), "shared", self.is_shared),
            partial(process_starts.patch, self, self._patches),
            partial(self.pools.patch, self._patches),
            partial(process_starts.patch_commands, self, self._patches),
            partial(_patch_fork, self, self._patches),
            self._follow_loky,
            self._follow_copies,
        ):
            self.guard(part)

    def guard(self, action: Callable[[], T]) -> T | None:
        """Do something of ours in the midst of what is the user's; if it fails, that is told once."""
        return guarded(action, self._failed)

    def _failed(self, error: BaseException) -> None:
        problem = Problem.of("recorder_failed", "children", error)
        if problem not in self.problems:
            self.problems.append(problem)

    def _follow_copies(self) -> None:
        for package in COPIES:
            self._imports.enter_context(on_import(f"{package}.popen_fork", self._patch_copy))

    def _patch_copy(self, module: Any) -> None:
        self.guard(partial(process_starts.patch_copy, self, self._patches, module))

    def _follow_loky(self) -> None:
        for package in LOKY:
            self._imports.enter_context(on_import(f"{package}.backend.popen_loky_posix", self._patch_loky))

    def _patch_loky(self, module: Any) -> None:
        self.guard(partial(process_starts.patch_loky, self, self._patches, module))

    def patch_loaded(self) -> None:
        """Watch what is imported only when it is first used."""
        self.guard(partial(process_starts.patch_loaded, self, self._patches))
        self.guard(partial(self.pools.patch_loaded, self._patches))

    def uninstall(self) -> None:
        """Put everything back; the pickling help is left to the caller."""
        global _active
        _active = None
        for part in (self._imports.close, self._patches.restore, self.watcher.stop):
            self.guard(part)

    def reset_after_fork(self, config: ChildConfig, inherited: dict[str, tuple[int, int]] | None) -> None:
        """In a forked child: the hooks stay, the parent's children are not its own."""
        self.problems = []
        self.config = config
        self.inherited = inherited
        self.before_child = lambda: None  # the parent's is done, and its lock may have been held
        self.watcher.forget_after_fork()
        self.family = Family()
        self.watcher = Watcher(self.family.ended)
        self.pools.reset()

    def group_of(self, process_obj: Any) -> tuple[Origin, str]:
        """Origin and pool of a process that is about to start."""
        return self.pools.groups.of(process_obj)

    def born(self, child: Child, pid: int) -> None:
        """A child has come to life."""
        is_new = child.pid != pid
        self.guard(partial(self.family.born, child, pid))
        if is_new:
            self.guard(partial(self.watcher.watch, pid))

    def is_shared(self, value: Any) -> bool:
        """Whether all who may receive this function or class inherited it by fork."""
        if pickling.is_spawning():
            return False
        views = [child.inherited for child in self.family.living() if child.start_method != "subprocess"]
        views += [self.inherited] if self.inherited is not None else []
        return bool(views) and all(view is not None and pickling.is_inherited(value, view) for view in views)


def _load_packer() -> pickling.Packer:
    from concmagic.recording.children import pickler

    return pickler


def _register_once() -> None:
    global _is_registered
    if not _is_registered:
        _is_registered = True
        os.register_at_fork(before=_before_fork, after_in_child=_after_in_child)


def _before_fork() -> None:
    hooks = _active
    if hooks is not None:
        hooks.guard(hooks.before_fork)
        child = hooks.family.coming
        if child is not None and child.start_method == "fork":
            child.inherited = hooks.guard(pickling.main_names)


def _after_in_child() -> None:
    hooks = _active
    if hooks is None:
        return
    child = hooks.family.coming
    if child is None or child.start_method == "fork":
        hooks.guard(partial(hooks.on_fork, hooks, child))


def active() -> Hooks | None:
    """The hooks that are installed in this process."""
    return _active


def _patch_fork(hooks: Hooks, patches: Patches) -> None:
    patches.wrap(os, "fork", partial(_fork, hooks))
    if hasattr(os, "forkpty"):
        patches.wrap(os, "forkpty", partial(_forkpty, hooks))


def _fork(hooks: Hooks, original: Any) -> Any:
    def fork() -> int:
        forked = standing_at(getframe(1), original) if sys.version_info >= (3, 12) else original
        child = hooks.family.coming
        if child is not None and child.pid == 0 and child.start_method == "fork":
            return _fork_noted(hooks, child, forked)
        hooks.guard(hooks.before_child)
        told = hooks.guard(partial(_told_by_copy, hooks, getframe(1))) or ("fork", "user", "")
        name, origin, group = told
        with hooks.family.expect(name, "fork", origin, group) as child:
            child.is_bare = True
            return _fork_noted(hooks, child, forked)

    return fork


def _told_by_copy(hooks: Hooks, frame: FrameType) -> tuple[str, Origin, str] | None:
    """Name, origin and pool of a process that a copy of multiprocessing forks; None if it is another fork."""
    process_obj = process_of_copy(frame)
    if process_obj is None:
        return None
    return (text_of(process_internals.name_of(process_obj)), *hooks.group_of(process_obj))


def _forkpty(hooks: Hooks, original: Any) -> Any:
    def forkpty() -> tuple[int, int]:
        forked = standing_at(getframe(2), original) if sys.version_info >= (3, 12) else original
        hooks.guard(hooks.before_child)
        with hooks.family.expect("fork", "fork") as child, _only_our_threads():
            child.is_bare = True
            with process_internals.tracker_free(), Forking(child):
                pid, file = forked()
                if pid:  # first: an interrupt that is raised as this ends must find it there
                    hooks.born(child, pid)
            return pid, file

    return unseen(forkpty)


def _fork_noted(hooks: Hooks, child: Child, original: Any) -> int:
    with _only_our_threads(), process_internals.tracker_free(), Forking(child):
        pid = int(original())
        if pid:  # first: an interrupt that is raised as this ends must find it there
            hooks.born(child, pid)
    return pid


@contextmanager
def _only_our_threads() -> Iterator[None]:
    """From 3.12 on Python warns of a fork beside threads: not where all of those are ours."""
    if sys.version_info < (3, 12) or threading.active_count() > 1:
        yield
        return
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", process_internals.FORK_BESIDE_THREADS, DeprecationWarning)
        yield
