"""A kernel on a system without /proc: what is still known is told, the rest is UNKNOWN, said once.

The kernel runs in a mount namespace of its own, where /proc is an empty folder. Where this machine allows
nobody a namespace, only the sampler is made to find none.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.kernel.conftest import Kernel, Run, running_kernel

# The options that root needs, and those of a user who may have a namespace.
WITHOUT_PROC = """
for how in "unshare -m" "unshare -rm"; do
    if $how mount -t tmpfs none /proc 2>/dev/null; then
        exec $how sh -c 'mount -t tmpfs none /proc && exec "$@"' sh "$@"
    fi
done
exec "$@"
"""
SAID = "Who is on a core cannot be sampled on this system (it has no /proc)"
PROGRAM = """
import os, threading, time
def spin(seconds):
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        sum(range(300))
def sums(trace):
    found = {}
    for track in trace.tracks:
        spent = found.setdefault(track.name, {"cpu": (track.cpu_ns or 0) / 1e9})
        for state in track.states:
            word = " ".join(filter(None, (state.state.value, state.reason)))
            spent[word] = spent.get(word, 0) + (state.end_ns - state.start_ns) / 1e9
    return found
"""
THREADS = """
threads = [threading.Thread(target=spin, args=(0.2,), name=f"computing {n}") for n in range(2)]
threads.append(threading.Thread(target=time.sleep, args=(0.2,), name="sleeping"))
for one in threads: one.start()
for one in threads: one.join()
"""


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with running_kernel(tmp_path_factory.mktemp("kernel"), ["sh", "-c", WITHOUT_PROC, "sh"]) as running:
        running.check("%load_ext concmagic" + PROGRAM)
        if running.value("os.path.exists('/proc/self')"):
            running.check(
                "from concmagic.recording.sampler import sampler_recorder\n"
                "sampler_recorder._can_sample = lambda: False"
            )
        yield running


def picture(run: Run) -> str:
    return " ".join(run.displays[-1]["text/plain"].split())


@pytest.mark.sampled
def test_threads_have_their_cpu_time_and_what_was_not_seen_is_unknown(bare: Kernel) -> None:
    run = bare.check(f"%%threads -o trace{THREADS}")
    assert picture(run).count(SAID) == 1
    told = bare.value("sums(trace)")
    for name in ("computing 0", "computing 1"):
        spent = told[name]
        assert 0.2 <= spent["cpu"] < 0.25
        assert spent["running"] <= 1.1 * spent["cpu"]
        assert spent["running"] + spent["unknown"] > 0.9 * (sum(spent.values()) - spent["cpu"])
        assert not [state for state in spent if state.startswith("ready")]
    assert told["sleeping"]["waiting sleep"] >= 0.2
    assert bare.value("[track.kind for track in trace.tracks if track.kind == 'gil']") == []
    assert bare.value("trace.metrics.parallelism_source") == "CPU time"
    assert bare.value(
        "0.9 < trace.metrics.parallelism / (trace.metrics.cpu_s / trace.metrics.wall_s) <= 1.001"
    )


@pytest.mark.sampled
def test_without_calls_too_nothing_is_guessed(bare: Kernel) -> None:
    run = bare.check(f"%%threads --detail states -o trace{THREADS}")
    assert picture(run).count(SAID) == 1
    told = bare.value("sums(trace)")
    for name in ("computing 0", "computing 1", "sleeping"):
        assert set(told[name]) <= {"cpu", "starting", "unknown", "running"}
        assert told[name]["unknown"] > 0.1
    assert 0.4 <= told["computing 0"]["cpu"] + told["computing 1"]["cpu"] < 0.5


def test_tasks_and_children_are_told_as_ever(bare: Kernel) -> None:
    run = bare.check("%%asyncio_trace -o trace\nimport asyncio\nawait asyncio.sleep(0.1, 'slept')")
    assert run.result_text == "'slept'"
    assert bare.value("sums(trace)['cell']['waiting sleep']") >= 0.1
    for line in ("%%procs", "%%procs --start-method spawn"):
        run = bare.check(
            f"{line} -o trace\nimport multiprocessing\ndef squared(n):\n    spin(0.05)\n    return n * n\n"
            "with multiprocessing.Pool(2) as pool:\n    squares = pool.map(squared, range(4))\nsquares"
        )
        assert run.result_text == "[0, 1, 4, 9]"
        assert picture(run).count(SAID) == 1
        assert bare.value("len([one for one in trace.tracks if one.kind == 'process' and one.outcome])") >= 2


def test_an_interrupt_ends_the_cell_with_its_picture(bare: Kernel) -> None:
    cell = bare.start("%%threads\nprint('here', flush=True)\nthreading.Event().wait()")
    cell.wait_for("here")
    bare.interrupt()
    run = cell.wait()
    assert run.ename == "KeyboardInterrupt"
    assert run.kinds[-1] == "display_data"
    assert "nterrupted" in picture(run)
