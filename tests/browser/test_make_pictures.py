"""`make pictures` as a user types it, and what it is given wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.sample_reports import SAMPLES

ROOT = Path(__file__).parents[2]


def commands_of(target: str) -> list[str]:
    """What `make` would run for a target, its packages being there; a line each."""
    done = subprocess.run(
        ["make", "-n", "--no-print-directory", "-o", ".venv/test", "-o", "chromium", target],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


def test_make_pictures_draws_every_sample() -> None:
    (command,) = commands_of("pictures")
    _, script, *names = command.split()
    folder = ROOT / "build" / "pictures"
    for old in folder.glob("*"):
        old.unlink()
    subprocess.run([sys.executable, script, *names], cwd=ROOT, check=True, timeout=150)
    drawn = {each.name for each in folder.iterdir() if each.stat().st_size}
    wanted = (f"{name}{end}" for name in SAMPLES for end in (".svg", ".txt", "-light.png", "-dark.png"))
    assert drawn >= set(wanted)


def test_a_sample_that_is_not_there_is_one_sentence() -> None:
    command = [sys.executable, "examples/make_pictures.py", "nobody"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr.startswith("no sample is called nobody; there are ")
