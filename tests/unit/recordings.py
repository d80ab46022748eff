"""Small recordings made by hand: times in milliseconds from the cell's start."""

from __future__ import annotations

from typing import Any

import numpy as np

from concmagic.importing.call_columns import Calls
from concmagic.records.recording import (
    LoopRecord,
    ProcessRecord,
    RawCode,
    Recording,
    TaskLog,
    TaskRecord,
    ThreadRecord,
    Wait,
    Wake,
)

START = 5_000_000_000
MS = 1_000_000
CELL = "<ipython-input-7>"
PID, MAIN = 40, 40


def at(ms: float) -> int:
    """A moment on the machine's clock."""
    return START + round(ms * MS)


def thread(native_id: int = MAIN, name: str = "MainThread", **more: Any) -> ThreadRecord:
    """A thread; without more it is the main one."""
    values: dict[str, Any] = {
        "ident": native_id,
        "daemon": False,
        "origin": "user",
        "started_ns": None,
        "begun_ns": None,
        "ended_ns": None,
        "starter": None,
    }
    return ThreadRecord(native_id=native_id, name=name, **(values | more))


def task(number: int, steps: list[tuple[float, float]], wakes: list[Wake] = [], **more: Any) -> TaskRecord:  # noqa: B006
    """A task of loop 1, created with its first step if nothing else is said."""
    values: dict[str, Any] = {
        "name": f"t{number}",
        "coroutine": "main.<locals>.work",
        "file": CELL,
        "line": 3,
        "parent": None,
        "loop": 1,
        "origin": "user",
        "created_ns": at(steps[0][0]) if steps else at(0),
        "ended_ns": at(steps[-1][1]) if steps else None,
        "outcome": "returned",
        "exception": "",
    }
    pairs = tuple((at(begin), at(end)) for begin, end in steps)
    return TaskRecord(number=number, steps=pairs, wakes=tuple(wakes), **(values | more))


def woken(ms: float, reason: str = "future", cause: Any = "callback", **more: Any) -> Wake:
    """A wake-up with what was waited for, at line 4 of the cell."""
    return Wake(at(ms), cause, wait=Wait(reason, "", CELL, 4), **more)


def slept(ms: float, delay_ms: int) -> Wake:
    """The wake-up of a sleeper at line 4 of the cell."""
    return Wake(at(ms), "timer", wait=Wait("sleep", "", CELL, 4, delay_ns=delay_ms * MS))


def log(*tasks: TaskRecord, callbacks: tuple[tuple[float, float, str], ...] = (), **more: Any) -> TaskLog:
    """Tasks on one loop in the main thread."""
    ran = tuple((at(begin), at(end), name) for begin, end, name in callbacks)
    return TaskLog(tasks, (LoopRecord(1, MAIN, more.pop("kernel", False), ran),), **more)


def kernel(*threads: ThreadRecord, **more: Any) -> ProcessRecord:
    """The kernel's own process."""
    values: dict[str, Any] = {
        "pid": PID,
        "parent_pid": None,
        "name": "kernel",
        "start_method": "",
        "origin": "user",
        "started_ns": None,
        "begun_ns": None,
        "target_ns": None,
        "ended_ns": None,
        "exit_code": None,
        "main_native_id": MAIN,
    }
    return ProcessRecord(threads=threads or (thread(),), **(values | more))


def recording(*processes: ProcessRecord, wall: float = 100, source: str = "", **more: Any) -> Recording:
    """A cell of 100 ms."""
    values: dict[str, Any] = {
        "title": "%%timeline",
        "model": "timeline",
        "cell_file": CELL,
        "cells": {CELL: 7},
    }
    return Recording(
        source=source,
        start_ns=START,
        end_ns=at(wall),
        main_native_id=MAIN,
        processes=processes or (kernel(),),
        **(values | more),
    )


def calls(*rows: tuple[int, float, float, str, str, int], native_id: int = MAIN) -> Calls:
    """Rows (depth, begin, end, name, file, line) in order of their begin; file "" is a C function."""
    codes = tuple(dict.fromkeys(RawCode(name, file, line) for _, _, _, name, file, line in rows))
    return Calls(
        np.full(len(rows), native_id, np.int64),
        np.array([at(row[1]) for row in rows], np.int64),
        np.array([at(row[2]) for row in rows], np.int64),
        np.array([codes.index(RawCode(*row[3:])) for row in rows], np.int32),
        np.array([not row[4] for row in rows], bool),
        np.zeros(len(rows), bool),
        np.array([row[0] for row in rows], np.int32),
        codes,
    )
