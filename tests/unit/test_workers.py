"""Workers that share tests: one that crashes and one that hangs are told, and all other tests are run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = """
import os, threading, pytest

@pytest.mark.timeout(1)
def test_hangs(): threading.Event().wait()

def test_crashes(): os.kill(os.getpid(), 9)

@pytest.mark.parametrize("number", range(8))
def test_runs(number): pass

def test_crashes_at_the_end(): os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize("folder", ["unit", "kernel"])
def test_what_hangs_or_crashes_is_told_and_the_others_run(folder: str, tmp_path: Path) -> None:
    file = tmp_path / "tests" / folder / "test_some.py"
    file.parent.mkdir(parents=True)
    file.write_text(TESTS)
    (tmp_path / "pytest.ini").write_text(f"[pytest]\npythonpath = {Path(__file__).parents[1]}\n")
    (tmp_path / "conftest.py").write_text("from workers import *\n")
    command = [sys.executable, "-m", "pytest", "-p", "xdist", "-p", "pytest_timeout", "-n", "2"]
    around = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "COLUMNS": "200"}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, env=around)
    lost = re.findall(r"^FAILED \S+::(\w+) - (.*)", done.stdout, re.MULTILINE)
    assert {name: "crashed" if "crashed" in why else why for name, why in lost} == {
        "test_hangs": "Failed: Timeout (>1.0s) from pytest-timeout.",
        "test_crashes": "crashed",
        "test_crashes_at_the_end": "crashed",
    }, done.stdout + done.stderr
    assert "3 failed, 8 passed" in done.stdout
    assert done.returncode == 1
