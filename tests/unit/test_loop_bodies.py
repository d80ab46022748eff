"""What may stand in a loop body, and what becomes of its names, values and errors."""

from __future__ import annotations

import traceback
import warnings
from collections.abc import Iterator

import pytest
from loop_notebook import Notebook, notebook

from concmagic.errors import BodyError, OptionError

ALL = ("threads", "asyncio", "procs")
EVERYWHERE = {
    "last expression": ("x = n\nx * 2", [0, 2, 4]),
    "no expression": ("x = n", None),
    "only a comment": ("# nothing", None),
    "expression in an if": ("if n:\n    n", None),
    "none for some": ("n or None", [None, 1, 2]),
    "comprehension": ("[n + i for i in range(2)]", [[0, 1], [1, 2], [2, 3]]),
    "comprehension over a local": ("k = n + 1\nsum(k for _ in range(k))", [1, 4, 9]),
    "closure": ("def add(x):\n    return x + n\nadd(10)", [10, 11, 12]),
    "lambda": ("(lambda x: x + n)(1)", [1, 2, 3]),
    "nested function with return": ("def f():\n    for i in range(9):\n        return i + n\nf()", [0, 1, 2]),
    "nested function with yield": ("def f():\n    yield n\n    yield n\nlist(f())", [[0, 0], [1, 1], [2, 2]]),
    "nested async function": ("async def f():\n    await f()\n    return 1\nf.__name__", ["f"] * 3),
    "class body": ("class C:\n    k = n\n    def get(self):\n        return self.k\nC().get()", [0, 1, 2]),
    "class body reads a local": ("k = n\nclass C:\n    j = k\nC.j", [0, 1, 2]),
    "dataclass": (
        "from dataclasses import dataclass\n@dataclass\nclass P:\n    x: int\nP(n).x",
        [0, 1, 2],
    ),
    "walrus": ("if (m := n + 1) > 1:\n    pass\nm", [1, 2, 3]),
    "walrus in a comprehension": ("[last := i for i in range(n + 1)]\nlast", [0, 1, 2]),
    "match": (
        "match n:\n    case 0:\n        r = 'zero'\n    case _:\n        r = 'more'\nr",
        ["zero", "more", "more"],
    ),
    "decorator": (
        "def twice(f):\n    return lambda: 2 * f()\n@twice\ndef g():\n    return n\ng()",
        [0, 2, 4],
    ),
    "recursion": ("def fact(k):\n    return k * fact(k - 1) if k else 1\nfact(n)", [1, 1, 2]),
    "continue": ("if n == 1:\n    continue\nn", [0, None, 2]),
    "continue in a nested loop": (
        "s = 0\nfor i in range(4):\n    if i % 2:\n        continue\n    s += i\nn + s",
        [2, 3, 4],
    ),
    "break in a nested loop": ("for i in range(9):\n    if i == n:\n        break\ni", [0, 1, 2]),
    "break in while": ("i = 0\nwhile True:\n    i += 1\n    if i > n:\n        break\ni", [1, 2, 3]),
    "continue in the else of a nested loop": (
        "for i in range(1):\n    pass\nelse:\n    if n:\n        continue\nn",
        [0, None, None],
    ),
    "continue in try with finally": (
        "try:\n    if n:\n        continue\nfinally:\n    marks.append(n)\nn",
        [0, None, None],
    ),
    "continue in with": (
        "import contextlib\nwith contextlib.suppress(ValueError):\n    if n:\n        continue\nn",
        [0, None, None],
    ),
    "continue in match": ("match n:\n    case 1:\n        continue\nn", [0, None, 2]),
    "continue in except": ("try:\n    1 / n\nexcept ZeroDivisionError:\n    continue\nn", [None, 1, 2]),
    "try and finally": (
        "try:\n    r = 1 / n\nexcept ZeroDivisionError:\n    r = -1\nfinally:\n    n += 1\n(n, r > 0)",
        [(1, False), (2, True), (3, True)],
    ),
    "except star": (
        "try:\n    raise ExceptionGroup('g', [ValueError()])\nexcept* ValueError:\n    r = n\nr",
        [0, 1, 2],
    ),
    "with": (
        "import io\nwith io.StringIO() as f:\n    f.write('ab' * n)\n    t = f.getvalue()\nt",
        ["", "ab", "abab"],
    ),
    "import": ("import math as m\nm.floor(n + 0.5)", [0, 1, 2]),
    "star expression": ("a, *b = n, n, n\nb", [[0, 0], [1, 1], [2, 2]]),
    "delete": ("x = n\ndel x\nn", [0, 1, 2]),
    "annotation": ("x: int = n\nx", [0, 1, 2]),
    "assert": ("assert n >= 0, 'less'\nn", [0, 1, 2]),
    "reads the notebook": ("step * n", [0, 10, 20]),
    "calls the notebook": ("double(n)", [0, 2, 4]),
    "locals": ("sorted(locals())", [["n"]] * 3),
    "docstring": ("'some text'\nn", [0, 1, 2]),
    "multi-line string": ("'''a\n  b'''", ["a\n  b"] * 3),
    "starts with blank lines": ("\n\nn", [0, 1, 2]),
}
AWAITING = {
    "await": ("import asyncio\nawait asyncio.sleep(0, n)", [0, 1, 2]),
    "async for": ("r = []\nasync for i in feed(n):\n    r.append(i)\nr", [[], [0], [0, 1]]),
    "async with": ("async with guard as g:\n    r = g + n\nr", [7, 8, 9]),
    "async comprehension": ("[i async for i in feed(n)]", [[], [0], [0, 1]]),
    "await in a comprehension": (
        "import asyncio\n[await asyncio.sleep(0, n) for _ in 'ab']",
        [[0, 0], [1, 1], [2, 2]],
    ),
    "nested async function": ("async def f():\n    return n\nawait f()", [0, 1, 2]),
    "gather": (
        "import asyncio\nawait asyncio.gather(asyncio.sleep(0, n), asyncio.sleep(0, 1))",
        [[0, 1], [1, 1], [2, 1]],
    ),
    "continue after await": (
        "import asyncio\nawait asyncio.sleep(0)\nif n:\n    continue\nn",
        [0, None, None],
    ),
}
NOTEBOOK = """
step, marks = 10, []
def double(x):
    return 2 * x
async def feed(k):
    for i in range(k):
        yield i
class Guard:
    async def __aenter__(self):
        return 7
    async def __aexit__(self, *error):
        pass
guard = Guard()
"""


@pytest.fixture(scope="module")
def book() -> Iterator[Notebook]:
    with notebook() as book:
        exec(NOTEBOOK, book.names)
        yield book


# From 3.12 on forking a process with threads warns: IPython and the tests before have left some.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


@pytest.mark.parametrize("model", ALL)
@pytest.mark.parametrize("name", EVERYWHERE)
def test_body_means_the_same_under_every_model(book: Notebook, model: str, name: str) -> None:
    body, value = EVERYWHERE[name]
    assert book.run(model, "-w 2 for n in range(3)", body) == value


@pytest.mark.parametrize("name", AWAITING)
def test_body_that_awaits(book: Notebook, name: str) -> None:
    body, value = AWAITING[name]
    assert book.run("asyncio", "for n in range(3)", body) == value


@pytest.mark.parametrize("model", ["threads", "procs"])
@pytest.mark.parametrize("name", AWAITING)
def test_await_elsewhere_names_the_magic_that_can(book: Notebook, model: str, name: str) -> None:
    with pytest.raises(BodyError, match="use %%asyncio_trace"):
        book.program(model, "for n in range(3)", AWAITING[name][0])


@pytest.mark.parametrize("model", ALL)
@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("n\nreturn n", r"`return`.*\(line 3\)"),
        ("if n:\n    return", r"`return`.*\(line 3\)"),
        ("yield n", "cannot `yield`"),
        ("x = yield from [n]", "cannot `yield`"),
        ("def f(x=(yield)): pass", "cannot `yield`"),
        ("if n:\n    break", r"no `break`.*\(line 3\)"),
        ("for i in x:\n    pass\nelse:\n    break", r"no `break`.*\(line 5\)"),
        ("try:\n    pass\nexcept E:\n    break", r"no `break`.*\(line 5\)"),
        ("match n:\n    case 1:\n        break", r"no `break`.*\(line 4\)"),
        ("global n", "`global n` cannot be"),
        ("from math import *", "`import \\*` cannot be"),
        ("from __future__ import annotations", "`from __future__` cannot be"),
    ],
)
def test_what_is_no_body_is_one_sentence(book: Notebook, model: str, body: str, says: str) -> None:
    with pytest.raises(BodyError, match=says) as caught:
        book.program(model, "for n in range(3)", body)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("n\nn +", 3),
        ("if n:\nn", 3),
        ("x = 1\nnonlocal y", 3),
        ("x = 1\n'a' = 2", 3),
        ("def f():\n    break", 3),
    ],
)
def test_what_python_cannot_compile_is_its_own_error_at_the_editors_line(
    book: Notebook, body: str, line: int
) -> None:
    with pytest.raises(SyntaxError) as caught:
        book.program("threads", "for n in range(3)", body)
    assert caught.value.lineno == line


@pytest.mark.parametrize(
    ("model", "header", "says"),
    [
        ("threads", "for n", "cannot read this header"),
        ("threads", "for n of x", "cannot read this header"),
        ("threads", "for n in (1, 2", "cannot read this header"),
        ("threads", "for n in x if n", "cannot read this header"),
        ("threads", "for n in x: print(n)", "stands under the magic's line"),
        ("threads", "for 3 in x", "cannot read this header"),
        ("threads", "for a.b in x", "a.b is none"),
        ("threads", "for n, a[0] in x", r"a\[0\] is none"),
        ("threads", "for n in await x", "Only %%asyncio_trace can await"),
        ("threads", "for n in (yield x)", "cannot read this header"),
    ],
)
def test_what_is_no_header_is_one_sentence(book: Notebook, model: str, header: str, says: str) -> None:
    with pytest.raises(OptionError, match=says) as caught:
        book.program(model, header, "n")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("model", ALL)
@pytest.mark.parametrize(
    ("header", "body", "value"),
    [
        ("for a, b in [(1, 2), (3, 4)]", "a * b", [2, 12]),
        ("for a, (b, *c) in [(1, 'xyz')]", "(a, b, c)", [(1, "x", ["y", "z"])]),
        ("for a, b in {1: 2}.items():", "sorted(locals())", [["a", "b"]]),
        ("for [a, b] in ['xy']", "b + a", ["yx"]),
        ("for n in []", "n", None),
        ("for n in (i * step for i in range(2))", "n", [0, 10]),
        ("for n in (found := [1, 2])", "n", [1, 2]),
    ],
)
def test_headers(book: Notebook, model: str, header: str, body: str, value: object) -> None:
    assert book.run(model, f"-w 2 {header}", body) == value


def test_a_walrus_in_the_header_binds_in_the_notebook(book: Notebook) -> None:
    book.run("threads", "for n in (kept := [1, 2])", "n")
    assert book.names["kept"] == [1, 2]


def test_await_and_async_for_in_the_header(book: Notebook) -> None:
    assert book.run("asyncio", "async for n in feed(3)", "n * 2") == [0, 2, 4]
    book.names["fetch"] = lambda: _answer([4, 5])
    assert book.run("asyncio", "for n in await fetch()", "n") == [4, 5]


async def _answer(value: object) -> object:
    return value


def test_the_iterable_is_evaluated_once_and_read_once(book: Notebook) -> None:
    calls: list[str] = []

    class Items:
        def __iter__(self) -> Iterator[int]:
            calls.append("iter")
            return iter([1, 2])

    def items() -> Items:
        calls.append("call")
        return Items()

    assert book.run("threads", "for n in items()", "n", items=items) == [1, 2]
    assert calls == ["call", "iter"]


@pytest.mark.parametrize("model", ["threads", "asyncio"])
def test_what_a_body_assigns_stays_in_it_and_global_writes_to_the_notebook(
    book: Notebook, model: str
) -> None:
    book.run(model, "-w 1 for n in range(3)", "global total\nlocal = n\ntotal += n", total=5)
    assert book.names["total"] == 8
    assert "local" not in book.names
    assert "n" not in book.names


def test_under_procs_global_writes_to_the_workers_copy(book: Notebook) -> None:
    for method in ("fork", "spawn"):
        line = f"-w 1 --start-method {method} for n in range(3)"
        assert book.run("procs", line, "global total\ntotal += 1\ntotal", total=5) == [6, 7, 8]
        assert book.names["total"] == 5


@pytest.mark.parametrize("model", ALL)
def test_a_name_read_and_assigned_without_global_is_explained(book: Notebook, model: str) -> None:
    with pytest.raises(UnboundLocalError) as caught:
        book.run(model, "for n in range(3)", "count += 1", count=0)
    explained, which = caught.value.__notes__
    assert "`global count`" in explained
    assert which == "item 1 of 3: n=0"


def test_an_unbound_local_of_a_called_function_is_not_explained(book: Notebook) -> None:
    exec("def broken():\n    x += 1", book.names)
    with pytest.raises(UnboundLocalError) as caught:
        book.run("threads", "for n in range(1)", "broken()")
    assert caught.value.__notes__ == ["item 1 of 1: n=0"]


@pytest.mark.parametrize("model", ["threads", "asyncio"])
def test_a_traceback_has_the_cells_lines_and_no_frame_of_ours(book: Notebook, model: str) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        book.run(model, "for n in range(1)", "def f():\n    return 1 / n\n\nf()")
    frames = traceback.extract_tb(caught.value.__traceback__)
    of_cell = [(frame.lineno, frame.name) for frame in frames if "ipython" in frame.filename]
    assert of_cell == [(5, "<module>"), (3, "f")]
    assert not [frame for frame in frames if "src/concmagic/" in frame.filename.replace("\\", "/")]


@pytest.mark.parametrize(
    ("line", "error"),
    [("for a, b in [3]", TypeError), ("for n in 5", TypeError), ("for n in unknown_name", NameError)],
)
def test_an_error_of_the_header_stands_on_its_line(book: Notebook, line: str, error: type[Exception]) -> None:
    with pytest.raises(error) as caught:
        book.run("threads", line, "1")
    frames = traceback.extract_tb(caught.value.__traceback__)
    assert [frame.lineno for frame in frames if "ipython" in frame.filename] == [1]


def test_functions_of_a_body_have_plain_names(book: Notebook) -> None:
    body = "def f():\n    class C: pass\n    return C\n(f.__qualname__, f().__qualname__)"
    assert book.run("threads", "for n in range(1)", body) == [("f", "f.<locals>.C")]


def test_syntax_warnings_come_once(book: Notebook) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        book.program("threads", "for n in x", "n is 3")
    assert [warning.category for warning in caught] == [SyntaxWarning]


def test_magics_and_shell_lines_run_in_threads_and_tasks_not_in_children(book: Notebook) -> None:
    body = "lines = !echo {n}\n%config Nothing\nlines[0]"
    for model in ("threads", "asyncio"):
        assert book.run(model, "-w 1 for n in range(2)", "lines = !echo {n}\nlines[0]") == ["0", "1"]
    with pytest.raises(BodyError, match=r"no %magic.*\(line 2\)"):
        book.program("procs", "for n in range(2)", body)


def test_results_are_bound_to_the_name_that_r_gives(book: Notebook) -> None:
    assert book.run("threads", "-r out for n in range(2)", "n") == [0, 1]
    assert book.names["out"] == [0, 1]
    assert book.run("threads", "-r out for n in range(2)", "pass") is None
    assert book.names["out"] == [None, None]


@pytest.mark.parametrize(
    ("model", "line", "says"),
    [
        ("asyncio", "for n in x", "every item has its task at once"),
        ("threads", "for n in x", "cores \\+ 4"),
        ("procs", "for n in x", "one per usable core"),
        ("threads", "-w 3 for n in x", "^$"),
    ],
)
def test_without_w_a_note_says_how_many_work(book: Notebook, model: str, line: str, says: str) -> None:
    import re

    assert re.search(says, book.program(model, line, "n").note)
