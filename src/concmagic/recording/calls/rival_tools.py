"""Who else holds what VizTracer needs: it would not notice, and put the other out."""

from __future__ import annotations

import sys
import threading

from concmagic import sentences
from concmagic.recording.calls import library


def find_rival() -> str:
    """Name what is recording in this process already; "" is nothing. Imports nothing."""
    if current_tracer():
        return "VizTracer"
    if sys.version_info >= (3, 12):  # who is in `sys.monitoring` is no hindrance
        return ""
    hooks = [hook for hook in (sys.getprofile(), threading.getprofile()) if hook and not _idle_tracer(hook)]
    return sentences.hook_name(hooks[0]) if hooks else ""


def _idle_tracer(hook: object) -> bool:
    """A VizTracer of the user's that does not collect: merely making one sets both hooks on 3.11."""
    module = library.loaded()
    owner = getattr(hook, "__self__", hook)
    return module is not None and isinstance(owner, module.Tracer)


def current_tracer() -> int:
    """Address of the VizTracer tracer that collects now, 0 is none or that it cannot be told.

    Only compared: it may be freed already.
    """
    slot = library.pointer(library.file(), "curr_tracer") if library.loaded() is not None else None
    return 0 if slot is None else slot.value or 0
