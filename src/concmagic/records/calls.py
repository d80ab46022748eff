"""Raw records of calls. In a module of their own: every child needs them, and making a class takes time."""

from __future__ import annotations

from dataclasses import dataclass

from concmagic.problems import Problem


@dataclass(frozen=True, slots=True)
class RawCode:
    """A Python function, as its code object tells it."""

    name: str  # co_qualname
    file: str  # co_filename, unshortened
    line: int  # co_firstlineno


@dataclass(frozen=True, slots=True)
class RawCalls:
    """VizTracer's event nodes as they lay in its buffer, with what is needed to read them.

    Kept as bytes because reading them takes numpy, which a child process must not import.
    """

    nodes: bytes
    codes: dict[int, RawCode]  # address of a code object → its function
    c_functions: dict[tuple[int, int], str]  # (name address, module or type-name address) → dotted name
    clock: tuple[tuple[int, int], tuple[int, int]]  # two pairs (raw timestamp, monotonic ns), start and end
    events: int
    stopped_ns: int | None = None  # the budget was used up then, or it gave up; None: recorded to the end
    problems: tuple[Problem, ...] = ()
    own_threads: tuple[int, ...] = ()  # native ids of concmagic's own threads among them
    native_calls: bool = True  # False: C functions could not be recorded
    handed_ns: int | None = None  # the process was killed: what it had handed over until then
    gave_up: bool = False  # VizTracer lost track of the stack
    left_out: int = 0  # steps into which an exception was thrown: calls not recorded (Python 3.11)


@dataclass(frozen=True, slots=True)
class CallsPart:
    """What a child handed over of its RawCalls while it ran: the events since the part before."""

    nodes: bytes
    codes: dict[int, RawCode]
    c_functions: dict[tuple[int, int], str]
    clock: tuple[tuple[int, int], tuple[int, int]]
    open_nodes: bytes  # calls of the main thread that had not ended then
    own_threads: tuple[int, ...] = ()
