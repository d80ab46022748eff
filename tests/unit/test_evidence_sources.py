"""A source of evidence is one row: what the row names is there, and takes what it is given."""

from __future__ import annotations

import inspect
from dataclasses import fields

import pytest
from recordings import PID, kernel, recording

from concmagic.importing import importer
from concmagic.importing.found import Found
from concmagic.model.trace import Mark
from concmagic.recording.session import Recorder
from concmagic.records.evidence_sources import SOURCES, Source, kept, named
from concmagic.records.recording import ProcessLife, ProcessRecord

IN_A_CHILD = {"detail", "budget"}  # what its recorders are given
EVIDENCE = {field.name for field in fields(ProcessRecord)} - {field.name for field in fields(ProcessLife)}


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_what_a_row_names_is_there(source: Source) -> None:
    made = named("recording", source.observer)
    wanted = inspect.signature(made).parameters
    assert {*source.given} <= wanted.keys()
    needed = {name for name, one in wanted.items() if one.default is inspect.Parameter.empty}
    assert needed <= {*source.given}
    if source.in_children:
        assert needed <= IN_A_CHILD
    for method in ("start", "stop"):
        assert callable(getattr(made, method)) and hasattr(Recorder, method)
    if source.importer:
        assert [*inspect.signature(named("importing", source.importer)).parameters] == ["found"]


def test_each_field_of_evidence_is_that_of_one_row() -> None:
    assert {source.name for source in SOURCES if source.is_kept} == EVIDENCE
    assert len({source.name for source in SOURCES}) == len(SOURCES)


def test_what_saw_nothing_is_kept_by_nobody() -> None:
    assert kept({"marks": (), "calls": None, "sampler": object(), "jobs": (1,)}) == {"jobs": (1,)}


def test_an_importer_that_fails_costs_its_own_evidence(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(found: Found) -> None:
        raise ValueError("unreadable")

    def marks(found: Found) -> None:
        found.marks.append(Mark("seen", 0, 1, found.ids.known("thread", PID, PID)))

    rows = Source("unread", "", importer="first"), Source("marks", "", importer="second")
    monkeypatch.setattr(importer, "SOURCES", rows)
    monkeypatch.setattr(importer, "named", lambda folder, path: {"first": fails, "second": marks}[path])
    trace = importer.import_recording(recording(kernel()))
    assert [mark.label for mark in trace.marks] == ["seen"]
    assert [problem.kind for problem in trace.cost.problems] == ["evidence_unreadable"]
