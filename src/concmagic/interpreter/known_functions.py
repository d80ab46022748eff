"""Functions of Python's and other libraries that are known by name, and what their variables hold.

They stand on the stack or in a chain of awaits, or are what a thread, a worker or a message runs.

They are private, and nothing else tells whose they are. Only frames of these functions are asked for their
variables: of the user's, the answer would keep alive what the names stand for. Nothing is imported for it: a
child may have no asyncio. What a wait there means is said in `recording/tasks/wait_reasons.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import CodeType, FrameType
from typing import Any

_RUNNERS = "asyncio.runners"
_CANCEL_ALL = "_cancel_all_tasks"  # what a runner ends its loop with: asyncio's and uvloop's
_SHIELD_DONE = "shield.<locals>._inner_done_callback"
_SHIELD_CANCELLED = "shield.<locals>._outer_done_callback"
_LET_GO = {"Condition._release_save", "Condition.__exit__"}
_TAKE = {"Condition._acquire_restore", "Condition.__enter__"}
# Functions of Python's own that hand a result over to a loop, and whether it is an executor's.
HANDING_OVER = {
    "_WorkItem.run": True,
    "BaseEventLoop.run_in_executor": True,
    "_chain_future.<locals>._set_state": False,
    "_chain_future.<locals>._call_set_state": None,
}


def _module(frame: FrameType) -> Any:
    return frame.f_globals.get("__name__")


def place_of(frame: FrameType) -> tuple[str, str]:
    """The module and the qualified name of what this frame runs."""
    return str(_module(frame)), frame.f_code.co_qualname


def owner(frame: FrameType) -> Any:
    """Whose method this frame runs."""
    return frame.f_locals.get("self")


def is_runners_run(frame: FrameType) -> bool:
    """Whether it is `asyncio.Runner.run`, which `asyncio.run` calls."""
    return frame.f_code.co_qualname == "Runner.run" and bool(_module(frame) == _RUNNERS)


def is_runners_close(frame: FrameType) -> bool:
    """Whether it is `asyncio.Runner.close`: a run on its way out."""
    return frame.f_code.co_name == "close" and bool(_module(frame) == _RUNNERS)


def lets_go_of_a_conditions_lock(frame: FrameType) -> bool:
    """Whether a condition is letting its lock go there: what is raised may leave it taken, or let go twice.

    In `Condition.wait` that ends where its `try` begins, when it has set `gotit`.
    """
    if _module(frame) != "threading":
        return False
    name = frame.f_code.co_qualname
    return name in _LET_GO or (name == "Condition.wait" and "gotit" not in frame.f_locals)


def takes_a_conditions_lock(frame: FrameType) -> bool:
    """Whether a condition is taking its lock there: what is raised now may leave it taken, for ever."""
    return frame.f_code.co_qualname in _TAKE and _module(frame) == "threading"


def main_task(runner: FrameType) -> Any:
    """The task that `Runner.run` runs, if it has made it."""
    return runner.f_locals.get("task")


def cancels_all_tasks(code: CodeType) -> bool:
    """Whether it is what a runner, asyncio's or uvloop's, ends its loop with."""
    return code.co_name == _CANCEL_ALL


def is_asyncios(frame: FrameType) -> bool:
    """Whether it belongs to asyncio's runners."""
    return bool(_module(frame) == _RUNNERS)


def gathered(frame: FrameType) -> Iterable[Any]:
    """What `gather` was given, from its frame."""
    given: Iterable[Any] = frame.f_locals.get("coros_or_futures", ())
    return given


def name_given(frame: FrameType) -> str:
    """The name that `asyncio.create_task` is going to give: up to 3.12 it does so afterwards."""
    return (frame.f_locals.get("name") or "") if _module(frame) == "asyncio.tasks" else ""


def given_to_thread(code: CodeType | None, coroutine: Any) -> Any:
    """The function that `asyncio.to_thread` was given, from its coroutine; None if it is another."""
    if code is None or code.co_qualname != "to_thread":
        return None
    frame = getattr(coroutine, "cr_frame", None)
    return frame.f_locals.get("func") if frame is not None and _module(frame) == "asyncio.threads" else None


def is_futures_await(code: CodeType) -> bool:
    """Whether asyncio's future that is written in Python awaits itself."""
    return code.co_qualname == "Future.__await__"


def is_shield_done(code: CodeType) -> bool:
    """Whether it is the callback by which `shield` hands a result on."""
    return code.co_qualname == _SHIELD_DONE


def inner_of_shield(frame: FrameType) -> Any:
    """What `shield` was given, from that callback's frame."""
    return frame.f_locals.get("inner")


def shielded_by(found: Iterable[Any]) -> Any:
    """What `shield` was given, from the callbacks of the future that it made; None if none is its own."""
    for callback in found:
        if getattr(callback, "__qualname__", "") == _SHIELD_CANCELLED:
            cells = zip(callback.__code__.co_freevars, callback.__closure__ or (), strict=False)
            return next((cell.cell_contents for name, cell in cells if name == "inner"), None)
    return None


# Packages that are a multiprocessing of their own, module by module: pathos and mpire use the first.
COPIES = ("multiprocess", "billiard")


def original_module(name: str) -> str:
    """The module of Python's own that this one is a copy of; else the name itself."""
    package, _, rest = name.partition(".")
    return f"multiprocessing.{rest}" if package in COPIES and rest else name


def process_of_copy(frame: FrameType) -> Any:
    """The process that a copy of multiprocessing forks in this frame; None if it is no such frame."""
    is_launch = frame.f_code.co_qualname == "Popen._launch"
    if not is_launch or original_module(str(_module(frame))) != "multiprocessing.popen_fork":
        return None
    return frame.f_locals.get("process_obj")


_LOKY = ("loky", "joblib.externals.loky")
WORKERS = {
    ("multiprocessing.pool", "worker"),
    ("concurrent.futures.process", "_process_worker"),
    ("concurrent.futures.process", "_sendback_result"),
    *((f"{loky}.process_executor", "_process_worker") for loky in _LOKY),
    *((f"{loky}.process_executor", "_sendback_result") for loky in _LOKY),
}
RESULT_READERS = {
    ("multiprocessing.pool", "_handle_results"),
    ("concurrent.futures.process", "wait_result_broken_or_wakeup"),
    *((f"{loky}.process_executor", "wait_result_broken_or_wakeup") for loky in _LOKY),
}
QUEUES = {"multiprocessing.queues", *(f"{loky}.backend.queues" for loky in _LOKY)}
# What a worker process runs, by its module: its name, and what a pool of such workers is called.
WORKER_TARGETS = {
    "multiprocessing.pool": ("worker", "Pool"),
    "concurrent.futures.process": ("_process_worker", "ProcessPoolExecutor"),
    "loky.process_executor": ("_process_worker", "loky"),
    "joblib.externals.loky.process_executor": ("_process_worker", "joblib"),
}
MANAGER = "BaseManager._run_server"  # what the process of a multiprocessing.Manager runs
THREAD_WORKER = ("concurrent.futures.thread", "_worker")
THREAD_POOL_WORKER = ("multiprocessing.pool", "worker")
ANYIO_WORKER = ("anyio._backends._asyncio", "WorkerThread")
BACKGROUND_JOBS = "IPython.lib.backgroundjobs"  # its threads run what the user gave them
# What a thread runs that waits for requests, or for records of a log, and serves each.
SERVERS = {("socketserver", "BaseServer.serve_forever"), ("logging.handlers", "QueueListener._monitor")}
# Threads that a library starts for itself: (module, qualified name), "" for everything in the module.
HELPER_THREADS = frozenset(
    {
        ("multiprocessing.pool", "Pool._handle_workers"),
        ("multiprocessing.pool", "Pool._handle_tasks"),
        ("multiprocessing.pool", "Pool._handle_results"),
        ("multiprocessing.queues", ""),  # QueueFeederThread
        ("multiprocessing.managers", ""),
        ("multiprocessing.resource_sharer", ""),
        ("multiprocessing.resource_tracker", ""),
        ("multiprocessing.forkserver", ""),
        ("concurrent.futures.process", ""),  # the executor's manager
        ("asyncio.unix_events", ""),  # one waitpid per subprocess
        ("asyncio.base_events", "BaseEventLoop._do_shutdown"),  # of the default executor
        ("subprocess", ""),
        ("logging.handlers", ""),  # QueueListener
        ("tqdm._monitor", ""),
        ("grpc._channel", ""),
        ("pymongo.periodic_executor", ""),
        ("apscheduler.schedulers.blocking", ""),
    }
)
DEBUGGERS = frozenset({"debugpy", "pydevd", "_pydevd_bundle"})
# Coroutines that asyncio makes tasks of by itself; nobody starts one by hand.
HELPER_TASKS = frozenset(
    {
        "BaseEventLoop._create_server_getaddrinfo",
        "BaseEventLoop.shutdown_asyncgens",
        "BaseEventLoop.shutdown_default_executor",
        "BaseSelectorEventLoop._accept_connection2",
        "BaseSubprocessTransport._connect_pipes",
        "Loop.shutdown_asyncgens",  # uvloop's
        "Process._feed_stdin",
        "Process._noop",
        "Process._read_stream",
        "Loop.shutdown_default_executor",
    }
)


def hands_tasks(caller: FrameType | None) -> bool:
    """Whether a Pool's own thread sends a job: by who called whom sends."""
    frame = caller.f_back if caller is not None else None
    return frame is not None and frame.f_code.co_name == "_handle_tasks"


def is_chunk(function: Any) -> bool:
    """Whether `Executor.map` has made this of several calls."""
    return getattr(function, "__name__", "") == "_process_chunk"


def is_list_of_tasks(function: Any) -> bool:
    """Whether dask gives it several of its tasks at once, as pickles."""
    names = getattr(function, "__module__", ""), getattr(function, "__name__", "")
    return names == ("dask.local", "batch_execute_tasks")


def is_batch(function: Any) -> bool:
    """Whether joblib has made this of several calls."""
    return type(function).__name__ == "BatchedCalls"
