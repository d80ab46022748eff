"""The address at which the operating system says that a thread waits for a lock."""

from __future__ import annotations

import gc
import os
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from concmagic.interpreter import borrowing, lock_internals
from concmagic.recording.locks.futex_addresses import LockAddresses
from concmagic.recording.locks.lock_sites import Chains

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


class _Thing:
    """What a thread holds in a variable."""


def test_looks_at_frames_keep_nothing_of_other_threads_alive() -> None:
    """Not even until garbage is collected: what is freed late is freed in another order than it would be."""
    there, over = threading.Event(), threading.Event()
    found: list[weakref.ref[_Thing]] = []

    def holds() -> None:
        thing = _Thing()
        found.append(weakref.ref(thing))
        there.set()
        over.wait(WAIT_S)

    thread = threading.Thread(target=holds)
    addresses = LockAddresses(Chains(), False, failed=lambda error: None, exact=True)
    gc.disable()
    try:
        thread.start()
        there.wait(WAIT_S)
        addresses.look()
        addresses.look_at_end(None, {thread.ident or 0: thread.native_id or 0})
        over.set()
        thread.join()
        assert found[0]() is None
    finally:
        gc.enable()
