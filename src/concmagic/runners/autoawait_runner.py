"""Run a cell that awaits by the function that `%autoawait` names: trio's, or one of the user's own.

IPython gives such a function a coroutine that shows the cell's value and its error by itself, so the runner
meets neither. Interrupts are the runner's meanwhile: trio delivers them itself where it finds Python's own
handler, and only there.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from concmagic import sentences
from concmagic.cell import Outcome, Program, Shell


def uses_asyncio(shell: Shell) -> bool:
    """Whether cells that await run on asyncio's loop, as they do unless `%autoawait` says otherwise."""
    return bool(shell.loop_runner is shell.loop_runner_map["asyncio"][0])


def on_the_users_runner(program: Program, shell: Shell) -> Program:
    """The program as one that does not await: the shell's runner runs it to its end."""
    note = " ".join(filter(None, (program.note, sentences.ran_by(_name(shell)))))
    return replace(program, is_async=False, run=partial(_run, shell.loop_runner, program), note=note)


def _run(runner: Callable[[Any], Any], program: Program) -> Any:
    outcome = Outcome()

    async def run_cell_async() -> None:  # its name in plain cells, which some runners tell in their errors
        nonlocal outcome
        try:
            outcome = Outcome(await program.run())
        except BaseException as error:
            outcome = Outcome(error=error)

    with _plain_interrupts():
        runner(run_cell_async())
    if outcome.error is not None:
        raise outcome.error
    return outcome.value


@contextmanager
def _plain_interrupts() -> Iterator[None]:
    """Python's own handler of SIGINT, as the kernel has it around a cell."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else the cell has set another
            signal.signal(signal.SIGINT, before)


def _name(shell: Shell) -> str:
    runner = shell.loop_runner
    known = (name for name, (function, _) in shell.loop_runner_map.items() if function is runner)
    return next(known, "") or getattr(runner, "__name__", "") or type(runner).__name__
