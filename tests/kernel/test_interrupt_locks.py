"""An interrupt that comes between the two states of a lock leaves it as it should be."""

from __future__ import annotations

import sys

import pytest

from conftest import Kernel

SETUP = """
import asyncio, signal, sys, threading, time
from concmagic.recording.locks import monitor
real, lock, struck = (monitor.bound, monitor.unbound), threading.Lock(), []
# Both are called by what notes locks, as one is about to be let go: the second from Python 3.14 on.
def strike(name):
    if name == "__exit__" and not struck:
        struck.append(name)
        signal.raise_signal(signal.SIGINT)
def bound(callable):
    if getattr(callable, "__self__", None) is lock:
        strike(callable.__name__)
    return real[0](callable)
class Unbound(dict):
    def get(self, callable):
        if sys._getframe(2).f_code.co_name == "<module>":  # the cell's
            strike(callable.__name__)
        return dict.get(self, callable)
def unbound():
    return Unbound(real[1]())
"""
THEN = {
    "%%threads": "for _ in range(500): time.sleep(0.01)",
    "%%asyncio_trace": "for _ in range(500): await asyncio.sleep(0.01)",
}


@pytest.mark.skipif(sys.version_info < (3, 12), reason="there locks are sampled")
@pytest.mark.parametrize("magic", THEN)
def test_the_lock_is_let_go(kernel: Kernel, magic: str) -> None:
    kernel.check(f"{SETUP}\nmonitor.bound, monitor.unbound = bound, unbound")
    try:
        run = kernel.run(f"{magic}\nfor _ in range(3):\n    with lock: pass\n{THEN[magic]}")
        assert kernel.value("struck") == ["__exit__"]
        assert run.ename == "KeyboardInterrupt"
        assert kernel.value("lock.locked()") is False
        assert "src/concmagic/" not in run.traceback_text.replace("%%asyncio_trace", "")
    finally:
        kernel.check("monitor.bound, monitor.unbound = real")


# Called by `Condition.wait` to let its lock go: in C, so that the click finds no code of the user's there.
CONDITION = """
import functools, operator, signal, threading, types
lock = threading.Lock()
click = functools.partial(signal.raise_signal, signal.SIGINT)
lets_go = functools.partial(list, map(operator.call, (lock.release, click)))
condition = threading.Condition(types.SimpleNamespace(
    acquire=lock.acquire, release=lets_go, locked=lock.locked,
    _is_owned=lock.locked, __enter__=lock.__enter__, __exit__=lock.__exit__))
"""


@pytest.mark.parametrize("magic", ["%%threads", "%%asyncio_trace", "%%timeline --detail states"])
def test_a_condition_that_lets_its_lock_go_takes_it_again(kernel: Kernel, magic: str) -> None:
    """Python's own code has that gap; tracing would make it wider."""
    kernel.check(CONDITION)
    awaits = "\nawait asyncio.sleep(0)" if "asyncio" in magic else ""
    run = kernel.run(f"{magic}\nimport asyncio\nwith condition:\n    condition.wait(20){awaits}")
    assert (run.ename, run.evalue) == ("KeyboardInterrupt", "")
    assert kernel.value("lock.locked()") is False
    assert "src/concmagic/" not in run.traceback_text.replace("%%asyncio_trace", "")


@pytest.mark.parametrize("magic", ["%%threads", "%%asyncio_trace", "%%timeline --detail states"])
def test_a_condition_has_its_lock_again_before_an_interrupt_is_raised(kernel: Kernel, magic: str) -> None:
    """As the wait ends: what a print in a notebook waits for ends just as its text is seen."""
    kernel.check(CONDITION)
    kernel.check("""
takes = functools.partial(list, map(operator.call, (click, lock.acquire)))
condition = threading.Condition(types.SimpleNamespace(
    acquire=takes, release=lock.release, locked=lock.locked,
    _is_owned=lock.locked, __enter__=lock.__enter__, __exit__=lock.__exit__))
""")
    awaits = "\nawait asyncio.sleep(0)" if "asyncio" in magic else ""
    body = "with condition:\n    condition.wait(0.01)\n    time.sleep(20)"
    run = kernel.run(f"{magic}\nimport asyncio, time\n{body}{awaits}")
    assert (run.ename, run.evalue) == ("KeyboardInterrupt", "")
    assert kernel.value("lock.locked()") is False
    assert "src/concmagic/" not in run.traceback_text.replace("%%asyncio_trace", "")


# Each stands where a click comes between the two, as one does that meets the thread on its way.
_TAKEN = (  # `locked` is for Condition of 3.14
    "__enter__=functools.partial(list, map(operator.call, (lock.acquire, click))), __exit__=lock.__exit__"
)
ENTERED_AND_LEFT = {
    "entered": "kept = types.SimpleNamespace("
    f"acquire=lock.acquire, release=lock.release, locked=lock.locked, {_TAKEN})\n",
    "left": "class Left:\n"
    "    acquire, release, locked, __enter__ = lock.acquire, lock.release, lock.locked, lock.__enter__\n"
    "    @property\n"
    "    def __exit__(self):\n"
    "        click()\n"
    "        return lock.__exit__\n"
    "kept = Left()\n",
}


@pytest.mark.parametrize("kept", ENTERED_AND_LEFT.values(), ids=ENTERED_AND_LEFT)
@pytest.mark.parametrize("magic", ["%%threads", "%%asyncio_trace", "%%timeline --detail states"])
def test_a_condition_that_is_entered_or_left_keeps_no_lock(kernel: Kernel, magic: str, kept: str) -> None:
    """Else what sets the event that a print waits for would wait for ever, and the kernel print no more."""
    kernel.check(CONDITION)
    kernel.check(f"{kept}condition = threading.Condition(kept)")
    awaits = "\nawait asyncio.sleep(0)" if "asyncio" in magic else ""
    body = "with condition:\n    pass\ntime.sleep(20)"
    run = kernel.run(f"{magic}\nimport asyncio, time\n{body}{awaits}")
    assert (run.ename, run.evalue) == ("KeyboardInterrupt", "")
    assert kernel.value("lock.locked()") is False
    assert "src/concmagic/" not in run.traceback_text.replace("%%asyncio_trace", "")


@pytest.mark.parametrize("magic", ["%%threads", "%%asyncio_trace", "%%timeline --detail states"])
def test_a_lock_that_was_taken_by_with_is_let_go_again(kernel: Kernel, magic: str) -> None:
    """On Python 3.14 an interrupt may come between the taking and the block that lets it go."""
    kernel.check(CONDITION)
    kernel.check("""
from _thread import interrupt_main as interrupts
class Taken:  # its own call does not deliver the signal: Python does, as soon as it does so at all
    __enter__ = staticmethod(functools.partial(list, map(operator.call, (lock.acquire, interrupts))))
    __exit__ = lambda self, *error: lock.release()
""")
    awaits = "\nawait asyncio.sleep(0)" if "asyncio" in magic else ""
    run = kernel.run(f"{magic}\nimport asyncio, time\nwith Taken():\n    time.sleep(20){awaits}")
    assert (run.ename, run.evalue) == ("KeyboardInterrupt", "")
    assert kernel.value("lock.locked()") is False
    assert "src/concmagic/" not in run.traceback_text.replace("%%asyncio_trace", "")


def test_an_interrupt_ends_a_with_that_never_has_its_lock(kernel: Kernel) -> None:
    kernel.check("import threading\nlock, other = threading.Lock(), threading.Lock()\nother.acquire()")
    kernel.check("class Waits:\n    __enter__, __exit__ = other.acquire, lambda self, *error: None")
    cell = "import threading\nthreading.Timer(0.1, print, ('here',), {'flush': True}).start()\n"
    for waits in ("with other:", "with Waits():"):
        run = kernel.interrupted(f"%%threads\n{cell}{waits}\n    pass", "here")
        assert run.ename == "KeyboardInterrupt"


def test_an_interrupt_ends_a_condition_that_never_has_its_lock_again(kernel: Kernel) -> None:
    """There Python itself raises in the middle, and so the `with` finds its lock let go."""
    kernel.check("""
import threading, types
lock, other = threading.Lock(), threading.Lock()
other.acquire()
def takes():
    print("here", flush=True)
    return other.acquire()
condition = threading.Condition(types.SimpleNamespace(
    acquire=takes, release=lock.release, locked=lock.locked,
    _is_owned=lock.locked, __enter__=lock.__enter__, __exit__=lock.__exit__))
""")
    for magic in ("", "%%threads\n"):
        run = kernel.interrupted(f"{magic}with condition:\n    condition.wait(0.01)")
        assert (run.ename, run.evalue) == ("RuntimeError", "release unlocked lock")
