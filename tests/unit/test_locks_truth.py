"""Who waited for which lock, who had it, who let it go: against programs in which that is fixed."""

from __future__ import annotations

import queue
import threading
import time
from typing import Any

import pytest
from tests.unit.lock_programs import (
    EXACT,
    READS_STACKS,
    Recorded,
    Seen,
    check,
    recorded,
    until,
    until_asleep,
)


def with_statement(lock: Any) -> None:
    with lock:
        pass


def calls(lock: Any) -> None:
    lock.acquire()
    lock.release()


def bound(lock: Any) -> None:
    acquire, release = lock.acquire, lock.release
    acquire()
    release()


def timed(lock: Any) -> None:
    assert lock.acquire(timeout=30)
    lock.release()


def fails_inside(lock: Any) -> None:
    try:
        with lock:
            raise KeyError
    except KeyError:
        pass


def in_a_generator(lock: Any) -> None:
    def numbers() -> Any:
        for number in range(2):
            try:
                with lock:
                    yield number
            finally:
                pass

    next(numbers())


def deep_inside(lock: Any) -> None:
    for _ in range(1):
        try:
            raise KeyError
        except KeyError:
            match [1, 2]:
                case [first, *_]:
                    with open("/dev/null"), lock:
                        assert first


def returns_from_inside(lock: Any) -> Any:
    with lock:
        return sorted([2, 1])


WAYS = (
    with_statement, calls, bound, timed, fails_inside, in_a_generator, deep_inside, returns_from_inside,
)  # fmt: skip


@pytest.mark.parametrize("kind", [threading.Lock, threading.RLock, threading.Condition])
@pytest.mark.parametrize("way", WAYS)
def test_a_wait_has_its_lock_its_holder_and_who_let_it_go(way: Any, kind: Any) -> None:
    cache = kind()
    inner = getattr(cache, "_lock", cache)
    taken = threading.Event()

    def holder() -> None:
        with cache:
            taken.set()
            until_asleep(inner)

    def waiter() -> None:
        taken.wait()
        way(cache)

    with recorded(cache=cache) as run:
        run.run(holder, waiter)
    check(
        [one for one in run.by("waiter") if one.object == "cache"],
        Seen("waiter", "cache", ["holder"], True, "holder"),
    )
    check(run.by("holder"))


@pytest.mark.parametrize("way", WAYS)
def test_the_next_one_waits_for_who_waited_before(way: Any) -> None:
    """So the lock was seen taken and let go by each way of doing so."""
    cache, taken = threading.Lock(), threading.Event()
    has = threading.Event()

    def first() -> None:
        with cache:
            taken.set()
            until_asleep(cache)

    def second() -> None:
        taken.wait()
        way(cache)
        has.set()

    def third() -> None:
        has.wait()
        with cache:
            pass

    with recorded(cache=cache) as run:
        run.run(first, second, third)
    check(
        [one for one in run.seen() if one.object == "cache"],
        Seen("second", "cache", ["first"], True, "first"),
    )
    (record,) = [one for one in run.log.objects if one.name == "cache"] if EXACT else [None]
    assert record is None or (record.taken, record.waits) == (3, 1)


def test_a_lock_that_is_held_twice_is_let_go_the_second_time() -> None:
    cache, taken, half = threading.RLock(), threading.Event(), []

    def holder() -> None:
        with cache, cache:
            taken.set()
            until_asleep(cache)
        half.append(time.monotonic_ns())

    def waiter() -> None:
        taken.wait()
        with cache:
            half.append(-1)

    def nested() -> None:
        cache.acquire()
        cache.acquire()
        taken.set()
        until_asleep(cache)
        cache.release()
        time.sleep(0.001)
        half.append(time.monotonic_ns())
        cache.release()

    for program in (holder, nested):
        taken.clear()
        half.clear()
        with recorded(cache=cache) as run:
            run.run(program, waiter)
        check(
            [one for one in run.by("waiter") if one.object == "cache"],
            Seen("waiter", "cache", [program.__name__], True, program.__name__),
        )
    if EXACT:
        (wait,) = [one for one in run.log.waits if one.releaser and run.names[one.native_id] == "waiter"]
        assert wait.released_ns >= half[0]  # not with the first release


@pytest.mark.sampled
def test_of_three_the_second_lets_the_third_go_on() -> None:
    cache, taken = threading.Lock(), threading.Event()
    order: list[str] = []

    def first() -> None:
        with cache:
            taken.set()
            until_asleep(cache, 2)

    def third() -> None:
        taken.wait()
        with cache:
            order.append("third")
            if order[0] == "third":
                until_asleep(cache)

    def second() -> None:
        taken.wait()
        with cache:
            order.append("second")
            if order[0] == "second":
                until_asleep(cache)

    with recorded(cache=cache) as run:
        run.run(first, second, third)
    seen = {one.waiter: one for one in run.seen() if one.object == "cache"}
    early, late = order
    if EXACT:
        assert seen[early] == Seen(early, "cache", ["first"], True, "first")
        assert seen[late] == Seen(late, "cache", ["first", early], True, early)


def test_who_let_it_go_is_who_had_it_before_by_the_threads_own_account() -> None:
    """Four threads go through one lock as they come; each notes in there that it was its turn."""
    cache = threading.Lock()
    turns: list[tuple[int, str]] = []

    def work() -> None:
        for _ in range(60):
            with cache:
                turns.append((time.monotonic_ns(), threading.current_thread().name))
                time.sleep(0.0002)
            time.sleep(0)  # let the others have it

    functions = [type(work)(work.__code__, globals(), name, None, work.__closure__) for name in "abcd"]
    for function, name in zip(functions, "abcd", strict=True):
        function.__name__ = name
    with recorded(cache=cache) as run:
        for thread in run.start(*functions):
            thread.join()
    told = [one for one in run.log.waits if run.log.objects[one.object].name == "cache" and one.taken]
    assert len(told) > 20 if EXACT else not told
    for wait in told:
        name = run.names[wait.native_id]
        turn = next(n for n, (at, who) in enumerate(turns) if who == name and at >= wait.start_ns)
        assert run.names[wait.releaser] == turns[turn - 1][1]
        began = sum(at < wait.start_ns for at, _ in turns)
        between = [who for _, who in turns[began:turn]]
        holders = [run.names[one] for one in wait.holders]
        # Who had it when the wait began took it before; then everybody in the order of the turns.
        assert wait.more_holders + len(holders) in (len(between), len(between) + 1)
        assert holders[-len(between) :] == between[-len(holders) :] or not between


def test_a_condition_lets_go_and_takes_again() -> None:
    cond, waits = threading.Condition(), threading.Event()

    def waiter() -> None:
        with cond:
            waits.set()
            cond.wait()

    def notifier() -> None:
        waits.wait()
        with cond:
            until_asleep(cond._waiters[0])  # type: ignore[attr-defined]
            cond.notify()
            until_asleep(cond._lock)  # type: ignore[attr-defined]

    with recorded(cond=cond) as run:
        run.run(waiter, notifier)
    check(
        run.by("waiter"),
        Seen("waiter", "cond", ["waiter"], True, "notifier"),
        Seen("waiter", "cond", ["notifier"], True, "notifier"),
    )


def released(kind: Any, wait: Any, release: Any, inner: Any) -> None:
    """One thread waits in an object made of locks until another makes it go on."""
    thing = kind()

    def waiter() -> None:
        wait(thing)

    def releaser() -> None:
        until(lambda: bool(inner(thing)))
        until_asleep(inner(thing)[0])
        release(thing)

    with recorded(thing=thing) as run:
        run.run(waiter, releaser)
    check([one[:2] + one[3:] for one in run.by("waiter")], ("waiter", "thing", True, "releaser"))  # type: ignore[arg-type, misc]


def test_an_event() -> None:
    released(threading.Event, lambda it: it.wait(), lambda it: it.set(), lambda it: it._cond._waiters)


def test_a_semaphore() -> None:
    released(
        lambda: threading.Semaphore(0),
        lambda it: it.acquire(),
        lambda it: it.release(),
        lambda it: it._cond._waiters,
    )


@pytest.mark.parametrize("kind", [threading.Semaphore, threading.BoundedSemaphore])
def test_who_waits_for_a_semaphore_is_told_who_has_its_permits(kind: Any) -> None:
    slots, has = kind(2), []

    def first() -> None:
        slots.acquire()
        has.append("first")
        until(lambda: bool(slots._cond._waiters))
        until_asleep(slots._cond._waiters[0])
        slots.release()

    def second() -> None:
        until(lambda: has == ["first"])
        with slots:
            has.append("second")
            until(lambda: "third" in has)

    def third() -> None:
        until(lambda: len(has) == 2)
        with slots:
            has.append("third")

    with recorded(slots=slots) as run:
        run.run(first, second, third)
    check(run.by("third"), Seen("third", "slots", ["first", "second"], True, "first"))


def test_a_permit_that_nobody_took_is_a_signal_and_held_by_nobody() -> None:
    signal, turns = threading.Semaphore(0), []

    def tells() -> None:
        for _ in range(2):
            until(lambda: bool(signal._cond._waiters))  # type: ignore[attr-defined]
            until_asleep(signal._cond._waiters[0])  # type: ignore[attr-defined]
            signal.release()

    def told() -> None:
        for _ in range(2):
            signal.acquire()
            turns.append(1)

    with recorded(signal=signal) as run:
        run.run(tells, told)
    check(run.by("told")[1:], Seen("told", "signal", [], True, "tells"))


def test_a_barrier() -> None:
    released(
        lambda: threading.Barrier(2), lambda it: it.wait(), lambda it: it.wait(), lambda it: it._cond._waiters
    )


def test_an_empty_queue() -> None:
    released(queue.Queue, lambda it: it.get(), lambda it: it.put(1), lambda it: it.not_empty._waiters)


def test_a_full_queue() -> None:
    def full() -> queue.Queue[int]:
        made: queue.Queue[int] = queue.Queue(1)
        made.put(0)
        return made

    released(full, lambda it: it.put(1), lambda it: it.get(), lambda it: it.not_full._waiters)


def test_items_of_a_simple_queue_come_from_who_put_them() -> None:
    items: queue.SimpleQueue[str] = queue.SimpleQueue()
    got: list[str] = []
    asks = threading.Event()

    def getter() -> None:
        asks.set()
        for _ in range(2):
            got.append(items.get())

    def one() -> None:
        asks.wait()
        time.sleep(0.01)
        items.put("one")

    def other() -> None:
        until(lambda: bool(got))
        time.sleep(0.01)
        items.put("other")

    with recorded(items=items) as run:
        run.run(getter, one, other)
    check(
        run.by("getter"), Seen("getter", "items", [], True, "one"), Seen("getter", "items", [], True, "other")
    )


def test_a_lock_that_is_never_let_go() -> None:
    cache, taken = threading.Lock(), threading.Event()

    def holder() -> None:
        cache.acquire()
        taken.set()

    def waiter() -> None:
        taken.wait()
        with cache:
            pass

    with recorded(cache=cache) as run:
        thread, waiting = run.start(holder, waiter)
        thread.join()
        until_asleep(cache)
    check(
        [one for one in run.by("waiter") if one.object == "cache"],
        Seen("waiter", "cache", ["holder"], False, ""),
    )
    assert [one.end_ns for one in run.log.waits if run.log.objects[one.object].name] == [None] * EXACT
    cache.release()
    waiting.join()


def test_a_wait_that_is_given_up_ends_without_the_lock() -> None:
    cache, gave_up = threading.Lock(), threading.Event()

    def holder() -> None:
        with cache:
            gave_up.wait()

    def waiter() -> None:
        until(cache.locked)
        assert not cache.acquire(blocking=False)
        assert not cache.acquire(timeout=0.01)
        gave_up.set()
        with pytest.raises(OverflowError):
            cache.acquire(timeout=1e300)

    def after() -> None:
        gave_up.wait()

    with recorded(cache=cache) as run:
        run.run(holder, waiter, after)
    named = [one for one in run.by("waiter") if one.object == "cache"]
    check(named, Seen("waiter", "cache", ["holder"], False, ""))


def test_a_thread_that_waits_for_itself() -> None:
    cache = threading.Lock()

    def stuck() -> None:
        with cache:
            cache.acquire()

    with recorded(cache=cache) as run:
        (thread,) = run.start(stuck)
        until_asleep(cache)
    check(run.seen(), Seen("stuck", "cache", ["stuck"], False, ""))
    cache.release()
    thread.join()


def test_what_did_not_wait_is_only_counted() -> None:
    cache = threading.Lock()

    def work() -> None:
        for _ in range(1000):
            with cache:
                pass

    with recorded(cache=cache) as run:
        run.run(work)
    check([one for one in run.by("work") if one.object == "cache"])
    taken = [one.taken for one in run.log.objects if one.name == "cache"]
    assert taken == [1000 if EXACT else 0]  # before 3.12 the lock is only known to be there


def holds(run: Recorded, lock: Any, name: str, times: int) -> None:
    """Wait for a lock so often, each time until another lets it go."""
    for _ in range(times):
        lock.acquire()

        def waiter() -> None:
            with lock:
                pass

        (thread,) = run.start(waiter)
        until_asleep(lock)
        lock.release()
        thread.join()


def test_from_a_number_of_waits_on_they_are_only_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("concmagic.recording.locks.lock_holders.MOST_WAITS", 3)
    cache = threading.Lock()
    with recorded(cache=cache) as run:
        holds(run, cache, "cache", 5)
    if EXACT:
        (record,) = [one for one in run.log.objects if one.name == "cache"]
        assert record.waits == 5
        assert len(run.log.waits) == 3
        assert run.log.merged >= 2
        assert "only counted" in run.problems[0].message


def born(make: Any) -> list[tuple[str, int, int]]:
    """Kind, line below `make`'s own and number of all that is made and then waited for, in that order."""
    made: list[Any] = []
    with recorded() as run:
        made += make()
        for one in made:
            taken = threading.Event()

            def holder(one: Any = one, taken: Any = taken) -> None:
                with one:
                    taken.set()
                    until_asleep(getattr(one, "_lock", one))

            def waiter(one: Any = one, taken: Any = taken) -> None:
                taken.wait()
                with iter([one]).__next__():  # a name would say more
                    pass

            run.run(holder, waiter)
    log, first = run.log, make.__code__.co_firstlineno
    waited = dict.fromkeys(
        one.object for one in log.waits if log.chains[one.chain][-1].name.endswith("waiter")
    )
    found = [log.objects[number] for number in waited]
    return [
        (one.kind, one.made.line - first if one.made else 0, one.made_number)
        for one in found
        if one.kind != "Event"
    ]


def test_what_has_no_name_is_known_by_the_line_that_made_it() -> None:
    def make() -> list[Any]:
        made: list[Any] = [threading.Lock() for _ in range(2)]
        made.append(threading.RLock())
        made += [threading.Condition(lock=threading.Lock())]
        return made

    plain = [("Lock", 1, 1), ("Lock", 1, 2), ("RLock", 2, 1)]
    if not READS_STACKS:  # a class written in C tells nobody then, and nothing can stand in for it
        plain[:2] = [("Lock", 0, 0)] * 2
    assert born(make) == ([*plain, ("Condition", 3, 1)] if EXACT else [])


def test_what_was_made_elsewhere_or_before_is_not_known_by_a_line_that_only_passed_it_on() -> None:
    earlier = threading.Lock()

    def make() -> list[Any]:
        other = threading.Lock()
        return [earlier if len("x") else threading.Lock(), other if len("x") else threading.Lock()]

    assert born(make) == ([("Lock", 0, 0), ("Lock", 1 * READS_STACKS, 1 * READS_STACKS)] if EXACT else [])
