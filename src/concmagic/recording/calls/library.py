"""VizTracer's own tracer, without the rest of VizTracer where nobody has imported that."""

from __future__ import annotations

import importlib.util
import sys
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader
from types import ModuleType

_NAME = "viztracer.snaptrace"
_known = ""


def know(file: str) -> None:
    """In a child: its parent has loaded it from there."""
    global _known
    _known = file


def load() -> ModuleType:
    """The extension module; with its file known nothing else is imported, which takes a child 5 ms.

    Whoever imports VizTracer later gets this very module.
    """
    if _NAME not in sys.modules and _known.endswith(EXTENSION_SUFFIXES[0]):  # of this very Python
        try:
            return _load_from(_known)
        except (ImportError, OSError):
            sys.modules.pop(_NAME, None)
    from viztracer import snaptrace

    module: ModuleType = snaptrace
    return module


def _load_from(file: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(_NAME, file, loader=ExtensionFileLoader(_NAME, file))
    if spec is None or spec.loader is None:
        raise ImportError(file)
    module = sys.modules[_NAME] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def file() -> str:
    """Where it lies; "" if it was not loaded here."""
    return getattr(sys.modules.get(_NAME), "__file__", "") or ""
