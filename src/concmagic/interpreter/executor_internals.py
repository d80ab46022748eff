"""The inside of `concurrent.futures`: work items, queues, managers and states, which nothing public tells."""

from __future__ import annotations

import sys
from typing import Any

from concmagic.interpreter.reading import borrowed, lose
from concmagic.interpreter.support import Capability, missing

BREAK = "terminate_broken"  # of the manager's class
# Classes whose `with` block is left only when the workers are done, by module and name. The Pool of
# multiprocessing is none: its exit ends the workers, and must not be cut before it has.
POOLS = frozenset(
    {
        ("concurrent.futures._base", "Executor"),
        ("joblib.parallel", "Parallel"),
        ("pebble.pool.base_pool", "BasePool"),
    }
)


def manager_class() -> Any:
    """The class of what feeds a ProcessPoolExecutor's workers; None if it is not imported."""
    return getattr(sys.modules.get("concurrent.futures.process"), "_ExecutorManagerThread", None)


def item_classes(module: Any) -> tuple[type, type] | None:
    """The classes of a job and of what is sent to a worker; None if they are not there, or no classes."""
    item, call = getattr(module, "_WorkItem", None), getattr(module, "_CallItem", None)
    return (item, call) if isinstance(item, type) and isinstance(call, type) else None


def is_sent_item(value: Any) -> bool:
    """Whether it is what an executor sends to a worker, loky's too."""
    return type(value).__name__ == "_CallItem"


def thread_item_class() -> Any:
    """The class of a ThreadPoolExecutor's job; None, told, if it has none."""
    from concurrent.futures import thread

    return borrowed(thread, "_WorkItem")


def no_item_class() -> None:
    """Tell that what is found under its name is no class."""
    from concurrent.futures import thread

    lose(thread, "_WorkItem", "no class")


def state_of(future: Any) -> str:
    """The state of a future of `concurrent.futures`, read without its lock; "" if it has none."""
    return str(getattr(future, "_state", ""))


def error_of(future: Any) -> BaseException | None:
    """What a finished job raised, read without the lock."""
    error: BaseException | None = future._exception
    return error


def queue_of(pool: Any) -> Any:
    """The jobs that a thread pool has not begun; None if it keeps them otherwise."""
    return getattr(pool, "_work_queue", None)


def manager_of(pool: Any) -> Any:
    """What feeds a process pool's workers; None if there is none."""
    return getattr(pool, "_executor_manager_thread", None)


def thread_pools() -> Any:
    """Worker thread → the queue that it reads, of all thread pools."""
    return getattr(sys.modules.get("concurrent.futures.thread"), "_threads_queues", {})


def process_pools() -> Any:
    """The managers of all process pools."""
    return getattr(sys.modules.get("concurrent.futures.process"), "_threads_wakeups", {})


def probe() -> Capability:
    """Whether a pool without workers, and a job that was done by hand, read as they should."""
    from concurrent.futures import Future, process, thread

    pool, failed, error = thread.ThreadPoolExecutor(1), Future[None](), LookupError()
    failed.set_exception(error)
    return missing(
        _work_queue=queue_of(pool),
        _state=state_of(failed) == "FINISHED",
        _exception=error_of(failed) is error,
        _WorkItem=isinstance(thread_item_class(), type),
        _CallItem=item_classes(process),
        _ExecutorManagerThread=hasattr(manager_class(), BREAK),
        _threads_queues=hasattr(thread, "_threads_queues"),
        _threads_wakeups=hasattr(process, "_threads_wakeups"),
    )
