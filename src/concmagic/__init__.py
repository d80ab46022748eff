"""See what your concurrent Python is really doing: a timeline under the notebook cell.

    %load_ext concmagic

then `%%asyncio_trace`, `%%threads`, `%%procs` or `%%timeline` on top of a cell.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from concmagic._version import __version__

if TYPE_CHECKING:
    from concmagic.api import Trace, last, load
    from concmagic.recording.marks import mark

__all__ = [
    "Trace",
    "__version__",
    "last",
    "load",
    "load_ipython_extension",
    "mark",
    "unload_ipython_extension",
]

# Looked up on first use, so that `import concmagic` and `%load_ext` cost next to nothing.
_HOMES = {
    "Trace": "concmagic.api",
    "last": "concmagic.api",
    "load": "concmagic.api",
    "mark": "concmagic.recording.marks",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'concmagic' has no attribute {name!r}")
    from importlib import import_module

    from concmagic.code_owner import ours_only

    with ours_only():
        return getattr(import_module(_HOMES[name]), name)


def load_ipython_extension(shell: Any) -> None:
    """Called by `%load_ext concmagic`."""
    from concmagic import magics

    magics.load(shell)


def unload_ipython_extension(shell: Any) -> None:
    """Called by `%unload_ext concmagic`."""
    from concmagic import magics

    magics.unload(shell)
