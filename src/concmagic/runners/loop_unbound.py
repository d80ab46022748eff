"""A body that reads a name which it assigns: Python's error, and what to do about it."""

from __future__ import annotations

from concmagic import sentences
from concmagic.interpreter.told_in_texts import unbound_name


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
