"""How wide a text will be, without a font: estimates on the wide side, so that nothing overlaps."""

from __future__ import annotations

import math
import re
import unicodedata

_NARROW = frozenset("iljtfrI.,:;'|!()[]/ `·")
_WIDE = frozenset("mwMW@%—…→✓✗▲●▸▾")
_BOLD = 1.1
_NUMBER = re.compile(r"\d[\d.,]* (?:min \d\d s|ns|µs|ms|s|%)")
ELLIPSIS = "…"


def text_width(text: str, size: float, bold: bool = False) -> float:
    """The width in pixels at a font size, for the widest of the usual sans-serif fonts."""
    ems = math.fsum(_em(character) for character in text)  # plain sums differ between Pythons
    return ems * size * (_BOLD if bold else 1)


def fit(text: str, room: float, size: float, bold: bool = False) -> str:
    """Shorten a text with an ellipsis until it fits the room."""
    if text_width(text, size, bold) <= room:
        return text
    low, high = 0, len(text)
    while low < high:  # the longest beginning that fits
        middle = (low + high + 1) // 2
        if text_width(text[:middle] + ELLIPSIS, size, bold) <= room:
            low = middle
        else:
            high = middle - 1
    return text[:low].rstrip(" .") + ELLIPSIS if low else ""


def fit_middle(text: str, room: float, size: float, bold: bool = False) -> str:
    """Shorten a name in its middle: what tells "worker-17" from its siblings is at the end."""
    if text_width(text, size, bold) <= room:
        return text
    kept = len(fit(text, room, size, bold)) - 1
    while kept > 0 and text_width(_without_middle(text, kept), size, bold) > room:
        kept -= 1
    return _without_middle(text, kept) if kept > 0 else ""


def fit_columns_middle(text: str, room: int) -> str:
    """Shorten a name in its middle to so many columns of a terminal."""
    if columns(text) <= room:
        return text
    kept = len(fit_columns(text, room)) - 1
    while kept > 0 and columns(_without_middle(text, kept)) > room:
        kept -= 1
    return _without_middle(text, kept) if kept > 0 else fit_columns(text, room)


def _without_middle(text: str, kept: int) -> str:
    head = (3 * kept + 4) // 5
    return text[:head].rstrip() + ELLIPSIS + text[len(text) - (kept - head) :].lstrip()


def number_of(text: str) -> str:
    """The first length of time or share in a text, "318 ms" of "join 318 ms"; "" if it has none."""
    found = _NUMBER.search(text)
    return found[0] if found else ""


def wrap(text: str, room: float, size: float, bold: bool = False, lines: int = 3) -> list[str]:
    """Break a text at spaces into at most so many lines; the last one is shortened."""
    done: list[str] = []
    rest = text
    while rest and len(done) < lines - 1:
        cut = _break_at(rest, room, size, bold)
        done.append(rest[:cut].rstrip())
        rest = rest[cut:].lstrip()
    if rest:
        done.append(fit(rest, room, size, bold))
    return done


def columns(text: str) -> int:
    """How many columns of a terminal a text takes."""
    return sum(_cells(character) for character in text)


def fit_columns(text: str, room: int) -> str:
    """Shorten a text to so many columns of a terminal."""
    if columns(text) <= room:
        return text
    kept = ""
    for character in text:
        if columns(kept + character) >= room:
            break
        kept += character
    return kept + ELLIPSIS if room > 0 else ""


def one_line(text: str) -> str:
    """A name as one line without control characters: a tab or newline must not break a lane."""
    shown = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(shown.split())


def _break_at(text: str, room: float, size: float, bold: bool) -> int:
    """Where the first line ends: at its last space that fits, or in the middle of a long word."""
    if text_width(text, size, bold) <= room:
        return len(text)
    kept = len(fit(text, room, size, bold)) - 1
    space = text.rfind(" ", 0, max(kept, 1) + 1)
    return space if space > 0 else max(kept, 1)


def _em(character: str) -> float:
    if character in _NARROW:
        return 0.36
    if character in _WIDE:
        return 0.95
    if character.isdigit():
        return 0.64
    if character.isupper():
        return 0.7
    return 1.0 if _cells(character) == 2 else 0.61 * _cells(character)


def _cells(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
