"""cloudpickle's table of reducers, where it is loaded already: nothing is imported for it."""

from __future__ import annotations

import sys
from typing import Any


def dispatch_table() -> Any:
    """The table by type of the loaded cloudpickle; None if there is none."""
    engine = sys.modules.get("cloudpickle.cloudpickle")
    return getattr(getattr(engine, "Pickler", None), "_dispatch_table", None)
