"""What a cell's source says of loops that hand over jobs or tasks: whether their turns need each other."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Set

from concmagic.source_lookup import callee_of, parsed

_HANDS_OVER = frozenset(
    (
        *("submit", "apply", "apply_async", "run_in_executor", "to_thread", "run_coroutine_threadsafe"),
        *("create_task", "ensure_future", "Thread", "Process", "start"),
    )
)
_SIZES = ("max_workers", "processes")
_LEAVES = (ast.Break, ast.Return, ast.Raise, ast.Continue, ast.Yield, ast.YieldFrom)
_Turns = ast.For | ast.ListComp | ast.SetComp | ast.GeneratorExp
_Function = ast.FunctionDef | ast.AsyncFunctionDef


def has_one_worker(source: str) -> bool:
    """Whether the cell makes a pool of one worker: then jobs at once would wait for each other."""
    tree, _ = parsed(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and callee_of(node).endswith(("Executor", "Pool")):
            sizes = [*node.args[:1], *(word.value for word in node.keywords if word.arg in _SIZES)]
            if any(isinstance(size, ast.Constant) and size.value == 1 for size in sizes):
                return True
    return False


def are_independent(source: str, line: int, of_the_cell: bool) -> bool:
    """Whether the cell's loop around this line hands over in each turn what no other turn has found.

    Where it stands in a function that hands over for others, the loops that call this function are asked.
    What is handed over `of_the_cell` itself is given by some call of the loop, whatever that is called.
    """
    tree, shift = parsed(source)
    loops = [node for node in ast.walk(tree) if isinstance(node, _Turns) and _has(node, line - shift)]
    if loops:
        return _is_plain(loops[-1], _HANDS_OVER, of_the_cell)
    names = frozenset(_names_of_function(tree, line - shift))
    loops = [node for node in ast.walk(tree) if isinstance(node, _Turns) and _calls(node, names)]
    return bool(loops) and all(_is_plain(loop, names, False) for loop in loops)


def _has(node: _Turns | _Function, line: int) -> bool:
    return node.lineno <= line <= (node.end_lineno or 0)


def _names_of_function(tree: ast.Module, line: int) -> Iterator[str]:
    """How the function around this line is called, if it hands something over itself."""
    around = [node for node in ast.walk(tree) if isinstance(node, _Function) and _has(node, line)]
    if not around or not _calls(around[-1], _HANDS_OVER):
        return
    yield around[-1].name
    if around[-1].name != "__call__":
        return
    classes = {one.name for one in ast.walk(tree) if isinstance(one, ast.ClassDef) and around[-1] in one.body}
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.value, ast.Call)
            and callee_of(node.value) in classes
        ):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))


def _calls(node: ast.AST, names: Set[str]) -> bool:
    return any(isinstance(one, ast.Call) and callee_of(one) in names for one in ast.walk(node))


def _is_plain(loop: _Turns, names: Set[str], by_any: bool) -> bool:
    """Whether a loop that hands over by these names runs to its end, each turn with what is its own."""
    body = [*ast.walk(loop)]
    if any(isinstance(node, _LEAVES) for node in body):
        return False  # it may end early: what comes next depends on what was found
    targets = [loop.target] if isinstance(loop, ast.For) else [part.target for part in loop.generators]
    every = [node for node in body if isinstance(node, ast.Call)]
    calls = [call for call in every if callee_of(call) in names] or (every if by_any else [])
    given = {name for call in calls for name in _given(call)}
    stored = {node.id for node in body if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    turns = {node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)}
    return bool(calls) and not given & (stored - turns)


def _given(call: ast.Call) -> set[str]:
    """The names in what is handed over by this call."""
    parts = [*call.args, *(word.value for word in call.keywords)]
    return {node.id for part in parts for node in ast.walk(part) if isinstance(node, ast.Name)}
