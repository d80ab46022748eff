"""What a notebook does with a trace: look at it again, save it, load it, ask it."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from conftest import Kernel, unpacked

CELL = """
import asyncio, multiprocessing, threading, time, concmagic
async def in_a_task():
    with concmagic.mark("from a task"):
        await asyncio.sleep(0.01)
def in_a_thread():
    concmagic.mark("from a thread")
def in_a_child():
    concmagic.mark("from a child")
concmagic.mark("from the cell")
thread = threading.Thread(target=in_a_thread)
child = multiprocessing.get_context("fork").Process(target=in_a_child)
thread.start(); child.start()
asyncio.run(in_a_task())
thread.join(); child.join()
"""
SUFFIXES = [".html", ".svg", ".txt", ".json", ".json.gz"]


def _content(path: Path) -> str:
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode()
    return unpacked(text) if path.suffix == ".html" else text


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_all_three_ways_to_save_write_the_same_trace(kernel: Kernel, tmp_path: Path, suffix: str) -> None:
    by_option, by_line, by_call = (tmp_path / f"{name}{suffix}" for name in ("option", "line", "call"))
    run = kernel.check(f"%%threads -q -o traced --save {by_option}\n{CELL}")
    assert by_option.name in run.stdout
    kernel.check(f"%timeline --save {by_line}")
    kernel.check(f"traced.save({str(by_call)!r})")
    for path in (by_option, by_line, by_call):
        assert "threads" in _content(path)
    if ".json" in suffix:
        documents = [json.loads(_content(path)) for path in (by_option, by_line, by_call)]
        assert documents[0] == documents[1] == documents[2]
        assert {event["ph"] for event in documents[0]["traceEvents"]} >= {"X", "M"}
        assert kernel.value(f"concmagic.load({str(by_call)!r}) == traced")
        assert kernel.value(f"concmagic.load({str(by_call)!r}).metrics.wall_s == traced.metrics.wall_s")


def test_marks_of_everybody_stand_in_the_picture(kernel: Kernel) -> None:
    run = kernel.check(f"%%timeline -o traced\n{CELL}")
    wanted = ["from a child", "from a task", "from a thread", "from the cell"]
    assert kernel.value("sorted(mark.label for mark in traced.marks)") == wanted
    shown = unpacked(run.displays[-1]["text/html"])
    assert all(label in shown for label in wanted)
    tracks = kernel.value(
        "{mark.label: [t.kind + ' ' + t.name for t in traced.tracks if t.id == mark.track]"
        " for mark in traced.marks}"
    )
    assert tracks["from the cell"] == ["thread MainThread"]
    assert tracks["from a thread"][0].startswith("thread Thread-")


def test_the_last_trace_is_the_one_that_was_bound_and_can_be_drawn_again(kernel: Kernel) -> None:
    run = kernel.check("%%threads -o traced\nimport concmagic\n1")
    assert kernel.value("concmagic.last() is traced")
    again = kernel.check("%timeline")
    assert again.displays[-1]["text/plain"] == run.displays[-1]["text/plain"]


def test_without_a_trace_it_says_which_magics_make_one(fresh_kernel: Kernel) -> None:
    fresh_kernel.check("%load_ext concmagic")
    run = fresh_kernel.run("import concmagic; concmagic.last()")
    assert run.ename == "ConcMagicError"
    assert "%%threads" in run.evalue
    drawn = fresh_kernel.run("%timeline")
    assert "%%threads" in drawn.evalue + drawn.stderr


def test_the_tables_of_a_trace(kernel: Kernel) -> None:
    kernel.check(f"%%threads -q -o traced\n{CELL}")
    for table in ("states", "slices", "tracks", "flows"):
        assert kernel.value(f"len(traced.to_pandas({table!r}))") > 0


@pytest.mark.parametrize("detail", ["auto", "calls", "states"])
def test_calls_are_kept_as_asked_and_states_always(kernel: Kernel, detail: str) -> None:
    kernel.check(f"%%threads -q --detail {detail} -o traced\n{CELL}")
    assert kernel.value("len(traced.slices) > 0") is (detail != "states")
    assert kernel.value("any(track.states for track in traced.tracks)")


def test_a_prediction_is_asked_with_the_picture(kernel: Kernel) -> None:
    run = kernel.check('%%threads --predict "How many run at once?"\nimport time; time.sleep(0.01)')
    assert "How many run at once?" in run.displays[-1]["text/html"]


def test_a_timeout_ends_the_cell_with_its_picture(kernel: Kernel) -> None:
    for magic in ("threads", "procs", "timeline"):
        run = kernel.run(f"%%{magic} --timeout 0.3\nimport time\nwhile True: time.sleep(0.05)")
        assert run.status == "error"
        assert run.displays
    run = kernel.run("%%asyncio_trace --timeout 0.3\nimport asyncio\nawait asyncio.Event().wait()")
    assert run.status == "error"
    assert run.displays
    assert kernel.check("1 + 1").result_text == "2"


EVERYTHING = """
import asyncio, multiprocessing, threading, time
def outer(n):
    def inner(m):
        time.sleep(0.01)
        return m
    return inner(n)
async def main():
    return await asyncio.gather(asyncio.to_thread(outer, 1), asyncio.sleep(0.02, 2))
threads = [threading.Thread(target=outer, args=(n,), name=f"mine-{n}") for n in range(2)]
child = multiprocessing.get_context("METHOD").Process(target=outer, args=(3,), name="child-of-mine")
for each in (*threads, child): each.start()
answers = asyncio.run(main())
for each in (*threads, child): each.join()
answers
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_threads_tasks_and_processes_in_one_cell(kernel: Kernel, method: str) -> None:
    run = kernel.check(f"%%timeline -o traced\n{EVERYTHING.replace('METHOD', method)}")
    assert run.result_text == "[1, 2]"
    found = kernel.value("sorted({(t.kind, t.name) for t in traced.tracks if t.role == 'work'})")
    assert {("thread", "mine-0"), ("thread", "mine-1"), ("process", "child-of-mine")} <= set(found)
    assert {"process", "thread", "task", "loop"} <= {kind for kind, _ in found}
    assert not any(name.startswith("Dummy") for _, name in found)
    assert {"outer", "inner"} <= set(kernel.value("[f.name for f in traced.slices.functions]"))


def test_a_managers_server_is_machinery(kernel: Kernel) -> None:
    kernel.check(
        "%%procs -o traced\nimport multiprocessing\n"
        "with multiprocessing.get_context('fork').Manager() as manager:\n    manager.dict()[1] = 2"
    )
    names = kernel.value("[t.name for t in traced.tracks if t.kind == 'thread' and t.role == 'work']")
    assert names == ["MainThread"]


def test_an_import_is_one_slice(kernel: Kernel) -> None:
    kernel.check("import sys; sys.modules.pop('this_is_imported', None); sys.path.insert(0, '.')")
    kernel.check(
        "with open('this_is_imported.py', 'w') as file: file.write('def inner(): pass\\ninner()\\n')"
    )
    kernel.check("%%threads -q -o traced\nimport this_is_imported")
    names = kernel.value("[f.name for f in traced.slices.functions]")
    assert "import this_is_imported" in names
    assert not {"inner", "_find_and_load", "<module>"} & set(names)


@pytest.mark.parametrize("magic", ["%%timeline", "%%threads", "%%procs", "%%asyncio_trace"])
def test_a_cell_of_nothing_is_measured_without_what_is_ours(kernel: Kernel, magic: str) -> None:
    lines = ["pass", "x = 1", "print('hello')"]
    pictures = [kernel.check(f"{magic} -o traced\n{line}").displays[-1]["text/plain"] for line in lines]
    for picture in pictures:
        assert "waiting for Lock" not in picture
    # Of three one is not interrupted by other programs: all that is around the cell takes longer than it.
    assert any("Too short to tell" in picture for picture in pictures)
    assert not any("! tracing cost" in picture for picture in pictures if "Too short" in picture)
