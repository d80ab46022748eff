"""A trace's tables hold what the trace holds."""

import sys
from typing import get_args

import numpy as np
import pytest

from concmagic.api import Table, Trace
from concmagic.errors import ConcMagicError
from concmagic.model import trace as model
from concmagic.model.columns import TABLES
from concmagic.model.outcomes import RETURNED
from concmagic.model.trace import Facts, Flow, Function, Slices, State, StateInterval, Track


def make_trace() -> Trace:
    states = (
        StateInterval(0, 5, State.RUNNING),
        StateInterval(5, 9, State.WAITING, "sleep", Facts(delay_ns=4), line=3),
    )
    tracks = (
        Track(0, "process", "kernel", None, "work", 0, None),
        Track(1, "thread", "MainThread", 0, "work", 0, 9, states, outcome=RETURNED),
    )
    slices = Slices(
        np.array([1], np.int32),
        np.array([0]),
        np.array([5]),
        np.array([0], np.int32),
        np.array([0], np.int32),
        (Function("work", "", 2),),
    )
    return Trace.of(
        model.Trace("%%threads", "threads", 9, tracks, (Flow("spawn", 0, 1, 1, 2),), slices=slices)
    )


def test_each_table_holds_its_rows() -> None:
    trace = make_trace()

    states, tracks = trace.to_pandas("states"), trace.to_pandas("tracks")
    slices, flows = trace.to_pandas("slices"), trace.to_pandas("flows")

    assert list(states.state) == ["running", "waiting"]
    assert list(states.name) == ["MainThread", "MainThread"]
    assert list(tracks.name) == ["kernel", "MainThread"]
    assert (slices.name[0], slices.line[0], slices.end_ns[0]) == ("work", 2, 5)
    assert list(flows.kind) == ["spawn"]


def test_a_trace_without_anything_has_empty_tables() -> None:
    trace = Trace.of(model.Trace("%%threads", "threads", 9))

    assert [len(trace.to_pandas(table)) for table in get_args(Table)] == [0] * 4


def test_an_unknown_table_is_one_sentence() -> None:
    with pytest.raises(ConcMagicError, match="There is no table 'lanes'; there are flows, slices, states"):
        make_trace().to_pandas("lanes")  # type: ignore[arg-type]


def test_each_table_that_can_be_asked_for_is_there() -> None:
    assert TABLES.keys() == set(get_args(Table))


def test_without_pandas_one_sentence_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)  # its import fails
    with pytest.raises(ConcMagicError, match=r"needs pandas: %pip install") as caught:
        make_trace().to_pandas()
    assert isinstance(caught.value.__cause__, ImportError)
