"""The example notebook about processes, run by a real kernel: each picture shows what its text says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from concmagic.recording.cpu_time import usable_cores

NOTEBOOK = Path(__file__).resolve().parents[2] / "examples" / "processes.ipynb"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The text of each cell's picture, by the heading above it."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    folder = tmp_path_factory.mktemp("processes")
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute(cwd=str(folder))
    found, heading = {}, ""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            heading = cell.source.splitlines()[0].lstrip("# ").partition(". ")[2]
        elif cell.source.startswith("%%procs"):
            found[heading] = "\n".join(map(text_of, cell.outputs)).replace("\n  ", " ")
    return found


def text_of(output: Any) -> str:
    return str(output.get("text") or output.get("data", {}).get("text/plain", ""))


def is_busy(text: str) -> bool:
    """Whether the picture tells that others had the cores: that explains the cell, then."""
    return "a core was wanted and not had" in text.replace("\n", " ")


def test_it_is_committed_without_outputs() -> None:
    for cell in nbformat.read(NOTEBOOK, as_version=4).cells:
        assert not cell.get("outputs") and cell.get("execution_count") is None


def test_two_workers_compute_side_by_side(pictures: dict[str, str]) -> None:
    text = pictures["True parallelism"]
    cores = usable_cores()
    assert "at most 2 jobs" in text and f"at most {min(2, cores)} of {cores} core" in text
    assert text.count("ForkProcess-") == 2 or text.count("Process-") >= 2


def test_the_start_eats_the_gain(pictures: dict[str, str]) -> None:
    text = pictures["The start eats the gain"].replace("\n", " ")
    assert is_busy(text) or ("2 processes took" in text and "starting Python" in text)


def test_the_data_eats_the_gain(pictures: dict[str, str]) -> None:
    text = pictures["The data eats the gain"]
    # Whether it is among what "where it went" names, the machine decides.
    assert is_busy(text) or (" to pickle, for 2 jobs" in text and "Send less" in text)


def test_the_killed_worker_is_told_with_its_job(pictures: dict[str, str]) -> None:
    text = pictures["A worker is killed"]
    assert "BrokenProcessPool" in text
    assert "was killed by SIGKILL while it ran work(3)" in text


def test_the_changed_copy_is_told(pictures: dict[str, str]) -> None:
    assert "`counter` changed in 1 child process only" in pictures["A copy is not the original"]
