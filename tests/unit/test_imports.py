"""Who may import whom (the stages know only what comes before them), and where which module may run."""

from __future__ import annotations

import ast
import sys

import pytest
from import_graph import MODULES, between, circles, graph, imported, loaded_with, part

from concmagic.records.evidence_sources import SOURCES

# What of ours each part may import besides itself, at the start or late.
HARMLESS = ("errors", "problems", "sentences")
SEES = {
    "records": ("problems",),
    "model": ("errors", "problems"),  # values, and no words for them
    "cell": HARMLESS,
    "options": HARMLESS,
    "errors": HARMLESS,
    "sentences": (
        "problems",
        "model.findings",
        "model.groups",
        "model.states",
        "model.outcomes",
        "model.reasons",
        "model.trace",
        "model.reading",
    ),  # what is put into words
    "interpreter": ("clock", "code_owner", *HARMLESS),
    "importing": (
        "_version",
        "source_lookup",
        "code_owner",
        "interpreter.borrowing",  # what this interpreter was built as
        "interpreter.event_nodes",  # how the bytes of a RawCalls lie
        "interpreter.recorded_calls",  # the names in them
        "model",
        "records",
        "errors",
        "problems",
    ),  # values, and no words for them
    "analysis": (
        "source_lookup",
        "errors",
        "model",
        "sentences.findings",
        "sentences.hints",
    ),
    "report": ("analysis", "model", *HARMLESS),
    "renderers": ("model", "options", "report", *HARMLESS),
}
# The parts of the package, from what sees none of the others to what sees many: each import goes down.
LEVELS: tuple[set[str], ...] = (
    {
        "_version",
        "clock",
        "code_owner",
        "errors",
        "pipes",
        "problems",
    },
    {"cell", "records"},
    {"source_lookup", "model"},
    {"sentences"},
    {"interpreter", "options"},
    {"doctor", "notebook", "recording", "importing"},
    {"analysis", "runners"},
    {"report"},
    {"renderers"},
    {"display"},
    {"api"},
    {"pipeline"},
    {"traced_cell"},
    {"magics"},
    {"concmagic"},
)
# A problem asks for its sentence when it is asked.
AGAINST = {("problems", "sentences")}
# Of what comes after the cell, and of the notebook.
HEAVY = {"numpy", "pandas", "IPython", "traitlets"}
OF_A_CHILD = ("records", "recording", "interpreter", "runners", "sentences")
OF_IPYTHON = {"concmagic.magics", "concmagic.display", "concmagic.notebook"}


def of_ours(module: str) -> set[str]:
    """What it imports of the package: modules, not the names in them."""
    return {name for name in imported(module) if name in MODULES and name != "concmagic"}


def unit_of(module: str) -> str:
    """The module or folder at the top of the package that it is, or is in."""
    return [*module.split("."), "concmagic"][1]


def folder_of(module: str) -> str:
    """The folder of a stage that it is in; for a module that is in none the module itself."""
    return ".".join(module.split(".")[:3])


def packages(names: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize("name", SEES)
def test_a_stage_sees_only_what_comes_before_it(name: str) -> None:
    allowed = tuple(f"concmagic.{each}" for each in (name, *SEES[name]))
    assert part(name)
    for module in part(name):
        for seen in of_ours(module):
            assert any(seen == each or f"{seen}.".startswith(f"{each}.") for each in allowed), (
                f"{module} imports {seen}"
            )


def test_the_analysis_finds_values_and_no_words() -> None:
    """Only a Finding knows where its sentences are made, and asks there when it is asked."""
    known = {f"concmagic.sentences.{name}": "concmagic.analysis" for name in ("findings", "hints")}
    for module in part("analysis"):
        seen = {name for name in of_ours(module) if name.startswith("concmagic.sentences")}
        assert not seen or {known.get(name) for name in seen} == {module}, f"{module} imports {seen}"
        at_start = imported(module, at_start=True)
        assert not [name for name in at_start if name.startswith("concmagic.sentences")], module


@pytest.mark.parametrize("stage", ["model", "records", "importing"])
def test_what_holds_facts_makes_no_words(stage: str) -> None:
    """It imports no sentence, see above; nor does it ask a problem or a finding for theirs.

    The message of an outcome is the exception's own.
    """
    for module in part(stage):
        tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
        asked = {
            node.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and getattr(node.value, "attr", "") != "outcome"
        }
        assert not asked & {"message", "hint"}, module


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Not even late, inside a function, or for types."""
    assert circles({"a": ["b"], "b": ["c"], "c": ["b"]}) == [{"b", "c"}]
    assert circles(graph()) == []


def test_each_import_goes_down_the_levels() -> None:
    level_of = {unit: number for number, units in enumerate(LEVELS) for unit in units}
    units = between({module: unit_of(module) for module in MODULES})
    assert units.keys() == level_of.keys()
    up = {(unit, seen) for unit in units for seen in units[unit] if level_of[seen] >= level_of[unit]}
    assert up == AGAINST


@pytest.mark.parametrize("stage", ["recording", "importing"])
def test_the_folders_of_a_stage_see_each_other_one_way(stage: str) -> None:
    assert circles(between({module: folder_of(module) for module in part(stage)})) == []


def test_only_the_recorders_know_the_tracer() -> None:
    for module in MODULES:
        if not module.startswith("concmagic.recording.calls."):
            assert "viztracer" not in packages(set(imported(module))), module


@pytest.mark.parametrize("name", OF_A_CHILD)
def test_what_may_run_in_a_child_knows_no_array_and_no_notebook(name: str) -> None:
    for module in part(name):
        assert not packages(set(imported(module))) & HEAVY, module


def test_only_the_edges_know_the_notebook() -> None:
    for module in set(MODULES) - OF_IPYTHON:
        assert "IPython" not in packages(set(imported(module))), module


def test_what_a_child_loads_before_its_target_is_light() -> None:
    # Some recorders wait until the child has imported what they observe.
    recorders = [row.observer.partition(":")[0] for row in SOURCES if row.in_children and not row.observes]
    loaded = loaded_with(
        "concmagic.recording.children.child_entry", *(f"concmagic.recording.{module}" for module in recorders)
    )
    assert not packages(loaded) & {*HEAVY, "cloudpickle", "dataclasses", "inspect", "asyncio", "viztracer"}
    later = ("concmagic.importing", "concmagic.model", "concmagic.analysis", "concmagic.renderers")
    assert not [module for module in loaded if module.startswith(later)]


def test_the_sampler_needs_nothing_but_the_standard_library() -> None:
    loaded = loaded_with("concmagic.recording.sampler.process")
    assert packages(loaded) <= {"concmagic", *sys.stdlib_module_names}
    ours = {module for module in loaded if module in MODULES and MODULES[module].name != "__init__.py"}
    own = {module for module in ours if module.startswith("concmagic.recording.sampler.")}
    assert ours - own == {"concmagic._version", "concmagic.clock"}


def test_each_folder_says_what_it_is_and_where_it_runs() -> None:
    places = ("after the cell", "kernel", "child", "read")
    for module, path in MODULES.items():
        if path.name == "__init__.py" and module.count(".") == 1 and module != "concmagic.sentences":
            first = path.read_text(encoding="utf-8").lower()
            assert "runs" in first and any(place in first for place in places), module
