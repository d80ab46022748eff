"""What `concmagic.load` says of a file that it cannot read."""

from __future__ import annotations

from collections.abc import Iterable

MISSING = "it is missing"
AN_OBJECT = "expected an object"
A_LIST = "expected a list"
A_TEXT = "expected a text of at most a million characters"
A_TRUTH = "expected true or false"
A_COUNT = "expected a whole number from 0 on"
A_CORE_COUNT = "expected a whole number from 1 on"
A_TIME = "expected a whole number of nanoseconds, of less than 13 days"
A_NUMBER = "expected a number from 0 on"
A_PAIR = "expected two whole numbers from 0 on"
IDS = "expected a list of ids of tracks"
PAIRS = "expected a list of pairs of whole numbers"
TRIPLES = "expected a list of rows of three whole numbers"
A_KIND = "expected a kind: a word in small letters"
TEXTS = "expected a list of texts"
AN_ID = "expected the id of a track: a whole number from 0 on"
A_DEPTH = "expected a whole number from 0 to 100,000"
WHOLE_NUMBERS = "expected a list of whole numbers"
DIFFERENT_NAMES = "expected a list of different names"
A_STATE_ROW = "expected start, end, state, reason, place in the facts, file and line"
A_FUNCTION_ROW = "expected name, file and line"
NOT_TWICE = "expected an id that no other track has"
NO_SUCH_TRACK = "expected the id of a track in this file"
NO_SUCH_FACTS = "expected a place in this file's facts"
NO_SUCH_RESOURCE = "expected the place of a resource in this file"
OWN_ANCESTOR = "the track is drawn under itself"
NO_SUCH_FUNCTION = "expected the place of a function in this file"
BEFORE_ITS_START = "expected a time that is not before the start"
BEFORE_THE_ONE_BEFORE = "expected a start that is not before the end of the one before"
NOT_SORTED = "expected calls sorted by track, then start"
TOO_DEEP = "it is nested too deep"
TOO_MUCH = "it needs more memory than there is"
NO_FILE = "there is no such file"


def one_of(words: Iterable[object]) -> str:
    """A text that has to be one of a few."""
    return f"expected one of {', '.join(map(str, words))}"


def a_row_of(length: int) -> str:
    """A row that has a value for each field."""
    return f"expected a list of {length} values"


def as_many_as(length: int) -> str:
    """A column that has a value for each call."""
    return f"expected {length} values, as many as there are starts"


def wrong_place(place: str, words: str) -> str:
    """Say where in a saved file something is wrong."""
    return f"{place}: {words}" if place else words


def not_a_trace(path: object, why: object) -> str:
    """Say what `load` reads."""
    return f"{path} is no trace that concmagic saved as .json or .json.gz ({why})."


def too_large(path: object, limit_mb: float) -> str:
    """Say that a file is not read to its end, and how it can be."""
    return (
        f"{path} holds more than {limit_mb:g} MB, which may be a mistake or meant to fill the memory; "
        f"concmagic.load(path, limit_mb={2 * limit_mb:g}) reads twice as much."
    )


def unknown_kind(kind: str) -> str:
    """A kind of track, state or arrow that a later version has saved."""
    return f"A later concmagic has saved what this one does not know: {kind}."


def newer_format(number: object) -> str:
    """A saved trace of a later version."""
    return f"This trace was saved by a later concmagic (format {number}); install that version to read it."
