"""The inside of pools, of `concurrent.futures` and of multiprocessing: their jobs, workers and managers.

Also how both are ended from outside. Nothing public tells of any of it.
"""

from __future__ import annotations

import multiprocessing.pool
import os
import sys
from types import SimpleNamespace
from typing import Any

from concmagic.clock import held, monotonic_ns, sleep
from concmagic.interpreter.borrowing import Capability, borrowed, lose, missing

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


def has_returned(future: Any) -> bool:
    """Whether a future of `concurrent.futures` has a result and no error, read without its lock."""
    return future._exception is None and future._state == "FINISHED"


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


def probe_executors() -> Capability:
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


FIRST_WORKERS, MORE_WORKERS = "_repopulate_pool", "_repopulate_pool_static"  # what starts them
TAKE_BACK = "_help_stuff_finish"  # reads the jobs that a pool has sent and that no worker has taken
_PATIENCE_S, _LOOK_S = 1.0, 0.1
_PATIENCE_NS = round(_PATIENCE_S * 1e9)
_PIECE = 1 << 16  # bytes


# Of thread pools of multiprocessing: where they are, what makes the tasks of a `map`, what tells a result.
THREAD_POOLS = ("multiprocessing.pool", "multiprocess.pool")
TASKS, SET = "_guarded_task_generation", "_set"


def result_classes(module: Any) -> list[Any]:
    """The classes of what a pool of this module answers, each with its own way to be given results."""
    names = "ApplyResult", "MapResult", "IMapIterator", "IMapUnorderedIterator"
    return [getattr(module, name) for name in names]


def is_of_threads(pool: Any) -> bool:
    """Whether a pool of multiprocessing has threads for its workers."""
    return isinstance(pool, multiprocessing.pool.ThreadPool)


def is_failed_iterable(function: Any) -> bool:
    """Whether it only stands for a job whose arguments could not be had."""
    return getattr(function, "__name__", "") == "_helper_reraises_exception"


def workers_of(pool: Any) -> Any:
    """The list of a Pool's workers, which what starts them is given."""
    return pool._pool


def jobs_of(pool: Any) -> Any:
    """The queue that a Pool's workers read."""
    return getattr(pool, "_inqueue", None)


def number_of(job: Any) -> int:
    """The number by which a Pool knows a job."""
    return int(job._job)


def workers_locks(pool: Any) -> list[Any]:
    """Those that a worker holds while it reads a job, or sends a result."""
    locks = getattr(pool._inqueue, "_rlock", None), getattr(pool._outqueue, "_wlock", None)
    return [lock for lock in locks if lock is not None]


def take_back_jobs(pool: Any, inqueue: Any, task_handler: Any) -> None:
    """What a Pool that ends does to the jobs that no worker has taken, whatever has become of its workers.

    Python's own waits for ever for the lock of one that an interrupt ended as it read a job, and for the rest
    of that job. Here nobody looks at what is read, and a lock that only dead ones can have is taken as had.
    """
    sends = getattr(pool._outqueue, "_wlock", None)
    if sends is not None:
        _have(sends, workers_of(pool), getattr(pool, "_result_handler", None))
        sends.release()  # the pool itself is about to send its threads word
    _have(inqueue._rlock, workers_of(pool), task_handler)
    reader = inqueue._reader
    while task_handler.is_alive() and reader.poll():
        os.read(reader.fileno(), _PIECE)
        sleep(0)


def _have(lock: Any, workers: Any, other_end: Any) -> None:
    """Take a lock from a pool's workers.

    A living one may be sending or reading: ended, it would leave half of that. Then the pool's thread at the
    other end of the pipe moves. If it does not for a while, the lock is one that a dead worker had, and those
    that live came after it.
    """
    until, moved = monotonic_ns() + _PATIENCE_NS, _core_time(other_end)
    while not lock.acquire(timeout=_LOOK_S):
        now = _core_time(other_end)
        if now != moved:
            until, moved = monotonic_ns() + _PATIENCE_NS, now
        if monotonic_ns() > until or not any(worker.is_alive() for worker in list(workers)):
            return


def _core_time(thread: Any) -> str:
    """How long a thread has computed, in the system's words; "" where it does not tell."""
    try:
        with open(f"/proc/self/task/{thread.native_id}/schedstat") as file:
            return file.read()
    except (OSError, AttributeError):  # it has ended, or is none
        return ""


def break_pool(pool: Any, error: BaseException) -> None:
    """Fail every job of this Pool, and let no new one in."""

    def _check_running() -> None:
        raise error

    pool._check_running = _check_running
    handler = getattr(pool, "_worker_handler", None)
    if handler is not None:  # else it was interrupted as it was made
        handler._state = multiprocessing.pool.TERMINATE
    for job in list(pool._cache.values()):
        _fail(job, error)


def _fail(job: Any, error: BaseException) -> None:
    """End a job of a Pool that nobody will do."""
    if isinstance(job, multiprocessing.pool.IMapIterator):
        _fail_iterator(job, error)
        return
    if isinstance(job, multiprocessing.pool.MapResult):
        job._number_left = 1  # type: ignore[attr-defined]
    job._set(0, (False, error))


def _fail_iterator(job: Any, error: BaseException) -> None:
    job._set(job._index, (False, error))
    with held(job._cond, _PATIENCE_S):  # the pool's threads have it for moments only
        job._cache.pop(job._job, None)
        # The pool's thread may still tell the length, and then takes the job out of its cache.
        job._cache = {job._job: job}
        job._length = job._index


def probe_pools() -> Capability:
    """Whether a job that belongs to no running Pool is known by its number, and can be ended from outside."""
    cache: dict[int, Any] = {}
    stand_in = SimpleNamespace(_cache=cache, _change_notifier=SimpleNamespace(put=_nothing))
    job: Any = multiprocessing.pool.ApplyResult(stand_in, None, None)  # type: ignore[arg-type]
    known, error = cache.get(number_of(job)) is job, LookupError()
    _fail(job, error)
    kind = multiprocessing.pool.Pool
    return missing(
        _job=known,
        _set=job.ready() and not job.successful(),
        _repopulate_pool=hasattr(kind, FIRST_WORKERS),
        _repopulate_pool_static=hasattr(kind, MORE_WORKERS),
        _help_stuff_finish=hasattr(kind, TAKE_BACK),
    )


def _nothing(*arguments: object) -> None: ...
