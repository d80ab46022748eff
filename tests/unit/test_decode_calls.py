"""Event nodes → Calls → what is shown, on events written by hand and on real ones."""

from __future__ import annotations

import importlib
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from concmagic.importing.call_columns import (
    ANONYMOUS,
    Calls,
    collapse_imports,
    own_functions,
    select_own_code,
    take,
)
from concmagic.importing.decode_calls import decode
from concmagic.interpreter.event_nodes import (
    C_CLOSED,
    C_OPEN,
    FUNCTION_NODE,
    PY_CLOSED,
    PY_OPEN,
    EventNode,
)
from concmagic.recording.calls.call_recorder import CallRecorder
from concmagic.records.recording import RawCalls, RawCode

MINE, LIBRARY = "/home/me/cell.py", "/usr/lib/python/json/decoder.py"
CODES = {
    0x1000: RawCode("main", MINE, 1),
    0x2000: RawCode("loads", LIBRARY, 10),
    0x3000: RawCode("scan", LIBRARY, 20),
    0x4000: RawCode("hook", MINE, 5),
    0x5000: RawCode("_find_and_load", "<frozen importlib._bootstrap>", 1),
    0x6000: RawCode("<module>", "/usr/lib/pandas/__init__.py", 1),
}
NATIVE = {
    (0x77, 0x900): "time.sleep",
    (0x77, 0x901): "_thread.lock.acquire",
    (0x78, 0x901): "_thread.lock.release",
}


def node(
    start: int,
    end: int,
    owner: int = 0,
    *,
    method: int = 0,
    type_name: int = 0,
    thread: int = 1,
    kind: int = -1,
) -> bytes:
    event = EventNode()
    event.kind, event.ts, event.native_id = FUNCTION_NODE, start, thread
    event.call.owner, event.call.method_name, event.call.type_name = owner, method, type_name
    event.call.duration = end - start
    event.call.type = kind if kind >= 0 else (C_CLOSED if method else PY_CLOSED)
    return bytes(event)


def raw(*nodes: bytes, clock: tuple = ((0, 0), (1000, 1000)), **more: object) -> RawCalls:
    return RawCalls(b"".join(nodes), CODES, NATIVE, clock, len(nodes), **more)  # type: ignore[arg-type]


def rows(calls: Calls) -> list[tuple]:
    names = [calls.functions[number].name for number in calls.function.tolist()]
    columns = (calls.native_id, calls.start_ns, calls.end_ns, calls.depth)
    return list(zip(names, *(column.tolist() for column in columns), strict=True))


def mine(file: str, name: str) -> bool:
    return file.startswith("/home/me/")


def test_nothing_recorded_is_no_calls() -> None:
    calls = decode(raw())
    assert len(calls) == 0
    assert len(select_own_code(calls, mine)) == 0


def test_events_in_order_of_their_ends_become_calls_in_order_of_their_starts() -> None:
    calls = decode(
        raw(
            node(30, 40, 0x3000),
            node(20, 50, 0x2000),
            node(60, 70, 0x2000),
            node(5, 9, 0x4000, thread=0),
            node(10, 100, 0x1000),
        )
    )
    assert rows(calls) == [
        ("hook", 0, 5, 9, 0),
        ("main", 1, 10, 100, 0),
        ("loads", 1, 20, 50, 1),
        ("scan", 1, 30, 40, 2),
        ("loads", 1, 60, 70, 1),
    ]
    assert calls.caller.tolist() == [-1, -1, 1, 2, 1]


def test_native_functions_are_told_apart_by_both_addresses() -> None:
    calls = decode(
        raw(
            node(10, 11, 0x900, method=0x77),
            node(12, 13, method=0x77, type_name=0x901),
            node(14, 15, method=0x78, type_name=0x901),
            node(16, 17, 0x900, method=0x78),
            node(18, 19, method=0x79, type_name=0x901),
        )
    )
    assert [row[0] for row in rows(calls)] == [
        "time.sleep",
        "_thread.lock.acquire",
        "_thread.lock.release",
        "",
        "",
    ]
    assert calls.functions[calls.function[3]] == ANONYMOUS
    assert calls.is_c.all()


def test_open_calls_end_with_the_recording() -> None:
    calls = decode(raw(node(10, 10, 0x1000, kind=PY_OPEN), node(20, 20, 0x900, method=0x77, kind=C_OPEN)))
    assert calls.open.tolist() == [True, True]
    assert rows(calls) == [("main", 1, 10, 1000, 0), ("time.sleep", 1, 20, 1000, 1)]


def test_the_clock_is_a_line_through_its_two_readings() -> None:
    calls = decode(raw(node(500, 750, 0x1000), clock=((0, 10_000), (1000, 12_000))))
    assert rows(calls) == [("main", 1, 11_000, 11_500, 0)]
    still = decode(raw(node(7, 9, 0x1000), clock=((7, 100), (7, 100))))
    assert rows(still) == [("main", 1, 100, 102, 0)]


def test_long_uptimes_lose_no_precision() -> None:
    start = 3_000_000_000 * 86_400 * 300  # a time stamp counter after 300 days
    calls = decode(
        raw(node(start + 300, start + 600, 0x1000), clock=((start, 10**16), (start + 3000, 10**16 + 1000)))
    )
    assert rows(calls) == [("main", 1, 10**16 + 100, 10**16 + 200, 0)]


def test_own_threads_and_own_functions_are_left_out_and_depths_are_without_them() -> None:
    package = Path(importlib.import_module("concmagic").__file__ or "").parent
    codes = {**CODES, 0x7000: RawCode("wrapper", str(package / "recording" / "tasks.py"), 1)}
    record = RawCalls(
        node(1, 100, 0x1000) + node(2, 90, 0x7000) + node(3, 80, 0x2000) + node(5, 6, 0x1000, thread=2)
        + node(81, 82, 0x900, method=0x77),
        codes, NATIVE, ((0, 0), (1000, 1000)), 5, own_threads=(2,),
    )  # fmt: skip
    assert [(row[0], row[4]) for row in rows(decode(record))] == [("main", 0), ("loads", 1)]
    assert [(row[0], row[4]) for row in rows(decode(record, keep_own=True))] == [
        ("main", 0), ("wrapper", 1), ("loads", 2), ("time.sleep", 2), ("main", 0),
    ]  # fmt: skip


def test_own_code_and_its_first_step_into_a_library_are_kept() -> None:
    calls = decode(
        raw(
            node(10, 100, 0x1000),
            node(20, 90, 0x2000),
            node(30, 80, 0x3000),
            node(40, 70, 0x4000),
            node(50, 60, 0x900, method=0x77),
            node(92, 94, method=0x77, type_name=0x901),
            node(200, 300, 0x3000),
        )
    )
    chosen = select_own_code(calls, mine)
    assert [(row[0], row[4]) for row in rows(chosen)] == [
        ("main", 0), ("loads", 1), ("hook", 2), ("time.sleep", 3), ("_thread.lock.acquire", 1),
    ]  # fmt: skip


def test_an_import_is_one_call_named_after_what_it_loads() -> None:
    calls = decode(
        raw(
            node(10, 900, 0x1000),
            node(20, 500, 0x5000),
            node(30, 400, 0x6000),
            node(40, 300, 0x5000),
            node(50, 200, 0x4000),
            node(510, 520, 0x5000),
        )
    )
    collapsed = collapse_imports(calls)
    assert [(row[0], row[4]) for row in rows(collapsed)] == [("main", 0), ("import pandas", 1), ("import", 1)]
    assert not own_functions(collapsed, lambda file, name: True)[collapsed.function[1]]
    assert [row[0] for row in rows(select_own_code(calls, mine))] == ["main", "import pandas", "import"]


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), max_size=60))
def test_depths_and_callers_are_those_of_the_stack(steps: list[tuple[int, int]]) -> None:
    """A stack per thread, driven at random, knows what the columns must say."""
    clock, stacks, nodes, wanted = 0, {0: [], 1: [], 2: []}, [], []
    for thread, action in steps:
        clock += 10
        stack = stacks[thread]
        if action and len(stack) < 6:
            stack.append(clock)
        elif stack:
            started = stack.pop()
            nodes.append(node(started, clock, 0x1000, thread=thread))
            wanted.append((thread, started, len(stack), stack[-1] if stack else None))
    for thread, stack in stacks.items():
        for depth in range(len(stack) - 1, -1, -1):
            nodes.append(node(stack[depth], stack[depth], 0x1000, thread=thread, kind=PY_OPEN))
            wanted.append((thread, stack[depth], depth, stack[depth - 1] if depth else None))
    calls = decode(raw(*nodes))
    caller = calls.caller
    found = [
        (thread, start, depth, calls.start_ns[at].item() if at >= 0 else None)
        for thread, start, depth, at in zip(
            calls.native_id.tolist(),
            calls.start_ns.tolist(),
            calls.depth.tolist(),
            caller.tolist(),
            strict=True,
        )
    ]
    assert found == sorted(wanted)
    half = np.arange(len(calls)) % 2 == 0
    assert len(take(calls, half)) == half.sum()


def test_a_real_import_collapses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "imported_by_a_cell.py").write_text("def inner():\n    return 1\n\nVALUE = inner()\n")
    monkeypatch.syspath_prepend(str(tmp_path))

    def program() -> None:
        import imported_by_a_cell  # noqa: F401

    recorder = CallRecorder("auto")
    recorder.start()
    program()
    record = recorder.stop()
    sys.modules.pop("imported_by_a_cell", None)
    assert record is not None
    chosen = select_own_code(decode(record), lambda file, name: file == __file__)
    found = [row[0] for row in rows(chosen) if row[1] == threading.get_native_id()]
    assert "import imported_by_a_cell" in found
    assert "inner" not in found and "<module>" not in found
