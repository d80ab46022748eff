"""Under which name a host was asked for, so that a connection is not told by a bare address.

Noted where `socket.getaddrinfo` has them looked up, under a private name that no cell imports and keeps. A
driver written in C that looks names up itself is told by address. What was noted stays for later cells, whose
connections may have been made in this one.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

from concmagic.interpreter import c_library
from concmagic.interpreter.borrowing import Patches
from concmagic.recording.guards import watched

_MOST = 1_000  # addresses

_names: dict[str, str] = {}  # address → the name it was asked for by; "" of one that has several


def named(words: str) -> str:
    """An address and port, "93.184.216.34:443", with the name of its host where only one is known."""
    host, colon, port = words.rpartition(":")
    name = _names.get(host.strip("[]"), "") if colon else ""
    return f"{name}:{port}" if name and ":" not in name else words


class HostRecorder:
    """Notes names from `start` to `stop`."""

    def __init__(self) -> None:
        self._patches = Patches()

    def start(self) -> None:
        """Stand in for what looks names up."""
        self._patches.wrap(*c_library.host_lookup(), lambda original: watched(original, _note))

    def stop(self) -> None:
        """Put it back, unless somebody has replaced it since."""
        self._patches.restore()


def _note(told: None, found: Any, host: Any, *rest: Any, **options: Any) -> None:
    with suppress(LookupError, TypeError, ValueError):  # who stands in for it may answer in another shape
        _note_each(host, found)


def _note_each(host: Any, found: list[Any]) -> None:
    if isinstance(host, bytes):
        host = os.fsdecode(host)
    for *_, address in found:
        known = _names.get(address[0])
        if known is None and len(_names) < _MOST:
            _names[address[0]] = host
        elif known is not None and known != host:
            _names[address[0]] = ""
