"""No write of ours to a pipe or socket can raise SIGPIPE: the source is read for it.

`pipes.write` and `with no_sigpipe():` are safe, and so is MSG_NOSIGNAL; what else writes stands in WRITES,
with the reason why nobody is ended by it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import concmagic

ROOT = Path(concmagic.__file__).parent
NAMES = {
    "send",
    "sendall",
    "sendto",
    "sendmsg",
    "send_bytes",
    "writev",
    "sendfile",
    "splice",
    "eventfd_write",
}
WRITES = {
    "recording/children/handover_files.py: os.writev(file, rest[:_MOST_PARTS])": "a file of ours",
    "recording/prints.py: os.write(descriptor, data)": "a print of the user's, which goes as ever",
    "recording/sampler/process.py: os.write(CONTROL, view)": "its own process: Python ignores it there",
    "recording/children/leftovers.py: known.setdefault(pid, _Process(pid)).send(number)": "a signal",
    "runners/loop_tasks.py: self._inner.send(value)": "a coroutine",
}


def sources() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(ROOT.rglob("*.py")):
        yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def guarded(tree: ast.AST) -> set[ast.AST]:
    """All that stands in a `with no_sigpipe():`, but not in functions made there."""
    found: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.With) and any(
            isinstance(item.context_expr, ast.Call)
            and ast.unparse(item.context_expr.func) in ("no_sigpipe", "pipes.no_sigpipe")
            for item in node.items
        ):
            found.update(inner for statement in node.body for inner in ast.walk(statement))
    return found


def writes(tree: ast.Module) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            of, name = ast.unparse(node.func.value), node.func.attr
            if name in NAMES or (name in ("write", "pwrite") and of in ("os", "posix")):
                yield node


def is_safe(call: ast.Call) -> bool:
    """A socket's, told to raise no signal; or our own helper's method, which tells it."""
    told = [ast.unparse(argument) for argument in call.args]
    return "_NO_SIGNAL" in told


def test_no_bare_write_to_a_pipe_or_socket() -> None:
    ours = {"self._running.send", "helper.send"}  # of the sampler's Helper
    found = set()
    for file, tree in sources():
        inside = guarded(tree)
        for call in writes(tree):
            if call not in inside and not is_safe(call) and ast.unparse(call.func) not in ours:
                found.add(f"{file}: {ast.unparse(call)}")
    assert found - set(WRITES) == set(), "neither safe nor with a reason in WRITES"
    assert set(WRITES) - found == set(), "no longer in the source"


def test_names_that_hide_a_write_are_not_imported() -> None:
    for file, tree in sources():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module in ("os", "posix", "socket"):
                taken = {alias.name for alias in node.names}
                assert not taken & (NAMES | {"write"}), file


def test_the_test_finds_one() -> None:
    tree = ast.parse("def stop(self):\n    os.write(self._stop, b'x')\n    self._socket.sendall(b'x')\n")
    assert [ast.unparse(call.func) for call in writes(tree)] == ["os.write", "self._socket.sendall"]
    assert guarded(ast.parse("with no_sigpipe():\n    end.send_bytes(b'')"))
