"""An interrupt that comes as a lock is being noted keeps no lock: from Python 3.12 on each one is noted."""

from __future__ import annotations

import sys

import pytest

from conftest import Kernel

pytestmark = pytest.mark.skipif(sys.version_info < (3, 12), reason="there locks are sampled")

SETUP = """
import asyncio, signal, threading, time
from concmagic.recording.locks import methods
real, lock, struck = methods.bound, threading.Lock(), []
def bound(callable):
    # Called by what notes locks, as one is about to be let go.
    if getattr(callable, "__self__", None) is lock and callable.__name__ == "__exit__" and not struck:
        struck.append(callable.__name__)
        signal.raise_signal(signal.SIGINT)
    return real(callable)
"""
THEN = {
    "%%threads": "for _ in range(500): time.sleep(0.01)",
    "%%asyncio_trace": "for _ in range(500): await asyncio.sleep(0.01)",
}


@pytest.mark.parametrize("magic", THEN)
def test_the_lock_is_let_go(kernel: Kernel, magic: str) -> None:
    kernel.check(f"{SETUP}\nmethods.bound = bound")
    try:
        run = kernel.run(f"{magic}\nfor _ in range(3):\n    with lock: pass\n{THEN[magic]}")
        assert kernel.value("struck") == ["__exit__"]
        assert run.ename == "KeyboardInterrupt"
        assert kernel.value("lock.locked()") is False
        assert "src/concmagic/" not in run.traceback_text.replace("%%asyncio_trace", "")
    finally:
        kernel.check("methods.bound = real")
