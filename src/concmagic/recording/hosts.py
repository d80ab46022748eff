"""Under which name a host was asked for, so that a connection is not told by a bare address.

Noted where `socket.getaddrinfo` has them looked up, under a private name that no cell imports and keeps. A
driver written in C that looks names up itself is told by address. What was noted stays for later cells, whose
connections may have been made in this one.
"""

from __future__ import annotations

import _socket
import functools
import os
from contextlib import suppress
from typing import Any

_MOST = 1_000  # addresses

_names: dict[str, str] = {}  # address → the name it was asked for by; "" of one that has several


def named(words: str) -> str:
    """An address and port, "93.184.216.34:443", with the name of its host where only one is known."""
    host, colon, port = words.rpartition(":")
    name = _names.get(host.strip("[]"), "") if colon else ""
    return f"{name}:{port}" if name and ":" not in name else words


class HostRecorder:
    """Notes names from `start` to `stop`."""

    def start(self) -> None:
        """Stand in for what looks names up."""
        self._original = original = _socket.getaddrinfo

        @functools.wraps(original)
        def getaddrinfo(*args: Any, **options: Any) -> Any:
            try:
                found = original(*args, **options)
            except BaseException as error:
                if error.__traceback__ is not None:
                    error.__traceback__ = error.__traceback__.tb_next  # this frame is none of the user's
                raise
            with suppress(Exception):  # what it returns may be somebody else's, of any shape
                _note(args[0] if args else options["host"], found)
            return found

        self._hook = _socket.getaddrinfo = getaddrinfo

    def stop(self) -> None:
        """Put it back, unless somebody has replaced it since."""
        if _socket.getaddrinfo is self._hook:
            _socket.getaddrinfo = self._original


def _note(host: Any, found: list[Any]) -> None:
    if isinstance(host, bytes):
        host = os.fsdecode(host)
    for *_, address in found:
        known = _names.get(address[0])
        if known is None and len(_names) < _MOST:
            _names[address[0]] = host
        elif known is not None and known != host:
            _names[address[0]] = ""
