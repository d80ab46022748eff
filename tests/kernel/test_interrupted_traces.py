"""What the trace tells of a cell that was stopped: what ran, which task held the loop, who stopped whom."""

from __future__ import annotations

from typing import Any

import pytest
from interrupts import STILL

from conftest import Kernel

pytestmark = pytest.mark.kernel

GROUP = (
    "async def rude():\n    say_when_still()\n    time.sleep(60)\n"
    "async def polite():\n    await asyncio.sleep(60)\n"
    "async def main():\n    async with asyncio.TaskGroup() as g:\n"
    "        g.create_task(polite())\n        g.create_task(rude())\n"
)
ENDS = "{t.name: (str(t.outcome), last().trace.detail_of(t)) for t in last().tasks}"


@pytest.fixture(autouse=True)
def ready(kernel: Kernel) -> None:
    kernel.check(
        "import asyncio, concmagic, sys, threading, time\nfrom concmagic.sentences import raised_in\n"
        + STILL
        + "class Last:\n    def __init__(self):\n"
        "        self.trace = concmagic.last()\n"
        "        self.tasks = [t for t in self.trace.tracks if t.kind == 'task']\n"
        "last = Last"
    )


def longest(kernel: Kernel, name: str) -> Any:
    """State, reason and line of the longest stretch of a task."""
    found = f"max(next(t for t in last().tasks if t.name == {name!r}).states, key=lambda one: one.length_ns)"
    return kernel.value(f"[(one.state.value, one.reason, one.line) for one in [{found}]][0]")


@pytest.mark.parametrize("form", ["await main()", "asyncio.run(main())"])
@pytest.mark.parametrize("detail", ["calls", "states"])
def test_an_interrupt_shows_which_task_was_on_the_loop(kernel: Kernel, form: str, detail: str) -> None:
    run = kernel.interrupted(f"%%asyncio_trace -q --detail {detail}\n{GROUP}{form}")
    assert run.ename == "KeyboardInterrupt"
    assert longest(kernel, "rude")[0] == "blocking"
    assert longest(kernel, "polite") == ("waiting", "sleep", 6)
    if detail == "calls":
        assert longest(kernel, "rude") == ("blocking", "time.sleep", 4)
    ends = kernel.value(ENDS)
    assert kernel.value("str(last().trace.outcome)") == "interrupted"
    if form == "await main()":
        assert ends["cell"] == ("interrupted", "")
        assert ends["polite"] == ("cancelled", "by the interrupt")
    else:
        assert (ends["rude"][0], ends["main"][0]) == ("interrupted", "interrupted")
        assert kernel.value("[raised_in(t.traceback) for t in last().tasks if t.name == 'rude']") == [
            "line 4 in rude"
        ]
    # Python's own mark on what an interrupt struck is no mistake of the cell's.
    assert "exception-never-retrieved" not in kernel.value("[f.lint for f in last().trace.findings]")


def test_a_timeout_of_the_cell_is_who_cancelled_its_tasks(kernel: Kernel) -> None:
    kernel.run(
        "%%asyncio_trace -q --timeout 0.3\nasync def polite():\n    await asyncio.sleep(60)\nawait polite()"
    )
    assert kernel.value(ENDS) == {"cell": ("raised TimeoutError", "")}
    kernel.run(
        "%%asyncio_trace -q --timeout 0.3\nasync def polite():\n    await asyncio.sleep(60)\n"
        "task = asyncio.create_task(polite())\nawait asyncio.Event().wait()"
    )
    assert kernel.value(ENDS)["polite"] == ("cancelled", "by --timeout")


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        ("await asyncio.sleep(0)\n1 / 0", "raised ZeroDivisionError"),
        ("await asyncio.sleep(0)", "returned"),
        ("await asyncio.sleep(0)\nsys.exit(1)", "raised SystemExit"),
    ],
)
def test_the_cells_own_task_ends_as_the_cell_does(kernel: Kernel, body: str, outcome: str) -> None:
    kernel.run(f"%%asyncio_trace -q\n{body}")
    assert kernel.value(ENDS) == {"cell": (outcome, "")}
