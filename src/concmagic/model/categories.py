"""What a stretch of time is drawn as: its state; of a wait what ends it, of READY what it wants."""

from __future__ import annotations

from enum import Enum

from concmagic.model.reasons import FREE, REASONS
from concmagic.model.trace import State, StateInterval


class Category(Enum):
    """The categories, in the order of stacks, legends and codes: what delays others first."""

    RUNNING = "running"
    BLOCKING = "blocking"
    READY = "ready"  # for its turn: with the GIL, or on the loop
    NO_CORE = "no core"  # ready, and other programs or threads had the cores
    EACH_OTHER = "each other"  # waits for something that another track of the program ends
    STUCK = "stuck"  # such a wait in a deadlock: nobody will ever end it. No interval is this by itself
    OUTSIDE = "outside"  # waits for time, the network, a disk, a program; or for what is not known
    IDLE = "idle"  # waits for being given work
    STARTING = "starting"
    TRACING = "tracing"
    UNKNOWN = "unknown"


_OF_FAMILY = {"each other": Category.EACH_OTHER, "outside": Category.OUTSIDE, "idle": Category.IDLE}
_OF_WAITS = {name: _OF_FAMILY[row.family] for name, row in REASONS.items()} | {FREE: Category.IDLE}


def category(state: State, reason: str = "") -> Category:
    """What a state with this reason is drawn as."""
    if state is State.WAITING:
        return _OF_WAITS.get(reason, Category.OUTSIDE)
    if state is State.READY and reason == "core":
        return Category.NO_CORE
    return Category(state.value)


def category_of(interval: StateInterval) -> Category:
    """What an interval is drawn as."""
    return category(interval.state, interval.reason)
