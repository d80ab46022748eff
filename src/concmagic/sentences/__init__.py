"""Every sentence the user reads, as whole templates, one module per part of the project.

Used as `sentences.NAME`; numbers in them go through `sentences.numbers`. What a child process may say is
loaded with it: where something has failed, an import may fail as well. The rest is loaded when it is said.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from concmagic.sentences.children import *
from concmagic.sentences.numbers import *

if TYPE_CHECKING:
    from concmagic.sentences.findings import *
    from concmagic.sentences.hints import *
    from concmagic.sentences.magics import *
    from concmagic.sentences.picture import *
    from concmagic.sentences.picture_words import *
    from concmagic.sentences.problems import *
    from concmagic.sentences.report import *
    from concmagic.sentences.states_and_waits import *

_LATER = ("magics", "picture", "report", "states_and_waits", "findings", "hints", "problems", "picture_words")


def __getattr__(name: str) -> Any:
    """A sentence of a part that is not loaded yet. Raises AttributeError if no part has it."""
    if name in _LATER:
        return import_module(f"{__name__}.{name}")
    for part in _LATER:
        words = vars(import_module(f"{__name__}.{part}"))
        if name in words:
            return globals().setdefault(name, words[name])
    raise AttributeError(f"no sentence has the name {name!r}")
