"""Whose task it is: the user's, a library's helper, or the kernel's own.

Decided once per task, when it is created, by what created it and whose code it runs.
"""

from __future__ import annotations

from types import CodeType, FrameType
from typing import TYPE_CHECKING, Any

from concmagic.code_owner import KERNEL, owner_of
from concmagic.interpreter.known_functions import HELPER_TASKS
from concmagic.interpreter.thread_internals import target_of, thread_of

if TYPE_CHECKING:
    from concmagic.records.handed_over import Origin


def is_kernels_thread(ident: int) -> bool:
    """Whether the kernel started this thread for itself (its channels, its output)."""
    thread = thread_of(ident)
    target = target_of(thread)
    modules = (type(thread).__module__, getattr(target, "__module__", None) or "")
    return any(module.partition(".")[0] in KERNEL for module in modules)


def code_of(coroutine: Any) -> CodeType | None:
    """The code object behind a coroutine or generator; None for one that is not written in Python."""
    for attribute in ("cr_code", "gi_code", "ag_code"):
        code = getattr(coroutine, attribute, None)
        if isinstance(code, CodeType):
            return code
    return None


def creating_frame(frame: FrameType | None, stop: tuple[CodeType, ...]) -> FrameType | None:
    """The innermost frame that is neither asyncio's nor ours; None if the loop itself called.

    `stop` are the codes of the functions that run a loop's callbacks: what stands outside them
    started the loop and did not create the task.
    """
    while frame is not None and frame.f_code not in stop:
        if owner_of(frame.f_code.co_filename) not in ("stdlib", "ours"):
            return frame
        frame = frame.f_back
    return None


def origin_of(parent: Origin | None, creator: FrameType | None, name: str, file: str) -> Origin:
    """Whose task this is: `name` and `file` are its coroutine's, `parent` the origin of its parent."""
    runs = owner_of(file) if file else "user"
    if (runs in ("stdlib", "library") or not file) and name in HELPER_TASKS:
        return "machinery"
    if parent == "user":
        return "user"
    made_by = owner_of(creator.f_code.co_filename) if creator is not None else "stdlib"
    if made_by in ("user", "library"):
        return "user"
    # Kernel code that starts a coroutine of the notebook's (a widget's callback) does so for the user.
    if runs in ("kernel", "ours") or (made_by == "kernel" and runs == "stdlib"):
        return "kernel"
    return "user"


def origin_before_cell(file: str) -> Origin:
    """Whose task it is that was there before the cell, where its creation was not seen."""
    if owner_of(file) in ("user", "library") and file:
        return "user"
    return "kernel"
