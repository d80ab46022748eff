"""The interactive picture: nothing unescaped, nothing shared, bounded, useful without a script."""

from __future__ import annotations

import base64
import json
import re
import zlib
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from packed_boxes import unpacked

from concmagic.model.trace import Facts, Flow, Mark, StateInterval
from concmagic.renderers.html import HtmlRenderer
from concmagic.renderers.palette import LIGHT, ORDER
from concmagic.renderers.payload import payload
from concmagic.renderers.svg import SvgRenderer
from sample_reports import HOSTILE, SAMPLES, asyncio_blocker, many_tasks, ten_long_tracks, thousand_tasks


class _Page(HTMLParser):
    """Collects tags and attributes as a browser would see them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))


def _attributes(html: str, tag: str) -> dict[str, str | None]:
    return next(attributes for name, attributes in _Page(html).tags if name == tag)


@pytest.mark.parametrize("name", SAMPLES)
def test_markup_holds_only_our_own_tags(name: str) -> None:
    tags = [tag for tag, _ in _Page(HtmlRenderer().render(SAMPLES[name]())).tags]
    closed = ["details", "summary"] if SAMPLES[name]().question else []
    assert tags == [*closed, "div", "img", "script"]


def test_no_attribute_is_smuggled_in() -> None:
    html = HtmlRenderer().render(SAMPLES["hostile_names"]())
    assert set(_attributes(html, "img")) == {"alt", "src", "style"}
    assert html.count("</script>") == 1 and "<!--" not in html.split("<script>")[1]


HATCHES = {f"#h{code}" for code, one in enumerate(ORDER) if LIGHT.states[one].hatch}


@pytest.mark.parametrize("name", SAMPLES)
def test_the_static_picture_is_well_formed_and_self_contained(name: str) -> None:
    source = _attributes(HtmlRenderer().render(SAMPLES[name]()), "img")["src"] or ""
    svg = base64.b64decode(source.removeprefix("data:image/svg+xml;base64,")).decode()
    attributes = {name for element in ElementTree.fromstring(svg).iter() for name in element.attrib}
    assert not attributes & {"href", "{http://www.w3.org/1999/xlink}href", "src"}
    assert set(re.findall(r"url\(([^)]*)\)", svg)) <= HATCHES


def test_hostile_names_stay_text_in_the_svg() -> None:
    root = ElementTree.fromstring(SvgRenderer().render(SAMPLES["hostile_names"]()))
    names = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert names <= {"svg", "title", "style", "defs", "pattern", "rect", "path", "text", "tspan"}
    assert any(HOSTILE[0] in (element.text or "") for element in root.iter())


def test_the_themes_can_be_fixed() -> None:
    report = asyncio_blocker()
    assert "prefers-color-scheme" in SvgRenderer().render(report)
    for theme in ("light", "dark"):
        assert "prefers-color-scheme" not in SvgRenderer(theme).render(report)
    assert SvgRenderer("light").render(report) != SvgRenderer("dark").render(report)


def test_the_image_says_what_it_shows() -> None:
    alt = _attributes(HtmlRenderer().render(asyncio_blocker()), "img")["alt"] or ""
    for said in (
        "For 300 of 352 ms nobody could run",
        "concurrency 3.9, at most 4 tasks",
        "waiting outside 175 ms",
    ):
        assert said in alt


def test_every_output_has_an_id_of_its_own() -> None:
    renderer, report = HtmlRenderer(), asyncio_blocker()
    identities = {_attributes(renderer.render(report), "div")["id"] for _ in range(20)}
    assert len(identities) == 20


def test_a_question_closes_the_picture() -> None:
    html = HtmlRenderer().render(replace(asyncio_blocker(), question="Who <b>finishes</b> first?"))
    assert "open" not in _attributes(html, "details")
    assert "<summary" in html and "Who &lt;b&gt;finishes&lt;/b&gt; first?</summary>" in html
    assert html.index("<summary") < html.index("<img") < html.index("</details>")


def test_a_page_is_a_whole_document() -> None:
    page = HtmlRenderer(page=True).render(SAMPLES["hostile_names"]())
    assert page.startswith("<!doctype html>") and '<meta charset="utf-8">' in page
    assert [tag for tag, _ in _Page(page).tags].count("script") == 1


def test_ten_tracks_take_at_most_120_kilobytes() -> None:
    for intervals in (400, 2_000, 20_000):
        assert len(HtmlRenderer().render(ten_long_tracks(intervals)).encode()) <= 120_000


def test_a_thousand_tasks_take_at_most_200_kilobytes() -> None:
    assert len(HtmlRenderer().render(thousand_tasks()).encode()) <= 200_000
    assert len(HtmlRenderer().render(many_tasks()).encode()) <= 200_000


@pytest.mark.parametrize("name", SAMPLES)
def test_the_script_is_handed_the_whole_payload(name: str) -> None:
    """As the script unpacks it: base64 of a zlib stream of JSON."""
    report = SAMPLES[name]()
    packed = re.search(r'concmagicStart\("concmagic-[0-9a-f]+", "([^"]+)"', HtmlRenderer().render(report))
    assert packed is not None
    assert json.loads(zlib.decompress(base64.b64decode(packed[1]))) == json.loads(json.dumps(payload(report)))


def test_a_million_intervals_are_bounded_too() -> None:
    report = ten_long_tracks(100_000)
    assert sum(len(one.states) for one in report.trace.tracks) > 1_000_000
    assert len(HtmlRenderer().render(report).encode()) <= 120_000


def test_ever_new_words_flows_and_marks_are_bounded() -> None:
    report = thousand_tasks()
    others: list[str] = []

    def with_new_words(one: StateInterval) -> StateInterval:
        others.append(f"{len(others)} {'x' * 300}")
        return replace(one, facts=Facts(holders=(-len(others),), waits_for=(-len(others),)))

    tracks = tuple(replace(one, states=tuple(map(with_new_words, one.states))) for one in report.trace.tracks)
    flows = tuple(Flow("wake", 1, i, 2, i) for i in range(50_000))
    marks = tuple(Mark(f"m{i}", i, i) for i in range(50_000))
    html = HtmlRenderer().render(
        replace(
            report, trace=replace(report.trace, tracks=tracks, flows=flows, marks=marks, others=tuple(others))
        )
    )
    assert len(html.encode()) <= 800_000


def test_the_packed_boxes_are_the_tracks_states() -> None:
    data = payload(asyncio_blocker())
    number = next(index for index, lane in enumerate(data["lanes"]) if lane.name == "victim-0")
    victim = next(one for one in asyncio_blocker().trace.tracks if one.name == "victim-0")
    boxes = unpacked(data["rows"][number], data["kinds"])
    assert [(start * data["unit"], end * data["unit"]) for start, end, _ in boxes] == [
        (i.start_ns, i.end_ns) for i in victim.states
    ]
    assert boxes[3][2].full == "ready, loop held by blocker"


def test_merging_is_said() -> None:
    notes = payload(ten_long_tracks(20_000))["notes"]
    assert any("drawn merged, as shares; all sums are exact" in note for note in notes)


def test_sums_do_not_suffer_from_merging() -> None:
    report = ten_long_tracks(20_000)
    data = payload(report)
    worker = report.trace.tracks[1]
    running = sum(i.length_ns for i in worker.states if i.state.value == "running")
    lane = next(lane for lane in data["lanes"] if lane.name == worker.name)
    assert abs(lane.sums[0] * data["unit"] - running) <= data["unit"]


@pytest.mark.parametrize(("name", "most"), [("empty_cell", 40_000), ("asyncio_blocker", 48_000)])
def test_a_small_picture_is_small(name: str, most: int) -> None:
    """From 64 KiB on a kernel needs a thread of its own to send it; where it can have none, it is lost."""
    assert len(HtmlRenderer().render(SAMPLES[name]()).encode()) <= most
