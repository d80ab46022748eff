"""The executed tour in a real JupyterLab: interactive when trusted, a picture when not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lab
import nbformat
import pytest
from nbclient import NotebookClient
from playwright.sync_api import Browser, Locator, Page

pytestmark = [pytest.mark.browser, pytest.mark.kernel]

ROOT = Path(__file__).resolve().parents[2]
SCREENSHOTS = ROOT / "build" / "screenshots"
_QUESTION = "Two threads, two cores"
_DRAWN = "canvas => canvas.dataset.view && canvas.width > 0"
_LOADED = "image => image.complete && image.naturalWidth > 0"


@pytest.fixture(scope="module")
def tour(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The tour, executed now by a real kernel; only the cell that says so may fail."""
    notebook = nbformat.read(ROOT / "examples" / "tour.ipynb", as_version=4)
    folder = tmp_path_factory.mktemp("tour")
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute(cwd=str(folder))
    return notebook


@pytest.fixture(scope="module")
def server(tour: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[lab.Lab]:
    with lab.running_lab(tmp_path_factory.mktemp("lab")) as running:
        running.write("trusted.ipynb", tour.cells, trusted=True)
        running.write("untrusted.ipynb", tour.cells, trusted=False)
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    with lab.chromium() as running:
        yield running


@pytest.fixture(params=["light", "dark"])
def theme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def errors() -> list[str]:
    """What the page complained of."""
    return []


@pytest.fixture(scope="module")
def loaded(server: lab.Lab, browser: Browser, errors: list[str]) -> Iterator[Page]:
    """JupyterLab, loaded once for all tests."""
    page = browser.new_page(viewport={"width": 1300, "height": 1000})
    page.on("pageerror", lambda error: errors.extend(lab.of_the_picture(str(error))))
    server.open(page, "trusted.ipynb")
    yield page
    page.close()


@pytest.fixture
def page(loaded: Page, theme: str, errors: list[str]) -> Iterator[Page]:
    errors.clear()
    loaded.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
    use_theme(loaded, theme)
    yield loaded
    assert errors == []


def traced_cells(tour: Any) -> list[int]:
    """The numbers of the cells that drew a timeline."""
    return [
        index
        for index, cell in enumerate(tour.cells)
        if any(lab.MARKUP in str(output.get("data", {}).get("text/html", "")) for output in outputs(cell))
    ]


def outputs(cell: Any) -> list[Any]:
    return list(cell.get("outputs", []))


def picture_in(page: Page, index: int) -> Locator:
    """The picture of a cell, scrolled to."""
    lab.scroll_to_cell(page, index)
    picture = lab.cell_at(page, index).locator(".concmagic")
    picture.first.wait_for(state="attached", timeout=30_000)
    return picture.first


def use_theme(page: Page, theme: str) -> None:
    """JupyterLab's own themes, as its menu sets them."""
    name = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}[theme]
    page.evaluate("name => window.jupyterapp.commands.execute('apputils:change-theme', {theme: name})", name)
    light = "true" if theme == "light" else "false"
    page.wait_for_function("light => document.body.dataset.jpThemeLight === light", arg=light)


def test_every_cell_of_the_tour_ran_as_it_should(tour: Any) -> None:
    failing = next(cell for cell in tour.cells if "1 / divisor" in cell.source)
    assert any("item 3 of 3: divisor=0" in str(out) for out in outputs(failing))
    magics = [i for i, cell in enumerate(tour.cells) if cell.source.startswith(("%%", "%timeline"))]
    quiet = [i for i in magics if " -q" in tour.cells[i].source.splitlines()[0]]
    assert traced_cells(tour) == [i for i in magics if i not in quiet] and len(magics) >= 7


def test_trusted_every_traced_cell_has_its_timeline(
    server: lab.Lab, page: Page, tour: Any, theme: str
) -> None:
    server.open_again(page, "trusted.ipynb")
    for index in traced_cells(tour):
        picture = picture_in(page, index)
        if _QUESTION in tour.cells[index].source:
            assert picture.is_hidden()
            lab.cell_at(page, index).locator("summary").click()
        canvas = picture.locator(".scroll canvas")
        canvas.wait_for(timeout=30_000)
        page.wait_for_function(_DRAWN, arg=canvas.element_handle())
        zoom_and_select(page, canvas)
        picture.screenshot(path=SCREENSHOTS / f"tour-{index:02d}-{theme}.png")


def zoom_and_select(page: Page, canvas: Locator) -> None:
    """Press + and Home, then choose the first lane: its name stands in the details."""
    whole = canvas.get_attribute("data-view")
    changed = "([canvas, was]) => canvas.dataset.view !== was"
    canvas.focus()
    page.keyboard.press("+")
    page.wait_for_function(changed, arg=[canvas.element_handle(), whole])
    page.keyboard.press("Home")
    page.wait_for_function("([c, was]) => c.dataset.view === was", arg=[canvas.element_handle(), whole])
    page.keyboard.press("ArrowDown")
    details = canvas.locator("xpath=ancestor::*[contains(@class, 'cm')]").locator(".details .title")
    details.wait_for()
    assert details.inner_text()


def test_untrusted_every_traced_cell_has_its_picture(
    server: lab.Lab, page: Page, tour: Any, theme: str
) -> None:
    server.open_again(page, "untrusted.ipynb")
    for index in traced_cells(tour):
        picture = picture_in(page, index)
        image = picture.locator("img")
        page.wait_for_function(_LOADED, arg=image.element_handle())
        assert picture.locator("canvas").count() == 0
        folded = _QUESTION in tour.cells[index].source
        assert image.is_hidden() == folded
        if folded:
            lab.cell_at(page, index).locator("summary").click()
            assert image.is_visible()
        picture.screenshot(path=SCREENSHOTS / f"tour-{index:02d}-{theme}-untrusted.png")
