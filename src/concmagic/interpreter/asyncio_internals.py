"""Asyncio's tasks, futures, handles and loops: fields that no public function tells, and which of them run.

Also the chain of awaits: all that stands between a suspended coroutine and the future that it awaits.

Fields that every such object has are read by `attrgetter`, which is no frame of Python's; those that another
make of loop or task may lack answer a neutral value. Where a function is missing by which the running loop or
task is changed, nothing is changed, and that is told.
"""

from __future__ import annotations

import asyncio
import gc
import threading
from asyncio import events, tasks
from operator import attrgetter
from types import AsyncGeneratorType, CoroutineType, FrameType, GeneratorType
from typing import Any

from concmagic.interpreter.borrowing import Capability, borrowed, missing, running_loop

handle_parts = attrgetter("_callback", "_args", "_loop")
callback_of = attrgetter("_callback")
own_loop = attrgetter("_loop")
arguments_of = attrgetter("_args")
ready_of = attrgetter("_ready")
gathered = attrgetter("_children")  # what `gather` waits for


def running_callback(frame: FrameType) -> Any:
    """What a handle runs, whose `_run` this frame is of."""
    return getattr(frame.f_locals.get("self"), "_callback", None)


def awaited(task: Any) -> Any:
    """What a task waits for now; None if that is not known."""
    return getattr(task, "_fut_waiter", None)


def callbacks(future: Any) -> list[tuple[Any, Any]]:
    """What runs when a future is done, each with its context."""
    return [*(getattr(future, "_callbacks", None) or ())]


def is_gather(future: Any) -> bool:
    """Whether it is the future of `gather`."""
    return hasattr(future, "_children")


def error_of(future: Any) -> BaseException | None:
    """The exception of a future that is done. `exception()` would count as having retrieved it."""
    error: BaseException | None = getattr(future, "_exception", None)
    return error


def is_pending(future: Any) -> bool:
    """Whether a future is not done; one of another make is asked."""
    return bool(future._state == "PENDING")


def will_warn(task: Any) -> bool:
    """Whether asyncio is going to say that nobody has retrieved its exception."""
    return bool(getattr(task, "_log_traceback", False))


def parent_of_group(group: Any) -> Any:
    """The task that a TaskGroup belongs to."""
    return getattr(group, "_parent_task", None)


def is_free(lock: Any) -> bool:
    """Whether `acquire` would take this lock at once."""
    waiters = lock._waiters
    return not lock._locked and (waiters is None or all(waiter.cancelled() for waiter in waiters))


def runs_here(loop: Any) -> bool:
    """Whether this thread is the one that runs the loop."""
    if hasattr(loop, "_thread_id"):
        return bool(loop._thread_id == threading.get_ident())
    return running_loop() is loop  # uvloop's tells nobody


def selector_of(loop: Any) -> Any:
    """What a loop asks which descriptors are ready; None where it has no such thing."""
    return getattr(loop, "_selector", None)


def transport_of(stream: Any) -> Any:
    """The transport that a stream reads from."""
    return getattr(stream, "_transport", None)


def default_executor(loop: Any) -> Any:
    """The pool that `run_in_executor(None, …)` uses."""
    return getattr(loop, "_default_executor", None)


def is_stopping(loop: Any) -> bool:
    """Whether a loop was told to stop."""
    return bool(loop._stopping)


def set_stopping(loop: Any, stops: bool) -> None:
    """Tell a loop to stop after this round, or not to."""
    loop._stopping = stops


def set_ready(loop: Any, queue: Any) -> None:
    """Give a loop another queue of callbacks."""
    loop._ready = queue


def wake(loop: Any) -> None:
    """End a loop's wait for descriptors, also from a signal handler."""
    loop._write_to_self()


def signals_handled(loop: Any) -> set[int]:
    """The signals for which a loop has handlers."""
    return set(getattr(loop, "_signal_handlers", ()))


def open_again(loop: Any) -> None:
    """Take back what `shutdown_default_executor` and `shutdown_asyncgens` have ended."""
    pool = default_executor(loop)
    if getattr(loop, "_executor_shutdown_called", False) or getattr(pool, "_shutdown", False):
        loop._executor_shutdown_called, loop._default_executor = False, None
    loop._asyncgens_shutdown_called = False


def mark_coroutine_function(function: Any) -> None:
    """Up to 3.11, where nothing public says it: that a function returns a coroutine."""
    function._is_coroutine = borrowed(asyncio.coroutines, "_is_coroutine")


def probe_fields() -> Capability:
    """Whether futures, handles and loops whose contents are known read as they should."""
    loop = asyncio.new_event_loop()
    try:
        return _probe_with(loop)
    finally:
        loop.close()


def _probe_with(loop: asyncio.AbstractEventLoop) -> Capability:
    future, failed, error = loop.create_future(), loop.create_future(), LookupError()
    future.add_done_callback(gathered)
    failed.set_exception(error)
    handle = loop.call_soon(awaited, 1)
    found = missing(
        _callback=handle_parts(handle) == (awaited, (1,), loop),
        _callbacks=[callback for callback, _ in callbacks(future)] == [gathered],
        _exception=error_of(failed) is error and failed.exception() is error,
        _state=is_pending(future) and not is_pending(failed),
        _loop=own_loop(future) is loop,
        _ready=handle in ready_of(loop),
        _waiters=is_free(asyncio.Lock()),
        _selector=selector_of(loop),
        _stopping=not is_stopping(loop),
        _thread_id=not runs_here(loop),
    )
    handle.cancel()
    return found


Node = Any  # a suspended coroutine, generator or asynchronous generator

WRAPPERS = frozenset(
    {"async_generator_asend", "async_generator_athrow", "coroutine_wrapper", "anext_awaitable"}
)
# What every chain ends with; `inside` would find that out, too, but later.
FUTURE_ITERATOR = next((k for k in object.__subclasses__() if k.__name__ == "FutureIter"), None)
_DEEPEST = 2_000  # a chain of awaits longer than this is cut


def chain(coroutine: Node) -> list[Node]:
    """Everything between a suspended coroutine and the future it awaits, outermost first."""
    nodes: list[Node] = []
    node = coroutine
    while node is not None and len(nodes) < _DEEPEST:
        kind = type(node)
        if kind is CoroutineType:
            nodes.append(node)
            node = node.cr_await
        elif kind is FUTURE_ITERATOR:
            break
        elif kind is GeneratorType:
            nodes.append(node)
            node = node.gi_yieldfrom
        elif kind is AsyncGeneratorType:
            nodes.append(node)
            node = node.ag_await
        else:
            node = inside(node)
    return nodes


def inside(wrapper: Any) -> Node | None:
    """What one of the interpreter's small awaitables stands for, which has no attribute that tells."""
    if type(wrapper).__name__ not in WRAPPERS:
        # A coroutine of another kind than Python's own (Cython's, a loop's item) tells what it awaits.
        return getattr(wrapper, "cr_await", None)
    wanted = (CoroutineType, GeneratorType, AsyncGeneratorType)
    for other in gc.get_referents(wrapper):
        if isinstance(other, wanted) or type(other).__name__ in WRAPPERS:
            return other
    return None


def awaited_by(node: Node) -> Node | None:
    """What one of Python's own coroutines or generators awaits."""
    for attribute in ("cr_await", "gi_yieldfrom", "ag_await"):
        if hasattr(node, attribute):
            return getattr(node, attribute)
    return None


CHECK_RUNNING, RUN_ONCE = "_check_running", "_run_once"  # methods of a loop
RUNNING_LOOP = "_get_running_loop"  # of asyncio.events
# On 3.11 `uvloop.run` itself asks asyncio whether a loop runs, by this name.
UVLOOPS_ASYNCIO = "__asyncio"
UVLOOPS_IDLE = "uvloop._noop"  # the module of a function that an idle loop calls
LOOP_METHODS = ("_run_once", "run_forever", "run_until_complete")
# What a run of a loop inside one of its own callbacks reads and replaces.
_NEEDED = ("run_forever", CHECK_RUNNING, "stop", "close", "_ready", "_stopping", "_write_to_self")


def asked_of(module: Any) -> Any:
    """The running loop, as this module of asyncio's tells."""
    return getattr(module, RUNNING_LOOP)()


def set_running_loop(loop: Any) -> None:
    """Make this loop, or none, the one that runs in this thread."""
    events._set_running_loop(loop)


def leave_task(loop: Any, task: Any) -> None:
    """Make no task the running one."""
    borrowed(tasks, "_leave_task", _nothing)(loop, task)


def enter_task(loop: Any, task: Any) -> None:
    """Make this task the running one."""
    borrowed(tasks, "_enter_task", _nothing)(loop, task)


def hide_task(task: Any) -> None:
    """Take a task out of `asyncio.all_tasks()`."""
    borrowed(tasks, "_unregister_task", _nothing)(task)


def show_task(task: Any) -> None:
    """Put a task into `asyncio.all_tasks()`."""
    borrowed(tasks, "_register_task", _nothing)(task)


def _nothing(*arguments: object) -> None: ...


def run_once(loop: Any) -> None:
    """Take one round of a loop."""
    loop._run_once()


def can_nest(loop: Any) -> Any:
    """The loop's `_run_once` where all is there that a nested run needs, else None."""
    has_all = all(hasattr(loop, name) for name in _NEEDED)
    steps = hasattr(tasks, "_enter_task") and hasattr(tasks, "_leave_task")
    return getattr(type(loop), RUN_ONCE, None) if has_all and steps else None


def runners_loop(runner: Any) -> Any:
    """The loop of an `asyncio.Runner`; `get_loop` would make one."""
    return getattr(runner, "_loop", None)


def signal_handler(runner: Any) -> Any:
    """What a Runner does about an interrupt, before its first one; None if that is not known."""
    on_signal = borrowed(runner, "_on_sigint")
    return None if getattr(runner, "_interrupt_count", 1) else on_signal


def probe_running() -> Capability:
    """Whether a loop that does not run has all that is read, and the running one can be changed."""
    names = ("_enter_task", "_leave_task", "_register_task", "_unregister_task")
    found = {name: hasattr(tasks, name) for name in names}
    loop = asyncio.new_event_loop()
    before = running_loop()
    try:
        set_running_loop(None)
        changed = running_loop() is None
        set_running_loop(loop)
        changed = changed and running_loop() is loop
        nests = can_nest(loop) is not None
    finally:
        set_running_loop(before)
        loop.close()
    return missing(**found, _set_running_loop=changed, _run_once=nests)
