"""The chart for a terminal: its width, and that it can be read without colour."""

from __future__ import annotations

import pytest

from concmagic.model.categories import Category
from concmagic.renderers.measure import columns
from concmagic.renderers.palette import LETTERS
from concmagic.renderers.text import WIDTH, TextRenderer
from sample_reports import HOSTILE, SAMPLES, asyncio_blocker, ten_long_tracks, thousand_tasks


@pytest.mark.parametrize("name", SAMPLES)
def test_no_line_is_wider_than_80_columns(name: str) -> None:
    for line in TextRenderer().render(SAMPLES[name]()).splitlines():
        assert columns(line) <= WIDTH, line


def test_long_traces_fit_too() -> None:
    for report in (ten_long_tracks(), thousand_tasks()):
        lines = TextRenderer().render(report).splitlines()
        assert max(map(columns, lines)) <= WIDTH
        assert len(lines) < 60


def test_every_category_has_a_sign_of_its_own() -> None:
    assert len(set(LETTERS.values())) == len(Category)
    assert all(columns(sign) == 1 for sign in LETTERS.values())


def test_no_control_character_reaches_the_terminal() -> None:
    text = TextRenderer().render(SAMPLES["hostile_names"]())
    assert not [character for character in text if not character.isprintable() and character != "\n"]
    assert HOSTILE[0] in text


def test_the_lanes_show_their_states_in_the_order_of_time() -> None:
    lines = TextRenderer().render(asyncio_blocker()).splitlines()
    victim = next(line for line in lines if "victim-0" in line)
    waiting, ready, again = victim.find("─"), victim.find("▒"), victim.rfind("─")
    assert 0 < waiting < ready < again
    assert victim.endswith("✓ ready 290 ms")


def test_a_lane_ends_where_its_track_ends() -> None:
    lines = TextRenderer().render(asyncio_blocker()).splitlines()
    long, short = (next(line for line in lines if name in line) for name in ("victim-1", "victim-2"))
    assert len(long.split("✓")[0].rstrip()) > len(short.split("✓")[0].rstrip())
