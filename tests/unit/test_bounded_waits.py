"""Nothing of ours that runs in a user's thread waits without a limit: the source is read for it.

A lock is taken by `held(lock, seconds)` alone, any other wait has its limit in the call. What may wait longer
stands in WAITS, with the reason why that is no hang.
"""

from __future__ import annotations

import ast
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import concmagic
from concmagic.clock import gone_within, held, until
from concmagic.problems import Problem
from concmagic.recording import guards
from concmagic.recording.own_threads import OwnThread, contains

ROOT = Path(concmagic.__file__).parent

# Methods that wait; where their limit is: the name of the option, and its place among the arguments.
LIMITED = {
    "acquire": ("timeout", 1),
    "join": ("timeout", 0),
    "wait": ("timeout", 0),
    "wait_for": ("timeout", 1),
    "get": ("timeout", 1),  # of a queue: other `get` have a key, and so an argument
    "poll": ("timeout", 0),
    "communicate": ("timeout", 1),
    "accept": None,
    "recv": None,
    "recv_bytes": None,
    "waitpid": None,
    "wait3": None,
    "wait4": None,
    "waitid": None,
    "sigwait": None,
    "sigwaitinfo": None,
}
OF_THE_SAMPLER = ("recording/sampler/process.py", "recording/sampler/process_view.py")  # a process of its own
WAITS = {
    "recording/children/child_table.py: os.waitpid(child.pid, os.WNOHANG)": "WNOHANG",
    "recording/children/leftovers.py: select.poll()": "makes one",
    "recording/children/child_table.py: os.waitid(kind, whom, os.WEXITED | os.WNOHANG | os.WNOWAIT)": "looks",
    "recording/children/child_listener.py: poll.poll()": "in a thread of ours, as long as the child lives",
    "recording/children/child_listener.py: select.poll()": "makes one",
    "interpreter/pool_internals.py: reader.poll()": "asks, and waits for nothing",
    "interpreter/viztracer_check.py: lock.acquire()": "a lock made the line before: nobody else knows it",
    "recording/sampler/helper.py: select.poll()": "makes one",
    "recording/sampler/helper.py: self._socket.recv(most)": "the socket does not block",
    "recording/sampler/helper.py: os.waitpid(middle, os.WNOHANG)": "WNOHANG",
    "pipes.py: signal.sigwait({_SIGPIPE})": "asked before: it has come",
    "runners/loop_processes.py: pool.join()": "ours, in pieces",
    "runners/loop_processes.py: worker.connection.poll()": "asks, and waits for nothing",
    "runners/loop_processes.py: worker.connection.recv()": "asked before: a message is there, or its end is",
    "runners/loop_threads.py: pool.join()": "ours, in pieces",
    "runners/loop_worker.py: connection.recv_bytes()": "a worker waits for its next item, or the pipe's end",
    "runners/async_cell.py: asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)": "the cell itself",
}
# Plain `with` on a lock, each with its reason.
PLAIN_WITH = {
    "interpreter/lock_internals.py: first": "made the line before: nobody else knows it",
    "interpreter/lock_internals.py: second": "made the line before: nobody else knows it",
    "interpreter/frames_and_threads.py: lock": "made the line before: nobody else knows it",
    "runners/loop_worker.py: self._lock": "two messages at once would be torn; waits as a print does",
}


def sources() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(ROOT.rglob("*.py")):
        yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text())


def is_limited(call: ast.Call, name: str) -> bool:
    """Whether the call itself says for how long, or that it does not wait."""
    asks = [word.value for word in call.keywords if word.arg in ("block", "blocking")] or call.args[:1]
    if name == "acquire" and asks and isinstance(asks[0], ast.Constant) and asks[0].value is False:
        return True
    how = LIMITED[name]
    if how is None:
        return False
    option, place = how
    given = [word.value for word in call.keywords if word.arg == option]
    if ast.unparse(call.func) != "asyncio.wait":  # its limit has a name always
        given += call.args[place : place + 1]
    return bool(given) and not (isinstance(given[0], ast.Constant) and given[0].value is None)


def unlimited(tree: ast.Module) -> Iterator[str]:
    """Calls that may wait for ever, as source text."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        name = node.func.attr
        if name not in LIMITED or is_limited(node, name):
            continue
        of = node.func.value
        if name == "join" and (node.args or isinstance(of, ast.Constant)):
            continue  # texts, paths
        if name == "get" and (node.args or node.keywords):
            continue  # dictionaries
        yield ast.unparse(node)


def plain_withs(tree: ast.Module) -> Iterator[str]:
    """`with` on something that is called a lock."""
    for node in ast.walk(tree):
        for item in node.items if isinstance(node, ast.With) else ():
            text = ast.unparse(item.context_expr)
            if isinstance(item.context_expr, ast.Attribute | ast.Name) and text != "theirs":
                yield text


def test_every_wait_of_ours_has_a_limit() -> None:
    found = {
        f"{file}: {text}"
        for file, tree in sources()
        if file not in OF_THE_SAMPLER
        for text in unlimited(tree)
    }
    assert found - set(WAITS) == set(), "without a limit, and without a reason in WAITS"
    assert set(WAITS) - found == set(), "no longer in the source"


def test_locks_are_taken_by_one_helper() -> None:
    found = {f"{file}: {text}" for file, tree in sources() for text in plain_withs(tree)}
    probes = {  # no locks
        "interpreter/value_stack.py: probe",  # it looks at who enters it
        "runners/loop_worker.py: self._interrupts",  # keeps interrupts away
    }
    assert found - probes == set(PLAIN_WITH)


def test_threads_of_ours_are_started_by_one_helper() -> None:
    """It lets go of everything where no thread is to be had."""
    starts = {
        file
        for file, tree in sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "_thread.start_new_thread"
    }
    assert starts == {"recording/own_threads.py"}


def test_a_lock_that_nobody_lets_go_costs_its_limit_only() -> None:
    lock = threading.Lock()
    lock.acquire()
    with held(lock, 0.01) as got:
        assert not got
    assert lock.locked()
    lock.release()
    with held(lock, 0.01) as got:
        assert got and lock.locked()
    assert not lock.locked()


def test_what_fails_inside_lets_the_lock_go() -> None:
    lock = threading.RLock()
    with pytest.raises(KeyError), held(lock, 1):
        raise KeyError
    taken: list[bool] = []
    thread = threading.Thread(target=lambda: taken.append(lock.acquire(blocking=False)))
    thread.start()
    thread.join()
    assert taken == [True]


def test_a_long_wait_is_cut_into_pieces() -> None:
    asked: list[float] = []

    def third_time(seconds: float) -> str:
        asked.append(seconds)
        return "there" if len(asked) == 3 else ""

    assert until(third_time) == "there"
    assert len(asked) == 3 and max(asked) <= 1


def test_what_does_not_go_is_given_up() -> None:
    assert not gone_within(lambda: False, 0.01)
    assert gone_within(lambda: True, 0)


def test_a_thread_that_cannot_be_started_is_waited_for_by_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> int:
        raise RuntimeError("can't start new thread")

    thread = OwnThread(lambda: None)
    monkeypatch.setattr("_thread.start_new_thread", refuse)
    with pytest.raises(RuntimeError):
        thread.start()
    began = time.monotonic()
    assert thread.end(60)
    assert time.monotonic() - began < 30


def test_a_thread_of_ours_ends_when_it_is_told() -> None:
    began = threading.Event()

    def run() -> None:
        began.set()
        while not thread.pause(60):
            pass

    thread = OwnThread(run)
    thread.start()
    assert began.wait(60) and contains(thread.native_id)
    assert thread.end(60)
    assert not contains(thread.native_id)
    assert thread.end(60)


def test_a_thread_of_ours_that_fails_prints_nothing_and_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise KeyError("nothing today")

    guards.problems()
    thread = OwnThread(fail)
    thread.start()
    assert thread.end(60)
    assert guards.problems() == [Problem.of("own_thread_failed", KeyError("nothing today"))]
    assert capfd.readouterr() == ("", "")
