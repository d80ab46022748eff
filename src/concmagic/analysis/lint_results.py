"""Lints about what a cell forgot: coroutines nobody awaited, exceptions nobody asked for."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator

from concmagic.analysis.findings import Finding
from concmagic.analysis.metrics import Metrics
from concmagic.call_lines import parsed
from concmagic.model.findings import NeverAwaited, NeverRetrieved
from concmagic.model.trace import Trace


def never_awaited(trace: Trace, metrics: Metrics) -> Iterator[Finding]:
    """A coroutine was made and thrown away: nothing of it ran."""
    for function, how_many in Counter(trace.unawaited).items():
        name = function.name.rpartition("<locals>.")[2]
        line = _bare_call(trace.source, name.rpartition(".")[2])
        yield Finding(
            lint="never-awaited",
            severity="warning",
            values=NeverAwaited(name, how_many, line),
            line=line,
        )


def exception_never_retrieved(trace: Trace, metrics: Metrics) -> Iterator[Finding]:
    """A task failed and nobody asked: the cell went on as if it had not."""
    for track in trace.tracks:
        # `unretrieved` is asyncio's own mark; awaiting the task, even later, or `gather` clears it.
        if track.kind != "task" or track.role != "work" or track.host or not track.unretrieved:
            continue
        if not track.outcome.startswith("raised "):
            continue
        yield Finding(
            lint="exception-never-retrieved",
            severity="warning",
            values=NeverRetrieved(track.name, track.outcome_detail or track.outcome),
            tracks=(track.id,),
            start_ns=track.start_ns,
            end_ns=trace.wall_ns if track.end_ns is None else track.end_ns,
            line=track.line if not track.file else 0,
        )


def _bare_call(source: str, name: str) -> int:
    """The line of the only call of this name that is a statement, not awaited; 0 if there is not one."""
    tree, shift = parsed(source)
    lines = [
        node.lineno + shift
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and _called(node.value) == name
    ]
    return lines[0] if len(lines) == 1 else 0


def _called(call: ast.Call) -> str:
    function = call.func
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""
