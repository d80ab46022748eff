"""The magics: options and cell out of IPython, value or exception and picture back into it.

What rarely changes is set by `%config ConcMagic.budget = 1_000_000`; `%config ConcMagic` shows it.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from traitlets import Bool, Dict, Int, Unicode
from traitlets.config import Configurable

from concmagic import notebook, sentences
from concmagic.cell import Shell
from concmagic.notebook import AwaitTransformer, or_usage_error, usage_error, was_awaited

if TYPE_CHECKING:
    from concmagic.options import Model, Options


MODELS: dict[str, Model] = {
    "asyncio_trace": "asyncio",
    "threads": "threads",
    "procs": "procs",
    "timeline": "timeline",
}
OLDEST_IPYTHON = (8, 18)
OLDEST_IPYKERNEL = (6, 29)

_loaded: WeakKeyDictionary[Any, Magics] = WeakKeyDictionary()


def load(shell: Shell) -> None:
    """Give a shell our magics; again is harmless. Raises UsageError where IPython or ipykernel is too old."""
    _check_versions()
    if shell not in _loaded:
        _loaded[shell] = magics = Magics(shell)
        magics.install()
        _remove_stale()


def _remove_stale() -> None:
    """Remove what killed kernels have left in the folder for temporary files, if that can be done."""
    from concmagic.recording.children import leftovers

    with suppress(Exception):  # no such folder, not readable: a later kernel does it
        leftovers.remove_folders()


def unload(shell: Shell) -> None:
    """Take everything of ours out of a shell."""
    magics = _loaded.pop(shell, None)
    if magics is not None:
        magics.remove()


class ConcMagic(Configurable):  # type: ignore[misc]
    """How concmagic records cells, in this kernel."""

    budget = Int(300_000, min=0, help=sentences.SETTING_BUDGET).tag(config=True)
    sampler = Bool(True, help=sentences.SETTING_SAMPLER).tag(config=True)
    lints = Dict(value_trait=Bool(), key_trait=Unicode(), help=sentences.SETTING_LINTS).tag(config=True)
    cancel_left_running = Bool(False, help=sentences.SETTING_CANCEL).tag(config=True)

    @property
    def lints_off(self) -> tuple[str, ...]:
        """The kebab names of the findings that are switched off."""
        return tuple(name for name, wanted in self.lints.items() if not wanted)


class Magics:
    """Our magics in one shell."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._transformer = AwaitTransformer(shell, tuple(MODELS), ("asyncio_trace",))
        self._replaced: list[tuple[dict[str, Any], str, Any]] = []
        self._settings = ConcMagic(parent=shell)

    def install(self) -> None:
        """Register everything with the shell."""
        self._shell.configurables.append(self._settings)
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
        if self._settings in self._shell.configurables:
            self._shell.configurables.remove(self._settings)

    def run_cell(self, name: str, line: str, body: str) -> Any:
        """Run the cell under its magic; answers its value, or a coroutine of it if the cell awaits us."""
        from concmagic.traced_cell import TracedCell

        awaited = was_awaited(self._shell)
        options = or_usage_error(partial(self._options, name, line))
        if options is None:
            return _nothing() if awaited else None
        if not body.strip():
            raise usage_error(sentences.NO_BODY)
        cell = notebook.cell_of(self._shell, name, line, body)
        traced = TracedCell(self._shell, self._settings, cell, options)
        return traced.run_awaited() if awaited else traced.run()

    def draw_again(self, line: str) -> None:
        """Draw the last trace again; with `--save PATH` write it instead, with `--doctor` tell what works."""
        from concmagic import api, display
        from concmagic.traced_cell import save

        words = shlex.split(line)
        if words in (["-h"], ["--help"]):
            print(sentences.TIMELINE_HELP)
            return
        if words == ["--doctor"]:
            self._show_checkup()
            return
        if words and (words[0] != "--save" or len(words) != 2):
            raise usage_error(sentences.TIMELINE_HELP)
        trace = or_usage_error(api.last)
        if words:
            save(trace, words[1])
        else:
            display.show(self._shell, trace.report())

    def _show_checkup(self) -> None:
        from concmagic import api, display, doctor

        last = api.latest()
        told = None if last is None else [problem.message for problem in last.cost.problems]
        display.show_checkup(self._shell, doctor.check(told))

    def _options(self, name: str, line: str) -> Options | None:
        """The line's options; None if it asked for help, which is then printed."""
        from concmagic import options

        if options.wants_help(line):
            print(_help(name))
            return None
        return options.parse(MODELS[name], line)

    def _register(self, kind: str, name: str, function: Callable[..., Any]) -> None:
        from IPython.core.magic import no_var_expand

        def magic(*arguments: str) -> Any:
            try:
                return function(*arguments)
            except KeyboardInterrupt as error:  # also one that came as the cell was over
                from concmagic.runners.tracebacks import hide_ours

                hide_ours(error)
                raise

        magic.__doc__ = sentences.TIMELINE_HELP if kind == "line" else sentences.MAGIC_HELP
        if kind == "cell":  # `%%threads?` asks for it; the options need not be read before
            magic.getdoc = partial(_help, name)  # type: ignore[attr-defined]
        table = self._shell.magics_manager.magics[kind]
        self._replaced.append((table, name, table.get(name)))
        self._shell.register_magic_function(no_var_expand(magic), kind, name)


def _help(name: str) -> str:
    from concmagic import options

    return options.help_text(MODELS[name])


async def _nothing() -> None:
    """What a magic that ran nothing answers to a cell that awaits it."""


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
            raise usage_error(sentences.too_old(name, str(module.__version__), needed))
