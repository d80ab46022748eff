"""Numbers as a reader wants them: every sentence writes its numbers through these."""

from __future__ import annotations

import math
from collections.abc import Sequence


def duration(ns: float) -> str:
    """Write a length of time for a reader: "0.4 µs", "12 ms", "1.25 s", "2 min 05 s"."""
    if math.isnan(ns):
        return "unknown"
    if ns < 0:
        return "-" + duration(-ns)
    if ns < 999.5:
        return f"{ns:.0f} ns"
    if ns < 999_500:
        return f"{_digits(ns / 1e3)} µs"
    if ns < 999_500_000:
        return f"{_digits(ns / 1e6)} ms"
    if ns < 59.95e9:
        return f"{_digits(ns / 1e9)} s"
    minutes, seconds = divmod(round(ns / 1e9), 60)
    return f"{minutes} min {seconds:02d} s"


def number(value: float) -> str:
    """Write a ratio or mean with two significant digits below ten: "3.9", "0.01", "12"."""
    if math.isnan(value):
        return "unknown"
    if value != 0 and abs(value) < 0.005:
        return "0.00" if value > 0 else "-0.00"
    if abs(value) < 0.995:
        return f"{value:.2f}"
    return f"{value:.1f}" if abs(value) < 99.95 else f"{value:,.0f}"


def percent(share: float) -> str:
    """Write a share: "1 %", "under 1 %", "85 %"."""
    if math.isnan(share):
        return "unknown"
    if 0 < share < 0.005:
        return "under 1 %"
    return f"{share * 100:.0f} %"


def count(how_many: int, singular: str, plural: str = "") -> str:
    """Write "1 task", "4 tasks", "1,000 tasks"."""
    word = singular if how_many == 1 else plural or singular + "s"
    return f"{how_many:,} {word}"


def byte_count(size: int) -> str:
    """Write a size: "40 B", "3.2 kB", "80 MB"."""
    value, unit = float(size), "B"
    for larger in ("kB", "MB", "GB"):
        if value < 999.5:
            break
        value, unit = value / 1000, larger
    return f"{_digits(value)} {unit}"


def of_total(part_ns: float, total_ns: float) -> str:
    """Write a part of a whole with one unit where both have it: "300 of 352 ms", "1.2 of 6 s"."""
    part, whole = duration(part_ns), duration(total_ns)
    number_text, _, unit = part.partition(" ")
    return f"{number_text} of {whole}" if unit and whole.endswith(f" {unit}") else f"{part} of {whole}"


def names(all_names: Sequence[str], most: int) -> str:
    """Write "a", "a and b", "a, b and 3 more"."""
    if len(all_names) <= most:
        *first, last = all_names
        return f"{', '.join(first)} and {last}" if first else last
    return f"{', '.join(all_names[: most - 1])} and {len(all_names) - most + 1:,} more"


def _digits(value: float) -> str:
    """Three significant digits at most, without trailing zeros after the point."""
    if value >= 99.95:
        return f"{value:.0f}"
    text = f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"
    return text.rstrip("0").rstrip(".")
