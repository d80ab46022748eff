"""Where a signal's handler may raise and a `with` still lets its lock go."""

from __future__ import annotations

import signal
import sys
import threading
import time
from types import FrameType
from typing import Any

import pytest

from concmagic.interpreter.value_stack import may_have_just_entered


class Hit(Exception):
    pass


def _use(lock: Any) -> None:
    for _ in range(300):
        with lock:
            pass


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="a signal has to come now and again")
def test_a_handler_that_looks_first_leaves_no_lock_taken() -> None:
    lock, skipped, hits = threading.Lock(), 0, 0

    def raises(signum: int, frame: FrameType | None) -> None:
        nonlocal skipped
        if frame is None or frame.f_code is not _use.__code__:
            return
        if may_have_just_entered(frame):
            skipped += 1
        else:
            raise Hit

    before = signal.signal(signal.SIGALRM, raises)
    signal.setitimer(signal.ITIMER_REAL, 0.0001, 0.00013)
    try:
        end = time.monotonic() + 60
        while hits < 300 and time.monotonic() < end:
            try:
                _use(lock)
            except Hit:
                hits += 1
                assert not lock.locked()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert hits == 300
    assert skipped > 0 or sys.version_info < (3, 14)
