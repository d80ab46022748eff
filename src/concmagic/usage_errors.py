"""Errors of ours as IPython shows them: one sentence, without a traceback."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from concmagic.errors import ConcMagicError


def or_usage_error(action: Callable[[], Any]) -> Any:
    """What `action` answers; an error of ours becomes a UsageError."""
    try:
        return action()
    except ConcMagicError as error:
        raise usage_error(str(error)) from None


def usage_error(sentence: str) -> Exception:
    """What IPython shows as one sentence."""
    from IPython.core.error import UsageError

    error: Exception = UsageError(sentence)
    return error
