"""The lint about one worker that had nearly all calls: what triggers it, and near misses."""

from __future__ import annotations

from dataclasses import replace

from test_lints_processes import MS, PYTHON, found, job, process, trace

from concmagic.model.trace import Job, State, Trace

LINT = "one-worker-got-all"


def pool(*jobs: Job, workers: int = 3, state: State = State.WAITING) -> Trace:
    """The first worker has all these jobs; the others wait from their start on."""
    end = max(one.end_ns or 0 for one in jobs) // MS
    reason = "sleep" if state is State.WAITING else ""
    first = process(1, (end, state, reason, ""), group="Pool-1")
    others = [
        process(n, (10, State.STARTING, "", "python"), (end - 10, State.WAITING, "read", ""), group="Pool-1")
        for n in range(2, workers + 1)
    ]
    return trace(first, *others, jobs=jobs, wall=end)


def chunk(items: int, start: int = 20, end: int = 420) -> Job:
    return replace(job(0, 1, start, end), label=f"nap(0) + {items - 1} more", items=items)


def row(*pairs: tuple[int, int], ahead: bool = True) -> tuple[Job, ...]:
    return tuple(
        replace(job(n, 1, start, end), submit_ns=0 if ahead else start * MS)
        for n, (start, end) in enumerate(pairs)
    )


def test_a_chunk_with_all_calls_is_one_workers() -> None:
    (finding,) = found(pool(chunk(8)), LINT)
    assert finding.message == (
        "worker-1 had all 8 calls, one after the other for 400 ms, while each of the other 2 of its pool "
        "waited for 400 ms of it. They came as one chunk: nap(0) + 7 more."
    )
    assert finding.hint == "A chunk is one worker's: chunksize=3 or less gives each worker some."
    assert finding.severity == "warning" and round(finding.cost_s, 3) == 0.267


def test_jobs_that_were_all_there_and_went_to_one_are_told_without_a_cause() -> None:
    (finding,) = found(pool(*row((20, 120), (121, 220), (221, 320)), workers=2), LINT)
    assert "worker-1 had all 3 calls" in finding.message and "the other worker of its pool" in finding.message
    assert "chunk" not in finding.message and finding.hint == ""


def test_jobs_that_each_came_when_the_one_before_was_done_are_another_story() -> None:
    assert found(pool(*row((20, 120), (121, 220), (221, 320), ahead=False)), LINT) == []


def test_one_long_job_beside_short_ones_is_nobodys_fault() -> None:
    short = [replace(job(n, 2, 20 + n, 21 + n), submit_ns=0) for n in range(1, 8)]
    assert found(pool(job(0, 1, 20, 420), *short), LINT) == []
    assert found(pool(job(0, 1, 20, 420)), LINT) == []  # nothing to share


def test_workers_that_were_not_there_yet_were_not_idle() -> None:
    late = pool(chunk(8))
    tracks = [
        replace(track, states=process(track.id, PYTHON, (120, State.WAITING, "read", "")).states)
        if track.id in (2, 3)
        else track
        for track in late.tracks
    ]
    assert found(replace(late, tracks=tuple(tracks)), LINT) == []


def test_on_one_core_computing_cannot_be_shared() -> None:
    of = pool(chunk(8), state=State.RUNNING)
    assert len(found(of, LINT)) == 1
    assert found(replace(of, build=replace(of.build, cores=1)), LINT) == []


def test_a_pool_of_one_worker_has_nobody_to_share_with() -> None:
    assert found(pool(chunk(8), workers=1), LINT) == []
