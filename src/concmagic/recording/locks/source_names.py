"""What the source calls a lock where it is waited for: `with LOCK`, `LOCK.acquire()`, `QUEUE.get()`."""

from __future__ import annotations

import ast
from itertools import islice
from types import CodeType
from typing import cast

from concmagic.recording.sources import Position, dotted, position_of

_TAKES_METHODS = frozenset(
    ("acquire", "wait", "wait_for", "get", "put", "join", "get_nowait", "put_nowait", "acquire_lock")
)


def line_of(code: CodeType, instruction: int) -> int:
    """The line of an instruction; the function's first where it has none."""
    position = next(islice(code.co_positions(), max(instruction, 0) // 2, None), None)
    return (position[0] if position else None) or code.co_firstlineno


def lock_names(tree: ast.Module) -> dict[Position, str]:
    """The name of what is waited for, by where; "" for anything that is computed."""
    found: dict[Position, str] = {}
    for node in ast.walk(tree):
        called = node.func if isinstance(node, ast.Call) else None
        if isinstance(called, ast.Attribute) and called.attr in _TAKES_METHODS:
            found[position_of(cast("ast.Call", node))] = dotted(called.value)
    for node in ast.walk(tree):
        if isinstance(node, ast.With):
            names = [dotted(item.context_expr) for item in node.items]
            found[position_of(node)] = names[0] if len(names) == 1 else ""  # up to 3.12 it stands for each
            found |= {
                position_of(one.context_expr): name for one, name in zip(node.items, names, strict=True)
            }
    return found
