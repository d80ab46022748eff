"""What can stand on a magic's line, and what stood there, as frozen Options: one table for all magics."""

from __future__ import annotations

import keyword
import multiprocessing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from concmagic import sentences

Model = Literal["asyncio", "threads", "procs", "timeline"]
Detail = Literal["auto", "calls", "states"]


@dataclass(frozen=True, slots=True)
class Options:
    """The options of one magic's line; `header` is everything from `for` on, "" for a whole cell."""

    model: Model
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


# ---- what an option's value may be -----------------------------------------------------------


def _workers(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < float("inf"):
        raise ValueError
    return seconds


def _name(text: str) -> str:
    if not text.isidentifier() or keyword.iskeyword(text):
        raise ValueError
    return text


def _path(text: str) -> str:
    if not text.lower().endswith(SUFFIXES):
        raise ValueError
    return text


def _text(text: str) -> str:
    if not text.strip():
        raise ValueError
    return text


def _detail(text: str) -> str:
    if text not in DETAILS:
        raise ValueError
    return text


def _start_method(text: str) -> str:
    if text not in multiprocessing.get_all_start_methods():
        raise ValueError
    return text


SUFFIXES = (".html", ".svg", ".txt", ".json", ".json.gz")
DETAILS = ("auto", "calls", "states")


# ---- the options, in groups ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Option:
    """One option: how it is written, which field of Options it sets, what its value is."""

    field: str
    flags: tuple[str, ...]
    metavar: str = ""  # "": it takes no value
    value: Callable[[str], Any] = str
    needs: str = ""  # what its value must be, for an error
    loop_only: bool = False  # it means nothing without a `for` header

    @property
    def help(self) -> str:
        """One line for -h."""
        return sentences.OPTION_HELP[self.field]


_LOOP = (
    Option("workers", ("-w", "--workers"), "N", _workers, "a whole number from 1 on", True),
    Option("keep_going", ("--keep-going",), loop_only=True),
)
_CELL = (
    Option("results_name", ("-r", "--results"), "NAME", _name, "a name for a variable"),
    Option("trace_name", ("-o", "--output"), "NAME", _name, "a name for a variable"),
    Option("save", ("--save",), "PATH", _path, f"a file name that ends in {', '.join(SUFFIXES)}"),
    Option("detail", ("--detail",), "|".join(DETAILS), _detail, "auto, calls or states"),
    Option("predict", ("--predict",), '"QUESTION"', _text, "a question in quotes"),
    Option("timeout", ("--timeout",), "SECONDS", _seconds, "a number of seconds above 0"),
    Option("show_all", ("--all",)),
    Option("quiet", ("-q", "--quiet")),
)
_START_METHOD = Option(
    "start_method",
    ("--start-method",),
    "fork|spawn|forkserver",
    _start_method,
    f"one of {', '.join(multiprocessing.get_all_start_methods())} on this platform",
)
_HELP = Option("help", ("-h", "--help"))

OPTIONS: dict[Model, tuple[Option, ...]] = {
    "asyncio": (*_LOOP, *_CELL, _HELP),
    "threads": (*_LOOP, *_CELL, _HELP),
    "procs": (*_LOOP, _START_METHOD, *_CELL, _HELP),
    "timeline": (*_CELL, _HELP),
}
MAGICS: dict[Model, str] = {
    "asyncio": "%%asyncio_trace",
    "threads": "%%threads",
    "procs": "%%procs",
    "timeline": "%%timeline",
}
