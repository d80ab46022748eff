"""One interrupt ends a cell that does not handle it within a second, a second one any cell; the next works.

What a cell does about an interrupt is in `test_interrupt_cleanup`.
"""

from __future__ import annotations

import time

import pytest
from interrupts import ENDED, STILL

from conftest import Kernel, Run

HERE = "say_when_still()\n"
PRINT = "print('here', flush=True)\n"

SYNC = {
    "sleep": HERE + "time.sleep(60)",
    "computing": PRINT + "while True: pass",
    "thread pool": "def job(_):\n    started.wait() if False else None\n    gate.set()\n    time.sleep(2)\n"
    "with ThreadPoolExecutor(2) as p:\n    f = [p.submit(job, i) for i in range(50)]\n    gate.wait()\n"
    "    print('here', flush=True)\n    [x.result() for x in f]",
    "pool's with waits": "def job(_):\n    gate.set()\n    time.sleep(2)\n"
    "with ThreadPoolExecutor(2) as p:\n    f = [p.submit(job, i) for i in range(50)]\n    gate.wait()\n"
    "    print('here', flush=True)",
    "join": "t = threading.Thread(target=time.sleep, args=(3,), daemon=True)\nt.start()\n"
    + HERE
    + "t.join()",
    "event": HERE + "threading.Event().wait()",
    "lock": "l = threading.Lock()\nl.acquire()\n" + HERE + "l.acquire()",
    "with lock": "l = threading.Lock()\nl.acquire()\n" + HERE + "with l: pass",
    "queue": "import queue\n" + HERE + "queue.Queue().get()",
    "simple queue": "import queue\n" + HERE + "queue.SimpleQueue().get()",
    "subprocess": "import subprocess\n" + HERE + "subprocess.run(['sleep', '60'])",
    "asyncio.run": "async def main():\n    say_when_still()\n    await asyncio.sleep(60)\n"
    "asyncio.run(main())",
    "asyncio.run blocking": "async def main():\n    print('here', flush=True)\n    time.sleep(60)\n"
    "asyncio.run(main())",
    "asyncio.run to_thread": "async def main():\n    print('here', flush=True)\n"
    "    await asyncio.to_thread(time.sleep, 3)\nasyncio.run(main())",
    "process pool": "import multiprocessing as mp\nfrom concurrent.futures import ProcessPoolExecutor\n"
    "with ProcessPoolExecutor(2, mp_context=mp.get_context('fork')) as p:\n"
    "    f = [p.submit(time.sleep, 2) for _ in range(20)]\n    print('here', flush=True)\n"
    "    [x.result() for x in f]",
    "pool": "import multiprocessing as mp\nwith mp.get_context('fork').Pool(2) as p:\n"
    "    r = p.map_async(time.sleep, [2] * 20)\n    print('here', flush=True)\n    r.get()",
}

AWAITING = {
    "sleep": HERE + "await asyncio.sleep(60)",
    "blocking": HERE + "await asyncio.sleep(0)\ntime.sleep(60)",
    "computing": PRINT + "await asyncio.sleep(0)\nwhile True: pass",
    "blocking child": "async def f():\n    print('here', flush=True)\n    time.sleep(60)\n"
    "async with asyncio.TaskGroup() as g:\n    g.create_task(f())\n    g.create_task(asyncio.sleep(60))",
    "group": "async with asyncio.TaskGroup() as g:\n    g.create_task(asyncio.sleep(60))\n"
    "    print('here', flush=True)",
    "gather": HERE + "await asyncio.gather(asyncio.sleep(60), asyncio.sleep(60))",
    "short finally": HERE
    + "try:\n    await asyncio.sleep(60)\nfinally:\n    await asyncio.sleep(0)\n    cleaned = True",
    "to_thread": HERE + "await asyncio.to_thread(time.sleep, 3)",
    "lock": "l = asyncio.Lock()\nawait l.acquire()\n" + HERE + "await l.acquire()",
    "future": HERE + "await asyncio.get_running_loop().create_future()",
    "blocking callback": "def block():\n    print('here', flush=True)\n    time.sleep(60)\n"
    "asyncio.get_running_loop().call_soon(block)\nawait asyncio.sleep(60)",
    "subprocess": "p = await asyncio.create_subprocess_exec('sleep', '60')\n" + HERE + "await p.wait()",
}


@pytest.fixture(autouse=True)
def ready(kernel: Kernel) -> None:
    kernel.check(
        "import asyncio, signal, sys, threading, time\nfrom concurrent.futures import ThreadPoolExecutor\n"
        "gate = threading.Event()\ncleaned = False\n" + STILL + ENDED
    )


def seconds_to_its_end(kernel: Kernel, code: str) -> tuple[Run, float]:
    """Interrupt a traced cell; how long it then ran on. One clock serves this process and the kernel's."""
    run = kernel.interrupted(code)
    return run, kernel.value("ended") - run.interrupted_at


def check_next_cells(kernel: Kernel) -> None:
    assert kernel.check("1 + 1").result_text == "2"
    assert kernel.check("await asyncio.sleep(0, 'woken')").result_text == "'woken'"
    assert kernel.check("%%asyncio_trace -q\nawait asyncio.sleep(0, 'woken')").result_text == "'woken'"
    assert kernel.value("signal.getsignal(signal.SIGINT) is signal.default_int_handler") is True


@pytest.mark.parametrize("body", SYNC.values(), ids=SYNC)
@pytest.mark.parametrize("magic", ["%%threads", "%%procs"])
def test_sync_cell_ends_in_keyboard_interrupt(kernel: Kernel, magic: str, body: str) -> None:
    run, seconds = seconds_to_its_end(kernel, f"{magic}\n{body}")
    assert run.ename == "KeyboardInterrupt", (run.ename, run.evalue, run.traceback_text)
    assert f"Cell In[{run.execution_count}], line" in run.traceback_text
    assert "src/concmagic/" not in run.traceback_text
    assert run.kinds[-1] == "display_data"
    assert seconds < 1
    check_next_cells(kernel)


@pytest.mark.parametrize("body", AWAITING.values(), ids=AWAITING)
def test_awaiting_cell_ends_in_keyboard_interrupt(kernel: Kernel, body: str) -> None:
    run, seconds = seconds_to_its_end(kernel, f"%%asyncio_trace\n{body}\nawait asyncio.sleep(0)")
    assert run.ename == "KeyboardInterrupt", (run.ename, run.evalue, run.traceback_text)
    assert f"Cell In[{run.execution_count}], line" in run.traceback_text
    assert "src/concmagic/" not in run.traceback_text
    assert run.kinds[-1] == "display_data"
    assert seconds < 1
    check_next_cells(kernel)


# These take the first interrupt, print "again" and go on; a plain cell, too, ends at the second.
TWICE = {
    "slow finally": "%%threads\n" + HERE + "try:\n    time.sleep(60)\nfinally:\n"
    "    print('again', flush=True)\n    time.sleep(60)",
    "swallowed": "%%threads\n" + HERE + "try:\n    time.sleep(60)\nexcept KeyboardInterrupt:\n"
    "    print('again', flush=True)\ntime.sleep(60)",
    "asyncio.run swallowing": "%%threads\nasync def main():\n    say_when_still()\n    while True:\n"
    "        try:\n            await asyncio.sleep(60)\n        except asyncio.CancelledError:\n"
    "            print('again', flush=True)\n"
    "asyncio.run(main())",
    "asyncio.run finally": "%%asyncio_trace\nasync def main():\n    say_when_still()\n"
    "    try:\n        await asyncio.sleep(60)\n    finally:\n        print('again', flush=True)\n"
    "        await asyncio.sleep(60)\nasyncio.run(main())",
    "awaiting, swallowed": "%%asyncio_trace\nasync def f():\n    while True:\n        try:\n"
    "            await asyncio.sleep(60)\n"
    "        except asyncio.CancelledError:\n            print('again', flush=True)\n" + HERE + "await f()",
    "awaiting, swallowed by a task": "%%asyncio_trace\nasync def f():\n    while True:\n        try:\n"
    "            await asyncio.sleep(60)\n        except asyncio.CancelledError:\n"
    "            print('again', flush=True)\nt = asyncio.create_task(f())\n"
    + HERE
    + "await asyncio.sleep(60)",
    "awaiting, finally awaits": "%%asyncio_trace\n" + HERE + "try:\n    await asyncio.sleep(60)\nfinally:\n"
    "    print('again', flush=True)\n    await asyncio.sleep(60)",
    "awaiting, finally blocks": "%%asyncio_trace\n" + HERE + "try:\n    await asyncio.sleep(60)\nfinally:\n"
    "    print('again', flush=True)\n    time.sleep(60)",
    "tasks": "%%asyncio_trace for i in range(2)\ntry:\n    say_when_still()\n"
    "    await asyncio.sleep(60)\nfinally:\n    print('again', flush=True)\n    await asyncio.sleep(60)",
}


@pytest.mark.parametrize("code", TWICE.values(), ids=TWICE)
def test_second_interrupt_ends_any_cell(kernel: Kernel, code: str) -> None:
    cell = kernel.start(code)
    cell.wait_for("here")
    kernel.interrupt()
    cell.wait_for("again")
    struck_at = time.monotonic()
    kernel.interrupt()
    run = cell.wait()
    assert run.ename == "KeyboardInterrupt", (run.ename, run.evalue, run.traceback_text)
    assert f"Cell In[{run.execution_count}], line" in run.traceback_text or " for " in code
    assert "src/concmagic/" not in run.traceback_text.replace("%%asyncio_trace", "")
    assert run.kinds[-1] == "display_data"
    assert kernel.value("ended") - struck_at < 1
    check_next_cells(kernel)


WAITS = {
    "lock": "threading.Event().wait()",
    "sleep": "time.sleep(60)",
    "pipe": "os.read(os.pipe()[0], 1)",
    "subprocess": "subprocess.run(['sleep', '60'])",
    "asyncio.run": "asyncio.run(asyncio.sleep(60))",
    "await": "await asyncio.sleep(60)",
}


@pytest.mark.parametrize("wait", WAITS.values(), ids=WAITS)
def test_interrupt_that_does_not_wake_the_main_thread_ends_the_cell_too(kernel: Kernel, wait: str) -> None:
    """Another thread takes the signal, as good as one that meets the main thread on its way into the wait."""
    kernel.check(
        "import os, subprocess\ndef strike():\n    global sent\n    sent = time.monotonic()\n"
        "    signal.pthread_kill(threading.get_ident(), signal.SIGINT)"
    )
    run = kernel.run(f"%%threads -q\nsay_when_still(then=strike)\n{wait}")
    assert run.ename == "KeyboardInterrupt"
    assert kernel.value("ended - sent") < 1
    check_next_cells(kernel)


def test_interrupted_sync_cell_tells_what_a_plain_one_tells(kernel: Kernel) -> None:
    from test_run_tracebacks import story

    body = "def f():\n    time.sleep(60)\nsay_when_still()\nf()"
    kernel.check("import gc; gc.collect()")  # of tasks that earlier cells left asyncio says so when they go
    plain = kernel.interrupted(body)
    traced = kernel.interrupted(f"%%threads -q\n{body}")
    assert story(traced, 1) == story(plain, 0)


def test_finally_of_an_interrupted_task_may_await(kernel: Kernel) -> None:
    kernel.interrupted(f"%%asyncio_trace -q\n{AWAITING['short finally']}")
    assert kernel.value("cleaned") is True


def test_queued_jobs_do_not_begin_after_an_interrupt(kernel: Kernel) -> None:
    run = kernel.interrupted(
        "%%threads -q\nbegun = []\ndef job(i):\n    begun.append(i)\n    gate.set()\n    hold.wait()\n"
        "hold = threading.Event()\n"
        "p = ThreadPoolExecutor(2)\nf = [p.submit(job, i) for i in range(20)]\n"
        "while len(begun) < 2: time.sleep(0.001)\nprint('here', flush=True)\n[x.result() for x in f]",
    )
    assert run.ename == "KeyboardInterrupt"
    kernel.check("hold.set()\np.shutdown()")
    assert kernel.value("len(begun), sum(x.cancelled() for x in f)") == (2, 18)


def test_pool_of_an_earlier_cell_keeps_its_jobs(kernel: Kernel) -> None:
    kernel.check(
        "hold = threading.Event()\nearlier = ThreadPoolExecutor(1)\n"
        "fs = [earlier.submit(hold.wait) for _ in range(3)]"
    )
    kernel.interrupted("%%threads -q\n" + SYNC["sleep"])
    kernel.check("hold.set()")
    assert kernel.check("[f.result() for f in fs]").result_text == "[True, True, True]"


def test_tasks_of_an_earlier_cell_survive_an_interrupt(kernel: Kernel) -> None:
    kernel.check("still = asyncio.create_task(asyncio.sleep(3600, 'x'))\nawait asyncio.sleep(0)")
    kernel.interrupted("%%asyncio_trace -q\n" + AWAITING["gather"])
    assert kernel.value("still.done()") is False
    kernel.check("still.cancel();")


def test_tasks_of_the_cell_are_cancelled_by_an_interrupt(kernel: Kernel) -> None:
    kernel.interrupted(
        "%%asyncio_trace -q\nside = asyncio.create_task(asyncio.sleep(3600))\n" + AWAITING["sleep"]
    )
    assert kernel.value("side.cancelled()") is True


TIMEOUTS = {
    "sync": "%%threads --timeout 0.2\nthreading.Event().wait()",
    "pool": "%%threads --timeout 0.2\nwith ThreadPoolExecutor(1) as p:\n    p.submit(time.sleep, 2).result()",
    "except Exception": "%%threads --timeout 0.2\ntry:\n    threading.Event().wait()\n"
    "except Exception:\n    pass",
    "computing": "%%threads --timeout 0.2\nwhile True: pass",
    "awaiting": "%%asyncio_trace --timeout 0.2\nawait asyncio.sleep(60)",
    "awaiting, blocked": "%%asyncio_trace --timeout 0.2\nawait asyncio.sleep(0)\ntime.sleep(60)",
    "asyncio.run": "%%asyncio_trace --timeout 0.2\nasyncio.run(asyncio.sleep(60))",
}


@pytest.mark.parametrize("code", TIMEOUTS.values(), ids=TIMEOUTS)
def test_timeout_ends_the_cell_and_says_so(kernel: Kernel, code: str) -> None:
    run = kernel.run(code)
    assert (run.status, run.ename) == ("error", "TimeoutError")
    assert "200 ms (--timeout)" in run.evalue
    assert f"Cell In[{run.execution_count}], line" in run.traceback_text
    assert "\nKeyboardInterrupt" not in run.traceback_text
    assert run.kinds[-1] == "display_data"
    check_next_cells(kernel)


@pytest.mark.parametrize("magic", ["%%threads", "%%asyncio_trace"])
@pytest.mark.parametrize("body", ["'quick'", "await asyncio.sleep(0, 'quick')"])
def test_timeout_that_is_not_needed_does_nothing(kernel: Kernel, magic: str, body: str) -> None:
    run = kernel.check(f"{magic} --timeout 3600 -q\n{body}")
    assert run.result_text == "'quick'"
    assert run.seconds < 60


def test_interrupt_before_the_timeout_is_an_interrupt(kernel: Kernel) -> None:
    run = kernel.interrupted("%%threads -q --timeout 3600\n" + SYNC["sleep"])
    assert run.ename == "KeyboardInterrupt"


def test_handler_that_the_cell_sets_is_the_cells(kernel: Kernel) -> None:
    run = kernel.check(
        "%%threads -q\nold = signal.signal(signal.SIGINT, lambda *a: print('own handler'))\n"
        "signal.raise_signal(signal.SIGINT)\nsignal.signal(signal.SIGINT, old);"
    )
    assert run.stdout == "own handler\n"
    check_next_cells(kernel)


def test_forked_child_of_the_cell_takes_an_interrupt_as_usual(kernel: Kernel) -> None:
    run = kernel.check(
        "%%procs -q\nimport os\npid = os.fork()\nif pid == 0:\n    code = 1\n    try:\n"
        "        signal.raise_signal(signal.SIGINT)\n    except KeyboardInterrupt:\n        code = 7\n"
        "    finally:\n        os._exit(code)\n"
        "os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])"
    )
    assert run.result_text == "7"
    check_next_cells(kernel)


HEADERS = {
    "threads": "%%threads -w 2 for i in range(20)\ntime.sleep(1)",
    "threads, first items": "%%threads -w 2 for i in range(2)\ntime.sleep(2)",
    "tasks": "%%asyncio_trace for i in range(20)\nawait asyncio.sleep(60)",
    "tasks, blocking": "%%asyncio_trace for i in range(20)\ntime.sleep(60)",
    "processes": "%%procs -w 2 --start-method fork for i in range(20)\nimport time\ntime.sleep(1)",
}


@pytest.mark.parametrize("code", HEADERS.values(), ids=HEADERS)
def test_header_form_ends_in_keyboard_interrupt(kernel: Kernel, code: str) -> None:
    line, body = code.split("\n", 1)
    kernel.check("def counted(n):\n    say_when_still()\n    return range(n)")
    run, seconds = seconds_to_its_end(kernel, line.replace("range(", "counted(") + "\n" + body)
    assert run.ename == "KeyboardInterrupt", (run.ename, run.evalue, run.traceback_text)
    assert run.kinds[-1] == "display_data"
    assert seconds < 1
    check_next_cells(kernel)


EDGES = {
    "before the cell": ("RecordingSession", "start"),
    "after the cell": ("RecordingSession", "stop"),
}


@pytest.mark.parametrize(("owner", "name"), EDGES.values(), ids=EDGES)
@pytest.mark.parametrize("body", ["while True: pass", "while True: await asyncio.sleep(0)"])
def test_interrupt_at_the_edges_of_the_cell_ends_it_too(
    kernel: Kernel, owner: str, name: str, body: str
) -> None:
    """The signal is raised in the middle of starting or stopping the recorders."""
    kernel.check(
        f"import concmagic.recording.session as s\nreal_method = s.{owner}.{name}\n"
        f"def striking(*args, **kwargs):\n    s.{owner}.{name} = real_method\n"
        "    signal.raise_signal(signal.SIGINT)\n    return real_method(*args, **kwargs)\n"
        f"s.{owner}.{name} = striking"
    )
    quick = body.replace("while True: ", "") if name == "stop" else body
    run = kernel.run(f"%%asyncio_trace\n{quick}")
    assert run.ename == "KeyboardInterrupt"
    assert run.kinds[-1] == "display_data"
    check_next_cells(kernel)


@pytest.mark.parametrize("awaiting", [False, True])
def test_a_click_as_the_magic_returns_shows_no_frame_of_ours(kernel: Kernel, awaiting: bool) -> None:
    kernel.check("""
import asyncio, signal, sys
def clicks(frame, event, argument):
    file, name = frame.f_code.co_filename, frame.f_code.co_name
    if file.endswith("traced_cell.py") and name in ("run", "_run_awaited"):
        def local(frame, event, argument):
            if event == "return" and argument is not None:
                sys.settrace(None)
                signal.raise_signal(signal.SIGINT)
            return local
        return local
""")
    body = "await asyncio.sleep(0, 42)" if awaiting else "6 * 7"
    kernel.check("sys.settrace(clicks)")
    run = kernel.run(f"%%timeline\n{body}")
    # The kernel cancels what it awaits, as it does for a plain cell: ours is over.
    assert run.ename == ("CancelledError" if awaiting else "KeyboardInterrupt")
    assert "src/concmagic/" not in run.traceback_text + run.stderr
    assert kernel.check("6 * 7").result_text == "42"
