"""What of the package's source touches what is not ours: private names, ctypes, layouts, texts.

Run as a script, it prints all that stands outside of `interpreter/`, a file a line.
"""

from __future__ import annotations

import ast
import functools
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import concmagic
from concmagic.interpreter import borrowed

ROOT = Path(concmagic.__file__).parent
ALLOWED = Path(__file__).parents[1] / "data" / "outside_the_door.txt"
PRIVATE = re.compile(r"_(?!_)\w+|__\w*[a-z0-9](?!_)")
# Begins with an underscore, and is documented for all to use.
DOCUMENTED = frozenset(
    {"_", "_asdict", "_replace", "_fields", "_fields_", "_thread", "_exit"}
    | {"_repr_mimebundle_", "_repr_pretty_", "_repr_html_", "_ih", "_oh", "_i", "_ii"}
)
LAYOUT = frozenset({"co_code", "co_exceptiontable", "_co_code_adaptive", "opmap"})
MODULES = frozenset({"ctypes", "dis", "opcode", "_imp", "_queue", "_socket", "_posixsubprocess", "_opcode"})
# They look public, and no documentation has them.
UNDOCUMENTED = frozenset(
    {"spawnv_passfds", "get_preparation_data", "terminate_broken", "worker_code", "create_dynamic"}
    | {"exec_dynamic", "threadtracefunc", "set_sync_marker", "reset_stack", "curr_tracer"}
)
# By these an object of others is known by a name that its library may change.
NAMED = frozenset({"__name__", "__qualname__", "co_name", "co_qualname"})
OF_ANY = re.compile(r"__\w+__|<\w+>")  # any class's, any code's
CODE_READERS = frozenset({"code_of", "code_read"})
COMPARING = frozenset({"startswith", "endswith", "match", "fullmatch", "search", "compile", "filterwarnings"})
FOREIGN_NAMES = frozenset(row.name for row in borrowed.TABLE)
OWN_TEXTS = ("sentences/",)  # what users read
# No interpreter is near them: texts that they compare are of this package.
AFTERWARDS = ("analysis/", "model/", "importing/", "renderers/", "report")
OWN_WORDS = frozenset({"left running"})

Found = tuple[str, int]  # what, and in which line


def is_private(name: str) -> bool:
    return PRIVATE.fullmatch(name) is not None and name not in DOCUMENTED


def defined(tree: ast.Module) -> set[str]:
    """What a module defines, or puts on its own objects."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and is_self(node.value):
            found.add(node.attr)
    return found


def is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


def imported(tree: ast.Module) -> dict[str, str]:
    """The names that modules, classes and functions of others have here."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {each.asname or each.name.partition(".")[0]: each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {each.asname or each.name: f"{node.module}.{each.name}" for each in node.names}
    return found


class Look(ast.NodeVisitor):
    """Walks one module; `own` is what the whole package defines."""

    def __init__(self, tree: ast.Module, own: set[str]) -> None:
        self.found: list[Found] = []
        self._own, self._here, self._names = own, defined(tree), imported(tree)
        self._methods: list[bool] = []  # of each function around: whether it is a method
        self._in_class = False
        self.visit(tree)

    def _add(self, what: str, node: ast.AST) -> None:
        self.found.append((what, getattr(node, "lineno", 0)))

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        before, self._in_class = self._in_class, True
        self.generic_visit(node)
        self._in_class = before

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> None:
        before, methods = self._in_class, self._methods
        has_self = bool(node.args.args) and node.args.args[0].arg in ("self", "cls")
        self._methods = [*methods, before] if has_self else methods
        self._in_class = False
        self.generic_visit(node)
        self._in_class, self._methods = before, methods

    visit_FunctionDef = visit_AsyncFunctionDef = visit_Lambda = _function

    def _is_ours(self, node: ast.expr) -> bool:
        """Whether it is an instance of a class that is written here, or a module of ours."""
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "super":
            return True
        if not isinstance(node, ast.Name):
            return False
        if node.id in ("self", "cls"):
            return not self._methods or self._methods[-1]
        return self._names.get(node.id, "").startswith("concmagic")

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self.generic_visit(node)
        is_code = node.attr == "__code__" and self._is_of_others(node.value)
        if is_code or node.attr in LAYOUT or node.attr in UNDOCUMENTED:
            self._add(node.attr, node)
        elif is_private(node.attr):
            ours = self._own if self._is_ours(node.value) else self._here - FOREIGN_NAMES
            if node.attr not in ours:
                self._add(node.attr, node)

    def _is_of_others(self, node: ast.expr) -> bool:
        while isinstance(node, ast.Attribute):
            node = node.value
        return isinstance(node, ast.Name) and not self._names.get(node.id, "concmagic").startswith(
            "concmagic"
        )

    def visit_Import(self, node: ast.Import) -> None:
        for each in node.names:
            if each.name.partition(".")[0] in MODULES:
                self._add(each.name.partition(".")[0], node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        module = (node.module or "").partition(".")[0]
        if module in MODULES:
            self._add(module, node)
        elif module != "concmagic":
            for each in node.names:
                if is_private(each.name):
                    self._add(each.name, node)

    def visit_Call(self, node: ast.Call) -> None:
        self.generic_visit(node)
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if isinstance(node.func, ast.Attribute) and getattr(node.func.value, "attr", "") == "f_locals":
            for text in _texts(node):
                self._add(f"local {text}", node)
        for each in node.args:
            if isinstance(each, ast.Constant) and isinstance(each.value, str):
                if called in CODE_READERS:
                    self._add(f"code of {each.value}", node)
                elif called in COMPARING and _is_sentence(each.value):
                    self._add(f"text {each.value!r}", node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        for each in node.values:
            if not isinstance(each, ast.Constant):  # a part of a name is none
                self.visit(each)

    def visit_Compare(self, node: ast.Compare) -> None:
        self.generic_visit(node)
        sides = (node.left, *node.comparators)
        if any(isinstance(each, ast.Attribute) and each.attr in NAMED for each in sides):
            for text in _texts(node):
                if text not in self._own and not re.fullmatch(
                    r"__\w+__|<\w+>", text
                ):  # any class's, any code's
                    self._add(f"named {text!r}", node)
        for each in (node.left, *node.comparators):
            if isinstance(each, ast.Constant) and isinstance(each.value, str) and _is_sentence(each.value):
                self._add(f"text {each.value!r}", node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        self.generic_visit(node)
        if isinstance(node.value, ast.Attribute) and node.value.attr == "f_locals":
            for text in _texts(node.slice):
                self._add(f"local {text}", node)

    def visit_Expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):  # a docstring is no use
            self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        if not any(getattr(each, "id", "") in ("__slots__", "__all__") for each in node.targets):
            self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if not isinstance(node.value, str) or not re.fullmatch(r"(\w|\.|<locals>)+", node.value):
            return
        parts = node.value.split(".")
        inner = parts[1:] if len(parts) > 1 and parts[0] in sys.stdlib_module_names else parts
        is_theirs = node.value in UNDOCUMENTED or any(is_private(each) for each in inner)
        if is_theirs and node.value not in self._own - FOREIGN_NAMES:
            self._add(node.value, node)


def _texts(node: ast.AST) -> list[str]:
    found = (each.value for each in ast.walk(node) if isinstance(each, ast.Constant))
    return [each for each in found if isinstance(each, str)]


def _is_sentence(text: str) -> bool:
    return text not in OWN_WORDS and re.search(r"[A-Za-z]\w+ \w*[A-Za-z]", text) is not None


def trees() -> dict[str, ast.Module]:
    paths = sorted(ROOT.rglob("*.py"))
    return {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text(encoding="utf-8")) for path in paths}


@functools.cache
def outside() -> dict[str, dict[str, list[int]]]:
    """File → what it touches of others → lines; of all that stands outside of `interpreter/`."""
    all_trees = trees()
    own = set().union(*(defined(tree) for tree in all_trees.values()))
    found: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for file, tree in all_trees.items():
        if not file.startswith(("interpreter/", *OWN_TEXTS)):
            for what, line in Look(tree, own).found:
                if not (what.startswith("text ") and file.startswith(AFTERWARDS)):
                    found[file][what].append(line)
    return found


def allowed() -> dict[str, dict[str, str]]:
    """File → what it may touch → why, as the list has it."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for line in ALLOWED.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            file, what, why = (part.strip() for part in line.split("\t"))
            found[file][what] = why
    return found


def uses(source: str) -> Iterator[str]:
    """What a piece of source touches."""
    tree = ast.parse(source)
    return (what for what, _ in Look(tree, defined(tree)).found)


if __name__ == "__main__":
    there = outside()
    if sys.argv[1:] == ["list"]:  # as the file has it
        why = allowed() if ALLOWED.exists() else {}
        for file, names in there.items():
            for what in sorted(names):
                print(file, what, why.get(file, {}).get(what, ""), sep="\t")
    else:
        print(sum(map(len, there.values())), "in", len(there), "modules")
        for file, names in there.items():
            print(f"{file}: {', '.join(f'{what} {lines}' for what, lines in sorted(names.items()))}")
