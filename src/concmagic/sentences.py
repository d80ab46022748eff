"""Every sentence the user reads, as whole templates; numbers go through the functions on top."""

from __future__ import annotations

import math


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


def _digits(value: float) -> str:
    """Three significant digits at most, without trailing zeros after the point."""
    if value >= 99.95:
        return f"{value:.0f}"
    text = f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"
    return text.rstrip("0").rstrip(".")


# ---- the session and the public functions ----------------------------------------------------

NO_TRACE_YET = "No cell has been traced yet: put %%asyncio_trace, %%threads, %%procs or %%timeline on one."


def recorder_failed(name: str, error: BaseException) -> str:
    """Say which source of evidence is missing, and why."""
    return f"The {name} recorder failed, its evidence is missing ({type(error).__name__}: {error})."


def picture_failed(error: BaseException) -> str:
    """Say that there is no picture; the cell's own result is not touched."""
    why = f"{type(error).__name__}: {error}"
    return f"concmagic could not draw this cell ({why}); the cell itself is unharmed."


def not_a_trace(path: object, error: BaseException) -> str:
    """Say what `load` reads."""
    why = f"{type(error).__name__}: {error}"
    return f"{path} is no trace that concmagic saved as .json or .json.gz ({why})."

PANDAS_IS_MISSING = "This needs pandas: %pip install 'concmagic[pandas]'."


def no_such_table(table: str, tables: list[str]) -> str:
    """Say which tables there are."""
    return f"There is no table {table!r}; there are {', '.join(tables)}."


def no_such_suffix(name: str, suffixes: list[str]) -> str:
    """Say which files a trace can be saved as."""
    return f"A trace cannot be saved as {name!r}; the suffix says how: {' '.join(suffixes)}."
