"""Events through VizTracer's own `load()`, where its memory is not to be read.

Safe for Python functions, whose code objects the events hold. The events are written in the same
form as the others, so that there is one way to read them.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable
from typing import Any

from concmagic.interpreter.event_nodes import FUNCTION_NODE, PY_CLOSED, PY_OPEN
from concmagic.problems import Problem
from concmagic.records.recording import RawCalls, RawCode

_NODE = struct.Struct("@iqLPPPPPiqP")  # EventNode, field by field
_NAME = re.compile(r"(?s)(.*) \((.*):(\d+)\)\Z")
_SECOND_NS = 1_000_000_000


def read(events: Iterable[dict[str, Any]], end_ns: int, problems: tuple[Problem, ...]) -> RawCalls:
    """Turn loaded events into RawCalls whose raw time is CLOCK_MONOTONIC nanoseconds itself."""
    addresses: dict[str, int] = {}
    nodes = bytearray()
    for event in events:
        if event["ph"] in "XB":
            code = addresses.setdefault(event["name"], len(addresses) + 1)
            kind = PY_CLOSED if event["ph"] == "X" else PY_OPEN
            start, length = round(event["ts"] * 1000), round(event.get("dur", 0) * 1000)
            nodes += _NODE.pack(FUNCTION_NODE, start, event["tid"], 0, 0, code, 0, 0, kind, length, 0)
    return RawCalls(
        nodes=bytes(nodes),
        codes={address: _code(name) for name, address in addresses.items()},
        c_functions={},
        clock=((end_ns - _SECOND_NS, end_ns - _SECOND_NS), (end_ns, end_ns)),
        events=len(nodes) // _NODE.size,
        problems=problems,
        native_calls=False,
    )


def _code(name: str) -> RawCode:
    parts = _NAME.match(name)
    return RawCode(parts[1], parts[2], int(parts[3])) if parts else RawCode(name, "", 0)
