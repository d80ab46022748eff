"""Which lanes are drawn, in which order, which are folded away at first, and when each printed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from concmagic import sentences
from concmagic.model.trace import Trace, Track
from concmagic.renderers.measure import one_line
from concmagic.report import LaneSummary, Report

MOST_LANES = 14  # at first; 440 px
KEPT = 3  # of a fold, the slowest ones stay
DEEPEST = 4  # tasks started by tasks started by tasks … stay readable
Moments = Mapping[int, Sequence[int]]  # by track


@dataclass(frozen=True, slots=True)
class Lane:
    """One drawn track, or a fold that stands for several."""

    name: str
    depth: int
    tracks: tuple[Track, ...]  # one; all members of a fold
    text: str = ""  # what stands at its end
    ok: bool | None = None
    children: tuple[Lane, ...] = ()
    is_fold: bool = False  # its children are what it stands for, shown instead when unfolded
    machinery: bool = False
    told_too: tuple[Track, ...] = ()  # tracks that have no lane of their own: this one says the same

    @property
    def is_group(self) -> bool:
        """Whether other lanes are drawn under it."""
        return bool(self.children) and not self.is_fold


def arrange(report: Report) -> tuple[Lane, ...]:
    """The lanes of a report as a tree, folded so that at most MOST_LANES are seen at first.

    Every renderer asks for them: the last answer is kept with the trace.
    """
    kept = vars(report.trace)
    if "_arranged" not in kept or kept["_arranged"][0] is not report.lanes:
        kept["_arranged"] = report.lanes, _arranged(report)
    lanes: tuple[Lane, ...] = kept["_arranged"][1]
    return lanes


def _arranged(report: Report) -> tuple[Lane, ...]:
    tree = _Tree(report)
    lanes = _fold_siblings(tree.work())
    helpers = tree.helpers()
    return (*lanes, _fold_helpers(helpers)) if helpers else tuple(lanes)


def visible(lanes: tuple[Lane, ...]) -> list[Lane]:
    """The lanes seen at first, from top to bottom."""
    seen: list[Lane] = []
    for lane in lanes:
        seen.append(lane)
        if not lane.is_fold:
            seen += visible(lane.children)
    return seen


def every(lanes: tuple[Lane, ...]) -> list[Lane]:
    """All lanes, those in folds too, in drawing order."""
    return [one for lane in lanes for one in (lane, *every(lane.children))]


class _Tree:
    """Tracks by parent, with what would only indent taken out."""

    def __init__(self, report: Report) -> None:
        self._summaries = {summary.track: summary for summary in report.lanes}
        self._children: dict[int | None, list[Track]] = defaultdict(list)
        known = {track.id for track in report.trace.tracks}
        for track in report.trace.tracks:
            parent = track.parent if track.parent in known and track.parent != track.id else None
            self._children[parent].append(track)
        for siblings in self._children.values():
            siblings.sort(key=lambda track: (track.kind != "gil", track.start_ns, track.id))
        self._helpers: list[Track] = []
        self._seen: set[int] = set()

    def work(self) -> list[Lane]:
        """The lanes of what the user made."""
        lanes = self._under(None, 0)
        while len(lanes) == 1 and lanes[0].is_group and lanes[0].tracks[0].kind in ("process", "thread"):
            lanes = [_outdent(lane) for lane in lanes[0].children]  # a lone shell tells nothing
        return lanes

    def helpers(self) -> list[Lane]:
        """The lanes of the machinery that was met by `work`."""
        return [self._lane(track, 0, ()) for track in self._helpers]

    def _under(self, parent: int | None, depth: int) -> list[Lane]:
        lanes: list[Lane] = []
        for track in self._children.get(parent, ()):
            if track.id in self._seen:  # parents in a circle: never recorded, but never endless either
                continue
            self._seen.add(track.id)
            if track.role == "machinery":
                self._helpers.append(track)
                lanes += self._under(track.id, depth)
            elif depth < DEEPEST:
                lanes.append(_as_one(self._lane(track, depth, tuple(self._under(track.id, depth + 1)))))
            else:
                lanes += self._flat(track, depth)
        return lanes

    def _flat(self, track: Track, depth: int) -> list[Lane]:
        """A track and all its descendants side by side: a long chain of tasks ends in no recursion."""
        lanes, open_ends = [], [track]
        while open_ends:
            one = open_ends.pop()
            lanes.append(self._lane(one, depth, ()))
            below = [child for child in self._children.get(one.id, ()) if child.id not in self._seen]
            self._seen.update(child.id for child in below)
            open_ends += reversed(below)
        return lanes

    def _lane(self, track: Track, depth: int, children: tuple[Lane, ...]) -> Lane:
        summary = self._summaries.get(track.id, LaneSummary(track.id, track.name, "", None))
        name = one_line(summary.name) or track.kind
        return Lane(
            name, depth, (track,), summary.text, summary.ok, children, machinery=track.role == "machinery"
        )


def _as_one(lane: Lane) -> Lane:
    """A child process with nothing but its main thread needs one lane, not two."""
    below = lane.children
    if len(below) != 1 or below[0].children or lane.tracks[0].parent is None:
        return lane
    thread = below[0].tracks[0]
    if lane.tracks[0].kind != "process" or thread.kind != "thread" or not lane.tracks[0].states:
        return lane
    return replace(lane, children=(), told_too=(thread,))


def _outdent(lane: Lane) -> Lane:
    children = tuple(_outdent(child) for child in lane.children)
    return replace(lane, depth=max(lane.depth - 1, 0), children=children)


def _fold_siblings(lanes: list[Lane]) -> list[Lane]:
    """Fold the largest families first, then harder, until few enough lanes are seen."""
    for kept in (KEPT, 1, 0):
        while len(visible(tuple(lanes))) > MOST_LANES:
            saved, family = max(_families(lanes, kept), key=lambda pair: pair[0], default=(0, ()))
            if saved <= 0:
                break
            lanes = _replace_family(lanes, family, kept)
    return lanes


def _families(lanes: list[Lane], kept: int) -> list[tuple[int, tuple[int, ...]]]:
    """What folding each set of siblings would save, with the path of indices that leads to it."""
    found: list[tuple[int, tuple[int, ...]]] = [(_saved(lanes, kept), ())] if lanes else []
    for index, lane in enumerate(lanes):
        if lane.is_group:
            below = _families(list(lane.children), kept)
            found += [(saved, (index, *path)) for saved, path in below]
    return found


def _saved(lanes: list[Lane], kept: int) -> int:
    folded = _to_fold(lanes, kept)
    return sum(len(visible((lane,))) for lane in folded) - 1 if len(folded) > 1 else 0


def _to_fold(lanes: list[Lane], kept: int) -> list[Lane]:
    """All but the slowest; equals in their order of start."""
    foldable = [lane for lane in lanes if not lane.is_fold and lane.tracks[0].kind not in ("loop", "gil")]
    return sorted(foldable, key=lambda lane: -_length(lane))[kept:]


def _replace_family(lanes: list[Lane], path: tuple[int, ...], kept: int) -> list[Lane]:
    if not path:
        return _fold_these(lanes, kept)
    index, *rest = path
    parent = lanes[index]
    children = tuple(_replace_family(list(parent.children), tuple(rest), kept))
    return [*lanes[:index], replace(parent, children=children), *lanes[index + 1 :]]


def _fold_these(lanes: list[Lane], kept: int) -> list[Lane]:
    chosen = {id(lane) for lane in _to_fold(lanes, kept)}
    earlier = [child for lane in lanes if lane.is_fold for child in lane.children]
    stay = [lane for lane in lanes if id(lane) not in chosen and not lane.is_fold]
    folded = [lane for lane in lanes if id(lane) in chosen] + earlier
    return [*stay, _fold(folded, bool(stay))]


def _fold(lanes: list[Lane], others_stay: bool) -> Lane:
    tracks = tuple(lane.tracks[0] for lane in lanes)
    kinds = {track.kind for track in tracks}
    kind = kinds.pop() if len(kinds) == 1 else "track"
    name = (sentences.more_lanes if others_stay else sentences.all_lanes)(len(lanes), kind)
    failed = sum(lane.ok is False for lane in lanes)
    ok = False if failed else (True if all(lane.ok for lane in lanes) else None)
    text = sentences.failed_of(failed) if failed else sentences.spread([_length(lane) for lane in lanes])
    return Lane(name, lanes[0].depth, tracks, text, ok, tuple(lanes), is_fold=True)


def _fold_helpers(lanes: list[Lane]) -> Lane:
    name = sentences.helpers(len(lanes))
    tracks = tuple(lane.tracks[0] for lane in lanes)
    return Lane(name, 0, tracks, "", None, tuple(lanes), is_fold=True, machinery=True)


def _length(lane: Lane) -> int:
    track = lane.tracks[0]
    end = track.end_ns
    if end is None:
        end = track.states[-1].end_ns if track.states else track.start_ns
    return end - track.start_ns


def moments_of(trace: Trace) -> Moments:
    """When each track printed."""
    found: dict[int, list[int]] = defaultdict(list)
    for one in trace.prints:
        found[one.track].append(one.at_ns)
    return found


def on_lane(lane: Lane, moments: Moments, apart_ns: float) -> list[int]:
    """When a lane printed, at most once in so many nanoseconds; a fold is nobody's lane."""
    if lane.is_fold:
        return []
    kept: list[int] = []
    for at in sorted(at for track in (*lane.tracks, *lane.told_too) for at in moments.get(track.id, ())):
        if not kept or at - kept[-1] >= apart_ns:
            kept.append(at)
    return kept
