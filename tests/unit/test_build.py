"""What is asked of the interpreter's build."""

from __future__ import annotations

import subprocess
import sys
import sysconfig

from concmagic.interpreter import borrowing


def test_a_free_threaded_build_is_one_whether_or_not_its_gil_is_on() -> None:
    assert bool(sysconfig.get_config_var("Py_GIL_DISABLED")) == borrowing.FREE_THREADED


def test_to_ask_imports_nothing() -> None:
    program = (
        "import sys, typing, contextlib, concmagic.interpreter, concmagic.problems; "
        "before = set(sys.modules); "
        "import concmagic.interpreter.borrowing; "
        "print(*sorted(set(sys.modules) - before))"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["concmagic.interpreter.borrowing"]
