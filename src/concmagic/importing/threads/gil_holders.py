"""Waits for the GIL of one process: who held it meanwhile, and the GIL's own track.

Where the sampler has read it from the process's memory, that is it. Else it is read from the threads'
states: while somebody wants the GIL, somebody has it: the one thread on a core then is its holder. Two on
cores at that time means that one of them is in native code that released it; which one is told only
by calls that follow each other closely, else by nothing. While nobody wants it a thread on a core
may or may not have it, so that too takes the proof by calls.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from concmagic.importing.threads.import_threads import ThreadContext
from concmagic.importing.threads.sampled_states import Holding
from concmagic.model.reasons import FREE
from concmagic.model.states import join_equal
from concmagic.model.trace import NAMES, Facts, Int64s, State, StateInterval, Track
from concmagic.records.recording import ProcessRecord, ThreadRecord

SHOWN_SHARE = 0.05  # of the cell: under this the GIL kept nobody waiting who matters
SHOWN_NS = 10_000_000  # two switch intervals: less than that is a hand-over or two
MOST = 0.8  # of a wait: who held the GIL for this share of it is whom it waited for
_OURS = "concmagic"  # what the threads of the recording itself are called
_OUR_TURN = Facts(phase="gil")
_UNTOLD, _FREE = -1, -2
_NONE = np.empty((2, 0), np.int64)


@dataclass(frozen=True, slots=True)
class GilEvidence:
    """What is known of one process beside the tracks of its threads."""

    proofs: Mapping[int, Int64s]  # native id → from and to when it surely had the GIL: calls follow closely
    hidden: Sequence[Sequence[StateInterval]]  # sampled states of threads without a track
    period_ns: int  # between two samples
    seen: Sequence[Holding] = ()  # the holder, where it was read
    hidden_ids: tuple[int, ...] = ()  # native ids of the threads without a track, in the order of `hidden`
    others: tuple[int, ...] = ()  # and the ids that stand for them
    ours: frozenset[int] = frozenset()  # those of them that are concmagic's own


@dataclass(frozen=True, slots=True, eq=False)
class _Holding:
    """From `edges[i]` on `holders[i]` had it: an index into the names, or one of the two codes."""

    edges: Int64s
    holders: Int64s


def wanted(track: Track) -> list[StateInterval]:
    """Where a thread wanted the GIL and did not have it."""
    return [one for one in track.states if one.state is State.READY and one.reason == "GIL"]


def import_gil(
    process: ProcessRecord, threads: Sequence[Track], context: ThreadContext
) -> tuple[list[Track], list[Track]]:
    """The threads, with the holder on their waits for the GIL; and the GIL's own track, where it matters."""
    has_track = {track.native_id for track in threads}
    hidden = [record for record in process.threads if record.native_id not in has_track]
    evidence = GilEvidence(
        proofs={native_id: one.held for native_id, one in context.calls.items()},
        hidden=[context.samples.get(record.native_id, ()) for record in hidden],
        period_ns=context.sampling_ns,
        seen=context.holders,
        hidden_ids=tuple(record.native_id for record in hidden),
        others=tuple(context.ids.other(_name(record)) for record in hidden),
        ours=frozenset(context.ids.other(_OURS) for record in hidden if record.origin == "ours"),
    )
    gil = Track(
        id=context.ids.get("gil", process.pid, 0),
        kind="gil",
        name=NAMES["gil"],
        parent=context.parent,
        role="work",
        start_ns=context.born_ns,
        end_ns=max(context.died_ns, context.born_ns),
        pid=process.pid,
    )
    told, shown = gil_track(threads, gil, evidence, context.clock.wall_ns)
    return told, [shown] if shown is not None else []


def _name(record: ThreadRecord) -> str:
    return _OURS if record.origin == "ours" else record.name


def gil_track(
    threads: Sequence[Track], gil: Track, evidence: GilEvidence, wall_ns: int
) -> tuple[list[Track], Track | None]:
    """The threads that are told who held it, and `gil` with its states; None where it kept nobody waiting."""
    waits = [wanted(track) for track in threads]
    if not any(waits) or gil.end_ns == gil.start_ns:
        return list(threads), None
    facts = [Facts(holders=(who,)) for who in (*(track.id for track in threads), *evidence.others)]
    holding = (
        _as_they_ran(_seen(threads, evidence), threads, evidence)
        if evidence.seen
        else _holding(threads, waits, evidence)
    )
    edges, holders = holding.edges.tolist(), holding.holders.tolist()
    held_by = dict(enumerate(facts))
    told = [
        replace(track, states=_with_holders(track, edges, holders, held_by, evidence.ours))
        if of_track
        else track
        for track, of_track in zip(threads, waits, strict=True)
    ]
    if not _matters(waits, wall_ns, 1 if evidence.seen else 2):
        return told, None
    return told, replace(gil, states=_states(holding, facts, gil.start_ns, gil.end_ns or wall_ns))


def _matters(waits: Sequence[Sequence[StateInterval]], wall_ns: int, fewest: int) -> bool:
    """Whether it kept threads waiting; one alone is none that contends, but where its holder is known."""
    flat = [one for of_thread in waits for one in of_thread]
    edges, count = _count(_columns(flat))
    contended = int((np.diff(edges) * (count[:-1] > 0)).sum())
    contenders = sum(1 for of_thread in waits if of_thread)
    return contenders >= fewest and contended >= max(SHOWN_SHARE * wall_ns, SHOWN_NS)


def _seen(threads: Sequence[Track], evidence: GilEvidence) -> _Holding:
    """The holder as it was read; before the first and after the last sample it is not known."""
    native_ids = [track.native_id for track in threads] + list(evidence.hidden_ids)
    numbers = {native_id: index for index, native_id in enumerate(native_ids)} | {0: _FREE}
    edges, holders = [0], [_UNTOLD]
    for start, end, native_id in evidence.seen:
        if start > edges[-1]:
            edges.append(start)
            holders.append(_UNTOLD)
        holders[-1] = numbers.get(native_id, _UNTOLD)
        edges.append(end)
        holders.append(_UNTOLD)
    return _Holding(*_merged(np.array(edges, np.int64), np.array(holders, np.int64)))


def _as_they_ran(holding: _Holding, threads: Sequence[Track], evidence: GilEvidence) -> _Holding:
    """The holder as it was read, but for less than a sampling period in which another one ran alone.

    When it changed between two looks is known less well than that somebody computed.
    """
    ran = _numbered([_columns(of_thread)[:2] for of_thread in _on_core(threads, evidence)])
    edges = np.union1d(holding.edges, ran[:2].ravel())
    running, runner = _at(edges, ran)
    holders = holding.holders[np.searchsorted(holding.edges, edges, "right") - 1]
    holders = np.where(edges < holding.edges[0], _UNTOLD, holders)
    wrong = (running == 1) & (holders >= 0) & (holders != runner)
    bounds = np.flatnonzero(np.diff(np.concatenate([[False], wrong, [False]]))).reshape(-1, 2)
    for first, last in bounds.tolist():
        if last < len(edges) and edges[last] - edges[first] <= evidence.period_ns:
            is_next = runner[first] in (holders[first - 1], holders[last])
            holders[first:last] = runner[first] if is_next else _UNTOLD
    return _Holding(*_merged(edges, holders))


def _on_core(threads: Sequence[Track], evidence: GilEvidence) -> list[list[StateInterval]]:
    """Where each thread computed, those without a track last."""
    all_states = [*(track.states for track in threads), *evidence.hidden]
    return [[one for one in states if one.state is State.RUNNING] for states in all_states]


def _holding(
    threads: Sequence[Track], waits: Sequence[Sequence[StateInterval]], evidence: GilEvidence
) -> _Holding:
    on_core = _on_core(threads, evidence)
    proven = [evidence.proofs.get(track.native_id, _NONE) for track in threads]
    layers = [
        _columns([one for of_thread in waits for one in of_thread]),
        _columns([one for track in threads for one in track.states if one.state is State.UNKNOWN]),
        _numbered([_columns(of_thread)[:2] for of_thread in on_core]),
        _numbered([_inside(pairs, track) for pairs, track in zip(proven, threads, strict=True)]),
    ]
    edges = np.unique(np.concatenate([[0], *(layer[:2].ravel() for layer in layers)]))
    (wants, _), (unknown, _), (running, runner), (proofs, prover) = (_at(edges, layer) for layer in layers)
    # Numbers of threads are summed where several hold at once: of one alone the sum is its number.
    holders = np.where(running + wants + unknown == 0, _FREE, _UNTOLD)
    holders = np.where((running == 1) & (wants > 0) & (unknown == 0), runner, holders)
    holders = np.where((running > 0) & (proofs == 1), prover, holders)
    return _without_slivers(_Holding(edges, holders), evidence.period_ns)


def _columns(intervals: Sequence[StateInterval]) -> Int64s:
    """Rows: starts, ends, and the number of the thread, which is 0."""
    rows = [(one.start_ns, one.end_ns, 0) for one in intervals]
    return np.array(rows, np.int64).reshape(-1, 3).T


def _numbered(of_threads: Sequence[Int64s]) -> Int64s:
    parts = [np.vstack((pairs, np.full(pairs.shape[1], number))) for number, pairs in enumerate(of_threads)]
    return np.concatenate([part.astype(np.int64) for part in parts], axis=1)


def _inside(pairs: Int64s, track: Track) -> Int64s:
    """The proofs within the track's life: what is outside the cell is none of it."""
    last = track.states[-1].end_ns if track.states else track.start_ns
    cut = np.clip(pairs, track.start_ns, last)
    return cut[:, cut[1] > cut[0]]


def _count(layer: Int64s) -> tuple[Int64s, Int64s]:
    edges = np.unique(layer[:2].ravel())
    return edges, _at(edges, layer)[0]


def _at(edges: Int64s, layer: Int64s) -> tuple[Int64s, Int64s]:
    """From each edge on: how many of the layer's stretches hold, and the sum of their numbers."""
    starts, ends, numbers = layer
    count, summed = np.zeros(len(edges), np.int64), np.zeros(len(edges), np.int64)
    for moments, sign in ((starts, 1), (ends, -1)):
        where = np.searchsorted(edges, moments)
        np.add.at(count, where, sign)
        np.add.at(summed, where, sign * numbers)
    return np.cumsum(count), np.cumsum(summed)


def _without_slivers(holding: _Holding, period_ns: int) -> _Holding:
    """Between two holders, what is shorter than a sampling period is the time their samples disagree."""
    edges, holders = _merged(holding.edges, holding.holders)
    if len(edges) < 3:
        return _Holding(edges, holders)
    short = np.append(np.diff(edges) <= period_ns, False) & (holders < 0)
    between = np.zeros(len(edges), bool)
    between[1:-1] = (holders[:-2] >= 0) & (holders[2:] >= 0)
    filled = np.where(short & between, np.roll(holders, 1), holders)
    return _Holding(*_merged(edges, filled))


def _merged(edges: Int64s, holders: Int64s) -> tuple[Int64s, Int64s]:
    changes = np.append(True, np.diff(holders) != 0)
    return edges[changes], holders[changes]


def _states(holding: _Holding, facts: Sequence[Facts], start: int, end: int) -> tuple[StateInterval, ...]:
    """The GIL's own states; before the first and after the last that is known of its threads, UNKNOWN."""
    edges = np.clip(holding.edges, start, end).tolist()
    edges, holders = [start, *edges, end], [_UNTOLD, *holding.holders.tolist()]
    found = [
        _state(begin, stop, holder, facts)
        for begin, stop, holder in zip(edges[:-1], edges[1:], holders, strict=True)
        if stop > begin
    ]
    return tuple(join_equal(found))


def _state(begin: int, end: int, holder: int, facts: Sequence[Facts]) -> StateInterval:
    if holder == _FREE:
        return StateInterval(begin, end, State.WAITING, FREE)
    if holder < 0:
        return StateInterval(begin, end, State.UNKNOWN)
    return StateInterval(begin, end, State.RUNNING, "", facts[holder])


def _with_holders(
    track: Track, edges: list[int], holders: list[int], held_by: Mapping[int, Facts], ours: frozenset[int]
) -> tuple[StateInterval, ...]:
    """The track's states; its waits for the GIL say who held it, where that was one alone."""
    return tuple(
        _held(one, held_by.get(_holder(one, edges, holders)), ours)
        if one.state is State.READY and one.reason == "GIL"
        else one
        for one in track.states
    )


def _held(one: StateInterval, facts: Facts | None, ours: frozenset[int]) -> StateInterval:
    if facts is None:
        return one
    if facts.holders and ours.issuperset(facts.holders):
        return replace(one, state=State.TRACING, reason="", facts=_OUR_TURN)
    return replace(one, facts=facts)


def _holder(wait: StateInterval, edges: list[int], holders: list[int]) -> int:
    """Who held it for most of a wait."""
    index = max(bisect_right(edges, wait.start_ns) - 1, 0)
    held: dict[int, int] = {}
    at = wait.start_ns
    while at < wait.end_ns:
        end = min(edges[index + 1], wait.end_ns) if index + 1 < len(edges) else wait.end_ns
        held[holders[index]] = held.get(holders[index], 0) + end - at
        at, index = end, index + 1
    holder = max(held, key=lambda each: held[each], default=_UNTOLD)
    return holder if held.get(holder, 0) >= MOST * wait.length_ns else _UNTOLD
