"""Each child as a ProcessRecord: what its parent knows beside what it handed over itself.

Of worker processes that were there before the cell, started by cells that nobody traced, only their name is
known, and what the operating system tells: nothing of ours is in them.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from concmagic.interpreter.event_nodes import NODE_BYTES
from concmagic.interpreter.process_internals import living_children
from concmagic.problems import Problem
from concmagic.recording.children.child_table import Child
from concmagic.recording.children.handover_files import CALLS_PART, MARKS_PART, MESSAGES_PART, parts_of
from concmagic.recording.children.leftovers import stat_of
from concmagic.recording.labels import cut, cut_problem
from concmagic.records.evidence_sources import kept
from concmagic.records.handed_over import MarkRecord, MessageLog, MessageRecord, ModuleImport
from concmagic.records.recording import CallsPart, ProcessJoin, ProcessRecord, RawCalls, ThreadRecord

if TYPE_CHECKING:
    from concmagic.recording.children.child_config import HooksProtocol
    from concmagic.recording.children.handover_files import Told


_OF_AN_INTERRUPT = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
_METHODS = {"ForkProcess": "fork", "SpawnProcess": "spawn", "ForkServerProcess": "forkserver"}

Files = dict[tuple[int, int], "Told"]  # by pid and begin what a child told


def records_of(children: Iterable[Child], files: Files) -> Iterator[ProcessRecord]:
    """A record of each child: first of those started here, then of those that only told of themselves."""
    for child in sorted(children, key=lambda one: one.started_ns):
        yield _record_of(child, _take(files, child))
    for (pid, begun_ns), told in sorted(files.items(), key=lambda item: item[0][1]):
        yield _record_of(_unannounced(pid, begun_ns, told), told)


def _take(files: Files, child: Child) -> Told:
    """The file of this child: of its pid, begun after it was asked for."""
    begun = [key for key in files if key[0] == child.pid and key[1] >= child.started_ns]
    return files.pop(min(begun)) if begun else {}


def _unannounced(pid: int, begun_ns: int, told: Told) -> Child:
    """A child that only told of itself: its parent was killed, or forked it in C."""
    hello = told.get("hello", {})
    return Child(
        name=hello.get("name", ""),
        start_method=hello.get("start_method", ""),
        origin="user",
        group=hello.get("group", ""),
        parent_pid=hello.get("parent_pid", 0),
        started_ns=hello.get("started_ns") or begun_ns,
        starter=0,
        pid=pid,
        is_earlier=hello.get("is_earlier", False),
    )


def _record_of(child: Child, told: Told) -> ProcessRecord:
    """Put both together; `told` are the records of the child's file, empty if there is none."""
    end = told.get("end", {})
    seen = kept(end.get("seen", {}))
    called_ns, target_ns, imports = told.get("target", (None, None, ()))
    return ProcessRecord(
        pid=child.pid,
        parent_pid=child.parent_pid,
        name=cut(told.get("became", child.name) if child.is_bare else child.name),
        start_method=child.start_method,
        origin=child.origin,
        observing_ns=end.get("seen", {}).get("observing_ns", 0),
        started_ns=None if child.is_earlier else child.started_ns,
        begun_ns=None if child.is_earlier else end.get("begun_ns", told.get("begun_ns")),
        target_ns=None if child.is_earlier else target_ns,
        ended_ns=_ended_ns(child, told),
        exit_code=child.exit_code if child.exit_code is not None else end.get("exit_code"),
        main_native_id=end.get("main_native_id", child.pid),
        cpu_ns=end.get("cpu_ns", child.cpu_ns),
        group=child.group,
        problems=tuple(map(cut_problem, _problems(child, told))),
        starter=child.starter or None,
        done_ns=end.get("done_ns") if child.ended_ns is not None and "became" not in told else None,
        born_ns=child.born_ns,
        loaded_ns=end.get("loaded_ns") or told.get("loaded"),
        loaded_cpu_ns=end.get("loaded_cpu_ns"),
        called_ns=called_ns,
        imports=tuple(ModuleImport(*row) for row in end.get("imports", imports)),
        sent_bytes=child.sent_bytes,
        sent_ns=child.sent_ns,
        changed=end.get("changed", ()),
        joins=tuple(ProcessJoin(*join) for join in child.joins),
        ended_by=_ended_by(child, told),
        **{
            "threads": _main_thread(child, target_ns),
            "marks": _marks_so_far(child, told),
            "messages": _messages_so_far(told),
            **seen,
            "calls": _calls(seen.get("calls"), parts_of(told, CALLS_PART)),
        },
    )


def _main_thread(child: Child, target_ns: int | None) -> tuple[ThreadRecord, ...]:
    """Of a child that told nothing at its end: the one thread that it surely had."""
    if target_ns is None:
        return ()
    return (ThreadRecord(child.pid, 0, "MainThread", False, "user", None, target_ns, None, None),)


def _ended_by(child: Child, told: Told) -> str:
    """Who meant it to end, where it was a signal that ended it: an interrupt reaches children, too."""
    if "interrupted" in told or (child.is_interrupted and -(child.exit_code or 0) in _OF_AN_INTERRUPT):
        return "interrupt"
    if child.is_refused:
        return "start"
    sent = child.signal_sent  # a handler of the child's may turn it into an exit code
    if not sent or child.exit_code not in (-sent, sent, 128 + sent):
        return ""
    return "pool" if child.group else "cell"


def _messages_so_far(told: Told) -> MessageLog | None:
    """Those that a child had handed over before it was killed."""
    parts = parts_of(told, MESSAGES_PART)
    return MessageLog(tuple(MessageRecord(*row) for rows in parts for row in rows)) if parts else None


def _marks_so_far(child: Child, told: Told) -> tuple[MarkRecord, ...]:
    """Those that a child had told of before it was killed; a stretch that was open ended with it."""
    rows = {row[0]: row[1:] for rows in parts_of(told, MARKS_PART) for row in rows}
    return tuple(
        MarkRecord(label, start_ns, end_ns or child.ended_ns or start_ns, child.pid, native_id)
        for _, (label, start_ns, end_ns, native_id) in sorted(rows.items())
    )


def _calls(rest: RawCalls | None, parts: Sequence[CallsPart]) -> RawCalls | None:
    """What a child handed over as it ran and, if it came to that, at its end."""
    if not parts:
        return rest
    if rest is None:
        clock, own_threads = parts[-1].clock, parts[-1].own_threads
        rest = RawCalls(
            parts[-1].open_nodes, {}, {}, clock, 0, own_threads=own_threads, handed_ns=clock[1][1]
        )
    nodes = b"".join((*(part.nodes for part in parts), rest.nodes))
    codes, c_functions = dict(rest.codes), dict(rest.c_functions)
    for part in parts:
        codes.update(part.codes)
        c_functions.update(part.c_functions)
    events = rest.events or len(nodes) // NODE_BYTES
    return replace(rest, nodes=nodes, codes=codes, c_functions=c_functions, events=events)


def _ended_ns(child: Child, told: Told) -> int | None:
    """Its parent's clock; of one whose parent told nothing, when it began to hand over."""
    if child.ended_ns is not None or child.starter:
        return child.ended_ns
    ending: int | None = told.get("ending")
    return ending


def _problems(child: Child, told: Told) -> list[Problem]:
    if "lost" in told:
        return [told["lost"]]
    if "end" in told and "failed" not in told:
        return list(told["end"]["problems"])
    if child.origin == "machinery" or child.start_method == "subprocess":
        return []
    if "failed" in told:
        return [Problem.of("child_never_started", child.name, told["failed"].strip().splitlines()[-1])]
    if child.is_earlier and not told:
        return [Problem.of("child_of_earlier_cell", child.name)]
    calls = parts_of(told, CALLS_PART)
    if child.ended_ns is None:
        return [Problem.of("child_did_not_answer" if calls else "child_left_running", child.name)]
    if calls:
        missing_ns = max(0, child.ended_ns - calls[-1].clock[1][1])
        return [Problem.of("child_told_its_calls", child.name, child.exit_code, missing_ns)]
    if parts_of(told, MESSAGES_PART) or parts_of(told, MARKS_PART):
        return [Problem.of("child_told_its_jobs", child.name, child.exit_code)]
    if "target" not in told and not child.is_bare and (child.exit_code or 0) < 0:
        return [Problem.of("child_never_began", child.name, child.exit_code)]
    return [Problem.of("child_told_nothing", child.name, child.exit_code)]


class PreexistingWorkers:
    """The children of multiprocessing that live when the cell begins."""

    def __init__(self, hooks: HooksProtocol, watch: Callable[[int], object] | None) -> None:
        self._hooks = hooks
        self._known: dict[int, tuple[str, str, int]] = {}  # by pid name, class, clock ticks so far
        for one in living_children():
            pid = getattr(one, "pid", None)
            if pid is not None and (ticks := _cpu(pid)) is not None:
                self._known[pid] = cut(one.name), type(one).__name__, ticks
        if watch is not None:
            for pid in self._known:
                watch(pid)

    def that_worked(self, told: Collection[int]) -> list[Child]:
        """Those that computed in the cell, but for those that told of it themselves."""
        found = []
        for pid, (name, kind, before) in self._known.items():
            ticks = 0 if pid in told else (_cpu(pid) or 0) - before
            if ticks > 0:
                child = Child(
                    name=name,
                    start_method=_METHODS.get(kind, "loky" if kind == "LokyProcess" else ""),
                    origin="user",
                    group="earlier workers",
                    parent_pid=self._hooks.config.parent_pid,
                    started_ns=0,
                    starter=0,
                    pid=pid,
                    is_earlier=True,
                )
                child.cpu_ns = round(ticks * 1e9 / os.sysconf("SC_CLK_TCK"))
                found.append(child)
        return found


def _cpu(pid: int) -> int | None:
    """Clock ticks that a process has computed; None if it is gone, or where there is no /proc."""
    fields = stat_of(pid)
    return int(fields[11]) + int(fields[12]) if fields else None
