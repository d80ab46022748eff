"""All of ours read the clock through one module, which nobody can freeze."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import concmagic

ROOT = Path(concmagic.__file__).parent
MODULES = sorted(str(path.relative_to(ROOT)) for path in ROOT.rglob("*.py"))
# What moves when a clock is read: none of it stands still under freezegun or a patch by hand.
READ_TWICE = """
from concmagic import clock
def read():
    return [getattr(clock, name)() for name in (
        "monotonic", "monotonic_ns", "process_time_ns", "thread_time", "thread_time_ns")]
def moves():
    first = read()
    sum(range(200_000))
    clock.sleep(0.001)
    return all(0 < after - before < 10**10 for before, after in zip(first, read()))
"""
FREEZE_BY_HAND = """
import time
for name in ("time", "monotonic", "monotonic_ns", "perf_counter", "process_time_ns", "thread_time",
             "thread_time_ns", "sleep"):
    setattr(time, name, lambda *_: 0)
"""
FREEZERS = {
    "freezegun": "from freezegun import freeze_time; freeze_time('2020-01-01').start()",
    "freezegun with asyncio real": (
        "from freezegun import freeze_time; freeze_time('2020-01-01', real_asyncio=True).start()"
    ),
    "time-machine": "import time_machine; time_machine.travel('2020-01-01', tick=False).start()",
    "by hand": FREEZE_BY_HAND,
}


@pytest.mark.parametrize("module", MODULES)
def test_no_other_module_reads_a_clock(module: str) -> None:
    tree = ast.parse((ROOT / module).read_text(encoding="utf-8"))
    imported = {
        name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module] if isinstance(node, ast.ImportFrom) else [one.name for one in node.names])
    }
    assert module == "clock.py" or imported.isdisjoint({"time", "_time", "datetime"})


def test_only_what_stands_in_for_the_loops_own_timer_sees_the_users_time() -> None:
    asking = {module for module in MODULES if "users_time" in (ROOT / module).read_text(encoding="utf-8")}
    assert asking == {"clock.py", "interpreter/task_scheduling.py"}


@pytest.mark.parametrize("order", ["frozen before", "frozen after"])
@pytest.mark.parametrize("freezer", FREEZERS)
def test_a_frozen_clock_does_not_reach_ours(freezer: str, order: str) -> None:
    parts = [READ_TWICE, FREEZERS[freezer]]
    if order == "frozen before":
        parts.reverse()
    program = "\n".join([*parts, "print(moves())"])
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (ran.stdout, ran.stderr) == ("True\n", "")


def test_it_is_the_clock_that_everybody_else_has() -> None:
    import time

    from concmagic import clock

    before, ours, after = time.monotonic_ns(), clock.monotonic_ns(), time.monotonic_ns()
    assert before <= ours <= after
    assert clock.monotonic_ns.__name__ == "monotonic_ns"
