"""What the user's code calls the thing it awaits: read from its source, not from its variables.

Asking a frame for its variables would, up to 3.12, keep alive what they stand for.
"""

from __future__ import annotations

import ast
from types import CodeType

from concmagic.recording.sources import Position, Sources, dotted, position_of

_WRAPPERS = ("wait_for", "shield")
_MAKERS = ("create_task", "ensure_future")  # what they are methods of is not what is awaited


class AwaitNames:
    """Finds names in the sources of one cell's code; each source is parsed once, after the cell."""

    def __init__(self) -> None:
        self._sources = Sources(_names)

    def at(self, code: CodeType, instruction: int, called: bool = False) -> str:
        """The name in `await NAME.get()` or `async with NAME` at this instruction; "" if there is none.

        `called` asks for "NAME.get()" where that is what is awaited: a future that a call returned.
        """
        name, call = (self._sources.at(code, instruction) if instruction >= 0 else None) or ("", "")
        return call or name if called else name


def _names(tree: ast.Module) -> dict[Position, tuple[str, str]]:
    found: dict[Position, tuple[str, str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Await):
            found[position_of(node)] = _awaited(node.value), _call(node.value)
        elif isinstance(node, ast.AsyncWith):
            names = [dotted(item.context_expr) for item in node.items]
            found[position_of(node)] = (names[0] if len(names) == 1 else "", "")  # 3.11 and 3.12 tell no more
            found.update(
                (position_of(item.context_expr), (name, ""))
                for item, name in zip(node.items, names, strict=True)
            )
    return found


def _awaited(value: ast.expr) -> str:
    """The thing whose method is awaited, or what is awaited itself; within `wait_for(…)` what that awaits."""
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute):
        if value.func.attr in _WRAPPERS and value.args:
            return _awaited(value.args[0])
        return "" if value.func.attr in _MAKERS else dotted(value.func.value)
    return dotted(value)


def _call(value: ast.expr) -> str:
    """The call whose result is awaited, without its arguments; "" where it is none, or only wraps another."""
    if not isinstance(value, ast.Call) or _last_name(value.func) in (*_WRAPPERS, *_MAKERS):
        return ""
    name = dotted(value.func)
    return f"{name}()" if name else ""


def _last_name(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""
