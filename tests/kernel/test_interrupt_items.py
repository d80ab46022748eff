"""One click on stop reaches the items of `%%procs for` once: what they do about it runs to its end."""

from __future__ import annotations

import pytest

from conftest import Kernel

METHODS = ["fork", "spawn", "forkserver"]
# Four steps: an interrupt that came again would cut them, and so would the end of the worker.
ITEM = """
import time
try:
    print("here", n, flush=True)
    time.sleep(60)
finally:
    for step in ("cleaning", "valve shut", "data saved"):
        print(step, n, flush=True)
        time.sleep(0.3)
    print("at rest", n, flush=True)
"""
STEPS = ["here", "cleaning", "valve shut", "data saved", "at rest"]
STUBBORN = """
import hashlib, signal
signal.signal(signal.SIGINT, signal.SIG_IGN)  # as code in C that never looks
print("here", n, flush=True)
while True: hashlib.sha256(bytes(1000)).digest()
"""


def steps_of(stdout: str, item: int) -> list[str]:
    lines = (line.rpartition(" ") for line in stdout.splitlines())
    return [step for step, _, number in lines if number == str(item)]


@pytest.mark.parametrize("method", METHODS)
def test_the_clean_up_of_items_runs_to_its_end(kernel: Kernel, method: str) -> None:
    run = kernel.interrupted(
        f"%%procs -w 2 --start-method {method} for n in range(9){ITEM}", "here 0", "here 1"
    )
    assert run.ename == "KeyboardInterrupt"
    assert [steps_of(run.stdout, item) for item in range(3)] == [STEPS, STEPS, []]
    assert "src/concmagic/" not in run.traceback_text
    outcomes = "[str(job.outcome) for job in __import__('concmagic').last().jobs]"
    assert kernel.value(outcomes)[:2] == ["raised KeyboardInterrupt"] * 2
    assert kernel.value("__import__('multiprocessing').active_children()") == []


def test_a_second_click_cuts_it(kernel: Kernel) -> None:
    cell = kernel.start(f"%%procs -w 1 for n in range(3){ITEM.replace('0.3', '60')}")
    cell.wait_for("here 0")
    kernel.interrupt()
    cell.wait_for("cleaning 0")
    kernel.interrupt()
    run = cell.wait()
    assert (run.ename, steps_of(run.stdout, 0)) == ("KeyboardInterrupt", ["here", "cleaning"])
    assert kernel.value("__import__('multiprocessing').active_children()") == []


def test_a_timeout_lets_it_run(kernel: Kernel) -> None:
    run = kernel.run(f"%%procs -w 1 --timeout 1 for n in range(3){ITEM}")
    assert (run.ename, steps_of(run.stdout, 0)) == ("TimeoutError", STEPS)


def test_an_item_in_which_nothing_comes_of_the_click_is_ended(kernel: Kernel) -> None:
    run = kernel.interrupted(f"%%procs -w 2 for n in range(3){STUBBORN}", "here 0", "here 1")
    assert run.ename == "KeyboardInterrupt"
    assert kernel.value("__import__('multiprocessing').active_children()") == []
