"""A traced cell does what the same cell does without the magic's line."""

from __future__ import annotations

import pytest

from conftest import Kernel, Run

MAGICS = ["%%asyncio_trace", "%%threads", "%%procs", "%%timeline"]


def is_picture(output: dict) -> bool:
    data = output["data"]
    return output["kind"] == "display_data" and "text/html" in data and "image/png" not in data


def without_picture(run: Run) -> list[tuple[str, str]]:
    return [(output["kind"], output["text"]) for output in run.outputs if not is_picture(output)]


@pytest.mark.parametrize("magic", MAGICS)
def test_value_prints_and_picture_come_in_this_order(kernel: Kernel, magic: str) -> None:
    run = kernel.check(f"{magic}\nprint('one')\nprint('two')\n6 * 7")
    assert [(output["kind"], output["text"]) for output in run.outputs[:-1]] == [
        ("stdout", "one\ntwo\n"),
        ("execute_result", "42"),
    ]
    assert is_picture(run.outputs[-1])


@pytest.mark.parametrize("magic", MAGICS)
def test_awaiting_value_prints_and_picture_come_in_this_order(kernel: Kernel, magic: str) -> None:
    run = kernel.check(f"{magic}\nimport asyncio\nprint('one')\nawait asyncio.sleep(0, 42)")
    assert run.kinds[:-1] == ["stdout", "execute_result"]
    assert run.result_text == "42"
    assert is_picture(run.outputs[-1])


BODIES = {
    "expression": "1 + 1",
    "none": "None",
    "statement": "x = 1",
    "semicolon": "1 + 1;",
    "semicolon and comment": "1 + 1;  # quiet",
    "string ends in semicolon": "'a;'",
    "loop with expression": "for i in range(2):\n    i",
    "display": "display(1)\nprint(2)\ndisplay(3)\n4",
    "stderr": "import sys\nprint('e', file=sys.stderr)",
    "line magic": "%precision 3\n0.123456",
    "assigned line magic": "v = %env HOME\nlen(v) > 0",
    "shell": "!echo from the shell",
    "shell assigned": "lines = !printf 'a\\nb'\nlist(lines)",
    "nested cell magic": "%%capture seen\nprint('hidden')",
    "help": "q = len\nq?",
    "multi-line string": "s = '''a\n  b\n%%c\n'''\ns",
    "function": "def f(n):\n    return n and f(n - 1)\nf(3)",
    "class": "class A:\n    y = 2\n    def m(self):\n        return self.y, __class__.__name__\nA().m()",
    "comprehension over global": "k = 3\n[k * i for i in range(3)]",
    "walrus": "(w := 5) + w",
    "del": "z = 1\ndel z\n'z' in globals()",
    "name": "__name__",
    "leading blank lines": "\n\n7",
    "indented": "    a = 1\n    a + 1",
    "async def only": "async def g():\n    return 1\ng.__name__",
    "awaits": "import asyncio\nr = await asyncio.sleep(0, 'woken')\nr",
    "awaits; quiet": "import asyncio\nawait asyncio.sleep(0, 1);",
    "async for": "async def a():\n    yield 1\nasync for i in a():\n    print(i)\ni",
    "async comprehension": "async def a():\n    yield 1\n[i async for i in a()]",
    "async with": "import asyncio\nasync with asyncio.Lock():\n    print('held')",
    "underscore": "_",
    "future annotations": "from __future__ import annotations\ndef h(x: nowhere): pass\nh.__annotations__",
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("magic", ["%%threads", "%%asyncio_trace"])
def test_outputs_are_those_of_the_plain_cell(kernel: Kernel, magic: str, body: str) -> None:
    kernel.check("'before'")
    plain = kernel.run(body)
    kernel.check("'before'")
    traced = kernel.run(f"{magic}\n{body}")
    assert (traced.status, without_picture(traced)) == (plain.status, without_picture(plain))
    assert traced.reply["payload"] == plain.reply["payload"]


@pytest.mark.parametrize(
    "cell",
    [
        "%%threads\n[1, 2]",
        "%%timeline\n[1, 2]",
        "%%procs\n[1, 2]",
        "%%asyncio_trace\nimport asyncio\nawait asyncio.sleep(0, [1, 2])",
        "%%threads for n in [1, 2]\nn",
        "%%asyncio_trace for n in [1, 2]\nn",
        "%%procs -w 2 for n in [1, 2]\nn",
    ],
)
def test_value_is_in_underscore_and_out(kernel: Kernel, cell: str) -> None:
    run = kernel.check(cell)
    assert kernel.value("_") == [1, 2]
    assert kernel.value(f"Out[{run.execution_count}]") == [1, 2]
    assert kernel.value(f"_{run.execution_count} is _") is True


def test_quiet_value_does_not_become_underscore(kernel: Kernel) -> None:
    kernel.check("'kept'")
    kernel.check("%%threads\n[1, 2];")
    assert kernel.value("_") == "kept"


@pytest.mark.parametrize("magic", MAGICS)
def test_names_of_the_cell_are_the_notebooks(kernel: Kernel, magic: str) -> None:
    kernel.check("count = 1")
    kernel.check(f"{magic}\ncount += 1\ndef fresh(): return count\nimport json as j")
    assert kernel.value("count, fresh(), j.__name__") == (2, 2, "json")


def test_name_assigned_by_awaiting_cell_is_the_notebooks(kernel: Kernel) -> None:
    kernel.check("%%asyncio_trace\nimport asyncio\ngot = await asyncio.sleep(0, 9)")
    assert kernel.value("got") == 9


def test_line_is_not_expanded(kernel: Kernel) -> None:
    run = kernel.run("n = 3\nget_ipython().run_cell_magic('threads', '{n} $n', 'pass')")
    assert run.ename == "UsageError"
    assert "{n}" in run.stderr


@pytest.mark.parametrize("interactivity", ["all", "last", "last_expr", "none", "last_expr_or_assign"])
@pytest.mark.parametrize("body", ["1\nx = 2\n3", "1\nx = 2", "if True:\n    5", "7;"])
def test_interactivity_of_the_shell_is_respected(kernel: Kernel, interactivity: str, body: str) -> None:
    kernel.check(f"get_ipython().ast_node_interactivity = {interactivity!r}")
    try:
        plain, traced = kernel.check(body), kernel.check(f"%%threads\n{body}")
    finally:
        kernel.check("get_ipython().ast_node_interactivity = 'last_expr'")
    assert without_picture(traced) == without_picture(plain)


def test_syntax_transformers_of_the_shell_are_applied(kernel: Kernel) -> None:
    kernel.check(
        "import ast\n"
        "class Doubling(ast.NodeTransformer):\n"
        "    def visit_Constant(self, node):\n"
        "        value = node.value * 2 if isinstance(node.value, int) else node.value\n"
        "        return ast.copy_location(ast.Constant(value), node)\n"
        "doubling = Doubling()\n"
        "get_ipython().ast_transformers.append(doubling)"
    )
    try:
        run = kernel.check("%%threads\n21")
    finally:
        kernel.check("get_ipython().ast_transformers.remove(doubling)")
    assert run.result_text == "42"


def test_figures_stand_between_value_and_picture(kernel: Kernel) -> None:
    run = kernel.check(
        "%%threads\n%matplotlib inline\nimport matplotlib.pyplot as plt\nplt.plot([1, 2])\nprint('p')\n5"
    )
    kinds = [
        "figure" if "image/png" in output["data"] else "picture" if is_picture(output) else output["kind"]
        for output in run.outputs
    ]
    assert kinds == ["stdout", "execute_result", "figure", "picture"]


def test_prints_of_threads_are_this_cells(kernel: Kernel) -> None:
    run = kernel.check(
        "%%threads\nimport threading\n"
        "ts = [threading.Thread(target=print, args=(f'thread {i}\\n"
        "',), kwargs={'end': ''}) for i in range(3)]\n"
        "[t.start() for t in ts]; [t.join() for t in ts];"
    )
    assert sorted(run.stdout.splitlines()) == ["thread 0", "thread 1", "thread 2"]


@pytest.mark.parametrize("outer", ["%%time", "%%capture seen"])
def test_sync_cell_under_another_magic(kernel: Kernel, outer: str) -> None:
    run = kernel.check(f"{outer}\n%%threads\nkept = 5\nprint('inside')\nkept")
    assert kernel.value("kept") == 5
    assert ("inside" in run.stdout) is (outer == "%%time")


@pytest.mark.parametrize("outer", ["%%time", "%%capture seen"])
def test_awaiting_cell_under_another_magic_runs_and_says_where(kernel: Kernel, outer: str) -> None:
    run = kernel.check(
        f"{outer}\n%%asyncio_trace\nimport asyncio\nwhere = asyncio.get_running_loop()\n"
        "got = await asyncio.sleep(0, 'woken')"
    )
    assert kernel.value("got") == "woken"
    assert kernel.value("where is not __import__('asyncio').get_running_loop()") is True
    if outer == "%%time":
        assert "loop of its own" in run.outputs[-1]["text"]
    again = kernel.check("import asyncio\nawait asyncio.sleep(0, 'the kernel is well')")
    assert again.result_text == "'the kernel is well'"


def test_help_runs_nothing_and_needs_no_body(kernel: Kernel) -> None:
    kernel.check("ran = False")
    for cell in ["%%threads -h", "%%threads -h\nran = True", "%%asyncio_trace -h\nran = True\nawait x"]:
        run = kernel.check(cell)
        assert "--save" in run.stdout
        assert run.displays == []
    assert kernel.value("ran") is False


def test_question_mark_shows_the_options(kernel: Kernel) -> None:
    run = kernel.check("%%threads?")
    assert "--save" in run.reply["payload"][0]["data"]["text/plain"]


USAGE_ERRORS = ["--no-such-option", "-o 3", "stray", "--timeout soon", "--save run.docx"]


@pytest.mark.parametrize("line", USAGE_ERRORS)
@pytest.mark.parametrize("body", ["ran = True", "ran = True\nawait x"])
def test_wrong_line_is_one_sentence_and_runs_nothing(kernel: Kernel, line: str, body: str) -> None:
    kernel.check("ran = False")
    run = kernel.run(f"%%asyncio_trace {line}\n{body}")
    assert (run.status, run.ename) == ("error", "UsageError")
    assert run.kinds == ["stderr"]
    assert run.stderr.startswith("UsageError: ")
    assert len(run.stderr.strip().splitlines()) == 1
    assert kernel.value("ran") is False


def test_empty_body_is_one_sentence(kernel: Kernel) -> None:
    run = kernel.run("%%threads\n\n")
    assert run.ename == "UsageError"
    assert run.kinds == ["stderr"]


def test_results_and_trace_are_bound(kernel: Kernel) -> None:
    kernel.check("%%threads -r value -o trace\n[1, 2];")
    assert kernel.value("value") == [1, 2]
    assert kernel.value("trace is __import__('concmagic').last()") is True


def test_quiet_draws_nothing(kernel: Kernel) -> None:
    assert kernel.check("%%threads -q\n5").kinds == ["execute_result"]


def test_last_trace_is_drawn_again_and_saved(kernel: Kernel, tmp_path) -> None:
    kernel.check("%%threads\nagain = 1")
    assert is_picture(kernel.check("%timeline").outputs[0])
    path = tmp_path / "run.txt"
    run = kernel.check(f"%timeline --save {path}")
    assert str(path) in run.stdout
    assert path.read_text(encoding="utf-8")


def test_cell_saves_its_trace(kernel: Kernel, tmp_path) -> None:
    path = tmp_path / "run.json"
    kernel.check(f"%%threads -q --save {path}\n5")
    assert kernel.value(f"type(__import__('concmagic').load({str(path)!r})).__name__") == "Trace"


def test_magic_called_by_code_works(kernel: Kernel) -> None:
    run = kernel.check("v = get_ipython().run_cell_magic('threads', '', 'print(1)\\n5')\nv")
    assert (run.stdout, run.result_text) == ("1\n", "5")
    assert is_picture(run.outputs[-1])


def test_broken_renderer_is_one_line_and_the_cell_is_unharmed(kernel: Kernel) -> None:
    kernel.check(
        "import concmagic.renderers.text as t\n"
        "def broken(self, report): raise ValueError('no ink')\n"
        "kept_render, t.TextRenderer.render = t.TextRenderer.render, broken"
    )
    try:
        run = kernel.check("%%threads\n5")
    finally:
        kernel.check("t.TextRenderer.render = kept_render")
    assert run.kinds == ["execute_result", "stderr"]
    assert "no ink" in run.stderr
    assert len(run.stderr.splitlines()) == 1
