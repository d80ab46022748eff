"""What is told of a manager whose objects are used again and again."""

from __future__ import annotations

import pytest

from conftest import Kernel

CELL = """%%procs
import multiprocessing
def add_up(numbers, sums, k):
    total = 0
    for i in range({many}):
        total += numbers[i % 10] * k
    sums[k] = total
ctx = multiprocessing.get_context("{method}")
with ctx.Manager() as manager:
    numbers, sums = manager.list(range(10)), manager.dict()
    workers = [ctx.Process(target=add_up, args=(numbers, sums, k)) for k in (1, 2)]
    for w in workers: w.start()
    for w in workers: w.join()
    got = sorted(sums.keys())
got"""

WAITS_FOR_ITEMS = """%%procs
import multiprocessing, time
def feed(queue):
    for k in range(120):
        time.sleep(0.01)
        queue.put(k)
with multiprocessing.Manager() as manager:
    queue = manager.Queue()
    feeder = multiprocessing.Process(target=feed, args=(queue,))
    feeder.start()
    seen = sum(queue.get() for _ in range(120))
    feeder.join()
seen"""


def told(kernel: Kernel) -> list[tuple[str, str]]:
    expression = "[(f.message, f.hint) for f in concmagic.last().findings if f.lint == 'manager-requests']"
    found: list[tuple[str, str]] = kernel.value(expression)
    return found


@pytest.fixture(autouse=True)
def imported(kernel: Kernel) -> None:
    kernel.check("import concmagic")


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_requests_are_counted_to_the_last_and_lead(kernel: Kernel, method: str) -> None:
    """So many that the budget of time for messages is spent long before."""
    run = kernel.check(CELL.format(many=4000, method=method))
    assert run.result_text == "[1, 2]"
    ((message, hint),) = told(kernel)
    # Each process has stored its sum, too, and the cell has asked for the keys.
    assert message.startswith("2 processes waited for the manager, which answered 8,003 requests: ")
    assert "work on that copy" in hint
    assert kernel.value("concmagic.last().cost.counted_until_ns is not None")
    if method == "fork":  # to start Python twice may take longer
        assert run.displays[-1]["text/plain"].startswith("2 processes waited for the manager")


def test_a_few_requests_are_no_finding(kernel: Kernel) -> None:
    kernel.check(CELL.format(many=10, method="fork"))
    assert told(kernel) == []


def test_requests_that_wait_for_what_others_do_are_no_finding(kernel: Kernel) -> None:
    run = kernel.check(WAITS_FOR_ITEMS)
    assert run.result_text == "7140"
    assert told(kernel) == []


def test_the_managers_own_methods_are_put_back(kernel: Kernel) -> None:
    kernel.check(CELL.format(many=10, method="fork"))
    assert (
        kernel.value("multiprocessing.managers.BaseProxy._callmethod.__module__")
        == "multiprocessing.managers"
    )


def test_a_request_that_is_answered_by_an_error_counts_and_shows_no_frame_of_ours(kernel: Kernel) -> None:
    kernel.check("%load_ext concmagic")
    run = kernel.run(
        "%%procs -q -o trace\nfrom multiprocessing import Manager\nwith Manager() as manager:\n"
        "    shared = manager.dict()\n    for n in range(50):\n        try: shared[n]\n"
        "        except KeyError: pass\n    shared['missing']"
    )
    assert (run.ename, run.evalue) == ("KeyError", "'missing'")
    assert "src/concmagic/" not in run.traceback_text
    counted = kernel.value(
        "[one.steps[-1][1] for t in trace.tracks for one in t.counters if 'request' in one.name]"
    )
    assert counted == [51]
