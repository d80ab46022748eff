"""How the items of a loop run: how many at once, what a failure stops, what is told of each job."""

from __future__ import annotations

import asyncio
import itertools
import os
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest
from IPython.lib.pretty import pretty
from loop_notebook import Notebook, notebook

from concmagic.cell import Program
from concmagic.recording.tasks.task_recorder import TaskRecorder
from concmagic.records.recording import TaskLog
from concmagic.runners.loop_header import item_label, length_of
from concmagic.runners.loop_jobs import Results

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
ALL = ("threads", "asyncio", "procs")


@pytest.fixture(scope="module")
def book() -> Iterator[Notebook]:
    with notebook() as book:
        yield book


# ---- how many at once ------------------------------------------------------------------------


def test_threads_run_as_many_at_once_as_w_says(book: Notebook) -> None:
    together = threading.Barrier(3)
    book.run("threads", "-w 3 for n in range(9)", "together.wait(30)", together=together)


def test_a_body_runs_four_times_at_once(book: Notebook) -> None:
    together = threading.Barrier(4)
    found = book.run("threads", "for worker in range(4)", "together.wait(30)", together=together)
    assert sorted(found) == [0, 1, 2, 3]


def test_tasks_are_never_more_than_w_and_all_at_once_without(book: Notebook) -> None:
    body = (
        "import asyncio\nglobal inside, most\ninside += 1\nmost = max(most, inside)\n"
        "for _ in range(5):\n    await asyncio.sleep(0)\ninside -= 1"
    )
    book.run("asyncio", "-w 3 for n in range(12)", body, inside=0, most=0)
    assert book.names["most"] == 3
    book.run("asyncio", "for n in range(12)", body, inside=0, most=0)
    assert book.names["most"] == 12


def test_processes_are_as_many_as_w_says_and_not_more_than_items(book: Notebook) -> None:
    pids = book.run("procs", "-w 2 for n in range(8)", "import os\nos.getpid()")
    assert 1 <= len(set(pids)) <= 2
    assert os.getpid() not in pids
    program = book.program("procs", "-w 4 for n in range(1)", "n")
    assert book.run_program(program) == [0]
    assert len({job.pid for job in program.jobs()}) == 1


def test_items_are_read_at_most_twice_the_workers_ahead(book: Notebook) -> None:
    read: list[int] = []
    ahead: list[int] = []
    finished = itertools.count(1)

    def items() -> Iterator[int]:
        for n in range(40):
            read.append(n)
            yield n

    def note() -> None:
        ahead.append(len(read) - next(finished) + 1)

    book.run("threads", "-w 2 for n in items()", "note()", items=items, note=note)
    assert len(read) == 40
    assert max(ahead) <= 5  # 2 workers × 2, and the one being read


def test_an_endless_iterable_ends_with_the_first_failure(book: Notebook) -> None:
    for model in ALL:
        with pytest.raises(ZeroDivisionError) as caught:
            book.run(model, "-w 2 for n in itertools.count()", "1 / (9 - n)", itertools=itertools)
        assert caught.value.__notes__ == ["item 10: n=9"]


# ---- failures --------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ALL)
def test_the_first_failure_in_item_order_is_raised_with_its_item(book: Notebook, model: str) -> None:
    program = book.program(model, "-w 2 for url in ['a', 'b', '', 'd']", "url[0]")
    with pytest.raises(IndexError) as caught:
        book.run_program(program)
    assert caught.value.__notes__ == ["item 3 of 4: url=''"]
    assert [job.outcome for job in program.jobs()][:3] == ["returned", "returned", "raised IndexError"]


def test_after_a_failure_nothing_new_starts_and_what_runs_ends(book: Notebook) -> None:
    body = (
        "if n == 0:\n    begun.wait(30)\n    raise ValueError(n)\n"
        "elif n == 1:\n    begun.set()\n    stopped.wait(30)\nran.append(n)"
    )
    begun, stopped, ran = threading.Event(), threading.Event(), []
    program = book.program("threads", "-w 2 for n in items()", body)

    def items() -> Iterator[int]:
        yield from range(4)
        stopped.set()

    book.names.update(begun=begun, stopped=stopped, ran=ran, items=items)
    # The second worker is let go only after the first has failed.
    threading.Thread(target=lambda: (begun.wait(30), _until_failed(program), stopped.set())).start()
    with pytest.raises(ValueError, match="0"):
        book.run_program(program)
    assert ran == [1]
    assert [job.outcome for job in program.jobs()][:2] == ["raised ValueError", "returned"]
    assert {job.outcome for job in program.jobs()[2:]} <= {"not started"}


def _until_failed(program: Any) -> None:
    limit = threading.Event()
    while not any(job.outcome == "raised ValueError" for job in program.jobs()):
        limit.wait(0.01)


def test_tasks_in_flight_are_cancelled_by_a_failure_and_waited_for(book: Notebook) -> None:
    body = (
        "import asyncio\nif n == 2:\n    raise ValueError(n)\n"
        "try:\n    await asyncio.Event().wait()\nfinally:\n    await asyncio.sleep(0)\n    ended.append(n)"
    )
    ended: list[int] = []
    program = book.program("asyncio", "for n in range(5)", body)
    book.names["ended"] = ended
    with pytest.raises(ValueError) as caught:
        book.run_program(program)
    assert caught.value.__notes__ == ["item 3 of 5: n=2"]
    assert sorted(ended) == [0, 1]
    assert [job.outcome for job in program.jobs()] == [
        "cancelled",
        "cancelled",
        "raised ValueError",
        "not started",
        "not started",
    ]


def test_a_failure_ends_an_async_for_that_waits_for_its_next_item(book: Notebook) -> None:
    async def feed() -> Any:
        yield 1
        await asyncio.Event().wait()

    with pytest.raises(ZeroDivisionError):
        book.run("asyncio", "async for n in feed()", "1 / (n - 1)", feed=feed)


@pytest.mark.parametrize("model", ALL)
def test_keep_going_runs_all_and_raises_one_group_in_item_order(book: Notebook, model: str) -> None:
    with pytest.raises(ExceptionGroup, match="2 of 5 items failed") as caught:
        book.run(model, "-w 2 --keep-going -r out for n in range(5)", "{1: 'a', 3: 'b', 4: 'c'}[n]")
    errors = caught.value.exceptions
    assert [type(error) for error in errors] == [KeyError, KeyError]
    assert [error.__notes__ for error in errors] == [["item 1 of 5: n=0"], ["item 3 of 5: n=2"]]
    assert [value if isinstance(value, str) else type(value) for value in book.names["out"]] == [
        KeyError,
        "a",
        KeyError,
        "b",
        "c",
    ]


@pytest.mark.parametrize("model", ALL)
def test_system_exit_of_an_item_is_raised_in_the_cell(book: Notebook, model: str) -> None:
    with pytest.raises(SystemExit) as caught:
        book.run(model, "-w 2 for n in range(4)", "if n == 1:\n    raise SystemExit(3)")
    assert caught.value.code == 3
    assert caught.value.__notes__ == ["item 2 of 4: n=1"]


@pytest.mark.parametrize("model", ALL)
def test_an_error_of_the_iterable_comes_after_what_runs(book: Notebook, model: str) -> None:
    def items() -> Iterator[int]:
        yield 1
        raise LookupError("no more")

    program = book.program(model, "-w 2 for n in items()", "n")
    book.names["items"] = items
    with pytest.raises(LookupError, match="no more"):
        book.run_program(program)
    if model != "asyncio":  # whose tasks have not had a turn yet
        assert [job.outcome for job in program.jobs()] == ["returned"]


def test_a_cancelled_loop_cancels_its_tasks_and_ends_with_them(book: Notebook) -> None:
    body = (
        "import asyncio\ntry:\n    started()\n    await asyncio.Event().wait()\nfinally:\n    ended.append(n)"
    )
    program = book.program("asyncio", "for n in range(3)", body)
    ended: list[int] = []

    async def main() -> None:
        begun = asyncio.Semaphore(0)
        book.names.update(started=begun.release, ended=ended)
        task = asyncio.ensure_future(program.run())
        for _ in range(3):
            await begun.acquire()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())
    assert sorted(ended) == [0, 1, 2]
    assert {job.outcome for job in program.jobs()} == {"cancelled"}


@pytest.mark.parametrize("limit", ["", "-w 1 "])
def test_a_task_that_awaits_a_cancelled_one_fails_and_does_not_hang(book: Notebook, limit: str) -> None:
    body = "import asyncio\nf = asyncio.get_running_loop().create_future()\nf.cancel()\nawait f"
    with pytest.raises(asyncio.CancelledError):
        book.run("asyncio", f"{limit}for n in range(3)", body)


# ---- what is told of the jobs ----------------------------------------------------------------


@pytest.mark.parametrize("model", ALL)
def test_every_item_has_a_job_with_its_times_and_place(book: Notebook, model: str) -> None:
    program = book.program(model, "-w 2 for n in range(5)", "n")
    book.run_program(program)
    jobs = program.jobs()
    assert [(job.index, job.label, job.outcome) for job in jobs] == [
        (n, f"n={n}", "returned") for n in range(5)
    ]
    assert all(job.submitted_ns <= job.started_ns <= job.ended_ns for job in jobs)
    assert all((job.pid == os.getpid()) is (model != "procs") for job in jobs)
    assert all(job.native_id for job in jobs)
    assert {job.submitter for job in jobs} == {threading.get_native_id()}


def recorded_tasks_of(book: Notebook, program: Program, fails_with: type[Exception] | None = None) -> TaskLog:
    """What is recorded of its tasks while a program runs."""
    recorder = TaskRecorder()
    recorder.start()
    try:
        with pytest.raises(fails_with) if fails_with else nullcontext():
            book.run_program(program)
    finally:
        log = recorder.stop()
    return log


def test_a_job_under_asyncio_carries_the_number_of_its_recorded_task(book: Notebook) -> None:
    program = book.program("asyncio", "for n in range(3)", "import asyncio\nawait asyncio.sleep(0)")
    log = recorded_tasks_of(book, program)
    named = {task.number: task for task in log.tasks}
    for job in program.jobs():
        assert named[job.task].name == job.label
        assert named[job.task].coroutine == "the loop body"
        assert named[job.task].outcome == "returned"


def test_the_reason_and_line_of_an_items_wait_are_found(book: Notebook) -> None:
    program = book.program("asyncio", "for n in range(1)", "import asyncio\nawait asyncio.sleep(0.001)")
    log = recorded_tasks_of(book, program)
    (task,) = [task for task in log.tasks if task.number == program.jobs()[0].task]
    waits = [wake.wait for wake in task.wakes if wake.wait is not None]
    assert [(wait.reason, wait.line) for wait in waits] == [("sleep", 3)]


def test_the_task_of_a_failed_item_has_failed(book: Notebook) -> None:
    program = book.program("asyncio", "for n in range(1)", "1 / n")
    log = recorded_tasks_of(book, program, ZeroDivisionError)
    (task,) = [task for task in log.tasks if task.number == program.jobs()[0].task]
    assert task.outcome == "raised ZeroDivisionError"


def test_workers_are_recorded_as_threads_of_the_users(book: Notebook) -> None:
    from concmagic.recording.threads.thread_recorder import ThreadRecorder

    recorder = ThreadRecorder()
    recorder.start()
    try:
        book.run("threads", "-w 2 for n in range(4)", "n")
    finally:
        records = recorder.stop()
    workers = [(record.name, record.origin) for record in records if record.name.startswith("worker-")]
    assert sorted(workers) == [("worker-1", "user"), ("worker-2", "user")]


def test_no_thread_and_no_process_is_left(book: Notebook) -> None:
    import multiprocessing

    before = set(threading.enumerate())
    for model in ALL:
        book.run(model, "-w 3 for n in range(6)", "n")
        with pytest.raises(ZeroDivisionError):
            book.run(model, "-w 3 for n in range(6)", "1 / n")
    assert set(threading.enumerate()) <= before  # one of an earlier test may have ended by itself
    assert multiprocessing.active_children() == []


# ---- labels and values -----------------------------------------------------------------------


class Hostile:
    def __repr__(self) -> str:
        raise RuntimeError

    def __len__(self) -> int:
        raise RuntimeError


class Lines:
    def __repr__(self) -> str:
        return "Lines(\n  x)" + "y" * 500


@pytest.mark.parametrize(
    ("names", "item", "label"),
    [
        (("n",), 3, "n=3"),
        (("url",), "https://example.org/a/very/long/path", "url='https://example.…ong/path'"),
        (("a", "b"), (1, "x"), "a=1, b='x'"),
        (("a", "b"), {1: 2}, "{1: 2}"),
        (("x",), Hostile(), "x=Hostile(…)"),
        (("x",), object(), "x=object(…)"),
    ],
)
def test_items_are_labelled_by_a_shortened_repr(names: tuple[str, ...], item: object, label: str) -> None:
    assert item_label(names, item) == label


def test_a_long_repr_is_one_short_line() -> None:
    label = item_label(("x",), Lines())
    assert label.startswith("x=Lines( x)yyy")
    assert len(label) <= 60


def test_the_length_is_known_only_where_it_can_be() -> None:
    assert length_of(range(3)) == 3
    assert length_of(iter([1])) is None
    assert length_of(Hostile()) is None


def test_results_are_a_list_that_is_shown_abbreviated() -> None:
    assert pretty(Results([1, None, "a"])) == "[1, None, 'a']"
    long = Results(range(200))
    assert pretty(long) == "[0, 1, 2, 3, 4, 5, … 192 more …, 198, 199]"
    assert long == list(range(200))
    assert repr(Results([1])) == "[1]"
    rows = {number: f"value {number}" for number in range(9)}
    assert pretty(Results([rows, rows])) == pretty([rows, rows])
    text = pretty(Results(["x" * 5_000]))
    assert text == f"['{'x' * 1_799}… 3,002 more characters …{'x' * 199}']"
    itself = Results()
    itself.append(itself)
    assert pretty(itself) == "[[...]]"
