"""Everything between a suspended coroutine and the future it awaits."""

from __future__ import annotations

import gc
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Any

Node = Any  # a suspended coroutine, generator or asynchronous generator

WRAPPERS = frozenset(
    {"async_generator_asend", "async_generator_athrow", "coroutine_wrapper", "anext_awaitable"}
)
# What every chain ends with; `inside` would find that out, too, but later.
FUTURE_ITERATOR = next((k for k in object.__subclasses__() if k.__name__ == "FutureIter"), None)
_DEEPEST = 2_000  # a chain of awaits longer than this is cut


def chain(coroutine: Node) -> list[Node]:
    """Everything between a suspended coroutine and the future it awaits, outermost first."""
    nodes: list[Node] = []
    node = coroutine
    while node is not None and len(nodes) < _DEEPEST:
        kind = type(node)
        if kind is CoroutineType:
            nodes.append(node)
            node = node.cr_await
        elif kind is FUTURE_ITERATOR:
            break
        elif kind is GeneratorType:
            nodes.append(node)
            node = node.gi_yieldfrom
        elif kind is AsyncGeneratorType:
            nodes.append(node)
            node = node.ag_await
        else:
            node = inside(node)
    return nodes


def inside(wrapper: Any) -> Node | None:
    """What one of the interpreter's small awaitables stands for, which has no attribute that tells."""
    if type(wrapper).__name__ not in WRAPPERS:
        # A coroutine of another kind than Python's own (Cython's, a loop's item) tells what it awaits.
        return getattr(wrapper, "cr_await", None)
    wanted = (CoroutineType, GeneratorType, AsyncGeneratorType)
    for other in gc.get_referents(wrapper):
        if isinstance(other, wanted) or type(other).__name__ in WRAPPERS:
            return other
    return None


def awaited_by(node: Node) -> Node | None:
    """What one of Python's own coroutines or generators awaits."""
    for attribute in ("cr_await", "gi_yieldfrom", "ag_await"):
        if hasattr(node, attribute):
            return getattr(node, attribute)
    return None
