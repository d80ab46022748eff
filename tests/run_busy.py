"""Runs a part of the suite beside eight busy loops, and appends what came of it to a log.

    python tests/run_busy.py unit|kernel|browser [LOG] [pytest's own arguments]

A test that fails here asserts the wrong thing, or shows that the product is wrong on a busy machine.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

PARTS = ("unit", "kernel", "browser")
LOOPS = 8
ROOT = Path(__file__).parent
# Ends by itself where its parent is gone: then it has another one.
_LOOP = "import os, sys\nwhile os.getppid() == int(sys.argv[1]):\n    for _ in range(1_000_000): pass"


@contextmanager
def busy(loops: int = LOOPS) -> Iterator[None]:
    """As many processes that compute, until the block is left."""
    command = [sys.executable, "-c", _LOOP, str(os.getpid())]
    running = [subprocess.Popen(command) for _ in range(loops)]
    try:
        yield
    finally:
        for loop in running:
            loop.kill()
            loop.wait()


def run(part: str, arguments: Sequence[str]) -> tuple[int, list[str]]:
    """Pytest's exit code, and the lines of its summary."""
    command = [sys.executable, "-m", "pytest", "-q", "-rf", str(ROOT / part), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as pytest:
        lines = []
        for line in pytest.stdout or ():
            print(line, end="", flush=True)
            lines.append(line.rstrip())
    last = [line for line in lines if " passed" in line or " failed" in line or " error" in line][-1:]
    return pytest.returncode, [line for line in lines if line.startswith(("FAILED ", "ERROR "))] + last


def main(part: str, log: Path, arguments: Sequence[str]) -> int:
    """Run, and write down when, where, how loaded, and what failed."""
    begun, when = time.monotonic(), datetime.now(UTC)
    with busy():
        code, told = run(part, arguments)
        load = os.getloadavg()[0]
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as file:
        where = f"Python {platform.python_version()}, {os.cpu_count()} cores, load {load:.1f}"
        seconds = time.monotonic() - begun
        print(f"{when:%Y-%m-%d %H:%M} {part}: {where}, {seconds:.0f} s, exit code {code}", file=file)
        print("".join(f"    {line}\n" for line in told), end="", file=file)
    return code


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in PARTS:
        sys.exit(__doc__)
    where_to = Path(sys.argv[2]) if len(sys.argv) > 2 else ROOT.parent / "build" / "busy.log"
    sys.exit(main(sys.argv[1], where_to, sys.argv[3:]))
