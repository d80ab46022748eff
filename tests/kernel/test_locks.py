"""Locks in a real kernel: who waited for which, who had it; and threads that wait for each other."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from conftest import Kernel

EXACT = sys.version_info >= (3, 12)
ASKED = """
import queue, threading, time
from concmagic.recording.sampler import sampler_recorder as sampler

def keep(seconds):
    # Let others wait for so long, and until the sampler has looked at them and gone to sleep again: on 3.11
    # what it sees is all that is known of a lock, and a busy machine may make it late.
    time.sleep(seconds)
    enough = pauses() + 5
    while pauses() < enough:
        time.sleep(0.001)

def pauses():
    # How often the sampler's process has slept so far.
    with open(f"/proc/{sampler.helper_pid()}/status") as status:
        return int(status.read().partition("\\nvoluntary_ctxt_switches:")[2].split()[0])

def waits(trace, *reasons):
    found = []
    for track in trace.tracks:
        if track.kind == "thread":
            found += [(track.name, one.reason, trace.detail_of(one), one.line, one.end_ns - one.start_ns)
                      for one in track.states if one.state.value == "waiting" and one.reason in reasons]
    return found

def flows(trace):
    names = {track.id: track.name for track in trace.tracks}
    kept = [one for one in trace.flows if one.kind == "release"]
    return [(names[one.source], names[one.target], trace.detail_of(one)) for one in kept]

def run(*functions):
    made = [threading.Thread(target=one, name=one.__name__, daemon=True) for one in functions]
    for one in made: one.start()
    for one in made: one.join()
"""


@pytest.fixture(scope="module")
def notebook(kernel: Kernel) -> Kernel:
    """A kernel in which a cell can be asked what it told of locks."""
    kernel.check(ASKED)
    kernel.check("%%threads -q\n1")  # the sampler is there from now on
    return kernel


def told(notebook: Kernel, cell: str, *reasons: str) -> list[tuple[str, ...]]:
    """The waits for these reasons of 10 ms and more."""
    notebook.check("%%threads -q -o trace\n" + cell)
    assert notebook.value("trace.cost.problems") == ()
    found: list[Any] = notebook.value(f"waits(trace, *{reasons!r})")
    return [tuple(one[:4]) for one in found if one[4] >= 10_000_000]


def test_a_wait_in_with_has_its_lock_its_holder_and_its_line(notebook: Kernel) -> None:
    """On 3.11: the lock by the address it slept at, the holder as it let go, the line by a look meanwhile."""
    cell = (
        "cache, taken = threading.Lock(), threading.Event()\n"  # line 2
        "def holder():\n"
        "    with cache:\n"
        "        taken.set()\n"
        "        keep(0.5)\n"  # long enough for several looks at the frames
        "def waiter():\n"
        "    taken.wait()\n"
        "    with cache: pass\n"  # line 9
        "run(holder, waiter)"
    )
    assert told(notebook, cell, "Lock") == [("waiter", "Lock", "cache, held by holder", 9)]
    assert ("holder", "waiter", "cache") in notebook.value("flows(trace)")


def test_an_acquire_has_its_line_on_every_python(notebook: Kernel) -> None:
    cell = (
        "forks, taken = [threading.RLock(), threading.RLock()], threading.Event()\n"
        "def holder():\n"
        "    forks[1].acquire()\n"
        "    taken.set()\n"
        "    keep(0.1)\n"
        "    forks[1].release()\n"
        "def waiter():\n"
        "    taken.wait()\n"
        "    forks[1].acquire()\n"  # line 10
        "    forks[1].release()\n"
        "run(holder, waiter)"
    )
    assert told(notebook, cell, "RLock") == [("waiter", "RLock", "forks[1], held by holder", 10)]


def test_a_lock_that_is_gone_at_the_end_is_called_what_the_code_called_it(notebook: Kernel) -> None:
    cell = (
        "def whole():\n"
        "    mine, taken = threading.Lock(), threading.Event()\n"
        "    def holder():\n"
        "        with mine:\n"
        "            taken.set()\n"
        "            keep(0.15)\n"
        "    def waiter():\n"
        "        taken.wait()\n"
        "        with mine: pass\n"
        "    run(holder, waiter)\n"
        "whole()"
    )
    assert [one[:3] for one in told(notebook, cell, "Lock")] == [("waiter", "Lock", "mine, held by holder")]


def test_a_lock_without_a_name_is_told_by_the_line_that_made_it(notebook: Kernel) -> None:
    cell = (
        "def whole():\n"
        "    pair = {('a', n): threading.Lock() for n in range(2)}\n"  # line 3
        "    taken = threading.Event()\n"
        "    def holder():\n"
        "        with pair['a', 1]:\n"
        "            taken.set()\n"
        "            keep(0.15)\n"
        "    def waiter():\n"
        "        taken.wait()\n"
        "        with pair.get(('a', 1)): pass\n"
        "    run(holder, waiter)\n"
        "whole()"
    )
    made = "made at line 3 (2), " if (3, 12) <= sys.version_info < (3, 14) else ""
    assert [one[2] for one in told(notebook, cell, "Lock")] == [f"{made}held by holder"]


@pytest.mark.parametrize(
    ("made", "wait", "release", "reason"),
    [
        ("threading.Event()", "thing.wait()", "thing.set()", "Event"),
        ("threading.Semaphore(0)", "thing.acquire()", "thing.release()", "Semaphore"),
        ("threading.Barrier(2)", "thing.wait()", "thing.wait()", "Barrier"),
        ("queue.Queue()", "thing.get()", "thing.put(1)", "Queue.get"),
        ("queue.SimpleQueue()", "thing.get()", "thing.put(1)", "Queue.get"),
    ],
)
def test_what_is_made_of_locks_has_its_own_name(
    notebook: Kernel, made: str, wait: str, release: str, reason: str
) -> None:
    cell = (
        f"thing = {made}\n"
        "def waiter():\n"
        f"    {wait}\n"
        "def releaser():\n"
        "    keep(0.1)\n"
        f"    {release}\n"
        "run(waiter, releaser)"
    )
    assert told(notebook, cell, reason) == [("waiter", reason, "thing", 4)]
    flow = ("releaser", "waiter", "thing")
    flows = notebook.value("flows(trace)")
    assert flows == [flow] if EXACT else {one[:2] for one in flows} <= {flow[:2]}


DEADLOCK = (
    "left, right, both = threading.Lock(), threading.Lock(), threading.Barrier(2)\n"
    "def first():\n"
    "    with left:\n"
    "        both.wait()\n"
    "        with right: pass\n"  # line 6
    "def second():\n"
    "    with right:\n"
    "        both.wait()\n"
    "        left.acquire()\n"  # line 10
    "run(first, second)"
)
LINKS = (
    "first waits for Lock right, held by second (line 6)",
    "second waits for Lock left, held by first (line 10)",
)


# Says so once both stand still where they take the other's lock: one that has left the barrier stands still,
# too, as long as it has no core.
SAY_WHEN_STUCK = """
from concmagic.interpreter.frames_and_threads import thread_frames
def say_when_stuck():
    def watch():
        last, times = {}, 0
        while times < 5:
            time.sleep(0.01)
            frames = thread_frames()
            both = [one for one in threading.enumerate() if one.name in ("first", "second")]
            both = [one for one in both if one.ident in frames]
            now = {frames[one.ident].f_code.co_name: frames[one.ident].f_lasti for one in both}
            at = [frames[one.ident] for one in both]
            there = all(frame.f_lineno - frame.f_code.co_firstlineno == 3 for frame in at)
            times = times + 1 if there and now == last and set(now) == {"first", "second"} else 0
            last = now
        print("on", flush=True)
    threading.Thread(target=watch, daemon=True).start()
"""


def release(notebook: Kernel) -> None:
    notebook.check("left.release(); time.sleep(0.05)\nif left.locked(): left.release()")


def test_a_deadlock_is_told_on_the_error_of_timeout(notebook: Kernel) -> None:
    run = notebook.run("%%threads -o trace --timeout 0.5\n" + DEADLOCK)
    assert run.ename == "TimeoutError"
    (message,) = notebook.value("[one.message for one in trace.findings if one.lint == 'deadlock']")
    for link in LINKS:
        assert link in message
        assert link in run.traceback_text
    release(notebook)


def test_a_deadlock_is_told_after_an_interrupt(notebook: Kernel) -> None:
    notebook.check(SAY_WHEN_STUCK)
    cell = notebook.start("%%threads -o trace\n" + DEADLOCK.replace("run(", "say_when_stuck()\nrun("))
    cell.wait_for("on")
    notebook.interrupt()
    assert cell.wait().ename == "KeyboardInterrupt"
    (message,) = notebook.value("[one.message for one in trace.findings if one.lint == 'deadlock']")
    for link in LINKS:
        assert link in message
    release(notebook)


@pytest.mark.sampled  # the look has to come before the interrupt does
def test_a_look_at_the_locks_that_fails_is_told_in_the_footer(notebook: Kernel) -> None:
    cell = (
        "%%threads -o trace\nimport os, resource\n"
        "from concmagic.interpreter.frames_and_threads import thread_frames\n"
        "main, ready, go = threading.get_ident(), threading.Event(), threading.Event()\n"
        "def say_when_still():\n"
        "    print('here', flush=True)\n"  # for which it needs a descriptor
        "    ready.set()\n"
        "    go.wait()\n"
        "    last, times = None, 0\n"
        "    while times < 5:\n"
        "        time.sleep(0.01)\n"
        "        now = thread_frames()[main].f_lasti\n"
        "        last, times = now, times + 1 if now == last else 0\n"
        "    print('on', flush=True)\n"
        "threading.Thread(target=say_when_still, daemon=True).start()\n"
        "ready.wait()\n"
        "stuck, taken = threading.Lock(), []\n"
        "before = resource.getrlimit(resource.RLIMIT_NOFILE)\n"
        "stuck.acquire()\n"
        "try:\n"
        "    most = max(map(int, os.listdir('/proc/self/fd'))) + 1\n"
        "    resource.setrlimit(resource.RLIMIT_NOFILE, (most, before[1]))\n"
        "    try:\n"
        "        while True: taken.append(os.dup(0))\n"
        "    except OSError: pass\n"  # no descriptor is free now
        "    go.set()\n"
        "    stuck.acquire()\n"
        "finally:\n"
        "    resource.setrlimit(resource.RLIMIT_NOFILE, before)\n"
        "    for one in taken: os.close(one)"
    )
    run = notebook.interrupted(cell, "on")
    assert (run.ename, run.stderr) == ("KeyboardInterrupt", "")
    problems = notebook.value("[one.message for one in trace.cost.problems]")
    told = [one for one in problems if "who waited for which lock" in one]
    if EXACT:  # nobody has to look
        assert told == []
    else:
        (problem,) = told
        assert "Too many open files" in problem
        assert problem in " ".join(run.displays[-1]["text/plain"].split())


def test_the_main_thread_can_be_part_of_it(notebook: Kernel) -> None:
    cell = (
        "left, right, both = threading.Lock(), threading.Lock(), threading.Barrier(2)\n"
        "def second():\n"
        "    with right:\n"
        "        both.wait()\n"
        "        with left: pass\n"  # line 6
        "other = threading.Thread(target=second, name='second', daemon=True)\n"
        "other.start()\n"
        "with left:\n"
        "    both.wait()\n"
        "    with right: pass"  # line 11
    )
    run = notebook.run("%%threads -o trace --timeout 0.5\n" + cell)
    assert run.ename == "TimeoutError"
    (message,) = notebook.value("[one.message for one in trace.findings if one.lint == 'deadlock']")
    assert "MainThread waits for Lock right, held by second (line 11)" in message
    assert "second waits for Lock left, held by MainThread (line 6)" in message
    notebook.check("other.join()")


def test_a_lock_that_is_never_released_is_waited_for_to_the_end(notebook: Kernel) -> None:
    cell = (
        "cache = threading.Lock()\n"
        "def taker():\n"
        "    cache.acquire()\n"
        "def waiter():\n"
        "    with cache: pass\n"
        "run(taker)\n"
        "stuck = threading.Thread(target=waiter, name='waiter', daemon=True)\n"
        "stuck.start()\n"
        "stuck.join(0.1)"
    )
    (wait,) = [one for one in told(notebook, cell, "Lock") if one[0] == "waiter"]
    assert wait[2] == ("cache, held by taker" if EXACT else "cache")
    notebook.check("cache.release()\nstuck.join()")


def test_a_convoy_is_found(notebook: Kernel) -> None:
    cell = (
        "cache = threading.Lock()\n"
        "def work():\n"
        "    for _ in range(12):\n"
        "        with cache: time.sleep(0.012)\n"
        "        time.sleep(0.001)\n"
        "several = [threading.Thread(target=work) for _ in range(3)]\n"
        "for one in several: one.start()\n"
        "for one in several: one.join()"
    )
    notebook.check("%%threads -q -o trace\n" + cell)
    (message,) = notebook.value("[one.message for one in trace.findings if one.lint == 'lock-convoy']")
    assert "`cache`" in message
    assert "3 threads" in message


def test_a_childs_locks_are_its_own(notebook: Kernel) -> None:
    """From 3.12 on; before, a child's waits have no names."""
    notebook.check(
        "def in_child():\n"
        "    guard, taken = threading.Lock(), threading.Event()\n"
        "    def holder():\n"
        "        with guard:\n"
        "            taken.set()\n"
        "            time.sleep(0.05)\n"
        "    def waiter():\n"
        "        taken.wait()\n"
        "        with guard: pass\n"
        "    run(holder, waiter)"
    )
    for method in ("fork", "spawn"):
        cell = (
            "import multiprocessing\n"
            f"child = multiprocessing.get_context('{method}').Process(target=in_child)\n"
        )
        notebook.check(
            "%%procs -q -o trace\n" + cell + "child.start()\nchild.join()\nassert child.exitcode == 0"
        )
        found = [tuple(one[:3]) for one in notebook.value("waits(trace, 'Lock')")]
        assert (("waiter", "Lock", "guard, held by holder") in found) == EXACT


def test_code_of_a_string_that_waits_in_with_has_its_line_and_its_lock(notebook: Kernel) -> None:
    cell = (
        "source = '''\\\n"
        "def waiter():\n"
        "    with cache:\n"  # line 2 of the source
        "        pass\n"
        "'''\n"
        "cache = threading.Lock()\n"
        "names = {'cache': cache}\n"
        "exec(compile(source, '<string>', 'exec'), names)\n"
        "def holder():\n"
        "    with cache: keep(0.2)\n"
        "made = [threading.Thread(target=one, name=name) for one, name in\n"
        "        ((holder, 'holder'), (names['waiter'], 'waiter'))]\n"
        "made[0].start(); time.sleep(0.05); made[1].start()\n"
        "for one in made: one.join()"
    )
    notebook.check("%%threads -o trace\n" + cell)
    (found,) = notebook.value(
        "[(one.reason, trace.detail_of(one), one.file, one.line) for track in trace.tracks"
        " if track.name == 'waiter' for one in track.states"
        " if one.state.value == 'waiting' and one.length_ns > 50_000_000]"
    )
    assert found == ("Lock", "cache, held by holder", "<string>", 2)
    if EXACT:  # before, samples tell of it, and no totals
        assert notebook.value("[one.name for one in trace.locks]") == ["cache"]
