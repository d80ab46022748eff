"""What a bare future stands for: who made it, and what ends it, read off the stack and its callbacks."""

from __future__ import annotations

import asyncio
import gc
import inspect
import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import islice
from types import FrameType
from typing import Any

from concmagic.code_owner import known_owners, owner_of
from concmagic.interpreter import borrowing
from concmagic.interpreter.asyncio_internals import (
    FUTURE_ITERATOR,
    WRAPPERS,
    awaited_by,
    callback_of,
    callbacks,
    error_of,
    inside,
    own_loop,
    ready_of,
)
from concmagic.interpreter.frames_and_threads import getframe
from concmagic.interpreter.known_functions import (
    HANDING_OVER,
    cancels_all_tasks,
    inner_of_shield,
    is_shield_done,
    owner,
    shielded_by,
)
from concmagic.interpreter.task_steps import runs_callbacks
from concmagic.recording.tasks.wait_reasons import (
    CLOSE,
    OF_LOOPS,
    OF_PROTOCOLS,
    OF_TRANSPORTS,
    Node,
    transport_words,
)
from concmagic.records.recording import CodePlace

CANCELLED, END_OF_RUN = "cancelled", "the end of the run"  # details of wake-ups
# A coroutine or generator on the way is somebody's own step: that made the future done, not the loop's read.
_STEPS = 0x20 | 0x80 | 0x200  # CO_GENERATOR, CO_COROUTINE, CO_ASYNC_GENERATOR

Io = tuple[str, str | float | int | None]  # reason and detail
_MOST_BY_HAND = 1_000  # futures whose place is found: each takes up to 20 µs
_MOST_LOOKED_THROUGH = 5_000  # objects since the last collection, all of which are listed: 20 µs
_NEWEST = 8  # frames and the like may have come after it
_IN_ORDER = not borrowing.FREE_THREADED  # there the collector keeps no objects in their order


class Asked:
    """A call of a loop's function that is not written in Python, as a suspended coroutine would tell it."""

    def __init__(self, name: str, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        self.cr_frame = self
        self._name, self._args, self._options = name, args, options

    @property
    def f_locals(self) -> dict[str, Any]:
        """The arguments by name."""
        parameters = inspect.signature(getattr(asyncio.AbstractEventLoop, self._name))
        with suppress(TypeError):  # it takes others than asyncio's does
            return parameters.bind_partial(*self._args, **self._options).arguments
        return {}

    def io(self) -> Io:
        """What it waits for."""
        row = OF_LOOPS[self._name]
        return row.reason, row.detail(self, None)


def asked_of(task: Any, nodes: list[Node], asked: Mapping[Any, Asked]) -> Io | None:
    """What a loop's own coroutine that this task awaits was asked for; None if it awaits no such thing.

    `nodes` are the coroutines written in Python that lead there.
    """
    node = awaited_by(nodes[-1]) if nodes else task.get_coro()
    while node is not None and type(node) is not FUTURE_ITERATOR:
        wrapped = gc.get_referents(node) if type(node).__name__ in WRAPPERS else ()
        for each in (node, *wrapped):
            kind: Any = type(each)
            by_identity = kind.__weakrefoffset__ and kind.__hash__ is object.__hash__
            if by_identity and (found := asked.get(each)) is not None:
                return found.io()
        node = inside(node)
    return None


def shielded(outer: Any) -> Any:
    """What `shield` made this future for; None if it made no such thing."""
    if not outer.done():
        return shielded_by([callback for callback, _ in callbacks(outer)])
    if outer.cancelled():
        # Its first callback was queued just before the wake-up that is asked about.
        with suppress(AttributeError, IndexError):  # another loop's queue, or somebody came between
            return shielded_by([callback_of(ready_of(outer.get_loop())[-2])])
    return _from_stack(_handing_on)


def io_of(future: Any) -> Io | None:
    """Which transport's data or room made this future done, in words; None if it was something else.

    A cancelled one tells nothing: who gave up need not be whom it waited for.
    """
    if not future.done() or future.cancelled():
        return None
    told: Io | None = _from_stack(_transports)
    failed = error_of(future) is not None  # not exception(): asking would count as having retrieved it
    return None if told is None or (failed and told[0] == CLOSE) else told


def cancelled_by() -> str:
    """How what was awaited has been cancelled: in somebody's step, or by a runner that ends its loop."""
    ends = _from_stack(lambda frame: cancels_all_tasks(frame.f_code) or None)
    return END_OF_RUN if ends else CANCELLED


def is_of_executor() -> bool:
    """Whether a result that is being handed over to a loop is an executor's, by who hands it over.

    The same is done for a coroutine's that ran in another loop, and for one that is made by hand.
    """
    told = _from_stack(_executor, within_steps=True)
    return told is None or told


def _executor(frame: FrameType) -> bool | None:
    name, place = frame.f_code.co_qualname, owner_of(frame.f_code.co_filename)
    if place == "stdlib":
        return HANDING_OVER.get(name)
    return None if place == "library" else False


def _from_stack(ask: Callable[[FrameType], Any], within_steps: bool = False) -> Any:
    """What the first frame tells that can, from here out to the loop's run of a callback."""
    frame: FrameType | None = getframe(2)
    while frame is not None:
        code = frame.f_code
        if runs_callbacks(code):
            return None
        if (known_owners.get(code.co_filename) or owner_of(code.co_filename)) != "ours":
            if code.co_flags & _STEPS and not within_steps:
                return None
            told = ask(frame)
            if told is not None:
                return told
        frame = frame.f_back
    return None


def _handing_on(frame: FrameType) -> Any:
    own = is_shield_done(frame.f_code) and owner_of(frame.f_code.co_filename) == "stdlib"
    return inner_of_shield(frame) if own else None


def _transports(frame: FrameType) -> Io | None:
    """A transport of asyncio's that reads, writes or closes; or what another loop has called."""
    code = frame.f_code
    if owner_of(code.co_filename) == "stdlib":
        row = OF_TRANSPORTS.get(code.co_qualname)
        return None if row is None else (row.reason, transport_words(owner(frame)))
    row = OF_PROTOCOLS.get(code.co_name)
    if row is None or _called_by_asyncio(frame):
        return None
    transport = _transport_of(frame)
    return None if transport is None else (row.reason, transport_words(transport))


def _called_by_asyncio(frame: FrameType) -> bool:
    """Whether a frame of asyncio's called it, which tells the same better."""
    caller = frame.f_back
    return caller is not None and caller.f_code.co_qualname in OF_TRANSPORTS


def _transport_of(frame: FrameType) -> Any:
    """The transport of the protocol whose method this is, whatever that calls it.

    The method's frame is asked for its first variable. That keeps what its variables stand for until it
    returns, which is soon: the loop itself has called it.
    """
    names = frame.f_code.co_varnames
    own = frame.f_locals.get(names[0]) if names else None
    if not isinstance(own, asyncio.BaseProtocol):
        return None
    held = gc.get_referents(own)
    held += [value for one in held if type(one) is dict for value in one.values()]
    return next((one for one in held if hasattr(type(one), "get_extra_info")), None)


class CreatedFutures:
    """Notes where each future was made. Its methods are called by the hooks and never raise."""

    def __init__(
        self, places: weakref.WeakKeyDictionary[Any, CodePlace], fail: Callable[[Exception], None]
    ) -> None:
        self._places = places
        self._fail = fail
        self._by_hand = 0

    def made(self, future: Any, frame: FrameType) -> None:
        """`create_future` was called here."""
        try:
            if owner_of(frame.f_code.co_filename) not in ("stdlib", "ours"):
                self._places[future] = frame.f_code.co_filename, frame.f_lineno
        except Exception as error:
            self._fail(error)

    def by_hand(self, loop: Any, frame: FrameType) -> None:
        """A loop was asked for its debug mode here: perhaps by a future that is being made."""
        try:
            code = frame.f_code
            if owner_of(code.co_filename) in ("stdlib", "ours") or "get_debug" in code.co_names:
                return  # in the second case the code itself may have asked
            future = newest_future(loop) if self._by_hand < _MOST_BY_HAND else None
            self._by_hand += 1
            if future is None:
                return
            while frame.f_code.co_name == "__init__" and frame.f_back is not None:
                frame = frame.f_back  # a class of the user's own: what makes one is told
            self._places[future] = frame.f_code.co_filename, frame.f_lineno
        except Exception as error:
            self._fail(error)


def newest_future(loop: Any) -> Any:
    """The future of this loop that is being made right now; None where that cannot be told."""
    if not _IN_ORDER or gc.get_count()[0] > _MOST_LOOKED_THROUGH:
        return None
    for thing in islice(reversed(gc.get_objects(0)), _NEWEST):
        kind: Any = type(thing)
        if issubclass(kind, asyncio.Future) and kind.__hash__ is object.__hash__:
            is_task = hasattr(kind, "get_coro")
            return None if is_task or own_loop(thing) is not loop or thing.done() else thing
    return None
