"""A problem is a kind and values; each kind that is told anywhere has its sentence."""

from __future__ import annotations

import ast
import copy
import inspect
import pickle

import pytest
from import_graph import MODULES

from concmagic.problems import Problem
from concmagic.sentences import problems

KINDS = {**problems.SENTENCES, **problems.FUNCTIONS}


def told() -> list[ast.Call]:
    """Where the code makes a problem, with what it gives."""
    found = []
    for path in MODULES.values():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("Problem.of"):
                found.append(node)
    return found


def kinds_of(node: ast.expr) -> set[str]:
    """One kind, or one of two."""
    if isinstance(node, ast.IfExp):
        return kinds_of(node.body) | kinds_of(node.orelse)
    assert isinstance(node, ast.Constant), ast.unparse(node)
    return {node.value}


def test_each_kind_that_is_told_has_a_sentence_for_its_values_and_none_is_left_over() -> None:
    used = set()
    for call in told():
        for kind in kinds_of(call.args[0]):
            used.add(kind)
            values = call.args[1:]
            if not any(isinstance(one, ast.Starred) for one in values):
                words = KINDS[kind]
                if isinstance(words, str):
                    assert words.count("{") == words.count("}") == len(values), kind
                else:
                    inspect.signature(words).bind(*values)
    assert used == KINDS.keys()
    assert len(KINDS) == len(problems.SENTENCES) + len(problems.FUNCTIONS)


def test_a_problem_is_told_when_it_is_asked() -> None:
    one = Problem.of("recorder_failed", "locks", LookupError("lost"))
    assert one == ("recorder_failed", ("locks", "LookupError: lost"))
    assert one.message == "The locks recorder failed, its evidence is missing (LookupError: lost)."
    assert str(one) == one.message
    assert len({one, copy.deepcopy(one), pickle.loads(pickle.dumps(one))}) == 1


def test_an_error_that_cannot_be_written_is_told_by_its_type() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise ValueError

    assert Problem.of("own_thread_failed", Mute()).values == ("Mute",)


@pytest.mark.parametrize(
    "one",
    [
        Problem("a_later_one", (3, "x")),
        Problem("problem_message", (3, "x")),
        Problem("count", (3, "x")),
        Problem("marks_left_out", (3, "x")),
    ],
)
def test_what_this_version_has_no_sentence_for_is_told_by_its_name(one: Problem) -> None:
    assert one.message == f"{one.kind}: 3, x"
