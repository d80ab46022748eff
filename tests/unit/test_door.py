"""What is borrowed is touched in `interpreter/` alone; what is not yet there stands in a shrinking list."""

from __future__ import annotations

import pytest
from door import allowed, outside, uses


def flat(found: dict[str, dict[str, object]]) -> set[tuple[str, str]]:
    return {(file, what) for file, names in found.items() for what in names}


def test_nothing_new_of_others_is_touched_outside_of_the_door() -> None:
    there = outside()
    new = flat(there) - flat(allowed())  # type: ignore[arg-type]
    assert {f"{file}:{there[file][what]}": what for file, what in new} == {}


def test_the_list_has_nothing_that_is_gone() -> None:
    assert flat(allowed()) - flat(outside()) == set()  # type: ignore[arg-type]


def test_each_of_the_list_has_its_reason() -> None:
    assert [what for names in allowed().values() for what, why in names.items() if not why] == []


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("import threading\nthreading._planted", "_planted"),
        ("task._planted", "_planted"),
        ("def hook(self):\n    return self._planted", "_planted"),
        ("class Ours:\n    def read(self):\n        return self.loop._planted", "_planted"),
        ("getattr(task, '_planted')", "_planted"),
        ("setattr(task, '_planted', 1)", "_planted"),
        ("hasattr(task, '__planted')", "__planted"),
        ("attrgetter('_planted')", "_planted"),
        ("vars(task)['_planted']", "_planted"),
        ("word.in_dll(library, '_planted')", "_planted"),
        ("for name in ('_planted', 'other'):\n    patches.wrap(owner, name, make)", "_planted"),
        ("TABLE = {'Loop._planted': 1}", "Loop._planted"),
        ("from asyncio.tasks import _planted", "_planted"),
        ("import ctypes.util", "ctypes"),
        ("from ctypes import c_int", "ctypes"),
        ("import dis", "dis"),
        ("code.co_code[0]", "co_code"),
        ("import asyncio\nasyncio.sleep.__code__", "__code__"),
        ("code_of(tasks, 'sleep')", "code of sleep"),
        ("TABLE = {'shield.<locals>._planted': 1, '_Item.run': 2}", "shield.<locals>._planted"),
        ("TABLE = {'shield.<locals>.done': 1, '_Item.run': 2}", "_Item.run"),
        ("frame.f_code.co_name == 'planted'", "named 'planted'"),
        ("type(thing).__name__ in ('Planted',)", "named 'Planted'"),
        ("frame.f_locals.get('planted')", "local planted"),
        ("'planted' in frame.f_locals['planted']", "local planted"),
        ("'calling self.run' in message", "text 'calling self.run'"),
        ("message.startswith('Task was destroyed')", "text 'Task was destroyed'"),
        ("warnings.filterwarnings('ignore', 'This process is')", "text 'This process is'"),
    ],
)
def test_it_sees(source: str, what: str) -> None:
    assert what in uses(source)


@pytest.mark.parametrize(
    "source",
    [
        "class Ours:\n    _mine = 1\n    def read(self):\n        return self._mine",
        "def _ours(): pass\n_ours()",
        '"""Some words, and _planted."""',
        "row._replace(size=1)",
        "import _thread\n_thread.get_ident()",
        "f'{kind}_frame'",
        "frame.f_code.co_name == '<module>'",
        "TABLE = {'_thread.lock.acquire': 1}",
    ],
)
def test_ours_is_no_fault(source: str) -> None:
    assert list(uses(source)) == []
