"""What stands on the magic's line, as frozen Options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Detail = Literal["auto", "calls", "states"]


@dataclass(frozen=True, slots=True)
class Options:
    """The options of one magic's line; `header` is everything from `for` on, "" for a whole cell."""

    model: Literal["asyncio", "threads", "procs", "timeline"]
    header: str = ""
    workers: int | None = None
    results_name: str = ""
    trace_name: str = ""
    save: str = ""
    detail: Detail = "auto"
    predict: str = ""
    timeout: float | None = None
    show_all: bool = False
    quiet: bool = False
    keep_going: bool = False
    start_method: str = ""
