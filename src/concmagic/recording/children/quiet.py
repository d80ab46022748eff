"""Wrappers that leave no frame of ours in a traceback: a child prints what it would print without us."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def watched(original: Any, after: Callable[..., None], before: Callable[[], Any] = lambda: None) -> Any:
    """A function that does what `original` does, and then calls `after(told, result, *arguments)`.

    `told` is what `before()` answered. What `after` raises is swallowed: evidence is never worth a message.
    """

    def wrapper(*arguments: Any, **options: Any) -> Any:
        told = before()
        try:
            result = original(*arguments, **options)
        except BaseException as error:
            if error.__traceback__ is not None:
                error.__traceback__ = error.__traceback__.tb_next  # this frame's own entry
            raise  # a bare one adds none
        try:
            after(told, result, *arguments, **options)
        except Exception:
            return result
        return result

    return wrapper


def unseen(function: Callable[..., Any]) -> Any:
    """A replacement of ours that calls the original: neither it nor this wrapper stands in a traceback."""

    def wrapper(*arguments: Any, **options: Any) -> Any:
        try:
            return function(*arguments, **options)
        except BaseException as error:
            own = error.__traceback__
            if own is not None and own.tb_next is not None:
                error.__traceback__ = own.tb_next.tb_next
            raise

    return wrapper
