"""`%timeline --doctor`: what a bug report needs, in a kernel."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.kernel.conftest import Kernel, running_kernel

from concmagic import doctor, sentences
from concmagic.interpreter import borrowing

# The loop that runs in the kernel does not ask for it, and what is traced is told that it is missing.
BROKEN = "import asyncio.tasks\ndel asyncio.tasks._leave_task"


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with running_kernel(tmp_path_factory.mktemp("kernel")) as running:
        running.check("%load_ext concmagic")
        yield running


def test_it_shows_versions_and_a_table(kernel: Kernel) -> None:
    run = kernel.check("%timeline --doctor")
    (shown,) = run.outputs
    text, page = shown["data"]["text/plain"], shown["data"]["text/html"]
    for each in ("concmagic", "viztracer", "ipython", "ipykernel", "platform"):
        assert each in text and each in page
    needed = [row for row in doctor.TABLE if row.here()]
    assert page.count("<tr>") == len(needed) + 1
    assert all(sentences.CAPABILITIES[row.name][0] in text for row in needed)
    assert sentences.DOCTOR_NO_LAST in text
    if not borrowing.FREE_THREADED:
        assert sentences.DOCTOR_ALL_WORKS in text
    assert "<script" not in page and run.stderr == ""


def test_it_runs_beside_cells_and_tells_what_the_last_one_lost(kernel: Kernel) -> None:
    kernel.check("%%timeline -q\nimport asyncio\nasyncio.run(asyncio.sleep(0))")
    kernel.check("import asyncio\nbefore = asyncio.current_task(), asyncio.get_running_loop()")
    run = kernel.check("%timeline --doctor\nassert before[1] is asyncio.get_running_loop()")
    assert sentences.DOCTOR_LAST_WELL in run.outputs[0]["text"]
    assert kernel.check("%%asyncio_trace -q\nawait asyncio.sleep(0)\n5").result_text == "5"


def test_a_broken_capability_is_named_with_what_is_lost(tmp_path: Path) -> None:
    with running_kernel(tmp_path) as kernel:
        kernel.check(f"{BROKEN}\n%load_ext concmagic")
        run = kernel.check("%timeline --doctor")
        title, lost = sentences.CAPABILITIES["running loops"]
        text = run.outputs[0]["text"]
        assert f"{title}: FAILS (_leave_task" in text and lost in text
        assert "asyncio.tasks._leave_task" in text.partition(sentences.DOCTOR_LACKS)[2]
        assert sentences.DOCTOR_ALL_WORKS not in text
