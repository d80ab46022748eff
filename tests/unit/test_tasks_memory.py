"""What a long cell costs in memory: recorded, read, analysed and drawn, in a process of its own."""

from __future__ import annotations

import subprocess
import sys

_CELL = """
import contextlib, io, resource
from IPython.core.interactiveshell import InteractiveShell

shell = InteractiveShell.instance()
shell.run_line_magic("load_ext", "concmagic")
cell = '''%%asyncio_trace --detail states
import asyncio
async def turns():
    for _ in range({turns}):
        await asyncio.sleep(0)
await asyncio.gather(*[turns() for _ in range(100)]);'''
with contextlib.redirect_stdout(io.StringIO()):
    assert shell.run_cell(cell).success
import concmagic

trace = concmagic.last()
assert trace.metrics.cooperative_switches >= {turns} * 100, trace.metrics.cooperative_switches
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


def peak_of(steps: int) -> int:
    """Bytes, at most, of an interpreter that traces so many steps and draws them."""
    command = [sys.executable, "-c", _CELL.format(turns=steps // 100)]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1])


def test_a_step_of_a_long_cell_takes_few_bytes() -> None:
    few, many = peak_of(100_000), peak_of(300_000)
    assert many - few < 64 * 200_000
