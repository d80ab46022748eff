"""Lints about jobs: handed over one at a time, or queued behind those that wait for them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from concmagic.analysis import Finding
from concmagic.analysis.intervals import Pair, common, total, union
from concmagic.analysis.lint_loop import FLOOR_NS
from concmagic.analysis.loops_that_hand_over import are_independent, has_one_worker
from concmagic.analysis.metrics import Metrics
from concmagic.analysis.wait_chains import stop_ns
from concmagic.model.findings import PieceKind, PoolStarved, Spent, SubmitThenWait
from concmagic.model.reasons import OUTSIDE
from concmagic.model.trace import Job, State, StateInterval, Trace, Track

LEAST_IN_A_ROW = 3  # jobs or tasks, each begun when the one before had ended
WAITED_SHARE = 0.8  # of a job's time that who handed it over must have waited
ALONE_SHARE = 0.5  # of the jobs' time in which nothing else may have been at work
MOSTLY = 0.6  # of the jobs' time that one thing took, to be named
WAITS_SHARE = 0.5  # of a thread's job: where it computes, the GIL lets them run one at a time anyway


@dataclass(frozen=True, slots=True)
class _Piece:
    """A job, a task, a thread or a process: who began it, and from then on until its end."""

    by: int
    name: str
    kind: PieceKind
    worker: int
    start_ns: int
    end_ns: int
    of_the_cell: bool = False  # a task of a function that the cell defines

    @property
    def pair(self) -> Pair:
        return self.start_ns, self.end_ns


def submit_then_wait(trace: Trace, metrics: Metrics) -> Iterator[Finding]:
    """Jobs, tasks, threads or processes of a loop, each begun only when the one before had ended."""
    tracks = {track.id: track for track in trace.tracks}
    for row in _rows(_pieces(trace, tracks)):
        by = tracks[row[0].by]
        pairs = [piece.pair for piece in row]
        waits = [one for one in by.states if one.state is State.WAITING and common([one.pair], pairs)]
        took = total(pairs)
        saved = took - max(piece.end_ns - piece.start_ns for piece in row)
        if saved < FLOOR_NS or total(common(union(one.pair for one in waits), pairs)) < WAITED_SHARE * took:
            continue
        line = _line_of_most(waits)
        if not _could_be_at_once(trace, row, tracks) or not are_independent(
            trace.source, line, row[0].of_the_cell
        ):
            continue
        kinds, mostly = (row[0].kind, by.kind == "task"), _mostly(row, tracks)
        yield Finding(
            values=SubmitThenWait(row[0].name, *kinds, len(row), line, took, saved, mostly),
            cost_s=saved / 1e9,
            tracks=(by.id, *{piece.worker for piece in row}),
            start_ns=row[0].start_ns,
            end_ns=row[-1].end_ns,
            line=line,
        )


def _pieces(trace: Trace, tracks: dict[int, Track]) -> list[_Piece]:
    """What has ended and of which it is known who began it, by its start."""
    handed = {flow.source_ns: flow.source for flow in reversed(trace.flows) if flow.kind == "submit"}
    found = [
        _Piece(handed[job.submit_ns], _function(job.label), "job", job.track, job.submit_ns, job.end_ns)
        for job in trace.jobs
        if job.track in tracks and job.end_ns is not None and job.count == 1 and job.submit_ns in handed
    ]
    # Who had a loop in another thread run a task waits for its future, if at all: `submit_then_wait` looks.
    awaited = {
        flow.target: flow.source
        for flow in trace.flows
        if flow.kind == "spawn" and flow.source in tracks and tracks[flow.source].kind == "thread"
    }
    awaited |= {flow.source: flow.target for flow in trace.flows if flow.kind == "result"}
    found += [
        _Piece(
            *(awaited[track.id], _function(track.name), "task", track.id, track.start_ns, track.end_ns),
            of_the_cell=bool(track.line) and not track.file,
        )
        for track in trace.tracks
        if track.kind == "task" and track.unit and track.id in awaited and track.end_ns is not None
    ]
    found += _started(trace, tracks)
    return sorted((one for one in found if one.by in tracks), key=lambda one: one.start_ns)


def _started(trace: Trace, tracks: dict[int, Track]) -> Iterator[_Piece]:
    """Threads and processes that the cell itself started: neither a pool's nor a library's."""
    for flow in trace.flows:
        track = tracks.get(flow.target) if flow.kind == "spawn" else None
        if track is None or track.end_ns is None or track.group or not track.unit:
            continue
        if track.kind == "thread" or (track.kind == "process" and track.start_method != "subprocess"):
            name = track.name.partition("(")[2].rstrip(")")  # "Thread-5 (download)"
            yield _Piece(flow.source, name, track.kind, track.id, flow.source_ns, track.end_ns)


def _function(label: str) -> str:
    """The function of a job's label or a task's name, without arguments and number."""
    name, _, number = label.partition("(")[0].rpartition("-")
    return name if name and number.isdigit() else label.partition("(")[0]


def _rows(pieces: Sequence[_Piece]) -> Iterator[list[_Piece]]:
    """Those of one function that follow each other without overlap, by who handed them over."""
    by: dict[tuple[int, str, str], list[list[_Piece]]] = defaultdict(lambda: [[]])
    for piece in pieces:
        rows = by[piece.by, piece.kind, piece.name]
        if rows[-1] and piece.start_ns < rows[-1][-1].end_ns:
            rows.append([])
        rows[-1].append(piece)
    for rows in by.values():
        yield from (row for row in rows if len(row) >= LEAST_IN_A_ROW)


def _line_of_most(waits: Sequence[StateInterval]) -> int:
    """The line of the cell at which most of it was waited; 0 is not known."""
    at: dict[int, int] = defaultdict(int)
    for one in waits:
        at[0 if one.file else one.line] += one.length_ns
    return max(at, key=lambda line: at[line], default=0)


def _mostly(row: Sequence[_Piece], tracks: dict[int, Track]) -> Spent | None:
    """What those who worked spent most of their time on, where it is one thing."""
    pairs: dict[int, list[Pair]] = defaultdict(list)
    for piece in row:
        pairs[piece.worker].append(piece.pair)
    spent: dict[Spent, int] = defaultdict(int)
    for worker, at_work in pairs.items():
        doing: dict[Spent, list[Pair]] = defaultdict(list)
        for one in tracks[worker].states:
            doing[Spent(one.state.value, one.reason, one.facts.phase, one.file, one.line)].append(one.pair)
        for what, times in doing.items():
            spent[what] += total(common(times, at_work))
    most = max(spent, key=lambda each: spent[each], default=None)
    if most is None or most.state == State.UNKNOWN.value:
        return None
    return most if spent[most] >= MOSTLY * total([piece.pair for piece in row]) else None


def _could_be_at_once(trace: Trace, row: Sequence[_Piece], tracks: dict[int, Track]) -> bool:
    """Whether there was room for several: workers, cores or waiting, and nothing else that used it."""
    pairs = [piece.pair for piece in row]
    mine = {piece.worker for piece in row} | {row[0].by}
    others = union(
        one.pair
        for track in trace.tracks
        if track.id not in mine and track.role == "work" and (track.unit or track.group)
        for one in track.states
        if one.state is not State.WAITING or one.reason in OUTSIDE
    )
    if total(common(others, pairs)) > ALONE_SHARE * total(pairs):
        return False
    workers = [tracks[number] for number in mine - {row[0].by}]
    waits = sum(total(common(_waiting(track), pairs)) for track in workers)
    if waits >= WAITS_SHARE * total(pairs):
        return row[0].kind != "job" or not has_one_worker(trace.source)
    return all(track.kind == "process" for track in workers) and trace.build.cores > 1


def _waiting(track: Track) -> list[Pair]:
    return union(one.pair for one in track.states if one.state is State.WAITING)


def _by_pool(trace: Trace) -> list[tuple[list[Track], list[Job]]]:
    """The workers of each pool and the jobs that they began."""
    workers: dict[str, list[Track]] = defaultdict(list)
    for track in trace.tracks:
        if track.group and track.role == "work" and track.kind in ("process", "thread"):
            workers[track.group].append(track)
    of_pool = {track.id: group for group, tracks in workers.items() for track in tracks}
    jobs: dict[str, list[Job]] = defaultdict(list)
    for job in trace.jobs:
        if job.track in of_pool and job.start_ns is not None:
            jobs[of_pool[job.track]].append(job)
    return [(workers[group], done) for group, done in jobs.items()]


def pool_starved(trace: Trace, metrics: Metrics) -> Iterator[Finding]:
    """All workers of the only pool waited for results when the cell was stopped; jobs stood behind them."""
    pools = _by_pool(trace)
    if not trace.outcome.stopped_by or len(pools) != 1:
        return
    workers, jobs = pools[0]
    behind = [job for job in trace.jobs if job.start_ns is None]
    waits = [wait for track in workers if (wait := _waits_for_result(trace, track, jobs)) is not None]
    if not behind or len(waits) < len(workers):
        return
    # What was queued only after they had begun to wait may come from elsewhere.
    since = max(wait.start_ns for wait in waits)
    if min(job.submit_ns for job in behind) > since:
        return
    yield Finding(
        values=PoolStarved(
            len(workers),
            workers[0].group,
            tuple(job.label for job in behind),
            next((wait.line for wait in waits if not wait.file), 0),
        ),
        cost_s=(trace.wall_ns - since) / 1e9,
        tracks=tuple(track.id for track in workers),
        start_ns=since,
        end_ns=trace.wall_ns,
        line=next((wait.line for wait in waits if not wait.file), 0),
    )


def _waits_for_result(trace: Trace, track: Track, jobs: Sequence[Job]) -> StateInterval | None:
    """What a worker waited for in a job when the cell was stopped, if that was a result."""
    late = stop_ns(trace)
    at_work = any(job.track == track.id and (job.end_ns or trace.wall_ns) > late for job in jobs)
    waits = [one for one in track.states if one.state is State.WAITING and one.end_ns > late]
    last = max(waits, key=lambda one: one.length_ns, default=None)
    return last if at_work and last is not None and last.reason == "result" else None
