"""Where processes are started and end: multiprocessing's `Popen`, loky's, and `os.fork`.

They are watched from outside: each wrapper calls the original and notes what it learned.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from multiprocessing import popen_fork, process, reduction, spawn, util
from typing import TYPE_CHECKING, Any

from concmagic.clock import monotonic_ns
from concmagic.interpreter import process_internals
from concmagic.interpreter.borrowing import Patches
from concmagic.interpreter.frames_and_threads import getframe, standing_at
from concmagic.recording.children import pickling
from concmagic.recording.children.child_config import Boarding
from concmagic.recording.guards import unseen, watched
from concmagic.recording.interrupt_moments import Forking
from concmagic.recording.labels import text_of

if TYPE_CHECKING:
    from concmagic.recording.children.child_config import HooksProtocol
    from concmagic.recording.children.child_table import Child


_BY_MESSAGE = ("spawn", "forkserver", "loky")  # such a child reads first what it is


def patch(hooks: HooksProtocol, patches: Patches) -> None:
    """Watch them from now on."""
    patches.wrap(process.BaseProcess, "start", partial(_start, hooks))
    kind: Any = popen_fork.Popen
    patches.wrap(kind, "__init__", partial(_popen_init, hooks))
    patches.wrap(kind, "poll", partial(_poll, hooks))
    patches.wrap(kind, "wait", partial(_waiting, hooks))
    patches.wrap(kind, process_internals.SEND_SIGNAL, partial(_send_signal, hooks))
    patches.wrap(util, process_internals.SPAWN, partial(_spawnv_passfds, hooks))
    patches.wrap(os, "fork", partial(_fork, hooks))
    if hasattr(os, "forkpty"):
        patches.wrap(os, "forkpty", partial(_forkpty, hooks))
    _patch_messages(hooks, patches, spawn, reduction)


def patch_loky(hooks: HooksProtocol, patches: Patches, module: Any) -> None:
    """Its children start and end by a `Popen` of its own."""
    kind = getattr(module, "Popen", None)
    if kind is None or patches.has(kind, "poll"):
        return
    patches.wrap(kind, "__init__", partial(_popen_init, hooks))
    patches.wrap(kind, "poll", partial(_poll, hooks))
    patches.wrap(kind, "wait", partial(_waiting, hooks))
    patches.wrap(kind, "terminate", partial(_terminate, hooks))
    _patch_messages(hooks, patches, module.spawn, module.reduction)


def patch_loaded(hooks: HooksProtocol, patches: Patches) -> None:
    """Watch what is imported only when it is first used."""
    forkserver = sys.modules.get("multiprocessing.popen_forkserver")
    if forkserver is not None and not patches.has(forkserver.Popen, "poll"):
        patches.wrap(forkserver.Popen, "poll", partial(_poll, hooks))


def _patch_messages(hooks: HooksProtocol, patches: Patches, spawning: Any, reducing: Any) -> None:
    """What a child is told at its start: who it is, and what it is to do."""
    patches.wrap(spawning, process_internals.PREPARATION, partial(_preparation_data, hooks))
    sent = _sent_to_child(hooks)
    patches.wrap(reducing, "dump", lambda original: watched(original, sent, monotonic_ns))


def _sent_to_child(hooks: HooksProtocol) -> Callable[..., None]:
    def sent(begun_ns: int, result: None, value: Any, file: Any, *rest: Any, **more: Any) -> None:
        child = hooks.family.coming
        if child is not None and child.pid == 0:
            child.sent_bytes = file.tell()
            child.sent_ns += monotonic_ns() - begun_ns

    return sent


def _waiting(hooks: HooksProtocol, original: Any) -> Any:
    return watched(original, _joined(hooks), monotonic_ns)


def _joined(hooks: HooksProtocol) -> Callable[..., None]:
    def joined(begun_ns: int, code: int | None, popen: Any, *rest: Any, **more: Any) -> None:
        child = hooks.family.find(popen.pid)
        if child is not None and code is not None:
            child.joins.append((threading.get_native_id(), begun_ns, monotonic_ns()))

    return joined


def _start(hooks: HooksProtocol, original: Any) -> Any:
    """An interrupt may come when the child is there, and before multiprocessing has noted whose it is."""

    def start(one: Any) -> None:
        known = len(hooks.family.children)
        try:
            original(one)
        except BaseException:
            if not any(each is one for each in process_internals.living_children()):
                hooks.family.left_to_nobody(known)
            raise

    return unseen(start)


def _popen_init(hooks: HooksProtocol, original: Any) -> Any:
    def __init__(popen: Any, process_obj: Any) -> None:
        hooks.guard(hooks.before_child)
        pickling.courier().generation += 1
        origin, group = hooks.guard(partial(hooks.group_of, process_obj)) or ("user", "")
        name = text_of(process_internals.name_of(process_obj))
        with hooks.family.expect(name, popen.method, origin, group) as child:
            hooks.patch_loaded()
            # An interrupt in the middle would leave its pipes to nobody.
            with Forking(child) if popen.method == "fork" else nullcontext():
                try:
                    original(popen, process_obj)
                except Exception as error:
                    hooks.guard(partial(_explain, error, process_obj))
                    raise
                hooks.born(child, popen.pid)

    return unseen(__init__)


def _explain(error: Exception, process_obj: Any) -> None:
    """Add which argument could not be sent, if that is what went wrong."""
    from concmagic.recording.children import pickler as child_pickler

    note = child_pickler.blame(process_obj)
    if note:
        error.add_note(note)


def _poll(hooks: HooksProtocol, original: Any) -> Any:
    def poll(popen: Any, flag: int = os.WNOHANG) -> int | None:
        code: int | None = original(popen, flag)
        if code is not None:
            hooks.family.ended(popen.pid, code)
        return code

    return unseen(poll)


def _send_signal(hooks: HooksProtocol, original: Any) -> Any:
    def _send_signal(popen: Any, sig: int) -> None:
        child = hooks.family.find(popen.pid)
        if child is not None:
            child.is_ending, child.signal_sent = True, int(sig)
        original(popen, sig)

    return unseen(_send_signal)


def _terminate(hooks: HooksProtocol, original: Any) -> Any:
    def terminate(popen: Any) -> None:
        child = hooks.family.find(popen.pid)
        if child is not None:
            child.is_ending, child.signal_sent = True, int(signal.SIGTERM)
        original(popen)

    return terminate


def _preparation_data(hooks: HooksProtocol, original: Any) -> Any:
    def get_preparation_data(name: str, *rest: Any) -> dict[str, Any]:
        data: dict[str, Any] = original(name, *rest)
        child = hooks.family.coming
        if child is not None and child.start_method in _BY_MESSAGE and text_of(name) == child.name:
            hooks.guard(partial(_board, hooks, child, data))
        return data

    return get_preparation_data


def _board(hooks: HooksProtocol, child: Child, data: dict[str, Any]) -> None:
    if not hooks.config.folder:  # there is nowhere to hand over
        return
    # The notebook's code goes by value: no file has to be run again as `__main__`.
    data.pop("init_main_from_path", None)
    data.pop("init_main_from_name", None)
    child.is_deaf = child.start_method == "spawn" and not _blocks_interrupts()
    data["concmagic"] = Boarding(hooks.config.for_child(child), hears=child.is_deaf)


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


def _spawnv_passfds(hooks: HooksProtocol, original: Any) -> Any:
    def spawnv_passfds(path: Any, args: Any, passfds: Any) -> int:
        helper = hooks.guard(partial(_helper_of, args))
        if not helper:
            coming = hooks.family.coming
            with interrupts_wait() if coming is not None and coming.is_deaf else nullcontext():
                return int(original(path, args, passfds))
        with hooks.family.expect(helper, "spawn", "machinery") as child:
            pid = int(original(path, args, passfds))
            hooks.born(child, pid)
            return pid

    return spawnv_passfds


def _helper_of(arguments: Any) -> str:
    """The name of multiprocessing's helper process with this command line, else ""."""
    names = (process_internals.helper_with(os.fsdecode(argument)) for argument in arguments)
    return next((name for name in names if name), "")


def _fork(hooks: HooksProtocol, original: Any) -> Any:
    def fork() -> int:
        forked = standing_at(getframe(1), original) if sys.version_info >= (3, 12) else original
        child = hooks.family.coming
        if child is not None and child.pid == 0 and child.start_method == "fork":
            return _fork_noted(hooks, child, forked)
        hooks.guard(hooks.before_child)
        with hooks.family.expect("fork", "fork") as child:
            child.is_bare = True
            return _fork_noted(hooks, child, forked)

    return fork


def _forkpty(hooks: HooksProtocol, original: Any) -> Any:
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


def _fork_noted(hooks: HooksProtocol, child: Child, original: Any) -> int:
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
