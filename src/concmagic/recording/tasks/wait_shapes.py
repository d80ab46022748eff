"""What a chain of suspended coroutines means: read off their code objects once, then looked up."""

from __future__ import annotations

from dataclasses import dataclass
from types import CodeType

from concmagic.code_owner import owner_of
from concmagic.interpreter.connection_pools import Ask, ask_of
from concmagic.interpreter.known_functions import is_futures_await
from concmagic.recording.tasks.wait_reasons import CONNECTION, ITEM, ROWS, UNKNOWN, WAIT_FOR, WHOLE, Row


@dataclass(frozen=True, slots=True)
class Shape:
    """What a chain of these code objects means: found once, then looked up."""

    row: Row | None  # None: the awaited future decides
    node: int  # index of the one that the row is about
    user: int  # index of the one whose `await` is shown; -1 is none
    direct: bool  # that one awaits asyncio's own, with no library in between
    limit: int  # index of the `wait_for` around the one that the row is about; -1 is none
    ask: Ask | None  # where it is a pool of connections, what tells how many it has
    codes: tuple[CodeType, ...]  # kept, so that their identities stay theirs


def _row_of(code: CodeType, table: dict[tuple[str, str], Row]) -> Row | None:
    file = code.co_filename
    if owner_of(file) != "stdlib":
        return None
    module = file.replace("\\", "/").rpartition("/")[2].removesuffix(".py")
    return table.get((module, code.co_qualname))


def shape_of(codes: tuple[CodeType, ...]) -> Shape:
    """What a chain of coroutines with these codes, the outermost first, waits for."""
    places = [owner_of(code.co_filename) for code in codes]
    while places and places[-1] == "stdlib" and is_futures_await(codes[len(places) - 1]):
        places.pop()  # asyncio's own future in Python awaits itself
    outside = [i for i, place in enumerate(places) if place != "stdlib"]
    own = [i for i in outside if places[i] == "user"]
    shown = own or [i for i in outside if places[i] != "ours"]
    user = shown[-1] if shown else -1
    direct = bool(own) and own[-1] == outside[-1]
    for i in outside:
        inside = codes[i + 1] if i + 1 < len(codes) else None
        if places[i] == "library" and (ask := ask_of(codes[i], inside)) is not None:
            return Shape(CONNECTION, i, user, False, -1, ask, codes)
    inner = range((outside[-1] if outside else -1) + 1, len(places))
    for table, order in ((WHOLE, inner), (ROWS, reversed(inner))):
        for i in order:
            if (row := _row_of(codes[i], table)) is not None:
                limit = next((k for k in inner if k < i and _row_of(codes[k], ROWS) is WAIT_FOR), -1)
                return Shape(row, i, user, direct, limit, None, codes)
    if places and places[-1] == "ours":
        return Shape(ITEM, 0, user, direct, -1, None, codes)
    return Shape(UNKNOWN if inner else None, 0, user, direct, -1, None, codes)
