"""`mark`: a moment, a stretch, and nothing at all outside a traced cell."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

import concmagic
from concmagic.problems import Problem
from concmagic.recording import marks
from concmagic.recording.marks import MarkRecorder, mark
from concmagic.records.recording import MarkRecord


@contextmanager
def recorded() -> Iterator[list[MarkRecord]]:
    """The marks of the block are in the list when it is over."""
    found: list[MarkRecord] = []
    recorder = MarkRecorder()
    recorder.start()
    try:
        yield found
    finally:
        found.extend(recorder.stop())


def test_it_is_the_public_one():
    assert concmagic.mark is mark


def test_outside_a_traced_cell_nothing_happens():
    mark("nobody looks")
    with mark("nobody looks"):
        pass
    assert mark("a") is mark("b")


def test_call_is_a_moment():
    with recorded() as found:
        before_ns = time.monotonic_ns()
        mark("here")
        after_ns = time.monotonic_ns()

    (record,) = found
    assert before_ns <= record.start_ns == record.end_ns <= after_ns
    assert (record.label, record.pid, record.native_id) == ("here", os.getpid(), threading.get_native_id())


def test_with_is_a_stretch_and_only_one_mark():
    with recorded() as found, mark("load"):
        inside_ns = time.monotonic_ns()
        mark("inside")

    stretch, moment = found
    assert (stretch.label, moment.label) == ("load", "inside")
    assert stretch.start_ns <= inside_ns <= moment.start_ns <= stretch.end_ns


def test_stretch_ends_with_an_exception_which_passes():
    with recorded() as found, pytest.raises(ZeroDivisionError), mark("failing"):
        1 / 0  # noqa: B018

    assert found[0].start_ns < found[0].end_ns


def test_stretch_that_is_open_at_the_end_ends_there():
    recorder = MarkRecorder()
    recorder.start()
    with mark("open"):
        inside_ns = time.monotonic_ns()
        (record,) = recorder.stop()
    assert record.end_ns >= inside_ns


def test_same_mark_entered_again_is_another_stretch():
    with recorded() as found:
        again = mark("round")
        for _ in range(2):
            with again:
                pass
        with again, again:
            pass

    assert [record.label for record in found] == ["round"] * 4
    assert all(record.start_ns < record.end_ns for record in found)


def test_thread_that_marks_is_named():
    with recorded() as found:
        thread = threading.Thread(target=mark, args=("there",))
        thread.start()
        thread.join()
    assert found[0].native_id == thread.native_id


def test_label_can_be_anything():
    class Unspeakable:
        def __str__(self) -> str:
            raise RuntimeError

    with recorded() as found:
        mark(7)  # type: ignore[arg-type]
        mark(Unspeakable())  # type: ignore[arg-type]
        mark("x" * 1000)
    assert [record.label for record in found[:2]] == ["7", "mark"]
    assert found[2].label == "x" * 512 + "… (1,000 characters)"


def test_marks_in_a_hot_loop_are_bounded_and_it_is_said(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(marks, "_MOST_MARKS", 10)
    recorder = MarkRecorder()
    recorder.start()
    for _ in range(20):
        mark("again")
    with mark("too late"):
        pass
    assert len(recorder.stop()) == 10
    assert recorder.problems == [Problem.of("marks_left_out", 10)]


def test_newer_recorder_takes_over_and_older_stop_leaves_it():
    older, newer = MarkRecorder(), MarkRecorder()
    older.start()
    newer.start()
    older.stop()
    mark("for the newer one")
    assert [record.label for record in newer.stop()] == ["for the newer one"]
    assert mark("a") is mark("b")
