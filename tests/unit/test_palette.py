"""Contrast by the WCAG's formula; and what the colour-blind, and who prints in grey, can tell apart."""

from __future__ import annotations

from itertools import combinations

import pytest

from concmagic.model.categories import Category, category
from concmagic.model.reasons import REASONS
from concmagic.model.trace import State
from concmagic.renderers.palette import ORDER, THEMES, Theme
from concmagic.sentences import CATEGORY_LABELS, PICTURE_WORDS

# Machado, Oliveira and Fernandes (2009), severity 1.0: linear RGB as the three kinds of vision see it.
_VISION = {
    "protan": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deutan": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritan": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
    "usual": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
}


def _linear(colour: str) -> list[float]:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    return [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]


def _luminance(colour: str) -> float:
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), _linear(colour), strict=True))


def contrast(one: str, other: str) -> float:
    """The WCAG's ratio, from 1 to 21."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _lab(colour: str, vision: str) -> tuple[float, float, float]:
    seen = [max(sum(a * b for a, b in zip(row, _linear(colour), strict=True)), 0) for row in _VISION[vision]]
    rows = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))
    xyz = [sum(a * b for a, b in zip(row, seen, strict=True)) for row in rows]
    scaled = [part / white for part, white in zip(xyz, (0.9505, 1, 1.089), strict=True)]
    x, y, z = (part ** (1 / 3) if part > 0.008856 else 7.787 * part + 16 / 116 for part in scaled)
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
def test_text_can_be_read(theme: Theme) -> None:
    for ink in (theme.text, theme.muted, theme.good, theme.bad):
        assert contrast(ink, theme.background) >= 4.5
    for ink in (theme.text, theme.muted):
        assert contrast(ink, theme.panel) >= 4.5


MAIN = (Category.RUNNING, Category.BLOCKING, Category.READY, Category.EACH_OTHER, Category.OUTSIDE)
LIGHT_ONES = (Category.OUTSIDE, Category.IDLE)
OUTLINED = (*LIGHT_ONES, Category.STARTING, Category.TRACING, Category.UNKNOWN)


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
@pytest.mark.parametrize("one", ORDER)
def test_labels_can_be_read_on_their_category(theme: Theme, one: Category) -> None:
    look = theme.states[one]
    assert contrast(look.ink, look.fill) >= 4.5
    if look.hatch and look.hatch != "dots":  # dots are covered behind letters
        assert contrast(look.ink, look.hatch_colour) >= 4.5


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
@pytest.mark.parametrize("one", ORDER)
def test_each_category_stands_out_from_the_background(theme: Theme, one: Category) -> None:
    look = theme.states[one]
    assert max(contrast(look.stroke, theme.background), contrast(look.fill, theme.background)) >= 3
    if one not in OUTLINED:
        assert contrast(look.fill, theme.background) >= 1.4


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
@pytest.mark.parametrize("pair", [*combinations(MAIN, 2)], ids=str)
def test_the_main_categories_differ_in_grey(theme: Theme, pair: tuple[Category, Category]) -> None:
    one, other = (theme.states[each].fill for each in pair)
    assert contrast(one, other) >= 1.4


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
@pytest.mark.parametrize("vision", _VISION)
def test_the_main_categories_differ_for_every_kind_of_vision(theme: Theme, vision: str) -> None:
    for pair in combinations(MAIN, 2):
        seen = [_lab(theme.states[each].fill, vision) for each in pair]
        distance = sum((a - b) ** 2 for a, b in zip(*seen, strict=True)) ** 0.5
        assert distance > 18, (*pair, vision)


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
def test_no_two_categories_differ_by_colour_alone(theme: Theme) -> None:
    forms = [(look.hatch, look.height) for look in theme.states.values()]
    assert len(set(forms)) == len(ORDER)


def test_both_themes_have_the_same_forms() -> None:
    light, dark = THEMES
    for one in ORDER:
        looks = light.states[one], dark.states[one]
        assert len({(look.hatch, look.height) for look in looks}) == 1


def test_every_reason_to_wait_has_a_category_by_its_family() -> None:
    found = {name: category(State.WAITING, name).value for name in REASONS}
    assert found == {name: row.family for name, row in REASONS.items()}
    assert category(State.WAITING, "never heard of") is Category.OUTSIDE
    assert category(State.READY, "GIL") is Category.READY
    assert category(State.READY, "core") is Category.NO_CORE


def test_words_stand_in_the_order_of_the_codes() -> None:
    assert [*CATEGORY_LABELS] == [one.value for one in ORDER]
    assert len(PICTURE_WORDS["states"]) == len(ORDER)
