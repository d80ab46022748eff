"""Every reason that an observer tells has a row in the one table."""

from __future__ import annotations

from concmagic.interpreter import recorded_calls
from concmagic.model.reasons import REASONS, ROWS, told_as
from concmagic.model.states import State, StateInterval
from concmagic.recording.tasks import wait_reasons
from concmagic.sentences.states_and_waits import WAITS, path_words

# Of no wait: where samples know no more, and what awaits nothing that is known.
NOT_KNOWN = {"", "system call"}


def test_a_reason_has_one_row() -> None:
    assert len(REASONS) == len(ROWS)


def test_what_observers_tell_of_threads_is_in_the_table() -> None:
    told = {*recorded_calls.BLOCKING_CALLS.values(), *recorded_calls.LIBRARY_WAITS.values()}
    told |= {
        recorded_calls.syscall_reason(number, each) for number in range(500) for each in ("x86_64", "aarch64")
    }
    assert told - NOT_KNOWN <= REASONS.keys()


def test_what_observers_tell_of_tasks_is_in_the_table() -> None:
    tables = (wait_reasons.WHOLE, wait_reasons.ROWS, wait_reasons.OF_TRANSPORTS, wait_reasons.OF_PROTOCOLS)
    told = {row.reason for table in tables for row in table.values()}
    told |= {
        row.reason
        for row in (wait_reasons.GATHER, wait_reasons.FUTURE, wait_reasons.ITEM, wait_reasons.UNKNOWN)
    }
    assert told - NOT_KNOWN <= REASONS.keys()


def test_words_are_those_of_a_reason_that_there_is() -> None:
    assert WAITS.keys() - {"", "merged", "handing over"} <= REASONS.keys()
    assert path_words("waiting", "sleep", "") == "sleeping"
    assert path_words("waiting", "barrier of ours", "") == "waiting for barrier of ours"


def test_every_kind_of_lock_has_one_name_and_a_future_none_of_its_own() -> None:
    kinds = ("lock", "Lock", "RLock")
    assert {told_as(kind) for kind in kinds} == {"Lock"}
    assert {path_words("waiting", kind, "") for kind in kinds} == {"waiting for a lock"}
    assert told_as("future") == "result"
    assert told_as("sleep") == "sleep"


def test_a_wait_is_told_in_plain_words() -> None:
    """What is of no help is a bare name of Python's: none but those that a user writes, in brackets."""
    bare = {row.name for row in ROWS if path_words("waiting", row.name, "") == f"waiting for {row.name}"}
    assert bare == {"DNS", "I/O", "stream close", "sendfile", "input", "events"}


def test_a_wait_knows_its_family() -> None:
    assert StateInterval(0, 1, State.WAITING, "sleep").family == "outside"
    assert StateInterval(0, 1, State.WAITING, "Lock").family == "each other"
    assert StateInterval(0, 1, State.WAITING, "for work").family == "idle"
    assert StateInterval(0, 1, State.WAITING, "system call").family == ""
    assert StateInterval(0, 1, State.READY, "GIL").family == ""
