"""A saved trace is the same trace again."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from tests.trace_text import trace_from_text

from concmagic.errors import LoadError
from concmagic.trace.model import Cost, Flow, Function, Hidden, Job, Mark, Slices, Trace
from concmagic.trace.saved import FORMAT, from_plain, to_plain


def full_trace() -> Trace:
    """A trace with something of everything."""
    return replace(
        trace_from_text("a  SRWBYU\nb  ..RRR."),
        flows=(Flow("wake", 0, 1, 1, 2, "timer"),),
        marks=(Mark("here", 1, 2, 0), Mark("there", 3, 3)),
        jobs=(Job(0, "url='x'", 1, 0, 2, 5, "returned"), Job(1, "y", None, 0, None, None)),
        slices=Slices(
            np.array([0, 1], np.int32),
            np.array([0, 5], np.int64),
            np.array([9, 2**40], np.int64),
            np.array([0, 1], np.int32),
            np.array([1, 0], np.int32),
            (Function("f", "a.py", 3), Function("time.sleep")),
        ),
        cost=Cost(0.01, 7, 12, 3, ("Something was lost.",)),
        hidden=Hidden(2, 1),
        cpu_s=0.5,
        python_cpu_s=0.4,
    )


def test_it_comes_back_equal() -> None:
    trace = full_trace()
    back = from_plain(json.loads(json.dumps(to_plain(trace))))
    assert replace(back, slices=trace.slices) == trace
    for column in ("track", "start_ns", "end_ns", "depth", "function"):
        ours, theirs = getattr(trace.slices, column), getattr(back.slices, column)
        assert ours.dtype == theirs.dtype and ours.tolist() == theirs.tolist()
    assert back.slices.functions == trace.slices.functions


def test_unknown_cpu_time_stays_unknown() -> None:
    plain = to_plain(replace(full_trace(), cpu_s=float("nan")))
    assert "NaN" not in json.dumps(plain)
    assert from_plain(plain).cpu_s != from_plain(plain).cpu_s


def test_fields_of_a_later_minor_version_are_ignored() -> None:
    plain = json.loads(json.dumps(to_plain(full_trace())))
    plain["tracks"][0]["mood"] = "good"
    plain["hidden"]["processes"] = 4
    plain["extra"] = []
    assert len(from_plain(plain).tracks) == 2


def test_a_later_format_is_refused_in_one_sentence() -> None:
    plain = to_plain(full_trace()) | {"format": FORMAT + 1}
    with pytest.raises(LoadError, match="later concmagic"):
        from_plain(plain)


@pytest.mark.parametrize("plain", [{}, {"format": 1}, {"format": 1, "title": "x", "tracks": 3}])
def test_what_is_no_trace_is_an_error_that_load_knows(plain: dict[str, object]) -> None:
    with pytest.raises(LoadError):
        from_plain(plain)
