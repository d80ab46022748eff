"""What would help against what the lints find."""

from __future__ import annotations

from typing import TYPE_CHECKING

from concmagic.sentences.numbers import duration

if TYPE_CHECKING:
    from concmagic.model import findings as of

LEFT_RUNNING_HINT = "Wait for it: await the task, join the thread or process, or leave the pool's with block."
EXCEPTION_IN_THREAD_HINT = "A thread pool's future.result() would raise it here."
GIL_HELD_HINT = (
    "Code that releases the GIL while it waits (ctypes.CDLL instead of PyDLL, `with nogil:`) lets others run."
)
FEW_CORES_HINT = "As many workers as cores would take as long, and less memory."
UNEVEN_WORK_HINT = "Hand out smaller pieces, the largest first, so that all end together."
BUSY_MACHINE_HINT = "Other programs had it, or a limit of this kernel's CPU time: on a quiet machine the cell is that much faster."
OVERSUBSCRIBED_HINT = "One thread per worker, by OMP_NUM_THREADS=1 or threadpoolctl, leaves each a core."
CONVOY_HINT = "Hold the lock only for what must not be torn apart: compute before, sleep and do I/O after it."
STARVED_HINT = (
    "Tasks are served in turn: fewer of them at once, or fewer steps each, lets this one run more often."
)
NEVER_RETRIEVED_HINT = "Await the task, or let asyncio.TaskGroup do it: then its exception is raised."
CAPPED_HINT = "A larger bound lets more wait at once, if the other side can take it."
DEADLOCK_HINT = "Take locks in the same order everywhere, and let no task await one that awaits it."
THREADS_DEADLOCK_HINT = "Take locks in the same order everywhere, or give acquire a timeout."
KEEP_THE_POOL = "Fewer processes, or one pool for several cells, pay the start-up less often; small work is faster without."
SEND_LESS = "Send less: a file name or a slice instead of the data, or multiprocessing.shared_memory."
SEND_LARGER_CHUNKS = "Hand out larger pieces: chunksize=… sends many items at once."
HELLO_PROCESS_HINT = "A process is worth its start-up from some seconds of computing on."
COPIES_CHANGED_HINT = "Return the value, or share it: multiprocessing.Value, Manager, shared_memory."
FORK_WITH_THREADS_HINT = (
    'A lock that one of them held stays locked in the child for ever: use mp.get_context("spawn"), '
    "or start the processes first."
)


def hint_of(found: of.Values) -> str:
    """What would help; "" if that is not known."""
    from concmagic.model import findings as of

    match found:
        case of.BlockedLoop() | of.SmallBlocks():
            return blocked_loop_hint(found.hold)
        case of.GilBound():
            return gil_bound_hint(found)
        case of.SequentialAwaits():
            return sequential_awaits_hint(found)
        case of.NeverAwaited():
            return never_awaited_hint(found)
        case of.Deadlock():
            return THREADS_DEADLOCK_HINT if any(link.is_thread for link in found.links) else DEADLOCK_HINT
        case of.ChildDied():
            return child_died_hint(found)
        case of.PoolOverhead():
            return _OF_POOLS[found.costly]
        case _:
            return _HINTS.get(type(found).__name__, "")


_HINTS = {
    "StarvedTask": STARVED_HINT,
    "GilHeld": GIL_HELD_HINT,
    "LockConvoy": CONVOY_HINT,
    "FewCores": FEW_CORES_HINT,
    "UnevenWork": UNEVEN_WORK_HINT,
    "Oversubscribed": OVERSUBSCRIBED_HINT,
    "BusyMachine": BUSY_MACHINE_HINT,
    "Capped": CAPPED_HINT,
    "NeverRetrieved": NEVER_RETRIEVED_HINT,
    "LeftRunning": LEFT_RUNNING_HINT,
    "ThreadDied": EXCEPTION_IN_THREAD_HINT,
    "SmallProcesses": HELLO_PROCESS_HINT,
    "CopiesChanged": COPIES_CHANGED_HINT,
    "ForkWithThreads": FORK_WITH_THREADS_HINT,
}


_OF_POOLS = {"start": KEEP_THE_POOL, "data": SEND_LESS, "many": SEND_LARGER_CHUNKS}


def blocked_loop_hint(hold: of.LoopHold) -> str:
    """What would help."""
    called = hold.state.reason if hold.state.state.value == "blocking" else ""
    if called == "time.sleep":
        return "await asyncio.sleep(…) lets the others run meanwhile."
    if called:
        return f"await asyncio.to_thread(…) moves {called} off the loop, or use its async counterpart."
    return "Computing belongs into a process, or between awaits: await asyncio.sleep(0) now and then."


def gil_bound_hint(found: of.GilBound) -> str:
    """What processes might give: an upper bound, from this run's own times."""
    return (
        f"%%procs might take up to {duration(found.saved_ns)} less, but for starting the processes, "
        "if what the work reads can be pickled."
    )


def sequential_awaits_hint(found: of.SequentialAwaits) -> str:
    """How to wait at once."""
    what = f"*({found.call} for …)" if found.in_loop else f"{found.call}, {found.call}, …"
    return f"await asyncio.gather({what}), or one task each in an asyncio.TaskGroup."


def never_awaited_hint(found: of.NeverAwaited) -> str:
    """What was probably meant."""
    return f"await {found.name}(…), or asyncio.create_task({found.name}(…)) to let it run beside the rest."


_CRASHED = "It crashed in native code: python -X faulthandler shows where."


_OF_SIGNALS = {
    "SIGKILL": "Somebody sent it kill -9, or it needed more memory than there is: the system ends such a process.",
    "SIGSEGV": _CRASHED,
    "SIGILL": _CRASHED,
    "SIGFPE": _CRASHED,
    "SIGABRT": "A native library gave up (abort): its message is on the terminal that runs the notebook.",
    "SIGBUS": "It used memory that a file no longer backs: a full /dev/shm, or a file cut short.",
    "SIGXCPU": "It used more CPU time than its limit allows (ulimit -t).",
}


_OF_PYTHON = {1: "An exception that nobody caught ended it, or sys.exit: what it printed tells which."}


_OF_COMMANDS = {126: "It may not be executed.", 127: "There is no such command."}


def child_died_hint(found: of.ChildDied) -> str:
    """The usual cause of this end."""
    if found.outcome.kind == "killed":
        return _OF_SIGNALS.get(found.outcome.by, "")
    return (_OF_COMMANDS if found.is_command else _OF_PYTHON).get(found.outcome.code, "")
