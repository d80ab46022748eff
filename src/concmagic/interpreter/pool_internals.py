"""The inside of multiprocessing's Pool: its workers, its jobs, and how both are ended from outside."""

from __future__ import annotations

import multiprocessing.pool
from types import SimpleNamespace
from typing import Any

from concmagic.bounded import held
from concmagic.interpreter.support import Capability, missing

FIRST_WORKERS, MORE_WORKERS = "_repopulate_pool", "_repopulate_pool_static"  # what starts them
_PATIENCE_S = 1.0


def workers_of(pool: Any) -> Any:
    """The list of a Pool's workers, which what starts them is given."""
    return pool._pool


def number_of(job: Any) -> int:
    """The number by which a Pool knows a job."""
    return int(job._job)


def workers_locks(pool: Any) -> list[Any]:
    """Those that a worker holds while it reads a job, or sends a result."""
    locks = getattr(pool._inqueue, "_rlock", None), getattr(pool._outqueue, "_wlock", None)
    return [lock for lock in locks if lock is not None]


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


def probe() -> Capability:
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
    )


def _nothing(*arguments: object) -> None: ...
