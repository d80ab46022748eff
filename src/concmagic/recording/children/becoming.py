"""A child that becomes another program, by one of the `exec` functions: it hands over first.

All of them end in `os.execv` or `os.execve`; those that search the path try one place after the other.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from concmagic.interpreter.reading import borrowed
from concmagic.recording.children.groups import command_name
from concmagic.recording.quiet import unseen

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
                becomes(command_name(argv))
        original(path, argv, *env)

    return unseen(execute)
