"""A failed cell is a failed cell: reply, text, `%tb`, `%debug` are those of a plain one."""

from __future__ import annotations

import re

import pytest

from conftest import Kernel, Run, plain

_NUMBER = re.compile(r"^((?:-+>)?\s*)(\d+)(?= )")
_PLACE = re.compile(r"^(\s*(?:Cell )?In\[)(\d+)(\], line )(\d+)")
_VARYING = re.compile(r"0x[0-9a-f]+|at line \d+ \(\d+ times\)|statement on line \d+")
_BRIEF_PLACE = re.compile(r"\(\d+\.py, line (\d+)\)")
# Where `sys.last_traceback` has IPython's own frames, or as many as fit the stack.
_NOT_COMPARED = "SyntaxError|IndentationError|InputError|RecursionError"
_OUTPUT_FILE = re.compile(r'File ".*/(ipykernel_\d+/\d+\.py)", line (\d+)')


def told(text: str, count: int, shift: int) -> list[str]:
    """The lines of a traceback, those of the cell `count` moved by `shift` lines up."""
    lines, here = [], False
    for line in plain(text).splitlines():
        place = _PLACE.match(line)
        if place:
            here = int(place[2]) == count
            moved = int(place[4]) - (shift if here else 0)
            line = f"{place[1]}{'here' if here else place[2]}{place[3]}{moved}" + line[place.end() :]
        elif line.startswith("File "):
            here = False
        elif here and (number := _NUMBER.match(line)):
            moved = int(number[2]) - shift
            if moved < 1:  # the magic's own line, as context
                continue
            arrow = "->" if ">" in number[1] else "  "
            line = f"{arrow} {moved}" + line[number.end() :]
        line = _OUTPUT_FILE.sub(lambda m: f"cell, line {int(m[2]) - shift}", line)
        line = _BRIEF_PLACE.sub(lambda m: f"(cell, line {int(m[1]) - shift})", line)
        lines.append(_VARYING.sub("…", line.rstrip()))
    return once_each(lines)


def once_each(lines: list[str]) -> list[str]:
    """Endless recursion ends a few frames earlier under a magic: keep one of frames that repeat."""
    kept: list[str] = []
    for line in lines:
        kept.append(line)
        if len(kept) >= 6 and kept[-3:] == kept[-6:-3]:
            del kept[-3:]
    return kept


def story(run: Run, shift: int) -> dict[str, object]:
    """What a failed cell says."""
    stderr = run.stderr
    errors = [output["text"] for output in run.outputs if output["kind"] == "error"]
    return {
        "reply": (run.status, run.ename, told(run.evalue, run.execution_count, shift)),
        "traceback": [told(text, run.execution_count, shift) for text in errors],
        "stdout": run.stdout,
        "stderr": told(stderr, run.execution_count, shift),
    }


FAILURES = {
    "at once": "1 / 0",
    "after a value": "5\nprint('x')\n1 / 0",
    "in a function": "def f(n):\n    return f(n - 1) if n else 1 / 0\nx = 1\nf(3)",
    "in a library": "import json\njson.loads('{')",
    "chained": "def f():\n    try:\n        1 / 0\n    except ZeroDivisionError as e:\n"
    "        raise ValueError('v') from e\nf()",
    "while handling": "try:\n    {}['k']\nexcept KeyError:\n    int('x')",
    "from none": "try:\n    1 / 0\nexcept ZeroDivisionError:\n    raise ValueError('v') from None",
    "group": "def f(): 1 / 0\ndef g():\n    es = []\n    try: f()\n    except Exception as e: es.append(e)\n"
    "    raise ExceptionGroup('two', [*es, ValueError('v')])\ng()",
    "note": "e = ValueError('v')\ne.add_note('a note')\nraise e",
    "multi-line": "x = (1 +\n     2 +\n     1 / 0 +\n     3)",
    "class of the cell": "class Mine(Exception):\n    pass\nraise Mine('m')",
    "base exception": "raise BaseException('b')",
    "keyboard interrupt": "raise KeyboardInterrupt",
    "system exit": "import sys\nsys.exit(3)",
    "system exit in function": "import sys\ndef f():\n    sys.exit('bye')\nf()",
    "recursion": "def f(): return f()\nf()",
    "thread pool": "from concurrent.futures import ThreadPoolExecutor\ndef job(x):\n    return 1 / x\n"
    "with ThreadPoolExecutor(2) as p:\n    list(p.map(job, [1, 0]))",
    "slots": "class E(Exception):\n    __slots__ = ()\nraise E('s')",
    "renders itself": "class R(Exception):\n    def _render_traceback_(self):\n"
    "        return ['rendered by itself']\nraise R",
    "syntax error": "x = 1\ny = = 2",
    "syntax error in text": "compile('a b', 'text', 'exec')",
    "indentation error": "if True:\nx",
    "unclosed": "f(1,\n2",
    "return at top": "x = 1\nreturn x",
    "null byte": "x = eval('1\\0')",
    "line magic": "%no_such_magic",
    "usage error": "%timeit --nonsense-x y z",
    "shell fails": "!false\nget_ipython().user_ns['_exit_code'] / 0",
    "name error with hint": "foobarr = 1\nfoobar",
    "debugger quit": "import bdb\nraise bdb.BdbQuit",
    "stop iteration": "next(iter([]))",
    "assert": "assert 1 == 2, 'no'",
    "generator": "def g():\n    yield 1\n    1 / 0\nlist(g())",
    "comprehension": "def f():\n    return [1 / x for x in (1, 0)]\nf()",
    "decorator": "import functools\n@functools.lru_cache\ndef c(x): return 1 / x\nc(0)",
    "leading blank": "\n\n1 / 0",
}

AWAITING_FAILURES = {
    "at once": "import asyncio\nawait asyncio.sleep(0)\n1 / 0",
    "in a coroutine": "import asyncio\nasync def f():\n    await asyncio.sleep(0)\n    1 / 0\nawait f()",
    "group": "import asyncio\nasync def f(n):\n    await asyncio.sleep(0)\n    1 / n\n"
    "async with asyncio.TaskGroup() as g:\n    g.create_task(f(0))\n    g.create_task(f(1))",
    "gather": "import asyncio\nasync def f(n):\n    await asyncio.sleep(0)\n    1 / n\n"
    "await asyncio.gather(f(1), f(0))",
    "task": "import asyncio\nasync def f():\n    raise ValueError('v')\n"
    "t = asyncio.create_task(f())\nawait t",
    "timeout": "import asyncio\nasync with asyncio.timeout(0):\n    await asyncio.sleep(9)",
    "to thread": "import asyncio\nawait asyncio.to_thread(int, 'x')",
    "cancels itself": "import asyncio\nasyncio.current_task().cancel()\nawait asyncio.sleep(9)",
    "system exit": "import asyncio, sys\nawait asyncio.sleep(0)\nsys.exit(3)",
    "syntax error": "await = 3",
    "before the await": "1 / 0\nawait x",
    "chained": "import asyncio\ntry:\n    await asyncio.sleep(0)\n    1 / 0\n"
    "except ZeroDivisionError as e:\n    raise ValueError('v') from e",
}


@pytest.mark.parametrize("body", FAILURES.values(), ids=FAILURES)
def test_sync_failure_is_told_as_in_a_plain_cell(kernel: Kernel, body: str) -> None:
    compare(kernel, "%%threads -q", body)


@pytest.mark.parametrize("body", AWAITING_FAILURES.values(), ids=AWAITING_FAILURES)
def test_awaiting_failure_is_told_as_in_a_plain_cell(kernel: Kernel, body: str) -> None:
    compare(kernel, "%%asyncio_trace -q", body)


def compare(kernel: Kernel, magic: str, body: str) -> None:
    blank = len(body) - len(body.lstrip("\n"))
    kernel.check("import warnings\nwarnings.simplefilter('always', UserWarning)")  # not once a place
    kernel.run("0 / 0")  # so that there is a last traceback in any case
    was = story(kernel.run(body), 0)
    saw = debuggers_see(kernel, 0)
    is_ = story(kernel.run(f"{magic}\n{body}"), 1 + blank)
    assert is_ == was
    if not re.search(_NOT_COMPARED, str(saw)) and "BdbQuit" not in body:
        assert debuggers_see(kernel, 1 + blank) == saw


def debuggers_see(kernel: Kernel, shift: int) -> object:
    """The frames of `sys.last_traceback`, which `%debug` walks: function and line."""
    kernel.check(
        "import sys\ndef _frames():\n    tb, seen = sys.last_traceback, []\n    while tb:\n"
        "        c = tb.tb_frame.f_code\n"
        "        cell = c.co_filename in get_ipython().compile._filename_map\n"
        f"        line = tb.tb_lineno - {shift} if cell else tb.tb_lineno\n"
        "        seen.append((c.co_name, line if c.co_name != 'run_code' else 0))\n"
        "        tb = tb.tb_next\n    return seen, sys.last_type.__name__, type(sys.last_value).__name__,"
        " sys.last_value.__traceback__ is sys.last_traceback"
    )
    return kernel.value("_frames()")


def test_traceback_has_the_gutters_numbers_and_the_cells_lines(kernel: Kernel) -> None:
    run = kernel.run("%%threads -q\nx = 1\ndef f():\n    return x / 0\nf()")
    text = run.traceback_text
    assert f"Cell In[{run.execution_count}], line 5" in text
    assert re.search(r"4\s+return x / 0", text)
    assert "src/concmagic/" not in text


def test_blank_lines_before_the_code_are_counted(kernel: Kernel) -> None:
    run = kernel.run("%%threads -q\n\n\n1 / 0")
    assert f"Cell In[{run.execution_count}], line 4" in run.traceback_text


def test_lines_after_a_continued_magic_keep_their_numbers(kernel: Kernel) -> None:
    run = kernel.run("%%threads -q\nx = !echo \\\n  a \\\n  b\nif x:\n    1 / 0")
    assert f"Cell In[{run.execution_count}], line 6" in run.traceback_text
    assert re.search(r"> 6\s+1\s*/\s*0", run.traceback_text)


def test_cell_under_another_magic_keeps_the_gutters_numbers(kernel: Kernel) -> None:
    run = kernel.run("%%time\n%%threads -q\nx = 1\n1 / 0")
    text = "".join(output["text"] for output in run.outputs if output["kind"] == "error")
    assert "ZeroDivisionError" in text  # IPython 8 shows it in `%%time`, later ones pass it on
    assert re.search(r"Cell In\[\d+\], line 4", text)
    assert "src/concmagic/" not in text.replace("%%threads", "")


def test_failed_cell_gets_its_picture_after_the_traceback(kernel: Kernel) -> None:
    run = kernel.run("%%threads\nprint('x')\n1 / 0")
    assert run.kinds == ["stdout", "error", "display_data"]


def test_tb_and_debug_show_the_cells_frames(kernel: Kernel) -> None:
    kernel.run("%%threads -q\ndef f(secret):\n    1 / 0\nf('found it')")
    assert "src/concmagic/" not in plain(kernel.run("%tb").stdout + kernel.run("%tb").traceback_text)
    assert (
        kernel.value("__import__('sys').last_traceback.tb_next.tb_next.tb_frame.f_locals['secret']")
        == "found it"
    )


def test_debug_command_walks_the_cells_frames(kernel: Kernel) -> None:
    kernel.run("%%threads -q\ndef f(secret):\n    1 / 0\nf('found it')")
    run = kernel.check(
        "import IPython.core.debugger as d, io, sys\n"
        "out = io.StringIO()\n"
        "p = d.Pdb(stdout=out, stdin=io.StringIO('p secret\\nup\\nwhere\\nquit\\n'))\n"
        "p.use_rawinput = False\n"
        "p.reset()\n"
        "p.interaction(None, sys.last_traceback)\n"
        "print(out.getvalue())"
    )
    assert "found it" in run.stdout
    assert "src/concmagic/" not in run.stdout


DEBUGGED = {
    "plain": "def f(secret):\n    1 / 0\nf('found it')",
    "sync": "%%threads -q\ndef f(secret):\n    1 / 0\nf('found it')",
    "awaiting": "%%asyncio_trace -q\nimport asyncio\nasync def f(secret):\n    await asyncio.sleep(0)\n"
    "    1 / 0\nawait f('found it')",
    "loop of threads": "%%threads -q for n in [1]\ndef f(secret):\n    1 / 0\nf('found it')",
    "loop of tasks": "%%asyncio_trace -q for n in [1]\ndef f(secret):\n    1 / 0\nf('found it')",
}


@pytest.mark.parametrize("cell", DEBUGGED.values(), ids=DEBUGGED)
def test_debug_asks_in_the_frame_that_failed(kernel: Kernel, cell: str) -> None:
    """The real `%debug`, asked through the notebook."""
    assert kernel.run(cell).ename == "ZeroDivisionError"
    said = plain(kernel.converse("%debug", ["p secret", "up", "p f.__name__", "quit"]).stdout)
    assert "'found it'" in said
    assert "'f'" in said
    assert "src/concmagic/" not in said


def test_users_own_exception_handler_is_called_and_kept(kernel: Kernel) -> None:
    kernel.check(
        "def handler(shell, kind, value, tb, tb_offset=None):\n    print('mine:', value)\n    return []\n"
        "get_ipython().set_custom_exc((KeyError,), handler)"
    )
    try:
        for _ in range(2):
            assert kernel.run("%%threads -q\n{}['k']").stdout == "mine: 'k'\n"
            assert kernel.run("%%threads -q\n1 / 0").ename == "ZeroDivisionError"
        assert kernel.value("get_ipython().custom_exceptions == (KeyError,)") is True
    finally:
        kernel.check("get_ipython().set_custom_exc((), None)")
        kernel.check("get_ipython().custom_exceptions")


def test_error_caught_by_code_around_the_magic_is_an_error_like_any(kernel: Kernel) -> None:
    run = kernel.check(
        "try:\n    get_ipython().run_cell_magic('threads', '-q', '1 / 0')\nexcept ZeroDivisionError as e:\n"
        "    kept = e"
    )
    assert run.stdout == ""
    assert kernel.value("hasattr(kept, '_render_traceback_'), get_ipython().custom_exceptions") == (False, ())


def test_results_are_not_bound_by_a_failed_cell_but_its_trace_is(kernel: Kernel) -> None:
    kernel.check("value = trace = None")
    kernel.run("%%threads -q -r value -o trace\n1 / 0")
    assert kernel.value("value is None and trace is not None") is True
