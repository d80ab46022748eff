"""Who had a lock when and how many waited for it, as far as waits tell."""

from __future__ import annotations

import asyncio
from itertools import pairwise

from async_truth import traced
from tests.trace_text import MS

from concmagic.importing.threads.import_locks import NOT_KNOWN, with_use
from concmagic.model.related import check
from concmagic.model.trace import Facts, Resource, State, StateInterval, Trace, Track

LOCK = Resource("lock", "cache")
Wait = tuple[int, int, int, tuple[int, ...]]  # the track that waits, begin, end, who had it


def used(*waits: Wait, kind: str = "lock", more: int = 0) -> Resource:
    """The resource of these waits, in milliseconds."""
    states: dict[int, list[StateInterval]] = {}
    for who, begin, end, holders in waits:
        facts = Facts(0, holders, holders[-1:], more)
        one = StateInterval(begin * MS, end * MS, State.WAITING, "Lock", facts)
        states.setdefault(who, []).append(one)
    tracks = [
        Track(who, "thread", f"w{who}", None, "work", 0, None, tuple(of_track))
        for who, of_track in states.items()
    ]
    (found,) = with_use([Resource(kind, "cache")], tracks)
    return found


def held(*waits: Wait, more: int = 0) -> list[tuple[int, int, int]]:
    return [(begin // MS, end // MS, who) for begin, end, who in used(*waits, more=more).held]


def test_one_waits_for_one() -> None:
    found = used((1, 10, 30, (2,)))
    assert found.held == ((10 * MS, 30 * MS, 2),)
    assert found.queue == ((10 * MS, 1, 1), (30 * MS, 0, NOT_KNOWN))


def test_a_lock_goes_from_one_that_waits_to_the_next() -> None:
    waits = (1, 10, 20, (9,)), (2, 12, 25, (9, 1)), (3, 14, 40, (9, 1, 2))
    assert held(*waits) == [(10, 20, 9), (20, 25, 1), (25, 40, 2)]
    queue = [(at // MS, waiting, inside) for at, waiting, inside in used(*waits).queue]
    assert queue == [(10, 1, 1), (12, 2, 1), (14, 3, 1), (20, 2, 1), (25, 1, 1), (40, 0, NOT_KNOWN)]


def test_who_came_in_between_without_a_wait_is_not_placed() -> None:
    assert held((1, 10, 30, (8, 9))) == []  # when 8 let it go is not known
    assert held((1, 10, 20, (9,)), (2, 12, 40, (9, 1, 7))) == [(10, 20, 9)]
    assert held((1, 10, 30, (9,)), more=3) == []


def test_a_wait_of_several_states_is_one() -> None:
    found = used((1, 10, 20, (2,)), (1, 20, 30, (2,)))
    assert found.held == ((10 * MS, 30 * MS, 2),)
    assert [row[1] for row in found.queue] == [1, 0]


def test_of_all_but_locks_only_who_waits_is_known() -> None:
    found = used((1, 10, 30, (2,)), (3, 20, 30, (2,)), kind="semaphore")
    assert found.held == ()
    assert found.queue == ((10 * MS, 1, NOT_KNOWN), (20 * MS, 2, NOT_KNOWN), (30 * MS, 0, NOT_KNOWN))


def test_what_nobody_waited_for_is_as_it_was() -> None:
    assert with_use([LOCK], []) == (LOCK,)


def test_tasks_that_queue_for_a_lock_have_it_one_after_the_other() -> None:
    async def main() -> None:
        lock = asyncio.Lock()

        async def uses() -> None:
            async with lock:
                await asyncio.sleep(0.01)

        await asyncio.gather(*(asyncio.create_task(uses(), name=f"w{number}") for number in range(4)))

    trace: Trace = traced(main)
    check(trace)
    (lock,) = [one for one in trace.resources if one.kind == "lock"]
    assert [trace.name_of(who) for _, _, who in lock.held] == ["w0", "w1", "w2"]  # for w3 nobody waited
    assert all(first[1] == second[0] for first, second in pairwise(lock.held))
    assert max(waiting for _, waiting, _ in lock.queue) == 3
    assert lock.queue[-1][1:] == (0, NOT_KNOWN)
