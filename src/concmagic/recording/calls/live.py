"""The calls of a running recording, handed over in parts: its process may be killed at any moment.

Events stay in VizTracer's buffer until the recording is over, so what was handed over need only be
counted. A busy program is left alone, and handed over when it is not; then the last part is
the rest of the recording.
"""

from __future__ import annotations

from collections.abc import Callable
from types import CodeType
from typing import TYPE_CHECKING

from concmagic.clock import monotonic_ns
from concmagic.interpreter.event_nodes import (
    C_CLOSED,
    C_OPEN,
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

if TYPE_CHECKING:
    from concmagic.records.calls import CallsPart, RawCode

EVERY_NS = 50_000_000
MOST = 20_000  # new events in that time: more is a busy program. And no part is larger.

Signature = tuple[int, int, int, int]
PartTaker = Callable[["CallsPart"], None]


class LiveCalls:
    """What of a recording has been handed over; `look` is called every few milliseconds."""

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
        if self.is_over or now_ns - self._looked_ns < EVERY_NS or self._process.head.first:
            return
        self._looked_ns = now_ns
        filled = used(self._process.head)
        new, self._seen = filled - self._seen, filled
        if new < MOST:
            self._pass_on(min(filled, self.passed_on + MOST))

    @property
    def is_behind(self) -> bool:
        """Whether there are events that were not handed over."""
        return not self.is_over and self.passed_on < used(self._process.head)

    def _pass_on(self, until: int) -> None:
        from concmagic.records.calls import CallsPart  # its class is made late: a child waits

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
    from concmagic.records.calls import RawCode

    return RawCode(code.co_qualname, code.co_filename, code.co_firstlineno)  # type: ignore[attr-defined]
