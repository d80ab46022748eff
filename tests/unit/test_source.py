"""The package's source: each public name says what it is for, no function or module is long."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

import concmagic

ROOT = Path(concmagic.__file__).parent
SOURCES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in sorted(ROOT.rglob("*.py"))
}
MOST_LINES, MEDIAN_LINES = 60, 8  # of a function
MOST_OF_MODULE = 300
TYPED, MOST_ANY = ("model/", "importing/", "analysis/", "report/"), 40  # `Any` in the stages of typed facts

Function = ast.FunctionDef | ast.AsyncFunctionDef


def undocumented(source: str) -> list[str]:
    """The public functions, classes and methods that have no docstring; "" is the module itself."""
    tree = ast.parse(source)
    found = ["" for _ in [tree] if not ast.get_docstring(tree)]
    return found + [name for name, node in public(tree, "") if not ast.get_docstring(node)]


def public(node: ast.Module | ast.ClassDef, prefix: str) -> Iterator[tuple[str, Function | ast.ClassDef]]:
    """What is defined there under a public name, with what a public class defines."""
    for each in node.body:
        if isinstance(each, Function | ast.ClassDef) and not each.name.startswith("_"):
            yield prefix + each.name, each
            if isinstance(each, ast.ClassDef):
                yield from public(each, f"{prefix}{each.name}.")


def lengths(source: str) -> dict[str, int]:
    """Name and line of each function, private and inner ones too, and how many lines it has."""
    nodes = (node for node in ast.walk(ast.parse(source)) if isinstance(node, Function))
    return {
        f"{node.name}:{node.lineno}": (node.end_lineno or node.lineno) - node.lineno + 1 for node in nodes
    }


def riddles(source: str) -> list[str]:
    """The docstrings that begin by "The same …" and leave open of what; private ones too."""
    nodes = (
        node for node in ast.walk(ast.parse(source)) if isinstance(node, Function | ast.ClassDef | ast.Module)
    )
    found = [ast.get_docstring(node) or "" for node in nodes]
    return [text for text in found if re.match(r"The same\b(?! function)", text)]


@pytest.mark.parametrize("file", SOURCES)
def test_no_docstring_begins_with_what_only_another_says(file: str) -> None:
    assert riddles(SOURCES[file]) == []


@pytest.mark.parametrize("file", SOURCES)
def test_each_public_name_has_a_docstring(file: str) -> None:
    assert undocumented(SOURCES[file]) == []


def test_no_function_is_long() -> None:
    found = {}
    for file, source in SOURCES.items():
        found |= {f"{file}:{name}": lines for name, lines in lengths(source).items()}
    assert {name: lines for name, lines in found.items() if lines > MOST_LINES} == {}
    assert median(found.values()) <= MEDIAN_LINES


def test_no_module_is_long() -> None:
    lengths_of = {file: len(source.splitlines()) for file, source in SOURCES.items()}
    assert {file: lines for file, lines in lengths_of.items() if lines > MOST_OF_MODULE} == {}


def test_the_stages_of_typed_facts_leave_little_untyped() -> None:
    found = [
        file
        for file, source in SOURCES.items()
        for node in ast.walk(ast.parse(source))
        if file.startswith(TYPED) and isinstance(node, ast.Name) and node.id == "Any"
    ]
    assert len(found) <= MOST_ANY, found


def test_what_has_no_docstring_is_seen() -> None:
    source = "class Seen:\n    def method(self): ...\n    def _own(self): ...\ndef _private(): ...\n"
    assert undocumented(source) == ["", "Seen", "Seen.method"]
    assert riddles('def again():\n    """The same for a loop."""\n') == ["The same for a loop."]
    assert lengths("def one():\n    def two():\n        pass\n") == {"one:1": 3, "two:2": 2}
