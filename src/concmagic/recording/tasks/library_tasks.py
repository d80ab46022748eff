"""Tasks that are not asyncio's: trio's and curio's, and greenlets, as gevent runs them.

trio tells by an instrument of each of its runs, curio by an activation of each of its kernels, greenlet by
the trace function of the thread: what is public in each. Steps are exact. What a task waits for, and whether
a line of the user's ran in it, is told by its frames while it is suspended; one in which none was seen is the
library's own, and left out.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

from concmagic.clock import monotonic_ns
from concmagic.interpreter.borrowing import Patches, on_import
from concmagic.interpreter.suspended import Standing, is_hub, of_coroutine, of_greenlet
from concmagic.problems import Problem
from concmagic.recording import guards
from concmagic.recording.guards import guarded, unseen

if TYPE_CHECKING:
    from concmagic.records.recording import TaskLog, Wait

_FIRST = 1 << 40  # numbers of tasks and loops: asyncio's are below
_MOST_STEPS = 20_000


class _Task:
    """One task; keeps nothing of the library's alive."""

    def __init__(self, number: int, loop: int, parent: int | None) -> None:
        self.number, self.loop, self.parent = number, loop, parent
        self.created_ns = monotonic_ns()
        self.ended_ns: int | None = None
        self.steps: list[tuple[int, int]] = []
        self.waits: list[tuple[int, Standing]] = []  # when it was woken, and where it had stood
        self.begin_ns = self.woken_ns = 0
        self.first = self.last = Standing()


class Table:
    """All tasks that were seen, by the objects' identity while they live."""

    def __init__(self) -> None:
        self.tasks: list[_Task] = []
        self.loops: dict[tuple[int, str], int] = {}
        self._alive: dict[int, _Task] = {}
        self._steps = 0

    def task(self, one: Any, library: str, parent: Any = None) -> _Task:
        """The task of this object, new if it is."""
        found = self._alive.get(id(one))
        if found is None:
            loop = self.loops.setdefault((threading.get_native_id(), library), _FIRST + len(self.loops))
            above = self._alive.get(id(parent))
            found = _Task(_FIRST + len(self.tasks), loop, None if above is None else above.number)
            self._alive[id(one)] = found
            self.tasks.append(found)
        return found

    def woken(self, task: _Task) -> None:
        """It could go on."""
        task.woken_ns = task.woken_ns or monotonic_ns()

    def begins(self, task: _Task) -> None:
        """A step of it begins."""
        task.begin_ns = monotonic_ns()
        if task.steps and self._steps < _MOST_STEPS:
            task.waits.append((task.woken_ns or task.begin_ns, task.last))
        task.woken_ns = 0

    def suspended(self, task: _Task, standing: Standing) -> None:
        """A step of it has ended; what is beyond the most that are kept is not known."""
        if task.begin_ns and self._steps < _MOST_STEPS:
            self._steps += 1
            task.steps.append((task.begin_ns, monotonic_ns()))
        task.last = standing
        task.first = task.first if task.first.name else standing
        task.begin_ns = 0

    def ended(self, one: Any, task: _Task) -> None:
        """It will run no more."""
        if task.begin_ns:
            self.suspended(task, Standing())
        task.ended_ns = monotonic_ns()
        self._alive.pop(id(one), None)

    def log(self) -> TaskLog | None:
        """All of it as records."""
        from concmagic.records.recording import LoopRecord, TaskLog

        users = [task for task in self.tasks if task.first.name]
        if not users:
            return None
        loops = [LoopRecord(number, thread, False, ()) for (thread, _), number in self.loops.items()]
        waits: dict[Standing, Wait] = {}
        return TaskLog(tuple(_record(task, waits) for task in users), tuple(loops))


def _record(task: _Task, waits: dict[Standing, Wait]) -> Any:
    from concmagic.records.recording import TaskRecord, Wait, Wake

    def wait_at(standing: Standing) -> Wait:
        return waits.setdefault(standing, Wait(standing.reason, "", *standing.at))

    wakes = tuple(Wake(at_ns, "unknown", wait=wait_at(standing)) for at_ns, standing in task.waits)
    is_over = task.ended_ns is not None
    return TaskRecord(
        number=task.number,
        name="",
        coroutine=task.first.name,
        file=task.first.file,
        line=task.first.first_line,
        parent=task.parent,
        loop=task.loop,
        origin="user",
        created_ns=task.created_ns,
        ended_ns=task.ended_ns,
        outcome="" if is_over else "left running",  # what came of it is not told
        exception="",
        steps=tuple(task.steps),
        wakes=wakes,
        last_wait=None if is_over else wait_at(task.last),
    )


class LibraryTasks:
    """Observes them from `start` to `stop`, in the thread that starts it and in all runs that begin."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self._table = Table()
        self._patches = Patches()
        self._imports = ExitStack()

    def start(self) -> None:
        """Watch what is imported, now or later."""
        for package, watch in (("trio", self._trio), ("curio", self._curio), ("greenlet", self._greenlet)):
            self._imports.enter_context(on_import(package, partial(self._guard, watch)))

    def stop(self) -> TaskLog | None:
        """Leave nothing, and hand over what was seen."""
        self._imports.close()
        self._patches.restore()
        return self._table.log()

    def _guard(self, watch: Any, module: Any) -> None:
        guarded(partial(watch, module), self._failed)

    def _failed(self, error: BaseException) -> None:
        problem = Problem.of("recorder_failed", "tasks", error)
        if problem not in self.problems:
            self.problems.append(problem)

    def _trio(self, module: Any) -> None:
        self._patches.wrap(module, "run", partial(_with_instrument, self._table))

    def _curio(self, module: Any) -> None:
        self._patches.wrap(module.Kernel, "__init__", partial(_with_activation, self._table))

    def _greenlet(self, module: Any) -> None:
        before = module.gettrace()
        own = partial(_switched, self._table, before)
        module.settrace(own)
        self._imports.callback(lambda: module.settrace(before) if module.gettrace() is own else None)


def _with_instrument(table: Table, original: Any) -> Any:
    def run(async_fn: Any, *args: Any, instruments: Any = (), **options: Any) -> Any:
        return original(async_fn, *args, instruments=[*instruments, _TrioInstrument(table)], **options)

    return unseen(run)


def _safe(note: Callable[..., None]) -> Callable[..., None]:
    """Whatever fails in it is a loss of ours, and nothing that the library or the user sees."""

    @functools.wraps(note)
    def safe(*given: Any) -> None:
        try:
            note(*given)
        except Exception as error:
            guards.note_loss(Problem.of("recorder_failed", "tasks", error))

    return safe


class _TrioInstrument:
    """trio calls these for each of its tasks; one that raises is removed by it."""

    def __init__(self, table: Table) -> None:
        self._table = table

    @_safe
    def task_spawned(self, task: Any) -> None:
        """It was made."""
        nursery = task.parent_nursery
        self._table.task(task, "trio", None if nursery is None else nursery.parent_task)

    @_safe
    def task_scheduled(self, task: Any) -> None:
        """It can go on."""
        self._table.woken(self._table.task(task, "trio"))

    @_safe
    def before_task_step(self, task: Any) -> None:
        """It goes on."""
        self._table.begins(self._table.task(task, "trio"))

    @_safe
    def after_task_step(self, task: Any) -> None:
        """It awaits something, or is over."""
        self._table.suspended(self._table.task(task, "trio"), of_coroutine(task.coro))

    @_safe
    def task_exited(self, task: Any) -> None:
        """It is over; its last step is told as such afterwards, and is cut here."""
        self._table.ended(task, self._table.task(task, "trio"))


def _with_activation(table: Table, original: Any) -> Any:
    def __init__(kernel: Any, *args: Any, activations: Any = None, **options: Any) -> None:
        own = _CurioActivation(table)
        original(kernel, *args, activations=[*(activations or ()), own], **options)

    return unseen(__init__)


class _CurioActivation:
    """curio calls these for each of its tasks."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def activate(self, kernel: Any) -> None:
        """A kernel begins."""

    @_safe
    def created(self, task: Any) -> None:
        """It was made."""
        self._table.task(task, "curio")

    @_safe
    def running(self, task: Any) -> None:
        """It goes on."""
        self._table.begins(self._table.task(task, "curio"))

    @_safe
    def suspended(self, task: Any, trap: Any) -> None:
        """It awaits something."""
        self._table.suspended(self._table.task(task, "curio"), of_coroutine(task.coro))

    @_safe
    def terminated(self, task: Any) -> None:
        """It is over."""
        self._table.ended(task, self._table.task(task, "curio"))


def _switched(table: Table, before: Any, event: str, pair: Any) -> None:
    """greenlet calls it in the greenlet that goes on, with the one that was left."""
    _note_switch(table, *pair)
    if before is not None:
        before(event, pair)


@_safe
def _note_switch(table: Table, origin: Any, target: Any) -> None:
    if _is_task(origin):
        task = table.task(origin, "greenlet")
        if origin.dead:
            table.ended(origin, task)
        else:
            table.suspended(task, of_greenlet(origin))
    if _is_task(target):
        table.begins(table.task(target, "greenlet"))


def _is_task(greenlet: Any) -> bool:
    """Whether it is one of many: not the thread's own, which has no parent, nor what serves them."""
    return greenlet.parent is not None and not is_hub(greenlet)
