"""Whether memory stays flat: the slope of a kernel's memory over its cells, beside the plain kernel's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

# A kernel keeps the source and the value of every cell. More than that, and more than noise, is a leak:
# 5,000 cells of a long day would then cost 100 MB.
BOUND_KB = 20.0
ENOUGH = 200  # cells; over fewer, steps of the allocator look like a slope
_PARTS = 8  # whose ends are printed
_WARM_UP = 0.25  # of the cells, at the beginning: caches fill


@dataclass
class Memory:
    """Points of number of cells and kilobytes, of the kernels that run now."""

    traced: list[tuple[int, int]] = field(default_factory=list)
    plain: list[tuple[int, int]] = field(default_factory=list)


def slope_kb(points: Sequence[tuple[int, int]]) -> float | None:
    """Kilobytes a cell by least squares, after the warm-up; None if there are too few points."""
    settled = points[int(len(points) * _WARM_UP) :]
    if len(settled) < 2 or settled[-1][0] - settled[0][0] < ENOUGH * (1 - _WARM_UP):
        return None
    mean_x = sum(x for x, _ in settled) / len(settled)
    mean_y = sum(y for _, y in settled) / len(settled)
    above = sum((x - mean_x) * (y - mean_y) for x, y in settled)
    return above / sum((x - mean_x) ** 2 for x, _ in settled)


def grows(memory: Memory) -> str:
    """What is to be said if the traced kernel grows and the plain one does not; "" if it is flat."""
    ours, theirs = slope_kb(memory.traced), slope_kb(memory.plain)
    if ours is None or theirs is None or ours - max(theirs, 0.0) <= BOUND_KB:
        return ""
    return f"memory grows by {ours:.1f} kB a cell, plain by {theirs:.1f} kB; at most {BOUND_KB:.0f} kB more"


def told(memory: Memory) -> str:
    """The figures."""
    ours, theirs = slope_kb(memory.traced), slope_kb(memory.plain)
    if ours is None or theirs is None:
        return "memory: too few cells to tell"
    last = len(memory.traced) - 1
    course = ", ".join(f"{memory.traced[last * part // _PARTS][1] / 1024:.0f}" for part in range(_PARTS + 1))
    return f"memory: {ours:+.1f} kB a cell (plain {theirs:+.1f}, bound {BOUND_KB:.0f} more): {course} MB"
