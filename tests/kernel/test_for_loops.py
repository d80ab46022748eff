"""`for` headers in a real kernel: values, prints, failures and interrupts under every magic."""

from __future__ import annotations

import pytest

from conftest import Kernel

MAGICS = ("%%threads", "%%asyncio_trace", "%%procs")
METHODS = ("fork", "spawn", "forkserver")
LOOPS = (*MAGICS, *(f"%%procs --start-method {method}" for method in METHODS))


@pytest.mark.parametrize("magic", LOOPS)
def test_the_value_is_the_list_of_the_items_values_in_order(kernel: Kernel, magic: str) -> None:
    run = kernel.check(f"{magic} -w 2 for n in range(4)\nm = n * 10\nm")
    assert run.result_text == "[0, 10, 20, 30]"
    assert kernel.value("_") == [0, 10, 20, 30]
    assert kernel.value("'m' in globals() or 'n' in globals()") is False


@pytest.mark.parametrize("magic", MAGICS)
@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("for a, b in zip('ab', 'cd'):", "['ac', 'bd']"),
        ("for a, *b in ['abc']", "[\"a['b', 'c']\"]"),
        ("for a, b in {1: 2}.items()  # pairs", "['12']"),
    ],
)
def test_targets_of_several_names(kernel: Kernel, magic: str, header: str, value: str) -> None:
    assert kernel.check(f"{magic} -w 2 {header}\nf'{{a}}{{b}}'").result_text == value


def test_the_header_is_not_expanded_by_ipython(kernel: Kernel) -> None:
    kernel.check("k = 7")
    assert kernel.check("%%threads for x in [{'k'}, '$k', '{k}']\nx").result_text == "[{'k'}, '$k', '{k}']"


@pytest.mark.parametrize("magic", MAGICS)
def test_a_semicolon_and_all_none_show_nothing(kernel: Kernel, magic: str) -> None:
    assert kernel.check(f"{magic} -w 2 for n in range(2)\nn;").result_text is None
    assert kernel.check(f"{magic} -w 2 for n in range(2)\npass").result_text is None


def test_a_long_value_is_abbreviated_and_bound_whole(kernel: Kernel) -> None:
    run = kernel.check("%%threads -r squares for n in range(100)\nn * n")
    assert run.result_text == "[0, 1, 4, 9, 16, 25, … 92 more …, 9604, 9801]"
    assert kernel.value("squares == [n * n for n in range(100)]") is True


def test_of_a_very_long_value_the_middle_is_left_out(kernel: Kernel) -> None:
    run = kernel.check("%%threads -w 2 -r long for letter in 'xy'\nletter * 1_000_000")
    assert run.result_text is not None
    assert run.result_text.count("998,002 more characters") == 2
    assert len(run.result_text) < 5_000
    assert kernel.value("[len(text) for text in long]") == [1_000_000] * 2


@pytest.mark.parametrize("magic", ["%%threads", "%%procs"])
def test_an_item_may_raise_stop_iteration(kernel: Kernel, magic: str) -> None:
    """Which no coroutine can let out: under these magics none of ours is around it."""
    run = kernel.run(f"{magic} -w 1 for n in [1]\nraise StopIteration(4)")
    assert (run.ename, run.evalue.splitlines()[0]) == ("StopIteration", "4")
    assert "magics.py" not in run.traceback_text


def test_threads_may_be_the_first_to_use_a_line_magic(fresh_kernel: Kernel) -> None:
    """IPython imports most of them at their first use, and two threads that do that at once fail."""
    fresh_kernel.check("%load_ext concmagic")
    run = fresh_kernel.check("%%threads -w 8 -r folders for n in range(8)\n%pwd")
    assert run.result_text is not None
    assert fresh_kernel.value("set(folders) == {__import__('os').getcwd()}") is True


def test_items_that_block_one_after_the_other_are_the_path(kernel: Kernel) -> None:
    """They all ran before the loop came to say that the first had ended: the cell was ready since then."""
    run = kernel.check(
        "%%asyncio_trace -o trace for n in range(3)\nimport time\ntime.sleep(0.1 if n else 0.05)"
    )
    told = " ".join(run.displays[-1]["text/plain"].split())
    assert "blocked the loop" in told.partition(" concurrency ")[0]
    assert "loop_tasks" not in told
    assert kernel.value(
        "sum(part.end_ns - part.start_ns for part in trace.metrics.path"
        " if part.state.value == 'blocking') > 0.9 * trace.wall_s * 1e9"
    )
    waits = (
        "[(one.state.value, one.reason, trace.detail_of(one), one.file)"
        " for track in trace.tracks if track.host for one in track.states]"
    )
    assert ("waiting", "task", "n=0", "") in kernel.value(waits)


@pytest.mark.parametrize("magic", LOOPS)
def test_prints_of_all_items_are_this_cells(kernel: Kernel, magic: str) -> None:
    # In one write: what a thread writes in several, another may write between, as under a plain cell.
    run = kernel.check(f"{magic} -w 2 for n in range(20)\nprint(f'line {{n}}\\n', end='')")
    assert sorted(run.stdout.split("\n")) == sorted(["", *(f"line {n}" for n in range(20))])


@pytest.mark.parametrize("magic", LOOPS)
def test_functions_and_classes_of_earlier_cells_work(kernel: Kernel, magic: str) -> None:
    kernel.check(
        "base = 1\ndef add(x):\n    return x + base\n"
        "class P:\n    def __init__(self, x): self.x = x\n    def __repr__(self): return f'P({self.x})'"
    )
    run = kernel.check(f"{magic} -w 2 -r ps for p in [P(n) for n in range(3)]\nP(add(p.x))")
    assert run.result_text == "[P(1), P(2), P(3)]"
    assert kernel.value("{type(p) is P for p in ps}") == {True}


def test_tasks_run_on_the_kernels_own_loop(kernel: Kernel) -> None:
    kernel.check(
        "import asyncio\nlock = asyncio.Lock()\nawait asyncio.sleep(0)\nhere = asyncio.get_running_loop()"
    )
    run = kernel.check(
        "%%asyncio_trace for n in range(3)\nasync with lock:\n    asyncio.get_running_loop() is here\n"
        "asyncio.get_running_loop() is here"
    )
    assert run.result_text == "[True, True, True]"


def test_async_for_in_the_header(kernel: Kernel) -> None:
    kernel.check("async def feed():\n    for n in range(3):\n        yield n")
    assert kernel.check("%%asyncio_trace -w 2 async for n in feed()\nn").result_text == "[0, 1, 2]"


@pytest.mark.parametrize("magic", LOOPS)
def test_a_failed_item_fails_the_cell_and_says_which(kernel: Kernel, magic: str) -> None:
    run = kernel.run(f"{magic} -w 2 for url in ['a', '', 'c']\nfirst = url[0]\nfirst")
    assert (run.status, run.ename) == ("error", "IndexError")
    assert "item 2 of 3: url=''" in run.traceback_text
    assert "first = url[0]" in run.traceback_text
    assert "src/concmagic/" not in run.traceback_text.replace("%%asyncio_trace", "")
    assert any("✗" in display.get("text/plain", "") for display in run.displays)


@pytest.mark.parametrize("magic", MAGICS)
def test_the_lane_of_a_failed_item_says_so(kernel: Kernel, magic: str) -> None:
    run = kernel.run(f"{magic} --keep-going -w 2 for n in [1, 0]\n1 / n")
    signs = [line for line in run.displays[-1]["text/plain"].splitlines() if "✗ raised" in line]
    assert len(signs) == 2, run.displays[-1]["text/plain"]  # the cell's own lane, and that of the item


@pytest.mark.parametrize("magic", LOOPS)
def test_keep_going_raises_one_group(kernel: Kernel, magic: str) -> None:
    run = kernel.run(f"{magic} -w 2 --keep-going for n in range(4)\n1 / (n % 2)")
    assert (run.status, run.ename) == ("error", "ExceptionGroup")
    shown = run.traceback_text + run.stderr  # IPython writes a group to stderr
    assert "2 of 4 items failed" in shown
    assert shown.index("item 1 of 4: n=0") < shown.index("item 3 of 4: n=2")


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        ("%%threads for n in numbers -q\nn", "Options stand before `for`"),
        ("%%threads for n in [1]\nreturn n", "`return`"),
        ("%%threads for n in [1]\nawait n", "use %%asyncio_trace"),
        ("%%threads async for n in [1]\nn", "needs %%asyncio_trace"),
        ("%%timeline for n in [1]\nn", "whole cells only"),
        ("%%procs for n in [1]\n%time n", "no %magic"),
        ("%%procs for n in [1]\n!echo n", "no !command"),
        ("%%asyncio_trace --keepgoing for n in [1]\nn", "did you mean --keep-going?"),
        ("%%threads for n of x\nn", "cannot read this header"),
    ],
)
def test_a_wrong_line_or_body_is_one_sentence_and_nothing_has_run(
    kernel: Kernel, cell: str, says: str
) -> None:
    run = kernel.run(cell)
    assert run.status == "error"
    assert run.ename == "UsageError"
    assert says in run.evalue
    assert run.stderr.startswith("UsageError: ")
    assert "Traceback" not in run.stderr
    assert run.displays == []


def test_what_cannot_be_sent_to_a_child_is_named(kernel: Kernel) -> None:
    kernel.check("import threading\nguard = threading.Lock()")
    run = kernel.run("%%procs --start-method spawn for n in [1]\nwith guard:\n    n")
    assert "'guard'" in run.evalue


def test_help_lists_the_options(kernel: Kernel) -> None:
    assert "--start-method" in kernel.check("%%procs -h").stdout


@pytest.mark.parametrize(
    "cell",
    [
        "%%threads -w 2 for n in range(50)\nimport time\nprint('here', flush=True)\ntime.sleep(5)",
        "%%asyncio_trace for n in range(5)\nimport asyncio\nprint('here', flush=True)\n"
        "await asyncio.sleep(60)",
        "%%asyncio_trace for n in range(5)\nimport time\nprint('here', flush=True)\ntime.sleep(60)",
        "%%procs -w 2 for n in range(50)\nimport time\nprint('here', flush=True)\ntime.sleep(60)",
        "%%procs -w 2 --start-method spawn for n in range(50)\n"
        "import time\nprint('here', flush=True)\ntime.sleep(60)",
    ],
)
def test_one_interrupt_ends_the_loop_and_its_picture_is_drawn(kernel: Kernel, cell: str) -> None:
    run = kernel.interrupted(cell, timeout=10)
    assert run.ename == "KeyboardInterrupt"
    assert run.displays
    assert "src/concmagic/" not in run.traceback_text.replace("%%asyncio_trace", "")
    assert kernel.check("import multiprocessing\nmultiprocessing.active_children()").result_text == "[]"
    assert kernel.check("%%threads -w 2 for n in range(3)\nn").result_text == "[0, 1, 2]"


def test_a_timeout_ends_the_loop(kernel: Kernel) -> None:
    run = kernel.run("%%procs -w 2 --timeout 1 for n in range(9)\nimport time\ntime.sleep(60)")
    assert run.ename == "TimeoutError"
    assert kernel.check("import multiprocessing\nmultiprocessing.active_children()").result_text == "[]"


def test_items_label_their_lanes(kernel: Kernel) -> None:
    run = kernel.check(
        "%%asyncio_trace for url in ['a.org', 'b.org']\nimport asyncio\nawait asyncio.sleep(0.01)"
    )
    text = run.displays[-1]["text/plain"]
    assert "url='a.org'" in text
    assert "url='b.org'" in text
    assert "every item has its task at once" in text


@pytest.mark.parametrize("magic", MAGICS)
def test_a_loop_under_another_magic(kernel: Kernel, magic: str) -> None:
    run = kernel.check(f"%%capture kept\n{magic} -w 2 for n in range(3)\nprint('said', n)\nn")
    assert run.stdout == ""
    assert kernel.value("kept.stdout.count('said')") == 3
