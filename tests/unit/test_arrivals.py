"""Messages are shown to who wants them when they arrive, not to who was there when the wait began."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import Pipe, connection

import pytest

from concmagic.interpreter.process_internals import RECEIVE, SEND
from concmagic.problems import Problem
from concmagic.recording.children import message_arrivals, messages
from concmagic.recording.children.messages import MessageRecorder


class Line:
    """A pipe, and a thread that waits for one message in it."""

    def __init__(self) -> None:
        self._mouth, self._ear = Pipe()
        self._thread = threading.Thread(target=self._ear.recv)

    def wait(self) -> None:
        """Return when the thread is where it reads the pipe."""
        self._thread.start()
        while self._function() != "_recv":
            time.sleep(0.001)

    def _function(self) -> str:
        frame = sys._current_frames().get(self._thread.ident or 0)
        return frame.f_code.co_name if frame is not None else ""

    def send(self) -> None:
        """Send the message, and return when it has arrived."""
        self._mouth.send("news")
        self._thread.join()
        self._mouth.close()
        self._ear.close()


@contextmanager
def as_before() -> Iterator[None]:
    original = vars(connection.Connection)["_recv_bytes"]
    try:
        yield
    finally:
        message_arrivals.unwatch()
    assert vars(connection.Connection)["_recv_bytes"] is original


def recorded(sleeps: bool) -> MessageRecorder:
    recorder = MessageRecorder()
    recorder.sleeps = sleeps
    recorder.start()
    return recorder


def test_a_wait_that_begins_between_a_recording_and_the_sleep_is_seen_ending() -> None:
    seen: list[str] = []
    with as_before():
        recorded(sleeps=True).stop()
        line = Line()
        line.wait()
        message_arrivals.watch(look=lambda end, message, caller: seen.append("woken"))
        line.send()
    assert seen == ["woken"]


def test_a_wait_that_began_in_one_recording_ends_in_the_next() -> None:
    with as_before():
        first = recorded(sleeps=False)
        line = Line()
        line.wait()
        assert first.stop().messages == ()
        begun_ns = time.monotonic_ns()
        second = recorded(sleeps=False)
        line.send()
        # Who sends notes it when the call is over: the message may have arrived and be noted before.
        arrived, sent = sorted(second.stop().messages, key=lambda message: message.sends)
    assert sent.sends and not arrived.sends
    assert (sent.size, sent.digest) == (arrived.size, arrived.digest)
    assert begun_ns <= arrived.begin_ns <= arrived.moved_ns  # no earlier than its recording


def test_what_arrives_when_nobody_records_is_shown_to_nobody() -> None:
    with as_before():
        first = recorded(sleeps=False)
        line = Line()
        line.wait()
        assert first.stop().messages == ()
        line.send()
        assert recorded(sleeps=False).stop().messages == ()


def test_messages_that_are_too_many_are_counted_and_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "MOST", 3)
    with as_before():
        recorder = recorded(sleeps=False)
        here, there = connection.Pipe()
        for number in range(5):  # each is noted where it is sent, and where it arrives
            here.send(number)
            assert there.recv() == number
        assert len(recorder.stop().messages) == 6
    assert recorder.problems == [Problem.of("messages_left_out", 3, 4)]
    here.close()
    there.close()


def spent_after(recorder: MessageRecorder, many: int) -> None:
    """Send so many messages, then spend the budget, then send more of the same."""
    here, there = connection.Pipe()
    for number in range(2 * many):
        if number == many:
            recorder._time.spend(1 << 60)
        here.send("news")
        assert there.recv() == "news"
    here.close()
    there.close()


def test_once_the_budget_is_spent_no_message_is_seen_and_nothing_of_ours_is_called() -> None:
    plain = connection.Connection.__dict__[SEND]
    with as_before():
        recorder = recorded(sleeps=False)
        spent_after(recorder, 3)
        assert connection.Connection.__dict__[SEND] is plain
        assert connection.Connection.__dict__[RECEIVE].__name__ == RECEIVE
        log = recorder.stop()
    assert [one.sends for one in log.messages] == [True, False] * 3
    assert log.counted_until_ns is not None and log.counted_until_ns >= log.messages[-1].end_ns
    assert recorder.problems == []
