"""How this interpreter was built.

Asked of the build and not of its state: a free-threaded build that runs with the GIL, because an extension
turned it on, is laid out as a free-threaded one, and ends a recording as unsafely as one.
"""

from __future__ import annotations

import sys
from typing import Final

# The documented text of `python -VV`. `sysconfig` knows it as Py_GIL_DISABLED, and costs a child up to 9 ms.
FREE_THREADED: Final = "free-threading build" in sys.version


def runs_without_gil() -> bool:
    """Whether this interpreter runs without the GIL at this moment."""
    return not getattr(sys, "_is_gil_enabled", lambda: True)()
