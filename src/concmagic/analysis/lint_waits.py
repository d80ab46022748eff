"""Lints about waiting for each other: for locks, semaphores, a GIL that is kept."""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from concmagic.analysis import Finding
from concmagic.analysis.concurrency import gil_waits
from concmagic.analysis.intervals import Pair, common, count_at_once, minus, total, union
from concmagic.analysis.lint_header import capped_by_workers
from concmagic.analysis.metrics import Metrics
from concmagic.analysis.wait_chains import LockUse, wait_by_lock
from concmagic.model.findings import Capped, GilHeld, LockConvoy
from concmagic.model.reasons import FOR_A_CONNECTION
from concmagic.model.trace import State, StateInterval, Trace, Track
from concmagic.source_lookup import parsed

CONVOY_SHARE = 0.2  # of the cell in which somebody must have waited for the lock
CONVOY_WAITS = 10  # fewer are a hand-over or two
CONVOY_EACH = 2  # waits of one thread: who waits once only is late, unless it stands in a long queue
SERIAL_SHARE = 0.6  # of the cell: where somebody waits for a lock so long, few waits are the whole story …
SERIAL_SPREAD = 0.3  # … if they ended that far apart
CAPPED_SHARE = 0.05  # of the cell that somebody must have queued for
BUSY_SHARE = 0.8  # with a loop that is busier than this a larger bound would not help
KEPT_NS = 20_000_000  # four switch intervals: being shorter off its core happens to every holder of the GIL
KEPT_PERIODS = 4  # the holder and what it does are two samples, which may differ at both ends
_BY_NAME = ("Lock", "RLock")

_CAPS = ("Semaphore", FOR_A_CONNECTION)

_What = tuple[str, str, int]  # the reason of a wait, and its place


def lock_convoy(trace: Trace, metrics: Metrics) -> Iterator[Finding]:
    """Threads or tasks went through one lock again and again, or queued long. Conditions are meant so.

    Of tasks it is a note: one at a time may be what an asyncio.Lock is held for across an `await`.
    """
    for use in wait_by_lock(trace):
        if use.reason not in _BY_NAME:
            continue
        often = Counter(track for track, _ in use.waits)
        pairs = union(one.pair for _, one in use.waits)
        contended = total(pairs)
        is_convoy = _is_convoy(use, often, contended, trace)
        if not is_convoy and not _serialises(use, contended, trace):
            continue
        waited = sum(one.length_ns for _, one in use.waits)
        yield Finding(
            values=LockConvoy(
                use.lock,
                use.file,
                use.line,
                threads=len(often),
                waits=len(use.waits),
                wait_ns=waited,
                contended_ns=contended,
                wall_ns=trace.wall_ns,
                kind=use.kind,
            ),
            severity="note" if use.kind == "task" else "warning",
            cost_s=(min(waited / len(often), contended) if is_convoy else contended) / 1e9,
            tracks=tuple(often),
            start_ns=pairs[0][0],
            end_ns=pairs[-1][1],
            line=next((one.line for _, one in use.waits if one.line and not one.file), 0),
        )


def _is_convoy(use: LockUse, often: Counter[int], contended: int, trace: Trace) -> bool:
    """Many waits, of threads that come again or that queue up."""
    if len(use.waits) < CONVOY_WAITS or contended < CONVOY_SHARE * trace.wall_ns:
        return False
    return _again(often) or _one_by_one(use, trace)


def _serialises(use: LockUse, contended: int, trace: Trace) -> bool:
    """Whether nearly all of the cell passed through this lock, one thread after the other.

    Behind a lock that keeps a gate they go on together; one thread that waits for one other is late.
    """
    ends = [one.end_ns for _, one in use.waits]
    few = len({track for track, _ in use.waits}) < 2
    apart = max(ends) - min(ends) >= SERIAL_SPREAD * trace.wall_ns
    return not few and apart and contended >= SERIAL_SHARE * trace.wall_ns


def _again(often: Counter[int]) -> bool:
    """Several came more than once: one that waits for another again and again is served by it."""
    return sum(waits >= CONVOY_EACH for waits in often.values()) > 1


def _one_by_one(use: LockUse, trace: Trace) -> bool:
    """Many were let in one after the other for long; behind a lock that keeps a gate they go on together."""
    ends = [one.end_ns for _, one in use.waits]
    many = len({track for track, _ in use.waits}) >= CONVOY_WAITS
    return many and max(ends) - min(ends) >= CONVOY_SHARE * trace.wall_ns


def concurrency_capped(trace: Trace, metrics: Metrics) -> Iterator[Finding]:
    """A semaphore or a pool of connections let only so many through, while the loop had time for more."""
    for (reason, file, line), queued in _queued(trace).items():
        pairs = union(one.pair for _, waits in queued for one in waits)
        if len(queued) < 2 or total(pairs) < CAPPED_SHARE * trace.wall_ns:
            continue
        is_pool = reason == FOR_A_CONNECTION
        name, limit = _semaphore(trace.source, line) if not file and not is_pool else ("", 0)
        if is_pool:
            limit = max(one.facts.count for _, waits in queued for one in waits)
        most = limit or _most_inside(trace, queued, pairs[0][0])
        # A bound of one is a lock: one at a time is what was wanted.
        if most < 2:
            continue
        busy = _busy(trace, queued[0][0])
        idle = minus(pairs, busy)
        # A loop that computes all the time has no place for more in flight.
        if total(common(pairs, busy)) > BUSY_SHARE * total(pairs):
            continue
        yield Finding(
            severity="note",  # the bound is what was asked for
            values=Capped(
                most, name, file, line, len(queued), total(pairs), "connections" if is_pool else "semaphore"
            ),
            cost_s=total(idle) / 1e9,
            tracks=tuple(track.id for track, _ in queued),
            start_ns=pairs[0][0],
            end_ns=pairs[-1][1],
            line=line if not file else 0,
        )
    yield from capped_by_workers(trace)


def _queued(trace: Trace) -> dict[_What, list[tuple[Track, list[StateInterval]]]]:
    """Per place the tasks that waited there for a semaphore, or for a connection of a pool."""
    found: dict[_What, list[tuple[Track, list[StateInterval]]]] = defaultdict(list)
    for track in trace.tracks:
        if track.kind != "task" or track.role != "work":
            continue
        here: dict[_What, list[StateInterval]] = defaultdict(list)
        for one in track.states:
            if one.state is State.WAITING and one.reason in _CAPS and one.line:
                here[one.reason, one.file, one.line].append(one)
        for place, waits in here.items():
            found[place].append((track, waits))
    return found


def _most_inside(trace: Trace, queued: list[tuple[Track, list[StateInterval]]], first_ns: int) -> int:
    """How many at most had been let through: begun, of the same coroutine, and not in the queue."""
    like = queued[0][0]
    waits = {track.id: union(one.pair for one in found) for track, found in queued}
    inside = []
    for track in trace.tracks:
        if track.kind != "task" or (track.file, track.line) != (like.file, like.line):
            continue
        begun = next(
            (one.start_ns for one in track.states if one.state is not State.STARTING), track.start_ns
        )
        end = track.until(trace.wall_ns)
        alive = minus([(max(begun, first_ns), end)], waits.get(track.id, []))
        inside += [pair for pair in alive if pair[1] - pair[0] > trace.wall_ns // 1000]
    return count_at_once(inside, trace.wall_ns).peak


def _busy(trace: Trace, like: Track) -> list[tuple[int, int]]:
    return union(
        one.pair
        for track in trace.tracks
        if track.kind == "task" and (track.pid, track.native_id) == (like.pid, like.native_id)
        for one in track.states
        if one.state in (State.RUNNING, State.BLOCKING)
    )


def _semaphore(source: str, line: int) -> tuple[str, int]:
    """Name and bound of the semaphore that is entered on this line, as far as the cell tells them."""
    tree, shift = parsed(source)
    name = ""
    for node in ast.walk(tree):
        if isinstance(node, ast.AsyncWith):
            for item in node.items:
                if item.context_expr.lineno + shift == line and isinstance(item.context_expr, ast.Name):
                    name = item.context_expr.id
    bounds = {
        node.value.args[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        and [target.id for target in node.targets if isinstance(target, ast.Name)] == [name]
        and isinstance(node.value, ast.Call)
        and node.value.args
        and isinstance(node.value.args[0], ast.Constant)
        and isinstance(node.value.args[0].value, int)
    }
    return name, bounds.pop() if name and len(bounds) == 1 else 0


def gil_held_while_waiting(trace: Trace, metrics: Metrics) -> Iterator[Finding]:
    """A thread waited and kept the GIL, which others wanted: native code that does not release it.

    Not where it only had no core, and not if who held the GIL was not read.
    """
    for gil in (track for track in trace.tracks if track.kind == "gil"):
        threads = [track for track in trace.tracks if track.kind == "thread" and track.pid == gil.pid]
        wanted = {track.id: gil_waits(track) for track in threads}
        least = max(KEPT_NS, KEPT_PERIODS * trace.build.sampling_ns)
        for track, held in _held_by(gil, threads):
            waits = [one for one in track.states if one.state is State.WAITING]
            pairs = common(held, union(one.pair for one in waits))
            if total(pairs) < least:
                continue
            others = union(pair for other in threads if other is not track for pair in wanted[other.id])
            # Who wants it wakes up now and then to ask for it: for less than what samples tell apart.
            kept = _without_gaps(common(pairs, others), trace.build.sampling_ns)
            long = [pair for pair in kept if pair[1] - pair[0] >= least]
            if long:
                yield _gil_kept(trace, track, long, waits, wanted)


def _without_gaps(pairs: Sequence[Pair], shorter_ns: int) -> list[Pair]:
    """Pairs with less between them, as one."""
    joined: list[Pair] = []
    for start, end in pairs:
        if joined and start - joined[-1][1] < shorter_ns:
            joined[-1] = joined[-1][0], end
        else:
            joined.append((start, end))
    return joined


def _gil_kept(
    trace: Trace,
    track: Track,
    pairs: Sequence[Pair],
    waits: Sequence[StateInterval],
    wanted: Mapping[int, Sequence[Pair]],
) -> Finding:
    lasted = total(pairs)
    inside = [one for one in waits if common([one.pair], pairs)]
    worst = max(inside, key=lambda one: total(common([one.pair], pairs)))
    kept = [number for number, of_other in wanted.items() if number != track.id and common(of_other, pairs)]
    return Finding(
        values=GilHeld(track.name, worst.reason, worst.file, worst.line, lasted, trace.wall_ns, len(kept)),
        cost_s=lasted / 1e9,
        tracks=(track.id, *kept),
        start_ns=pairs[0][0],
        end_ns=pairs[-1][1],
        line=worst.line if not worst.file else 0,
    )


def _held_by(gil: Track, threads: Sequence[Track]) -> list[tuple[Track, list[Pair]]]:
    """When each thread held it."""
    held: dict[int, list[Pair]] = defaultdict(list)
    for one in gil.states:
        if one.state is State.RUNNING and one.holders:
            held[one.holders[0]].append(one.pair)
    return [(track, union(held[track.id])) for track in threads]
