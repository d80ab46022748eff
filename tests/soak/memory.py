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

Point = tuple[int, int, int]


@dataclass
class Memory:
    """Points of number of cells, kilobytes in use and kilobytes resident, of the kernels that run now.

    What is in use is judged: resident is also what lies free between what is in use, in whole pieces of an
    allocator, and depends on the order in which cells of all sizes came.
    """

    traced: list[Point] = field(default_factory=list)
    plain: list[Point] = field(default_factory=list)


def slope_kb(points: Sequence[Point]) -> float | None:
    """Kilobytes in use a cell by least squares, after the warm-up; None if there are too few points."""
    settled = points[int(len(points) * _WARM_UP) :]
    if len(settled) < 2 or settled[-1][0] - settled[0][0] < ENOUGH * (1 - _WARM_UP):
        return None
    mean_x = sum(x for x, _, _ in settled) / len(settled)
    mean_y = sum(y for _, y, _ in settled) / len(settled)
    above = sum((x - mean_x) * (y - mean_y) for x, y, _ in settled)
    return above / sum((x - mean_x) ** 2 for x, _, _ in settled)


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
    in_use, resident = (_course(memory.traced, which) for which in (1, 2))
    slopes = f"{ours:+.1f} kB a cell (plain {theirs:+.1f}, bound {BOUND_KB:.0f} more)"
    return f"memory in use: {slopes}: {in_use} MB\n  resident: {resident} MB"


def _course(points: Sequence[Point], which: int) -> str:
    last = len(points) - 1
    return ", ".join(f"{points[last * part // _PARTS][which] / 1024:.0f}" for part in range(_PARTS + 1))
