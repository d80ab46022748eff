"""One cell under a magic: compiled, run while everything is recorded, and ended as a plain cell ends."""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from concmagic import code_owner, display, notebook, sentences
from concmagic.cell import Cell, Kept, Outcome, Program, Shell, compile_cell
from concmagic.errors import ConcMagicError
from concmagic.interpreter.borrowing import running_loop
from concmagic.notebook import on_the_users_runner, or_usage_error, usage_error, uses_asyncio
from concmagic.recording.guards import guarded
from concmagic.runners import tracebacks
from concmagic.runners.interrupts import Deferred

if TYPE_CHECKING:
    from concmagic.options import Options
    from concmagic.pipeline import Traced


class TracedCell:
    """A cell under a magic; one that does not compile fails when this is made, as it does in a plain cell."""

    def __init__(self, shell: Shell, settings: Any, cell: Cell, options: Options) -> None:
        self._shell = shell
        self._settings = settings
        self._cell = cell
        self._options = options
        self._program: Program = or_usage_error(self._compiled)
        self._problem = ""
        self._pipeline: Any = guarded(_pipeline, self._not_traced)

    def _not_traced(self, error: BaseException) -> None:
        """What traces cannot be imported: the cell runs untraced, and says so."""
        self._problem = sentences.picture_failed(error)

    def _compiled(self) -> Program:
        try:
            if self._options.header:
                from concmagic.runners.loop_body import make_program

                return make_program(self._cell, self._options, self._shell)
            return compile_cell(self._cell, self._shell)
        except SyntaxError as error:
            self._fail(error.with_traceback(None))
            raise

    def run(self) -> Any:
        """Its value, where nobody awaits us: one that awaits gets a loop of its own."""
        program = self._program_here()
        if self._pipeline is None:
            return self._ended(self._untraced(Kept(program).outcome(_run_plain, self._not_traced)))
        with Deferred() as interrupts:
            traced = or_usage_error(
                partial(self._pipeline.trace_cell, self._cell, program, self._options, self._settings)
            )
        return self._ended(_interrupted(traced) if interrupts.noted else traced)

    def _program_here(self) -> Program:
        """The program as something that is only called: nobody awaits it here."""
        if not self._program.is_async:
            return self._program
        if uses_asyncio(self._shell):
            return _on_its_own_loop(self._program)
        if self._options.header:  # its tasks are asyncio's
            raise usage_error(sentences.NEEDS_ASYNCIO_RUNNER)
        return on_the_users_runner(self._program, self._shell)

    async def run_awaited(self) -> Any:
        """Its value, where IPython awaits us: one that awaits runs on the kernel's own loop."""
        try:
            return await self._run_awaited()
        except BaseException as error:  # a click, also one that came as the cell was over, cancels us
            if isinstance(error, (KeyboardInterrupt, CancelledError)):
                tracebacks.hide_ours(error)
            raise

    async def _run_awaited(self) -> Any:
        if not self._program.is_async:
            return self.run()
        if running_loop() is None:
            raise usage_error(sentences.NEEDS_ASYNCIO_RUNNER)
        if self._pipeline is None:
            kept = Kept(self._program)
            return self._ended(self._untraced(await kept.outcome_awaited(_await_plain, self._not_traced)))
        with Deferred() as interrupts:
            try:
                traced = await self._pipeline.trace_cell_async(
                    self._cell, self._program, self._options, self._settings
                )
            except ConcMagicError as error:
                raise usage_error(str(error)) from None
        return self._ended(_interrupted(traced) if interrupts.noted else traced)

    def _untraced(self, outcome: Outcome) -> Any:
        return SimpleNamespace(outcome=outcome, trace=None, report=None, problem=self._problem)

    def _ended(self, traced: Traced) -> Any:
        """Bind what was asked for, have the picture drawn last, and end as the cell ended."""
        outcome, options, namespace = traced.outcome, self._options, self._cell.namespace
        if traced.trace is not None:
            from concmagic import api

            api.remember(traced.trace)
            if options.trace_name:
                namespace[options.trace_name] = traced.trace
        self._at_the_end(partial(self._show, traced))
        if outcome.error is not None:
            self._fail(tracebacks.from_the_cell(outcome.error, self._cell.file))
            raise outcome.error
        if options.results_name and not options.header:  # a loop has bound its list, also one of Nones
            namespace[options.results_name] = outcome.value
        return None if _is_quiet(self._shell, self._cell.source) else outcome.value

    def _fail(self, error: BaseException) -> None:
        """The caller is about to raise this: IPython is to show what it shows for a plain cell."""
        if notebook.is_running_cell(self._shell):
            self._at_the_end(tracebacks.fail_like_a_plain_cell(self._shell, error).undo)

    def _at_the_end(self, action: Callable[[], None]) -> None:
        if notebook.is_running_cell(self._shell):
            display.at_the_end(self._shell, action)
        else:
            action()

    def _show(self, traced: Traced) -> None:
        if traced.problem:
            display.tell(traced.problem)
        if traced.report is not None and not self._options.quiet:
            display.show(self._shell, traced.report)
        if traced.trace is not None and self._options.save:
            save(traced.trace, self._options.save)


def _pipeline() -> Any:
    code_owner.look_for_shadows()
    with code_owner.ours_only():
        from concmagic import pipeline
    return pipeline


def _run_plain(program: Program) -> Outcome:
    return Outcome(program.run())


async def _await_plain(program: Program) -> Outcome:
    return Outcome(await program.run())


def save(trace: Any, path: str) -> None:
    """Write the trace; a file that cannot be written is one line, not a failed cell."""
    try:
        print(sentences.saved(trace.save(path)))
    except Exception as error:
        display.tell(sentences.not_saved(path, error))


def _on_its_own_loop(program: Program) -> Program:
    """The program as one that does not await: it runs on a loop of its own, as the kernel's cannot."""
    from concmagic.runners.asyncio_run import on_a_loop_of_its_own

    note = " ".join(filter(None, (program.note, sentences.LOOP_OF_ITS_OWN)))
    return replace(program, is_async=False, run=partial(on_a_loop_of_its_own, program.run), note=note)


def _interrupted(traced: Traced) -> Traced:
    """The interrupt came when the cell's code was over: it still ends the cell."""
    error = traced.outcome.error or KeyboardInterrupt()
    return replace(traced, outcome=Outcome(error=error))


def _is_quiet(shell: Shell, source: str) -> bool:
    """Whether the cell ends in `;`."""
    try:
        return bool(shell.displayhook.semicolon_at_end_of_expression(source))
    except Exception:  # text that Python's tokenizer cannot read, as IPython magics may be
        return source.rstrip().endswith(";")
