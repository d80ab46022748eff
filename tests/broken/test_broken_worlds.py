"""Cells of every model in interpreters in which a borrowed name is missing or something else.

`make broken-world` takes all names in all ways; here it is those that are read as modules are imported, and
a share of the others. The seed is fixed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from worlds import World, faults, seen, some_worlds

WORLDS = [World("", "", "whole", "before"), *some_worlds()]
pytestmark = pytest.mark.timeout(1200)  # the first one makes them all


@pytest.fixture(scope="module")
def told() -> Iterator[dict[World, Any]]:
    """What happened in each world."""
    at_once = 2 * len(os.sched_getaffinity(0))  # most of the time they wait
    yield {World(*each["world"]): each for each in seen(WORLDS, at_once)}


@pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.id)
def test_cells_run_as_plain_and_tell_what_is_lost(told: dict[World, Any], world: World) -> None:
    assert faults(told[world]) == []
    if world.way == "whole":
        assert all(each["problems"] == each["missing"] == [] for each in told[world]["traced"].values())
