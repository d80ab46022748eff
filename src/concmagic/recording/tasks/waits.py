"""Why a suspended task waits: told by the coroutine it stands in, and the future it awaits.

A suspended coroutine does not change until it is resumed, so the moment of the wake-up is as good as any
to ask. The walk leads from the task's coroutine through everything it awaits to the innermost one.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from types import CodeType, CoroutineType
from typing import Any

from concmagic.interpreter.asyncio_internals import FUTURE_ITERATOR, chain, gathered, is_gather
from concmagic.interpreter.asyncio_internals import awaited as awaited_by_task
from concmagic.interpreter.connection_pools import size
from concmagic.interpreter.hook_parts import is_sleep
from concmagic.recording.tasks.bare_futures import Asked, asked_of, cancelled_by, io_of, shielded
from concmagic.recording.tasks.task_table import code_of
from concmagic.recording.tasks.wait_reasons import (
    FUTURE,
    GATHER,
    LOCK,
    UNKNOWN,
    WAIT,
    WAIT_FOR,
    Node,
    Phase,
    local,
)
from concmagic.recording.tasks.wait_shapes import Shape, shape_of
from concmagic.records.recording import CodePlace, Wait
from concmagic.source_lookup import AwaitNames, line_of

_NOWHERE: CodePlace = ("", 0)
_MOST_WAITS = 20_000  # that are told apart
MOST_DELAY_NS = 1 << 53  # a hundred days


@dataclass(frozen=True, slots=True)
class Ended:
    """How a wait ended: what it was, and what the waker's own record cannot tell."""

    wait: Wait
    thread: int | None  # native id of the thread that woke the task by itself
    cancelled: str  # what it awaited was cancelled: CANCELLED, or END_OF_RUN; "" if it was not


# Reason, detail, identity of the code and instruction of the await, the thread that woke it, whether what
# it awaited was cancelled, whether the thing may have a name there, the task that was awaited or held the
# lock, how long a `wait_for` around it lets it take, where a bare future was made, whether `shield` was
# around it, those of several tasks that had ended.
# (Not the code itself: hashing one takes longer than all the rest.)
_Said = str | float | int | None  # seconds are a float, how many there are an int
_Key = tuple[str, _Said, int, int, int | None, str, bool, int | None, _Said, CodePlace, bool, tuple[int, ...]]


class WaitBook:
    """Every different wait of a cell, by a small number that a record can hold."""

    def __init__(
        self, name_of_task: Callable[[Any], str], number_of_task: Callable[[Any], int | None]
    ) -> None:
        self._name_of_task = name_of_task
        self._number_of_task = number_of_task
        # Who took a lock last, and so has it for as long as others wait; no lock is kept alive by that.
        self.holders: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
        self.made: weakref.WeakKeyDictionary[Any, CodePlace] = weakref.WeakKeyDictionary()  # bare futures
        self.asked: weakref.WeakKeyDictionary[Any, Asked] | None = None  # by what is awaited; of loops in C
        self.delays: dict[int, float] = {}  # id of a future that `asyncio.sleep` awaits → for how long
        # How long, identity of the code and instruction of the await, whether cancelled → the wait's number.
        self.naps: dict[tuple[float, int, int, bool], int] = {}
        self._names = AwaitNames()
        self._told: dict[int, Ended] = {}
        self._shapes: dict[tuple[int, ...], Shape] = {}
        self._numbers: dict[_Key, int] = {}
        self._waits: list[_Key] = []
        self._codes: dict[int, CodeType | None] = {0: None}

    def look_at_sleeper(self, task: Any, future: Any, delay: float) -> int:
        """The number of a sleep: most waits are sleeps, so one like those seen before is only looked up."""
        coroutine: Any = task.get_coro()
        awaited = getattr(coroutine, "cr_await", None)
        if awaited is None or not is_sleep(getattr(awaited, "cr_code", None)):
            return self.look(task, future)  # it is not the task's own coroutine that sleeps
        if future.cancelled():  # who did that is asked each time
            return self.look(task, future)
        seen = delay, id(coroutine.cr_code), coroutine.cr_frame.f_lasti, False
        number = self.naps.get(seen)
        if number is None:
            number = self.naps[seen] = self.look(task, future)
        return number

    def look(self, task: Any, future: Any, thread: int | None = None) -> int:
        """The number, from 1, of what this suspended task waits for, and of how that ends."""
        nodes: list[Node] = []
        found: list[int] = []
        node = task.get_coro()
        while type(node) is CoroutineType:  # `chain` again, without its other cases: this is run often
            nodes.append(node)
            found.append(id(node.cr_code))
            node = node.cr_await
        if type(node) is not FUTURE_ITERATOR and node is not None:
            rest = chain(node)
            nodes += rest
            found += [id(code_of(node)) for node in rest]
        identities = tuple(found)
        shape = self._shapes.get(identities)
        if shape is None:
            shape = self._shapes[identities] = self._new_shape(nodes)
        row, user = shape.row, shape.user
        about: int | None = None
        limit: _Said = None
        made, within = _NOWHERE, False
        tasks: tuple[int, ...] = ()
        if row is None or (row is UNKNOWN and type(future) is not asyncio.Future):
            # Not always what wakes it: an interrupt frees tasks that await each other by another future.
            awaited = awaited_by_task(task) or future
            reason, detail = self._by_future(awaited)
            named = reason == FUTURE.reason
            if named:
                made = self.made.get(awaited, _NOWHERE)
                inner = shielded(awaited) if made is _NOWHERE else None
                if inner is not None:
                    awaited, within = inner, True
                    reason, detail = self._by_future(inner)
                    named = reason == FUTURE.reason
                    made = self.made.get(awaited, _NOWHERE) if named else _NOWHERE
            about = self._number_of_task(awaited) if reason == "task" else None
            if reason == GATHER.reason:
                tasks = self._ended_of(gathered(awaited))
            if named:
                told = asked_of(task, nodes, self.asked) if self.asked is not None else None
                if told is not None or (told := io_of(awaited)) is not None:
                    (reason, detail), named, made = told, False, _NOWHERE
        else:
            reason, detail, named = row.reason, row.detail(nodes[shape.node], future), row.named
            if shape.limit >= 0:
                limit = WAIT_FOR.detail(nodes[shape.limit], future)
            if shape.ask is not None:
                detail = size(shape.ask, nodes[shape.node], nodes[shape.node - 1])
            elif row is LOCK:
                about = self._holder(nodes[shape.node], task, future)
            elif row is WAIT:
                tasks = self._ended_of(local(nodes[shape.node], "fs"))
        code, instruction = (0, -1) if user < 0 else (identities[user], _instruction(nodes[user]))
        cancelled = cancelled_by() if future is not None and future.cancelled() else ""
        named = named and shape.direct
        key = (reason, detail, code, instruction, thread, cancelled, named, about, limit, made, within, tasks)
        number = self._numbers.get(key)
        return self._new_number(key) if number is None else number

    def _new_number(self, key: _Key) -> int:
        """The number of a wait that is new; where there are too many, of what it shares with others."""
        if len(self._waits) >= _MOST_WAITS:
            reason, _, code, instruction, thread, cancelled, _, _, _, _, within, _ = key
            key = (reason, "", code, instruction, thread, cancelled, False, None, None, _NOWHERE, within, ())
            known = self._numbers.get(key)
            if known is not None:
                return known
        self._waits.append(key)
        self._numbers[key] = len(self._waits)
        return len(self._waits)

    def _ended_of(self, awaited: Any) -> tuple[int, ...]:
        """The numbers of those tasks that have ended."""
        number_of = self._number_of_task
        found = [number_of(each) for each in awaited or () if each.done()]
        return tuple(dict.fromkeys(number for number in found if number is not None))

    def _holder(self, node: Node, task: Any, future: Any) -> int | None:
        """Who had the lock until now; the one that is woken has it from here on."""
        lock = local(node, "self")
        holder = self.holders.get(lock)
        number = self._number_of_task(task)
        if number is not None and future is not None and future.done() and not future.cancelled():
            self.holders[lock] = number
        return holder

    def _new_shape(self, nodes: list[Node]) -> Shape:
        codes = tuple([code for node in nodes if (code := code_of(node)) is not None])
        self._codes.update({id(code): code for code in codes})
        return shape_of(codes)

    def _by_future(self, future: Any) -> tuple[str, _Said]:
        if isinstance(future, asyncio.Task):
            return "task", self._name_of_task(future)
        if is_gather(future):
            return GATHER.reason, GATHER.detail(None, future)
        return (FUTURE if asyncio.isfuture(future) else UNKNOWN).reason, ""

    def reason_of(self, number: int) -> str:
        """What is waited for in the wait of this number; "" for 0, which is not known."""
        return self._waits[number - 1][0] if number else ""

    def ended(self, number: int) -> Ended:
        """The wait of this number, and how it ended."""
        told = self._told.get(number)
        if told is None:
            told = self._told[number] = self._tell(*self._waits[number - 1])
        return told

    def _tell(
        self,
        reason: str,
        detail: _Said,
        identity: int,
        instruction: int,
        thread: int | None,
        cancelled: str,
        named: bool,
        about: int | None,
        limit: _Said,
        made: CodePlace,
        within: bool,
        tasks: tuple[int, ...],
    ) -> Ended:
        code = self._codes[identity]
        is_phase = isinstance(detail, Phase)
        name = (
            self._names.at(code, instruction, reason == FUTURE.reason) if named and code is not None else ""
        )
        wait = Wait(
            reason,
            detail if isinstance(detail, str) and not is_phase else "",
            "" if code is None else code.co_filename,
            0 if code is None else line_of(code, instruction),
            name=name,
            task=about,
            limit_ns=_nanoseconds(limit),
            made=made,
            shielded=within,
            tasks=tasks,
            delay_ns=_nanoseconds(detail),
            count=detail if isinstance(detail, int) else 0,
            phase=str(detail) if is_phase else "",
            function="" if code is None else code.co_qualname,
        )
        return Ended(wait, thread, cancelled)


def _nanoseconds(seconds: _Said) -> int | None:
    """A length of time in whole nanoseconds; one that has no end is cut."""
    if not isinstance(seconds, float) or seconds != seconds:
        return None
    return round(min(max(seconds * 1e9, 0.0), float(MOST_DELAY_NS)))


def _instruction(node: Node) -> int:
    """Where a suspended coroutine stands in its code."""
    if type(node) is CoroutineType:
        frame = node.cr_frame
        return -1 if frame is None else frame.f_lasti
    frame = getattr(node, "gi_frame", None) or getattr(node, "ag_frame", None)
    return -1 if frame is None else frame.f_lasti
