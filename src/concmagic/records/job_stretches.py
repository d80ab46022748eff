"""Very many jobs of pools, merged: per worker a record for a stretch of time, whose sums are exact."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from concmagic.records.handed_over import JobRecord

MOST_JOBS = 10_000  # of one process that are kept one by one; later ones are merged
_GAP_NS = 1_000_000  # between two jobs of one stretch, at most
_GAP_SHARE = 0.001  # … or this share of what has passed: a long cell has no more stretches than a short one
_GAPS = 10  # so many times as long is a stretch, at most


class _Stretch:
    """Jobs of one worker, one after the other."""

    __slots__ = (
        "count", "end_ns", "gap_ns", "label", "limit_ns", "outcomes", "queued_ns", "running_ns", "start_ns",
    )  # fmt: skip

    def __init__(self, label: str, start_ns: int, gap_ns: int) -> None:
        self.label = label
        self.start_ns = self.end_ns = start_ns
        self.gap_ns = gap_ns
        self.limit_ns = start_ns + _GAPS * gap_ns  # no job that begins later belongs to it
        self.count = self.running_ns = self.queued_ns = 0
        self.outcomes: dict[str, int] = {}


class Worker:
    """What one thread has done."""

    __slots__ = ("_began_ns", "_last", "_on_stretch", "native_id", "stretches")

    def __init__(self, native_id: int, began_ns: int, on_stretch: Callable[[], None] = lambda: None) -> None:
        self._on_stretch = on_stretch  # called where it begins a stretch
        self.native_id = native_id
        self._began_ns = began_ns
        self.stretches: list[_Stretch] = []
        self._last: _Stretch | None = None

    def add(
        self,
        submitted_ns: int,
        start_ns: int,
        end_ns: int,
        outcome: str,
        label: Callable[[Any], str],
        of: Any,
    ) -> None:
        """A job is over; `label` is asked for the first of a stretch, with what it is of."""
        one = self._last
        is_new = one is None or start_ns > one.limit_ns or start_ns - one.end_ns > one.gap_ns
        if one is None or is_new:
            gap_ns = max(_GAP_NS, int(_GAP_SHARE * (start_ns - self._began_ns)))
            one = self._last = _Stretch(label(of), start_ns, gap_ns)
            self.stretches.append(one)
        one.end_ns = end_ns
        one.count += 1
        one.running_ns += end_ns - start_ns
        one.queued_ns += start_ns - submitted_ns
        try:
            one.outcomes[outcome] += 1
        except KeyError:
            one.outcomes[outcome] = 1
        if is_new:
            self._on_stretch()

    def cut(self) -> None:
        """A job that is kept begins: the next that is added begins a stretch, for none lies over another."""
        self._last = None


class JobStretches:
    """Adds up jobs; each worker adds its own, so there is nothing to lock."""

    def __init__(self, began_ns: int, on_stretch: Callable[[], None] = lambda: None) -> None:
        self._began_ns = began_ns
        self._on_stretch = on_stretch  # called where a worker begins a stretch
        self._workers: list[Worker] = []
        self.local = threading.local()

    def add(
        self, submitted_ns: int, start_ns: int, end_ns: int, outcome: str, label: Callable[[], str]
    ) -> None:
        """A job is over, on the calling thread."""
        add = getattr(self.local, "add", None) or self.adder()
        add(submitted_ns, start_ns, end_ns, outcome, lambda _: label(), None)

    def cut(self) -> None:
        """See the method of a worker."""
        add = getattr(self.local, "add", None)
        if add is not None:
            add.__self__.cut()

    def adder(self) -> Callable[..., None]:
        """`Worker.add` of the calling thread, which `local` keeps."""
        worker = Worker(threading.get_native_id(), self._began_ns, self._on_stretch)
        self._workers.append(worker)
        add: Callable[..., None] = worker.add
        self.local.add = add
        return add

    def records(self, first: int, pid: int) -> list[JobRecord]:
        """See the function of this name."""
        return records(self._workers, first, pid)


def records(workers: Sequence[Worker], first: int, pid: int) -> list[JobRecord]:
    """One record per stretch, in order of time, numbered from `first` on."""
    from concmagic.records.handed_over import JobRecord

    every = [(one, worker.native_id) for worker in workers for one in worker.stretches]
    every.sort(key=lambda pair: pair[0].start_ns)
    return [
        JobRecord(
            index=first + number,
            label=one.label,
            submitted_ns=one.start_ns - one.queued_ns // one.count,
            started_ns=one.start_ns,
            ended_ns=one.end_ns,
            outcome=_worst(one.outcomes),
            pid=pid,
            native_id=native_id,
            count=one.count,
            running_ns=one.running_ns,
            queued_ns=one.queued_ns,
            outcomes=tuple(one.outcomes.items()),
        )
        for number, (one, native_id) in enumerate(every)
    ]


def outcomes_of(jobs: Sequence[JobRecord]) -> tuple[tuple[str, int], ...]:
    """How many came out how."""
    found: Counter[str] = Counter()
    for job in jobs:
        found.update(dict(job.outcomes))
    return tuple(found.items())


def _worst(outcomes: dict[str, int]) -> str:
    """One that is no good where there is any: the stretch is marked then."""
    return max(outcomes, key=lambda outcome: (outcome.startswith("raised "), outcome != "returned"))
