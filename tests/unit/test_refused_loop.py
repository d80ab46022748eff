"""What the picture says first where a loop could not be run."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from concmagic.runners.kernel_loop import remedy

CAUSE = "while the loop that the notebook itself runs on is running:"
CALLS = {
    "loop.run_until_complete(c)": f"This cell calls loop.run_until_complete {CAUSE} write `await c` instead.",
    "loop.run_until_complete(\n        first_of(\n        c, 1))": (
        f"This cell calls loop.run_until_complete {CAUSE} write `await first_of(c, 1)` instead."
    ),
    "asyncio.run(c)": f"This cell calls asyncio.run {CAUSE} write `await c` instead.",
    "loop._check_running()": (
        f"This cell calls a function that runs an event loop {CAUSE}"
        " await what is to end it, `await asyncio.Event().wait()` instead."
    ),
}


@pytest.mark.parametrize("call", CALLS)
def test_it_names_the_call_and_what_to_write(tmp_path: Path, call: str) -> None:
    file = tmp_path / "cell.py"
    file.write_text(
        "import asyncio\ndef first_of(c, n):\n    return c\n"
        "async def main():\n    loop = asyncio.get_running_loop()\n"
        f"    c = loop.create_future()\n    try:\n        {call}\n    finally:\n        c.cancel()\n"
    )
    names: dict[str, object] = {}
    exec(compile(file.read_text(), str(file), "exec"), names)
    with pytest.raises(RuntimeError) as caught:
        asyncio.run(names["main"]())  # type: ignore[operator]
    assert remedy(caught.value, (str(file),)) == CALLS[call]


@pytest.mark.parametrize("error", [None, ValueError("event loop is already running"), RuntimeError("no")])
def test_other_errors_need_no_remedy(error: BaseException | None) -> None:
    assert remedy(error, ()) == ""
