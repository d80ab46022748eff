"""Which worlds there are, and whether a cell of ours ran there as the plain cell did."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from world import find

from concmagic.interpreter import borrowing
from concmagic.interpreter.borrowed import TABLE, Borrowed

WAYS = ("missing", "builtin", "partial", "wrapper")
ON_A_CLASS = (*WAYS, "unbound")
# No world to compare in, and why.
LEFT_OUT = {
    ("IPython.core.interactiveshell.InteractiveShell", "run_cell_magic", "missing"): "no magic is reached",
    ("IPython.core.interactiveshell.InteractiveShell", "run_cell_magic", "unbound"): "no magic is reached",
    # A Pool starts workers that die for ever, or fails anyhow; with us it says why they die.
    ("multiprocessing.process.BaseProcess", "_bootstrap", "missing"): "a Pool does not come to its end",
    ("multiprocessing.process.BaseProcess", "_bootstrap", "unbound"): "a Pool does not come to its end",
    # Read only where Python's own handler of SIGINT is in place: while a cell is traced it is ours.
    ("asyncio.runners.Runner", "_on_sigint", "missing"): "nothing reads it",
}
SEED = 20
SHARE = 10  # one in so many of the names that are not read at import


class World(NamedTuple):
    """One name and what is done to it."""

    owner: str
    name: str
    way: str
    order: str

    @property
    def id(self) -> str:
        return f"{self.owner}.{self.name}-{self.way}-{self.order}"


def is_here(row: Borrowed) -> bool:
    """Whether the name can be taken away from outside, and this Python has it."""
    if row.inside or not row.since <= sys.version_info[:2] < row.until:
        return False
    try:
        return borrowing.raw(find(row.owner), row.name) is not borrowing.ABSENT
    except (ImportError, AttributeError):
        return False


def ways_of(row: Borrowed) -> tuple[str, ...]:
    owner = find(row.owner)
    held = borrowing.raw(owner, row.name)
    if not callable(getattr(owner, row.name)):
        return ("missing",)
    is_method = isinstance(owner, type) and not isinstance(held, (staticmethod, classmethod))
    ways = ON_A_CLASS if is_method else WAYS
    return ways if row.name in vars(owner) else ways[1:]  # what a base has cannot be taken away here


def worlds_of(rows: list[Borrowed], order: str) -> list[World]:
    all_ways = (World(row.owner, row.name, way, order) for row in rows for way in ways_of(row))
    return [world for world in all_ways if world[:3] not in LEFT_OUT]


def every_world() -> list[World]:
    """All; a name that is read at import is also broken when it has been read."""
    rows = [row for row in TABLE if is_here(row)]
    return worlds_of(rows, "before") + worlds_of([row for row in rows if row.at_import], "after")


def some_worlds() -> list[World]:
    """Those of names that are read at import, and a share of the others."""
    rows = [row for row in TABLE if is_here(row)]
    early = worlds_of([row for row in rows if row.at_import], "before")
    others = worlds_of([row for row in rows if not row.at_import], "before")
    return early + random.Random(SEED).sample(others, len(others) // SHARE)


def seen(worlds: list[World], at_once: int) -> Iterator[dict[str, Any]]:
    """What happened in each of them, as they end."""
    script = Path(__file__).with_name("world.py")
    around = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, str(script), str(at_once)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=around
    ) as running:
        assert running.stdin is not None and running.stdout is not None
        json.dump([list(world) for world in worlds], running.stdin)
        running.stdin.close()
        for line in running.stdout:
            yield json.loads(line)
    assert running.returncode == 0


def faults(told: dict[str, Any]) -> list[str]:
    """What is not as it should be in one world."""
    if "failed" in told:
        return [told["failed"]]
    owner, name, *_ = told["world"]
    parts = {row.part for row in TABLE if (row.owner, row.name) == (owner, name)}
    found = []
    for model, plain in told["plain"].items():
        traced, again = told["traced"][model], told["again"][model]
        if all(str(each["error"]).startswith("Hangs") for each in (plain, again)):
            continue  # it was ended from outside, wherever it stood; a traced one that ends is none the worse
        found += [
            f"{model}: {what} plain {plain[what]!r}, traced {traced[what]!r}"
            for what in ("value", "error")
            if traced[what] not in (plain[what], again[what]) and plain[what] == again[what]
        ]
        if plain != again:
            continue  # each time it goes another way
        lacks, more = Counter(plain["output"]), Counter(traced["output"])
        if lacks != more:
            found.append(f"{model}: lacks {[*(lacks - more)]}, has beside {[*(more - lacks)]}")
        if plain["error"] is None:
            told_of = " ".join(traced["problems"])
            found += [
                f"{model}: {part} lost"
                for part in traced["missing"]
                if part not in parts and f"The {part} recorder failed" not in told_of
            ]
            if traced["missing"] and not traced["problems"]:
                found.append(f"{model}: {traced['missing']} lost, and nothing said")
    return found
