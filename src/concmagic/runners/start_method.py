"""How the cell's child processes start, where the magic's line says so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def start_method(method: str) -> Iterator[None]:
    """Make this the default of multiprocessing while the cell runs; "" leaves it alone."""
    if not method:
        yield
        return
    import multiprocessing

    before = multiprocessing.get_start_method(allow_none=True)
    multiprocessing.set_start_method(method, force=True)
    try:
        yield
    finally:
        multiprocessing.set_start_method(before, force=True)
