"""The pictures of the sample reports, compared as files."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from concmagic.renderers.svg import SvgRenderer
from concmagic.renderers.text import TextRenderer
from sample_reports import SAMPLES


@pytest.mark.parametrize("name", SAMPLES)
def test_text_is_as_it_was(name: str, golden: Callable[[str, str], None]) -> None:
    golden(f"{name}.txt", TextRenderer().render(SAMPLES[name]()) + "\n")


@pytest.mark.parametrize("name", SAMPLES)
def test_svg_is_as_it_was(name: str, golden: Callable[[str, str], None]) -> None:
    golden(f"{name}.svg", SvgRenderer().render(SAMPLES[name]()))
