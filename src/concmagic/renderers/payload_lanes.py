"""Which lanes are packed, in which order, and where the calls of each track are drawn."""

from __future__ import annotations

from dataclasses import dataclass

from concmagic.renderers.lanes import Lane
from concmagic.renderers.payload_calls import Place

MOST_LANES = 1_200


@dataclass(frozen=True, slots=True)
class Placed:
    """A lane with the number of the lane that it is drawn under, -1 for none."""

    lane: Lane
    parent: int


def place(lanes: tuple[Lane, ...]) -> tuple[list[Placed], int]:
    """All lanes in drawing order, the first ones of each fold if there are too many."""
    placed: list[Placed] = []
    left_out = 0

    def visit(lane: Lane, parent: int) -> None:
        nonlocal left_out
        if len(placed) >= MOST_LANES:
            left_out += 1
            return
        number = len(placed)
        placed.append(Placed(lane, parent))
        for child in lane.children:
            visit(child, number)

    for lane in lanes:
        visit(lane, -1)
    return placed, left_out


def within_folds(placed: list[Placed]) -> set[int]:
    """The lanes that are not seen until a fold is opened."""
    hidden: set[int] = set()
    for index, one in enumerate(placed):
        if one.parent >= 0 and (one.parent in hidden or placed[one.parent].lane.is_fold):
            hidden.add(index)
    return hidden


def lane_of_track(placed: list[Placed]) -> dict[int, int]:
    """The number of the lane on which each track is drawn."""
    return {
        track.id: index
        for index, one in enumerate(placed)
        if not one.lane.is_fold
        for track in (*one.lane.tracks, *one.lane.told_too)
    }


def places_of_calls(placed: list[Placed], numbers: dict[int, int]) -> tuple[list[Place], list[Place]]:
    """Lane and track of what is seen at first, and of what is within folds."""
    hidden = within_folds(placed)
    seen: list[Place] = []
    folded: list[Place] = []
    for track, lane in numbers.items():
        (folded if lane in hidden else seen).append((lane, track))
    return seen, folded
