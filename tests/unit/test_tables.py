"""A trace's tables hold what the trace holds."""

import numpy as np
import pytest

from concmagic.errors import ConcMagicError
from concmagic.model.tables import to_pandas
from concmagic.model.trace import Facts, Flow, Function, Slices, State, StateInterval, Trace, Track


def make_trace() -> Trace:
    states = (
        StateInterval(0, 5, State.RUNNING),
        StateInterval(5, 9, State.WAITING, "sleep", Facts(delay_ns=4), line=3),
    )
    tracks = (
        Track(0, "process", "kernel", None, "work", 0, None),
        Track(1, "thread", "MainThread", 0, "work", 0, 9, states, outcome="returned"),
    )
    slices = Slices(
        np.array([1], np.int32),
        np.array([0]),
        np.array([5]),
        np.array([0], np.int32),
        np.array([0], np.int32),
        (Function("work", "", 2),),
    )
    return Trace("%%threads", "threads", 9, tracks, (Flow("spawn", 0, 1, 1, 2),), slices=slices)


def test_each_table_holds_its_rows() -> None:
    trace = make_trace()

    states, tracks = to_pandas(trace, "states"), to_pandas(trace, "tracks")
    slices, flows = to_pandas(trace, "slices"), to_pandas(trace, "flows")

    assert list(states.state) == ["running", "waiting"]
    assert list(states.name) == ["MainThread", "MainThread"]
    assert list(tracks.name) == ["kernel", "MainThread"]
    assert (slices.name[0], slices.line[0], slices.end_ns[0]) == ("work", 2, 5)
    assert list(flows.kind) == ["spawn"]


def test_a_trace_without_anything_has_empty_tables() -> None:
    trace = Trace("%%threads", "threads", 9)

    assert [len(to_pandas(trace, table)) for table in ("states", "tracks", "slices", "flows")] == [0] * 4


def test_an_unknown_table_is_one_sentence() -> None:
    with pytest.raises(ConcMagicError, match="There is no table 'lanes'; there are flows, slices, states"):
        to_pandas(make_trace(), "lanes")
