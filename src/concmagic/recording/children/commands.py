"""Where commands are started and end: subprocess, `os.posix_spawn`, asyncio's subprocesses."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from concmagic.recording.children import groups as child_groups
from concmagic.recording.children.patches import Patches

if TYPE_CHECKING:
    from concmagic.recording.children.hooks import Hooks


def patch(hooks: Hooks, patches: Patches) -> None:
    """Watch them from now on."""
    if getattr(subprocess, "_fork_exec", None) is not None:
        patches.set(subprocess, "_fork_exec", _fork_exec(hooks, subprocess._fork_exec))  # type: ignore[attr-defined]
        popen = subprocess.Popen
        patches.set(popen, "_handle_exitstatus", _exit_status(hooks, popen._handle_exitstatus))  # type: ignore[attr-defined]
    # With posix_spawn (3.13 prefers it) a program that is not there raises right in that call.
    if hasattr(os, "posix_spawn"):
        patches.set(os, "posix_spawn", _posix_spawn(hooks, os.posix_spawn))
    transports = sys.modules.get("asyncio.base_subprocess")
    if transports is not None:
        transport = transports.BaseSubprocessTransport
        patches.set(transport, "_process_exited", _process_exited(hooks, transport._process_exited))


def _fork_exec(hooks: Hooks, original: Any) -> Any:
    def fork_exec(*arguments: Any) -> int:
        with hooks.family.expect(child_groups.command_name(arguments[0]), "subprocess") as child:
            pid = int(original(*arguments))
            hooks.born(child, pid)
            return pid

    return fork_exec


def _posix_spawn(hooks: Hooks, original: Any) -> Any:
    def posix_spawn(path: Any, argv: Any, env: Any, /, **options: Any) -> int:
        with hooks.family.expect(child_groups.command_name(argv), "subprocess") as child:
            pid = int(original(path, argv, env, **options))
            hooks.born(child, pid)
            return pid

    return posix_spawn


def _exit_status(hooks: Hooks, original: Any) -> Any:
    def _handle_exitstatus(popen: Any, *arguments: Any, **options: Any) -> None:
        original(popen, *arguments, **options)
        if popen.returncode is not None:
            hooks.family.ended(popen.pid, popen.returncode)

    return _handle_exitstatus


def _process_exited(hooks: Hooks, original: Any) -> Any:
    def _process_exited(transport: Any, returncode: int) -> None:
        hooks.family.ended(transport.get_pid(), returncode)
        original(transport, returncode)

    return _process_exited
