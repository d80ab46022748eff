"""What concmagic says of the cell that a kernel has run last."""

from __future__ import annotations

from dataclasses import dataclass

from tests.kernel.conftest import Kernel

# A thread of a child is told by the child's name, where the child has no other thread of the user's.
SETUP = """
import concmagic
def _path():
    from concmagic.analysis.critical_path import path_of
    trace = concmagic.last()
    tracks = {track.id: track for track in trace.tracks}
    processes = {track.id: track for track in trace.tracks if track.kind == "process"}
    def lane(number):
        track = tracks.get(number)
        process = processes.get(track.parent) if track is not None else None
        is_its_main = process is not None and process.native_id == track.native_id
        if is_its_main and process.parent is not None:
            return process.name
        return "" if track is None else track.name
    parts = [
        (lane(part.track), part.state.value, part.reason, part.line, part.start_ns, part.end_ns)
        for part in path_of(trace)
    ]
    return [mark.start_ns for mark in trace.marks], parts
"""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the critical path."""

    lane: str
    state: str
    reason: str
    line: int
    start_ns: int
    end_ns: int

    def __str__(self) -> str:
        where = f", line {self.line}" if self.line else ""
        what = f"{self.state} {self.reason}".strip()
        return f"{self.start_ns / 1e6:6.0f} to {self.end_ns / 1e6:.0f} ms {self.lane}: {what}{where}"


def path_told(kernel: Kernel) -> tuple[list[int], list[Part]]:
    """When marks were made, and the path."""
    marks, parts = kernel.value("_path()")
    return marks, [Part(*part) for part in parts]
