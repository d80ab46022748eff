"""The imports of a process, as states of its threads: neither what it unpickles nor what it computes.

Only where a thread is known to have run: a module that waits, for a disk or a core, is told as that.
"""

from __future__ import annotations

from dataclasses import replace

from concmagic.importing.clock_ids_places import CellClock
from concmagic.importing.message_evidence import SHORTEST_NS, laid_over
from concmagic.model.reasons import IMPORTS
from concmagic.model.states import in_order
from concmagic.model.trace import Facts, State, StateInterval, Track
from concmagic.records.recording import ProcessRecord


def module_imports(process: ProcessRecord, native_id: int, clock: CellClock) -> tuple[StateInterval, ...]:
    """From when to when this thread imported which module, but for what took next to no time."""
    found = [
        StateInterval(
            clock.at(one.start_ns), clock.at(one.end_ns), State.RUNNING, IMPORTS, Facts(call=one.module)
        )
        for one in process.imports
        if one.native_id == native_id and one.end_ns - one.start_ns >= SHORTEST_NS
    ]
    return in_order(one for one in found if one.length_ns > 0)


def with_imports(thread: Track, process: ProcessRecord, clock: CellClock) -> Track:
    """The thread's track, where it ran to import a module with that."""
    pieces = module_imports(process, thread.native_id, clock)
    states = laid_over(thread.states, pieces, lambda one: one.state is State.RUNNING)
    return replace(thread, states=tuple(states)) if pieces else thread
