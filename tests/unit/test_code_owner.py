"""Whose code stands in a file: one answer for recorders and importers."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import concmagic
from concmagic.code_owner import Owner, is_users, owner_of
from concmagic.importing.clock_ids_places import Places

STDLIB = os.path.dirname(os.__file__)
SITE = "/usr/lib/python3/site-packages"
CASES: list[tuple[str, Owner]] = [
    ("/home/u/work.py", "user"),
    ("<string>", "user"),
    ("<stdin>", "user"),
    (f"{STDLIB}/queue.py", "stdlib"),
    ("<frozen importlib._bootstrap>", "stdlib"),
    (f"{SITE}/requests/api.py", "library"),
    ("/build/driver.pyx", "library"),
    ("<attrs generated init a.B>", "library"),
    ("<__array_function__ internals>", "library"),
    (f"{SITE}/ipykernel/kernelbase.py", "kernel"),
    (f"{SITE}/comm/base_comm.py", "kernel"),
    ("/home/u/comm/work.py", "user"),
    (str(Path(concmagic.__file__).parent / "api.py"), "ours"),
]


@pytest.mark.parametrize(("file", "owner"), CASES, ids=[file for file, _ in CASES])
def test_a_file_has_one_owner(file: str, owner: Owner) -> None:
    assert owner_of(file) == owner
    assert is_users(file) == Places("<cell>", {}).is_own(file) == (owner == "user")


def test_a_c_function_and_what_a_dataclass_generates_are_nobodys_own() -> None:
    assert not is_users("")
    assert is_users("<string>", "work")
    assert not is_users("<string>", "__create_fn__.<locals>.__init__")
    assert not is_users("<string>", "Point.__new__")
