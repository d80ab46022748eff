"""What a newcomer does first: reads the README, runs its cell, types `make demo`, opens the examples."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib import metadata, resources
from pathlib import Path
from typing import Any

import nbformat
import pytest

from conftest import Kernel, plain

pytestmark = pytest.mark.kernel

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readme_begins_with_the_picture_and_says_its_steps_in_order() -> None:
    steps = ["![", "%pip install concmagic", "%load_ext concmagic", "%%asyncio_trace", "`%%timeline`"]
    steps += ["make demo", "make test"]
    assert [README.index(step) for step in steps] == sorted(README.index(step) for step in steps)
    picture = re.search(r"!\[[^\]]+\]\(([^)]+)\)", README)
    assert picture is not None
    assert (ROOT / picture[1]).stat().st_size > 0


def test_the_cell_of_the_readme_is_six_lines_and_needs_nothing(fresh_kernel: Kernel) -> None:
    block = README.partition("    %%asyncio_trace")[2].partition("\nNow put")[0]
    cell = "%%asyncio_trace" + block.replace("\n    ", "\n").rstrip()
    assert len([line for line in cell.splitlines() if line.strip()]) <= 6
    fresh_kernel.check("%load_ext concmagic")
    run = fresh_kernel.check(cell)
    assert "Up to 3 tasks at once" in run.displays[-1]["text/plain"]
    own = fresh_kernel.check(cell.replace("%%asyncio_trace", "%%timeline"))
    assert "concmagic" in own.displays[-1]["text/html"]


def test_the_demo_prints_each_picture_and_writes_a_page(tmp_path: Path) -> None:
    cells = ["%load_ext concmagic", "%%threads\nimport time\ntime.sleep(0.05)\nprint('said')", "1 + 1"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    path, page = tmp_path / "small.ipynb", tmp_path / "build" / "small.html"
    nbformat.write(notebook, path)
    command = [sys.executable, str(ROOT / "examples" / "demo.py"), str(path), str(page)]
    around = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=150, env=around, check=True)
    told = plain(done.stdout)
    assert told.index("time.sleep(0.05)") < told.index("\nsaid") < told.index("went into sleeping, at line 3")
    assert "1 + 1" not in told  # it drew nothing
    assert f"The same pictures, interactive: {page}" in told
    html = page.read_text(encoding="utf-8")
    assert "concmagicStart(" in html
    assert not re.findall(r"""<(?:script|link|img)[^>]+(?:src|href)=["']https?:""", html)


@pytest.mark.parametrize("name", ["tour", "chapter_1", "threads", "processes"])
def test_examples_are_kept_without_outputs_and_each_traced_cell_is_explained(name: str) -> None:
    cells: list[Any] = nbformat.read(ROOT / "examples" / f"{name}.ipynb", as_version=4).cells
    assert all(not cell.outputs for cell in cells if cell.cell_type == "code")
    for number, cell in enumerate(cells):
        if cell.cell_type == "code" and cell.source.startswith("%%"):
            assert any(near.cell_type == "markdown" for near in cells[max(number - 2, 0) : number + 2])


@pytest.mark.parametrize(
    "idea",
    [
        "coroutine",
        "event loop",
        "non-blocking",
        "concurrency",
        "parallelism",
        "preemptive",
        "cooperative",
        "thread",
        "GIL",
        "process",
        "multiprocessing",
    ],
)
def test_the_chapter_has_each_idea_in_words_and_in_a_cell_of_its_part(idea: str) -> None:
    cells = nbformat.read(ROOT / "examples" / "chapter_1.ipynb", as_version=4).cells
    told = [
        number
        for number, cell in enumerate(cells)
        if cell.cell_type == "markdown" and idea.lower() in cell.source.lower()
    ]
    assert any(
        cell.cell_type == "code" and cell.source.startswith("%%")
        for number in told
        for cell in cells[number + 1 : number + 3]
    )


def test_what_is_installed_is_typed_and_has_its_resources() -> None:
    package = resources.files("concmagic")
    assert package.joinpath("py.typed").is_file()
    names = {each.name for each in package.joinpath("renderers", "html_resources").iterdir()}
    assert {"timeline.css", "timeline_model.js", "timeline_view.js"} <= names
    told = metadata.metadata("concmagic")
    assert {"demo", "test", "pandas"} <= set(told.get_all("Provides-Extra") or ())
    needed = {re.split(r"[<>=; ]", line)[0]: line for line in metadata.requires("concmagic") or ()}
    assert {"viztracer", "ipython", "cloudpickle", "numpy", "psutil"} <= set(needed)
    assert "sys_platform" in needed["psutil"]
    for name in ("LICENSE", "CHANGELOG.md", "CONTRIBUTING.md"):
        assert (ROOT / name).stat().st_size > 0
