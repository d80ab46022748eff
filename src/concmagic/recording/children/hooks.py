"""Where children are started and end, in the kernel and in children that have children.

`Popen` of multiprocessing, `os.fork` and `fork_exec` of subprocess are watched from outside:
each wrapper calls the original and notes what it learned. One fork callback stays registered
for good (Python cannot take it back) and does nothing while no hooks are installed.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from multiprocessing import popen_fork, reduction, spawn, util
from typing import Any

from concmagic.on_import import on_import
from concmagic.recording.children import commands, pickling
from concmagic.recording.children import groups as child_groups
from concmagic.recording.children import pools as child_pools
from concmagic.recording.children.family import Child, Family
from concmagic.recording.children.passport import Boarding, Passport
from concmagic.recording.children.watch import Watcher
from concmagic.recording.patches import Patches
from concmagic.recording.quiet import unseen, watched

LOKY = ("loky", "joblib.externals.loky")
_BY_MESSAGE = ("spawn", "forkserver", "loky")  # such a child reads first what it is

_active: Hooks | None = None
_is_registered = False


class Hooks:
    """The hooks of this process; `passport` is what its children are told."""

    def __init__(self, passport: Passport) -> None:
        self.passport = passport
        self.family = Family()
        self.watcher = Watcher(self.family.ended)
        self.groups = child_groups.Groups()
        self.pools = child_pools.Pools(self)
        self.inherited: dict[str, tuple[int, int]] | None = None  # of a forked child
        self.before_child: Callable[[], None] = lambda: None  # called once a child is about to start
        self.on_fork: Callable[[Hooks, Child | None], None] = lambda hooks, child: None
        self._patches = Patches()
        self._imports = ExitStack()

    def install(self) -> None:
        """Watch every start and end from now on."""
        global _active
        _register_once()
        pickling.install()
        pickling.courier().shared = self.is_shared
        patch = self._patches.set
        patch(popen_fork.Popen, "__init__", _popen_init(self, popen_fork.Popen.__init__))
        patch(popen_fork.Popen, "poll", _poll(self, popen_fork.Popen.poll))
        patch(popen_fork.Popen, "wait", watched(popen_fork.Popen.wait, self._joined, time.monotonic_ns))
        patch(popen_fork.Popen, "_send_signal", _send_signal(self, popen_fork.Popen._send_signal))  # type: ignore[attr-defined]
        patch(spawn, "get_preparation_data", _preparation_data(self, spawn.get_preparation_data))
        patch(util, "spawnv_passfds", _spawnv_passfds(self, util.spawnv_passfds))
        patch(os, "fork", _fork(self, os.fork))
        if hasattr(os, "forkpty"):
            patch(os, "forkpty", _forkpty(self, os.forkpty))
        patch(reduction, "dump", watched(reduction.dump, self._sent_to_child, time.monotonic_ns))
        self.pools.patch(self._patches)
        commands.patch(self, self._patches)
        for package in LOKY:
            self._imports.enter_context(on_import(f"{package}.backend.popen_loky_posix", self._patch_loky))
        _active = self

    def _patch_loky(self, module: Any) -> None:
        """Its children start and end by a `Popen` of its own."""
        kind = getattr(module, "Popen", None)
        if kind is None or self._patches.has(kind, "poll"):
            return
        patch = self._patches.set
        patch(kind, "__init__", _popen_init(self, kind.__init__))
        patch(kind, "poll", _poll(self, kind.poll))
        patch(kind, "wait", watched(kind.wait, self._joined, time.monotonic_ns))
        patch(kind, "terminate", _terminate(self, kind.terminate))
        spawning, reducing = module.spawn, module.reduction
        patch(spawning, "get_preparation_data", _preparation_data(self, spawning.get_preparation_data))
        patch(reducing, "dump", watched(reducing.dump, self._sent_to_child, time.monotonic_ns))

    def _sent_to_child(
        self, begun_ns: int, result: None, value: Any, file: Any, *rest: Any, **more: Any
    ) -> None:
        child = self.family.coming
        if child is not None and child.pid == 0:
            child.sent_bytes = file.tell()
            child.sent_ns += time.monotonic_ns() - begun_ns

    def _joined(self, begun_ns: int, code: int | None, popen: Any, *rest: Any, **more: Any) -> None:
        child = self.family.find(popen.pid)
        if child is not None and code is not None:
            child.joins.append((threading.get_native_id(), begun_ns, time.monotonic_ns()))

    def patch_loaded(self) -> None:
        """Watch what is imported only when it is first used."""
        forkserver = sys.modules.get("multiprocessing.popen_forkserver")
        if forkserver is not None and not self._patches.has(forkserver.Popen, "poll"):
            self._patches.set(forkserver.Popen, "poll", _poll(self, forkserver.Popen.poll))
        self.pools.patch_loaded(self._patches)

    def uninstall(self) -> None:
        """Put everything back; the pickling help is left to the caller."""
        global _active
        _active = None
        self._imports.close()
        self._patches.restore()
        self.watcher.stop()

    def reset_after_fork(self, passport: Passport, inherited: dict[str, tuple[int, int]] | None) -> None:
        """In a forked child: the hooks stay, the parent's children are not its own."""
        self.passport = passport
        self.inherited = inherited
        self.before_child = lambda: None  # the parent's is done, and its lock may have been held
        self.watcher.forget_after_fork()
        self.family = Family()
        self.watcher = Watcher(self.family.ended)
        self.groups = child_groups.Groups()
        self.pools.reset()

    def born(self, child: Child, pid: int) -> None:
        """A child has come to life."""
        is_new = child.pid != pid
        self.family.born(child, pid)
        if is_new:
            self.watcher.watch(pid)

    def is_shared(self, value: Any) -> bool:
        """Whether all who may receive this function or class inherited it by fork."""
        if pickling.is_spawning():
            return False
        views = [child.inherited for child in self.family.living() if child.start_method != "subprocess"]
        views += [self.inherited] if self.inherited is not None else []
        return bool(views) and all(view is not None and pickling.is_inherited(value, view) for view in views)


def _popen_init(hooks: Hooks, original: Any) -> Any:
    def __init__(popen: Any, process_obj: Any) -> None:
        hooks.before_child()
        pickling.courier().generation += 1
        origin, group = hooks.groups.of(process_obj)
        with hooks.family.expect(process_obj._name, popen.method, origin, group) as child:
            hooks.patch_loaded()
            try:
                original(popen, process_obj)
            except Exception as error:
                _explain(error, process_obj)
                raise
            hooks.born(child, popen.pid)

    return unseen(__init__)


def _explain(error: Exception, process_obj: Any) -> None:
    """Add which argument could not be sent, if that is what went wrong."""
    from concmagic.recording.children import pickler as child_pickler

    note = child_pickler.blame(process_obj)
    if note:
        error.add_note(note)


def _poll(hooks: Hooks, original: Any) -> Any:
    def poll(popen: Any, flag: int = os.WNOHANG) -> int | None:
        code: int | None = original(popen, flag)
        if code is not None:
            hooks.family.ended(popen.pid, code)
        return code

    return unseen(poll)


def _send_signal(hooks: Hooks, original: Any) -> Any:
    def _send_signal(popen: Any, sig: int) -> None:
        child = hooks.family.find(popen.pid)
        if child is not None:
            child.is_ending, child.signal_sent = True, int(sig)
        original(popen, sig)

    return unseen(_send_signal)


def _terminate(hooks: Hooks, original: Any) -> Any:
    def terminate(popen: Any) -> None:
        child = hooks.family.find(popen.pid)
        if child is not None:
            child.is_ending, child.signal_sent = True, int(signal.SIGTERM)
        original(popen)

    return terminate


def _preparation_data(hooks: Hooks, original: Any) -> Any:
    def get_preparation_data(name: str, *rest: Any) -> dict[str, Any]:
        data: dict[str, Any] = original(name, *rest)
        child = hooks.family.coming
        if child is not None and child.start_method in _BY_MESSAGE and name == child.name:
            # The notebook's code goes by value: no file has to be run again as `__main__`.
            data.pop("init_main_from_path", None)
            data.pop("init_main_from_name", None)
            child.is_deaf = child.start_method == "spawn" and not _blocks_interrupts()
            data["concmagic"] = Boarding(hooks.passport.for_child(child), hears=child.is_deaf)
        return data

    return get_preparation_data


def _blocks_interrupts() -> bool:
    return sys.platform == "win32" or signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())


@contextmanager
def interrupts_wait() -> Iterator[None]:
    """What is started inside is not reached by an interrupt until it asks for it.

    It would end Python in the middle of its start, with a fatal error and all its frames.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])


def _spawnv_passfds(hooks: Hooks, original: Any) -> Any:
    def spawnv_passfds(path: Any, args: Any, passfds: Any) -> int:
        helper = child_groups.helper_of(args)
        if not helper:
            coming = hooks.family.coming
            with interrupts_wait() if coming is not None and coming.is_deaf else nullcontext():
                return int(original(path, args, passfds))
        with hooks.family.expect(helper, "spawn", "machinery") as child:
            pid = int(original(path, args, passfds))
            hooks.born(child, pid)
            return pid

    return spawnv_passfds


def _fork(hooks: Hooks, original: Any) -> Any:
    def fork() -> int:
        child = hooks.family.coming
        if child is not None and child.pid == 0 and child.start_method == "fork":
            return _fork_noted(hooks, child, original)
        hooks.before_child()
        with hooks.family.expect("fork", "fork") as child:
            child.is_bare = True
            return _fork_noted(hooks, child, original)

    return fork


def _forkpty(hooks: Hooks, original: Any) -> Any:
    def forkpty() -> tuple[int, int]:
        hooks.before_child()
        with hooks.family.expect("fork", "fork") as child, _only_our_threads():
            child.is_bare = True
            pid, file = original()
            if pid:
                hooks.born(child, pid)
            return pid, file

    return unseen(forkpty)


def _fork_noted(hooks: Hooks, child: Child, original: Any) -> int:
    with _only_our_threads():
        pid = int(original())
    if pid:
        hooks.born(child, pid)
    return pid


@contextmanager
def _only_our_threads() -> Iterator[None]:
    """From 3.12 on Python warns of a fork beside threads: not where all of those are ours."""
    if sys.version_info < (3, 12) or threading.active_count() > 1:
        yield
        return
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
        yield


def _register_once() -> None:
    global _is_registered
    if not _is_registered:
        _is_registered = True
        os.register_at_fork(before=_before_fork, after_in_child=_after_in_child)


def _before_fork() -> None:
    if _active is not None:
        child = _active.family.coming
        if child is not None and child.start_method == "fork":
            child.inherited = pickling.main_names()


def _after_in_child() -> None:
    hooks = _active
    if hooks is None:
        return
    child = hooks.family.coming
    if child is None or child.start_method == "fork":
        hooks.on_fork(hooks, child)


def active() -> Hooks | None:
    """The hooks that are installed in this process."""
    return _active
