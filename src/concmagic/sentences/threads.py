"""Threads and the GIL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from concmagic.sentences.findings import of_total
from concmagic.sentences.numbers import count, duration, number, percent

if TYPE_CHECKING:
    from concmagic.model.trace import Function

GIL = "GIL"
GIL_FREE = "free"
OURS = "concmagic"  # a thread of the recording itself
NO_GIL = "This Python has no GIL: its threads can compute side by side."
LINT_GIL_BOUND = "Only the thread that has the GIL computes in Python; more threads do not make it faster."
LINT_GIL_HELD = "Native code that waits without giving the GIL up keeps every other thread from computing."
GIL_HELD_HINT = (
    "Code that releases the GIL while it waits (ctypes.CDLL instead of PyDLL, `with nogil:`) lets others run."
)
LINT_FEW_CORES = "More workers that compute than cores to compute on only take turns on the cores."
LINT_UNEVEN_WORK = "Where one worker gets more than its share, the others are idle until it has ended."
LINT_OVERSUBSCRIBED = "Where workers and the threads of their libraries outnumber the cores, they take turns."
LINT_BUSY_MACHINE = "What others compute on this machine makes a cell slower that had cores enough."
FEW_CORES_HINT = "As many workers as cores would take as long, and less memory."
UNEVEN_WORK_HINT = "Hand out smaller pieces, the largest first, so that all end together."
BUSY_MACHINE_HINT = "Other programs had it, or a limit of this kernel's CPU time: on a quiet machine the cell is that much faster."
OVERSUBSCRIBED_HINT = "One thread per worker, by OMP_NUM_THREADS=1 or threadpoolctl, leaves each a core."


def which_threads(names: list[str]) -> str:
    """Which threads of a process run: "worker-1", "worker-1 and worker-2", "5 threads"."""
    return " and ".join(names) if len(names) < 3 else count(len(names), "thread")


def wait_of(name: str) -> str:
    """Whom a wait is for: join "of worker-1", result "of fetch(3)"."""
    return f"of {name}"


def in_function(file: str, line: int, function: str) -> str:
    """One step of a traceback."""
    where = f"{file}:{line}" if file else f"line {line}"
    return where if function in ("", "<module>") else f"{where} in {function}"


def way_to(functions: Sequence[Function]) -> str:
    """A traceback in one line: "line 9 in work → line 5 in parse"."""
    return " → ".join(in_function(one.file, one.line, one.name) for one in functions)


def gil_share(contended: float) -> str:
    """What stands at the end of the GIL's lane."""
    return f"contended {percent(contended)}"


def jobs_in_one(label: str, many: int) -> str:
    """Several jobs that are told as one, by the first of them."""
    return label if many == 1 else f"{label} + {many - 1:,} more"


def jobs_merged(kept: int, later: int, outcomes: dict[str, int], running_ns: int, queued_ns: int) -> str:
    """More jobs of pools than are kept one by one."""
    done = sum(outcomes.values())
    told = f"{count(done, 'later one')} merged, with exact sums: they ran {duration(running_ns)} in all"
    told += f" and were queued for {duration(queued_ns)}" if queued_ns else ""
    failed = {outcome: many for outcome, many in outcomes.items() if outcome.startswith("raised ")}
    told += "".join(f", {many:,} {outcome}" for outcome, many in sorted(failed.items()))
    left = f"; {later - done:,} did not end" if later > done else ""
    return f"Of {count(kept + later, 'job')} of pools the first {kept:,} are told one by one, {told}{left}."


def of_thread(native_id: int, daemon: bool, switches: tuple[int, int] | None) -> str:
    """What the operating system knows of a thread."""
    kind = "daemon thread" if daemon else "thread"
    if switches is None:
        return f"{kind} {native_id}"
    gave_up, lost = switches
    return f"{kind} {native_id}, left its core {count(gave_up, 'time')} by itself and lost it {count(lost, 'time')}"


def gil_handovers(times: float, per_second: float) -> str:
    """How often the GIL went to another thread."""
    return f"The GIL went to another thread {times:,.0f} times, {per_second:,.0f} times a second."


def gil_bound(threads: int, contended_ns: float, wall_ns: float, used: float, cores: int) -> str:
    """Threads that compute, one at a time."""
    return (
        f"For {of_total(contended_ns, wall_ns)} threads wanted the GIL while another had it: "
        f"{count(threads, 'thread')} computed, on {number(used)} of {count(cores, 'core')}."
    )


def gil_bound_hint(saved_ns: float) -> str:
    """What processes might give: an upper bound, from this run's own times."""
    return (
        f"%%procs might take up to {duration(saved_ns)} less, but for starting the processes, "
        "if what the work reads can be pickled."
    )


def gil_held_while_waiting(
    name: str, reason: str, where: str, kept_ns: float, wall_ns: float, others: int
) -> str:
    """A thread that waited and kept the GIL."""
    what = " ".join(
        word for word in (f"({reason})" if reason else "", f"at {where}" if where else "") if word
    )
    return (
        f"{name} kept the GIL for {of_total(kept_ns, wall_ns)} while it only waited{f' {what}' if what else ''}: "
        f"{count(others, 'thread')} wanted it and could not compute."
    )


def few_cores(workers: int, kind: str, cores: int, lasting_ns: float, wall_ns: float) -> str:
    """More workers that compute than cores."""
    return (
        f"For {of_total(lasting_ns, wall_ns)} more {kind} computed than there are cores: "
        f"up to {workers:,} on the {count(cores, 'core')} that this kernel may use."
    )


def busy_machine(lost_ns: float, wall_ns: float) -> str:
    """A core was wanted, and the cell itself did not have them all."""
    return (
        f"For {of_total(lost_ns, wall_ns)} a core was wanted and not had, "
        "although the cell wanted no more cores than there are."
    )


def uneven_work(last: str, alone_ns: float, wall_ns: float, workers: int) -> str:
    """One worker computed long after the others had ended."""
    return (
        f"{last} computed on its own for {of_total(alone_ns, wall_ns)}: "
        f"of {count(workers, 'worker')} it was the last to end."
    )


def oversubscribed(native: float, workers: float, cores: int) -> str:
    """Libraries' own threads beside workers that fill the cores already."""
    return (
        f"Native threads of libraries wanted {number(native)} cores beside {number(workers)} workers "
        f"that computed at once, on {count(cores, 'core')}."
    )


# Findings about asyncio

LINT_MANY_SMALL_BLOCKS = "Blocking calls that are short, but many, keep the tasks of a loop waiting."
LINT_STARVED_TASK = "A task that is seldom served although it is ready."
LINT_SEQUENTIAL_AWAITS = "Waits that do not need each other, one after the other, take their sum."
LINT_NEVER_AWAITED = "Calling an async function only makes a coroutine: without await nothing of it runs."
LINT_NEVER_RETRIEVED = "A task keeps its exception to itself until somebody awaits it."
LINT_CONCURRENCY_CAPPED = "A semaphore bounds how many are in flight; the others queue."
LINT_DEADLOCK = "Tasks or threads that wait for each other in a circle wait for ever."
STARVED_HINT = (
    "Tasks are served in turn: fewer of them at once, or fewer steps each, lets this one run more often."
)
NEVER_RETRIEVED_HINT = "Await the task, or let asyncio.TaskGroup do it: then its exception is raised."
DEADLOCK_HINT = "Take locks in the same order everywhere, and let no task await one that awaits it."
CAPPED_HINT = "A larger bound lets more wait at once, if the other side can take it."


def small_blocks(times: int, what: str, where: str, held_ns: int, wall_ns: int, who: str) -> str:
    """Many short blocking calls."""
    at = f" at {where}" if where else ""
    return (
        f"{what}{at} blocked the loop {times:,} times, together for "
        f"{of_total(held_ns, wall_ns)}, while others were ready ({who})."
    )


def starved(name: str, ready_ns: int, life_ns: int) -> str:
    """A task that seldom had its turn."""
    return f"{name} was ready but not served for {of_total(ready_ns, life_ns)} of its life, far longer than the others."


def never_awaited(name: str, how_many: int, where: str) -> str:
    """A coroutine that never ran."""
    at = f" at {where}" if where else ""
    often = f" {how_many:,} times" if how_many > 1 else ""
    return f"{name}() was called{often}{at} and never awaited: nothing of it ran."


def never_awaited_hint(name: str) -> str:
    """What was probably meant."""
    return f"await {name}(…), or asyncio.create_task({name}(…)) to let it run beside the rest."


def never_retrieved(name: str, error: str) -> str:
    """A task that failed unseen."""
    return f"Task {name} failed with {error.removeprefix('raised ')}, and nothing asked for its result."


def sequential_awaits(how_many: int, what: str, where: str, took_ns: int, saved_ns: int) -> str:
    """Waits one after the other that need not be."""
    return (
        f"{how_many:,} × await {what} at {where} waited one after the other, {duration(took_ns)} in all: "
        f"at once they would take about {duration(saved_ns)} less."
    )


def sequential_awaits_hint(what: str, in_loop: bool) -> str:
    """How to wait at once."""
    if in_loop:
        return f"await asyncio.gather(*({what} for …)), or one task each in an asyncio.TaskGroup."
    return f"await asyncio.gather({what}, {what}, …), or one task each in an asyncio.TaskGroup."


def capped(most: int, name: str, where: str, queued: int, wait_ns: int) -> str:
    """A semaphore that bounds how many are in flight."""
    what = f"`{name}`" if name else "a semaphore"
    return f"Never more than {most:,} in flight: {what}, {where}; {queued:,} queued for {duration(wait_ns)}."


def waits_for(name: str, what: str, where: str, whom: str) -> str:
    """One link of a wait-for chain."""
    at = f" ({where})" if where else ""
    return f"{name} waits for {what}{f', held by {whom}' if whom else ''}{at}"


def deadlock(links: list[str]) -> str:
    """A cycle of waits."""
    return f"Deadlock: {', '.join(links)}."


def still_waiting(links: list[str]) -> str:
    """What a task waited for when the time was up."""
    return f"{', '.join(links)}."
