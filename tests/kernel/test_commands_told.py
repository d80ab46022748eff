"""What is told of commands that a cell runs: their names, how they ended and who meant them to."""

from __future__ import annotations

import pytest
from tests.kernel.conftest import Kernel

HEAD = "%%timeline -q -o traced\nimport asyncio, subprocess, sys\nSLEEP = ['sleep', '600']\n"
PIPE = "stdin=subprocess.PIPE"

# The cell itself ends what it has started.
ENDED = {
    "timeout": "try:\n    subprocess.run(SLEEP, timeout=0.2)\nexcept subprocess.TimeoutExpired: pass",
    "kill": "p = subprocess.Popen(SLEEP)\np.kill()\np.wait()",
    "terminate": "with subprocess.Popen(SLEEP) as p:\n    p.terminate()",
    "check_output": "try:\n    subprocess.check_output(SLEEP, timeout=0.2)\n"
    "except subprocess.TimeoutExpired: pass",
    "asyncio": "p = await asyncio.create_subprocess_exec(*SLEEP)\np.kill()\nawait p.wait()",
    "asyncio's terminate": "p = await asyncio.create_subprocess_exec(*SLEEP)\np.terminate()\nawait p.wait()",
}
NAMES = {
    "[sys.executable, '-m', 'calendar', '2020']": "-m calendar",
    "[sys.executable, '-c', 'pass']": "-c",
    "['true', 'more']": "true",
    "'true  and more; false', shell=True": "true and more; false",
}


def commands(kernel: Kernel) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = kernel.value(
        "[(t.name, str(t.outcome)) for t in traced.tracks if t.kind == 'process' and t.parent is not None]"
    )
    return found


def died(kernel: Kernel) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = kernel.value(
        "[(f.severity, f.message) for f in traced.findings if f.lint == 'child-died']"
    )
    return found


@pytest.mark.parametrize("body", ENDED.values(), ids=ENDED)
def test_a_command_that_the_cell_ends_is_called_that(kernel: Kernel, body: str) -> None:
    kernel.check(HEAD + body)
    ((_, outcome),) = commands(kernel)
    assert outcome == "ended by the cell"
    assert died(kernel) == []


def test_a_command_that_ends_itself_by_a_signal_was_killed(kernel: Kernel) -> None:
    """Also where the cell sent it another one, or none that ends."""
    kills = "import os, sys; sys.stdin.readline(); os.kill(os.getpid(), 9)"
    kernel.check(
        f"{HEAD}import signal\np = subprocess.Popen([sys.executable, '-c', {kills!r}], {PIPE})\n"
        "p.send_signal(signal.SIGCONT)\np.communicate(b'now')"
    )
    assert [outcome for _, outcome in commands(kernel)] == ["killed by SIGKILL"]
    assert [severity for severity, _ in died(kernel)] == ["warning"]


@pytest.mark.parametrize("run", ["subprocess.run", "await asyncio.create_subprocess_exec"])
def test_a_program_that_does_not_exist_could_not_be_started(kernel: Kernel, run: str) -> None:
    """Which children the cell had started before is of no matter."""
    words = "['no-such-program']" if "run" in run else "'no-such-program'"
    kernel.check(f"{HEAD}try:\n    {run}({words})\nexcept FileNotFoundError: pass")
    assert commands(kernel) == [("no-such-program", "not started")]
    assert died(kernel) == [("note", "no-such-program could not be started.")]


@pytest.mark.parametrize(("words", "name"), NAMES.items(), ids=NAMES.values())
def test_a_command_is_named_by_what_it_runs(kernel: Kernel, words: str, name: str) -> None:
    kernel.check(f"{HEAD}subprocess.run({words}, stdout=subprocess.DEVNULL)")
    ((found, _),) = commands(kernel)
    assert found.removeprefix("python").lstrip("3.1245 ") == name
