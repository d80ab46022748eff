"""What a child imports for us before its target runs: little, because it waits for it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

# Each takes about half a millisecond of the start of every child: a new one has to be worth it, or be
# loaded later.
MOST_OF_OURS = 68 if sys.version_info < (3, 12) else 76

# As multiprocessing has it when a spawned child reads its first message.
_START = """
import json, sys
import multiprocessing.spawn, multiprocessing.queues, multiprocessing.synchronize
before = set(sys.modules)
from concmagic.recording.children import child_entry
from concmagic.recording.children.recorders_in_child import ChildRecorders
from concmagic.interpreter import viztracer_library as library
library.know({file!r})
recorders = ChildRecorders("auto", 300_000)
recorders.load()
recorders.start()
started = sorted(set(sys.modules) - before)
seen = recorders.stop()
import viztracer
theirs = viztracer.VizTracer(verbose=0, tracer_entries=1000)
print(json.dumps([started, seen["calls"].events, viztracer.snaptrace.Tracer is library.load().Tracer,
                  isinstance(theirs, library.load().Tracer), viztracer.snaptrace.__file__,
                  recorders.problems]))
"""

_WITH_TRIO = """
import json, sys
{first}
from concmagic.interpreter import viztracer_library as library
from concmagic.recording.calls.call_recorder import CallRecorder
{known}
calls = CallRecorder("auto")
calls.start()
len("one call")
seen = calls.stop()
print(json.dumps([library.file(), seen.events > 0, "trio" in sys.modules, list(seen.problems)]))
"""


def test_a_child_that_starts_makes_no_dataclass_and_leaves_out_what_it_does_not_need() -> None:
    from viztracer import snaptrace

    command = [sys.executable, "-c", _START.format(file=snaptrace.__file__)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    started, events, same_type, is_one, file, problems = json.loads(done.stdout)
    assert (done.stderr, problems) == ("", [])
    packages = {name.partition(".")[0] for name in started}
    ours = [name for name in started if name.partition(".")[0] == "concmagic"]
    assert len(ours) <= MOST_OF_OURS, ours
    assert not packages & {"numpy", "IPython", "cloudpickle"}
    if sys.version_info < (3, 14):  # from then on `traceback` has them
        assert not packages & {"dataclasses", "inspect"}
    assert not packages & {"viztracer", "trio", "platform"}
    assert events > 0
    # A user's own import of VizTracer goes as ever, and has that very tracer.
    assert same_type and is_one and file == snaptrace.__file__


@pytest.mark.parametrize("first", ["", "import trio", "import viztracer"])
@pytest.mark.parametrize("in_child", [False, True])
def test_trio_is_imported_only_by_who_wants_it(first: str, in_child: bool) -> None:
    from viztracer import snaptrace

    pytest.importorskip("trio")
    known = f"library.know({snaptrace.__file__!r})" if in_child else ""
    program = _WITH_TRIO.format(first=first, known=known)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    file, has_calls, has_trio, problems = json.loads(done.stdout)
    assert (done.stderr, problems, has_calls) == ("", [], True)
    assert file == snaptrace.__file__
    assert has_trio is bool(first)  # also where the user's own VizTracer imports it
