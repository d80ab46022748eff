"""Traces and files: what is said when one is saved, or cannot be loaded, or made into a table."""

from __future__ import annotations

from concmagic.model.reading import Kind, UnreadableError, Wrong

_WORDS: dict[Kind, str] = {
    "no file": "there is no such file",
    "failed": "{}",
    "too deep": "it is nested too deep",
    "too much": "it needs more memory than there is",
    "missing": "it is missing",
    "missing field": "{}: it is missing",
    "object": "expected an object",
    "list": "expected a list",
    "text": "expected a text of at most a million characters",
    "truth": "expected true or false",
    "count": "expected a whole number from 0 on",
    "core count": "expected a whole number from 1 on",
    "time": "expected a whole number of nanoseconds, of less than 13 days",
    "number": "expected a number from 0 on",
    "pair": "expected two whole numbers from 0 on",
    "id or other": "expected the id of a track, or the negative number of one that has none",
    "ids": "expected a list of ids of tracks",
    "pairs": "expected a list of pairs of whole numbers",
    "triples": "expected a list of rows of three whole numbers",
    "problems": "expected a list of texts, or of rows of a kind and its values",
    "texts": "expected a list of texts",
    "outcome": "expected how it ended: a kind, and what is known beside it",
    "outcomes and counts": "expected a list of pairs of how something ended and a whole number from 0 on",
    "word": "expected a kind: a word in small letters",
    "id": "expected the id of a track: a whole number from 0 on",
    "depth": "expected a whole number from 0 to 100,000",
    "whole numbers": "expected a list of whole numbers",
    "different names": "expected a list of different names",
    "one of": "expected one of {}",
    "row": "expected a list of {} values",
    "column": "expected {} values, as many as there are starts",
    "state row": "expected start, end, state, reason, place in the facts, file and line",
    "state value": "expected start, end, state, reason, place in the facts, file and line; {}",
    "function row": "expected name, file and line",
    "function rows": "expected a list of rows of name, file and line",
    "used id": "expected an id that no other track has",
    "no track": "expected the id of a track in this file",
    "no facts": "expected a place in this file's facts",
    "no resource": "expected the place of a resource in this file",
    "no function": "expected the place of a function in this file",
    "own ancestor": "the track is drawn under itself",
    "before its start": "expected a time that is not before the start",
    "before the last end": "expected a start that is not before the end of the one before",
    "not sorted": "expected calls sorted by track, then start",
}


def unreadable(path: object, error: UnreadableError) -> str:
    """Say why a file cannot be loaded."""
    match error.wrong:
        case Wrong("too large", (int() | float() as limit_mb,)):
            return too_large(path, limit_mb)
        case Wrong("later format", (number,)):
            return later_format(number)
    return f"{path} is no trace that concmagic saved as .json or .json.gz ({wrong_place(error)})."


def wrong_place(error: UnreadableError) -> str:
    """Say where in a saved file something is wrong, and what."""
    words = _words_of(error.wrong)
    return f"{error.place}: {words}" if error.place else words


def _words_of(wrong: Wrong) -> str:
    values = (_words_of(value) if isinstance(value, Wrong) else str(value) for value in wrong.values)
    return _WORDS[wrong.kind].format(", ".join(values))


def too_large(path: object, limit_mb: float) -> str:
    """Say that a file is not read to its end, and how it can be."""
    return (
        f"{path} holds more than {limit_mb:g} MB, which may be a mistake or meant to fill the memory; "
        f"concmagic.load(path, limit_mb={2 * limit_mb:g}) reads twice as much."
    )


def later_format(number: object) -> str:
    """A saved trace of a later version."""
    return f"This trace was saved by a later concmagic (format {number}); install that version to read it."


def saved(path: object) -> str:
    """Say where a trace was written."""
    return f"Saved {path}"


def not_saved(path: object, error: BaseException) -> str:
    """Say why --save wrote nothing."""
    return f"concmagic could not save {path} ({type(error).__name__}: {error})."


PANDAS_IS_MISSING = "This needs pandas: %pip install 'concmagic[pandas]'."


def no_such_table(table: str, tables: list[str]) -> str:
    """Say which tables there are."""
    return f"There is no table {table!r}; there are {', '.join(tables)}."


def no_such_suffix(name: str, suffixes: list[str]) -> str:
    """Say which files a trace can be saved as."""
    return f"A trace cannot be saved as {name!r}; the suffix says how: {' '.join(suffixes)}."
