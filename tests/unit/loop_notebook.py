"""A notebook for tests of `for` headers: a real IPython shell, without a kernel around it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from concmagic.cell import Cell, Program
from concmagic.options import Options, parse
from concmagic.recording.children.children_recorder import ChildRecorder
from concmagic.runners import tracebacks
from concmagic.runners.loop_body import make_program


class Notebook:
    """Compiles and runs loop bodies in one namespace."""

    def __init__(self, shell: InteractiveShell) -> None:
        self.shell = shell
        self.names: dict[str, Any] = shell.user_ns

    def program(self, model: Any, line: str, body: str) -> Program:
        """Header and body, compiled."""
        file = self.shell.compile.cache(body, 1)
        return make_program(Cell(body, self.names, file), parse(model, line), self.shell)

    def run(self, model: Any, line: str, body: str, **names: Any) -> Any:
        """The value of the loop; an exception comes as the cell would show it."""
        self.names.update(names)
        return self.run_program(self.program(model, line, body))

    def run_program(self, program: Program) -> Any:
        """Run what `program` compiled."""
        try:
            if program.is_async:
                return asyncio.run(_awaited(program))
            with _children():
                return program.run()
        except BaseException as error:
            tracebacks.from_the_cell(error, "")
            raise


@contextmanager
def _children() -> Iterator[None]:
    """What a traced cell has around it: the notebook's code finds its way into child processes."""
    recorder = ChildRecorder(Options("procs", detail="states"), "")
    recorder.start()
    try:
        yield
    finally:
        recorder.stop()


async def _awaited(program: Program) -> Any:
    return await program.run()


@contextmanager
def notebook() -> Iterator[Notebook]:
    """A shell of its own; afterwards the test runner's `__main__` is back."""
    main = sys.modules["__main__"]
    config = Config()
    config.HistoryManager.enabled = False
    shell = InteractiveShell(config=config)
    try:
        yield Notebook(shell)
    finally:
        shell.restore_sys_module_state()
        sys.modules["__main__"] = main
