"""Each lint about processes: a trace that triggers it, and a near miss that does not."""

from __future__ import annotations

from dataclasses import replace

from concmagic.analysis import Finding
from concmagic.analysis.lints import find
from concmagic.analysis.metrics import compute
from concmagic.model.outcomes import RETURNED, outcome_of
from concmagic.model.trace import NO_FACTS, Build, Facts, Flow, Job, State, StateInterval, Trace, Track

MS = 1_000_000


def process(
    number: int, *states: tuple[int, State, str, str], outcome: str = "returned", **more: object
) -> Track:
    """A child of the kernel, from a row of (milliseconds, state, reason, phase)."""
    intervals, at = [], 0
    for length, state, reason, phase in states:
        facts = Facts(phase=phase) if phase else NO_FACTS
        intervals.append(StateInterval(at * MS, (at + length) * MS, state, reason, facts))
        at += length
    values: dict[str, object] = {
        "name": f"worker-{number}",
        "parent": 0,
        "role": "work",
        "pid": 100 + number,
        "native_id": 100 + number,
        "start_method": "spawn",
    }
    values |= {"outcome": outcome_of(outcome)} | more
    return Track(id=number, kind="process", start_ns=0, end_ns=at * MS, states=tuple(intervals), **values)  # type: ignore[arg-type]


def thread(number: int, start: int, end: int, **more: object) -> Track:
    """A thread of the kernel."""
    states = (StateInterval(start * MS, end * MS, State.WAITING, "Lock"),)
    values: dict[str, object] = {"name": f"thread-{number}", "role": "work", "parent": 0, "pid": 1}
    return Track(
        id=number,
        kind="thread",
        start_ns=start * MS,
        end_ns=end * MS,
        states=states,
        native_id=number,
        **(values | more),
    )  # type: ignore[arg-type]


KERNEL = Track(id=0, kind="process", name="kernel", parent=None, role="work", start_ns=0, end_ns=None, pid=1)
MAIN = Track(
    id=9, kind="thread", name="MainThread", parent=0, role="work", start_ns=0, end_ns=None, pid=1, host=True
)
PYTHON = (300, State.STARTING, "", "python")
IDLE = (50, State.WAITING, "for work", "")


def trace(*tracks: Track, jobs: tuple[Job, ...] = (), wall: int = 500) -> Trace:
    return Trace("t", "procs", wall * MS, (KERNEL, MAIN, *tracks), jobs=jobs, build=Build(cores=2))


def job(index: int, worker: int, start: int, end: int) -> Job:
    return Job(index, f"fib({index})", worker, 0, start * MS, end * MS, RETURNED)


def found(of: Trace, lint: str) -> list[Finding]:
    return [one for one in find(of, compute(of)) if one.lint == lint]


def pool(work: int) -> Trace:
    """Two workers that start for 300 ms and then have one job each."""
    workers = [
        process(number, PYTHON, (work, State.RUNNING, "", ""), IDLE, group="Pool-1") for number in (1, 2)
    ]
    return trace(*workers, jobs=(job(0, 1, 300, 300 + work), job(1, 2, 300, 300 + work)), wall=350 + work)


def test_a_pool_that_takes_longer_to_start_than_its_jobs_take_is_told_with_its_numbers() -> None:
    (finding,) = found(pool(50), "pool-overhead")
    assert finding.severity == "warning"
    assert "2 processes took 300 ms to start" in finding.message
    assert "2 jobs of 100 ms in all" in finding.message
    assert finding.hint.startswith("Fewer processes, or one pool for several cells")
    assert finding.cost_s == 0.25


def test_a_pool_that_gained_more_than_its_start_is_fine() -> None:
    assert found(pool(310), "pool-overhead") == []


def test_what_the_recording_adds_to_a_start_is_not_the_pools() -> None:
    ours = (300, State.TRACING, "", "tracer")
    slow = process(1, ours, (50, State.RUNNING, "", ""), group="Pool-1")
    assert found(trace(slow, jobs=(job(0, 1, 300, 350),)), "pool-overhead") == []


def test_pickling_that_costs_more_than_the_work_says_send_less() -> None:
    worker = process(1, (10, State.STARTING, "", "python"), (40, State.RUNNING, "", ""), group="Pool-1")
    sender = replace(
        thread(3, 0, 400, role="machinery"),
        states=(StateInterval(0, 200 * MS, State.RUNNING, "pickling"),),
    )
    (finding,) = found(trace(worker, sender, jobs=(job(0, 1, 210, 250),)), "pool-overhead")
    assert finding.hint.startswith("Send less: ") and "200 ms to pickle" in finding.message
    many = tuple(job(index, 1, 210 + index, 211 + index) for index in range(40))
    (finding,) = found(trace(worker, sender, jobs=many), "pool-overhead")
    assert finding.hint.startswith("Hand out larger pieces: chunksize=")


def test_a_pool_that_broke_is_not_told_to_be_slow() -> None:
    broken = pool(50)
    killed = replace(broken.tracks[-1], outcome=outcome_of("killed by SIGKILL"))
    assert found(replace(broken, tracks=(*broken.tracks[:-1], killed)), "pool-overhead") == []


def test_a_worker_that_never_had_a_job_kept_nobody_waiting() -> None:
    late = process(3, (900, State.STARTING, "", "python"), group="Pool-1")
    quick = pool(50)
    (finding,) = found(replace(quick, tracks=(*quick.tracks, late)), "pool-overhead")
    assert "took 300 ms to start" in finding.message


def test_an_earlier_pools_start_up_was_paid_then() -> None:
    worker = process(1, (200, State.WAITING, "for work", ""), (40, State.RUNNING, "", ""), group="Pool-1")
    assert found(trace(worker, jobs=(job(0, 1, 200, 240),)), "pool-overhead") == []


def test_a_hello_process_is_a_note() -> None:
    hello = process(1, PYTHON, (2, State.RUNNING, "", ""), unit=True)
    (finding,) = found(trace(hello), "pool-overhead")
    assert (finding.severity, finding.cost_s) == ("note", 0.0)
    assert finding.message == "Starting 1 process took 300 ms; it computed for 2 ms."


def test_what_was_not_seen_is_not_told_as_nothing() -> None:
    (finding,) = found(trace(process(1, PYTHON, unit=True)), "pool-overhead")
    assert finding.message == "Starting 1 process took 300 ms; it computed for too short a time to be seen."
    (finding,) = found(pool(50), "pool-overhead")
    assert "pickle" not in finding.message


def test_a_process_of_which_little_was_seen_may_have_computed() -> None:
    unseen = process(1, PYTHON, (400, State.UNKNOWN, "", ""), unit=True)
    assert found(trace(unseen, wall=800), "pool-overhead") == []


def test_a_process_that_computes_or_waits_for_longer_is_worth_its_start() -> None:
    assert found(trace(process(1, PYTHON, (301, State.RUNNING, "", ""), unit=True)), "pool-overhead") == []
    waits = process(1, PYTHON, (2, State.RUNNING, "", ""), (400, State.WAITING, "sleep", ""), unit=True)
    assert found(trace(waits, wall=800), "pool-overhead") == []


def test_a_changed_copy_is_told_once_with_all_names() -> None:
    tracks = [
        process(number, (50, State.RUNNING, "", ""), changed=changed, unit=True)
        for number, changed in ((1, ("counter", "seen")), (2, ("counter",)))
    ]
    (finding,) = found(trace(*tracks), "copies-changed")
    assert "`counter` and `seen` changed in 2 child processes only" in finding.message
    assert (finding.severity, finding.tracks) == ("warning", (1, 2))


def test_a_child_that_changed_nothing_is_not_told() -> None:
    assert found(trace(process(1, (50, State.RUNNING, "", ""))), "copies-changed") == []


def test_a_fork_beside_a_running_thread_of_the_cell() -> None:
    beside = thread(5, 0, 400)
    child = replace(
        process(1, (50, State.RUNNING, "", ""), start_method="fork"), start_ns=10 * MS, end_ns=60 * MS
    )
    (finding,) = found(trace(beside, child), "fork-with-threads")
    assert finding.message == "worker-1 was forked while thread-5 ran."


def test_forks_that_are_safe() -> None:
    child = replace(
        process(1, (50, State.RUNNING, "", ""), start_method="fork"), start_ns=10 * MS, end_ns=60 * MS
    )
    others = {
        "a pool's helper": thread(5, 0, 400, role="machinery"),
        "over before": thread(5, 0, 5),
        "started later": thread(5, 20, 400),
        "in another process": thread(5, 0, 400, pid=77),
    }
    for why, beside in others.items():
        assert found(trace(beside, child), "fork-with-threads") == [], why
    spawned = replace(child, start_method="spawn")
    assert found(trace(thread(5, 0, 400), spawned), "fork-with-threads") == []
    assert found(trace(child), "fork-with-threads") == []  # the kernel's main thread alone
    by_a_thread = replace(trace(thread(5, 0, 400), child), flows=(Flow("spawn", 5, 10 * MS, 1, 11 * MS),))
    assert found(by_a_thread, "fork-with-threads") == []  # the child has a copy of that one, which goes on


def test_a_killed_worker_is_told_with_its_job_and_likely_cause() -> None:
    killed = process(1, (50, State.RUNNING, "", ""), group="Pool-1", outcome="killed by SIGKILL")
    (finding,) = found(trace(killed, jobs=(job(7, 1, 10, 50),)), "child-died")
    assert finding.message == "Process worker-1 was killed by SIGKILL while it ran fib(7)."
    assert "more memory than there is" in finding.hint


def test_a_commands_exit_code_is_a_note_without_pythons_causes() -> None:
    for outcome, severity, hint in (
        ("exit code 1", "note", ""),
        ("exit code 127", "note", "There is no such command."),
        ("killed by SIGKILL", "warning", "Somebody sent it kill -9"),
    ):
        command = replace(process(1, (50, State.RUNNING, "", ""), outcome=outcome), start_method="subprocess")
        (finding,) = found(trace(command), "child-died")
        assert finding.severity == severity
        assert finding.hint.startswith(hint) and bool(finding.hint) == bool(hint)
    (finding,) = found(trace(process(1, (50, State.RUNNING, "", ""), outcome="exit code 1")), "child-died")
    assert finding.severity == "warning" and "sys.exit" in finding.hint


def test_a_child_that_the_cell_or_its_pool_ended_did_not_die() -> None:
    for outcome in ("ended by its pool", "ended by the cell", "returned"):
        assert found(trace(process(1, (50, State.RUNNING, "", ""), outcome=outcome)), "child-died") == []


def shared(longest: int, other: int) -> Trace:
    """Two workers of one pool, one with a longer job."""
    lengths = {1: longest, 2: other}
    workers = [
        process(
            number,
            (10, State.STARTING, "", "python"),
            (work, State.RUNNING, "", ""),
            (400 - work, State.WAITING, "for work", ""),
            group="Pool-1",
        )
        for number, work in lengths.items()
    ]
    jobs = tuple(job(number, number, 10, 10 + work) for number, work in lengths.items())
    return trace(*workers, jobs=jobs, wall=420)


def test_one_worker_with_most_of_the_work_is_uneven() -> None:
    (finding,) = found(shared(380, 40), "uneven-work")
    assert finding.message.startswith("worker-1 computed on its own for 340 of 420 ms")
    assert finding.tracks == (1,)


def test_workers_that_share_the_work_are_even() -> None:
    assert found(shared(380, 360), "uneven-work") == []


def side_by_side(how_many: int) -> Trace:
    """Processes that compute all the while, each with its main thread."""
    tracks = []
    for number in range(1, how_many + 1):
        child = process(number, (400, State.RUNNING, "", ""), unit=True)
        tracks += [child, replace(child, id=number + 20, kind="thread", parent=number, unit=False)]
    return trace(*tracks, wall=400)


def test_more_processes_than_cores() -> None:
    (finding,) = found(side_by_side(4), "few-cores")
    assert "more processes computed than there are cores: up to 4 on the 2 cores" in finding.message


def test_as_many_processes_as_cores() -> None:
    assert found(side_by_side(2), "few-cores") == []


def importing(module: str, length: int) -> tuple[int, State, str, Facts]:
    return length, State.RUNNING, "imports", Facts(call=module)


def pool_that_imports(*pieces: tuple[int, State, str, Facts], of: int = 2) -> Trace:
    """Two workers that start for 100 ms, do this as they unpickle their first job, and have it for 10 ms."""
    tracks: list[Track] = []
    jobs: list[Job] = []
    for number in (1, 2):
        own = pieces if number <= of else ()
        begin = 100 + sum(one[0] for one in own)
        worker = process(number, (100, State.STARTING, "", "python"), (begin, State.RUNNING, "", ""), IDLE)
        states, at = [StateInterval(0, 100 * MS, State.STARTING)], 100
        for length, state, reason, facts in own:
            states.append(StateInterval(at * MS, (at + length) * MS, state, reason, facts))
            at += length
        states.append(StateInterval(at * MS, (at + 10) * MS, State.RUNNING))
        main = Track(10 + number, "thread", "MainThread", number, "work", 0, (at + 10) * MS, tuple(states))
        tracks += [replace(worker, group="Pool-1"), replace(main, pid=worker.pid)]
        jobs.append(job(number, main.id, begin, begin + 10))
    return trace(*tracks, jobs=tuple(jobs), wall=1000)


def test_what_fresh_workers_imported_is_told_by_its_name_and_not_as_pickling() -> None:
    waits = (200, State.READY, "core", NO_FACTS)
    (finding,) = found(
        pool_that_imports(importing("sklearn", 100), waits, importing("sklearn", 200), importing("tiny", 5)),
        "pool-overhead",
    )
    assert "took 100 ms to start and 505 ms each to import sklearn, for 2 jobs" in finding.message
    assert finding.hint.startswith("Each new worker imports for itself")
    (finding,) = found(pool_that_imports(importing("sklearn", 300), of=1), "pool-overhead")
    assert "300 ms to import sklearn in 1 of them" in finding.message


def test_imports_that_took_little_are_a_part_of_the_start() -> None:
    (finding,) = found(pool_that_imports(importing("json", 40)), "pool-overhead")
    assert "took 140 ms to start, for 2 jobs" in finding.message
    assert finding.hint.startswith("Fewer processes")


def test_what_a_job_imports_is_the_jobs_work() -> None:
    of = pool_that_imports(importing("sklearn", 300))
    of = replace(of, jobs=tuple(replace(one, start_ns=100 * MS) for one in of.jobs))
    assert not any("import" in one.message for one in found(of, "pool-overhead"))


def busy_pool(job_us: int, gap_us: int, many: int = 200, ahead: bool = True, items: int = 1) -> Trace:
    """Two workers that were there before the cell, with jobs one after the other, handed over first."""
    us, jobs = 1_000, []
    for number in range(many):
        start = 1_000 + number // 2 * (job_us + gap_us)
        submitted = 0 if ahead else (start - 10) * us
        label, worker = f"tiny({number})", number % 2 + 1
        jobs.append(
            Job(
                number,
                label,
                worker,
                submitted,
                start * us,
                (start + job_us) * us,
                outcome_of("returned"),
                items=items,
            )
        )
    wall = (jobs[-1].end_ns or 0) // MS + 1
    workers = [process(number, (wall, State.WAITING, "for work", ""), group="Pool-1") for number in (1, 2)]
    return trace(*workers, jobs=tuple(jobs), wall=wall)


def test_tiny_jobs_of_a_warm_pool_are_told_with_their_break_even() -> None:
    (finding,) = found(busy_pool(8, 90), "pool-overhead")
    assert finding.message.startswith("2 processes had 200 jobs of 1.6 ms in all: ")
    assert finding.message.endswith(
        " A job takes 8 µs and costs 90 µs to send: from about 12 jobs a chunk on, processes pay."
    )
    assert finding.hint.startswith("Hand out larger pieces: chunksize=")
    (finding,) = found(busy_pool(32, 90, items=4), "pool-overhead")
    assert finding.message.endswith(
        " A chunk of 4 takes 32 µs and costs 90 µs to send: from about 12 jobs a chunk on, processes pay."
    )


def test_jobs_are_not_tiny_that_take_longer_than_sending_or_are_few_or_come_one_by_one() -> None:
    assert found(busy_pool(100, 90), "pool-overhead") == []
    assert found(busy_pool(8, 90, many=20), "pool-overhead") == []
    assert found(busy_pool(8, 90, ahead=False), "pool-overhead") == []


def test_of_merged_jobs_the_sums_tell_the_same() -> None:
    one_by_one = busy_pool(8, 90)
    merged = [
        Job(n, "tiny(0)", n, 0, MS, MS + (100 * 98 - 90) * 1_000, RETURNED, count=100, running_ns=800_000)
        for n in (1, 2)
    ]
    (finding,) = found(replace(one_by_one, jobs=tuple(merged)), "pool-overhead")
    assert "A job takes 8 µs and costs 90 µs to send" in finding.message
