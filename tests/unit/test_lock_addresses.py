"""The address at which the operating system says that a thread waits for a lock."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from concmagic.interpreter import borrowing, lock_internals

FUTEX_CALL = {"x86_64": "202", "aarch64": "98"}[os.uname().machine]
WAIT_S = 20  # only ever reached by a test that fails


@pytest.mark.skipif(not lock_internals.can_tell(), reason="the address is not the lock's")
@pytest.mark.parametrize("kind", [threading.Lock, threading.RLock])
def test_a_thread_waits_at_the_address_that_is_read_off_its_lock(kind: Callable[[], Any]) -> None:
    lock = kind()
    lock.acquire()
    waiting = threading.Thread(target=lock.acquire, daemon=True)
    waiting.start()
    try:
        seen = Path(f"/proc/self/task/{waiting.native_id}/syscall")
        found = set()
        limit = time.monotonic() + WAIT_S
        while (
            lock_internals.address_of(lock) not in found and time.monotonic() < limit
        ):  # it is still on its way
            call, *arguments = seen.read_text().split()
            if call == FUTEX_CALL:
                found.add(int(arguments[0], 16))
            time.sleep(0.001)
        assert lock_internals.address_of(lock) in found
    finally:
        lock.release()
        waiting.join()


def test_on_a_free_threaded_build_it_cannot_be_told() -> None:
    """There the word is the lock itself, and who waits sleeps elsewhere."""
    assert not (borrowing.FREE_THREADED and lock_internals.can_tell())
