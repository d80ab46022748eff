"""The example notebook about threads shows what it is made to show."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.kernel.conftest import Kernel

from concmagic.recording.cpu_time import usable_cores

NOTEBOOK = Path(__file__).parents[2] / "examples" / "threads.ipynb"
# A part of each cell's text, what must be found in it, and what must not be.
MEANT = {
    "slow server": (set(), {"gil-bound", "few-cores", "uneven-work", "gil-held-while-waiting"}),
    "def count(n)": ({"gil-bound"}, {"few-cores", "uneven-work", "gil-held-while-waiting"}),
    "def digest()": (set(), {"gil-bound", "few-cores", "oversubscribed", "gil-held-while-waiting"}),
    "def deposit()": ({"lock-convoy"}, {"gil-bound", "few-cores", "gil-held-while-waiting"}),
    "def eat(": ({"deadlock", "left-running"}, {"gil-bound", "few-cores"}),
    "def hasher()": ({"gil-bound"}, {"gil-held-while-waiting", "exception-in-thread"}),
    "def parse(": ({"exception-in-thread"}, {"gil-bound", "left-running"}),
}
TOLD = """
def shape(trace):
    waits = {trace.detail_of(one) for track in trace.tracks for one in track.states if one.reason == "socket"}
    ready = {"GIL": 0, "core": 0}
    threads = [track for track in trace.tracks if track.kind == "thread"]
    for one in (one for track in threads for one in track.states if one.state.value == "ready"):
        ready[one.reason] += one.length_ns
    return {"gil": ready["GIL"], "no core": ready["core"],
            "kinds": sorted({track.kind for track in trace.tracks}), "waits": sorted(waits),
            "parallelism": trace.metrics.parallelism, "concurrency": trace.metrics.concurrency,
            "overlap": trace.metrics.overlap, "prints": len(trace.prints),
            "lints": sorted({finding.lint for finding in trace.findings})}
"""


@pytest.mark.sampled
def test_each_cell_shows_what_it_is_made_to_show(fresh_kernel: Kernel) -> None:
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert not any(cell.get("outputs") for cell in cells)
    fresh_kernel.check(TOLD)
    cores = usable_cores()
    shown = {}
    for source in sources:
        run = fresh_kernel.run(source)
        if not source.startswith("%%"):
            continue
        assert run.status == ("error" if "--timeout" in source else "ok"), run.traceback_text
        (name,) = [part for part in MEANT if part in source]
        shown[name] = fresh_kernel.value("shape(__import__('concmagic').last())")
        found, (meant, unmeant) = set(shown[name]["lints"]), MEANT[name]
        if cores == 1:  # there it is not the GIL that keeps threads from computing, nor in a picture
            meant, unmeant = meant - {"gil-bound"}, unmeant - {"few-cores"} | {"gil-bound"}
        assert not unmeant & found, (name, found)
        # Where others have taken the cores it is not the GIL that keeps threads from computing.
        taken = shown[name]["no core"] > shown[name]["gil"] and meant == {"gil-bound"}
        assert meant <= found or taken, (name, shown[name])
    assert set(shown) == set(MEANT)
    # Four downloads at a time, each waiting at the server's address; hardly anything is computed.
    download = shown["slow server"]
    assert any(wait.startswith("127.0.0.1:") for wait in download["waits"])
    assert download["overlap"] > 3
    assert download["parallelism"] < 0.5
    # Two that count are concurrent and not parallel, and the GIL has a lane.
    assert "gil" in shown["def count(n)"]["kinds"] or shown["def count(n)"]["no core"] > 0
    assert shown["def count(n)"]["concurrency"] > 1.8
    assert shown["def count(n)"]["parallelism"] < 1.1
    assert shown["def hasher()"]["prints"] >= 3
    # Two that hash do so side by side, or on one core have too few.
    assert ("few-cores" in shown["def digest()"]["lints"]) == (cores == 1)
