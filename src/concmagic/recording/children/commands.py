"""Where commands are started and end: subprocess, `os.posix_spawn`, asyncio's subprocesses."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from concmagic.interpreter import process_internals
from concmagic.interpreter.borrowing import Patches, borrowed
from concmagic.recording.children.child_config import fields_of
from concmagic.recording.guards import unseen

if TYPE_CHECKING:
    from concmagic.recording.children.child_config import HooksProtocol
    from concmagic.recording.children.child_table import Child


_SCRIPT = Path(__file__).with_name("script.py")


def patch(hooks: HooksProtocol, patches: Patches) -> None:
    """Watch them from now on."""
    if sys.platform != "win32":
        patches.wrap(subprocess, process_internals.FORK_EXEC, partial(_fork_exec, hooks))
        patches.wrap(subprocess.Popen, process_internals.EXIT_STATUS, partial(_exit_status, hooks))
    # With posix_spawn (3.13 prefers it) a program that is not there raises right in that call.
    if hasattr(os, "posix_spawn"):
        patches.wrap(os, "posix_spawn", partial(_posix_spawn, hooks))
    transports = sys.modules.get("asyncio.base_subprocess")
    if transports is not None:
        transport = borrowed(transports, "BaseSubprocessTransport")
        patches.wrap(transport, process_internals.PROCESS_EXITED, partial(_process_exited, hooks))


def _fork_exec(hooks: HooksProtocol, original: Any) -> Any:
    def fork_exec(arguments: Any, executables: Any, *rest: Any) -> int:
        name = hooks.guard(partial(_command_name, arguments)) or "subprocess"
        folder = rest[2] if len(rest) > 2 else None  # after close_fds and pass_fds
        with hooks.family.expect(name, "subprocess") as child:
            arguments = _recorded(hooks, child, arguments, executables[0], folder)
            pid = int(original(arguments, executables, *rest))
            hooks.born(child, pid)
            return pid

    return unseen(fork_exec)


def _posix_spawn(hooks: HooksProtocol, original: Any) -> Any:
    def posix_spawn(path: Any, argv: Any, env: Any, /, **options: Any) -> int:
        name = hooks.guard(partial(_command_name, argv)) or "subprocess"
        with hooks.family.expect(name, "subprocess") as child:
            argv = _recorded(hooks, child, argv, path, None)
            pid = int(original(path, argv, env, **options))
            hooks.born(child, pid)
            return pid

    return unseen(posix_spawn)


def _command_name(arguments: Any) -> str:
    """A command line's short name: "git", "python job.py"."""
    words = [os.fsdecode(argument) for argument in arguments]
    name = os.path.basename(words[0]) if words else "subprocess"
    if (
        len(words) > 1
        and words[1].endswith(".py")
        and os.path.realpath(words[0]) == os.path.realpath(sys.executable)
    ):
        return f"{name} {os.path.basename(words[1])}"
    return name


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
        config.write_bytes(pickle.dumps(fields_of(hooks.config.for_child(child))))
    except Exception:  # a full disk, or what is refused anyway: it runs as without us
        return arguments
    return [words[0], os.fspath(_SCRIPT), os.fspath(config), *words[1:]]


def _exit_status(hooks: HooksProtocol, original: Any) -> Any:
    def _handle_exitstatus(popen: Any, *arguments: Any, **options: Any) -> None:
        original(popen, *arguments, **options)
        if popen.returncode is not None:
            hooks.family.ended(popen.pid, popen.returncode)

    return _handle_exitstatus


def _process_exited(hooks: HooksProtocol, original: Any) -> Any:
    def _process_exited(transport: Any, returncode: int) -> None:
        hooks.family.ended(transport.get_pid(), returncode)
        original(transport, returncode)

    return _process_exited


_originals: dict[str, Any] = {}


def watch(becomes: Callable[[str], None]) -> None:
    """Call `becomes` with the command's name before this process is another program; for good."""
    for name in ("execv", "execve"):
        original = _originals.get(name) or borrowed(os, name)
        if original is not None:
            _originals[name] = original
            setattr(os, name, _watched(original, becomes))


def _watched(original: Any, becomes: Callable[[str], None]) -> Any:
    def execute(path: Any, argv: Any, *env: Any) -> None:
        with suppress(Exception):  # the original says what is wrong with what it was given
            if os.access(path, os.X_OK) and not os.path.isdir(path):
                becomes(_command_name(argv))
        original(path, argv, *env)

    return unseen(execute)
