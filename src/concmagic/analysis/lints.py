"""The lints: each looks for one thing that makes a cell slow or wrong, and says it in a sentence.

To add one: write a function that yields Hits (in a `lint_*.py` beside this file), a sentence in
`sentences/findings.py`, a row in LINTS, a test that triggers it and a near miss that does not.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from concmagic import sentences
from concmagic.analysis.findings import Finding
from concmagic.analysis.lint_awaits import sequential_awaits
from concmagic.analysis.lint_ends import exception_in_thread, left_running
from concmagic.analysis.lint_gil import gil_held_while_waiting
from concmagic.analysis.lint_locks import lock_convoy
from concmagic.analysis.lint_loop import blocked_event_loop, many_small_blocks, starved_task
from concmagic.analysis.lint_machine import busy_machine
from concmagic.analysis.lint_processes import child_died, copies_changed, fork_with_threads, pool_overhead
from concmagic.analysis.lint_results import exception_never_retrieved, never_awaited
from concmagic.analysis.lint_threads import few_cores, gil_bound, oversubscribed, uneven_work
from concmagic.analysis.lint_waits import concurrency_capped, deadlock
from concmagic.analysis.metrics import Metrics
from concmagic.model.trace import Trace

NOTE_SHARE = 0.05  # what costs less of the cell than this is a note
NOTE_S = 0.050  # … or less than this

Check = Callable[[Trace, Metrics], Iterable[Finding]]


@dataclass(frozen=True, slots=True)
class Lint:
    """One thing that is looked for."""

    name: str  # kebab, switches it off
    summary: str  # what it means in general
    check: Check
    by_cost: bool = True  # False: it is about a result that may be wrong, whatever it took


LINTS = (
    Lint("blocked-event-loop", sentences.LINT_BLOCKED_EVENT_LOOP, blocked_event_loop),
    Lint("gil-bound", sentences.LINT_GIL_BOUND, gil_bound),
    Lint("lock-convoy", sentences.LINT_LOCK_CONVOY, lock_convoy),
    Lint("gil-held-while-waiting", sentences.LINT_GIL_HELD, gil_held_while_waiting),
    Lint("few-cores", sentences.LINT_FEW_CORES, few_cores),
    Lint("uneven-work", sentences.LINT_UNEVEN_WORK, uneven_work),
    Lint("oversubscribed", sentences.LINT_OVERSUBSCRIBED, oversubscribed),
    Lint("busy-machine", sentences.LINT_BUSY_MACHINE, busy_machine),
    Lint("many-small-blocks", sentences.LINT_MANY_SMALL_BLOCKS, many_small_blocks),
    Lint("sequential-awaits", sentences.LINT_SEQUENTIAL_AWAITS, sequential_awaits),
    Lint("concurrency-capped", sentences.LINT_CONCURRENCY_CAPPED, concurrency_capped),
    Lint("never-awaited", sentences.LINT_NEVER_AWAITED, never_awaited, by_cost=False),
    Lint(
        "exception-never-retrieved",
        sentences.LINT_NEVER_RETRIEVED,
        exception_never_retrieved,
        by_cost=False,
    ),
    Lint("deadlock", sentences.LINT_DEADLOCK, deadlock, by_cost=False),
    Lint("starved-task", sentences.LINT_STARVED_TASK, starved_task),
    Lint("left-running", sentences.LINT_LEFT_RUNNING, left_running),
    Lint("exception-in-thread", sentences.LINT_EXCEPTION_IN_THREAD, exception_in_thread, by_cost=False),
    Lint("child-died", sentences.LINT_CHILD_DIED, child_died, by_cost=False),
    Lint("pool-overhead", sentences.LINT_POOL_OVERHEAD, pool_overhead),
    Lint("copies-changed", sentences.LINT_COPIES_CHANGED, copies_changed, by_cost=False),
    Lint("fork-with-threads", sentences.LINT_FORK_WITH_THREADS, fork_with_threads, by_cost=False),
)


def find(
    trace: Trace, metrics: Metrics, disabled: Collection[str] = (), lints: Iterable[Lint] = LINTS
) -> tuple[Finding, ...]:
    """What the lints find: warnings first, then by cost. A lint that fails is a note that says so."""
    found: list[Finding] = []
    for lint in lints:
        if lint.name in disabled:
            continue
        try:
            found += [_weighed(lint, finding, trace) for finding in lint.check(trace, metrics)]
        except Exception as error:
            found.append(Finding(lint.name, "note", sentences.lint_failed(lint.name, error)))
    return tuple(sorted(found, key=lambda one: (one.severity == "note", -one.cost_s, one.start_ns)))


def _weighed(lint: Lint, finding: Finding, trace: Trace) -> Finding:
    """The finding under the lint's name, with the severity that its cost gives it."""
    cheap = finding.cost_s < max(NOTE_S, NOTE_SHARE * trace.wall_s)
    return Finding(
        lint.name,
        "note" if finding.severity == "note" or (lint.by_cost and cheap) else "warning",
        finding.message,
        finding.hint,
        finding.cost_s,
        finding.tracks,
        finding.start_ns,
        finding.end_ns,
        finding.line,
    )
