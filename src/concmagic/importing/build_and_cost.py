"""What ran and on what, what tracing it took (a calibrated estimate), and what CPU time is explained."""

from __future__ import annotations

import platform
import sys
from collections import Counter
from collections.abc import Sequence
from math import nan

from concmagic._version import __version__
from concmagic.importing.clock_ids_places import CellClock
from concmagic.interpreter import borrowing
from concmagic.model.trace import Build, Cost
from concmagic.problems import Problem
from concmagic.records.recording import ProcessRecord, Recording


def build(recording: Recording) -> Build:
    """What ran, and on what."""
    return Build(
        python=platform.python_version(),
        implementation=platform.python_implementation(),
        free_threaded=borrowing.runs_without_gil(),
        platform=_platform(),
        concmagic=__version__,
        viztracer=_version_of("viztracer"),
        cores=recording.cores,
        start_method=recording.start_method,
        workers=recording.workers,
        sampling_ns=sampling_ns(recording),
        sampling_asked_ns=_period_ns(recording.samples.asked_hz) if recording.samples is not None else 0,
        gil_asked=recording.samples is not None and recording.samples.knows_gil,
    )


def sampling_ns(recording: Recording) -> int:
    """The time between two samples of a thread that is not asleep."""
    return _period_ns(recording.samples.rate_hz) if recording.samples is not None else 0


def _period_ns(rate_hz: float) -> int:
    return round(1e9 / rate_hz) if rate_hz > 0 else 0


def _version_of(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _platform() -> str:
    """The operating system in words. The library asks a command of it, which may not be startable."""
    try:
        return platform.platform(terse=True)
    except Exception:
        return sys.platform


# Seconds an event of VizTracer costs, as measured; before 3.12 it is the C profile function.
_EVENT_S = 0.21e-6 if sys.version_info < (3, 12) else 0.17e-6
_STEP_S = 1.5e-6  # a task's step and its wake-up
_THREAD_S = 45e-6  # a thread's begin and end
_MERGED_S = 1.8e-6  # a job of a pool of threads that is merged; of others it is measured
_FORK_SHARE, _EXIT_SHARE = 0.6, 0.85  # as measured: the rest it would take without us


def cost(recording: Recording, clock: CellClock, events: int, problems: tuple[Problem, ...]) -> Cost:
    """The estimate: what lies side by side counts once, what lies one after the other is summed."""
    children = [process for process in recording.processes if process.parent_pid is not None]
    seconds = sum(_seconds(process) for process in recording.processes if process.parent_pid is None)
    seconds += sum(max(map(_seconds, family)) for family in _side_by_side(children, recording.end_ns))
    seconds += _around_children(children, recording) / 1e9
    stops = [
        process.calls.stopped_ns
        for process in recording.processes
        if process.calls is not None and process.calls.stopped_ns is not None
    ]
    logs = [log for process in recording.processes for log in (process.locks, process.messages)]
    counted = [log.counted_until_ns for log in logs if log is not None and log.counted_until_ns is not None]
    return Cost(
        seconds=min(seconds, (recording.end_ns - recording.start_ns) / 1e9),  # it is a part of the cell
        events=events,
        sampler_s=recording.samples.cpu_ns / 1e9 if recording.samples is not None else 0.0,
        calls_until_ns=clock.at(min(stops)) if stops else None,
        merged=sum(process.tasks.merged for process in recording.processes if process.tasks is not None),
        counted_until_ns=max(clock.at(min(counted)), 0) if counted else None,
        calls_impossible=recording.detail == "auto" and borrowing.FREE_THREADED,
        problems=problems,
        steps_without_calls=sum(
            process.calls.left_out for process in recording.processes if process.calls is not None
        ),
    )


def python_cpu_s(recording: Recording) -> float:
    """CPU time of all Python threads, by their own clocks, and of the kernel's messages beside them.

    Of a child only the whole is known.
    """
    kernel, *children = recording.processes
    used = [thread.cpu_ns for thread in kernel.threads] + [child.cpu_ns for child in children]
    known = [cpu_ns for cpu_ns in used if cpu_ns is not None]
    if not known or len(known) != len(used):
        return nan
    return (sum(known) + recording.kernel_cpu_ns) / 1e9


def _seconds(process: ProcessRecord) -> float:
    events = process.calls.events if process.calls is not None else 0
    steps = (
        sum(len(task.steps) for task in process.tasks.tasks) + process.tasks.merged if process.tasks else 0
    )
    observing_ns = process.observing_ns + (process.locks.observing_ns if process.locks is not None else 0)
    threads = sum(one.started_ns is not None for one in process.threads)
    merged = sum(job.count for job in process.jobs if job.outcomes)
    by_number = events * _EVENT_S + steps * _STEP_S + threads * _THREAD_S + merged * _MERGED_S
    return by_number + observing_ns / 1e9


def _side_by_side(children: Sequence[ProcessRecord], end_ns: int) -> list[list[ProcessRecord]]:
    """The children in families whose lives overlap; of two families one is over before the other begins."""
    families: list[list[ProcessRecord]] = []
    until_ns = 0
    for child in sorted(children, key=lambda one: one.started_ns or 0):
        start_ns = child.started_ns or 0
        if not families or start_ns >= until_ns:
            families.append([])
        families[-1].append(child)
        until_ns = max(until_ns, child.ended_ns or end_ns)
    return families


def _around_children(children: Sequence[ProcessRecord], recording: Recording) -> float:
    """Nanoseconds of the cell in which a child was held up by us, and with it who waited for it.

    Where several are at once, the one that is held up most counts.
    """
    changes: list[tuple[int, int, float]] = []
    for child in children:
        for share, start_ns, end_ns in _held_up(child):
            if start_ns is None or end_ns is None:
                continue
            start_ns, end_ns = max(start_ns, recording.start_ns), min(end_ns, recording.end_ns)
            if end_ns > start_ns:
                changes += [(start_ns, 1, share), (end_ns, -1, share)]
    changes.sort()
    active: Counter[float] = Counter()
    found, before_ns = 0.0, 0
    for at_ns, change, share in changes:
        found += (at_ns - before_ns) * max((one for one, many in active.items() if many), default=0.0)
        active[share] += change
        before_ns = at_ns
    return found


def _held_up(child: ProcessRecord) -> tuple[tuple[float, int | None, int | None], ...]:
    """From when to when, and which share of it is ours.

    All of our imports and of the tracer's start; most of the time from its program's end to its exit, in
    which it hands over; and, of a fork, a part of the fork itself: there is more to copy. All of that is
    computing: for how long other programs had the cores meanwhile is not ours.
    """
    had = _share_of_a_core(child)
    return (
        (had * _FORK_SHARE if child.start_method == "fork" else 0.0, child.started_ns, child.born_ns),
        (had, child.begun_ns, child.loaded_ns),
        (had, child.called_ns, child.target_ns),
        (had * _EXIT_SHARE, child.done_ns, child.ended_ns),
    )


def _share_of_a_core(child: ProcessRecord) -> float:
    """How much of a core it had, from its birth until our imports were done."""
    if child.loaded_ns is None or child.born_ns is None or child.loaded_cpu_ns is None:
        return 1.0
    return min(child.loaded_cpu_ns / max(child.loaded_ns - child.born_ns, 1), 1.0)


def problems_of(process: ProcessRecord, is_interrupted: bool) -> list[Problem]:
    """What could not be recorded of one process; that an interrupt ended its tracer of calls is no loss."""
    own = list(process.problems)
    if process.calls is not None and process.calls.gave_up and not is_interrupted:
        own.append(Problem.of("tracer_gave_up"))
    for part in (process.calls, process.tasks):
        own += part.problems if part is not None else ()
    return own
