"""What would help against what the lints find."""

from __future__ import annotations

from typing import TYPE_CHECKING

from concmagic.model.reasons import THREAD_START
from concmagic.sentences.numbers import duration

if TYPE_CHECKING:
    from concmagic.model import findings as of

# By the class of the values.
_HINTS = {
    "StarvedTask": "Tasks are served in turn: fewer of them at once, or fewer steps each, lets this one run more often.",
    "GilHeld": "Code that releases the GIL while it waits (ctypes.CDLL instead of PyDLL, `with nogil:`) lets others run.",
    "LockConvoy": "Hold the lock only for what must not be torn apart: compute before, sleep and do I/O after it.",
    "FewCores": "As many workers as cores would take as long, and less memory.",
    "UnevenWork": "Hand out smaller pieces, the largest first, so that all end together.",
    "Oversubscribed": "One thread per worker, by OMP_NUM_THREADS=1 or threadpoolctl, leaves each a core.",
    "BusyMachine": "Other programs had it, or a limit of this kernel's CPU time: on a quiet machine the cell is that much faster.",
    "Capped": "A larger bound lets more wait at once, if the other side can take it.",
    "NeverRetrieved": "Await the task, or let asyncio.TaskGroup do it: then its exception is raised.",
    "LeftRunning": "Wait for it: await the task, join the thread or process, or leave the pool's with block.",
    "JobsFailedUnseen": "Keep the futures: future.result(), or the loop over pool.map(…), raises what a job raised.",
    "ThreadDied": "A thread pool's future.result() would raise it here.",
    "SmallProcesses": "A process is worth its start-up from some seconds of computing on.",
    "CopiesChanged": "Return the value, or share it: multiprocessing.Value, Manager, shared_memory.",
    "ManagerRequests": "Each use of a manager's object asks its process: fetch the whole once (`list(numbers)`, `numbers[:]`), work on that copy, and store one result.",
    "PoolStarved": "A job must not wait for jobs of its own pool: give the inner ones a pool of their own, or hand them over from outside.",
    "ForkWithThreads": 'A lock that one of them held stays locked in the child for ever: use mp.get_context("spawn"), or start the processes first.',
}
_MORE_CONNECTIONS = "More connections (httpx.Limits, aiohttp.TCPConnector, max_size=…) let more wait at once, if the other side can take it."
_OF_POOLS = {
    "start": "Fewer processes, or one pool for several cells, pay the start-up less often; small work is faster without.",
    "imports": "Each new worker imports for itself: a pool that is kept for several cells does so once, and forked workers have what the notebook has imported.",
    "data": "Send less: a file name or a slice instead of the data, or multiprocessing.shared_memory.",
    "many": "Hand out larger pieces: chunksize=… sends many items at once.",
}
_TASKS_DEADLOCK = "Take locks in the same order everywhere, and let no task await one that awaits it."
_THREADS_DEADLOCK = "Take locks in the same order everywhere, or give acquire a timeout."
_TAKEN_TWICE = "It has taken it already: take it once, outside, or use threading.RLock."
_TASK_TAKES_TWICE = "It has taken it already: take it once, outside."
_KEPT_MEANWHILE = "Leave the `with` block, so that the lock is free, before that wait begins."
_ENDS_IN_A_CIRCLE = "Let one of them go on without the other."
_OWN_LOOP = (
    "Await the coroutine itself: .result() is for other threads, on its own loop it stops what it waits for."
)
_NOBODY_LEFT = "One of them has to act before it waits: put the item (None says that no more comes), set the event, notify, let go."
_STOPPED = (
    "Stopping a cell does not reach it: let it look at an Event now and then that the cell sets as it ends."
)
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


def hint_of(found: of.Values) -> str:
    """What would help; "" if that is not known."""
    from concmagic.model import findings as of

    match found:
        case of.BlockedLoop() | of.SmallBlocks():
            return blocked_loop_hint(found.hold)
        case of.GilBound():
            return (
                f"%%procs might take up to {duration(found.saved_ns)} less, but for starting the processes, "
                "if what the work reads can be pickled."
            )
        case of.SequentialAwaits():
            return sequential_awaits_hint(found)
        case of.NeverAwaited():
            return f"await {found.name}(…), or asyncio.create_task({found.name}(…)) to let it run beside the rest."
        case of.Deadlock():
            return deadlock_hint(found)
        case of.LeftRunning() if found.was_stopped:
            return _STOPPED
        case of.ChildDied():
            return child_died_hint(found)
        case of.SubmitThenWait():
            return submit_then_wait_hint(found)
        case of.Capped(by="workers"):
            return "A larger -w lets more items wait at once, if the other side can take it."
        case of.Capped(by="connections"):
            return _MORE_CONNECTIONS
        case of.OneWorker():
            return _one_worker_hint(found)
        case of.PoolOverhead():
            return _OF_POOLS[found.costly]
        case _:
            return _HINTS.get(type(found).__name__, "")


def deadlock_hint(found: of.Deadlock) -> str:
    """What keeps it from happening: never to wait for it longer, or for more."""
    if found.kind == "own loop":
        return _OWN_LOOP
    if found.kind == "nobody left":
        return _NOBODY_LEFT
    reasons = {link.wait.reason for link in found.links}
    if len(found.links) == 1 and reasons <= {"Lock", "RLock"}:
        return _TAKEN_TWICE if found.links[0].is_thread else _TASK_TAKES_TWICE
    if not any(link.is_thread for link in found.links):
        return _TASKS_DEADLOCK
    if reasons & {"join", "result", "pool"}:
        return _KEPT_MEANWHILE if reasons & {"Lock", "RLock"} else _ENDS_IN_A_CIRCLE
    return _THREADS_DEADLOCK


def blocked_loop_hint(hold: of.LoopHold) -> str:
    """What would help."""
    called = hold.state.reason if hold.state.state.value == "blocking" else ""
    if hold.unit == "callback":
        return f"loop.run_in_executor(None, …) moves {called or hold.task} off the loop."
    if hold.state.facts.call == THREAD_START:
        return "A pool starts its threads with its first jobs: those that come later find them there."
    if called == "time.sleep":
        return "await asyncio.sleep(…) lets the others run meanwhile."
    if called:
        return f"await asyncio.to_thread(…) moves {called} off the loop, or use its async counterpart."
    return "Computing belongs into a process, or between awaits: await asyncio.sleep(0) now and then."


def sequential_awaits_hint(found: of.SequentialAwaits) -> str:
    """How to wait at once."""
    calls = [call for _, call in found.calls]
    what = (
        f"*({calls[0]} for …)" if found.in_loop else ", ".join([*calls[:3], *["…"][: max(0, len(calls) - 3)]])
    )
    if_free = "" if found.is_kept else "If their order does not matter: "
    return f"{if_free}await asyncio.gather({what}), or one task each in an asyncio.TaskGroup."


def child_died_hint(found: of.ChildDied) -> str:
    """The usual cause of this end."""
    if found.outcome.kind == "killed":
        return _OF_SIGNALS.get(found.outcome.by, "")
    return (_OF_COMMANDS if found.is_command else _OF_PYTHON).get(found.outcome.code, "")


def _one_worker_hint(found: of.OneWorker) -> str:
    """Chunks of which each worker gets one; where there was none, why it had them all is not known."""
    if not found.chunk:
        return ""
    return f"A chunk is one worker's: chunksize={-(-found.of_all // found.workers):,} or less gives each worker some."


def submit_then_wait_hint(found: of.SubmitThenWait) -> str:
    """How to hand over all of them first."""
    if found.kind in ("thread", "process"):
        return f"Start all of them before the first is joined: up to {duration(found.saved_ns)} less."
    first = f"pool.map({found.function}, …) hands over"
    if found.by_task:
        first = "asyncio.gather(…) or a TaskGroup starts"
    elif found.kind == "task":  # a loop in another thread runs them
        first = "One coroutine that awaits asyncio.gather(…) starts"
    return f"{first} all of them before the first is waited for: up to {duration(found.saved_ns)} less."
