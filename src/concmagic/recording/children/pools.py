"""Pools of processes: which worker belongs to which, and which of them must start no more workers.

These are pools of a cell that was interrupted, and those whose workers die at their start.

multiprocessing.Pool replaces a dead worker for ever and lets the cell hang; an executor breaks
at once, but does not say why. After the second death at the start both get the worker's own error.
"""

from __future__ import annotations

import multiprocessing.pool
import sys
import weakref
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from concmagic import sentences
from concmagic.code_owner import ours_only
from concmagic.interpreter import pool_internals, process_internals
from concmagic.interpreter.borrowing import Patches
from concmagic.interpreter.frames_and_threads import getframe
from concmagic.interpreter.known_functions import MANAGER, WORKER_TARGETS, original_module
from concmagic.recording.children import handover_files as child_files
from concmagic.recording.children.child_table import Child
from concmagic.recording.guards import unseen
from concmagic.recording.library_starts import library_of

if TYPE_CHECKING:
    from concmagic.recording.children.child_config import HooksProtocol
    from concmagic.records.handed_over import Origin

DEATHS_AT_START = 2


class Groups:
    """Numbers the pools as they appear: all workers of one share their queue."""

    def __init__(self) -> None:
        self._names: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()
        self._count: dict[str, int] = {}

    def of(self, process_obj: Any) -> tuple[Origin, str]:
        """Origin and group of a process that is about to start."""
        target = process_internals.target_of(process_obj)
        if getattr(target, "__qualname__", "") == MANAGER:
            return "machinery", ""
        family = family_of(target)
        if not family:
            kind = type(process_obj) if target is None else target
            return "user", library_of(kind, getframe(1))
        arguments = process_internals.arguments_of(process_obj)[0] if family else ()
        return "user", self.name_of(arguments[0], family) if arguments else ""

    def known(self, queue: Any) -> str:
        """The name of the pool that has this queue, if any of its workers were started here."""
        return self._names.get(queue, "")

    def name_of(self, queue: Any, family: str) -> str:
        """The name of the pool that has this queue: "Pool-1"."""
        name = self._names.get(queue)
        if name is None:
            self._count[family] = number = self._count.get(family, 0) + 1
            self._names[queue] = name = f"{family}-{number}"
        return name


def family_of(target: Any) -> str:
    """ "Pool", "ProcessPoolExecutor" for the function that a worker runs, else ""."""
    module = getattr(target, "__module__", "")
    function, family = WORKER_TARGETS.get(original_module(str(module)), ("", ""))
    return family if function and getattr(target, "__name__", "") == function else ""


class Pools:
    """What is known of the pools of this process."""

    def __init__(self, hooks: HooksProtocol) -> None:
        self._hooks = hooks
        self.groups = Groups()
        self._pools: dict[int, weakref.ref[Any]] = {}  # id of a Pool's list of workers → the Pool
        self._deaths: dict[str, list[str]] = {}  # group → errors of workers that died at their start
        self._seen: set[tuple[int, int]] = set()
        self._is_closed = False

    def reset(self) -> None:
        """In a forked child: the parent's pools are not its own."""
        self.__init__(self._hooks)  # type: ignore[misc]

    def patch_loaded(self, patches: Patches) -> None:
        """Watch ProcessPoolExecutor too, as soon as it is imported."""
        manager = pool_internals.manager_class()
        if manager is not None and not patches.has(manager, pool_internals.BREAK):
            patches.wrap(manager, pool_internals.BREAK, partial(_terminate_broken, self))

    def patch(self, patches: Patches) -> None:
        """Watch multiprocessing.Pool."""
        kind = multiprocessing.pool.Pool
        patches.wrap(kind, pool_internals.FIRST_WORKERS, self._first_workers)
        # From the class it comes as what it is, and not as its static method.
        patches.wrap(kind, pool_internals.MORE_WORKERS, lambda one: staticmethod(self._new_workers(one)))
        patches.wrap(kind, pool_internals.TAKE_BACK, lambda one: staticmethod(self._taking_back(one)))

    def close(self) -> None:
        """Let no pool start another worker."""
        self._is_closed = True

    def fail_jobs(self) -> None:
        """No worker will do what is left: whoever waits for it is told."""
        for known in list(self._pools.values()):
            pool = known()
            if pool is not None:
                pool_internals.break_pool(pool, _errors().ChildEndedError(sentences.CHILDREN_ENDED))

    def free(self) -> None:
        """The workers are gone: let go of the locks that they died with, or the pools could not be closed."""
        for known in list(self._pools.values()):
            pool = known()
            for lock in pool_internals.workers_locks(pool) if pool is not None else ():
                lock.acquire(block=False)
                lock.release()

    def deaths(self, queue: Any) -> list[str]:
        """The errors of the workers at this queue that died before they could take a job."""
        group = self.groups.known(queue)
        found = self._deaths.setdefault(group, [])
        for child in self._hooks.family.children:
            key = child.pid, child.started_ns
            if group and child.group == group and key not in self._seen:
                error = self._error_at_start(child)
                found.extend([error] if error else [])
                if error or child.ended_ns is not None:
                    self._seen.add(key)
        return found

    def deaths_told(self, manager: Any) -> list[str]:
        """The errors of an executor's workers that died before they could take a job."""
        return self._hooks.guard(lambda: self.deaths(manager.call_queue)) or []

    def _note(self, pool: Any) -> None:
        self._pools[id(pool_internals.workers_of(pool))] = weakref.ref(pool)

    def _error_at_start(self, child: Child) -> str:
        """What kept it from starting; "" if it did start, or was ended on purpose."""
        records = child_files.read_child(Path(self._hooks.config.folder), child.pid)
        if "failed" in records:
            return str(records["failed"])
        # Its sentinel may be seen before its end is.
        if child.ended_ns is None or child.exit_code == 0 or child.is_ending or "target" in records:
            return ""
        return sentences.died_at_start(child.name, child.exit_code)

    def _taking_back(self, original: Any) -> Any:
        def _help_stuff_finish(inqueue: Any, task_handler: Any, *rest: Any) -> None:
            pool = self._with_queue(inqueue)
            if pool is None or sys.platform == "win32":
                original(inqueue, task_handler, *rest)
            else:
                pool_internals.take_back_jobs(pool, inqueue, task_handler)

        return unseen(_help_stuff_finish)

    def _with_queue(self, inqueue: Any) -> Any:
        pools = (known() for known in list(self._pools.values()))
        return next(
            (pool for pool in pools if pool is not None and pool_internals.jobs_of(pool) is inqueue), None
        )

    def _first_workers(self, original: Any) -> Any:
        def _repopulate_pool(pool: Any) -> Any:
            self._hooks.guard(partial(self._note, pool))
            return original(pool)

        return _repopulate_pool

    def _new_workers(self, original: Any) -> Any:
        def _repopulate_pool_static(
            ctx: Any, process: Any, processes: int, workers: Any, inqueue: Any, *rest: Any
        ) -> None:
            if self._is_closed:
                return
            texts = self._hooks.guard(partial(self.deaths, inqueue)) or []
            if len(texts) < DEATHS_AT_START:
                original(ctx, process, processes, workers, inqueue, *rest)
            elif not workers:  # those that did start go on with the jobs
                pool = self._pools.get(id(workers), lambda: None)()
                if pool is not None:
                    pool_internals.break_pool(pool, start_error(texts[0]))

        return _repopulate_pool_static


def start_error(text: str) -> Exception:
    """The ChildStartError of children that could not start, with a child's own traceback as its cause."""
    last = text.strip().splitlines()[-1]
    error: Exception = _errors().ChildStartError(sentences.pool_cannot_start(last))
    error.__cause__ = multiprocessing.pool.RemoteTraceback(f'\n"""\n{text}"""')  # type: ignore[attr-defined]
    return error


def _errors() -> Any:
    """Their module, loaded by who has one to raise: a child that starts does not wait for it."""
    with ours_only():
        from concmagic import errors
    return errors


def _terminate_broken(pools: Pools, original: Any) -> Any:
    def terminate_broken(manager: Any, cause: Any) -> None:
        texts = pools.deaths_told(manager)
        original(manager, [texts[0]] if texts and not cause else cause)

    return unseen(terminate_broken)
