"""Functions of libraries that a message, a job or a thread is known by, as module and name.

They are private and stand on the stack, or are what a thread runs: nothing else tells whose it is.
"""

from __future__ import annotations

from types import FrameType
from typing import Any

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
        ("asyncio.base_events", ""),  # shutting the default executor down
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


def is_batch(function: Any) -> bool:
    """Whether joblib has made this of several calls."""
    return type(function).__name__ == "BatchedCalls"
