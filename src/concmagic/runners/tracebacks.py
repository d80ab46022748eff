"""A failed cell shows the traceback that a plain cell would have shown.

Two steps. `from_the_cell` takes our frames out of an exception as soon as it has left the cell.
On its way up it then collects frames of ours again; `fail_like_a_plain_cell` has IPython call us when it
catches the exception, and puts IPython's own outermost frame right before the cell's frames.

Where the body of a `for` header reads a name that it assigns, Python's error gets a note with what to do.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from concmagic import code_owner, sentences
from concmagic.interpreter import notebook_internals
from concmagic.interpreter.notebook_internals import unbound_name

if TYPE_CHECKING:
    from concmagic.cell import Shell


def from_the_cell(error: BaseException, cell_file: str) -> BaseException:
    """Let the traceback begin in the cell, with no frame of ours in it nor in what it is chained to."""
    for each in _chain(error):
        each.__traceback__ = _without_ours(each.__traceback__)
    error.__traceback__ = _beginning_in(error.__traceback__, cell_file)
    return error


def hide_ours(error: BaseException) -> None:
    """Take our frames out of an error that is raised again, bare, by the outermost of them."""
    error.__traceback__ = _without_ours(error.__traceback__)


def of_frames(frames: list[types.FrameType]) -> types.TracebackType | None:
    """A traceback of frames that still stand, outermost first."""
    traceback = None
    for frame in reversed(frames):
        traceback = types.TracebackType(traceback, frame, max(frame.f_lasti, 0), frame.f_lineno or 1)
    return traceback


def fail_like_a_plain_cell(shell: Shell, error: BaseException) -> _PlainFailure:
    """Arrange how IPython shows `error`, which the caller is about to raise.

    Call `undo` of the answer when the cell is over: IPython may never have asked.
    """
    return _PlainFailure(shell, error)


class _PlainFailure:
    """IPython's hook for one exception, for the rest of one cell."""

    def __init__(self, shell: Shell, error: BaseException) -> None:
        self._shell = shell
        self._error = error
        self._of_cell = error.__traceback__
        self._before = (shell.custom_exceptions, shell.CustomTB)
        self._hook = (type(error),), self._show
        shell.custom_exceptions, shell.CustomTB = self._hook
        self._renders = not notebook_internals.renders_itself(error)
        if self._renders:
            self._render_under_other_magics()

    def undo(self) -> None:
        """Put back what was there before; harmless if that has been done."""
        self._unhook()
        if getattr(sys, "last_value", None) is self._error:
            self._correct_what_debuggers_see()

    def _show(
        self, kind: type[BaseException], error: BaseException, traceback: Any, tb_offset: Any = None
    ) -> None:
        self._unhook()
        if error is self._error:
            traceback = error.__traceback__ = self._plain_traceback(traceback)
        if self._before[0] and isinstance(error, self._before[0]):
            self._shell.CustomTB(kind, error, traceback)
        elif isinstance(error, SyntaxError) and self._of_cell is None:
            self._show_syntax_error(error)
        else:
            self._shell.showtraceback((kind, error, traceback), running_compiled_code=True)

    def _show_syntax_error(self, error: SyntaxError) -> None:
        """The cell itself could not be compiled."""
        if isinstance(error, IndentationError):
            self._shell.showindentationerror()
        else:
            self._shell.showsyntaxerror()

    def _plain_traceback(self, traceback: types.TracebackType | None) -> types.TracebackType | None:
        """IPython's own frame, then the cell's."""
        if traceback is None:
            return None
        return types.TracebackType(self._of_cell, traceback.tb_frame, traceback.tb_lasti, traceback.tb_lineno)

    def _unhook(self) -> None:
        if self._shell.custom_exceptions is self._hook[0]:
            self._shell.custom_exceptions, self._shell.CustomTB = self._before
        if self._renders:
            self._renders = False
            with suppress(AttributeError):
                notebook_internals.render_as_usual(self._error)

    def _correct_what_debuggers_see(self) -> None:
        """SystemExit never reaches the hook; `%tb` and `%debug` read `sys.last_traceback`."""
        shown = sys.last_traceback
        if shown is not None and any(is_ours(entry.tb_frame) for entry in _entries(shown)):
            sys.last_traceback = self._error.__traceback__ = self._plain_traceback(shown)

    def _render_under_other_magics(self) -> None:
        """Another magic around ours (`%%time` of IPython 8) may show the exception by itself."""
        # No function of ours: a click while it is formatted shows where it came.
        format = self._shell.InteractiveTB.structured_traceback
        render = partial(format, type(self._error), self._error, self._of_cell, tb_offset=0)
        with suppress(AttributeError, TypeError):  # an exception that takes no attributes goes without
            notebook_internals.render_by(self._error, render)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The exception, what it is chained to and what it groups, each once."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        each = waiting.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        waiting += [each.__cause__, each.__context__]
        if isinstance(each, BaseExceptionGroup):
            waiting += each.exceptions


def _entries(traceback: types.TracebackType | None) -> Iterator[types.TracebackType]:
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next


def is_ours(frame: types.FrameType) -> bool:
    """Whether this is a frame of concmagic's own."""
    return code_owner.is_ours(frame.f_code.co_filename)


def _without_ours(traceback: types.TracebackType | None) -> types.TracebackType | None:
    entries = list(_entries(traceback))
    kept = [entry for entry in entries if not is_ours(entry.tb_frame)]
    return traceback if len(kept) == len(entries) else _joined(kept)


def _beginning_in(traceback: types.TracebackType | None, file: str) -> types.TracebackType | None:
    """Drop what called the cell; a traceback that never was in the cell stays as it is."""
    for entry in _entries(traceback):
        if entry.tb_frame.f_code.co_filename == file:
            return entry
    return traceback


def _joined(entries: list[types.TracebackType]) -> types.TracebackType | None:
    traceback = None
    for entry in reversed(entries):
        traceback = types.TracebackType(traceback, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return traceback


def explain_unbound(error: BaseException, file: str) -> None:
    """A name that the body reads and assigns: say that `global` would make it the notebook's."""
    if not isinstance(error, UnboundLocalError) or not _is_raised_by_body(error, file):
        return
    name = unbound_name(error)
    if name:
        error.add_note(sentences.is_local_to_item(name))


def _is_raised_by_body(error: BaseException, file: str) -> bool:
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    code = traceback.tb_frame.f_code if traceback is not None else None
    return code is not None and code.co_filename == file and code.co_name == "<module>"
