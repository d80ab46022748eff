"""The imports of the package, read from its source: nothing is imported for it."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

import concmagic

ROOT = Path(concmagic.__file__).parent


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {_name(path): path for path in sorted(ROOT.rglob("*.py"))}


@cache
def imported(module: str, *, at_start: bool = False) -> frozenset[str]:
    """Every module that an import names, and the names taken from it.

    Those inside functions and those that only types need count, unless only those `at_start` are asked for.
    """
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    found: set[str] = set()
    for node in _run_at_start(tree.body) if at_start else ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} has a relative import"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= names if names <= MODULES.keys() else {str(node.module), *names}
    return frozenset(found)


def _run_at_start(body: Sequence[ast.AST]) -> Iterator[ast.AST]:
    for node in body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            yield from _run_at_start(node.orelse)
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
            yield from _run_at_start(list(ast.iter_child_nodes(node)))


def loaded_with(*starts: str) -> set[str]:
    """All modules that importing `starts` imports; those of others as far as ours name them."""
    found: set[str] = set()
    waiting = list(starts)
    while waiting:
        module = waiting.pop()
        if module in found:
            continue
        found.add(module)
        if module in MODULES:
            waiting += imported(module, at_start=True)
            waiting += [module.rpartition(".")[0]] if "." in module else []
    return found


def part(name: str) -> list[str]:
    """The modules of a folder, or the one module of that name."""
    whole = f"concmagic.{name}"
    return [module for module in MODULES if module == whole or module.startswith(f"{whole}.")]


def graph() -> dict[str, set[str]]:
    """What each module of ours imports of the others: at the start, late, and for types."""
    return {module: (imported(module) & MODULES.keys()) - {module} for module in MODULES}


def between(unit_of: Mapping[str, str]) -> dict[str, set[str]]:
    """The same between units, of which each has some of the modules."""
    found: dict[str, set[str]] = {unit: set() for unit in unit_of.values()}
    for module, seen in graph().items():
        for other in seen:
            if module in unit_of and other in unit_of and unit_of[module] != unit_of[other]:
                found[unit_of[module]].add(unit_of[other])
    return found


def circles(arrows: Mapping[str, Iterable[str]]) -> list[set[str]]:
    """The strongly connected components of more than one unit."""
    reached = {unit: _reached(unit, arrows) for unit in arrows}
    found: list[set[str]] = []
    for unit in arrows:
        circle = {other for other in reached[unit] if unit in reached[other]}
        if len(circle) > 1 and circle not in found:
            found.append(circle)
    return found


def _reached(start: str, arrows: Mapping[str, Iterable[str]]) -> set[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        new = set(arrows[waiting.pop()]) - found
        found |= new
        waiting += new
    return found
