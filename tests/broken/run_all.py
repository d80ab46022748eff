"""Every borrowed name in every way; says how many of the worlds are right, by way."""

from __future__ import annotations

import os
import sys
from collections import Counter

from worlds import every_world, faults, seen

wanted = sys.argv[1:]
worlds = [world for world in every_world() if not wanted or any(word in world.id for word in wanted)]
right: Counter[str] = Counter()
total: Counter[str] = Counter()
for told in seen(worlds, at_once=4 * len(os.sched_getaffinity(0))):
    wrong = faults(told)
    print(".", end="", file=sys.stderr, flush=True)
    right[told["world"][2]] += not wrong
    total[told["world"][2]] += 1
    if wrong:
        print("-".join(told["world"][2:]), ".".join(told["world"][:2]))
        for each in wrong:
            print("   ", each[:400], flush=True)
for way in total:
    print(f"{way}: {right[way]} of {total[way]} right")
sys.exit(right.total() < total.total())
