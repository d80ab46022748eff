"""VizTracer's own tracer, without the rest of VizTracer and without what that would import."""

from __future__ import annotations

import _imp
import builtins
import ctypes
import sys
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, ModuleSpec, PathFinder
from importlib.util import find_spec, spec_from_file_location
from types import ModuleType
from typing import Any

_NAME = "viztracer.snaptrace"
# The extension imports it when it is loaded, for programs that run on it. Where nobody has imported it there
# is no such program; its import would take several times as long as all else, and starts a process.
_UNWANTED = "trio"

_known = ""
_loaded: list[ModuleType] = []  # by us: one at most


def know(file: str) -> None:
    """In a child: its parent has loaded it from there."""
    global _known
    _known = file


def load() -> ModuleType:
    """The extension module; nothing else of VizTracer is imported, which takes a child 5 ms.

    Nothing of it stands in `sys.modules`: a later import of VizTracer is the user's own and goes as ever.
    It gets the very same tracer type.
    """
    module = loaded()
    if module is None:
        module = _load_known() or _execute(_find())
        _loaded.append(module)
    return module


def loaded() -> ModuleType | None:
    """The extension module if the user or we have loaded it."""
    return _loaded[0] if _loaded else sys.modules.get(_NAME)


def file() -> str:
    """Where it lies; "" if it was not loaded here."""
    return getattr(loaded(), "__file__", "") or ""


def pointer(file: str, name: str) -> ctypes.c_void_p | None:
    """A pointer that its C code keeps; None where the platform exports no such symbol (Windows)."""
    try:
        return ctypes.c_void_p.in_dll(ctypes.PyDLL(file), name)
    except (OSError, ValueError):
        return None


def current_tracer() -> int:
    """Address of the VizTracer tracer that collects now, 0 is none or that it cannot be told.

    Only compared: it may be freed already.
    """
    slot = pointer(file(), "curr_tracer") if loaded() is not None else None
    return 0 if slot is None else slot.value or 0


def _load_known() -> ModuleType | None:
    """From where the parent has it; None if that is not there, or of another Python."""
    if not _known.endswith(EXTENSION_SUFFIXES[0]):
        return None
    spec = spec_from_file_location(_NAME, _known, loader=ExtensionFileLoader(_NAME, _known))
    try:
        return None if spec is None else _execute(spec)
    except (ImportError, OSError):
        return None


def _find() -> ModuleSpec:
    package = find_spec("viztracer")  # executes nothing of it
    if package is None:
        raise ModuleNotFoundError("No module named 'viztracer'")
    spec = PathFinder.find_spec(_NAME, package.submodule_search_locations or ())
    if spec is None:
        raise ModuleNotFoundError(f"No module named {_NAME!r}")
    return spec


def _execute(spec: ModuleSpec) -> ModuleType:
    """Load an extension in a frame whose `__import__`, which its C code uses, is ours."""
    here = {"__builtins__": {"__import__": _import}, "spec": spec, "imp": _imp}
    module: ModuleType = eval("imp.create_dynamic(spec)", here)
    if sys.modules.get(spec.name) is module:
        del sys.modules[spec.name]
    eval("imp.exec_dynamic(module)", here | {"module": module})
    return module


def _import(name: str, *rest: Any) -> Any:
    if name == _UNWANTED and not _is_imported(name):
        raise ImportError(f"{name} is left to those who use it")
    return builtins.__import__(name, *rest)


def _is_imported(name: str) -> bool:
    """Whether it is there and complete: one that a thread is just importing would be waited for."""
    spec = getattr(sys.modules.get(name), "__spec__", None)
    return spec is not None and not getattr(spec, "_initializing", False)
