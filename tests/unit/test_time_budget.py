"""The budget of time for what is observed very often: when it is spent, and what is charged for it."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from concmagic.recording import guards, time_budget
from concmagic.recording.time_budget import EVERY, Meter, TimeBudget

MS = 1_000_000


class Clocks:
    """Both clocks of the module, set by hand."""

    def __init__(self, patch: pytest.MonkeyPatch, module: ModuleType = time_budget) -> None:
        self.now_ns = self.thread_ns = 1
        patch.setattr(module, "monotonic_ns", lambda: self.now_ns)
        patch.setattr(module, "thread_time_ns", lambda: self.thread_ns)


def test_a_share_of_the_time_so_far_may_be_spent_and_a_little_in_any_case(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clocks = Clocks(monkeypatch)
    budget = TimeBudget(share=0.05, least_ns=10 * MS)
    budget.spend(10 * MS)
    assert not budget.is_spent()
    budget.spend(1)
    assert budget.is_spent()
    assert budget.seconds_until(10 * MS) == pytest.approx(0.4, abs=1e-3)
    clocks.now_ns += 400 * MS + 20
    assert not budget.is_spent()
    assert budget.seconds_until(10 * MS) == 0


def test_one_operation_in_many_is_timed_and_stands_for_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    clocks = Clocks(monkeypatch)
    budget = TimeBudget()
    meter = Meter(budget)
    for _ in range(10 * EVERY):
        meter.left -= 1
        begun = meter.begin() if meter.left <= 0 else 0
        clocks.thread_ns += 2_000
        if begun:
            meter.end(begun)
    assert budget.spent_ns == 10 * EVERY * 2_000


def test_a_very_long_one_stands_for_itself_only(monkeypatch: pytest.MonkeyPatch) -> None:
    clocks = Clocks(monkeypatch)
    budget = TimeBudget()
    meter = Meter(budget)
    begun = meter.begin()
    clocks.thread_ns += 5 * MS
    meter.end(begun)
    assert budget.spent_ns < 5 * MS + EVERY * 60_000


def test_of_a_watched_function_only_what_is_ours_is_charged(monkeypatch: pytest.MonkeyPatch) -> None:
    clocks = Clocks(monkeypatch)
    budget = TimeBudget()
    monkeypatch.setattr(guards, "_meter", Meter(budget))

    def takes(time_ns: int) -> Any:
        def function(*_: Any) -> None:
            clocks.thread_ns += time_ns

        return function

    call = guards.watched(takes(7_000_000), takes(2_000), takes(1_000))
    for _ in range(EVERY):
        call()
    assert budget.spent_ns == EVERY * 3_000
