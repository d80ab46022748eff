"""The value of a loop: the list of its items' values, shown abbreviated."""

from __future__ import annotations

from typing import Any

from concmagic import sentences

_SHOWN_WHOLE = 12  # as many are shown before the middle is left out
_FIRST, _LAST = 6, 2


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
                    printer.pretty(value)

    def _shown(self) -> list[Any]:
        if len(self) <= _SHOWN_WHOLE:
            return list(self)
        return [*self[:_FIRST], _GAP, *self[-_LAST:]]


_GAP = object()
