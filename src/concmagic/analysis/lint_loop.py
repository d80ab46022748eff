"""Lints about event loops: who held one while others were ready."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

import numpy as np

from concmagic.analysis import Finding
from concmagic.analysis.concurrency import loops_with_tasks
from concmagic.analysis.event_loops import loops_of, runs, steps_of
from concmagic.analysis.intervals import Pair, common, count_at_once, minus, total, union
from concmagic.analysis.metrics import Metrics
from concmagic.model.columns import columns_of
from concmagic.model.findings import BlockedLoop, LoopHold, SmallBlocks, StarvedTask, Values
from concmagic.model.groups import Called
from concmagic.model.states import within
from concmagic.model.trace import NO_FACTS, Flow, Named, State, StateInterval, Trace, Track
from concmagic.source_lookup import call_text

LONG_STEP_NS = 50_000_000  # a step from here on blocks the loop …
LONG_STEP_SHARE = 0.10  # … in a short cell from this share of it on …
FLOOR_NS = 10_000_000  # … but a loop that is held for less than this is not blocked
SMALL_BLOCK_NS = 1_000_000  # the shortest that is looked at
MANY = 5  # from here on small ones are many
STARVED_SHARE = 0.5  # of its life that a starved task is ready and kept waiting
STARVED_TIMES = 3  # as long as the others are

_ON_THE_LOOP = (State.RUNNING, State.BLOCKING, State.UNKNOWN)

BlockSite = tuple[str, str, int, int, int]  # blocking call, file, line, process, thread of the loop


@dataclass(frozen=True, slots=True)
class Hold:
    """A step: a stretch in which one task held its loop, and the longest that it did in it."""

    track: Track
    pairs: tuple[Pair, ...]  # without what it had no core for: other programs took that, or other workers
    worst: StateInterval

    @property
    def length_ns(self) -> int:
        """How long it held the loop by what it did itself."""
        return total(self.pairs)

    @property
    def place(self) -> BlockSite:
        """What and where: many at one place are one finding."""
        one, track = self.worst, self.track
        if one.state is State.BLOCKING:
            return one.reason, one.file, one.line, track.pid, track.native_id
        return "", track.file, track.line, track.pid, track.native_id


def long_step_ns(trace: Trace) -> int:
    """From which length on a step of this cell blocks its loop."""
    return max(FLOOR_NS, min(LONG_STEP_NS, round(LONG_STEP_SHARE * trace.wall_ns)))


def blocked_event_loop(trace: Trace, metrics: Metrics) -> Iterator[Finding]:
    """A task held the loop while others were ready. Not when nobody was: then nothing was lost."""
    for holds in _by_place(_steps(trace, long_step_ns(trace))):
        victims = _victims(trace, holds)
        lost = union(pair for pairs in victims.values() for pair in pairs)
        if not lost:
            continue
        most = count_at_once((pair for pairs in victims.values() for pair in pairs), trace.wall_ns).peak
        worst = max(holds, key=lambda hold: hold.length_ns)
        held = total(_all_pairs(holds))
        values = BlockedLoop(
            held, trace.wall_ns, _loop_hold(trace, worst, holds), len(holds), most, _names(trace, victims)
        )
        yield _finding(values, total(lost), holds)
    yield from _held_by_callbacks(trace)


def _held_by_callbacks(trace: Trace) -> Iterator[Finding]:
    """A callback held a loop without tasks while others were due, or had been sent."""
    limit = long_step_ns(trace)
    with_tasks = {loop.id for loop in loops_with_tasks(trace)}
    for loop in loops_of(trace):
        if loop.id in with_tasks:
            continue
        late = [flow for flow in trace.flows if flow.target == loop.id and flow.kind == "wake"]
        steps = [step for step in steps_of(loop) if step[1] - step[0] >= limit] if late else []
        named = [(_hold(loop, within(loop.states, begin, end)), who) for begin, end, who in steps]
        named = [(hold, who) for hold, who in named if hold.length_ns >= limit]
        for holds in _by_place(hold for hold, _ in named):
            whose = [trace.name_of(who) for hold, who in named if hold in holds]
            kept = _late_callbacks(late, holds, whose)
            if kept:
                yield _callbacks_finding(trace, holds, whose[0], kept)


def _late_callbacks(
    late: Sequence[Flow], holds: Sequence[Hold], whose: Sequence[str]
) -> dict[str, list[Pair]]:
    """By name how long they were kept. Not those of the one that held the loop, nor the loop's own end."""
    held = _all_pairs(holds)
    kept: dict[str, list[Pair]] = defaultdict(list)
    for flow in late:
        pairs = common([(flow.source_ns, flow.target_ns)], held)
        if total(pairs) >= FLOOR_NS // 10 and flow.detail not in whose and not flow.detail.endswith(".stop"):
            kept[flow.detail or "callback"] += pairs
    return kept


def _callbacks_finding(
    trace: Trace, holds: Sequence[Hold], whose: str, kept: Mapping[str, Sequence[Pair]]
) -> Finding:
    pairs = [pair for each in kept.values() for pair in each]
    worst = max(holds, key=lambda hold: hold.length_ns)
    hold = replace(_loop_hold(trace, worst), task=whose, unit="callback")
    order = sorted(kept, key=lambda name: -total(union(kept[name])))
    values = BlockedLoop(
        total(_all_pairs(holds)),
        trace.wall_ns,
        replace(hold, state=replace(hold.state, facts=NO_FACTS)),
        len(holds),
        count_at_once(pairs, trace.wall_ns).peak,
        tuple(Called(name) for name in order),
    )
    return _finding(values, total(union(pairs)), holds)


def many_small_blocks(trace: Trace, metrics: Metrics) -> Iterator[Finding]:
    """Blocking calls that are each too short to matter, and together kept others waiting."""
    limit = long_step_ns(trace)
    short = [
        hold
        for hold in _steps(trace, SMALL_BLOCK_NS)
        if hold.length_ns < limit
        and hold.worst.state is State.BLOCKING  # short steps that compute are what a loop is for
        and hold.worst.length_ns >= SMALL_BLOCK_NS
    ]
    for holds in _by_place(short):
        if len(holds) < MANY:
            continue
        victims = _victims(trace, holds)
        lost = union(pair for pairs in victims.values() for pair in pairs)
        if total(lost) < limit:  # together they kept nobody for as long as one long step would
            continue
        held = total(_all_pairs(holds))
        values = SmallBlocks(
            held, trace.wall_ns, _loop_hold(trace, holds[0]), len(holds), _names(trace, victims)
        )
        yield _finding(values, total(lost), holds)


def starved_task(trace: Trace, metrics: Metrics) -> Iterator[Finding]:
    """One task was ready for most of its life while its loop served others, far longer than those."""
    limit = long_step_ns(trace)
    holds = [*_steps(trace, limit)]
    for loop, tasks in _by_loop(trace).items():
        long = union(
            pair for hold in holds for pair in hold.pairs if (hold.track.pid, hold.track.native_id) == loop
        )
        # What one long step did to a task is blocked-event-loop's to tell; what other programs did, and
        # other threads, is no turn that it was not given.
        elsewhere = union([*long, *_kept_from_running(trace, loop)])
        kept = {track.id: total(minus(_ready(track), elsewhere)) for track in tasks if not track.host}
        if len(kept) < 3:  # two that take turns are both kept waiting half of the time
            continue
        usual = median(kept.values())
        for track in tasks:
            ready = kept.get(track.id, 0)
            life = track.until(trace.wall_ns) - track.start_ns
            if ready >= limit and ready >= STARVED_SHARE * life and ready > STARVED_TIMES * usual:
                yield Finding(
                    severity="note",
                    values=StarvedTask(trace.called()[track.id], ready, life),
                    tracks=(track.id,),
                    start_ns=track.start_ns,
                    end_ns=track.start_ns + life,
                )


def _finding(values: Values, cost_ns: int, holds: Sequence[Hold]) -> Finding:
    worst = max(holds, key=lambda hold: hold.length_ns)
    return Finding(
        values=values,
        cost_s=cost_ns / 1e9,
        tracks=tuple(sorted({hold.track.id for hold in holds})),
        start_ns=worst.worst.start_ns,
        end_ns=worst.worst.end_ns,
        line=worst.worst.line if not worst.worst.file else 0,
    )


def _all_pairs(holds: Iterable[Hold]) -> list[Pair]:
    return union(pair for hold in holds for pair in hold.pairs)


def _loop_hold(trace: Trace, hold: Hold, alike: Sequence[Hold] = ()) -> LoopHold:
    """What held the loop longest; `alike` are the steps at the same place, of other tasks, too."""
    one = hold.worst
    quoted = one.state is State.BLOCKING and not one.file
    call = call_text(trace.source, one.line, one.reason) if quoted else ""
    others = len({each.track.id for each in alike} - {hold.track.id})
    return LoopHold(hold.track.name, one, call, Named.of(trace), others=others)


def _names(trace: Trace, victims: dict[int, list[Pair]]) -> tuple[Called, ...]:
    """Who was kept waiting, longest first."""
    order = sorted(victims, key=lambda number: -total(victims[number]))
    known = trace.called()
    return tuple(known[number] for number in order)


def _steps(trace: Trace, shortest_ns: int) -> Iterator[Hold]:
    """Every step of a task that is no shorter: states without a pause between them.

    One that wanted a core or the GIL goes on all the same; a task that waits for its loop is in none. What it
    had no core for makes no step longer than it is.
    """
    tasks = columns_of(trace).only(track for track in trace.tracks if track.kind == "task")
    kept = tasks.in_state(State.READY) & (tasks.for_reason("core") | tasks.for_reason("GIL"))
    first, last = runs(tasks, (tasks.in_state(*_ON_THE_LOOP) | kept) & ~tasks.for_reason("merged"))
    long = np.flatnonzero(tasks.end_ns[last] - tasks.start_ns[first] >= shortest_ns)
    for row, end in zip(first[long].tolist(), last[long].tolist(), strict=True):
        place = int(np.searchsorted(tasks.bounds, row, "right")) - 1
        track, before = tasks.tracks[place], int(tasks.bounds[place])
        hold = _hold(track, track.states[row - before : end - before + 1])
        if hold.length_ns >= shortest_ns:
            yield hold


def _hold(track: Track, step: Sequence[StateInterval]) -> Hold:
    """A step with what it did longest; blocking calls at one place count together."""
    did = [one for one in step if one.state is not State.READY or one.reason != "core"]
    sums: dict[tuple[State, str, str, int], int] = defaultdict(int)
    for one in did or step:
        sums[_kind(one)] += one.length_ns
    most = max(sums, key=lambda kind: sums[kind])
    worst = max((one for one in did or step if _kind(one) == most), key=lambda one: one.length_ns)
    return Hold(track, tuple(union(one.pair for one in did)), worst)


def _kind(one: StateInterval) -> tuple[State, str, str, int]:
    if one.state is State.BLOCKING:
        return one.state, one.reason, one.file, one.line
    return State.RUNNING, "", "", 0


def _by_place(holds: Iterable[Hold]) -> list[list[Hold]]:
    found: dict[BlockSite, list[Hold]] = defaultdict(list)
    for hold in holds:
        found[hold.place].append(hold)
    return list(found.values())


def _by_loop(trace: Trace) -> dict[tuple[int, int], list[Track]]:
    found: dict[tuple[int, int], list[Track]] = defaultdict(list)
    for track in trace.tracks:
        if track.kind == "task" and track.role == "work":
            found[track.pid, track.native_id].append(track)
    return found


def _ready(track: Track) -> list[Pair]:
    return union(one.pair for one in track.states if one.state is State.READY)


def _could_go_on(track: Track) -> list[Pair]:
    return union(one.pair for one in track.states if one.state in (State.READY, State.STARTING))


def _kept_from_running(trace: Trace, loop: tuple[int, int]) -> list[Pair]:
    """Where the loop's thread could have gone on, and had no core or not the GIL."""
    return [
        one.pair
        for track in trace.tracks
        if (track.pid, track.native_id) == loop
        for one in track.states
        if one.state is State.READY and one.reason in ("core", "GIL")
    ]


def _victims(trace: Trace, holds: Sequence[Hold]) -> dict[int, list[Pair]]:
    """Per task of the same loop how long it could have gone on, or begun, in the holds, if that was long."""
    held = _all_pairs(holds)
    loop = holds[0].track.pid, holds[0].track.native_id
    holders = {hold.track.id for hold in holds}
    victims = {}
    for track in trace.tracks:
        if track.kind != "task" or (track.pid, track.native_id) != loop:
            continue
        kept = common(_could_go_on(track), held)
        # Of a lone holder its own READY is no loss to anybody else.
        if total(kept) >= FLOOR_NS // 10 and (track.id not in holders or len(holders) > 1):
            victims[track.id] = kept
    return victims
