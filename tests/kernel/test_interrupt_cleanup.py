"""One click on stop reaches the user's code once: its clean-up runs to its end, as in a plain cell."""

from __future__ import annotations

import pytest
from interrupts import STILL

from conftest import Kernel, Run

HERE = "say_when_still()\n"
SETUP = """
import asyncio, contextlib, multiprocessing, os, signal, subprocess, sys, threading, time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, wait

sys.stdout.flush_interval = 0.01

class Rest:  # three steps: an interrupt that came again would cut them
    def __enter__(self):
        return self
    def __exit__(self, *exception):
        rest()
    async def __aenter__(self):
        return self
    async def __aexit__(self, *exception):
        await arest()

def rest():
    for step in ("cleaning", "valve shut", "data saved"):
        print(f"{step}\\n", end="")  # seen at once, and not waited for: a click meets what comes after it
        time.sleep(0.3)
    print("at rest", flush=True)

async def arest():
    for step in ("cleaning", "valve shut", "data saved"):
        print(f"{step}\\n", end="")  # seen at once, and not waited for: a click meets what comes after it
        await asyncio.sleep(0.3)
    print("at rest", flush=True)

@contextlib.contextmanager
def resting():
    try:
        yield
    finally:
        rest()

@contextlib.asynccontextmanager
async def aresting():
    try:
        yield
    finally:
        await arest()

os.makedirs("site-packages", exist_ok=True)
with open("site-packages/a_library.py", "w") as file:
    file.write('''
import time

def measure(rest, say):
    try:
        say()
        time.sleep(60)
    finally:
        rest()

def fit(rest, say):
    try:
        say()
        time.sleep(60)
    except KeyboardInterrupt:
        pass
    rest()
    return "so far"

def wait(say):
    times = 0
    while times < 2:
        try:
            if not times:
                say()
            time.sleep(60)
        except KeyboardInterrupt:
            times += 1
    return times
''')
sys.path.insert(0, os.path.abspath("site-packages"))
import a_library

def hold_on(gate):
    gate.set()
    hold.wait()

def ready_to_hold():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    at_work.release()

def slow_to_end():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.9), os._exit(3)))
    started.set()
    while True:
        time.sleep(1)
"""

# Run plain and traced, with one click and with two: the same value, error and output.
AS_PLAIN = {
    "except": HERE + "try:\n    time.sleep(60)\nexcept KeyboardInterrupt:\n    rest()\n'value'",
    "after except": HERE + "try:\n    time.sleep(60)\nexcept KeyboardInterrupt:\n    pass\nrest()\n'value'",
    "suppress": "with contextlib.suppress(KeyboardInterrupt):\n    say_when_still()\n    time.sleep(60)\n"
    "rest()\n'value'",
    "in a function": "def f():\n    try:\n        say_when_still()\n        time.sleep(60)\n"
    "    except KeyboardInterrupt:\n        rest()\n        return 'value'\nf()",
    "finally": HERE + "try:\n    time.sleep(60)\nfinally:\n    rest()",
    "exit that swallows": "class Swallow(Rest):\n    def __exit__(self, *exception):\n        rest()\n"
    "        return True\nwith Swallow():\n    say_when_still()\n    time.sleep(60)\n'value'",
    "exit": "with Rest():\n    say_when_still()\n    time.sleep(60)",
    "exit stack": "with contextlib.ExitStack() as stack:\n    stack.enter_context(Rest())\n"
    "    stack.callback(print, 'first')\n    say_when_still()\n    time.sleep(60)",
    "generator": "with resting():\n    say_when_still()\n    time.sleep(60)",
    "printed by the cell": "import traceback\n" + HERE + "try:\n    time.sleep(60)\n"
    "except KeyboardInterrupt as error:\n    rest()\n    where = traceback.extract_tb(error.__traceback__)\n"
    "    print(len(where), where[-1].line)",
    "another error": HERE + "try:\n    time.sleep(60)\nexcept KeyboardInterrupt:\n    rest()\n"
    "    raise ValueError('v')",
    "another error handled": HERE + "try:\n    time.sleep(60)\nexcept KeyboardInterrupt:\n    try:\n"
    "        1 / 0\n    except ZeroDivisionError:\n        rest()\n'value'",
    "raised again": HERE + "try:\n    time.sleep(60)\nexcept KeyboardInterrupt as error:\n    rest()\n"
    "    raise",
    "waiting for a lock": "lock = threading.Lock()\nlock.acquire()\nsay_when_still()\ntry:\n"
    "    lock.acquire()\nexcept KeyboardInterrupt:\n    rest()\n'value'",
    "subprocess": "p = subprocess.Popen(['sleep', '60'], start_new_session=True)\nsay_when_still()\ntry:\n"
    "    p.wait()\nfinally:\n    p.terminate()\n    print(p.wait())\n    rest()",
    "clean-up of a library": "a_library.measure(rest, say_when_still)",
    "a library that handles it": "a_library.fit(rest, say_when_still)",
    "shell": "!echo here; sleep 60\n7",  # not as it starts: IPython itself raises another error then
    "pool is shut down": "gate = threading.Event()\npool = ThreadPoolExecutor(2)\ntry:\n"
    "    fs = [pool.submit(hold_on, gate) for _ in range(9)]\n    gate.wait()\n    say_when_still()\n"
    "    wait(fs)\nexcept KeyboardInterrupt:\n    pool.shutdown(wait=False, cancel_futures=True)\n"
    "    rest()\nsum(f.cancelled() for f in fs)",
    "pool does its jobs": "gate = threading.Event()\nwith ThreadPoolExecutor(2) as pool:\n"
    "    fs = [pool.submit(hold_on, gate) for _ in range(9)]\n    gate.wait()\n    say_when_still()\n"
    "    try:\n        wait(fs)\n    except KeyboardInterrupt:\n        try:\n            rest()\n"
    "        finally:\n            hold.set()\n[f.result() for f in fs]",
    "pool of the clean-up": HERE + "try:\n    time.sleep(60)\nexcept KeyboardInterrupt:\n"
    "    with ThreadPoolExecutor(2) as pool:\n        list(pool.map(time.sleep, [0.6] * 2))\n"
    "        fs = [pool.submit(rest)]\n        raise",
}


@pytest.fixture(autouse=True)
def ready(kernel: Kernel) -> None:
    kernel.check(STILL + SETUP + "\nhold = threading.Event()")


def clicked(kernel: Kernel, code: str, clicks: int = 1) -> Run:
    """Interrupt a cell where it says so, and again as its clean-up begins."""
    kernel.check("hold.clear()")
    cell = kernel.start(code)
    cell.wait_for("here")
    kernel.interrupt()
    if clicks == 2:
        cell.wait_for("cleaning")
        kernel.interrupt()
    return cell.wait()


def told(run: Run) -> tuple[object, ...]:
    output = run.stdout.replace("\r", "")
    return run.status, run.ename, run.evalue, run.result_text, output


def ended(kernel: Kernel) -> str:
    return str(kernel.value("str(__import__('concmagic').last().outcome)"))


@pytest.mark.parametrize("body", AS_PLAIN.values(), ids=AS_PLAIN)
@pytest.mark.parametrize("clicks", [1, 2])
def test_a_click_does_what_it_does_to_a_plain_cell(kernel: Kernel, body: str, clicks: int) -> None:
    if clicks == 2 and ("rest" not in body or "submit(rest)" in body):
        pytest.skip("there is nothing in it to interrupt again")
    plain = clicked(kernel, body, clicks)
    traced = clicked(kernel, f"%%threads\n{body}", clicks)
    assert told(traced) == told(plain)
    assert ("at rest" in plain.stdout) == (clicks == 1) or "rest" not in body
    assert traced.stderr == plain.stderr
    assert "src/concmagic/" not in traced.traceback_text
    assert ended(kernel) == {"": "returned", "KeyboardInterrupt": "interrupted"}.get(
        plain.ename, f"raised {plain.ename}"
    )
    (picture,) = traced.displays[-1:]
    assert ("the cell's own code handled it" in " ".join(picture["text/plain"].split())) == (
        plain.ename != "KeyboardInterrupt"
    )
    kernel.check("hold.set()")
    assert kernel.value("signal.getsignal(signal.SIGINT) is signal.default_int_handler") is True


# No plain cell leaves these: the jobs wait for what comes after the cell.
POOLS = {
    "threads": "ThreadPoolExecutor(2)",
    "processes": "ProcessPoolExecutor(2, mp_context=fork, initializer=ready_to_hold)",
}
PLACES = {
    "inside an instrument": "with Rest():\n    with {pool} as pool:\n        {jobs}\n        {wait}",
    "in one with": "with Rest(), {pool} as pool:\n    {jobs}\n    {wait}",
    "around an instrument": "with {pool} as pool:\n    {jobs}\n    with Rest():\n        {wait}",
    "two": "with Rest():\n    with {pool} as other, {pool} as pool:\n        {jobs}\n"
    "        gs = [other.submit(*job) for _ in range(9)]; begun()\n        {wait}",
    "in try": "try:\n    with {pool} as pool:\n        {jobs}\n        {wait}\nfinally:\n    rest()",
    "around try": "with {pool} as pool:\n    {jobs}\n    try:\n        {wait}\n    finally:\n        rest()",
    "in except": "try:\n    with {pool} as pool:\n        {jobs}\n        {wait}\n"
    "except KeyboardInterrupt:\n    rest()\n'value'",
    "exit stack": "with contextlib.ExitStack() as stack:\n    stack.enter_context(Rest())\n"
    "    pool = stack.enter_context({pool})\n    {jobs}\n    {wait}",
    "generator": "@contextlib.contextmanager\ndef lab():\n    with Rest(), {pool} as pool:\n"
    "        yield pool\nwith lab() as pool:\n    {jobs}\n    {wait}",
    "nobody waits": "with Rest():\n    with {pool} as pool:\n        {jobs}\n"
    "        print('here', flush=True)",
}
BEGUN = {
    "threads": "gate = threading.Event()\nbegun = gate.wait",
    "processes": "fork = multiprocessing.get_context('fork')\nat_work = fork.Semaphore(0)\n"
    "def begun():\n    at_work.acquire(), at_work.acquire()",
}
JOBS = {
    "threads": "hold_on, gate",
    "processes": "time.sleep, 60",
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("kind", POOLS)
def test_the_exit_of_a_pool_does_not_wait_and_the_clean_up_runs(
    kernel: Kernel, kind: str, place: str
) -> None:
    jobs = f"job = ({JOBS[kind]})\n"
    body = place.format(
        pool=POOLS[kind],
        jobs="fs = [pool.submit(*job) for _ in range(9)]; begun()",
        wait="say_when_still(); wait(fs)",
    )
    kernel.check(BEGUN[kind])
    run = clicked(kernel, f"%%threads\n{jobs}{body}")
    assert run.stdout.split("\n")[1:-1] == ["cleaning", "valve shut", "data saved", "at rest"]
    assert (run.ename, run.result_text) in [("KeyboardInterrupt", None), ("", "'value'")]
    assert ("KeyboardInterrupt" in run.ename) == ("except" not in body)
    assert "src/concmagic/" not in run.traceback_text
    # All but those at work, and of processes those already handed out.
    assert kernel.value("sum(f.cancelled() for f in fs)") >= {"threads": 7, "processes": 3}[kind]
    kernel.check("hold.set()\nfor p in multiprocessing.active_children(): p.terminate()")


def test_a_click_that_is_dropped_below_the_users_code_comes_again(kernel: Kernel) -> None:
    body = "class Late:\n    def __del__(self):\n        say_when_still()\n        time.sleep(60)\n"
    run = clicked(kernel, f"%%threads\n{body}Late()\ntime.sleep(60)")
    assert (run.ename, run.stderr.count("Exception ignored")) == ("KeyboardInterrupt", 1)


def test_a_library_that_waits_on_after_a_click_is_interrupted_again(kernel: Kernel) -> None:
    assert clicked(kernel, "%%threads\na_library.wait(say_when_still)").result_text == "2"


def test_terminate_and_join_in_a_clean_up(kernel: Kernel) -> None:
    body = (
        "fork = multiprocessing.get_context('fork')\nstarted = fork.Event()\n"
        "p = fork.Process(target=slow_to_end)\np.start()\nstarted.wait()\nsay_when_still()\ntry:\n"
        "    p.join()\nexcept KeyboardInterrupt:\n    p.terminate()\n    p.join()\np.exitcode"
    )
    plain = clicked(kernel, body)
    assert plain.result_text == "3"
    assert told(clicked(kernel, f"%%procs\n{body}")) == told(plain)


TIMEOUTS = {
    "caught": ("try:\n    time.sleep(60)\nexcept KeyboardInterrupt:\n    rest()\n'value'", ("", "'value'")),
    "finally": ("try:\n    time.sleep(60)\nfinally:\n    rest()", ("TimeoutError", None)),
    "pool": (
        "gate = threading.Event()\nwith Rest(), ThreadPoolExecutor(1) as pool:\n"
        "    pool.submit(hold_on, gate).result()",
        ("TimeoutError", None),
    ),
}


@pytest.mark.parametrize(("body", "end"), TIMEOUTS.values(), ids=TIMEOUTS)
def test_a_timeout_lets_the_clean_up_run(kernel: Kernel, body: str, end: tuple[str, str | None]) -> None:
    kernel.check("hold.clear()")
    run = kernel.run(f"%%threads --timeout 0.3\n{body}")
    assert (run.ename, run.result_text) == end
    assert "at rest" in run.stdout
    assert "(--timeout)" in run.evalue or "--timeout interrupted the cell" in run.displays[-1]["text/plain"]
    kernel.check("hold.set()")
