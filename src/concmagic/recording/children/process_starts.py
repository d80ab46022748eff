"""Where processes are started and end: multiprocessing's `Popen`, loky's, and commands.

They are watched from outside: each wrapper calls the original and notes what it learned.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from multiprocessing import popen_fork, process, reduction, spawn, util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from concmagic.clock import monotonic_ns
from concmagic.interpreter import process_internals
from concmagic.interpreter.borrowing import Patches, borrowed
from concmagic.interpreter.frames_and_threads import getframe
from concmagic.recording.children import pickling
from concmagic.recording.children.child_config import patch_messages
from concmagic.recording.guards import unseen, watched
from concmagic.recording.interrupts_kept_back import Forking
from concmagic.recording.labels import command_name, text_of

if TYPE_CHECKING:
    from concmagic.recording.children.child_config import HooksProtocol
    from concmagic.recording.children.child_table import Child


_SCRIPT = Path(__file__).with_name("script.py")  # in which a Python script that is a command is recorded


def patch(hooks: HooksProtocol, patches: Patches) -> None:
    """Watch them from now on."""
    patches.wrap(process.BaseProcess, "start", partial(_start, hooks))
    kind: Any = popen_fork.Popen
    patches.wrap(kind, "__init__", partial(_popen_init, hooks))
    patches.wrap(kind, "poll", partial(_poll, hooks))
    patches.wrap(kind, "wait", partial(_waiting, hooks))
    patches.wrap(kind, process_internals.SEND_SIGNAL, partial(_send_signal, hooks))
    patches.wrap(util, process_internals.SPAWN, partial(_spawnv_passfds, hooks))
    patch_messages(hooks, patches, spawn, reduction)


def patch_loky(hooks: HooksProtocol, patches: Patches, module: Any) -> None:
    """Its children start and end by a `Popen` of its own."""
    kind = getattr(module, "Popen", None)
    if kind is None or patches.has(kind, "poll"):
        return
    patches.wrap(kind, "__init__", partial(_popen_init, hooks))
    patches.wrap(kind, "poll", partial(_poll, hooks))
    patches.wrap(kind, "wait", partial(_waiting, hooks))
    patches.wrap(kind, "terminate", partial(_terminate, hooks))
    patch_messages(hooks, patches, module.spawn, module.reduction)


def patch_copy(hooks: HooksProtocol, patches: Patches, module: Any) -> None:
    """A copy of multiprocessing forks by `os.fork`; its children end by a `Popen` of its own."""
    kind = getattr(module, "Popen", None)
    if kind is None or patches.has(kind, "poll"):
        return
    patches.wrap(kind, "poll", partial(_poll, hooks))
    patches.wrap(kind, "wait", partial(_waiting, hooks))
    if hasattr(kind, process_internals.SEND_SIGNAL):
        patches.wrap(kind, process_internals.SEND_SIGNAL, partial(_send_signal, hooks))


def patch_loaded(hooks: HooksProtocol, patches: Patches) -> None:
    """Watch what is imported only when it is first used."""
    forkserver = sys.modules.get("multiprocessing.popen_forkserver")
    if forkserver is not None and not patches.has(forkserver.Popen, "poll"):
        patches.wrap(forkserver.Popen, "poll", partial(_poll, hooks))


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
        _note_signal(hooks, popen.pid, sig)
        original(popen, sig)

    return unseen(_send_signal)


def _note_signal(hooks: HooksProtocol, pid: int, number: int) -> None:
    child = hooks.family.find(pid)
    if child is not None:
        child.is_ending, child.signal_sent = True, int(number)


def _terminate(hooks: HooksProtocol, original: Any) -> Any:
    def terminate(popen: Any) -> None:
        _note_signal(hooks, popen.pid, signal.SIGTERM)
        original(popen)

    return terminate


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


def patch_commands(hooks: HooksProtocol, patches: Patches) -> None:
    """Watch where commands are started and end: subprocess, `os.posix_spawn`, asyncio's subprocesses."""
    if sys.platform != "win32":
        patches.wrap(subprocess, process_internals.FORK_EXEC, partial(_fork_exec, hooks))
        patches.wrap(subprocess.Popen, process_internals.EXIT_STATUS, partial(_exit_status, hooks))
        patches.wrap(subprocess.Popen, "send_signal", partial(_signals, hooks))
    # With posix_spawn (3.13 prefers it) a program that is not there raises right in that call.
    if hasattr(os, "posix_spawn"):
        patches.wrap(os, "posix_spawn", partial(_posix_spawn, hooks))
    transports = sys.modules.get("asyncio.base_subprocess")
    if transports is not None:
        transport = borrowed(transports, "BaseSubprocessTransport")
        patches.wrap(transport, process_internals.PROCESS_EXITED, partial(_process_exited, hooks))
        patches.wrap(transport, "send_signal", partial(_signals, hooks))  # by itself from 3.13 on


def _signals(hooks: HooksProtocol, original: Any) -> Any:
    """`terminate`, `kill` and the timeout of `subprocess.run` come here, too."""

    def send_signal(started: Any, number: int) -> None:
        pid = started.pid if hasattr(started, "pid") else started.get_pid()
        child = hooks.family.find(pid) if pid is not None else None
        if child is not None:
            child.signal_sent = int(number)
        original(started, number)

    return unseen(send_signal)


def _fork_exec(hooks: HooksProtocol, original: Any) -> Any:
    def fork_exec(arguments: Any, executables: Any, *rest: Any) -> int:
        name = hooks.guard(partial(command_name, arguments)) or "subprocess"
        folder = rest[2] if len(rest) > 2 else None  # after close_fds and pass_fds
        with hooks.family.expect(name, "subprocess") as child:
            arguments = _recorded(hooks, child, arguments, executables[0], folder)
            pid = int(original(arguments, executables, *rest))
            hooks.born(child, pid)
            return pid

    return unseen(fork_exec)


def _posix_spawn(hooks: HooksProtocol, original: Any) -> Any:
    def posix_spawn(path: Any, argv: Any, env: Any, /, **options: Any) -> int:
        name = hooks.guard(partial(command_name, argv)) or "subprocess"
        with hooks.family.expect(name, "subprocess") as child:
            argv = _recorded(hooks, child, argv, path, None)
            pid = int(original(path, argv, env, **options))
            hooks.born(child, pid)
            return pid

    return unseen(posix_spawn)


def _recorded(hooks: HooksProtocol, child: Child, arguments: Any, executable: Any, folder: Any) -> Any:
    """The command line that runs the same script recorded; other than plain `python script.py …` it stays."""
    try:
        words = [os.fsdecode(argument) for argument in arguments]
        is_ours = words[0] == sys.executable and os.path.samefile(executable, sys.executable)
        if not is_ours or len(words) < 2 or not words[1].endswith(".py"):
            return arguments
        if not os.path.isfile(os.path.join(os.fsdecode(folder or ""), words[1])):
            return arguments
        hooks.before_child()
        if not hooks.config.folder:
            return arguments
        config = Path(hooks.config.folder) / f"{child.started_ns}.config"
        config.write_bytes(pickle.dumps(hooks.config.for_child(child)._asdict()))
    except Exception:  # a full disk, or what is refused anyway: it runs as without us
        return arguments
    return [words[0], os.fspath(_SCRIPT), os.fspath(config), *words[1:]]


def _exit_status(hooks: HooksProtocol, original: Any) -> Any:
    def _handle_exitstatus(popen: Any, *arguments: Any, **options: Any) -> None:
        original(popen, *arguments, **options)
        if popen.returncode is not None:
            hooks.family.ended(popen.pid, popen.returncode)
            # Where a process is started its end is asked for only if there is no such program.
            child = hooks.family.find(popen.pid)
            if child is not None and getframe(1).f_code.co_name == process_internals.STARTS_COMMAND:
                child.is_refused = True

    return _handle_exitstatus


def _process_exited(hooks: HooksProtocol, original: Any) -> Any:
    def _process_exited(transport: Any, returncode: int) -> None:
        hooks.family.ended(transport.get_pid(), returncode)
        original(transport, returncode)

    return _process_exited
