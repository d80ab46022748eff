"""What sees to signals leaves their handlers as it found them."""

from __future__ import annotations

import faulthandler
import os
import signal
import subprocess
import sys
import threading
import types
from collections.abc import Iterator
from typing import Any

import pytest

from concmagic.interpreter.c_library import exchanged
from concmagic.runners.interrupt_wakeup import Delivery


def size() -> int:
    """Of the main thread's stack for signal handlers; 0 where it has none."""
    stack = exchanged(None)
    assert stack is not None
    return int(stack.size)


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


def test_a_signal_right_after_another_breaks_the_wait_too() -> None:
    """The first is acted on just before the text of the second is read."""
    taken: list[int] = []
    first, second = threading.Event(), threading.Event()
    delivery = Delivery()

    def handler(signum: int, frame: types.FrameType | None) -> None:
        delivery.acted()
        taken.append(signum)
        (second if first.is_set() else first).set()

    def strike() -> None:
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)
        first.wait()
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)

    signal.signal(signal.SIGINT, handler)
    delivery.start()
    striking = threading.Thread(target=strike)
    striking.start()
    assert second.wait(20)
    delivery.stop()
    striking.join()
    assert taken == [signal.SIGINT] * 2


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


def test_all_is_registered_where_signals_are_handled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Removed by another thread while it runs, a handler would put itself back."""
    threads: list[threading.Thread] = []

    def noted(real: Any) -> Any:
        def call(*args: Any, **named: Any) -> Any:
            threads.append(threading.current_thread())
            return real(*args, **named)

        return call

    for name in ("register", "unregister"):
        monkeypatch.setattr(faulthandler, name, noted(getattr(faulthandler, name)))
    test_a_signal_that_another_thread_takes_breaks_the_wait()
    assert len(threads) == 4
    assert set(threads) == {threading.main_thread()}


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the stack is left alone")
def test_there_is_room_for_many_signals_at_once_and_afterwards_the_stack_that_was_there() -> None:
    sizes, delivery = [size()], Delivery()
    delivery.start()
    sizes.append(size())
    delivery.stop()
    assert sizes[1] > 20 * 4096
    assert size() == sizes[0]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the stack is left alone")
def test_who_enables_faulthandler_meanwhile_has_its_stack() -> None:
    program = """
import faulthandler, signal, sys
from concmagic.interpreter.c_library import exchanged
from concmagic.runners.interrupt_wakeup import Delivery
delivery = Delivery()
delivery.start()
faulthandler.enable()
delivery.stop()
print(0 < exchanged(None).size < 1 << 17)
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (run.stdout, run.stderr) == ("True\n", "")


def test_a_handler_of_the_cells_is_never_called_for_it() -> None:
    came: list[int] = []
    signal.signal(signal.SIGINT, lambda *_: None)
    delivery = Delivery()
    delivery.start()
    try:
        signal.signal(signal.SIGURG, lambda signum, frame: came.append(signum))
        told = threading.Thread(target=delivery._break_the_wait, args=(float("inf"),))  # for nobody acts
        told.start()
        told.join()
        delivery.stop()
        assert came == []
        assert signal.getsignal(signal.SIGURG) is not signal.SIG_DFL
    finally:
        signal.signal(signal.SIGURG, signal.SIG_DFL)
