"""What is read from the user's source, by where an instruction stands."""

from __future__ import annotations

import ast
import linecache
from collections.abc import Iterator

import pytest

from concmagic.source_lookup import Sources, position_of

# A cell with lines that only a notebook understands: at the margin, and in a block.
CELL = """\
%matplotlib inline
def work():
    !ls
    return abs(-1)
"""


@pytest.fixture
def names() -> Iterator[dict[str, object]]:
    file = "<ipython-input-test-of-sources>"
    linecache.cache[file] = (len(CELL), None, CELL.splitlines(True), file)
    known: dict[str, object] = {}
    exec(compile(CELL.replace("%matplotlib inline", "pass").replace("!ls", "pass"), file, "exec"), known)
    yield known
    del linecache.cache[file]


def test_lines_of_a_notebook_hide_no_names(names: dict[str, object]) -> None:
    sources = Sources(
        lambda tree: {
            position_of(one): ast.unparse(one) for one in ast.walk(tree) if isinstance(one, ast.Call)
        }
    )
    code = names["work"].__code__  # type: ignore[attr-defined]
    told = {sources.at(code, offset) for offset in range(0, len(code.co_code), 2)}
    assert told == {"abs(-1)", None}


def test_a_source_that_python_cannot_read_names_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    file = "<ipython-input-test-of-no-source>"
    monkeypatch.setitem(linecache.cache, file, (1, None, ["def :\n"], file))
    code = compile("abs(1)", file, "exec")
    assert Sources(lambda tree: {(1, 1, 0, 6): "never"}).at(code, 0) is None
