"""The path of programs made at random is the one that follows from who waits for whom.

`tests/truth` makes them, and `make truth` runs hundreds.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import Kernel, running_kernel

sys.path += [str(Path(__file__).parents[2])]
from tests.truth import compare
from tests.truth.plan import path_of, planned, times_of, units_of
from tests.truth.programs import WORLDS

SEEDS = {"threads": 20, "tasks": 20, "processes": 10, "mixed": 10}


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with running_kernel(tmp_path_factory.mktemp("kernel")) as running:
        running.check("%load_ext concmagic")
        running.check(compare.SETUP)
        yield running


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("world", "seed"), [(world, seed) for world in WORLDS for seed in range(SEEDS[world])]
)
def test_the_path_is_the_one_that_the_program_took(kernel: Kernel, world: str, seed: int) -> None:
    verdict = compare.judged(kernel, seed, world)
    assert not verdict.faults, str(verdict)


@pytest.mark.parametrize("world", WORLDS)
def test_the_path_of_a_plan_is_as_long_as_the_program(world: str) -> None:
    for seed in range(50):
        program, path = planned(seed, world)
        times = times_of(program)
        assert times is not None and path == path_of(program, times)
        assert sum(units_of(program)[place] for place in path) == times.died[0]
