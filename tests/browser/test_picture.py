"""The picture in a real JupyterLab: it upgrades, it moves, and it takes nothing from the notebook."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import lab
import pytest
from playwright.sync_api import Browser, Locator, Page

from concmagic.renderers.html import HtmlRenderer
from concmagic.renderers.text import TextRenderer
from sample_reports import asyncio_blocker, calling_threads, hostile_names, many_tasks

pytestmark = pytest.mark.browser

_DANGEROUS = [*"dd00xabmyzcv", "Delete", "Shift+M", "Shift+Enter", "Control+Enter", "Enter"]
_CALL = 18  # the height of a row of calls
_COLOURS = """canvas => {
    const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
    const seen = new Set();
    for (let i = 0; i < pixels.length; i += 4) seen.add(pixels[i] << 16 | pixels[i + 1] << 8 | pixels[i + 2]);
    return seen.size;
}"""
_SCROLLED = "document.querySelector('.jp-WindowedPanel-outer').scrollTop"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[lab.Lab]:
    report = asyncio_blocker()
    pictures = [
        report,
        replace(report, question="Who finishes first?"),
        replace(hostile_names(), question=""),
        many_tasks(),
        calling_threads(),
    ]
    with lab.running_lab(tmp_path_factory.mktemp("lab")) as running:
        for name, trusted in (("trusted.ipynb", True), ("untrusted.ipynb", False)):
            html, text = HtmlRenderer(), TextRenderer()
            cells = [lab.cell_with(html.render(one), text.render(one)) for one in pictures]
            running.write(name, [*cells, *lab.plain_cells(60)], trusted)
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with lab.chromium() as running:
        yield running


@pytest.fixture(scope="module")
def errors() -> list[str]:
    """What the page of the running test complained of."""
    return []


@pytest.fixture(scope="module")
def loaded(server: lab.Lab, browser: Browser, errors: list[str]) -> Iterator[Page]:
    """JupyterLab, loaded once for all tests."""
    page = browser.new_page(viewport={"width": 1400, "height": 950})
    page.on("pageerror", lambda error: errors.extend(lab.of_the_picture(str(error))))
    page.on("dialog", lambda dialog: (errors.append(f"alert: {dialog.message}"), dialog.dismiss()))
    server.open(page, "trusted.ipynb")
    yield page
    page.close()


@pytest.fixture
def page(server: lab.Lab, loaded: Page, errors: list[str]) -> Iterator[Page]:
    """The notebook, opened anew."""
    errors.clear()
    server.open_again(loaded, "trusted.ipynb")
    loaded.locator(".concmagic").first.wait_for(timeout=30_000)
    yield loaded
    assert errors == []


def canvas_of(page: Page, index: int = 0) -> Locator:
    """The timeline of a picture, drawn."""
    canvas = page.locator(".concmagic").nth(index).locator(".scroll canvas")
    canvas.wait_for(timeout=30_000)
    page.wait_for_function("canvas => canvas.dataset.view", arg=canvas.element_handle())
    return canvas


def seen(canvas: Locator) -> tuple[int, int]:
    """The stretch of time that is shown."""
    start, end = (canvas.get_attribute("data-view") or "").split()
    return int(start), int(end)


def wait_for_view(page: Page, canvas: Locator, other_than: tuple[int, int]) -> tuple[int, int]:
    before = f"{other_than[0]} {other_than[1]}"
    page.wait_for_function("([c, was]) => c.dataset.view !== was", arg=[canvas.element_handle(), before])
    return seen(canvas)


def click_lane(canvas: Locator, row: int, x: float = 400) -> None:
    """Click a lane by its number from the bottom, 0 the last."""
    box = canvas.bounding_box()
    assert box is not None
    canvas.click(position={"x": x, "y": box["height"] - 6 - 29 * row - 14})


def test_a_trusted_notebook_has_the_timeline(page: Page) -> None:
    canvas = canvas_of(page)
    assert canvas.evaluate(_COLOURS) > 20
    assert canvas.get_attribute("role") == "img"
    assert "For 300 of 352 ms" in (canvas.get_attribute("aria-label") or "")


def test_an_untrusted_notebook_has_the_static_picture(server: lab.Lab, page: Page) -> None:
    server.open_again(page, "untrusted.ipynb")
    assert page.locator(".concmagic canvas").count() == 0
    image = page.locator(".concmagic img").first
    image.wait_for()
    page.wait_for_function(
        "image => image.complete && image.naturalWidth === 980", arg=image.element_handle()
    )
    folded = page.locator(".jp-OutputArea-output details")
    folded.scroll_into_view_if_needed()
    assert folded.locator("img").is_hidden()
    folded.locator("summary").click()
    assert folded.locator("img").is_visible()


def test_a_question_stays_closed_until_it_is_opened(page: Page) -> None:
    summary = page.locator("summary", has_text="Who finishes first?")
    summary.scroll_into_view_if_needed()
    inside = page.locator(".jp-OutputArea-output details .concmagic")
    assert inside.is_hidden()
    summary.click()
    assert canvas_of(page, 1).evaluate(_COLOURS) > 20


def test_the_wheel_scrolls_the_page_also_once_the_picture_is_clicked(page: Page) -> None:
    canvas = canvas_of(page)
    canvas.hover()
    before, scrolled = seen(canvas), page.evaluate(_SCROLLED)
    page.mouse.wheel(0, 100)
    page.wait_for_function(f"was => {_SCROLLED} > was", arg=scrolled)
    assert seen(canvas) == before
    page.mouse.wheel(0, -100)
    page.wait_for_function(f"{_SCROLLED} === 0")
    click_lane(canvas, 1)
    page.mouse.wheel(0, 100)
    page.wait_for_function(f"{_SCROLLED} > 0")
    assert seen(canvas) == before


def test_buttons_are_off_while_they_have_nothing_to_do(page: Page) -> None:
    canvas = canvas_of(page)
    tools = page.locator(".concmagic").first.locator(".tools")
    off = [tools.get_by_role("button", name=name, exact=True) for name in ("zoom out", "Fit", "Undo zoom")]
    assert all(button.is_disabled() for button in off)
    whole = seen(canvas)
    tools.get_by_role("button", name="zoom in").click()
    near = wait_for_view(page, canvas, whole)
    assert all(button.is_enabled() for button in off)
    off[2].click()
    wait_for_view(page, canvas, near)
    assert all(button.is_disabled() for button in off)


@pytest.mark.parametrize("key", ["Control", "Meta"])
def test_the_wheel_zooms_at_once_with_a_key_held(page: Page, key: str) -> None:
    canvas = canvas_of(page)
    whole, scrolled = seen(canvas), page.evaluate(_SCROLLED)
    canvas.hover()
    page.keyboard.down(key)
    page.mouse.wheel(0, -100)
    near = wait_for_view(page, canvas, whole)
    page.mouse.wheel(0, 100)
    far = wait_for_view(page, canvas, near)
    page.keyboard.up(key)
    assert near[1] - near[0] < far[1] - far[0] <= whole[1] - whole[0]
    assert page.evaluate(_SCROLLED) == scrolled


def test_each_key_has_one_that_takes_it_back(page: Page) -> None:
    canvas = canvas_of(page)
    whole = seen(canvas)
    canvas.focus()
    page.keyboard.press("+")
    near = wait_for_view(page, canvas, whole)
    page.keyboard.press("ArrowRight")
    moved = wait_for_view(page, canvas, near)
    page.keyboard.press("ArrowLeft")
    assert wait_for_view(page, canvas, moved) == pytest.approx(near, abs=2)
    page.keyboard.press("-")
    assert wait_for_view(page, canvas, near) == whole


def test_the_pointer_over_a_box_tells_what_it_is(page: Page) -> None:
    canvas = canvas_of(page)
    tip = page.locator(".concmagic").first.locator(".tip")
    assert tip.is_hidden()
    box = canvas.bounding_box()
    assert box is not None
    canvas.hover(position={"x": 400, "y": box["height"] - 6 - 29 - 14})
    tip.wait_for()
    assert "ready" in tip.inner_text()
    page.mouse.move(5, 5)
    tip.wait_for(state="hidden")


def test_keys_zoom_move_fit_and_undo(page: Page) -> None:
    canvas = canvas_of(page)
    whole = seen(canvas)
    canvas.focus()
    page.keyboard.press("+")
    near = wait_for_view(page, canvas, whole)
    assert near[1] - near[0] < whole[1] - whole[0]
    page.keyboard.press("ArrowRight")
    moved = wait_for_view(page, canvas, near)
    assert moved[1] - moved[0] == near[1] - near[0] and moved[0] > near[0]
    page.keyboard.press("Home")
    assert wait_for_view(page, canvas, moved) == whole
    page.keyboard.press("u")
    assert wait_for_view(page, canvas, whole) != whole


def test_dragging_moves(page: Page) -> None:
    canvas = canvas_of(page)
    canvas.focus()
    page.keyboard.press("+")
    near = wait_for_view(page, canvas, (0, 352_000))
    box = canvas.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 500, box["y"] + 200)
    page.mouse.down()
    page.mouse.move(box["x"] + 420, box["y"] + 200, steps=4)
    page.mouse.up()
    assert wait_for_view(page, canvas, near)[0] > near[0]


def test_a_click_tells_about_a_box_and_who_ended_it(page: Page) -> None:
    canvas = canvas_of(page)
    click_lane(canvas, 1)
    details = page.locator(".concmagic").first.locator(".details")
    text = details.inner_text()
    for said in ("victim-1", "ready, loop held by blocker", "for 290 ms", "woken by event loop", "returned"):
        assert said in text
    assert details.get_attribute("aria-live") == "polite"


def test_a_finding_zooms_to_its_place(page: Page) -> None:
    canvas = canvas_of(page)
    page.locator(".concmagic").first.locator(".finding").click()
    start, end = wait_for_view(page, canvas, (0, 352_000))
    assert start < 21_000 and 321_000 < end < 352_000


def test_a_typical_stretch_can_be_shown_where_turns_are_too_fine(page: Page) -> None:
    picture, canvas = page.locator(".concmagic").nth(3), canvas_of(page, 3)
    whole = seen(canvas)
    picture.locator("button", has_text="a typical").click()
    start, end = wait_for_view(page, canvas, whole)
    assert 3 * (end - start) <= whole[1] - whole[0]
    assert page.locator(".concmagic").nth(0).locator("button", has_text="a typical").count() == 0


def test_a_fold_opens(page: Page) -> None:
    lab.scroll_to_cell(page, 3)
    canvas = canvas_of(page, 3)
    few = canvas.bounding_box()
    click_lane(canvas, 0, x=40)
    assert few is not None
    grown = "([canvas, was]) => canvas.clientHeight > was"
    page.wait_for_function(grown, arg=[canvas.element_handle(), few["height"]])


def test_the_legend_highlights_a_state(page: Page) -> None:
    canvas_of(page)
    ready = page.locator(".concmagic").first.locator(".legend button", has_text="ready")
    ready.click()
    assert ready.get_attribute("aria-pressed") == "true"
    ready.click()
    assert ready.get_attribute("aria-pressed") == "false"


def test_no_key_in_the_picture_reaches_the_notebook(page: Page) -> None:
    canvas = canvas_of(page)
    before = lab.sources(page)
    click_lane(canvas, 1)
    for key in _DANGEROUS:
        page.keyboard.press(key)
    page.locator(".concmagic").first.locator(".legend button").first.focus()
    for key in ["d", "d", "0", "0", "x"]:
        page.keyboard.press(key)
    assert lab.sources(page) == before
    assert page.locator(".jp-Dialog").count() == 0
    assert page.locator(".jp-Notebook .jp-MarkdownCell").count() == 0


def test_the_notebook_has_its_keys_again_after_escape(page: Page) -> None:
    canvas = canvas_of(page)
    before = lab.sources(page)
    click_lane(canvas, 1)
    page.keyboard.press("Escape")
    page.keyboard.press("b")
    page.wait_for_function(
        "count => window.jupyterapp.shell.currentWidget.content.model.cells.length > count", arg=len(before)
    )


def test_sixty_cells_away_and_back_it_is_still_drawn(page: Page) -> None:
    canvas_of(page)
    lab.scroll_to_cell(page, 64)
    page.wait_for_function(f"{_SCROLLED} > 3000")
    lab.scroll_to_cell(page, 0)
    page.wait_for_function(f"{_SCROLLED} < 300")
    canvas = canvas_of(page)
    canvas.scroll_into_view_if_needed()
    assert canvas.evaluate(_COLOURS) > 20


def test_it_follows_the_theme_of_jupyterlab(page: Page) -> None:
    canvas_of(page)
    frame = page.locator(".concmagic").first.locator(".cm")
    assert frame.evaluate("element => getComputedStyle(element).backgroundColor") == "rgb(255, 255, 255)"
    background = "([element, was]) => getComputedStyle(element).backgroundColor === was"
    page.evaluate("document.body.dataset.jpThemeLight = 'false'")
    page.wait_for_function(background, arg=[frame.element_handle(), "rgb(21, 24, 29)"])
    page.evaluate("document.body.dataset.jpThemeLight = 'true'")
    page.wait_for_function(background, arg=[frame.element_handle(), "rgb(255, 255, 255)"])


def test_two_copies_of_one_output_share_nothing(page: Page) -> None:
    canvas_of(page)
    page.evaluate(
        """() => {
            const host = document.querySelector('.concmagic');
            const script = host.parentElement.querySelector('script').textContent;
            const copy = document.createElement('div');
            copy.id = host.id;
            copy.className = 'concmagic';
            host.after(copy);
            const again = document.createElement('script');
            again.textContent = script;
            host.after(again);
        }"""
    )
    first, second = canvas_of(page, 0), canvas_of(page, 1)
    first.focus()
    page.keyboard.press("+")
    wait_for_view(page, first, (0, 352_000))
    assert seen(second) == (0, 352_000)


def test_hostile_names_are_only_text(page: Page) -> None:
    lab.scroll_to_cell(page, 2)
    canvas_of(page, 2)
    host = page.locator(".concmagic").nth(2)
    assert host.locator("h2").inner_text().startswith("Headline </script><img src=x onerror=alert(1)>")
    assert host.locator("img").count() == 1  # the static picture alone


def calls_canvas(page: Page) -> Locator:
    """The picture of the threads that call functions."""
    lab.scroll_to_cell(page, 4)
    return canvas_of(page, 4)


def height_of(canvas: Locator) -> int:
    return int(canvas.evaluate("canvas => canvas.clientHeight"))


def wait_for_height(page: Page, canvas: Locator, height: int) -> None:
    page.wait_for_function("([c, h]) => c.clientHeight === h", arg=[canvas.element_handle(), height])


def test_choosing_a_lane_opens_its_calls_and_its_name_closes_them(page: Page) -> None:
    canvas = calls_canvas(page)
    plain = height_of(canvas)
    click_lane(canvas, 0)  # it made no call
    assert height_of(canvas) == plain
    click_lane(canvas, 1)
    opened = plain + 3 * _CALL + 7
    wait_for_height(page, canvas, opened)
    first = {"x": 60, "y": opened - 6 - 3 * 29 - 3 * _CALL - 7 + 14}
    canvas.click(position=first)
    wait_for_height(page, canvas, opened + 3 * _CALL + 7)  # nothing above the pointer moved
    canvas.click(position=first)
    wait_for_height(page, canvas, opened)


def test_a_call_tells_its_name_place_and_length(page: Page) -> None:
    canvas = calls_canvas(page)
    plain = height_of(canvas)
    click_lane(canvas, 1)
    wait_for_height(page, canvas, plain + 3 * _CALL + 7)
    calls = plain - 6 - 29  # where they begin: under the second of three lanes
    tip = page.locator(".concmagic").nth(4).locator(".tip")
    canvas.hover(position={"x": 300, "y": calls + _CALL // 2})
    tip.wait_for()
    assert tip.inner_text().splitlines() == ["load", "for 50 ms, from 5 ms", "line 6"]
    canvas.click(position={"x": 350, "y": calls + 2 * _CALL + _CALL // 2})
    details = page.locator(".concmagic").nth(4).locator(".details")
    assert "× number_of" in details.inner_text() and "text.py:88" in details.inner_text()
    assert "loader-2" in details.inner_text() and "in all" in details.inner_text()


def test_keys_open_the_calls_of_one_lane_at_a_time(page: Page) -> None:
    canvas = calls_canvas(page)
    plain = height_of(canvas)
    canvas.focus()
    page.keyboard.press("ArrowDown")
    wait_for_height(page, canvas, plain + 3 * _CALL + 7)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    wait_for_height(page, canvas, plain)


def test_screenshots(page: Page, tmp_path: Path) -> None:
    canvas = canvas_of(page)
    click_lane(canvas, 1)
    picture = page.locator(".concmagic").first.screenshot(path=tmp_path / "picture.png")
    assert len(picture) > 20_000


_ACCENT = """canvas => {
    const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
    let seen = 0;
    const accent = [11, 87, 208];
    for (let i = 0; i < pixels.length; i += 4) seen += accent.every((part, k) => pixels[i + k] === part);
    return seen;
}"""  # pixels of the light theme's accent


def test_a_part_of_the_band_and_a_key_show_where_it_went(page: Page) -> None:
    canvas = canvas_of(page)
    parts = page.locator(".concmagic").first.locator(".parts button")
    assert parts.first.inner_text() == "blocked in time.sleep · 300 ms · 85 %"
    assert canvas.evaluate(_ACCENT) == 0
    parts.first.click()
    page.wait_for_function(f"canvas => ({_ACCENT})(canvas) > 200", arg=canvas.element_handle())
    assert [parts.nth(i).get_attribute("aria-pressed") for i in range(3)] == ["true", "false", "false"]
    alone = canvas.evaluate(_ACCENT)
    canvas.focus()
    page.keyboard.press("p")
    page.wait_for_function(f"canvas => ({_ACCENT})(canvas) > {alone}", arg=canvas.element_handle())
    page.keyboard.press("p")
    page.wait_for_function(f"canvas => ({_ACCENT})(canvas) === 0", arg=canvas.element_handle())
    assert [parts.nth(i).get_attribute("aria-pressed") for i in range(3)] == ["false"] * 3
