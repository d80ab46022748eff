"""The soak finds what is planted in the kernel it soaks, and nothing in the cells before."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
# The first cells of this seed are short, and have no fault and no click. What is planted shows in one cell
# each (tests/soak/plants.py): a patched function is left, a value is changed, a lock is kept.
SEED = 1407
FOUND = {3: "left behind: {'patched'", 4: "instead of", 6: "did not end"}
PATIENCE_S = 15


def test_planted_faults_are_found_where_they_are() -> None:
    command = [sys.executable, "-m", "tests.soak", "--seed", str(SEED), "--cell", f"1-{max(FOUND)}"]
    planted = ["--patience", str(PATIENCE_S), "--plant", "hook", "value", "lock"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    environment.pop("PYTEST_CURRENT_TEST", None)
    done = subprocess.run(
        [*command, *planted], capture_output=True, text=True, cwd=ROOT, env=environment, timeout=170
    )
    told = done.stdout + done.stderr
    assert done.returncode == 1, told
    failed = {int(number): words for number, words in re.findall(r"CELL=(\d+) (.*)", done.stdout)}
    assert {1, 2}.isdisjoint(failed), told
    for number, words in FOUND.items():
        assert words in failed.get(number, ""), told
