"""A cell under a `for` header: one body, run once per item under any model."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

from concmagic import sentences
from concmagic.cell import Cell, Program
from concmagic.options import Options
from concmagic.recording import machine
from concmagic.runners.loop_compile import compile_body
from concmagic.runners.loop_header import Header, Source, compile_header
from concmagic.runners.loop_jobs import LoopRun
from concmagic.runners.loop_results import Results

NAME = "the loop body"  # what messages and tasks call the body's function

_MOST_THREADS = 32


def make_program(cell: Cell, options: Options, shell: Any) -> Program:
    """Compile header and body; the program's value is the list of the items' values, None if all are.

    Raises OptionError or BodyError with one sentence, SyntaxError as a plain cell does.
    """
    header = compile_header(cell, options, shell)
    code = compile_body(cell, header, options, shell)
    loop = _Loop(cell, options, shell, header, types.FunctionType(code, shell.user_ns, NAME))
    note = "" if options.workers else sentences.workers_note(loop.workers, options.model)
    is_async = options.model == "asyncio"
    return Program(is_async, loop.run_async if is_async else loop.run, loop.records, note)


class _Loop:
    """One header with its body, ready to run."""

    def __init__(self, cell: Cell, options: Options, shell: Any, header: Header, body: Any) -> None:
        self._cell = cell
        self._options = options
        self._shell = shell
        self._header = header
        body.__qualname__ = NAME
        self._body: Callable[[Any], Any] = body
        self._run = LoopRun(header.names, options.keep_going)
        self.workers = options.workers or _default_workers(options.model)
        self.records = self._run.records

    def run(self) -> Results | None:
        """Run all items, in threads or processes."""
        source = self._header.begin(self._shell)
        workers = self.workers or 1
        try:
            self._run_all(source, workers)
        except KeyboardInterrupt as error:
            # It stood in a wait of ours, of which the user knows nothing.
            raise error.with_traceback(None) from None
        return self._value()

    def _run_all(self, source: Source, workers: int) -> None:
        if self._options.model == "procs":
            from concmagic.runners.loop_processes import run_in_processes

            method = self._options.start_method
            run_in_processes(self._run, source, self._body, workers, self._cell.file, method)
        else:
            from concmagic.runners.loop_threads import run_in_threads

            run_in_threads(self._run, source, self._body, workers, self._cell.file)

    async def run_async(self) -> Results | None:
        """Run all items, as tasks on the loop that is running."""
        from concmagic.runners.loop_tasks import run_in_tasks

        source = await self._header.begin_async(self._shell)
        jobs = self._run.jobs_of_async(source) if self._header.is_async else self._run.jobs_of(source)
        await run_in_tasks(self._run, jobs, self._body, self.workers, self._cell.file)
        return self._value()

    def _value(self) -> Results | None:
        """Bind the values where they are wanted, raise what failed, answer what is worth showing."""
        results = self._run.results()
        if self._options.results_name and (self._options.keep_going or not self._run.has_failed):
            self._cell.namespace[self._options.results_name] = results
        self._run.raise_failure()
        return None if all(value is None for value in results) else results


def _default_workers(model: str) -> int | None:
    if model == "procs":
        return machine.usable_cores()
    return min(_MOST_THREADS, machine.usable_cores() + 4) if model == "threads" else None
