"""Where the wait in a blocking call was over and the call was not: its thread was READY to go on."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from concmagic.model.states import cut
from concmagic.model.trace import State, StateInterval

_NO_WAIT = (State.READY, State.RUNNING)
_SHORT = 2  # periods of sampling: a change is known no better
_NEAR_NS = 100_000_000  # after a call: so far apart two samples of a busy machine may be


def without_turns(
    blocked: Sequence[StateInterval], samples: Sequence[StateInterval], gap_ns: int = 0
) -> list[StateInterval]:
    """Blocking calls without the time at their end in which the thread, by samples, was READY.

    What it waited for was over then; the call was not, for it needs the GIL and a core to return. Of a
    `time.sleep(0)` nothing else is left.
    """
    ends = [one.end_ns for one in samples]
    kept, before_ns = [], -_NEAR_NS
    for number, call in enumerate(blocked):
        run = _run_at_end(samples, bisect_left(ends, call.end_ns - gap_ns), call)
        following_ns = call.end_ns + _NEAR_NS
        if number + 1 < len(blocked):
            following_ns = min(following_ns, blocked[number + 1].start_ns)
        begin = None if run is None else _proven_from(samples, run, call, (before_ns, following_ns), gap_ns)
        before_ns = call.end_ns
        if begin is None:
            kept.append(call)
        elif begin > call.start_ns:
            kept.append(cut(call, call.start_ns, begin))
    return kept


def _run_at_end(samples: Sequence[StateInterval], index: int, call: StateInterval) -> range | None:
    """Which samples say that to a call's end the thread did not wait any more, if it was READY then.

    One that wants the GIL looks for it every few milliseconds, so there is some RUNNING in it, too; and where
    samples were far apart it slept one knows not where, before it was seen to want it still.
    """
    while index + 1 < len(samples) and samples[index + 1].start_ns < call.end_ns:
        index += 1
    if index >= len(samples) or samples[index].start_ns >= call.end_ns:
        return None
    first, last, ready = index + 1, index, False
    while index >= 0 and samples[index].end_ns > call.start_ns and samples[index].state in _NO_WAIT:
        ready = ready or samples[index].state is State.READY
        first = index
        index -= 1
        if ready and index > 0 and _slept_between(samples[index - 1], samples[index], call):
            index -= 1
    return range(first, last + 1) if ready else None


def _slept_between(before: StateInterval, between: StateInterval, call: StateInterval) -> bool:
    """Whether a sleep of which nothing is known follows on a wait for the GIL, both in one call."""
    slept = between.state is State.WAITING and not between.reason
    return (
        slept and before.state is State.READY and before.reason == "GIL" and before.start_ns >= call.start_ns
    )


def _proven_from(
    samples: Sequence[StateInterval],
    run: range,
    call: StateInterval,
    other_calls: tuple[int, int],
    gap_ns: int,
) -> int | None:
    """From when on it surely did not wait; None: it may have, to the call's end.

    Who wants the GIL was seen to. That a core was missing is a sum between two samples, without a place. One
    from before the end of the call before may be of that one; a short one may be from after this call, unless
    it is most of it. What has room there, before the next, where samples say only that the thread slept, is
    taken for that. What it ran does, too: who has a core goes on.
    """
    if any(samples[index].reason == "GIL" for index in run):
        return samples[run.start].start_ns
    before_ns, following_ns = other_calls
    if run.start > 0 and samples[run.start - 1].start_ns < before_ns - gap_ns:
        return None
    ready = [samples[index] for index in run if samples[index].state is State.READY]
    late_ns = sum(min(one.end_ns, call.end_ns) - max(one.start_ns, call.start_ns) for one in ready)
    if late_ns < min(_SHORT * gap_ns, call.length_ns // 2):
        return None
    begin = call.end_ns - late_ns + _room(samples, run.stop, call.end_ns, following_ns)
    return begin if begin < call.end_ns else None


def _room(samples: Sequence[StateInterval], index: int, since_ns: int, until_ns: int) -> int:
    """How long it only slept, as far as samples tell, between two calls."""
    room = 0
    while index < len(samples) and samples[index].start_ns < until_ns:
        one = samples[index]
        if one.state is State.WAITING and one.reason:
            break
        if one.state is State.WAITING:
            room += min(one.end_ns, until_ns) - max(one.start_ns, since_ns)
        index += 1
    return room
