"""The makers of locks note who has called them, and are otherwise what they were."""

from __future__ import annotations

import inspect
import pickle
import queue
import threading
import traceback
from collections.abc import Iterator
from typing import Any

import pytest

from concmagic.recording.locks.lock_sites import CreationHooks, CreationSites
from concmagic.recording.time_budget import TimeBudget

MAKERS = ("Lock", "RLock", "Condition", "Event", "Semaphore", "BoundedSemaphore", "Queue", "LifoQueue")
SOURCE = """
class Own(threading.Event):
    def __init__(self):
        super().__init__()

def make(owner, name):
    return [getattr(owner, name)() for _ in range(2)]

def own():
    return Own()
"""


@pytest.fixture
def sites() -> Iterator[CreationSites]:
    sites = CreationSites()
    hooks = CreationHooks(sites, TimeBudget())
    hooks.start()
    yield sites
    hooks.stop()


@pytest.fixture
def user(tmp_path: Any) -> dict[str, Any]:
    """Functions of a file of the user's."""
    names: dict[str, Any] = {"threading": threading, "queue": queue}
    exec(compile(SOURCE, str(tmp_path / "user.py"), "exec"), names)
    return names


def line_of(sites: CreationSites, thing: Any) -> tuple[int, int] | None:
    """The line that made it, and the how manieth it is of those made by that call."""
    site = sites.of(thing)
    if site is None:
        return None
    (code, offset), number = site
    lines = [line for start, end, line in code.co_lines() if start <= offset < end]
    return lines[0] or 0, number


@pytest.mark.parametrize("name", MAKERS)
def test_what_the_users_code_makes_is_told_by_its_line(
    sites: CreationSites, user: dict[str, Any], name: str
) -> None:
    made = user["make"](threading if hasattr(threading, name) else queue, name)
    told = [line_of(sites, one) for one in made]
    # Nothing stands in for a class written in C.
    assert told == ([None, None] if name == "Lock" else [(7, 1), (7, 2)])


def test_what_a_library_makes_is_told_by_nobody(sites: CreationSites, user: dict[str, Any]) -> None:
    event = user["make"](threading, "Event")[0]
    assert line_of(sites, event._cond) is None and line_of(sites, event._cond._lock) is None


def test_of_a_class_of_the_users_own_it_is_told_who_makes_one(
    sites: CreationSites, user: dict[str, Any]
) -> None:
    assert line_of(sites, user["own"]()) == (10, 1)


def test_nothing_is_kept_alive(sites: CreationSites, user: dict[str, Any]) -> None:
    made = user["own"]()
    identity = id(made)
    del made
    assert sites._found[identity][0]() is None


def test_what_a_cell_may_import_is_pythons_own_and_the_rest_is_put_back() -> None:
    places = [(threading, "_CRLock"), (threading.Event, "__init__"), (queue.Queue, "__init__")]
    before = [vars(owner)[name] for owner, name in places]
    imported = [getattr(threading, name) for name in threading.__all__]
    signatures = [str(inspect.signature(one)) for one in before[1:]]
    hooks = CreationHooks(CreationSites(), TimeBudget())
    hooks.start()
    assert [getattr(threading, name) for name in threading.__all__] == imported
    assert [str(inspect.signature(vars(owner)[name])) for owner, name in places[1:]] == signatures
    assert pickle.loads(pickle.dumps(threading.RLock)) is threading.RLock  # as a manager does
    hooks.stop()
    assert [vars(owner)[name] for owner, name in places] == before


def test_an_error_shows_no_frame_of_the_hook(sites: CreationSites) -> None:
    with pytest.raises(ValueError, match="semaphore initial value") as caught:
        threading.Semaphore(-1)
    assert [frame.name for frame in traceback.extract_tb(caught.tb)][1:] == ["__init__"]
