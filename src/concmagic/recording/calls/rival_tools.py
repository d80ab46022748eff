"""Who else holds what VizTracer needs: it would not notice, and put the other out."""

from __future__ import annotations

import sys
import threading

from concmagic import sentences
from concmagic.interpreter import viztracer_library as library


def find_rival() -> str:
    """Name what is recording in this process already; "" is nothing. Imports nothing."""
    if library.current_tracer():
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
