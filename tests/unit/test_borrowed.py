"""Every name that is borrowed from Python or a library stands in the table."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import door
import pytest

import concmagic
from concmagic.interpreter import borrowed, borrowing

ROOT = Path(concmagic.__file__).parent
NAMES = {row.name for row in borrowed.TABLE}
# What begins with an underscore, is documented for all to use, and need not stand in the table.
DOCUMENTED = {"_asdict", "_replace", "_fields_", "_fields", "_repr_mimebundle_", "_repr_pretty_"}
# They are given an owner and the name of what is read or replaced there.
READERS = {"borrowed", "code_of", "code_read", "replaceable", "wrap", "_replaced"}
BY_NAME = {"getattr", "hasattr", "setattr", "delattr", "get", "pop", "has", "set"} | READERS

Use = tuple[str, str]  # whose, "" where the source does not tell; which


def is_private(name: str) -> bool:
    return door.PRIVATE.fullmatch(name) is not None and name not in DOCUMENTED


def own_names(trees: list[ast.Module]) -> set[str]:
    """What this package defines or puts on its own objects."""
    return set().union(*map(door.defined, trees))


def outside(tree: ast.Module) -> dict[str, str]:
    """The names that other packages' modules, classes and functions have in this one."""
    return {name: place for name, place in door.imported(tree).items() if not place.startswith("concmagic")}


def dotted(node: ast.expr, places: dict[str, str]) -> str:
    """Where it comes from, as far as the source tells; "" for our own and for what is computed."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return (
        ".".join([places[node.id], *reversed(parts)])
        if isinstance(node, ast.Name) and node.id in places
        else ""
    )


def uses(tree: ast.Module, own: set[str]) -> Iterator[tuple[Use, int]]:
    """What is read or replaced of others, and in which line."""
    places = outside(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            owner = dotted(node.value, places)
            if node.attr == "__code__" and owner:
                yield ("", owner.rpartition(".")[2]), node.lineno
            elif is_private(node.attr) and (owner or (not door.is_self(node.value) and node.attr not in own)):
                yield (owner, node.attr), node.lineno
        elif isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            given = node.args[1:2] if called in READERS else node.args
            texts = [each.value for each in given if isinstance(each, ast.Constant)]
            for text in (text for text in texts if isinstance(text, str)):
                if called in READERS or (called in BY_NAME and is_private(text) and text not in own):
                    yield ("", text), node.lineno
        elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
            text = node.slice.value
            if isinstance(text, str) and is_private(text) and text not in own:
                yield ("", text), node.lineno


def all_uses() -> list[tuple[Use, str]]:
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(ROOT.rglob("*.py"))}
    own = own_names(list(trees.values()))
    return [
        (use, f"{path.relative_to(ROOT)}:{line}")
        for path, tree in trees.items()
        if path.name != "borrowed.py"
        for use, line in uses(tree, own)
    ]


def test_every_private_name_of_others_that_is_used_stands_in_the_table() -> None:
    unknown = {place: use for use, place in all_uses() if use[1] not in NAMES}
    assert unknown == {}


def test_it_finds_what_is_not_in_the_table() -> None:
    source = """
import asyncio
from asyncio import events
from multiprocessing import process
asyncio._planted
events.Handle._planted_too
task._planted_in_it
process.BaseProcess.run.__code__
getattr(task, "_by_its_name")
vars(task)["_by_its_item"]
patches.wrap(events.Handle, "public", make)
self._mine
"""
    found = {use[1] for use, _ in uses(ast.parse(source), own=set())}
    in_source = {
        "_planted",
        "_planted_too",
        "_planted_in_it",
        "run",
        "_by_its_name",
        "_by_its_item",
        "public",
    }
    assert found == in_source


def test_no_code_of_others_is_read_as_a_module_is_imported() -> None:
    """That would fail where something else stands in its place: `code_of` does not."""
    for path in sorted(ROOT.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        places = outside(tree)
        for statement in tree.body:
            if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.If)):
                continue  # run later; an `if` is what makes a module a script
            for node in ast.walk(statement):
                if isinstance(node, ast.Attribute) and dotted(node.value, places):
                    assert node.attr != "__code__", f"{path.name}:{node.lineno}"
                    assert not is_private(node.attr), f"{path.name}:{node.lineno} reads {node.attr}"


def test_a_row_is_there_once() -> None:
    rows = [(row.owner, row.name) for row in borrowed.TABLE]
    assert sorted(rows) == sorted(set(rows))


class Owner:
    """Stands for a class of a library's."""

    def _kept(self) -> int:
        return 1


def test_a_missing_name_is_told_once_and_neutral() -> None:
    borrowing.forget_told()
    assert borrowing.borrowed(Owner, "_kept") is Owner._kept
    assert borrowing.borrowed(Owner, "_gone", ()) == ()
    assert borrowing.code_of(Owner, "_gone", at_import=False) is None
    told = borrowing.losses()
    assert len(told) == 1 and "_gone is missing here" in told[0].message
    assert borrowing.losses() == []


def test_what_was_read_at_import_is_told_in_each_cell() -> None:
    borrowing.forget_told()
    assert borrowing.code_of(Owner, "_gone") is None
    assert borrowing.losses() == borrowing.losses() != []
    borrowing.forget_told()
    assert borrowing.losses() == []


@pytest.mark.parametrize(("owner", "name"), [("asyncio.tasks", "sleep"), ("nobody", "sleep")])
def test_a_row_is_found_also_where_a_subclass_has_the_name(owner: str, name: str) -> None:
    row = borrowed.row_of(owner, name)
    assert row is not None and row.owner == "asyncio.tasks"
