"""How much time the observation of very frequent operations may take: a share of the time so far.

It is measured while the cell runs. An operation takes a microsecond and reading the thread's clock a third of
one, so one operation in many is timed and stands for the others. Who observes goes by three steps: every
operation; none while the budget is spent; again for a stretch of time, once it would suffice for one.
In kernel and children; each process has a budget of its own.
"""

from __future__ import annotations

from concmagic.clock import monotonic_ns, thread_time_ns

SHARE = 0.025  # of the time since it began, for each of two: locks, and jobs and messages
LEAST_NS = 5_000_000  # that may be spent however short that was
SLICE_NS = 10_000_000  # that observing again is worth: less would be used up by beginning
EVERY = 17  # a prime: what comes in turns is not timed at the same turn each time

_LONG_NS = 60_000.0  # longer ones stand for no others: the first of a kind, or what writes a file
_ROUNDS, _CALLS = 3, 20


class TimeBudget:
    """What may be spent since `begin`, and what was spent."""

    def __init__(self, share: float = SHARE, least_ns: int = LEAST_NS) -> None:
        self.spent_ns = self._beside_ns = 0
        self._share = share
        self._least_ns = least_ns
        self._begun_ns = monotonic_ns()

    def begin(self) -> None:
        """The cell, or the child's own work, begins."""
        self.spent_ns = self._beside_ns = 0
        self._begun_ns = monotonic_ns()

    def spend(self, time_ns: int) -> None:
        """So much was spent on observing."""
        self.spent_ns += time_ns

    def note_beside(self, time_ns: int) -> None:
        """So much was spent within a limit of its own."""
        self._beside_ns += time_ns

    @property
    def whole_ns(self) -> int:
        """All that was spent."""
        return self.spent_ns + self._beside_ns

    def is_spent(self) -> bool:
        """Whether no more may be spent now."""
        return self.spent_ns > max(self._least_ns, self._share * (monotonic_ns() - self._begun_ns))

    def seconds_until(self, time_ns: int) -> float:
        """For how long nothing may be spent until so much may be."""
        needed_ns = (self.spent_ns + time_ns) / self._share
        return max(needed_ns - (monotonic_ns() - self._begun_ns), 0) / 1e9


class WithinBudget:
    """Whether what is kept one by one still is; asked once an operation, looked at once in many.

    Once the budget is spent it stays so until it would suffice for a stretch of time.
    """

    __slots__ = ("budget", "is_spent")

    def __init__(self, budget: TimeBudget) -> None:
        self.budget = budget
        self.is_spent = False

    def look(self, is_spent: bool) -> None:
        """Say what a meter has answered."""
        self.is_spent = is_spent or (self.is_spent and self.budget.seconds_until(SLICE_NS) > 0)


class Meter:
    """Charges a budget for operations of one kind, of which it times one in so many.

    Who observes counts `left` down by one an operation. Where it is 0 or less that operation stands between
    `begin` and `end`. In the open, not in a function that is wrapped around: that would cost as much as the
    operation.
    """

    __slots__ = ("_around_ns", "_budget", "left")

    def __init__(self, budget: TimeBudget, around: float = 0.0) -> None:
        """`around` is what the interpreter does for each operation beside, in calls of a function."""
        self.left = EVERY
        self._budget = budget
        call_ns, clock_ns = _calibrate() if around else (0.0, 0.0)
        self._around_ns = around * call_ns - clock_ns

    def begin(self) -> int:
        """An operation that is timed begins; answers what `end` is to be given, which is never 0."""
        self.left = EVERY
        return thread_time_ns() or 1

    def end(self, begun_ns: int) -> bool:
        """It has ended. Answers whether the budget is spent by now."""
        took_ns = max(thread_time_ns() - begun_ns + self._around_ns, 0.0)
        usual_ns = min(took_ns, _LONG_NS)
        self._budget.spend(int(EVERY * usual_ns + took_ns - usual_ns))
        return self._budget.is_spent()


def _calibrate() -> tuple[float, float]:
    """Nanoseconds that a call of a function takes here and now, and a reading of the thread's clock."""
    calls, readings = [], []
    for _ in range(_ROUNDS):
        begun_ns = thread_time_ns()
        for _ in range(_CALLS):
            _nothing()
        between_ns = thread_time_ns()
        for _ in range(_CALLS):
            thread_time_ns()
        calls.append((between_ns - begun_ns) / _CALLS)
        readings.append((thread_time_ns() - between_ns) / _CALLS)
    return min(calls), min(readings)


def _nothing() -> None: ...
