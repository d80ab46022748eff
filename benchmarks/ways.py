"""The ways a cell is run: as it stands, under concmagic, and under the other tools.

Each way has a kernel of its own: what VizTracer leaves behind slows every later cell of a kernel
(on 3.11 its profile hook stays with `threading`), which would flatter whoever is measured after it.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from dataclasses import dataclass

from cells import BenchCell
from concmagic.interpreter.viztracer_tracer import LEFT_OUT
from concmagic.recording.calls import BUFFER_LIMIT
from concmagic.recording.calls.call_recorder import SPARE_ENTRIES

# Those that concmagic itself gives its tracer.
_OPTIONS = {"tracer_entries": BUFFER_LIMIT + SPARE_ENTRIES[0], "exclude_files": list(LEFT_OUT)}

# The collection ends the tracer before: on 3.11 one that dies later ends the next one's recording of threads.
_BARE = """\
import gc as _gc, time as _time
_gc.collect()
_tracer = VizTracer(verbose=0, register_global=False, **{options!r})
_tracer.start()
{body}
_tracer.stop()
_began = _time.perf_counter()
_events = _tracer.load()
load_seconds = _time.perf_counter() - _began
_tracer.clear()
del _tracer, _events
"""

_ASYNC_FLOW = """\
async def _whole():
    global began, ended, cpu_began, cpu_ended, children_began, children_ended, {names}
{body}
_flow = await AsyncFlow.trace(_whole())
"""


def _async_flow(cell: BenchCell) -> str:
    if not cell.awaits:
        return "raise TypeError('AsyncFlow runs coroutines')"
    return _ASYNC_FLOW.format(body=textwrap.indent(cell.timed, "    "), names="asyncio, time")


@dataclass(frozen=True)
class Way:
    """A tool, what its kernel needs first, and how a cell is put to it."""

    name: str
    setup: str
    wrap: Callable[[BenchCell], str]


PLAIN = Way("plain", "", lambda cell: cell.timed)
STATES = Way("states", "%load_ext concmagic", lambda cell: f"%%{cell.magic} --detail states\n{cell.timed}")
CALLS = Way("calls", "%load_ext concmagic", lambda cell: f"%%{cell.magic} --detail calls\n{cell.timed}")
AUTO = Way("auto", "%load_ext concmagic", lambda cell: f"%%{cell.magic}\n{cell.timed}")
BARE = Way(
    "bare VizTracer",
    "from viztracer import VizTracer",
    lambda cell: _BARE.format(body=cell.timed, options=_OPTIONS),
)
BARE_CHILDREN = Way("bare VizTracer in each child", "bare = True", lambda cell: cell.timed)
VIZTRACER = Way("%%viztracer", "%load_ext viztracer", lambda cell: f"%%viztracer\n{cell.timed}")
PYINSTRUMENT = Way("%%pyinstrument", "%load_ext pyinstrument", lambda cell: f"%%pyinstrument\n{cell.timed}")
ASYNC_FLOW = Way("AsyncFlow", "from wigglystuff import AsyncFlow", _async_flow)

# What stands in the table, each over plain.
COMPARED = (STATES, CALLS, BARE, VIZTRACER, PYINSTRUMENT, ASYNC_FLOW)
