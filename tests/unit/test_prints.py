"""Who prints when is noted without a frame, and drawn as ticks by every renderer."""

from __future__ import annotations

import sys
import threading
from typing import Any

import pytest
from recordings import at, kernel, log, recording, task, thread

from concmagic.importing.importer import import_recording
from concmagic.model.trace import Print, Trace
from concmagic.recording.prints import PrintRecorder
from concmagic.renderers.html import HtmlRenderer
from concmagic.renderers.payload import payload
from concmagic.renderers.perfetto import PerfettoRenderer
from concmagic.renderers.svg import SvgRenderer
from concmagic.renderers.text import TextRenderer
from sample_reports import MS, report, track


class Stream:
    """What ipykernel's stream is to us: a class written in Python."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError("text only")
        self.text += text
        return len(text)

    def flush(self) -> None:
        """Nothing is kept back."""


class Recorded:
    def __init__(self) -> None:
        self.before = vars(Stream)["write"]
        self.notes: tuple[tuple[int, int], ...] = ()

    def __enter__(self) -> Recorded:
        self.recorder = PrintRecorder([(Stream, "write"), (Stream, "write")])
        self.recorder.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.notes = self.recorder.stop()


def test_a_print_is_one_note_of_its_thread() -> None:
    stream = Stream()
    with Recorded() as recorded:
        print("a", file=stream)
        other = threading.Thread(target=print, args=("b",), kwargs={"file": stream})
        other.start()
        other.join()
    assert stream.text == "a\nb\n"
    assert [native_id for _, native_id in recorded.notes] == [threading.get_native_id(), other.native_id]
    assert vars(Stream)["write"] is recorded.before


def test_what_somebody_has_put_on_an_instance_is_used_and_can_be_changed() -> None:
    """IPython puts its own write on the stream for the length of a cell."""
    stream, seen = Stream(), []
    stream.write = seen.append  # type: ignore[assignment,method-assign]
    with Recorded() as recorded:
        stream.write("one")
        del stream.write
        stream.write("two")
        with pytest.raises(AttributeError):
            del stream.write
        stream.write = seen.append  # type: ignore[assignment,method-assign]
    stream.write("three")
    assert (seen, stream.text) == (["one", "three"], "two")
    assert len(recorded.notes) == 1  # one after the other in a moment: a text and its end


def test_no_frame_of_ours_stands_in_a_traceback() -> None:
    stream: Any = Stream()
    with Recorded(), pytest.raises(TypeError) as caught:
        stream.write(5)
    assert {entry.path.name for entry in caught.traceback} == {"test_prints.py"}


def test_what_is_put_over_ours_stays() -> None:
    with Recorded() as recorded:
        Stream.write = theirs = lambda *_: 0  # type: ignore[method-assign,assignment,misc]
    assert vars(Stream)["write"] is theirs
    Stream.write = recorded.before  # type: ignore[method-assign]


def test_a_print_in_a_step_is_the_tasks() -> None:
    tasks = log(task(1, [(10, 20)], name="sayer"))
    prints = ((at(15), 40), (at(30), 40), (at(40), 999), (at(200), 40))
    trace = import_recording(recording(kernel(thread(), tasks=tasks, prints=prints)))
    names = {one.id: one.name for one in trace.tracks}
    assert [(one.at_ns // MS, names[one.track]) for one in trace.prints] == [
        (15, "sayer"),
        (30, "MainThread"),
    ]


def printing() -> Any:
    tracks = (
        track(0, "thread", "loud", None, 0, [("R", 100)]),
        track(1, "thread", "quiet", None, 0, [("W", 100)]),
    )
    prints = tuple(Print(at * MS, 0) for at in (10, 50, 50, 90))
    trace = Trace("%%threads", "threads", 100 * MS, tracks, prints=prints)
    return report(trace, "Two threads.", (), ())


def test_ticks_stand_on_the_lane_that_printed() -> None:
    text = TextRenderer().render(printing())
    rows = {row.split()[0]: row for row in text.splitlines() if row.split()[:1] in (["loud"], ["quiet"])}
    assert (rows["loud"].count("╹"), rows["quiet"].count("╹")) == (3, 0)
    assert "╹ printed" in text
    svg = SvgRenderer().render(printing())
    assert svg.count("h6l-3 5Z") == 3
    assert ">printed<" in svg
    packed = payload(printing())
    assert packed["prints"] == [(0, [packed["wall"] * share // 100 for share in (10, 40, 40)])]
    assert PerfettoRenderer().render(printing()).count('"print"') == 4


def test_without_prints_nothing_speaks_of_them() -> None:
    quiet = printing()
    trace = Trace("%%threads", "threads", 100 * MS, quiet.trace.tracks)
    silent = report(trace, "Two threads.", (), ())
    assert "printed" not in TextRenderer().render(silent)
    assert ">printed<" not in SvgRenderer().render(silent)
    assert HtmlRenderer().render(silent)


def test_standard_streams_that_are_not_pythons_are_left_alone() -> None:
    recorder = PrintRecorder([(type(sys.__stdout__), "missing")])
    recorder.start()
    assert recorder.stop() == ()
