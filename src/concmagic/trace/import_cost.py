"""What tracing itself took, a calibrated estimate told with every picture; and what CPU time is explained."""

from __future__ import annotations

import sys
from math import nan

from concmagic.interpreter import build
from concmagic.recording.raw import ProcessRecord, Recording
from concmagic.trace.clock import CellClock
from concmagic.trace.model import Cost

# Seconds an event of VizTracer costs, as measured; before 3.12 it is the C profile function.
_EVENT_S = 0.21e-6 if sys.version_info < (3, 12) else 0.17e-6
_STEP_S = 1.5e-6  # a task's step and its wake-up


def cost(recording: Recording, clock: CellClock, events: int, problems: tuple[str, ...]) -> Cost:
    """The estimate: of processes side by side the costliest counts beside the kernel's own."""
    own, *children = recording.processes or (None,)
    seconds = _seconds(own) if own is not None else 0.0
    seconds += max((_seconds(child) for child in children if child is not None), default=0.0)
    stops = [
        process.calls.stopped_ns
        for process in recording.processes
        if process.calls is not None and process.calls.stopped_ns is not None
    ]
    return Cost(
        seconds=seconds,
        events=events,
        sampler_s=recording.samples.cpu_ns / 1e9 if recording.samples is not None else 0.0,
        calls_until_ns=clock.at(min(stops)) if stops else None,
        merged=sum(process.tasks.merged for process in recording.processes if process.tasks is not None),
        calls_impossible=recording.detail == "auto" and build.FREE_THREADED,
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
    return events * _EVENT_S + steps * _STEP_S + _around_a_child(process) / 1e9


def _around_a_child(process: ProcessRecord) -> int:
    """Nanoseconds, as measured: our imports, the tracer's start, and from its own end to its exit."""
    stretches = (
        (process.begun_ns, process.loaded_ns),
        (process.called_ns, process.target_ns),
        (process.done_ns, process.ended_ns),
    )
    return sum(max(end - start, 0) for start, end in stretches if start is not None and end is not None)
