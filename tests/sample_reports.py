"""Reports made by hand, one per thing that a picture must be able to show."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from concmagic import sentences
from concmagic.analysis import Finding
from concmagic.model.categories import Category, category_of
from concmagic.model.findings import CheckFailed
from concmagic.model.outcomes import RETURNED, outcome_of
from concmagic.model.trace import (
    NO_FACTS,
    Build,
    Cost,
    Facts,
    Flow,
    Function,
    Job,
    Mark,
    Resource,
    Slices,
    State,
    StateInterval,
    Trace,
    Track,
    TrackKind,
)
from concmagic.report import BandPart, CategoryTotal, Chip, Curve, LaneSummary, Report, Stretch

MS = 1_000_000


@dataclass(frozen=True)
class ToldFinding(Finding):
    """A finding with words of its own, as long or as hostile as the picture needs them."""

    said: tuple[str, str] = ("", "")

    @property
    def message(self) -> str:
        return self.said[0]

    @property
    def hint(self) -> str:
        return self.said[1]


def told(
    lint: str,
    severity: Literal["warning", "note"],
    message: str,
    hint: str,
    cost_s: float = 0.0,
    tracks: tuple[int, ...] = (),
    start_ns: int = 0,
    end_ns: int = 0,
    line: int = 0,
) -> ToldFinding:
    """A finding that says this, and costs this, there."""
    values = CheckFailed(lint, "", "")
    return ToldFinding(
        lint, severity, cost_s, tracks, start_ns, end_ns, line, values=values, said=(message, hint)
    )


_LETTERS = {
    "R": State.RUNNING,
    "B": State.BLOCKING,
    "r": State.READY,
    "W": State.WAITING,
    "S": State.STARTING,
    "?": State.UNKNOWN,
}
Piece = tuple  # (letter, milliseconds[, reason[, facts[, line]]])


RESOURCES = (
    Resource("host", "api.example:443"),
    Resource("file", "disk"),
    *(Resource("host", f"api-{number}:443") for number in range(10)),
)


def slept(seconds: float) -> Facts:
    """A sleep that was to take so long."""
    return Facts(delay_ns=round(seconds * 1e9))


def held_by(who: int) -> Facts:
    """Kept waiting by this track; -1 are others."""
    return Facts(holders=(who,))


def states(start_ms: float, pieces: Iterable[Piece]) -> tuple[StateInterval, ...]:
    """Intervals one after the other, from pieces like ("W", 12, "sleep", slept(0.5), 4)."""
    made, at = [], round(start_ms * MS)
    for piece in pieces:
        letter, length_ms, reason, facts, line = (*piece, *("", NO_FACTS, 0)[len(piece) - 2 :])
        end = at + round(length_ms * MS)
        made.append(StateInterval(at, end, _LETTERS[letter], reason, facts, "", line))
        at = end
    return tuple(made)


def track(
    number: int,
    kind: TrackKind,
    name: str,
    parent: int | None,
    start_ms: float = 0,
    pieces: Iterable[Piece] = (),
    outcome: str = "returned",
    message: str = "",
    **more: object,
) -> Track:
    """A track whose end is that of its last piece."""
    intervals = states(start_ms, pieces)
    start = round(start_ms * MS)
    end = intervals[-1].end_ns if intervals else start
    more.setdefault("role", "work")
    how = replace(outcome_of(outcome), message=message)
    return Track(
        number, kind, name, parent, start_ns=start, end_ns=end, states=intervals, outcome=how, **more
    )  # type: ignore[arg-type]


def report(
    trace: Trace, headline: str, chips: tuple[Chip, ...], band: tuple[BandPart, ...], **more: object
) -> Report:
    """The report of a trace, its sums computed plainly."""
    findings = more.pop("findings", ())
    trace = replace(trace, resources=RESOURCES, others=("others", *HOSTILE))
    plain = {
        "findings": findings,
        "no_findings": "" if findings else "Nothing stood out: no lint found anything in this cell.",
        "curves": (
            _curve("in flight", [(one.start_ns, one.end_ns) for one in trace.tracks if one.unit], trace),
            _curve("on a core", _running(trace), trace),
        ),
        "lanes": tuple(_summary(one) for one in trace.tracks),
        "legend": tuple(_totals(trace)),
        "cost": "tracing cost about 1 %",
        "cost_is_high": False,
    }
    return Report(trace=trace, headline=headline, chips=chips, band=band, **{**plain, **more})  # type: ignore[arg-type]


def _running(trace: Trace) -> list[tuple[int, int]]:
    return [
        (interval.start_ns, interval.end_ns)
        for one in trace.tracks
        if one.unit
        for interval in one.states
        if interval.state is State.RUNNING
    ]


def _curve(label: str, stretches: list[tuple[int, int | None]], trace: Trace) -> Curve:
    steps: dict[int, int] = {0: 0}
    for start, end in stretches:
        steps[start] = steps.get(start, 0) + 1
        last = trace.wall_ns if end is None else end
        steps[last] = steps.get(last, 0) - 1
    times = sorted(steps)
    values, level = [], 0
    for time in times:
        level += steps[time]
        values.append(min(level, trace.build.cores) if label == "on a core" else level)
    return Curve(label, tuple(times), tuple(values))


def _summary(one: Track) -> LaneSummary:
    sums = {state: sum(i.length_ns for i in one.states if i.state is state) for state in State}
    order = (State.BLOCKING, State.READY, State.RUNNING, State.WAITING, State.STARTING, State.UNKNOWN)
    loud = next((state for state in order if sums[state] > 0.1 * max(sum(sums.values()), 1)), State.WAITING)
    ok = True if one.outcome == "returned" else None if one.outcome == "left running" else False
    text = str(one.outcome) if ok is False else f"{loud.value} {sentences.duration(sums[loud])}"
    return LaneSummary(one.id, one.name, text if one.states else "", ok if one.kind != "loop" else None)


def _totals(trace: Trace) -> list[CategoryTotal]:
    sums = dict.fromkeys(Category, 0)
    for one in trace.tracks:
        for interval in one.states if one.unit else ():
            sums[category_of(interval)] += interval.length_ns
    labels = sentences.CATEGORY_LABELS
    return [CategoryTotal(one, labels[one.value], length) for one, length in sums.items() if length]


_LOOP: list[Piece] = [
    ("R", 1),
    ("W", 12),
    ("R", 0.6),
    ("W", 7.4),
    ("B", 300, "time.sleep", NO_FACTS, 4),
    ("R", 1),
    ("W", 12),
    ("R", 0.5),
    ("W", 17),
    ("R", 0.5),
]


def asyncio_blocker() -> Report:
    """One task sleeps with time.sleep; three others could have gone on."""
    tracks = [
        track(0, "process", "kernel", None, 0, [("R", 352)], pid=4242),
        track(1, "thread", "MainThread", 0, 0, [("R", 352)]),
        track(
            2,
            "loop",
            "event loop",
            1,
            0,
            _LOOP,
        ),
        track(
            3,
            "task",
            "blocker",
            2,
            0.4,
            [
                ("S", 0.8),
                ("R", 0.3),
                ("W", 19.5, "sleep", slept(0.02), 3),
                ("B", 300, "time.sleep", NO_FACTS, 4),
                ("R", 0.4),
            ],
            unit=True,
        ),
    ]
    for index, (wait, after) in enumerate([(30, 29.4), (30, 29.4), (24.5, 12.1)]):
        ready = 321.4 - 1.6 - wait
        pieces: list[Piece] = [
            ("S", 0.8),
            ("R", 0.3),
            ("W", wait, "sleep", slept(0.03), 8),
            ("r", ready, "loop", held_by(3), 8),
            ("R", 0.3),
            ("W", after, "sleep", slept(0.03), 8),
            ("R", 0.4),
        ]
        tracks.append(track(4 + index, "task", f"victim-{index}", 2, 0.5, pieces, unit=True))
    flows = [Flow("spawn", 2, round(0.4 * MS), number, round(0.5 * MS)) for number in (3, 4, 5, 6)]
    flows += [Flow("wake", 2, round(321.4 * MS), number, round(321.4 * MS), "timer") for number in (4, 5, 6)]
    trace = Trace(
        "%%asyncio_trace",
        "asyncio",
        352 * MS,
        tuple(tracks),
        tuple(flows),
        source="import asyncio, time\nawait asyncio.sleep(0.02)\ntime.sleep(0.3)\n",
        build=Build(cores=2),
        marks=(Mark("requests start", 13 * MS, 13 * MS), Mark("the bad one", 20 * MS, 321 * MS)),
    )
    return report(
        trace,
        "For 300 of 352 ms nobody could run: time.sleep(0.3) at line 4 blocked the loop "
        "while 3 tasks were ready.",
        (
            Chip(
                "concurrency", "3.9", "at most 4 tasks", "Units of work begun and not yet ended, on average."
            ),
            Chip(
                "parallelism",
                "0.01",
                "at most 1 of 2 cores",
                "Tracks on a core at the same instant, on average.",
            ),
        ),
        (
            BandPart("blocked in time.sleep", Category.BLOCKING, 300 * MS, (Stretch(3, 21 * MS, 321 * MS),)),
            BandPart(
                "sleeping",
                Category.OUTSIDE,
                50 * MS,
                (Stretch(3, 1 * MS, 21 * MS), Stretch(4, 321 * MS, 351 * MS)),
            ),
            BandPart("computing", Category.RUNNING, 2 * MS),
        ),
        findings=(
            told(
                "blocked-event-loop",
                "warning",
                "blocker held the event loop for 300 ms in time.sleep(0.3), line 4; 3 tasks were ready.",
                "Use await asyncio.sleep(0.3), or await asyncio.to_thread(…) for a call that blocks.",
                0.3,
                (3,),
                21 * MS,
                321 * MS,
                4,
            ),
        ),
        footer=("Left out: 9 threads and 3 tasks of the kernel itself; --all shows them.",),
    )


def two_gil_threads() -> Report:
    """Two threads that compute and hand the GIL to each other every 5 ms."""
    tracks = [
        track(0, "process", "kernel", None, 0, [("R", 410)]),
        track(
            1,
            "thread",
            "MainThread",
            0,
            0,
            [("R", 2), ("W", 406, "join", Facts(waits_for=(2,)), 9), ("R", 2)],
            role="machinery",
        ),
    ]
    for index in (0, 1):
        pieces: list[Piece] = [("S", 0.5)] if index == 0 else [("S", 0.4), ("r", 5, "GIL", held_by(2), 4)]
        for turn in range(39):
            pieces.append(("R", 5, "", NO_FACTS, 4))
            pieces.append(("r", 5 + (turn % 3 == 1) * 0.4, "GIL", held_by(3 - index), 4))
        tracks.append(
            track(
                2 + index,
                "thread",
                f"worker-{index}",
                0,
                1.5,
                [*pieces, ("R", 1, "", NO_FACTS, 4)],
                unit=True,
            )
        )
    wall = max(one.end_ns or 0 for one in tracks) + 2 * MS
    trace = Trace("%%threads", "threads", wall, tuple(tracks), build=Build(cores=2))
    return report(
        trace,
        "2 threads took turns on one core: each was ready but without the GIL for half of the time.",
        (Chip("concurrency", "2.0", "at most 2 threads"), Chip("parallelism", "1.0", "at most 1 of 2 cores")),
        (
            BandPart("computing", Category.RUNNING, wall - 6 * MS),
            BandPart("starting", Category.STARTING, 6 * MS),
        ),
        findings=(
            told(
                "gil-bound",
                "warning",
                "The threads wanted the GIL and did not have it for 49 % of their time: "
                "2 threads, parallelism 1.0.",
                "%%procs could run fib(24) on 2 cores: all that the body reads can be pickled.",
                0.2,
                (2, 3),
                0,
                wall,
            ),
        ),
        cost="tracing cost about 14 %",
        cost_is_high=True,
    )


def process_pool() -> Report:
    """Four processes with one thread each, in a pool with handler threads."""
    tracks = [
        track(
            0,
            "process",
            "kernel",
            None,
            0,
            [("R", 20), ("W", 1180, "results", Facts(job="the pool"), 6)],
            role="machinery",
        )
    ]
    for index, name in enumerate(
        ["Thread-3 (_handle_workers)", "Thread-4 (_handle_tasks)", "Thread-5 (_handle_results)"]
    ):
        tracks.append(track(1 + index, "thread", name, 0, 15, [("W", 1180)], role="machinery"))
    jobs, flows = [], []
    for worker in range(4):
        process = 10 + 10 * worker
        start = 20 + 9 * worker
        pieces: list[Piece] = [("S", 110 + 8 * worker, "importing", NO_FACTS, 0)]
        at = start + 110 + 8 * worker
        for turn in range(3):
            length = 200 + 40 * ((worker + turn) % 3)
            if turn == 1 and worker > 1:
                pieces.append(("r", 60, "core"))
                at += 60
            number = worker + 4 * turn
            jobs.append(
                Job(
                    number,
                    f"n={number}",
                    process,
                    22 * MS,
                    round(at * MS),
                    round((at + length) * MS),
                    RETURNED,
                )
            )
            pieces.append(("R", length, "", NO_FACTS, 4))
            at += length
            pieces.append(("W", 6, "work"))
            at += 6
        flows.append(Flow("spawn", 0, 18 * MS, process, round(start * MS)))
        flows.append(Flow("result", process, round((at - 6) * MS), 0, round((at - 5) * MS)))
        outcome = "returned" if worker != 3 else "exit code -15"
        tracks.append(
            track(
                process,
                "process",
                f"worker {worker}",
                0,
                start,
                pieces,
                outcome,
                unit=True,
                pid=5000 + worker,
            )
        )
        tracks.append(
            track(process + 1, "thread", "MainThread", process, start + 100, [("R", at - start - 100)])
        )
    wall = 1200 * MS
    trace = Trace(
        "%%procs", "procs", wall, tuple(tracks), tuple(flows), jobs=tuple(jobs), build=Build(cores=2)
    )
    return report(
        trace,
        "1.2 s = 0.88 s computing on 2 cores · 0.13 s starting 4 processes · 0.19 s waiting for a core.",
        (
            Chip("concurrency", "3.6", "at most 4 processes"),
            Chip("parallelism", "1.9", "at most 2 of 2 cores"),
        ),
        (
            BandPart("starting processes", Category.STARTING, 130 * MS),
            BandPart("computing", Category.RUNNING, 880 * MS),
            BandPart("no core free", Category.NO_CORE, 190 * MS),
        ),
        findings=(
            told("oversubscribed", "note", "4 processes shared 2 cores.", "", 0.19, (10, 20), 0, wall),
        ),
    )


def many_tasks() -> Report:
    """300 tasks that sleep 20 times each: far more lanes than a picture shows at first."""
    tracks = [
        track(0, "process", "kernel", None, 0, [("R", 900)]),
        track(1, "thread", "MainThread", 0, 0, [("R", 900)]),
        track(2, "loop", "event loop", 1, 0, [piece for _ in range(300) for piece in (("R", 1), ("W", 2))]),
    ]
    for index in range(300):
        pieces: list[Piece] = [("S", 1 + index * 0.02)]
        for turn in range(20):
            pieces += [
                ("W", 15 + (index * 7 + turn * 13) % 11 + 8 * (index == 17), "sleep", slept(0.02), 3),
                ("r", 1 + ((index + turn) % 5) * 2.5, "loop", held_by(-1), 3),
                ("R", 0.2, "", NO_FACTS, 4),
            ]
        tracks.append(track(3 + index, "task", f"fetch-{index}", 2, 2, pieces, unit=True))
    wall = max(one.end_ns or 0 for one in tracks) + MS
    flows = [Flow("wake", 2, one.states[3].start_ns, one.id, one.states[3].start_ns) for one in tracks[3:]]
    trace = Trace("%%asyncio_trace", "asyncio", wall, tuple(tracks), tuple(flows), build=Build(cores=2))
    return report(
        trace,
        "300 tasks were in flight at once; the loop was busy for a third of the time.",
        (
            Chip("concurrency", "288", "at most 300 tasks"),
            Chip("parallelism", "0.33", "at most 1 of 2 cores"),
        ),
        (
            BandPart("sleeping", Category.OUTSIDE, wall - 300 * MS),
            BandPart("kept waiting by the loop", Category.READY, 100 * MS),
            BandPart("computing", Category.RUNNING, 200 * MS),
        ),
    )


def failures() -> Report:
    """A cell that failed: one task raised, others were cancelled, one was left running."""
    parent = [("R", 1), ("W", 118, "task", Facts(waits_for=(6,)), 9), ("R", 1)]
    tracks = [
        track(0, "process", "kernel", None, 0, [("R", 120)], "raised ExceptionGroup"),
        track(1, "thread", "MainThread", 0, 0, [("R", 120)]),
        track(2, "loop", "event loop", 1, 0, [("R", 2), ("W", 98), ("R", 1), ("W", 18), ("R", 1)]),
        track(3, "task", "main", 2, 0, parent, "raised ExceptionGroup", unit=True),
    ]
    for index, outcome in enumerate(["cancelled", "cancelled", "raised ValueError", "timed out", "returned"]):
        wait = [110, 110, 98, 60, 20][index]
        pieces: list[Piece] = [("S", 1), ("R", 0.5), ("W", wait, "I/O", Facts(0), 5), ("R", 0.5)]
        more = {"message": "bad id: 17"} if index == 2 else {}
        tracks.append(track(4 + index, "task", f"fetch-{index}", 3, 1, pieces, outcome, unit=True, **more))
    left = track(
        9,
        "task",
        "heartbeat",
        2,
        2,
        [("S", 1), ("R", 0.2), ("W", 116.8, "sleep", slept(1), 12)],
        "left running",
    )
    tracks.append(replace(left, end_ns=None, unit=True))
    trace = Trace(
        "%%asyncio_trace",
        "asyncio",
        120 * MS,
        tuple(tracks),
        outcome=outcome_of("raised ExceptionGroup"),
        build=Build(cores=2),
    )
    return report(
        trace,
        "The cell failed after 120 ms: fetch-2 raised ValueError; 116 ms were waiting for api.example:443.",
        (Chip("concurrency", "4.1", "at most 7 tasks"), Chip("parallelism", "0.03", "at most 1 of 2 cores")),
        (
            BandPart("waiting for api.example:443", Category.OUTSIDE, 116 * MS),
            BandPart("computing", Category.RUNNING, 4 * MS),
        ),
        findings=(
            told(
                "left-running",
                "warning",
                "heartbeat still runs: nobody awaits or cancels it.",
                "",
                0.0,
                (9,),
                2 * MS,
                120 * MS,
                12,
            ),
            told(
                "exception-never-retrieved",
                "note",
                "fetch-3 timed out and nobody asked.",
                "",
                0.0,
                (7,),
                0,
                62 * MS,
            ),
        ),
    )


def empty_cell() -> Report:
    """A cell in which nothing happened."""
    trace = Trace("%%timeline", "timeline", 40_000, (), build=Build(cores=1))
    return report(
        trace,
        "The cell ended after 40 µs; nothing concurrent ran in it.",
        (Chip("concurrency", "unknown", "no unit of work"), Chip("parallelism", "unknown", "of 1 core")),
        (),
    )


HOSTILE = (
    "</script><img src=x onerror=alert(1)>",
    "\"'><svg onload=alert(2)>",
    "]]>&amp;<!--",
    "\x00\x1b[31m\nred\t\u202eflip \ud800",
    "名前がとても長いタスク" * 4,
    "a" * 400,
    "${alert(3)}`",
    "",
)


def hostile_names() -> Report:
    """Names, reasons, marks and sentences that try to leave their place."""
    tracks = [track(0, "process", HOSTILE[0], None, 0, [("R", 90)])]
    for index, name in enumerate(HOSTILE):
        pieces: list[Piece] = [
            ("S", 2, name),
            ("R", 10, "", held_by(-2 - index)),
            ("W", 60, name, Facts(job=name), 4),
            ("r", 10, "loop", held_by(-2 - index)),
        ]
        tracks.append(track(1 + index, "thread", name, 0, index, pieces, f"raised {name}", unit=True))
    trace = Trace(
        HOSTILE[0],
        "threads",
        92 * MS,
        tuple(tracks),
        marks=tuple(
            Mark(name, (10 + 9 * index) * MS, (10 + 9 * index) * MS) for index, name in enumerate(HOSTILE)
        ),
        source=HOSTILE[0],
        build=Build(cores=2),
    )
    return report(
        trace,
        f"Headline {HOSTILE[0]} {HOSTILE[1]} {HOSTILE[2]}",
        (Chip(HOSTILE[0], HOSTILE[1], HOSTILE[2], HOSTILE[0]),),
        (BandPart(HOSTILE[0], Category.RUNNING, 92 * MS),),
        findings=(told(HOSTILE[0], "warning", HOSTILE[0], HOSTILE[1]),),
        footer=HOSTILE,
        question=HOSTILE[0],
    )


def unknown_states() -> Report:
    """Much that was not recorded, and one track without any states."""
    tracks = [
        track(0, "process", "kernel", None, 0, [("R", 500)]),
        track(
            1,
            "thread",
            "reader",
            0,
            5,
            [("?", 200), ("W", 90, "I/O", Facts(1)), ("?", 150, "sampler died"), ("R", 20)],
            unit=True,
        ),
        track(2, "thread", "writer", 0, 5, [("R", 30), ("?", 400)], "left running", unit=True),
        track(3, "thread", "C thread", 0, 9, [], "left running"),
    ]
    tracks[2] = replace(tracks[2], end_ns=None)
    trace = Trace("%%threads", "threads", 500 * MS, tuple(tracks), slices=Slices(), build=Build(cores=4))
    return report(
        trace,
        "500 ms; for 150 ms of them the states of 2 threads were not recorded.",
        (Chip("concurrency", "1.9", "at most 2 threads"), Chip("parallelism", "unknown", "of 4 cores")),
        (
            BandPart("not recorded", Category.UNKNOWN, 350 * MS),
            BandPart("computing", Category.RUNNING, 150 * MS),
        ),
        footer=("The states of 2 threads are incomplete: the sampler process ended early.",),
    )


def ten_long_tracks(intervals: int = 2_000) -> Report:
    """Ten threads with so many intervals each that most are narrower than a pixel."""
    tracks = [track(0, "process", "kernel", None, 0, [("R", 10)])]
    for index in range(10):
        cycle = [
            ("R", 0.03),
            ("r", 0.05, "GIL", held_by(-1)),
            ("R", 0.02),
            ("W", 0.1, "I/O", Facts(2 + index), 7),
        ]
        tracks.append(
            track(1 + index, "thread", f"worker-{index}", 0, index * 0.1, cycle * (intervals // 4), unit=True)
        )
    wall = max(one.end_ns or 0 for one in tracks) + MS
    trace = Trace("%%threads", "threads", wall, tuple(tracks), build=Build(cores=2))
    chips = (
        Chip("concurrency", "10", "at most 10 threads"),
        Chip("parallelism", "1.0", "at most 1 of 2 cores"),
    )
    return report(
        trace, "Ten threads, many short turns.", chips, (BandPart("computing", Category.RUNNING, wall),)
    )


def thousand_tasks() -> Report:
    """1,000 tasks with 20 intervals each."""
    tracks = [track(0, "loop", "event loop", None, 0, [("R", 10)])]
    for index in range(1_000):
        pieces: list[Piece] = [("S", 0.5)]
        for turn in range(6):
            pieces += [
                ("W", 11 + (index * 31 + turn * 17) % 23, "sleep", Facts(delay_ns=index % 97 * MS), 3),
                ("r", 1.25, "loop", held_by(1 + (index * 7) % 1000)),
                ("R", 0.4),
            ]
        tracks.append(
            track(1 + index, "task", f"fetch-{index}", 0, index * 0.3, [*pieces, ("R", 1)], unit=True)
        )
    wall = max(one.end_ns or 0 for one in tracks) + MS
    flows = [
        Flow("wake", 0, i.start_ns, one.id, i.start_ns)
        for one in tracks[1:]
        for i in one.states
        if i.state is State.READY
    ]
    trace = Trace("%%asyncio_trace", "asyncio", wall, tuple(tracks), tuple(flows), build=Build(cores=2))
    chips = (
        Chip("concurrency", "700", "at most 1,000 tasks"),
        Chip("parallelism", "0.8", "at most 1 of 2 cores"),
    )
    return report(
        trace, "A thousand tasks in flight.", chips, (BandPart("sleeping", Category.OUTSIDE, wall),)
    )


Call = tuple[int, float, float, int, int]  # track, start and end in milliseconds, depth, function


def slices(calls: Iterable[Call], functions: tuple[Function, ...]) -> Slices:
    """Calls as columns, in the order that a trace has."""
    rows = sorted(calls, key=lambda call: (call[0], call[1], call[3]))
    track, start, end, depth, function = (list(column) for column in zip(*rows, strict=True))
    return Slices(
        np.array(track, np.int32),
        np.array([round(ms * MS) for ms in start], np.int64),
        np.array([round(ms * MS) for ms in end], np.int64),
        np.array(depth, np.int32),
        np.array(function, np.int32),
        functions,
    )


def calling_threads() -> Report:
    """Two threads that load and parse: few long calls, and many short ones under them."""
    cycle: list[Piece] = [("W", 20, "sleep", slept(0.02), 7), ("R", 30, "", NO_FACTS, 8)]
    tracks = [track(0, "process", "kernel", None, 0, [("R", 210)])]
    calls: list[Call] = []
    for number in (1, 2):
        tracks.append(track(number, "thread", f"loader-{number}", 0, 5, cycle * 4, unit=True))
        for turn in range(4):
            at = 5 + 50 * turn
            calls += [
                (number, at, at + 50, 0, 0),
                (number, at, at + 20, 1, 1),
                (number, at + 20, at + 50, 1, 2),
            ]
            calls += [(number, at + 20 + i * 0.03, at + 20.02 + i * 0.03, 2, 3) for i in range(1_000)]
    tracks.append(
        track(3, "thread", "idle", 0, 5, [("W", 200, "lock", Facts(waits_for=(1,)), 12)], unit=True)
    )
    functions = (
        Function("load", "", 6),
        Function("time.sleep"),
        Function("parse", "", 2),
        Function("number_of", "text.py", 88),
    )
    trace = Trace(
        "%%threads",
        "threads",
        210 * MS,
        tuple(tracks),
        slices=slices(calls, functions),
        build=Build(cores=2),
        cost=Cost(calls_until_ns=205 * MS),
    )
    return report(
        trace,
        "Two threads wait and compute in turn.",
        (Chip("concurrency", "3.0", "at most 3 threads"), Chip("parallelism", "1.1", "at most 2 of 2 cores")),
        (BandPart("computing", Category.RUNNING, 120 * MS), BandPart("sleeping", Category.OUTSIDE, 90 * MS)),
    )


def with_many_calls(plain: Report, of_each: int) -> Report:
    """A report whose every track but the first has so many calls, of all lengths, eight deep."""
    calls: list[Call] = []
    for one in plain.trace.tracks[1:]:
        start, end = one.start_ns / MS, (one.end_ns or plain.trace.wall_ns) / MS
        step = (end - start) / max(of_each // 8, 1)
        for i in range(of_each):
            row, depth = divmod(i, 8)
            at, length = start + row * step, step * (0.9 - 0.1 * depth) * (0.2 + 0.8 * (row % 7 == 0))
            calls.append((one.id, at, at + length, depth, (row * 31 + depth) % 400))
    functions = tuple(Function(f"function_{i}", f"module_{i % 9}.py", i) for i in range(400))
    return replace(plain, trace=replace(plain.trace, slices=slices(calls, functions)))


SAMPLES: dict[str, Callable[[], Report]] = {
    "asyncio_blocker": asyncio_blocker,
    "two_gil_threads": two_gil_threads,
    "process_pool": process_pool,
    "many_tasks": many_tasks,
    "failures": failures,
    "empty_cell": empty_cell,
    "hostile_names": hostile_names,
    "unknown_states": unknown_states,
    "calling_threads": calling_threads,
}
