"""A cell runs once, and what became of it is kept, whatever fails in what is put around it."""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from concmagic.cell import Outcome, Program
from concmagic.errors import NoTimeoutError

Failed = Callable[[BaseException], object]


class Kept:
    """A program and its outcome. `program` is the same, to be run by a runner."""

    def __init__(self, program: Program) -> None:
        self._run = program.run
        self._has_begun = False
        self._outcome: Outcome | None = None
        self.program = replace(program, run=self._awaited if program.is_async else self._called)

    def outcome(self, runner: Callable[[Program], Outcome], failed: Failed) -> Outcome:
        """What became of the cell: told by the runner or, where that has failed, by the cell's own end.

        Raises NoTimeoutError, by which a runner refuses to run it.
        """
        try:
            return runner(self.program)
        except NoTimeoutError:
            raise
        except BaseException as error:  # not the cell's own, which is an outcome
            if isinstance(error, KeyboardInterrupt):
                return Outcome(error=error)
            failed(error)
        return self._outcome or self._without_runner()

    async def outcome_awaited(
        self, runner: Callable[[Program], Awaitable[Outcome]], failed: Failed
    ) -> Outcome:
        """What became of a cell that awaits; else as `outcome`."""
        try:
            return await runner(self.program)
        except NoTimeoutError:
            raise
        except BaseException as error:
            if isinstance(error, (KeyboardInterrupt, CancelledError)):  # somebody means to end it
                return Outcome(error=error)
            failed(error)
        if self._outcome is None and not self._has_begun:
            try:
                return Outcome(await self._run())
            except BaseException as error:
                return Outcome(error=error)
        return self._outcome or Outcome()

    def _without_runner(self) -> Outcome:
        if self._has_begun:  # it was cut short by what failed
            return Outcome()
        try:
            return Outcome(self._run())
        except BaseException as error:
            return Outcome(error=error)

    def _called(self) -> Any:
        self._has_begun = True
        try:
            value = self._run()
        except BaseException as error:
            self._outcome = Outcome(error=error)
            raise
        self._outcome = Outcome(value)
        return value

    async def _awaited(self) -> Any:
        self._has_begun = True
        try:
            value = await self._run()
        except BaseException as error:
            self._outcome = Outcome(error=error)
            raise
        self._outcome = Outcome(value)
        return value
