"""What sees to signals leaves their handlers as it found them."""

from __future__ import annotations

import os
import signal
import threading
import types
from collections.abc import Iterator

import pytest

from concmagic.runners.interrupt_delivery import Delivery


@pytest.fixture(autouse=True)
def handlers_as_before() -> Iterator[None]:
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


def test_a_signal_that_another_thread_takes_breaks_the_wait() -> None:
    came = threading.Event()
    taken: list[int] = []

    def handler(signum: int, frame: types.FrameType | None) -> None:
        taken.append(signum)
        came.set()  # the wait below would not end without it

    signal.signal(signal.SIGINT, handler)
    delivery = Delivery()
    delivery.start()
    assert signal.getsignal(signal.SIGINT) is handler
    striking = threading.Thread(target=lambda: signal.pthread_kill(threading.get_ident(), signal.SIGINT))
    striking.start()
    assert came.wait(60)
    delivery.stop()
    striking.join()
    assert taken == [signal.SIGINT]
    assert signal.getsignal(signal.SIGINT) is handler
    assert signal.getsignal(signal.SIGURG) is signal.SIG_DFL


def test_a_handler_that_was_set_meanwhile_stays() -> None:
    delivery = Delivery()
    delivery.start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    delivery.stop()
    os.kill(os.getpid(), signal.SIGINT)  # would be KeyboardInterrupt, were Python's handler back
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_many_signals_in_a_row_are_no_trouble() -> None:
    taken: list[int] = []
    signal.signal(signal.SIGINT, lambda signum, frame: taken.append(signum))
    delivery = Delivery()
    delivery.start()
    for _ in range(2000):
        signal.raise_signal(signal.SIGINT)
    delivery.stop()
    assert len(taken) == 2000


def test_no_file_is_left() -> None:
    before = set(os.listdir("/proc/self/fd"))
    delivery = Delivery()
    delivery.start()
    delivery.stop()
    assert set(os.listdir("/proc/self/fd")) <= before  # what else was open may be closed meanwhile
