"""A worker of a loop that is interrupted as it sends: real signals, a real pipe that is full."""

from __future__ import annotations

import os
import select
import signal
import threading
from collections.abc import Iterator
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

import pytest

from concmagic.runners.loop_worker import Interrupted, Printed, _Interrupts, _Sender

WAIT_S = 30.0  # only ever reached by a test that fails
MUCH = "x" * 1_000_000  # more than a pipe holds


@pytest.fixture
def own_handler() -> Iterator[None]:
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


def struck_when_full(end: Connection, messages: list[Any]) -> threading.Thread:
    """Interrupts this process once it waits for room in the pipe, and only then reads what is in it."""

    def read() -> None:
        assert select.select([end], [], [], WAIT_S)[0]
        os.kill(os.getpid(), signal.SIGINT)
        while select.select([end], [], [], WAIT_S)[0]:
            messages.append(end.recv())
            if isinstance(messages[-1], Interrupted):
                return

    thread = threading.Thread(target=read)
    thread.start()
    return thread


def test_an_interrupt_waits_for_the_end_of_a_message(own_handler: None) -> None:
    ours, theirs = Pipe()
    interrupts = _Interrupts()
    send = _Sender(theirs, interrupts)
    interrupts.tell = lambda: send(Interrupted())
    interrupts.may_raise = True
    for _ in range(10):
        messages: list[Any] = []
        reader = struck_when_full(ours, messages)
        with pytest.raises(KeyboardInterrupt):
            send(Printed("stdout", MUCH))
        reader.join(WAIT_S)
        assert messages == [Printed("stdout", MUCH), Interrupted()]


def test_between_items_it_does_nothing(own_handler: None) -> None:
    ours, theirs = Pipe()
    interrupts = _Interrupts()
    send = _Sender(theirs, interrupts)
    os.kill(os.getpid(), signal.SIGINT)
    send(Printed("stdout", "after"))
    assert ours.recv() == Printed("stdout", "after")
