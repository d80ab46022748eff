"""What a process's calls tell: when its threads waited for what, and when they surely ran."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np

from concmagic.importing.call_columns import Calls, CallTree, build_tree, shown_calls
from concmagic.importing.clock_ids_places import CellClock, Places, TrackIds, base_name
from concmagic.interpreter import recorded_calls
from concmagic.model import reasons
from concmagic.model.reasons import kind_of
from concmagic.model.trace import NO_FACTS, Facts, Int64s, Resource, State, StateInterval
from concmagic.records.recording import RawCode
from concmagic.source_lookup import CallLines, called_name

SHORTEST_WAIT_NS = 20_000  # a blocking call shorter than this is part of the running around it
SUSPECT_NS = 1_000_000  # a C call in no table is worth asking the CPU clock about
PROOF_NS = 1_000_000  # events closer than this: the thread ran between them
HELD_NS = 100_000  # … and closer than this: it had the GIL, for native code that releases it takes longer


@dataclass(frozen=True, slots=True)
class BlockedCall:
    """A blocking call of a thread, with the name it was made by."""

    start_ns: int
    end_ns: int
    reason: str
    called: str  # "time.sleep": for a task that it blocks
    file: str
    line: int
    step: str = ""  # the user's own call that led there, where that is another: "jobs.get", "subprocess.run"
    facts: Facts = NO_FACTS  # to a thread: which lock, and who had it
    open: bool = False  # when recording of calls stopped, it had not returned

    def as_blocking(self, start_ns: int, end_ns: int, whose: Facts = NO_FACTS) -> StateInterval:
        """What it is to a task whose step it blocks; to a loop, whose step that was."""
        facts, reason = whose, self.step or self.called
        if self.step and whose is NO_FACTS and not self.called.startswith("_thread."):
            facts = Facts(call=self.called)
        elif self.step and whose is NO_FACTS and self._starts_a_pools_thread():
            facts = Facts(call=reasons.THREAD_START)
        return StateInterval(start_ns, end_ns, State.BLOCKING, reason, facts, self.file, self.line)

    def _starts_a_pools_thread(self) -> bool:
        """Whether a library does so for a job that it was given; the user's own start is told as such."""
        return self.reason == reasons.STARTS_A_THREAD and not self.step.endswith("start")

    def as_waiting(self) -> StateInterval:
        """What it is to a thread."""
        return StateInterval(
            self.start_ns,
            self.end_ns,
            State.WAITING,
            self.reason,
            self.facts,
            self.file,
            self.line,
        )


@dataclass(frozen=True, slots=True)
class ThreadCalls:
    """The evidence that the calls of one thread give."""

    blocked: tuple[BlockedCall, ...] = ()
    running: tuple[StateInterval, ...] = ()  # proven
    suspects: tuple[BlockedCall, ...] = ()  # long C calls in no table: the CPU clock tells if they waited
    held: Int64s = field(default_factory=lambda: np.empty((2, 0), np.int64), compare=False)  # from, to


@dataclass(frozen=True, slots=True, eq=False)
class ImportedCalls:
    """What calls of one process tell, by native thread id; which are shown; who let a lock go when."""

    threads: dict[int, ThreadCalls] = field(default_factory=dict)
    shown: Calls | None = None
    # When, by whom, and whether a queue's own lock was let go with what was put.
    releases: Int64s = field(default_factory=lambda: np.empty((3, 0), np.int64))
    users: frozenset[int] = frozenset()  # threads in which a function of the user's ran


def import_calls(
    calls: Calls, clock: CellClock, places: Places, lines: CallLines, ids: TrackIds, pid: int
) -> ImportedCalls:
    """Read one process's calls; times come out in nanoseconds from the cell's start."""
    if not len(calls.start_ns):
        return ImportedCalls()
    tree = build_tree(calls, places)
    start, end = clock.since_start(calls.start_ns), clock.since_start(calls.end_ns)
    teller = _Teller(tree, places, lines, ids, pid)
    blocked, suspects = _blocked_calls(tree, start, end, teller)
    return ImportedCalls(
        _by_thread(calls, start, end, blocked, suspects),
        shown_calls(calls, clock, places),
        _releases(tree, start),
        _threads_of_the_users(tree),
    )


def _threads_of_the_users(tree: CallTree) -> frozenset[int]:
    """Threads in which a function ran that the user wrote: what has no file may be made by a library."""
    calls = tree.calls
    written = np.array([not function.file.startswith("<") for function in calls.functions], bool)
    return frozenset(np.unique(calls.native_id[tree.own & written[calls.function]]).tolist())


def _releases(tree: CallTree, start: Int64s) -> Int64s:
    """Every call that lets a lock of the user's go, in order: rows of moments, native ids, puts."""
    calls = tree.calls
    lets_go = np.array([function.name in recorded_calls.RELEASES for function in calls.functions], bool)
    # Threads that begin, end or are joined let locks go that are nobody's but the library's.
    passes_on = np.array([_passes_on(function) for function in calls.functions], bool)
    rows = np.flatnonzero(lets_go[calls.function] & calls.is_c)
    parents = tree.parent[rows]
    rows = rows[(parents < 0) | tree.own[parents] | passes_on[calls.function[parents]]]
    rows = rows[np.argsort(start[rows], kind="stable")]
    puts = np.array([function.name == recorded_calls.PUTS for function in calls.functions], bool)
    return np.stack((start[rows], calls.native_id[rows].astype(np.int64), puts[calls.function[rows]]))


def _passes_on(function: RawCode) -> bool:
    """Whether a function of the library lets go what the user has made: a condition's lock, a queue's."""
    file = base_name(function.file)
    return file == "queue.py" or (file == "threading.py" and function.name.startswith("Condition."))


def _by_thread(
    calls: Calls,
    start: Int64s,
    end: Int64s,
    blocked: dict[int, list[BlockedCall]],
    suspects: dict[int, list[BlockedCall]],
) -> dict[int, ThreadCalls]:
    order = np.argsort(calls.native_id, kind="stable")
    threads = {}
    for rows in np.split(order, np.flatnonzero(np.diff(calls.native_id[order])) + 1):
        native_id = int(calls.native_id[rows[0]])
        moments = np.sort(np.concatenate((start[rows], end[rows][~calls.open[rows]])))
        threads[native_id] = ThreadCalls(
            tuple(blocked.get(native_id, ())),
            tuple(_proven(moments)),
            tuple(suspects.get(native_id, ())),
            _close(moments, HELD_NS),
        )
    return threads


def _proven(moments: Int64s) -> list[StateInterval]:
    """Stretches in which a thread's events follow each other closely."""
    pairs = zip(*_close(moments, PROOF_NS).tolist(), strict=True)
    return [StateInterval(first, last, State.RUNNING) for first, last in pairs if last > first]


def _close(moments: Int64s, gap_ns: int) -> Int64s:
    """Stretches without such a gap: rows of first and last moments."""
    breaks = np.flatnonzero(np.diff(moments) >= gap_ns)
    firsts = moments[np.concatenate(([0], breaks + 1))]
    lasts = moments[np.concatenate((breaks, [len(moments) - 1]))]
    return np.stack((firsts, lasts))


def _blocked_calls(
    tree: CallTree, start: Int64s, end: Int64s, teller: _Teller
) -> tuple[dict[int, list[BlockedCall]], dict[int, list[BlockedCall]]]:
    """The blocking calls of each thread, in order, and long C calls in no table.

    Of nested ones the outer counts, but of a buffer's `readline` what it calls.
    """
    calls = tree.calls
    blocks = np.array([bool(reason) for reason in teller.reasons], bool)[calls.function]
    rows = np.flatnonzero(blocks & calls.is_c & (end - start >= SHORTEST_WAIT_NS))
    found: dict[int, list[BlockedCall]] = defaultdict(list)
    for row in rows.tolist():
        of_thread = found[int(calls.native_id[row])]
        if of_thread and of_thread[-1].end_ns > int(start[row]):
            if not of_thread[-1].called.startswith(recorded_calls.BUFFERED):
                continue
            of_thread.pop()  # it is the call in it that waits, and says more
        told = teller.tell(row)
        facts = teller.facts(told)
        is_open = bool(calls.open[row])
        of_thread.append(BlockedCall(int(start[row]), int(end[row]), *told[:5], facts, is_open))
    innermost = np.ones(len(tree), bool)
    innermost[tree.parent[tree.parent >= 0]] = False
    suspects: dict[int, list[BlockedCall]] = defaultdict(list)
    for row in np.flatnonzero(~blocks & calls.is_c & innermost & (end - start >= SUSPECT_NS)).tolist():
        call = BlockedCall(int(start[row]), int(end[row]), *teller.tell(row)[:5])
        suspects[int(calls.native_id[row])].append(call)
    return found, suspects


class _Teller:
    """Tells why and where a blocking call waited; equal call chains are looked up once."""

    def __init__(self, tree: CallTree, places: Places, lines: CallLines, ids: TrackIds, pid: int) -> None:
        self._tree = tree
        self._functions = tree.calls.functions
        self.reasons = [recorded_calls.blocking_reason(function.name) for function in self._functions]
        self._ids = ids
        self._pid = pid
        self._facts: dict[tuple[str, str], Facts] = {}
        self._places = places
        self._lines = lines
        self._told: dict[tuple[int, ...], tuple[str, str, str, int, str, str]] = {}

    def tell(self, row: int) -> tuple[str, str, str, int, str, str]:
        """Reason, name of the call, file, line, the user's own call, the lock or the like it wants."""
        rows = self._up_to_own(row)
        key = tuple(self._tree.calls.function[rows].tolist())
        told = self._told.get(key)
        if told is None:
            told = self._told[key] = self._look(key, bool(self._tree.own[rows[-1]]))
        return told

    def facts(self, told: tuple[str, str, str, int, str, str]) -> Facts:
        """What a call wants, where its line tells."""
        key = reason, name = told[0], told[5]
        if not name:
            return NO_FACTS
        if key not in self._facts:
            number = self._ids.resources.number(Resource(kind_of(reason), name), self._pid)
            self._facts[key] = Facts(number)
        return self._facts[key]

    def _up_to_own(self, row: int) -> list[int]:
        """The call and its callers, up to the first that is the user's own code."""
        parent, own = self._tree.parent, self._tree.own
        rows = [row]
        while (row := int(parent[row])) >= 0:
            rows.append(row)
            if own[row]:
                break
        return rows

    def _look(self, numbers: tuple[int, ...], is_own: bool) -> tuple[str, str, str, int, str, str]:
        functions = [self._functions[number] for number in numbers]
        library = functions[:-1] if is_own else functions
        reason = self.reasons[numbers[0]]
        starts = reason == reasons.STARTS_A_PROCESS  # whatever the library's function waits for afterwards
        for index, function in reversed([*enumerate(library)]) if not starts else ():
            better = recorded_calls.LIBRARY_WAITS.get((base_name(function.file), function.name))
            if better in reasons.IDLE and not library[index - 1].name.endswith(".get"):
                continue  # the worker runs a job that is a function of a library's
            if better is not None:
                reason = better
                break
        if not is_own:
            return reason, functions[0].name, "", 0, "", ""
        own, step = functions[-1], functions[-2] if len(functions) > 1 else functions[-1]
        line, text = self._lines.find(own.file, own.name, own.line, step.name)
        # `jobs.get()` waits for `jobs`.
        name = text.partition("(")[0].rpartition(".")[0] if reason in reasons.OF_LOCKS else ""
        file, called = self._places.short(own.file), functions[0].name
        return reason, called, file, line, _own_call(step, text, called), name.removeprefix("self.")


def _own_call(step: RawCode, text: str, called: str) -> str:
    """How the user names what they called; "" where that is the blocking call itself, under its own name."""
    if step.name == called and not called.startswith("_thread."):
        return ""
    module = base_name(step.file).removesuffix(".py")
    return called_name(text) or (step.name if "." in step.name or not module else f"{module}.{step.name}")
