"""The magics: options and cell out of IPython, value or exception and picture back into it."""

from __future__ import annotations

import asyncio
import shlex
import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from concmagic import notebook, sentences, settings
from concmagic.awaiting import AwaitTransformer, was_awaited
from concmagic.errors import ConcMagicError

if TYPE_CHECKING:
    from concmagic.cell import Cell, Program
    from concmagic.options import Model, Options
    from concmagic.pipeline import Traced

MODELS: dict[str, Model] = {
    "asyncio_trace": "asyncio",
    "threads": "threads",
    "procs": "procs",
    "timeline": "timeline",
}
OLDEST_IPYTHON = (8, 18)
OLDEST_IPYKERNEL = (6, 29)

_loaded: WeakKeyDictionary[Any, Magics] = WeakKeyDictionary()


def load(shell: Any) -> None:
    """Give a shell our magics; again is harmless. Raises UsageError where IPython or ipykernel is too old."""
    _check_versions()
    if shell not in _loaded:
        _loaded[shell] = magics = Magics(shell)
        magics.install()


def unload(shell: Any) -> None:
    """Take everything of ours out of a shell."""
    magics = _loaded.pop(shell, None)
    if magics is not None:
        magics.remove()


class Magics:
    """Our magics in one shell."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._transformer = AwaitTransformer(shell, tuple(MODELS))
        self._replaced: list[tuple[dict[str, Any], str, Any]] = []
        self._settings: settings.ConcMagic | None = None

    def install(self) -> None:
        """Register everything with the shell."""
        self._settings = settings.install(self._shell)
        self._shell.input_transformers_post.append(self._transformer)
        for name in MODELS:
            self._register("cell", name, partial(self.run_cell, name))
        self._register("line", "timeline", self.draw_again)

    def remove(self) -> None:
        """Undo `install`."""
        while self._replaced:
            table, name, before = self._replaced.pop()
            table.pop(name, None)
            if before is not None:
                table[name] = before
        if self._transformer in self._shell.input_transformers_post:
            self._shell.input_transformers_post.remove(self._transformer)
        if self._settings is not None:
            settings.remove(self._shell, self._settings)

    def run_cell(self, name: str, line: str, body: str) -> Any:
        """Run the cell under its magic; answers its value, or a coroutine of it if the cell awaits us."""
        awaited = was_awaited(self._shell)
        options = _or_usage_error(partial(self._options, name, line))
        if options is None:
            return _nothing() if awaited else None
        if not body.strip():
            raise _usage_error(sentences.NO_BODY)
        cell = notebook.cell_of(self._shell, name, line, body)
        program = _or_usage_error(partial(self._program, cell, options))
        if awaited:
            return self._trace_awaiting(cell, program, options)
        return self._trace(cell, program, options)

    def draw_again(self, line: str) -> None:
        """Draw the last trace again; with `--save PATH` write it instead (.html .svg .txt .json .json.gz)."""
        from concmagic import api, display

        words = shlex.split(line)
        if words in (["-h"], ["--help"]):
            print(sentences.TIMELINE_HELP)
            return
        if words and (words[0] != "--save" or len(words) != 2):
            raise _usage_error(sentences.TIMELINE_HELP)
        trace = _or_usage_error(api.last)
        if words:
            self._save(trace, words[1])
        else:
            display.show(self._shell, trace.report())

    def _options(self, name: str, line: str) -> Options | None:
        """The line's options; None if it asked for help, which is then printed."""
        from concmagic import options_line

        if options_line.wants_help(line):
            print(_help(name))
            return None
        return options_line.parse(MODELS[name], line)

    def _program(self, cell: Cell, options: Options) -> Program:
        """Compile the cell; code that does not compile fails as it does in a plain cell."""
        try:
            if options.header:
                from concmagic.runners.loop_body import make_program

                return make_program(cell, options, self._shell)
            from concmagic.runners.whole_cell import compile_cell

            return compile_cell(cell, self._shell)
        except SyntaxError as error:
            self._fail(error.with_traceback(None))
            raise

    def _trace(self, cell: Cell, program: Program, options: Options) -> Any:
        from concmagic import pipeline
        from concmagic.runners.interrupts import Deferred

        if program.is_async:
            program = _on_its_own_loop(program)
        run = partial(pipeline.trace_cell, cell, program, options, self._settings)
        with Deferred() as interrupts:
            traced = _or_usage_error(run)
        return self._ended(cell, options, _interrupted(traced) if interrupts.noted else traced)

    async def _trace_awaiting(self, cell: Cell, program: Program, options: Options) -> Any:
        from concmagic import pipeline
        from concmagic.runners.interrupts import Deferred

        if not program.is_async:
            return self._trace(cell, program, options)
        if asyncio._get_running_loop() is None:
            raise _usage_error(sentences.NEEDS_ASYNCIO_RUNNER)
        with Deferred() as interrupts:
            try:
                traced = await pipeline.trace_cell_async(cell, program, options, self._settings)
            except ConcMagicError as error:
                raise _usage_error(str(error)) from None
        return self._ended(cell, options, _interrupted(traced) if interrupts.noted else traced)

    def _ended(self, cell: Cell, options: Options, traced: Traced) -> Any:
        """Bind what was asked for, have the picture drawn last, and end as the cell ended."""
        from concmagic import api
        from concmagic.runners import tracebacks

        outcome = traced.outcome
        if traced.trace is not None:
            api.remember(traced.trace)
            if options.trace_name:
                cell.namespace[options.trace_name] = traced.trace
        self._at_the_end(partial(self._show, options, traced))
        if outcome.error is not None:
            self._fail(tracebacks.from_the_cell(outcome.error, cell.file))
            raise outcome.error
        if options.results_name and not options.header:  # a loop has bound its list, also one of Nones
            cell.namespace[options.results_name] = outcome.value
        return None if _is_quiet(self._shell, cell.source) else outcome.value

    def _fail(self, error: BaseException) -> None:
        """The caller is about to raise this: IPython is to show what it shows for a plain cell."""
        from concmagic.runners import tracebacks

        if notebook.is_running_cell(self._shell):
            self._at_the_end(tracebacks.fail_like_a_plain_cell(self._shell, error).undo)

    def _at_the_end(self, action: Callable[[], None]) -> None:
        from concmagic import display

        if notebook.is_running_cell(self._shell):
            display.at_the_end(self._shell, action)
        else:
            action()

    def _show(self, options: Options, traced: Traced) -> None:
        from concmagic import display

        if traced.problem:
            display.tell(traced.problem)
        if traced.report is not None and not options.quiet:
            display.show(self._shell, traced.report)
        if traced.trace is not None and options.save:
            self._save(traced.trace, options.save)

    def _save(self, trace: Any, path: str) -> None:
        """Write the trace; a file that cannot be written is one line, not a failed cell."""
        from concmagic import display

        try:
            print(sentences.saved(trace.save(path)))
        except Exception as error:
            display.tell(sentences.not_saved(path, error))

    def _register(self, kind: str, name: str, function: Callable[..., Any]) -> None:
        from IPython.core.magic import no_var_expand

        def magic(*arguments: str) -> Any:
            return function(*arguments)

        magic.__doc__ = sentences.TIMELINE_HELP if kind == "line" else sentences.MAGIC_HELP
        if kind == "cell":  # `%%threads?` asks for it; the options need not be read before
            magic.getdoc = partial(_help, name)  # type: ignore[attr-defined]
        table = self._shell.magics_manager.magics[kind]
        self._replaced.append((table, name, table.get(name)))
        self._shell.register_magic_function(no_var_expand(magic), kind, name)


def _on_its_own_loop(program: Program) -> Program:
    """The same program for where the kernel's loop cannot be awaited on."""
    from dataclasses import replace

    from concmagic.runners.asyncio_run import on_a_loop_of_its_own

    note = " ".join(filter(None, (program.note, sentences.LOOP_OF_ITS_OWN)))
    return replace(program, is_async=False, run=partial(on_a_loop_of_its_own, program.run), note=note)


def _interrupted(traced: Traced) -> Traced:
    """The interrupt came when the cell's code was over: it still ends the cell."""
    from dataclasses import replace

    from concmagic.cell import Outcome

    error = traced.outcome.error or KeyboardInterrupt()
    return replace(traced, outcome=Outcome(error=error))


def _help(name: str) -> str:
    from concmagic import options_line

    return options_line.help_text(MODELS[name])


def _or_usage_error(action: Callable[[], Any]) -> Any:
    """Errors of ours are one sentence for the user, without a traceback."""
    try:
        return action()
    except ConcMagicError as error:
        raise _usage_error(str(error)) from None


def _usage_error(sentence: str) -> Exception:
    from IPython.core.error import UsageError

    error: Exception = UsageError(sentence)
    return error


async def _nothing() -> None:
    """What a magic that ran nothing answers to a cell that awaits it."""


def _is_quiet(shell: Any, source: str) -> bool:
    """Whether the cell ends in `;`."""
    try:
        return bool(shell.displayhook.semicolon_at_end_of_expression(source))
    except Exception:  # text that Python's tokenizer cannot read, as IPython magics may be
        return source.rstrip().endswith(";")


def _check_versions() -> None:
    """Raises UsageError where IPython or ipykernel is too old."""
    import IPython

    tools = [
        ("ipython", IPython, OLDEST_IPYTHON),
        ("ipykernel", sys.modules.get("ipykernel"), OLDEST_IPYKERNEL),
    ]
    for name, module, oldest in tools:
        if module is not None and tuple(module.version_info[:2]) < oldest:
            needed = ".".join(map(str, oldest))
            raise _usage_error(sentences.too_old(name, str(module.__version__), needed))
