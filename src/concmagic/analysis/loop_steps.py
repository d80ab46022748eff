"""The steps and callbacks of an event loop, read from its track: each stretch tells whose it is."""

from __future__ import annotations

from collections.abc import Iterator

from concmagic.model.trace import State, Track

_COMPUTING = (State.RUNNING, State.BLOCKING)
_HELD = (State.BLOCKING, State.READY, State.UNKNOWN)  # a step's own, too: it wanted the GIL, or is not known

Step = tuple[int, int, int | None]  # begin, end, the id of whose it is; None: there is none


def steps_of(loop: Track) -> Iterator[Step]:
    """The steps that the track tells one by one, those of tasks and those of other callbacks."""
    begin, end, whose = 0, 0, None
    for one in loop.states:
        goes_on = whose is not None and one.start_ns == end
        if one.state in _COMPUTING and one.holders:
            if not (goes_on and one.holders[0] == whose):
                if whose is not None:
                    yield begin, end, whose
                begin, whose = one.start_ns, one.holders[0]
            end = one.end_ns
        elif goes_on and one.state in _HELD and (one.reason or one.state is State.BLOCKING):
            end = one.end_ns
        elif whose is not None:
            yield begin, end, whose
            whose = None
    if whose is not None:
        yield begin, end, whose


def longest_step(loops: list[Track]) -> Step:
    """The longest step of these loops; (0, 0, None) if none is told."""
    steps = (step for loop in loops for step in steps_of(loop))
    return max(steps, key=lambda step: step[1] - step[0], default=(0, 0, None))
