"""What the lints about processes, pools and their jobs say."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from concmagic.sentences.numbers import count, duration, names, of_total
from concmagic.sentences.picture import at_place, start_failed
from concmagic.sentences.states_and_waits import path_words

if TYPE_CHECKING:
    from concmagic.model import findings as of

_MOST_NAMES = 3


def message_of_pools(found: of.OfPools) -> str:
    """What was found of processes, pools and their jobs, in a sentence."""
    from concmagic.model import findings as of

    match found:
        case of.ChildDied():
            return child_died(found)
        case of.PoolOverhead():
            return pool_overhead(found)
        case of.SmallProcesses():
            return small_processes(found)
        case of.CopiesChanged():
            return copies_changed(found)
        case of.ForkWithThreads():
            return f"{found.child} was forked while {names(found.threads, _MOST_NAMES)} ran."
        case of.ManagerRequests():
            return manager_requests(found)
        case of.SubmitThenWait():
            return submit_then_wait(found)
        case of.OneWorker():
            return one_worker(found)
        case of.JobsFailedUnseen():
            return jobs_failed_unseen(found)
        case of.PoolStarved():
            return pool_starved(found)
        case _:
            assert_never(found)


def child_died(found: of.ChildDied) -> str:
    """A child process that did not end well."""
    if found.outcome.kind == "not started":
        return f"{found.name} could not be started."
    how = f"{'ended with' if found.outcome.kind == 'exited' else 'was'} {found.outcome}"
    at_work = f" while it ran {found.job}" if found.job else ""
    why = start_failed(found.problems) or found.outcome.message
    return f"Process {found.name} {how}{at_work}{f': {why}' if why else ''}."


def pool_overhead(found: of.PoolOverhead) -> str:
    """A pool that took longer than its jobs; of its parts only those that were seen."""
    parts = [
        f"{duration(found.start_ns)} to start" if found.start_ns else "",
        _imports(found) if found.imports_ns else "",
        f"{duration(found.pickling_ns)} to pickle" if found.pickling_ns else "",
    ]
    parts = [part for part in parts if part]
    took = f"took {names(parts, len(parts))}, for" if parts else "had"
    return (
        f"{count(found.workers, 'process', 'processes')} {took} "
        f"{count(found.jobs, 'job')} of {duration(found.work_ns)} "
        "in all: one after the other, without processes, they would have taken less than these "
        f"{duration(found.span_ns)}.{_tiny(found) if found.send_ns else ''}"
    )


def _tiny(found: of.PoolOverhead) -> str:
    """A job that costs more than it does, and from how many at once on it is worth it."""
    job = "A job" if found.a_chunk == 1 else f"A chunk of {found.a_chunk:,}"
    from_where = f": from about {found.at_once:,} jobs a chunk on, processes pay" if found.at_once else ""
    return f" {job} takes {duration(found.job_ns)} and costs {duration(found.send_ns)} to send{from_where}."


def _imports(found: of.PoolOverhead) -> str:
    """The imports of fresh workers, which go on side by side."""
    each = "each " if found.importers == found.workers > 1 else ""
    some = f" in {found.importers:,} of them" if found.importers < found.workers else ""
    return f"{duration(found.imports_ns)} {each}to import {names(found.modules, _MOST_NAMES)}{some}"


def small_processes(found: of.SmallProcesses) -> str:
    """Processes that did next to nothing."""
    it = "it" if found.processes == 1 else "they"
    worked = duration(found.work_ns) if found.work_ns else "too short a time to be seen"
    return (
        f"Starting {count(found.processes, 'process', 'processes')} took {duration(found.start_ns)}; "
        f"{it} computed for {worked}."
    )


def copies_changed(found: of.CopiesChanged) -> str:
    """Children changed what they have copies of."""
    variables = names([f"`{name}`" for name in found.variables], _MOST_NAMES)
    where = count(found.processes, "child process", "child processes")
    return f"{variables} changed in {where} only: the notebook's own did not."


def manager_requests(found: of.ManagerRequests) -> str:
    """Many small requests to a manager."""
    who = count(found.processes, "process", "processes")
    longest = "" if found.processes == 1 else "up to "
    return (
        f"{who} waited for the manager, which answered {found.requests:,} requests: "
        f"that took {longest}{of_total(found.waited_ns, found.wall_ns)}."
    )


def submit_then_wait(found: of.SubmitThenWait) -> str:
    """What was begun one at a time."""
    what, begun = f"{found.times:,} × {found.function}", "handed over"
    if found.kind != "job":
        several = {"process": "processes"}.get(found.kind, f"{found.kind}s")
        what = f"{found.times:,} {several}" + (f" of {found.function}" if found.function else "")
        begun = "started"
    return (
        f"{what}{at_place('', found.line)} took {duration(found.took_ns)} one after the other{_mostly(found)}: "
        f"each was {begun} only when the one before had ended."
    )


def _mostly(found: of.SubmitThenWait) -> str:
    if (spent := found.mostly) is None:
        return ""
    return f", mostly {path_words(spent.state, spent.reason, spent.phase)}{at_place(spent.file, spent.line)}"


def jobs_failed_unseen(found: of.JobsFailedUnseen) -> str:
    """Jobs that raised, and nobody can know."""
    error, where = found.outcome.message or found.outcome.error, found.outcome.place
    error += at_place(where.file, where.line) if where is not None else ""
    failed, theirs = f"{found.job} raised {error}", "its result"
    if found.failed > 1:
        failed = f"{count(found.failed, 'job')} raised, the first of them {found.job} with {error}"
        theirs = "their results"
    of_line = f", of line {found.line}" if found.line else ""
    return f"{failed}, and nobody can ask for {theirs}{of_line}."


def one_worker(found: of.OneWorker) -> str:
    """One worker with nearly all calls."""
    of_all = f"all {found.calls:,}" if found.calls == found.of_all else f"{found.calls:,} of {found.of_all:,}"
    came = f" {found.a_chunk:,} of them came as one chunk: {found.chunk}." if found.chunk else ""
    if found.chunk and found.a_chunk == found.calls:
        came = f" They came as one chunk: {found.chunk}."
    others = "the other worker" if found.others == 1 else f"each of the other {found.others:,}"
    return (
        f"{found.worker} had {of_all} calls, one after the other for {duration(found.work_ns)}, while {others} of its "
        f"pool waited for {duration(found.idle_ns)} of it.{came}"
    )


def pool_starved(found: of.PoolStarved) -> str:
    """A pool whose workers wait for it."""
    all_of = "The only worker" if found.workers == 1 else f"All {found.workers} workers"
    waits = "waits" if found.workers == 1 else "wait"
    return (
        f"{all_of} of the pool {found.pool} {waits} for results{at_place('', found.line)} of jobs that stand behind "
        f"them in its queue: {names(found.behind, _MOST_NAMES)} can never begin."
    )
