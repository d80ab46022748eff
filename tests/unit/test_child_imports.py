"""What a child imports for us before its target runs: little, because it waits for it."""

from __future__ import annotations

import json
import subprocess
import sys

# As multiprocessing has it when a spawned child reads its first message.
_START = """
import json, sys
import multiprocessing.spawn, multiprocessing.queues, multiprocessing.synchronize
before = set(sys.modules)
from concmagic.recording.children import inside
from concmagic.recording.children.recorders import ChildRecorders
from concmagic.recording.calls import library
library.know({file!r})
recorders = ChildRecorders("auto", 300_000)
recorders.load()
recorders.start()
started = sorted(set(sys.modules) - before)
seen = recorders.stop()
import viztracer
print(json.dumps([started, seen["calls"].events, viztracer.VizTracer(verbose=0) is not None,
                  sys.modules["viztracer.snaptrace"].__file__, recorders.problems]))
"""


def test_a_child_that_starts_makes_no_dataclass_and_leaves_out_what_it_does_not_need() -> None:
    from viztracer import snaptrace

    command = [sys.executable, "-c", _START.format(file=snaptrace.__file__)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    started, events, imports_later, file, problems = json.loads(done.stdout)
    assert (done.stderr, problems) == ("", [])
    packages = {name.partition(".")[0] for name in started}
    assert not packages & {"numpy", "IPython", "cloudpickle"}
    if sys.version_info < (3, 14):  # from then on `traceback` has them
        assert not packages & {"dataclasses", "inspect"}
    assert [name for name in started if name.startswith("viztracer")] == ["viztracer.snaptrace"]
    assert events > 0
    # A user's own import of VizTracer finds that very module.
    assert imports_later and file == snaptrace.__file__
