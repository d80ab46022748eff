"""The lints: each looks for one thing that makes a cell slow or wrong.

To add one: write a function that yields Findings (in a `lint_*.py` beside this file), the class of its
values in `model/findings.py`, their sentences in `sentences/findings.py`, a row in LINTS, a test that
triggers it and a near miss that does not.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace

from concmagic.analysis import Finding
from concmagic.analysis.lint_awaits import sequential_awaits
from concmagic.analysis.lint_deadlocks import deadlock
from concmagic.analysis.lint_ends import (
    exception_in_thread,
    exception_never_retrieved,
    left_running,
    never_awaited,
)
from concmagic.analysis.lint_jobs import pool_starved, submit_then_wait
from concmagic.analysis.lint_loop import blocked_event_loop, many_small_blocks, starved_task
from concmagic.analysis.lint_managers import manager_requests
from concmagic.analysis.lint_one_worker import one_worker_got_all
from concmagic.analysis.lint_pools import pool_overhead
from concmagic.analysis.lint_processes import child_died, copies_changed, fork_with_threads
from concmagic.analysis.lint_threads import busy_machine, few_cores, gil_bound, oversubscribed, uneven_work
from concmagic.analysis.lint_unseen_jobs import job_failed_unseen
from concmagic.analysis.lint_waits import concurrency_capped, gil_held_while_waiting, lock_convoy
from concmagic.analysis.metrics import Metrics
from concmagic.model.findings import CheckFailed
from concmagic.model.trace import Trace

NOTE_SHARE = 0.05  # what costs less of the cell than this is a note
NOTE_S = 0.050  # … or less than this

Check = Callable[[Trace, Metrics], Iterable[Finding]]


@dataclass(frozen=True, slots=True)
class Lint:
    """One thing that is looked for."""

    name: str  # kebab, switches it off
    check: Check
    by_cost: bool = True  # False: it is about a result that may be wrong, whatever it took


LINTS = (
    Lint("blocked-event-loop", blocked_event_loop),
    Lint("gil-bound", gil_bound),
    Lint("lock-convoy", lock_convoy),
    Lint("gil-held-while-waiting", gil_held_while_waiting),
    Lint("few-cores", few_cores),
    Lint("uneven-work", uneven_work),
    Lint("oversubscribed", oversubscribed),
    Lint("busy-machine", busy_machine),
    Lint("many-small-blocks", many_small_blocks),
    Lint("sequential-awaits", sequential_awaits),
    Lint("submit-then-wait", submit_then_wait),
    Lint("one-worker-got-all", one_worker_got_all),
    Lint("concurrency-capped", concurrency_capped),
    Lint("never-awaited", never_awaited, by_cost=False),
    Lint("exception-never-retrieved", exception_never_retrieved, by_cost=False),
    Lint("deadlock", deadlock, by_cost=False),
    Lint("pool-starved", pool_starved, by_cost=False),
    Lint("starved-task", starved_task),
    Lint("left-running", left_running),
    Lint("exception-in-thread", exception_in_thread, by_cost=False),
    Lint("job-failed-unseen", job_failed_unseen, by_cost=False),
    Lint("child-died", child_died, by_cost=False),
    Lint("pool-overhead", pool_overhead),
    Lint("manager-requests", manager_requests),
    Lint("copies-changed", copies_changed, by_cost=False),
    Lint("fork-with-threads", fork_with_threads, by_cost=False),
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
            found.append(
                Finding(lint.name, "note", values=CheckFailed(lint.name, type(error).__name__, str(error)))
            )
    return tuple(sorted(found, key=lambda one: (one.severity == "note", -one.cost_s, one.start_ns)))


def _weighed(lint: Lint, finding: Finding, trace: Trace) -> Finding:
    """The finding under the lint's name, with the severity that its cost gives it."""
    cheap = finding.cost_s < max(NOTE_S, NOTE_SHARE * trace.wall_s)
    is_note = finding.severity == "note" or (lint.by_cost and cheap)
    return replace(finding, lint=lint.name, severity="note" if is_note else "warning")
