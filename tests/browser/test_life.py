"""What a picture watches in the page ends when its output is gone, and goes on when it is put back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import lab
import nbformat
import pytest
from playwright.sync_api import Browser, CDPSession, Page

from concmagic.renderers.html import HtmlRenderer
from sample_reports import asyncio_blocker

pytestmark = pytest.mark.browser

RUNS = 20
_WATCHING = ("ResizeObserver", "IntersectionObserver", "MutationObserver", "MediaQueryList")
# Put an output into the page as a notebook does: markup first, then its script.
_SHOW = """html => {
    const output = document.createElement('div');
    output.append(document.createRange().createContextualFragment(html));
    document.querySelector('#outputs').replaceChildren(output);
}"""
_DRAWN = (
    "() => document.querySelector('.concmagic')?.shadowRoot?.querySelector('.scroll canvas')?.dataset.view"
)
# The object by which scripts know a node may be dropped and made anew; one that was written to stays.
_MARK = "() => document.querySelectorAll('.concmagic').forEach(one => { one.shadowRoot.marked = true; })"
_MARK_QUERIES = (
    "() => { const ask = window.matchMedia.bind(window);"
    " window.matchMedia = (asked) => Object.assign(ask(asked), { marked: true }); }"
)
_NEW = f"was => document.querySelector('.concmagic')?.id !== was && ({_DRAWN})()"
_BACKGROUND = (
    "host => getComputedStyle(host.shadowRoot?.querySelector('.cm') ?? document.body).backgroundColor"
)
_LIGHT, _DARK = "rgb(255, 255, 255)", "rgb(21, 24, 29)"


class Heap:
    """Counts the living objects of a page; what nobody refers to is collected before."""

    def __init__(self, page: Page) -> None:
        self._session: CDPSession = page.context.new_cdp_session(page)

    def count(self, kind: str, where: str = "true") -> int:
        """How many objects of a class there are for which an expression of `one` holds."""
        prototype = self._object("Runtime.evaluate", {"expression": f"{kind}.prototype"})
        self._session.send("HeapProfiler.collectGarbage")
        found = self._session.send(
            "Runtime.queryObjects", {"prototypeObjectId": prototype, "objectGroup": "found"}
        )
        told = self._session.send(
            "Runtime.callFunctionOn",
            {
                "objectId": found["objects"]["objectId"],
                "functionDeclaration": f"function() {{ return this.filter(one => {where}).length; }}",
                "returnByValue": True,
            },
        )
        self._session.send("Runtime.releaseObjectGroup", {"objectGroup": "found"})
        return int(told["result"]["value"])

    def views(self) -> int:
        """How many of the marked pictures there are, in the page or out of it."""
        return self.count("ShadowRoot", "one.marked")

    def _object(self, method: str, arguments: dict[str, str]) -> str:
        return str(self._session.send(method, {**arguments, "objectGroup": "found"})["result"]["objectId"])


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with lab.chromium() as running:
        yield running


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1200, "height": 900}, color_scheme="light")
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.extend(lab.of_the_picture(str(error))))
    yield page
    page.close()
    assert errors == []


def show(page: Page) -> None:
    """Put a new output in the place of what is there."""
    page.evaluate(_SHOW, HtmlRenderer().render(asyncio_blocker()))
    page.wait_for_function(_DRAWN)
    page.evaluate(_MARK)


def empty_page(page: Page, style: str = "") -> Heap:
    """A page without an output."""
    page.set_content(f"<div id='outputs' style='{style}'></div>")
    page.wait_for_function("true")  # it makes an observer of its own, which stays
    page.evaluate(_MARK_QUERIES)
    heap = Heap(page)
    assert watching(heap) == dict.fromkeys(_WATCHING, 0)
    return heap


def watching(heap: Heap) -> dict[str, int]:
    """How many observers there are, without the one of the test's tool."""
    found = {kind: heap.count(kind) for kind in _WATCHING}
    return {**found, "MutationObserver": found["MutationObserver"] - 1}


def test_replaced_outputs_leave_nothing(page: Page) -> None:
    heap = empty_page(page)
    for _ in range(RUNS):
        show(page)
    assert heap.views() == 1
    assert watching(heap) == dict.fromkeys(_WATCHING, 1)
    page.evaluate("document.querySelector('#outputs').replaceChildren()")
    assert heap.views() == 0
    assert watching(heap) == dict.fromkeys(_WATCHING, 0)


def test_what_is_out_of_the_page_watches_nothing_and_goes_on_when_it_is_put_back(page: Page) -> None:
    heap = empty_page(page, "width: 900px")
    show(page)
    output = page.evaluate_handle("document.querySelector('.concmagic')")
    page.evaluate("output => { window.output = output; output.remove(); }", output)
    assert heap.views() == 1  # the test holds it
    assert watching(heap) == dict.fromkeys(_WATCHING, 0)
    page.evaluate("document.body.dataset.jpThemeLight = 'false'")
    page.evaluate("document.querySelector('#outputs').append(window.output)")
    assert output.evaluate(_BACKGROUND) == _DARK  # it changed in the meantime
    page.evaluate("document.body.dataset.jpThemeLight = 'true'")
    page.wait_for_function(f"host => ({_BACKGROUND})(host) === '{_LIGHT}'", arg=output)
    page.evaluate("document.querySelector('#outputs').style.width = '700px'")
    page.wait_for_function(
        "host => host.shadowRoot.querySelector('.scroll canvas').clientWidth < 700", arg=output
    )
    assert watching(heap) == dict.fromkeys(_WATCHING, 1)


def test_a_cell_that_runs_again_and_again_leaves_its_last_picture(page: Page, tmp_path: Path) -> None:
    cells = ["%load_ext concmagic", "%%threads\nsum(range(1000))"]
    with lab.running_lab(tmp_path) as server:
        server.write("again.ipynb", [nbformat.v4.new_code_cell(source) for source in cells])
        server.open(page, "again.ipynb")
        page.wait_for_function("window.jupyterapp.shell.currentWidget.context.sessionContext.isReady")
        page.evaluate("window.jupyterapp.commands.execute('notebook:run-cell-and-select-next')")
        heap, seen = Heap(page), ""
        for _ in range(RUNS):
            page.evaluate("window.jupyterapp.commands.execute('notebook:run-cell')")
            page.wait_for_function(_NEW, arg=seen, timeout=60_000)
            seen = page.locator(".concmagic").get_attribute("id") or ""
            page.evaluate(_MARK)
        assert 1 <= heap.views() <= 2  # JupyterLab may hold what it has just replaced


_SAYS = {
    "data-theme": "document.documentElement.dataset.theme = {}",
    "Bootstrap": "document.documentElement.dataset.bsTheme = {}",
    "Material for MkDocs": "document.body.dataset.mdColorScheme = {} === 'dark' ? 'slate' : 'default'",
    "VS Code": "document.body.className = 'vscode-' + {}",
    "theme": "document.documentElement.setAttribute('theme', {})",
}


@pytest.mark.parametrize("says", _SAYS.values(), ids=_SAYS)
def test_the_theme_is_the_pages(page: Page, says: str) -> None:
    page.set_content("<div id='outputs'></div>")
    page.evaluate(says.format("'dark'"))
    show(page)
    output = page.evaluate_handle("document.querySelector('.concmagic')")
    assert output.evaluate(_BACKGROUND) == _DARK
    page.evaluate(says.format("'light'"))
    page.wait_for_function(f"host => ({_BACKGROUND})(host) === '{_LIGHT}'", arg=output)


@pytest.mark.parametrize(
    ("style", "background"), [("background: #222", _DARK), ("background: #fff8", _LIGHT), ("", _LIGHT)]
)
def test_where_the_page_says_nothing_the_theme_is_that_of_the_background(
    page: Page, style: str, background: str
) -> None:
    page.set_content(f"<div style='{style}'><div id='outputs'></div></div>")
    show(page)
    assert page.evaluate_handle("document.querySelector('.concmagic')").evaluate(_BACKGROUND) == background
