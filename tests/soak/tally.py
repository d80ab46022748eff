"""Counts what a soak did, and keeps what failed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from tests.soak.cells import Cell
from tests.soak.faults import FAULTS, group_of

# What an hour has to hold, in all Pythons together.
_CELLS, _FAULTS, _INTERRUPTS = 2_000, 50, 200


@dataclass
class Tally:
    """Figures of one Python."""

    cells: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    interrupts: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    failures: list[tuple[Cell | None, str]] = field(default_factory=list)
    kernels: int = 0
    lost_replies: int = 0  # by clicks that met ipykernel, not the cell

    def note(self, cell: Cell, clicks: int) -> None:
        """Count a cell that was run, with as many clicks as were made."""
        self.cells[kind_of(cell)] += 1
        if cell.fault:
            self.faults[group_of(cell.fault)] += 1
        if clicks:
            self.interrupts["one click" if clicks == 1 else "two clicks"] += 1

    def fail(self, cell: Cell | None, words: str) -> None:
        """Keep what is wrong; without a cell, with the run as a whole."""
        self.failures.append((cell, words))
        self.failed[kind_of(cell) if cell else "the run"] += 1

    def told(self, seconds: float) -> str:
        """The figures, as lines."""
        cells, clicks = self.cells.total(), self.interrupts.total()
        lines = [
            f"{cells} cells in {seconds:.0f} s, {self.faults.total()} with a fault, {clicks} interrupted, "
            f"{self.kernels} kernels, {self.lost_replies} replies lost by ipykernel, "
            f"{len(self.failures)} failures"
        ]
        for title, counted in (("kind", self.cells), ("fault", self.faults), ("interrupt", self.interrupts)):
            lines += [f"  {title:<10} {name:<34} {number:>5}" for name, number in sorted(counted.items())]
        lines += [f"  failed     {name:<34} {number:>5}" for name, number in sorted(self.failed.items())]
        if seconds >= 60:
            lines.append(self._rates(seconds))
        return "\n".join(lines)

    def _rates(self, seconds: float) -> str:
        hours = seconds / 3600
        groups = {group_of(fault) for fault in FAULTS}
        least = min(self.faults[group] for group in groups)
        return (
            f"  an hour at this rate: {self.cells.total() / hours:.0f} cells (wanted {_CELLS}), "
            f"{least / hours:.0f} of the rarest fault ({_FAULTS}), "
            f"{self.interrupts.total() / hours:.0f} interrupts ({_INTERRUPTS})"
        )


def kind_of(cell: Cell) -> str:
    """The first words of a cell's kind: figures of every single one would be many lines."""
    words = cell.kind.split(",")[0].split()
    return " ".join(words[:3] if words[0] in ("loop", "clicked", "stopped") else words[:1])
