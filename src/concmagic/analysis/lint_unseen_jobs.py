"""The lint about jobs that failed and whose futures the cell threw away: nobody can ever ask for them."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from concmagic.analysis import Finding
from concmagic.analysis.metrics import Metrics
from concmagic.model.findings import JobsFailedUnseen
from concmagic.model.trace import Trace
from concmagic.source_lookup import callee_of, parsed

_HANDS_OVER = frozenset(
    (
        *("submit", "map", "apply_async", "map_async", "starmap_async", "imap", "imap_unordered"),
        *("apply", "starmap", "run_in_executor", "to_thread"),
    )
)
_THROWN_AWAY = frozenset(("submit", "map", "apply_async"))  # by a statement that is nothing but this call


def job_failed_unseen(trace: Trace, metrics: Metrics) -> Iterator[Finding]:
    """Jobs raised, the cell went on, and each call that handed jobs over dropped what it was given."""
    failed = [job for job in trace.jobs if job.outcome.kind == "raised" and job.end_ns is not None]
    if not failed or trace.outcome.kind != "returned":
        return
    lines = _thrown_away(trace.source)
    if not lines:
        return
    failed.sort(key=lambda job: job.end_ns or 0)
    line = lines[0] if len(lines) == 1 else 0
    yield Finding(
        values=JobsFailedUnseen(
            failed[0].label, failed[0].outcome, sum(job.failed or 1 for job in failed), line
        ),
        tracks=tuple(sorted({job.track for job in failed if job.track is not None})),
        start_ns=failed[0].start_ns or 0,
        end_ns=failed[-1].end_ns or 0,
        line=line,
    )


def _thrown_away(source: str) -> list[int]:
    """The lines of the calls that hand jobs over, if each of them throws away what it is given; else none."""
    tree, shift = parsed(source)
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and callee_of(node) in _HANDS_OVER]
    value = tree.body[-1:]  # an expression there is what the cell shows, and keeps
    alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and node not in value}
    # In a `try` a Pool's own `map` may have raised, and was caught.
    tried = {id(one) for node in ast.walk(tree) if isinstance(node, ast.Try) for one in ast.walk(node)}
    for call in calls:
        is_dropped = id(call) in alone and callee_of(call) in _THROWN_AWAY
        is_told = any(word.arg in ("callback", "error_callback", None) for word in call.keywords)
        if not is_dropped or is_told or (callee_of(call) == "map" and id(call) in tried):
            return []
    return sorted(call.lineno + shift for call in calls)
