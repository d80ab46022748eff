"""The value of a loop: the list of its items' values, shown abbreviated."""

from __future__ import annotations

import io
from typing import Any

from concmagic import sentences

_SHOWN_WHOLE = 12  # as many are shown before the middle is left out
_FIRST, _LAST = 6, 2
_MOST_CHARACTERS = 2_000  # of one value
_END_CHARACTERS = 200  # of them


class Results(list[Any]):
    """The values of a loop's items, in order. A list in everything but how IPython shows it."""

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        if cycle:
            printer.text("[...]")
            return
        with printer.group(1, "[", "]"):
            for position, value in enumerate(self._shown()):
                if position:
                    printer.text(",")
                    printer.breakable()
                if value is _GAP:
                    printer.text(sentences.more_values(len(self) - _FIRST - _LAST))
                else:
                    _print(_shortened(_text_of(value, printer)), printer)

    def _shown(self) -> list[Any]:
        if len(self) <= _SHOWN_WHOLE:
            return list(self)
        return [*self[:_FIRST], _GAP, *self[-_LAST:]]


def _text_of(value: Any, printer: Any) -> str:
    """What the printer would write for the value."""
    stream = io.StringIO()
    inner = type(printer)(
        stream,
        printer.verbose,
        printer.max_width - 1,
        "\n",
        singleton_pprinters=printer.singleton_pprinters,
        type_pprinters=printer.type_pprinters,
        deferred_pprinters=printer.deferred_pprinters,
        max_seq_length=printer.max_seq_length,
    )
    inner.stack = printer.stack  # what is being printed already, this list for one
    inner.pretty(value)
    inner.flush()
    return stream.getvalue()


def _shortened(text: str) -> str:
    left_out = len(text) - _MOST_CHARACTERS
    if left_out <= 0:
        return text
    begin = text[: _MOST_CHARACTERS - _END_CHARACTERS]
    return f"{begin}{sentences.more_characters(left_out)}{text[-_END_CHARACTERS:]}"


def _print(text: str, printer: Any) -> None:
    for number, line in enumerate(text.split("\n")):
        if number:
            printer.break_()
        printer.text(line)


_GAP = object()
