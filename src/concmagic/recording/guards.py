"""What is ours must not cost what is the user's: it fails by itself, and somebody is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def guarded(action: Callable[[], T], failed: Callable[[BaseException], object]) -> T | None:
    """What `action` answers; None if it fails, and then `failed` is told why.

    SystemExit and the like count as failures: a module of the user's that stands in the place of one that
    ours imports may end by them. An interrupt is the user's, and comes through.
    """
    try:
        return action()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        failed(error)
        return None
