"""Saved files with one thing wrong: flipped bits, odd values, missing parts, tracks in circles."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from random import Random
from typing import Any

_DEEP = "!deep!"  # stands for a nesting that json.dumps could not write
ODD_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 7, 2**31 - 1, 2**31, 2**50, 2**53, 2**63, -(2**63), 2**64, 10**400),
    *(0.5, -0.5, 1e300, 1e-300, float("nan"), float("inf"), -0.0),
    *("", "x", "waiting", "running", "task", "GIL", "a" * 5000, "<script>alert(1)</script>", "\0", "\ud800"),
    *("\udc80\u202e", "]]>", "%s{0}", [], {}, [[]], {"fields": [], "rows": []}, [0] * 100, [None], _DEEP),
)


def mutated(rng: Random, saved: bytes) -> bytes:
    """A saved .json.gz with something wrong, packed or not."""
    if rng.random() < 0.15:
        return _flipped(rng, saved)
    text = gzip.decompress(saved)
    if rng.random() < 0.15:
        text = _flipped(rng, text)
    else:
        whole = json.loads(text)
        for _ in range(rng.choice((1, 1, 1, 2, 5))):
            rng.choice(_CHANGES)(rng, whole["concmagic"])
        written = json.dumps(whole["concmagic"])
        deep = "[" * 200_000 + "]" * 200_000
        text = f'{{"concmagic":{_doubled(rng, written)}}}'.replace(f'"{_DEEP}"', deep).encode()
    return gzip.compress(text, 1) if rng.random() < 0.2 else text


def _flipped(rng: Random, data: bytes) -> bytes:
    """Some bits the other way round, or the end cut off."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 3, 20))):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed[: rng.randrange(len(changed))] if rng.random() < 0.2 else changed)


def _doubled(rng: Random, text: str) -> str:
    """Now and then, a key that stands there twice."""
    if rng.random() < 0.9:
        return text
    key = rng.choice(("tracks", "id", "format", "slices", "start_ns"))
    return text.replace(f'"{key}":', f'"{key}": {rng.choice(("[]", "0", "null"))}, "{key}":', 1)


def _place(rng: Random, plain: Any) -> tuple[Any, Any]:
    """A list or object somewhere in the file, and the place of something in it."""
    while True:
        key = rng.choice(list(plain)) if isinstance(plain, dict) else rng.randrange(len(plain))
        inner = plain[key]
        if not isinstance(inner, (dict, list)) or not inner or rng.random() < 0.1:
            return plain, key
        plain = inner


def _another_value(rng: Random, plain: Any) -> None:
    parent, key = _place(rng, plain)
    parent[key] = rng.choice(ODD_VALUES)


def _a_little_more(rng: Random, plain: Any) -> None:
    parent, key = _place(rng, plain)
    if type(parent[key]) is int:
        parent[key] += rng.choice((-1, 1, -1000, 1000, 10**9, -(10**9), 10**15))


def _missing(rng: Random, plain: Any) -> None:
    parent, key = _place(rng, plain)
    del parent[key]


def _twice(rng: Random, plain: Any) -> None:
    parent, key = _place(rng, plain)
    if isinstance(parent, list):
        parent.insert(rng.randrange(len(parent) + 1), parent[key])


def _exchanged(rng: Random, plain: Any) -> None:
    parent, key = _place(rng, plain)
    other = rng.choice(list(parent) if isinstance(parent, dict) else range(len(parent)))
    parent[key], parent[other] = parent[other], parent[key]


def _other_parent(rng: Random, plain: Any) -> None:
    """A track under another one, or under itself."""
    tracks = plain.get("tracks")
    if tracks and isinstance(tracks, list) and isinstance(tracks[0], dict):
        rng.choice(tracks)["parent"] = rng.randrange(len(tracks) + 1)


_CHANGES: tuple[Callable[[Random, Any], None], ...] = (
    *(_another_value, _another_value, _another_value, _a_little_more, _missing, _twice, _exchanged),
    _other_parent,
)
