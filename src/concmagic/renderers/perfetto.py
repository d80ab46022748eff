"""Report → Trace Event Format, for ui.perfetto.dev and VizTracer's viewer.

Every track is a thread of its process there. Tasks and loops have no thread of their own in the
operating system, so they get numbers far above any real one. A track's calls stand on a second line:
on one line, slices must lie within each other, and a call can begin in one state and end in another.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from concmagic import sentences
from concmagic.model.saved import to_plain
from concmagic.model.trace import Flow, Named, State, Trace, Track
from concmagic.renderers.layout import labels_of
from concmagic.renderers.measure import one_line
from concmagic.report import Report

Event = dict[str, Any]
Places = dict[int, tuple[int, int]]  # of each track: process and thread

# The viewers keep a thread's number in 32 bits and put all that is larger on one line.
_INVENTED = 1_000_000_000
_LARGEST = (1 << 31) - 1
_SHORT_NS = 1_000  # the slice at an arrow's end: too short to be seen before one zooms in
_COLOURS = {  # names that the viewers know
    State.RUNNING: "thread_state_running",
    State.BLOCKING: "terrible",
    State.READY: "thread_state_runnable",
    State.WAITING: "thread_state_sleeping",
    State.STARTING: "thread_state_unknown",
    State.TRACING: "grey",
    State.UNKNOWN: "generic_work",
}


class PerfettoRenderer:
    """Report → JSON in Trace Event Format; under the key "concmagic" stands the whole trace."""

    def render(self, report: Report) -> str:
        """Write the whole trace; nothing is merged or left out."""
        trace = report.trace
        places, words = _places(trace), sentences.TrackWords(trace, Named.of(trace))
        events = [
            *_names(trace, places, words),
            *_states(trace, places, words),
            *_calls(trace, places),
            *_flows(trace, places),
            *_marks(trace, places),
            *_prints(trace, places),
        ]
        whole = {
            "traceEvents": events,
            "displayTimeUnit": "ms",
            "otherData": {"title": trace.title, "headline": report.headline},
            "concmagic": to_plain(trace),
        }
        return json.dumps(whole, separators=(",", ":"))


def _places(trace: Trace) -> Places:
    """Each track's process and thread number in the file; no two tracks share a place."""
    by_id = {track.id: track for track in trace.tracks}
    places: Places = {}
    taken: set[tuple[int, int]] = set()
    for track in trace.tracks:
        pid = _process_of(track, by_id)
        real = track.kind == "thread" and 0 < track.native_id < _INVENTED
        tid = track.native_id if real else _INVENTED + 2 * track.id
        if (pid, tid) in taken:
            tid = _INVENTED + 2 * track.id
        taken.add((pid, tid))
        places[track.id] = (pid, tid)
    return places


def _process_of(track: Track, by_id: dict[int, Track]) -> int:
    seen: set[int] = set()
    while not track.pid and track.parent in by_id and track.id not in seen:
        seen.add(track.id)
        track = by_id[track.parent]
    return track.pid if 0 < track.pid <= _LARGEST else 1


def _line_of_calls(track: int, places: Places) -> tuple[int, int]:
    return places[track][0], _INVENTED + 2 * track + 1


def _names(trace: Trace, places: Places, words: sentences.TrackWords) -> Iterator[Event]:
    with_calls = set(trace.slices.track.tolist())
    for order, track in enumerate(trace.tracks):
        name = one_line(words.name(track)) or track.kind
        if track.kind == "process":
            yield {"ph": "M", "name": "process_name", "pid": places[track.id][0], "args": {"name": name}}
        yield from _line(places[track.id], name, 2 * order)
        if track.id in with_calls:
            yield from _line(_line_of_calls(track.id, places), sentences.calls_of(name), 2 * order + 1)


def _line(place: tuple[int, int], name: str, order: int) -> Iterator[Event]:
    where = {"ph": "M", "pid": place[0], "tid": place[1]}
    yield {**where, "name": "thread_name", "args": {"name": name}}
    yield {**where, "name": "thread_sort_index", "args": {"sort_index": order}}


def _states(trace: Trace, places: Places, ends: sentences.TrackWords) -> Iterator[Event]:
    words = sentences.StateWords(Named.of(trace))
    for track in trace.tracks:
        for interval in track.states:
            args = {
                "state": interval.state.value,
                "reason": interval.reason,
                "detail": words.detail(interval),
                "file": interval.file,
                "line": interval.line,
            }
            slice_ = _slice(
                places[track.id], labels_of(interval, words)[0], interval.start_ns, interval.end_ns, "state"
            )
            yield {**slice_, "cname": _COLOURS[interval.state], "args": {k: v for k, v in args.items() if v}}
        if track.outcome:
            at = track.until(trace.wall_ns)
            raised = one_line(ends.raised_in(track))
            told = {"detail": one_line(ends.detail(track))} | ({"raised in": raised} if raised else {})
            outcome = one_line(str(track.outcome))
            yield _instant(places[track.id], outcome, at, "outcome", "t") | {"args": told}


def _calls(trace: Trace, places: Places) -> Iterator[Event]:
    calls = trace.slices
    rows = zip(
        calls.track.tolist(),
        calls.start_ns.tolist(),
        calls.end_ns.tolist(),
        calls.function.tolist(),
        strict=True,
    )
    for track, start, end, function in rows:
        called = calls.functions[function]
        event = _slice(_line_of_calls(track, places), one_line(called.name), start, end, "call")
        yield {**event, "args": {"file": called.file, "line": called.line}}


def _flows(trace: Trace, places: Places) -> Iterator[Event]:
    flows = [flow for flow in trace.flows if flow.source in places and flow.target in places]
    yield from _flow_ends(trace, flows, places)
    for number, flow in enumerate(flows, start=1):
        for phase, track, at in _ends(flow):
            event = {"ph": phase, "id": number, "name": flow.kind, "cat": "flow", **_at(places[track], at)}
            yield event | ({"bp": "e"} if phase == "f" else {})


def _ends(flow: Flow) -> tuple[tuple[str, int, int], ...]:
    """Phase, track and moment of a flow's start and end; Perfetto loses an end that is before its start."""
    arrives_ns = max(flow.target_ns, flow.source_ns)
    return ("s", flow.source, flow.source_ns), ("f", flow.target, arrives_ns)


def _flow_ends(trace: Trace, flows: Sequence[Flow], places: Places) -> Iterator[Event]:
    """A short slice wherever an arrow leaves or arrives, inside the state of that moment.

    Perfetto ties an arrow to the innermost slices around its ends and lets it go from the one that began
    first to the other, whatever the ends say: into a long state it would point backwards.
    """
    kinds: dict[int, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
    for flow in flows:
        for _, track_id, at in _ends(flow):
            kinds[track_id][at].add(flow.kind)
    for track in trace.tracks:
        moments = kinds.get(track.id, {})
        edges = (edge for state in track.states for edge in (state.start_ns, state.end_ns))
        limits = sorted({*moments, *edges})
        for at in sorted(moments):
            index = bisect_right(limits, at)
            until = min([at + _SHORT_NS, *limits[index : index + 1]])
            yield _slice(places[track.id], ", ".join(sorted(moments[at])), at, until, "flow end")


def _marks(trace: Trace, places: Places) -> Iterator[Event]:
    anywhere = next(iter(places.values()), (1, _INVENTED))
    for mark in trace.marks:
        place = places.get(mark.track, anywhere) if mark.track is not None else anywhere
        if mark.end_ns > mark.start_ns:
            number, name = f"mark-{mark.start_ns}-{mark.label}", one_line(mark.label)
            for phase, at in (("b", mark.start_ns), ("e", mark.end_ns)):
                yield {"ph": phase, "id": number, "name": name, "cat": "mark", **_at(place, at)}
        else:
            yield _instant(place, one_line(mark.label), mark.start_ns, "mark", "p")


def _prints(trace: Trace, places: Places) -> Iterator[Event]:
    for one in trace.prints:
        if one.track in places:
            yield _instant(places[one.track], sentences.PRINTED, one.at_ns, "print", "t")


def _slice(place: tuple[int, int], name: str, start_ns: int, end_ns: int, category: str) -> Event:
    lasts = (end_ns - start_ns) / 1e3
    return {"ph": "X", "name": name, "cat": category, **_at(place, start_ns), "dur": lasts}


def _instant(place: tuple[int, int], name: str, at_ns: int, category: str, scope: str) -> Event:
    return {"ph": "i", "name": name, "cat": category, "s": scope, **_at(place, at_ns)}


def _at(place: tuple[int, int], at_ns: int) -> Event:
    return {"pid": place[0], "tid": place[1], "ts": at_ns / 1e3}
