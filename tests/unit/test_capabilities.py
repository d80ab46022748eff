"""Each borrowed capability is tried by a program whose answer is known; one that is broken says so."""

from __future__ import annotations

import asyncio
import ctypes
import sys
import threading
from collections.abc import Callable, Iterator
from multiprocessing import process
from types import FunctionType
from typing import Any

import pytest

from concmagic import doctor, sentences
from concmagic.interpreter import borrowing, gil, lock_internals
from concmagic.interpreter.borrowing import WORKS, Capability, missing, unless

ROWS = {row.name: row for row in doctor.TABLE}
# Not to be had on a build without the GIL.
WITH_GIL = {"calls", "with locks", "value stack", "lock words", "GIL"}
PUBLISHES = sys.version_info >= (3, 13) and not borrowing.FREE_THREADED


def test_each_row_says_how_on_every_python_and_what_is_lost() -> None:
    assert [*ROWS] == [row.name for row in doctor.TABLE] == [*sentences.CAPABILITIES]
    assert all(len(row.how) == len(doctor.VERSIONS) and any(row.how) for row in ROWS.values())
    assert all(all(words) for words in sentences.CAPABILITIES.values())


@pytest.mark.parametrize("name", ROWS)
def test_it_works_on_this_python(name: str) -> None:
    row = ROWS[name]
    if not row.here() or (borrowing.FREE_THREADED and name in WITH_GIL):
        pytest.skip("not needed or not to be had here")
    __import__("IPython.core.interactiveshell")  # else there is no notebook to ask
    assert row.tried() == WORKS


def test_a_newer_python_is_taken_for_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 99, 0))
    assert ROWS["GIL"].here() == "offsets" and ROWS["profiles"].here() == ""


def bootstrap_that_logs_otherwise() -> Callable[..., Any]:
    """As `BaseProcess._bootstrap`, with another text in its line."""
    found: Any = process.BaseProcess._bootstrap  # type: ignore[attr-defined]
    texts = tuple("child runs" if "calling" in str(each) else each for each in found.__code__.co_consts)
    return FunctionType(found.__code__.replace(co_consts=texts), found.__globals__, "_bootstrap")


BROKEN: dict[str, tuple[Any, str, Any, str]] = {
    "running loops": (asyncio.tasks, "_leave_task", None, "_leave_task"),
    "threads": (threading.Thread, "_delete", None, "_delete"),
    "process start": (
        process.BaseProcess,
        "_bootstrap",
        bootstrap_that_logs_otherwise,
        "log",
    ),
    "frames": (sys, "_current_frames", lambda: dict, "_current_frames"),
}


@pytest.fixture(params=BROKEN)
def broken(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, str]]:
    """A capability whose name is missing, or something else; its name, and what has to be told."""
    owner, name, make, told = BROKEN[request.param]
    if make is None:
        monkeypatch.delattr(owner, name)
    else:
        monkeypatch.setattr(owner, name, make())
    yield request.param, told


def test_a_broken_one_says_what_differs(broken: tuple[str, str]) -> None:
    name, told = broken
    answer = ROWS[name].tried()
    assert not answer.ok and told in answer.why


def test_the_text_and_the_table_name_it_and_what_is_lost(broken: tuple[str, str]) -> None:
    checkup = doctor.check(["a <problem>"])
    title, lost = sentences.CAPABILITIES[broken[0]]
    for shown in (checkup.text(), checkup.html()):
        assert f"{title}: FAILS" in shown and f"Lost: {lost}".replace("'", "&#x27;") in shown.replace(
            "'", "&#x27;"
        )
    assert "a <problem>" in checkup.text() and "a &lt;problem&gt;" in checkup.html()


def test_a_probe_that_raises_is_a_capability_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gil, "find", lambda: 1 / 0)
    assert (
        ROWS["GIL"].tried() == Capability(False, "ZeroDivisionError: division by zero")
        or borrowing.FREE_THREADED
    )


def test_a_missing_name_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor.missing_names() == []
    monkeypatch.delattr(threading, "_DummyThread")
    assert [(row.owner, row.name) for row in doctor.missing_names()] == [("threading", "_DummyThread")]


def test_the_checkup_leaves_nothing() -> None:
    async def look() -> bool:
        before = (
            threading.enumerate(),
            asyncio.get_running_loop(),
            asyncio.current_task(),
            asyncio.all_tasks(),
        )
        doctor.check(None)
        now = threading.enumerate(), asyncio.get_running_loop(), asyncio.current_task(), asyncio.all_tasks()
        return now == before

    assert asyncio.run(look())


@pytest.mark.skipif(not PUBLISHES, reason="its runtime begins with no table of offsets")
def test_the_published_offsets_lead_to_what_a_search_finds() -> None:
    place = gil.find()
    assert place is not None
    address = ctypes.addressof(ctypes.c_char.in_dll(ctypes.pythonapi, "_PyRuntime"))
    assert gil.published(address) == gil._holder(address, place.size) == (place.holder, place.native)


def test_a_lock_is_told_in_the_way_of_this_python() -> None:
    here = lock_internals.here()
    assert here.way == ROWS["with locks"].here()
    assert here.exact == (sys.version_info >= (3, 12))


def test_what_was_not_found_is_named() -> None:
    assert missing(a=1, b=object()) == WORKS == unless("")
    assert missing(a=None, b=1, c=False) == Capability(False, "a, c")
