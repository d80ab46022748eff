"""What is known of a process's threads when the steps of its event loops are told."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence

from concmagic.importing.calls.import_calls import BlockedCall, ImportedCalls
from concmagic.importing.cell_clock import CellClock
from concmagic.importing.tasks.step_clocks import ThreadEvidence
from concmagic.importing.threads.import_samples import Samples
from concmagic.model.trace import State, StateInterval
from concmagic.records.recording import ProcessRecord


def blocking_in_steps(
    process: ProcessRecord, calls: ImportedCalls, samples: Samples, clock: CellClock
) -> tuple[Mapping[int, Sequence[BlockedCall]], Mapping[int, int]]:
    """Per thread the waits inside steps, from calls and, after them, samples; and until when both tell."""
    blocked: dict[int, list[BlockedCall]] = {
        native_id: list(thread.blocked) for native_id, thread in calls.threads.items()
    }
    recorded = process.calls
    until = clock.wall_ns
    if recorded is None or not recorded.native_calls:
        until = 0
    elif recorded.stopped_ns is not None or recorded.handed_ns is not None:
        until = clock.at(recorded.stopped_ns or recorded.handed_ns or 0)
    known = dict.fromkeys(blocked, until)
    for native_id, states in samples.items():
        sampled = [
            _sampled(state) for state in states if state.state is State.WAITING and state.start_ns >= until
        ]
        blocked[native_id] = _with_sampled(blocked.get(native_id, []), sampled)
        if states:
            known[native_id] = max(known.get(native_id, 0), states[-1].end_ns)
    return blocked, known


def _with_sampled(blocked: list[BlockedCall], sampled: list[BlockedCall]) -> list[BlockedCall]:
    """Both, in order; where a wait for a lock is known by itself the samples tell nothing more."""
    begins = [one.start_ns for one in blocked]
    kept = []
    for one in sampled:
        index = bisect_left(begins, one.end_ns) - 1
        if index < 0 or blocked[index].end_ns <= one.start_ns:
            kept.append(one)
    return sorted([*blocked, *kept], key=lambda one: one.start_ns)


def evidence_of_threads(
    process: ProcessRecord, calls: ImportedCalls, samples: Samples
) -> Mapping[int, ThreadEvidence]:
    """What else is known of each thread, for the steps of the loops in it."""
    used = {record.native_id: record.cpu_ns for record in process.threads}
    known = [cpu_ns for cpu_ns in used.values() if cpu_ns is not None]
    together, unknown = sum(known), len(used) - len(known)
    found = {}
    for native_id, cpu_ns in used.items():
        states = samples.get(native_id, ())
        found[native_id] = ThreadEvidence(
            calls.threads[native_id].suspects if native_id in calls.threads else (),
            [one for one in states if one.state is State.READY and one.reason == "GIL"],
            states[-1].end_ns if states else 0,
            together - (cpu_ns or 0) if unknown == (cpu_ns is None) else None,
        )
    return found


def _sampled(state: StateInterval) -> BlockedCall:
    return BlockedCall(state.start_ns, state.end_ns, state.reason, state.reason, "", 0)
