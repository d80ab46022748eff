"""The lint about waits that could have been at once, and how it reads a cell's awaits from its source."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from concmagic.analysis import Finding
from concmagic.analysis.intervals import common, total, union
from concmagic.analysis.lint_loop import FLOOR_NS
from concmagic.analysis.metrics import Metrics
from concmagic.model.findings import SequentialAwaits
from concmagic.model.reasons import OUTSIDE
from concmagic.model.trace import State, StateInterval, Trace, Track
from concmagic.source_lookup import parsed

_Function = ast.AsyncFunctionDef
_Await = tuple[ast.Call, bool]  # what is awaited, and whether its value is kept
_LOOPS = (ast.For, ast.AsyncFor, ast.While)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_LEAVES = (ast.Break, ast.Return, ast.Raise, ast.Yield, ast.YieldFrom, ast.Continue, ast.Try)
ALONE_SHARE = 0.5  # of the waits in which nothing else may have been in flight
_APART = frozenset(("executor job",))  # outside the loop, too
_ONE_AT_A_TIME = frozenset(("stream read", "stream drain", "sock_recv", "sock_sendall"))


@dataclass(frozen=True, slots=True)
class Sites:
    """Awaits of one function that could be made at once."""

    scope: int  # line of the function they stand in; 0 is the cell itself
    calls: tuple[tuple[int, str], ...]  # the line of each, and the call as it stands there
    in_loop: bool
    is_kept: bool  # whether the cell keeps what each of them returns
    lines: tuple[int, ...]  # where the called function awaits, in order: one call waits once at each


def sites(source: str) -> Iterator[Sites]:
    """All of a cell."""
    tree, shift = parsed(source)
    functions = {node.name: node for node in ast.walk(tree) if isinstance(node, _Function)}
    awaits = Counter(_name(call) for call in _awaited_calls(tree))
    for scope, line in _scopes(tree, shift):
        for block in _blocks(scope):
            for found, in_loop in (*_in_row(block), *_in_loops(block)):
                calls = [call for call, _ in found]
                name = _name(calls[0])
                function = functions.get(name)
                lines = _await_lines(function, shift) if function is not None else ()
                # Where it is awaited elsewhere, too, it is not known which wait was whose.
                if lines and awaits[name] == len(calls):
                    told = tuple((call.lineno + shift, ast.unparse(call)) for call in calls)
                    yield Sites(line, told, in_loop, all(kept for _, kept in found), lines)


def _awaited_calls(tree: ast.AST) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Await) and isinstance(node.value, ast.Call):
            yield node.value


def _scopes(tree: ast.Module, shift: int) -> Iterator[tuple[ast.Module | _Function, int]]:
    yield tree, 0
    for node in ast.walk(tree):
        if isinstance(node, _Function):
            first = node.decorator_list[0].lineno if node.decorator_list else node.lineno
            yield node, first + shift


def _blocks(scope: ast.AST) -> Iterator[list[ast.stmt]]:
    """Every list of statements of a scope, but not of functions within it."""
    for field in ("body", "orelse", "finalbody"):
        block = getattr(scope, field, None)
        if not isinstance(block, list):
            continue
        yield block
        for node in block:
            if isinstance(node, ast.FunctionDef | _Function | ast.ClassDef | ast.While | ast.Try):
                continue  # in `while` the next turn depends on the last; what is tried is tried in order
            if isinstance(node, ast.AsyncWith) and any(item.optional_vars is None for item in node.items):
                continue  # `async with lock:` makes it one at a time on purpose
            yield from _blocks(node)


def _in_row(block: list[ast.stmt]) -> Iterator[tuple[list[_Await], bool]]:
    """Statements next to each other that await the same function."""
    row: list[_Await] = []
    stored: set[str] = set()
    for node in [*block, None]:
        call = _awaited(node) if isinstance(node, ast.Assign | ast.AnnAssign | ast.Expr) else None
        fits = call is not None and (not row or _name(call) == _name(row[0][0]))
        if call is None or not fits or _names(call, ast.Load) & stored:
            if len(row) > 1 and len({ast.dump(one) for one, _ in row}) == len(row):
                yield row, False
            row, stored = [], set()
        if call is not None and node is not None:
            row.append((call, not isinstance(node, ast.Expr)))
            stored |= _names(node, ast.Store)


def _in_loops(block: list[ast.stmt]) -> Iterator[tuple[list[_Await], bool]]:
    """Loops and list comprehensions that await once for each item."""
    for statement in block:
        if isinstance(statement, ast.For) and (call := _of_loop(statement)) is not None:
            yield [(call, not _drops(statement, call))], True
        for node in _expressions(statement):
            if not isinstance(node, ast.ListComp) or len(node.generators) != 1:
                continue
            generator = node.generators[0]
            if generator.is_async or not isinstance(node.elt, ast.Await):
                continue
            call = node.elt.value if isinstance(node.elt.value, ast.Call) else None
            if (
                call is not None
                and _name(call)
                and _names(call, ast.Load) & _names(generator.target, ast.Store)
            ):
                yield [(call, True)], True


def _drops(loop: ast.For, call: ast.Call) -> bool:
    """Whether a statement of this loop is the await of the call and no more."""
    return any(
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Await) and node.value.value is call
        for node in _inside(loop)
    )


def _of_loop(loop: ast.For) -> ast.Call | None:
    """The only await of a loop whose turns do not need each other."""
    awaits = [node for part in loop.body for node in ast.walk(part) if isinstance(node, ast.Await)]
    if len(awaits) != 1 or any(isinstance(node, (*_LEAVES, *_LOOPS)) for node in _inside(loop)):
        return None  # it may end early, try again, or do more than one thing at each turn
    call = awaits[0].value
    if not isinstance(call, ast.Call) or not _name(call):
        return None
    if any(isinstance(node, ast.AsyncWith) for node in _inside(loop)):
        return None
    given = _names(call, ast.Load)
    targets = _names(loop.target, ast.Store)
    stored = {name for part in loop.body for name in _names(part, ast.Store)}
    if not given & targets or given & (stored - targets):
        return None  # a pause or a poll; or what one turn found is what the next one asks for
    return call


def _awaited(node: ast.stmt | None) -> ast.Call | None:
    value = getattr(node, "value", None)
    call = value.value if isinstance(value, ast.Await) else None
    return call if isinstance(call, ast.Call) and _name(call) else None


def _await_lines(function: _Function, shift: int) -> tuple[int, ...]:
    """Where a function awaits, if it does so once at each place; () if that is not certain."""
    for node in _inside(function):
        # Then one call may wait any number of times, or for what another call does.
        if isinstance(node, (*_LOOPS, *_COMPREHENSIONS, ast.AsyncWith, ast.Global, ast.Nonlocal)):
            return ()
    return tuple(sorted({node.lineno + shift for node in ast.walk(function) if isinstance(node, ast.Await)}))


def _inside(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        yield from ast.walk(child)


def _expressions(statement: ast.stmt) -> Iterator[ast.AST]:
    """What a statement computes itself, not in the blocks or functions in it."""
    for child in ast.iter_child_nodes(statement):
        if isinstance(child, ast.expr):
            yield from ast.walk(child)


def _names(node: ast.AST, kind: type[ast.expr_context]) -> set[str]:
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name) and isinstance(one.ctx, kind)}


def _name(call: ast.Call) -> str:
    """The bare name that is called; a method's owner may be a connection that takes one at a time."""
    return call.func.id if isinstance(call.func, ast.Name) else ""


def sequential_awaits(trace: Trace, metrics: Metrics) -> Iterator[Finding]:
    """The same function awaited for one thing after the other, while nothing else went on."""
    for group in sites(trace.source):
        for track in trace.tracks:
            finding = _of(trace, track, group) if _runs(track, group) else None
            if finding is not None:
                yield finding


def _of(trace: Trace, track: Track, group: Sites) -> Finding | None:
    waits = [one for one in track.states if _counts(one, group)]
    # What is read from one connection has its order.
    if any(one.reason in _ONE_AT_A_TIME for one in waits):
        return None
    elements = _elements(waits)
    if len(elements) < 2:
        return None
    took = sum(elements)
    saved = took - max(elements)
    if saved < FLOOR_NS or _accompanied(trace, track, waits) > ALONE_SHARE * took:
        return None  # others used the time: it was shared out on purpose, or is not lost
    return Finding(
        severity="warning" if group.is_kept or group.in_loop else "note",
        values=SequentialAwaits(len(elements), group.calls, took, saved, group.in_loop, group.is_kept),
        cost_s=saved / 1e9,
        tracks=(track.id,),
        start_ns=waits[0].start_ns,
        end_ns=waits[-1].end_ns,
        line=group.calls[0][0],
    )


def _runs(track: Track, group: Sites) -> bool:
    """Whether this task runs the scope in which the awaits stand."""
    if track.kind != "task" or track.role != "work":
        return False
    return track.host if group.scope == 0 else not track.file and track.line == group.scope


def _counts(one: StateInterval, group: Sites) -> bool:
    outside = one.reason in OUTSIDE or one.reason in _APART
    return one.state is State.WAITING and outside and not one.file and one.line in group.lines


def _elements(waits: list[StateInterval]) -> list[int]:
    """How long each call waited: a line that is not further down than the last begins the next call."""
    found: list[int] = []
    last = 0
    for one in waits:
        if one.line <= last or not found:
            found.append(0)
        found[-1] += one.length_ns
        last = one.line
    return found


def _accompanied(trace: Trace, track: Track, waits: list[StateInterval]) -> int:
    """For how long of the waits another task was at something, too."""
    mine = union(one.pair for one in waits)
    others = union(
        one.pair
        for other in trace.tracks
        if other.kind == "task" and other.id != track.id and other.unit and not other.host
        for one in other.states
        if one.state is not State.WAITING or one.reason in OUTSIDE
    )
    return total(common(mine, others))
