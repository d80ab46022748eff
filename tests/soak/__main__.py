"""`python -m tests.soak`: the soak of this Python. See `make soak`."""

from __future__ import annotations

import argparse
import platform
import signal
import sys
import tempfile
import time
from pathlib import Path

from tests.soak import memory
from tests.soak.driver import Soak
from tests.soak.plants import PLANTS


def main() -> int:
    """Run it and print the figures; 1 if anything failed."""
    options = _options()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job's kernels would ignore theirs
    begun = time.monotonic()
    with (
        tempfile.TemporaryDirectory() as folder,
        Soak(Path(folder), options.seed, options.patience, options.plant) as soak,
    ):
        soak.run(options.seconds, options.cell)
        print(f"\nPython {platform.python_version()}, seed {options.seed}: ", end="")
        print(soak.tally.told(time.monotonic() - begun))
        print(f"  {memory.told(soak.memory)}")
        for cell, words in soak.tally.failures:
            where = f"SEED={options.seed} CELL={cell.number} {cell.kind}" if cell else ""
            print(f"  failed: {where}: {words.splitlines()[0][:200]}")
    return 1 if soak.tally.failures else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cell", type=_numbers, help="only this one, or a range as 5-20")
    parser.add_argument("--patience", type=float, default=60, help="seconds after which a cell hangs")
    parser.add_argument("--plant", choices=PLANTS, nargs="*", default=(), help="to be found")
    return parser.parse_args()


def _numbers(text: str) -> range:
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


if __name__ == "__main__":
    sys.exit(main())
