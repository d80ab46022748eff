"""Who may import whom (the stages know only what comes before them)."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import concmagic

ROOT = Path(concmagic.__file__).parent
OUTER = ("concmagic.runners", "concmagic.recording", "concmagic.magics", "concmagic.display", "IPython")
# What each part may not import: not even inside a function.
FORBIDDEN = {
    "analysis": (*OUTER, "concmagic.renderers", "concmagic.report", "concmagic.trace.importer"),
    "renderers": (*OUTER, "concmagic.trace.importer"),
    "report.py": (*OUTER, "concmagic.renderers"),
    "report_builder.py": (*OUTER, "concmagic.renderers"),
    "report_lanes.py": (*OUTER, "concmagic.renderers"),
    "trace": (
        "concmagic.runners",
        "concmagic.renderers",
        "concmagic.analysis",
        "concmagic.report",
        "IPython",
    ),
}
NOTHING_OF_OURS = ("trace/model.py", "cell.py", "options.py", "errors.py")
# The contracts that import nothing of ours but errors and sentences.
HARMLESS = ("concmagic.errors", "concmagic.sentences")


def imported(path: Path) -> set[str]:
    """Every module named in an import, and the names taken from it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def modules(part: str) -> list[Path]:
    path = ROOT / part
    return [path] if path.is_file() else sorted(path.rglob("*.py"))


@pytest.mark.parametrize("part", FORBIDDEN)
def test_a_stage_sees_only_what_comes_before_it(part: str) -> None:
    assert modules(part)
    for path in modules(part):
        for name in imported(path):
            for forbidden in FORBIDDEN[part]:
                assert name != forbidden and not name.startswith(f"{forbidden}."), (
                    f"{path.name} imports {name}"
                )


@pytest.mark.parametrize("module", NOTHING_OF_OURS)
def test_the_contracts_import_nothing_of_ours(module: str) -> None:
    ours = {name for name in imported(ROOT / module) if name.startswith("concmagic")}
    assert {name for name in ours if not name.startswith(HARMLESS)} - {"concmagic"} == set()


def test_only_the_recorders_know_the_tracer() -> None:
    for path in ROOT.rglob("*.py"):
        if path.parent != ROOT / "recording" / "calls":
            assert not any(name.partition(".")[0] == "viztracer" for name in imported(path)), path.name
