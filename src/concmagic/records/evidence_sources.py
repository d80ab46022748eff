"""The sources of evidence, a row each: who observes it, where, and who imports what was seen.

The session in the kernel, the recorders in children and the importer go by these rows and know no other list.
A child reads them before its target runs: plain values, and what they name is imported when it is needed.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any, NamedTuple


class Source(NamedTuple):
    """One source of evidence.

    Its observer has `start()`, `stop()` and, if it can lose something, `problems`. What `stop` returns is
    kept under the source's name, as that field of the ProcessRecord, if `is_kept`.
    """

    name: str  # also in the sentence that says that it failed
    observer: str  # module and class, in `recording`
    given: tuple[str, ...] = ()  # arguments of the class; a child has of them detail, budget and times
    in_kernel: bool = True
    in_children: bool = True
    observes: str = ""  # a child waits until it has imported that: for us it would cost up to 40 ms
    is_kept: bool = True
    # Module and function, in `importing`: it gets a Found with all tracks in it, and adds to it. Of those
    # that have none the states lie over each other, or the flows: `importer.py` reads them together.
    importer: str = ""


# In the order in which they are started; stopped the other way round. The calls come last: they cost most,
# and see none of the others.
SOURCES = (
    Source(
        "sampler", "sampler.sampler_recorder:Sampler", ("pid",), in_children=False, is_kept=False
    ),  # of the cell
    Source(
        "children",
        "children.children_recorder:ChildRecorder",
        ("options", "cell_file", "budget", "on_born"),
        in_children=False,
        is_kept=False,  # processes themselves
    ),
    Source("messages", "children.messages:MessageRecorder", ("time",)),
    Source(
        "requests",
        "children.manager_requests:ManagerRequests",
        observes="multiprocessing.managers",
        importer="manager_requests:import_requests",
    ),
    Source(
        "process_locks",
        "locks.process_locks:ProcessLockRecorder",
        ("time",),
        observes="multiprocessing.synchronize",
    ),
    Source("marks", "marks:MarkRecorder", importer="jobs_marks_prints:import_marks"),
    Source("hosts", "hosts:HostRecorder", observes="socket", is_kept=False),  # the names go into waits
    Source(
        "prints",
        "prints:PrintRecorder",
        ("writers",),
        in_children=False,  # their streams are others: `in_whole_lines`
        importer="jobs_marks_prints:import_prints",
    ),
    Source("jobs", "threads.thread_jobs:PoolJobRecorder", ("time",), observes="concurrent.futures.thread"),
    Source("threads", "threads.thread_recorder:ThreadRecorder", ("on_begin",)),
    Source("tasks", "tasks.task_recorder:TaskRecorder", observes="asyncio"),
    Source("library_tasks", "tasks.library_tasks:LibraryTasks", in_children=False, is_kept=False),  # beside
    # Before the locks, whose look takes longer: what it notes is how all stood.
    Source(
        "stop",
        "threads.stop_look:StopLook",
        in_children=False,  # the kernel stops the cell
        importer="import_stop:import_stop",
    ),
    Source(
        "locks",
        "locks.lock_recorder:LockRecorder",
        ("namespace", "sampled", "time_of_locks"),
        # Before, it is the sampler that sees them, and of children it knows no locks.
        in_children=sys.version_info >= (3, 12),
    ),
    Source("profiles", "profiles:ProfileRecorder", in_children=False, is_kept=False),
    Source("calls", "calls.call_recorder:CallRecorder", ("detail", "budget")),
)


def named(folder: str, path: str) -> Any:
    """What a row names, "module:name" in that folder; imports it."""
    module, _, name = path.partition(":")
    return getattr(import_module(f"concmagic.{folder}.{module}"), name)


def kept(seen: Mapping[str, Any]) -> dict[str, Any]:
    """What was seen by a source's name, as fields of a ProcessRecord; of what saw nothing none."""
    return {one.name: seen[one.name] for one in SOURCES if one.is_kept and seen.get(one.name)}
