"""Threads under one GIL compute one at a time, but for where the CPU clock of their process proves more.

Samples and CPU clocks tell how long a thread computed, and only nearly when: a thread that could go on looks
the same whether it has a core or not. Where two seem to have computed at once and the clock of their process
went no faster than the time, one of them did so a little earlier or later: while it was READY, as the kernel
says that it was, and no other computed. There the two states are exchanged, so that the sums stay what the
clocks say. Where there is no such place, it is not known what it did.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import ceil

import numpy as np

from concmagic.importing.threads.sampled_states import Piece
from concmagic.model.states import cover, cut
from concmagic.model.trace import Int64s, State, StateInterval, Track

_REACH_NS = 100_000_000  # at least so far from where it stands a stretch may have been …
_REACH_PERIODS = 4  # … or so many sampling periods
_RINGS_NS = (2_000_000, 10_000_000)  # what is nearer than that is looked at first
_PROVEN = 0.1  # of a core: less beside whole ones is the inaccuracy of a reading
_WANTED = ("GIL", "core")
_MANY = 1 << 20  # nothing is known of how many computed at once
_UNTOLD = -1
_NONE = np.empty((2, 0), np.int64)

Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class OneGil:
    """What is known of one process beside the states of its threads."""

    clock: Sequence[Piece]  # from, to, how much its CPU clock went; 0: it was looked at, and went no faster
    holders: Sequence[Piece]  # of the GIL: from, to, native id
    sampling_ns: int
    held: Mapping[int, Int64s] = field(default_factory=dict)  # by native id: calls prove that it had it
    steps: Mapping[int, Sequence[Pair]] = field(default_factory=dict)  # and where its loops computed


def one_at_a_time(threads: Sequence[Track], known: OneGil) -> list[Track]:
    """The threads of a process, of which no two are RUNNING at once where that is not proven."""
    running = [_running(track) for track in threads]
    if not known.clock or len(threads) < 2:
        return list(threads)
    grid = _Grid(running, [known.steps.get(track.native_id, ()) for track in threads], known)
    crowded = list(grid.crowded())
    against = list(grid.against([track.native_id for track in threads]))
    if not crowded and not against:
        return list(threads)
    lanes = [_Lane(track, grid, known) for track in threads]
    for (start, end, most), alive in _with_those_alive(crowded, lanes):
        _thin_out(alive, start, end, most)
    for lane, start, end in against:
        if lanes[lane].is_running(start):
            lanes[lane].give_up(start, end, only_own=True)
    return [lane.told() for lane in lanes]


def _running(track: Track) -> list[Pair]:
    return [one.pair for one in track.states if one.state is State.RUNNING]


def _with_those_alive(
    pieces: Sequence[tuple[int, int, int]], lanes: Sequence[_Lane]
) -> Iterator[tuple[tuple[int, int, int], list[_Lane]]]:
    """Each piece, in order, with the threads that have states then: of very many short ones only a few."""
    coming = sorted(lanes, key=lambda lane: lane.begin_ns, reverse=True)
    alive: list[_Lane] = []
    for piece in pieces:
        while coming and coming[-1].begin_ns <= piece[0]:
            alive.append(coming.pop())
        alive = [lane for lane in alive if lane.end_ns > piece[0]]
        yield piece, alive


def _thin_out(lanes: Sequence[_Lane], start: int, end: int, most: int) -> None:
    """Leave as many RUNNING as can have been: first who had the GIL, then who can least be elsewhere.

    A loop's step has exact times, also where its thread looks otherwise.
    """
    found = [lane for lane in lanes if lane.is_running(start) and not lane.in_step(start)]
    most = max(most - sum(lane.in_step(start) for lane in lanes), 0)
    ordered = sorted(found, key=lambda lane: (not lane.has_gil(start), lane.room_near(start, end)))
    for lane in ordered[most:]:
        lane.give_up(start, end)


class _Grid:
    """The time of a process in pieces; of each how many threads run in it, and how many can."""

    def __init__(
        self, running: Sequence[Sequence[Pair]], steps: Sequence[Sequence[Pair]], known: OneGil
    ) -> None:
        of_threads = [_rows([*own, *more]) for own, more in zip(running, steps, strict=True)]
        clock = np.array(known.clock, np.int64).reshape(-1, 3)
        held = np.array(known.holders, np.int64).reshape(-1, 3)
        edges = np.unique(
            np.concatenate([*map(np.ravel, of_threads), clock[:, :2].ravel(), held[:, :2].ravel()])
        )
        self._runs = running
        self.edges: list[int] = edges.tolist()
        self.count: list[int] = _how_many(edges, of_threads).tolist()
        self.most: list[int] = _at_most(edges, clock).tolist()
        self.holder: list[int] = _holder(edges, held).tolist()

    def crowded(self) -> Iterator[tuple[int, int, int]]:
        """Where more run than can: from, to, how many can."""
        for index in range(len(self.edges) - 1):
            if self.count[index] > self.most[index]:
                yield self.edges[index], self.edges[index + 1], self.most[index]

    def against(self, native_ids: Sequence[int]) -> Iterator[tuple[int, int, int]]:
        """Where one runs alone, and another one had the GIL: its number, from, to."""
        known = frozenset(native_ids)
        starts = [[start for start, _ in pairs] for pairs in self._runs]
        for index in range(len(self.edges) - 1):
            if self.count[index] != 1 or self.most[index] != 1 or self.holder[index] not in known:
                continue
            at = self.edges[index]
            for number, pairs in enumerate(self._runs):
                place = bisect_right(starts[number], at) - 1
                if place >= 0 and pairs[place][1] > at and native_ids[number] != self.holder[index]:
                    yield number, at, self.edges[index + 1]

    def index(self, at_ns: int) -> int:
        """The piece that holds a moment."""
        return bisect_right(self.edges, at_ns) - 1

    def free(self, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        """The parts of a stretch in which nobody runs: from, to, who had the GIL."""
        for index in range(max(self.index(start), 0), len(self.edges) - 1):
            if self.edges[index] >= end:
                return
            begin, stop = max(self.edges[index], start), min(self.edges[index + 1], end)
            if not self.count[index] and stop > begin:
                yield begin, stop, self.holder[index]

    def take(self, start: int, end: int, change: int) -> None:
        """One more runs in a stretch, or one less."""
        first, last = self._cut(start), self._cut(end)
        for index in range(first, last):
            self.count[index] += change

    def _cut(self, at_ns: int) -> int:
        index = bisect_left(self.edges, at_ns)
        if index == len(self.edges) or self.edges[index] != at_ns:
            self.edges.insert(index, at_ns)
            for column in (self.count, self.most, self.holder):
                column.insert(index, column[max(index - 1, 0)])
        return index


def _rows(pairs: Sequence[Pair]) -> Int64s:
    return np.array(pairs, np.int64).reshape(-1, 2)


def _how_many(edges: Int64s, of_threads: Sequence[Int64s]) -> Int64s:
    """From each edge on, of how many threads a pair holds."""
    found = np.zeros(len(edges), np.int64)
    for pairs in of_threads:
        changes = np.zeros(len(edges), np.int64)
        np.add.at(changes, np.searchsorted(edges, pairs[:, 0]), 1)
        np.add.at(changes, np.searchsorted(edges, pairs[:, 1]), -1)
        found += np.cumsum(changes) > 0
    return found


def _at_most(edges: Int64s, clock: Int64s) -> Int64s:
    """As many as the process's clock proves; where it was not looked at nothing is known."""
    most = np.full(len(edges), _MANY, np.int64)
    for start, end, used in sorted(clock.tolist(), key=lambda row: row[2]):
        first, last = np.searchsorted(edges, (start, end))
        most[first:last] = max(1, ceil(used / (end - start) - _PROVEN))
    return most


def _holder(edges: Int64s, held: Int64s) -> Int64s:
    holder = np.full(len(edges), _UNTOLD, np.int64)
    firsts, lasts = np.searchsorted(edges, held[:, 0]), np.searchsorted(edges, held[:, 1])
    for first, last, native_id in zip(firsts.tolist(), lasts.tolist(), held[:, 2].tolist(), strict=True):
        holder[first:last] = native_id
    return holder


class _Lane:
    """One thread's states, and what of them is exchanged."""

    def __init__(self, track: Track, grid: _Grid, known: OneGil) -> None:
        self._track, self._grid = track, grid
        self._reach_ns = max(_REACH_NS, _REACH_PERIODS * known.sampling_ns)
        self._starts = [one.start_ns for one in track.states]
        self._steps = known.steps.get(track.native_id, ())
        self._held = known.held.get(track.native_id, _NONE)
        self._patches: dict[int, StateInterval] = {}  # by their starts
        states = track.states
        self.begin_ns, self.end_ns = (states[0].start_ns, states[-1].end_ns) if states else (0, 0)

    def told(self) -> Track:
        """The track with its states as they are now."""
        if not self._patches:
            return self._track
        states, patches = self._track.states, [self._patches[at] for at in sorted(self._patches)]
        return replace(self._track, states=cover(states[0].start_ns, states[-1].end_ns, states, patches))

    def is_running(self, at_ns: int) -> bool:
        """Whether it still computes at this moment, at which a piece begins."""
        index = bisect_right(self._starts, at_ns) - 1
        if index < 0 or at_ns in self._patches:
            return False
        one = self._track.states[index]
        return one.state is State.RUNNING and one.end_ns > at_ns

    def in_step(self, at_ns: int) -> bool:
        """Whether a loop of its own was in a step that computed."""
        index = bisect_right(self._steps, (at_ns, 1 << 62)) - 1
        return index >= 0 and self._steps[index][1] > at_ns

    def has_gil(self, at_ns: int) -> bool:
        """Whether it had the GIL, where that was read or its calls prove it."""
        index = int(np.searchsorted(self._held[0], at_ns, "right")) - 1
        if index >= 0 and self._held[1][index] > at_ns:
            return True
        return self._grid.holder[self._grid.index(at_ns)] == self._track.native_id

    def room_near(self, start: int, end: int) -> int:
        """How much of a piece can have been elsewhere."""
        room = 0
        for place in self._places(start, end, only_own=False):
            room += place.length_ns
            if room >= end - start:
                break
        return min(room, end - start)

    def give_up(self, start: int, end: int, only_own: bool = False) -> None:
        """Let it compute elsewhere, and have been READY here as it was there."""
        for place in self._places(start, end, only_own):
            if start >= end:
                break
            length = min(place.length_ns, end - start)
            begin = place.start_ns if place.start_ns >= end else place.end_ns - length
            self._exchange(cut(place, begin, begin + length), start)
            start += length
        if start < end and not only_own:
            self._patch(StateInterval(start, end, State.UNKNOWN), -1)

    def _exchange(self, there: StateInterval, here: int) -> None:
        self._patch(StateInterval(there.start_ns, there.end_ns, State.RUNNING), 1)
        self._patch(cut(there, here, here + there.length_ns), -1)

    def _patch(self, one: StateInterval, change: int) -> None:
        self._patches[one.start_ns] = one
        self._grid.take(one.start_ns, one.end_ns, change)

    def _places(self, start: int, end: int, only_own: bool) -> Iterator[StateInterval]:
        """Where it was READY and nobody computed: the nearest first, but last where another had the GIL.

        Further away is looked only when what is near has been used up.
        """
        for is_others in (False,) if only_own else (False, True):
            inner = 0
            for reach in (*(ring for ring in _RINGS_NS if ring < self._reach_ns), self._reach_ns):
                sides = [(start - reach, start - inner), (end + inner, end + reach)]
                parts = sides if inner else [(start - reach, end + reach)]
                found = [
                    (max(start - one.end_ns, one.start_ns - end), one)
                    for low, high in parts
                    for one in self._free_between(low, high, is_others, only_own)
                ]
                yield from (one for _, one in sorted(found, key=lambda place: place[0]))
                inner = reach

    def _free_between(self, low: int, high: int, is_others: bool, only_own: bool) -> Iterator[StateInterval]:
        own = self._track.native_id
        first = max(bisect_right(self._starts, low) - 1, 0)
        for one in self._track.states[first : bisect_left(self._starts, high)]:
            if one.state is not State.READY or one.reason not in _WANTED:
                continue
            for begin, stop, holder in self._grid.free(max(one.start_ns, low), min(one.end_ns, high)):
                if (holder > 0 and holder != own) == is_others and (not only_own or holder == own):
                    yield cut(one, begin, stop)


def of_loops(loops: Mapping[int, Sequence[StateInterval]]) -> dict[int, list[Pair]]:
    """Where the loops of threads computed."""
    return {
        native_id: [one.pair for one in states if one.state is State.RUNNING]
        for native_id, states in loops.items()
    }
