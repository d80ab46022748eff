"""Events of calls while they are recorded: kept in a budget, handed over in parts, or loaded by VizTracer."""

from __future__ import annotations

import _thread
import struct
from collections.abc import Callable, Iterable
from types import CodeType
from typing import TYPE_CHECKING, Any

from concmagic.clock import monotonic_ns
from concmagic.interpreter.event_nodes import (
    C_CLOSED,
    C_OPEN,
    FUNCTION_NODE,
    PY_CLOSED,
    PY_OPEN,
    copy_part,
    object_at,
    signatures,
    used,
)
from concmagic.interpreter.native_names import name_functions
from concmagic.interpreter.viztracer_check import as_events, main_thread, open_calls
from concmagic.interpreter.viztracer_tracer import ClockPair, ProcessTracer
from concmagic.problems import Problem
from concmagic.recording.own_threads import FAREWELL_S, OwnThread

if TYPE_CHECKING:
    from concmagic.records.handed_over import CallsPart, RawCalls, RawCode


# The fastest code makes some six million events a second: half of what remains at that pace.
_FASTEST_PER_S = 6e6
_SHORTEST_S, _LONGEST_S = 0.005, 0.025
_EVERY_NS = 50_000_000
_MOST = 20_000  # new events in that time: more is a busy program. And no part is larger.
_SECOND_NS = 1_000_000_000

Signature = tuple[int, int, int, int]
PartTaker = Callable[["CallsPart"], None]


class BudgetWatcher:
    """Looks at the fill level, more often the closer it comes to `limit`; calls `on_look` each time.

    After the limit it goes on as long as `on_look` says that there is more to do.

    Started below `threading`, which therefore does not know it: it is in no list and no count.
    """

    def __init__(
        self,
        process: ProcessTracer,
        limit: int,
        on_full: Callable[[], None],
        on_look: Callable[[], bool],
        failed: Callable[[Exception], None],
    ) -> None:
        self._process = process
        self._limit = limit
        self._on_full = on_full
        self._on_look = on_look
        self._failed = failed
        self._thread = OwnThread(self._run)
        self._hidden = _thread.allocate_lock()  # taken until no tracer is told of it

    @property
    def native_id(self) -> int:
        """Of its thread."""
        return self._thread.native_id

    def start(self) -> None:
        """Return when it watches, unseen: later VizTracer might ask `threading` who it is.

        Raises RuntimeError where no thread is to be had.
        """
        self._hidden.acquire(blocking=False)
        self._thread.start()
        self._hidden.acquire(timeout=FAREWELL_S)

    def stop(self) -> None:
        """End it and wait until it is gone. Harmless when it has ended already."""
        self._thread.end()

    def _run(self) -> None:
        try:
            self._hidden.release()
            self._watch()
        except Exception as error:  # raised, it would be printed into the cell
            self._failed(error)
        finally:
            if self._hidden.locked():  # it failed before
                self._hidden.release()

    def _watch(self) -> None:
        while (remaining := self._limit - used(self._process.head)) > 0:
            self._on_look()
            pause = remaining / 2 / _FASTEST_PER_S
            if self._thread.pause(min(_LONGEST_S, max(_SHORTEST_S, pause))):
                return
        self._on_full()
        while self._on_look():
            if self._thread.pause(_LONGEST_S):
                return


class LiveCalls:
    """What of a running recording has been handed over: its process may be killed at any moment.

    Events stay in VizTracer's buffer until the recording is over, so what was handed over need only be
    counted. `look` is called every few milliseconds. A busy program is left alone, and handed over when it
    is not; then the last part is the rest of the recording.
    """

    def __init__(
        self,
        process: ProcessTracer,
        begun: ClockPair,
        taker: PartTaker,
        own_threads: Callable[[], tuple[int, ...]],
    ) -> None:
        self._process, self._begun = process, begun
        self._taker, self._own_threads = taker, own_threads
        self.passed_on = 0  # events
        self.is_over = False
        self._seen = self._looked_ns = 0
        self._known: set[Signature] = set()
        self._open: list[tuple[int, CodeType]] = []

    @staticmethod
    def can_be(process: ProcessTracer) -> bool:
        """Whether the buffer may be read while others write: nobody does who has not got the GIL."""
        return not process.flaw

    def look(self) -> None:
        """Hand over what is new, if that is due and little."""
        now_ns = monotonic_ns()
        if self.is_over or now_ns - self._looked_ns < _EVERY_NS or self._process.head.first:
            return
        self._looked_ns = now_ns
        filled = used(self._process.head)
        new, self._seen = filled - self._seen, filled
        if new < _MOST:
            self._pass_on(min(filled, self.passed_on + _MOST))

    @property
    def is_behind(self) -> bool:
        """Whether there are events that were not handed over."""
        return not self.is_over and self.passed_on < used(self._process.head)

    def _pass_on(self, until: int) -> None:
        from concmagic.records.handed_over import CallsPart  # its class is made late: a child waits

        head = self._process.head
        info = main_thread(head) if head.collecting else None
        now_open = open_calls(info) if info is not None else []
        if until == self.passed_on and now_open == self._open:
            return
        nodes = copy_part(head, self.passed_on, until)
        new = signatures(nodes) - self._known
        pair = self._process.clock_pair()
        codes = {owner: code_at(owner) for owner, _, _, kind in new if kind in (PY_OPEN, PY_CLOSED)}
        codes |= {id(code): raw_code(code) for _, code in now_open}
        native = [one for one in new if one[3] in (C_OPEN, C_CLOSED)]
        self._taker(
            CallsPart(
                nodes=nodes,
                codes=codes,
                c_functions=name_functions(native) if native else {},
                clock=(self._process.anchor(self._begun, pair), pair),
                open_nodes=as_events(now_open, info.native_id) if info is not None else b"",
                own_threads=self._own_threads(),
            )
        )
        self._known |= new
        self.passed_on, self._open = until, now_open


def code_at(address: int) -> RawCode:
    """The function whose code object lies there, and is held by somebody."""
    return raw_code(object_at(address))


def raw_code(code: object) -> RawCode:
    """A code object as plain data."""
    from concmagic.records.handed_over import RawCode

    return RawCode(code.co_qualname, code.co_filename, code.co_firstlineno)  # type: ignore[attr-defined]


def as_calls(events: Iterable[dict[str, Any]], end_ns: int, problems: tuple[Problem, ...]) -> RawCalls:
    """Turn what VizTracer's own `load()` gives into RawCalls whose raw time is CLOCK_MONOTONIC itself.

    For where its memory is not to be read. Safe for Python functions, whose code objects the events hold; in
    the form of the others, so that there is one way to read them.
    """
    from concmagic.records.handed_over import RawCalls

    node = struct.Struct("@iqLPPPPPiqP")  # EventNode, field by field
    addresses: dict[str, int] = {}
    nodes = bytearray()
    for event in events:
        if event["ph"] in "XB":
            code = addresses.setdefault(event["name"], len(addresses) + 1)
            kind = PY_CLOSED if event["ph"] == "X" else PY_OPEN
            start, length = round(event["ts"] * 1000), round(event.get("dur", 0) * 1000)
            nodes += node.pack(FUNCTION_NODE, start, event["tid"], 0, 0, code, 0, 0, kind, length, 0)
    return RawCalls(
        nodes=bytes(nodes),
        codes={address: _code(name) for name, address in addresses.items()},
        c_functions={},
        clock=((end_ns - _SECOND_NS, end_ns - _SECOND_NS), (end_ns, end_ns)),
        events=len(nodes) // node.size,
        problems=problems,
        native_calls=False,
    )


def _code(name: str) -> RawCode:
    import re

    from concmagic.records.handed_over import RawCode

    parts = re.match(r"(?s)(.*) \((.*):(\d+)\)\Z", name)
    return RawCode(parts[1], parts[2], int(parts[3])) if parts else RawCode(name, "", 0)
