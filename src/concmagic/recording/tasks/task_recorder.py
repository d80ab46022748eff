"""Records what asyncio does during a cell: every task, its steps, who woke it and why it had waited.

asyncio's own functions are replaced on their classes, and only from start to stop: so loops that run
already, loops that the cell starts and loops in other threads are all seen, and a user's task factory
still makes the tasks.

What a cell forgot (coroutines that were never awaited, exceptions that nobody asked for) Python itself
notices when the object is collected, and says so to the user. Two hooks listen: the words, the place and the
number of the user's warnings stay what they are.
"""

from __future__ import annotations

import asyncio
import functools
import os
import sys
import warnings
from asyncio import base_events, events
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from types import FrameType, ModuleType
from typing import TYPE_CHECKING, Any

from concmagic.clock import monotonic_ns
from concmagic.code_owner import owner_of
from concmagic.interpreter import borrowing, task_scheduling, task_steps
from concmagic.interpreter.asyncio_internals import awaited, will_warn
from concmagic.interpreter.borrowing import Patches, on_import
from concmagic.interpreter.frames_and_threads import getframe, thread_frames
from concmagic.interpreter.hook_parts import Hook
from concmagic.problems import Problem
from concmagic.recording import earlier
from concmagic.recording.guards import paused_collection
from concmagic.recording.tasks import foreign_loops
from concmagic.recording.tasks.loop_runs import run_forever_hook
from concmagic.recording.tasks.observer import Observer, acquire_hook, current_task
from concmagic.recording.tasks.task_groups import ENDED, FIRST, TOLD
from concmagic.recording.tasks.task_table import TaskEntry, code_of, user_name
from concmagic.recording.tasks.who_woke import Reader
from concmagic.records.recording import RawCode, TaskLog

if TYPE_CHECKING:
    from concmagic.recording.tasks.task_table import TaskEntry


_KEPT = 24_000  # steps that are told one by one; what comes later is summed up
_MOST_UNAWAITED = 10_000  # coroutines that were not awaited: a loop may forget a million


def unawaited_hook(observer: Observer, original: Hook) -> Hook:
    """The stand-in for what the interpreter calls to warn of a coroutine that was never awaited.

    A function around it would shift the place that is warned of.
    """

    def warn(message: Any, category: Any = None, stacklevel: int = 1, source: Any = None) -> None:
        if observer.active:
            _note_unawaited(observer, source)
        warnings.warn(message, category, stacklevel=stacklevel + 1, source=source)

    replaced: Hook = task_steps.with_other_warn(original, warn)
    return replaced


def exception_handler_hook(observer: Observer, original: Hook) -> Hook:
    """The stand-in for `BaseEventLoop.call_exception_handler`: hears of exceptions that nobody asked for."""

    @functools.wraps(original)
    def call_exception_handler(self: Any, context: dict[str, Any]) -> Any:
        if observer.active:
            _note_unretrieved(observer, context)
        return original(self, context)

    return call_exception_handler


def _note_unawaited(observer: Observer, coroutine: Any) -> None:
    try:
        code = code_of(coroutine)
        if (
            code is not None
            and owner_of(code.co_filename) == "user"
            and len(observer.unawaited) < _MOST_UNAWAITED
        ):
            name = getattr(coroutine, "__qualname__", code.co_qualname)
            observer.unawaited.append(RawCode(name, code.co_filename, code.co_firstlineno))
    except Exception as error:
        observer.fail(error)


def _note_unretrieved(observer: Observer, context: dict[str, Any]) -> None:
    try:
        if "task" in context:
            _note_destroyed(observer, context["task"])
        future = context.get("future")
        if future is None or not task_steps.is_never_retrieved(context):
            return
        # The task is being collected: its number is no longer known, its identity is still its own.
        crowd, number = observer.table.crowd, observer.table.numbers.get(id(future), 0)
        if number >= FIRST:
            crowd.forgotten(number)
            return
        for entry in reversed([*observer.table.tasks.values()]):
            if entry.ref is not None and entry.ref.identity == id(future):
                entry.unretrieved = True
                return
    except Exception as error:
        observer.fail(error)


def _note_destroyed(observer: Observer, task: Any) -> None:
    """A member of a group is collected while it waits; of what is told by itself a weak reference tells."""
    number = observer.table.numbers.get(id(task), 0)
    if number >= FIRST and not task.done():
        del observer.table.numbers[id(task)]
        observer.stream.buffer.extend((monotonic_ns(), -ENDED - observer.table.crowd.destroyed(), number))


_Loop = base_events.BaseEventLoop
_HOOKS: tuple[tuple[type | ModuleType, str, Callable[[Observer, Hook], Hook]], ...] = (
    *task_steps.HANDLE_HOOKS,
    (events.TimerHandle, "__lt__", task_scheduling.earlier_hook),
    (_Loop, "call_soon", task_scheduling.call_soon_hook),
    (_Loop, "call_later", task_steps.call_later_hook),
    (_Loop, "call_soon_threadsafe", task_scheduling.call_soon_threadsafe_hook),
    (_Loop, "stop", task_scheduling.stop_hook),
    (_Loop, "run_forever", run_forever_hook),
    (_Loop, "create_task", task_steps.create_task_hook),
    (asyncio.Lock, "acquire", acquire_hook),
    (_Loop, "call_exception_handler", exception_handler_hook),
    (*task_steps.WARNER, unawaited_hook),
)

_recording: list[TaskRecorder] = []  # those that have started and not stopped, in this process


class TaskRecorder:
    """Watches asyncio from `start()` to `stop()`."""

    def __init__(
        self, kernel_loop: asyncio.AbstractEventLoop | None = None, kept: int = _KEPT, told: int = TOLD
    ) -> None:
        self._kernel_loop = kernel_loop
        self._kept, self._told = kept, told
        self._observer: Observer | None = None
        self._patches = Patches()
        self._foreign = ExitStack()
        self._cell_task: int | None = None

    def start(self) -> None:
        """Put the hooks in place. Without a loop given, a kernel's is the one that runs here now."""
        _end_those_of_the_parent()
        loop = self._kernel_loop or _kernel_loop()
        self._observer = observer = Observer(loop, self._kept, self._told)
        if loop is not None:
            for task in asyncio.all_tasks(loop):
                observer.parents.meet(task)
        for owner, name, make in _HOOKS:
            if owner is not _Loop or _is_own(name):
                self._patches.wrap(owner, name, partial(make, observer))
        if all(_is_own(name) for name in ("create_future", "get_debug")):
            for found in task_scheduling.future_hooks(observer, _Loop):
                self._patches.set(*found)
        self._foreign.enter_context(on_import(foreign_loops.PACKAGE, self._watch_foreign))
        _recording.append(self)
        earlier.ask(self._runs_earlier_task, observer.table.knows_earlier)
        observer.active = True

    def _runs_earlier_task(self) -> bool:
        """Whether the running task is an earlier cell's."""
        number = self.number_of()
        observer = self._observer
        if number is None or observer is None or not observer.active:
            return False
        entry = observer.table.tasks.get(number)
        return entry is not None and entry.origin == "earlier"

    def _watch_foreign(self, module: ModuleType) -> None:
        observer = self._observer
        if observer is None:
            return
        try:
            for found in foreign_loops.hooks_for(module, observer):
                self._patches.set(*found)
        except (AttributeError, TypeError) as error:  # another uvloop than those that we know
            observer.problems.append(Problem.of("foreign_loop_unseen", module.__name__, error))

    def adopt_cell_task(self, task: asyncio.Task[Any]) -> None:
        """Tell that this task runs the cell itself; nothing happens if nothing is recorded."""
        if self._observer is None or not self._observer.active:
            return
        entry = self._observer.parents.meet(task)
        entry.origin, entry.parent = "user", None
        self._cell_task = entry.number

    def number_of(self, task: asyncio.Task[Any] | None = None) -> int | None:
        """The number of a task, of the running one by default; None if it has none."""
        if self._observer is None:
            return None
        if task is None:
            task = current_task()
        return None if task is None else self._observer.table.number_of(task)

    def stop(self) -> TaskLog:
        """Take the hooks away and tell what they saw."""
        observer, self._observer = self._observer, None
        if observer is None:
            return TaskLog()
        at_ns = monotonic_ns()
        observer.active = False
        observer.problems.extend(self._uninstall())
        observer.clock.close()
        observer.stream.buffer.extend(_unfinished(observer, at_ns))
        for entry in [*observer.table.tasks.values()]:  # a thread may still be creating one
            _look_at_end(observer, entry, self._cell_task)
        with paused_collection():
            return _build(observer, self._cell_task, at_ns)

    def _uninstall(self) -> list[Problem]:
        if self in _recording:
            _recording.remove(self)
        earlier.ask_no_more(self._runs_earlier_task)
        self._foreign.close()
        # What somebody has put over ours stays: ours only calls the original then.
        return [Problem.of("hook_replaced", name) for name in self._patches.restore()]


def number_of(task: asyncio.Task[Any] | None = None) -> int | None:
    """The number of a task (by default the running one) in the recording that is under way, if one is."""
    return _recording[-1].number_of(task) if _recording else None


def _is_own(name: str) -> bool:
    """Whether asyncio's loops have this function themselves, and not from a base, where it does less."""
    if name not in vars(_Loop):
        borrowing.lose(_Loop, name, "missing")
    return name in vars(_Loop) and borrowing.replaceable(_Loop, name) is not None


def _kernel_loop() -> asyncio.AbstractEventLoop | None:
    """The loop that runs a notebook's kernel, where this is one."""
    return borrowing.running_loop() if "ipykernel" in sys.modules else None


def _end_those_of_the_parent() -> None:
    """A forked child has inherited its parent's hooks, which nobody will ever ask again."""
    for recorder in [*reversed(_recording)]:
        if recorder._observer is not None and recorder._observer.pid != os.getpid():
            recorder._observer.active = False
            recorder._observer.clock.close()
            recorder._observer = None
            recorder._uninstall()


def _unfinished(observer: Observer, at_ns: int) -> Iterator[int]:
    """Steps that are being taken right now, in whatever thread: found on the threads' stacks."""
    for frame in (getframe(1), *thread_frames().values()):
        inner: FrameType | None = frame
        while inner is not None:
            if task_steps.runs_step_of_ours(inner):
                seen = inner.f_locals
                if seen.get("observer") is observer and "begin" in seen and "end" not in seen:
                    yield from (seen["begin"], at_ns, seen["number"])
            inner = inner.f_back


def _look_at_end(observer: Observer, entry: TaskEntry, cell_task: int | None) -> None:
    """Note what a task that has not ended waits for, and its name."""
    task = None if entry.ref is None else entry.ref()
    if task is not None and entry.ended_ns is None:
        entry.outcome = "left running"
        entry.name = user_name(task)
        future = awaited(task)
        if future is not None and not future.done():
            entry.last_wait = observer.waits.ended(observer.waits.look(task, future)).wait
    elif task is not None:
        entry.unretrieved = will_warn(task)  # looking counts as nothing
    if entry.number == cell_task:
        entry.name = entry.name or "cell"


def _build(observer: Observer, cell_task: int | None, stopped_ns: int) -> TaskLog:
    stream, table, folding = observer.stream, observer.table, observer.stream.folding
    stream.close()
    reader = Reader(dict(table.tasks), observer.callbacks, observer.waits.ended, observer.stops)
    reader.read(stream.records())
    log = TaskLog(
        tasks=reader.task_records(folding.merged),
        loops=reader.loop_records(dict(table.loops), folding.of_loops, observer.runs, stopped_ns),
        merged=folding.steps,
        problems=tuple(observer.problems),
        cell_task=cell_task,
        unawaited=tuple(observer.unawaited),
        long_steps=tuple(observer.clock.steps),
        groups=table.crowd.records(lambda wait: observer.waits.ended(wait).wait, stopped_ns),
    )
    table.close()
    return log
